//! apt-get and apt-cache: which files packages consist of, and their download.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::archive::Archive;
use crate::{Error, files};

/// What package lists and their index take, generously.
const LISTS_BYTES: u64 = 100_000_000;

/// How much larger packages are together with what is unpacked from them, at most.
const UNPACKED: u64 = 8;

/// Packages whose files every machine with apt, dpkg, gcc and libc6-dev has already.
const PRESENT: [&str; 12] = [
    "binutils",
    "dpkg",
    "gcc",
    "gcc-12-base",
    "libc-dev",
    "libc6",
    "libc6-dev",
    "libgcc-s1",
    "liblzma5",
    "libstdc++6",
    "libzstd1",
    "zlib1g",
];

/// apt-get and apt-cache, with lists and caches of their own, asked for some packages.
pub(super) struct Apt<'a> {
    /// Where their lists and caches are.
    pub(super) folder: PathBuf,
    /// What is asked for. A `*` in names stands for the highest number for which there is a package of each of those names.
    pub(super) packages: &'a [&'a str],
}

impl Apt<'_> {
    /// Fetches the packages and what they depend on into `archives`, where package files that an earlier try completed are kept.
    /// Each of those that are returned is there, with the contents that the package lists give it.
    pub(super) fn fetch(&self, archives: &Path) -> Result<Vec<Archive>, Error> {
        files::create_folder(archives)?;
        for folder in ["lists/partial", "cache/archives/partial"] {
            files::create_folder(&self.folder.join(folder))?;
        }
        files::write_changed(&self.folder.join("status"), "")?;
        match self.fetch_by_lists(archives) {
            // There are no lists yet, or they are so old that the packages in them have gone.
            Err(Error::Fetch { .. }) => {}
            other => return other,
        }
        let update_failed = self.update()?;
        self.fetch_by_lists(archives)
            .map_err(|error| match (error, update_failed) {
                (Error::Fetch { packages, .. }, Some(reason)) => Error::Fetch { packages, reason },
                (error, _) => error,
            })
    }

    /// Brings the package lists up to date. A list that cannot be fetched need not matter: what was said about it is returned.
    fn update(&self) -> Result<Option<String>, Error> {
        files::require_space(&self.folder, LISTS_BYTES)?;
        eprintln!("fetching the package lists");
        let output = run(self.command("apt-get", "update")?, "apt-get")?;
        let said = complaint(&output);
        Ok((!output.status.success() || said.contains("Failed to fetch")).then_some(said))
    }

    fn fetch_by_lists(&self, folder: &Path) -> Result<Vec<Archive>, Error> {
        let archives = self.listed(&self.closure()?)?;
        let mut missing = Vec::new();
        for archive in &archives {
            if !archive.is_whole(folder)? {
                files::remove(&archive.path(folder))?;
                missing.push(archive);
            }
        }
        if missing.is_empty() {
            return Ok(archives);
        }
        let total_bytes = archives.iter().map(|archive| archive.bytes).sum::<u64>();
        files::require_space(folder, total_bytes.saturating_mul(UNPACKED))?;
        self.download(&missing, folder)?;
        for archive in missing {
            if !archive.is_whole(folder)? {
                let reason = format!("{} is not what the package lists say", archive.name);
                return Err(self.failure(reason));
            }
        }
        Ok(archives)
    }

    /// The packages and what they depend on.
    fn closure(&self) -> Result<BTreeSet<String>, Error> {
        let packages = self.numbered()?;
        let mut depends = self.command("apt-cache", "depends")?;
        depends.args([
            "--recurse",
            "--no-recommends",
            "--no-suggests",
            "--no-conflicts",
            "--no-breaks",
        ]);
        depends
            .args(["--no-replaces", "--no-enhances"])
            .args(&packages);
        let graph = self.checked(depends, "apt-cache")?;
        Ok(closure(&graph, &packages))
    }

    /// The packages by their names, in which a number stands for each `*`.
    fn numbered(&self) -> Result<Vec<String>, Error> {
        let mut numbers: Option<BTreeSet<u32>> = None;
        for package in self.packages {
            let Some((before, after)) = package.split_once('*') else {
                continue;
            };
            let mut names = self.command("apt-cache", "pkgnames")?;
            names.arg(before);
            let names = self.checked(names, "apt-cache")?;
            let found = names.lines().filter_map(|name| {
                let number = name.strip_prefix(before)?.strip_suffix(after)?;
                number.parse().ok()
            });
            let found: BTreeSet<u32> = found.collect();
            numbers = Some(match numbers {
                Some(numbers) => &numbers & &found,
                None => found,
            });
        }
        let number = match numbers {
            None => String::new(),
            Some(numbers) => numbers
                .last()
                .map(ToString::to_string)
                .ok_or_else(|| self.failure("there is no such number".to_owned()))?,
        };
        let packages = self.packages.iter();
        Ok(packages.map(|name| name.replace('*', &number)).collect())
    }

    /// The files of packages as the lists have them, in the order of their names.
    fn listed(&self, packages: &BTreeSet<String>) -> Result<Vec<Archive>, Error> {
        // apt says nothing of a file that is in its working folder already.
        let empty = self.folder.join("empty");
        files::remove(&empty)?;
        files::create_folder(&empty)?;
        let mut print = self.command("apt-get", "download")?;
        print.args(["-o", "Acquire::ForceHash=SHA256", "--print-uris"]);
        print.args(packages).current_dir(&empty);
        let printed = self.checked(print, "apt-get")?;
        let archives = Archive::listed(&printed).map_err(|line| {
            self.failure(format!(
                "apt-get does not give a name, size and SHA-256: {line}"
            ))
        })?;
        for package in packages {
            if !archives.iter().any(|archive| archive.package() == package) {
                return Err(self.failure(format!("apt-get knows no file of {package}")));
            }
        }
        Ok(archives)
    }

    fn download(&self, archives: &[&Archive], folder: &Path) -> Result<(), Error> {
        let mut command = self.command("apt-get", "download")?;
        command
            .args(archives.iter().map(|archive| archive.package()))
            .current_dir(folder);
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn();
        let mut child = child.map_err(Error::file("start apt-get in", folder))?;
        let before = bytes_in(folder);
        let bar = progress(archives.iter().map(|archive| archive.bytes).sum());
        while child
            .try_wait()
            .map_err(Error::file("wait for apt-get in", folder))?
            .is_none()
        {
            bar.set_position(bytes_in(folder).saturating_sub(before));
            std::thread::sleep(Duration::from_millis(100));
        }
        bar.finish_and_clear();
        let output = child
            .wait_with_output()
            .map_err(Error::file("wait for apt-get in", folder))?;
        if output.status.success() {
            Ok(())
        } else {
            Err(self.failure(complaint(&output)))
        }
    }

    /// A command that ends when this process does: one that is left behind would go on to write where the next try does.
    fn command(&self, program: &'static str, action: &str) -> Result<Command, Error> {
        let folder = |name: &str, value: &str| {
            let mut option = OsString::from(format!("{name}="));
            option.push(self.folder.join(value));
            option
        };
        let mut command = ending_with_parent(program)?;
        command
            .env("LC_ALL", "C")
            .arg("-o")
            .arg(folder("Dir::State::lists", "lists"))
            .arg("-o")
            .arg(folder("Dir::Cache", "cache"))
            // What is installed does not matter: a version of a package that is here, and in no source any more, cannot be fetched.
            .arg("-o")
            .arg(folder("Dir::State::status", "status"))
            // Root's cache folder may be closed to apt's own user.
            .args(["-o", "APT::Sandbox::User=root"])
            .args(["-o", "Acquire::Languages=none"])
            .args([
                "-o",
                "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false",
            ])
            .args([
                "-o",
                "Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled=false",
            ])
            .arg(action);
        Ok(command)
    }

    fn checked(&self, command: Command, program: &'static str) -> Result<String, Error> {
        let output = run(command, program)?;
        if output.status.success() {
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        } else {
            Err(self.failure(complaint(&output)))
        }
    }

    fn failure(&self, reason: String) -> Error {
        Error::Fetch {
            packages: self.packages.join(" "),
            reason,
        }
    }
}

/// The packages that are to be fetched: those asked for and what they depend on, without what every machine has.
///
/// `graph` is what `apt-cache depends --recurse` prints: a package's name on a line of its own, below it indented lines such as
/// `Depends: libc6`; a virtual package stands in angle brackets, with its providers indented further.
fn closure(graph: &str, packages: &[String]) -> BTreeSet<String> {
    let mut edges: Vec<(&str, &str)> = Vec::new();
    let mut package = "";
    for line in graph.lines() {
        if let Some((kind, name)) = line.trim_start_matches([' ', '|']).split_once("Depends: ") {
            if (kind.is_empty() || kind == "Pre") && !name.starts_with('<') {
                edges.push((package, name));
            }
        } else if !line.starts_with(' ') {
            package = line;
        }
    }
    let mut wanted: BTreeSet<String> = BTreeSet::new();
    let mut open: Vec<&str> = packages.iter().map(String::as_str).collect();
    while let Some(name) = open.pop() {
        if !PRESENT.contains(&name) && wanted.insert(name.to_owned()) {
            open.extend(
                edges
                    .iter()
                    .filter(|(from, _)| *from == name)
                    .map(|(_, to)| to),
            );
        }
    }
    wanted
}

/// The program, killed when the thread that starts it ends, where util-linux is there to have the kernel see to that.
pub(super) fn ending_with_parent(program: &'static str) -> Result<Command, Error> {
    let found = on_path(program).ok_or(Error::NotDebian(program))?;
    let Some(setpriv) = on_path("setpriv") else {
        return Ok(Command::new(found));
    };
    let mut command = Command::new(setpriv);
    command.args(["--pdeathsig", "KILL", "--"]).arg(found);
    Ok(command)
}

fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}

pub(super) fn run(mut command: Command, program: &'static str) -> Result<Output, Error> {
    command
        .stdin(Stdio::null())
        .output()
        .map_err(|source| Error::Program {
            program: program.to_owned(),
            source,
            hint: "check that it can be executed",
        })
}

/// Why a program failed, in one line: what it names as an error, a failed fetch or a warning, in this order, without apt's mark;
/// else what it said first.
pub(super) fn complaint(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr);
    let marked = ["E: ", "W: Failed to fetch", "W: "]
        .iter()
        .find_map(|mark| text.lines().find(|line| line.starts_with(mark)))
        .and_then(|line| line.get(3..));
    let first = text.lines().find(|line| !line.trim().is_empty());
    marked.or(first).unwrap_or("it does not say why").to_owned()
}

/// A bar on a terminal, a line elsewhere.
fn progress(total_bytes: u64) -> ProgressBar {
    if !io::stderr().is_terminal() {
        eprintln!(
            "fetching {} MB of packages",
            total_bytes.div_ceil(1_000_000)
        );
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template(
        "fetching packages {bar:40} {decimal_bytes} of {decimal_total_bytes}, {eta} left",
    );
    ProgressBar::new(total_bytes).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

fn bytes_in(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.metadata().ok())
        .map(|metadata| metadata.len())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As apt-cache prints it.
    const GRAPH: &str = "\
lld-22
  Depends: libllvm22
  Depends: libc6
 |Depends: libstdc++6
libllvm22
  PreDepends: libtinfo6
  Depends: <libedit>
    libedit2
  Suggests: llvm-doc
libtinfo6
libc6
  Depends: libgcc-s1
mingw-w64-common
libedit2
  Depends: lld-22
";

    fn closed(packages: &[&str]) -> Vec<String> {
        let packages: Vec<String> = packages.iter().map(ToString::to_string).collect();
        closure(GRAPH, &packages).into_iter().collect()
    }

    #[test]
    fn what_a_package_depends_on_is_fetched_with_it() {
        assert_eq!(closed(&["lld-22"]), ["libllvm22", "libtinfo6", "lld-22"]);
        assert_eq!(closed(&["mingw-w64-common"]), ["mingw-w64-common"]);
    }

    #[test]
    fn a_circle_of_packages_ends_and_what_every_machine_has_is_left_out() {
        assert_eq!(
            closed(&["libedit2", "libc6"]),
            ["libedit2", "libllvm22", "libtinfo6", "lld-22"]
        );
    }

    #[test]
    fn what_a_program_says_first_is_less_than_its_errors_and_its_warnings() {
        for (said, expected) in [
            ("rm: a hook\nW: hm\nW: Failed to fetch a\nE: full\n", "full"),
            (
                "rm: a hook\nW: hm\nW: Failed to fetch a\n",
                "Failed to fetch a",
            ),
            ("rm: a hook\nW: hm\n", "hm"),
            ("\nrm: a hook\nmore\n", "rm: a hook"),
            ("", "it does not say why"),
        ] {
            let output = Output {
                status: std::process::ExitStatus::default(),
                stdout: Vec::new(),
                stderr: said.into(),
            };
            assert_eq!(complaint(&output), expected);
        }
    }
}

//! Debian packages, fetched and unpacked into the user's cache folder, never installed: the same way for root and for anyone else.
//!
//! apt-get gets lists and caches of its own, so that it needs no privilege; the sources are the machine's own, and apt checks the
//! signatures of their lists and the hashes of the packages.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::{Error, files};

/// The file in an unpacked root that says what was asked for (first line) and which package files it came from.
const RECORD: &str = "PACKAGES";

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

/// Fetches packages with what they depend on, unpacks them together, and returns the folder that holds their `usr`.
///
/// `name` is the folder's name in the cache. What is there already is used as it is; several processes may ask at once.
pub fn unpacked(name: &str, packages: &[&str]) -> Result<PathBuf, Error> {
    let cache = cache_folder()?;
    let root = cache.join("packages").join(name);
    let wanted = packages.join(" ");
    if holds(&root, &wanted) {
        return Ok(root);
    }
    let _lock = files::lock(&cache.join("lock"), "another process that fetches packages")?;
    if holds(&root, &wanted) {
        return Ok(root);
    }
    let archives = cache.join("archives").join(name);
    let fetched = Apt {
        folder: cache.join("apt"),
        packages,
    }
    .fetch(&archives)?;
    let unfinished = cache.join("packages").join(format!("{name}.unfinished"));
    unpack(&fetched, &unfinished)?;
    let names = fetched.iter().filter_map(|file| file.file_name()?.to_str());
    let record: Vec<&str> = [wanted.as_str()].into_iter().chain(names).collect();
    files::write_changed(&unfinished.join(RECORD), &(record.join("\n") + "\n"))?;
    files::put_in_place(&unfinished, &root)?;
    files::remove_folder(&archives)?;
    Ok(root)
}

/// `$XDG_CACHE_HOME/ferrostor`, or `~/.cache/ferrostor`.
pub fn cache_folder() -> Result<PathBuf, Error> {
    let absolute = |name| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    absolute("XDG_CACHE_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".cache")))
        .map(|cache| cache.join("ferrostor"))
        .ok_or(Error::NoCacheFolder)
}

/// Was this root unpacked, to its end, from what is wanted?
fn holds(root: &Path, wanted: &str) -> bool {
    fs::read_to_string(root.join(RECORD)).is_ok_and(|record| record.lines().next() == Some(wanted))
}

/// apt-get and apt-cache, with lists and caches of their own, asked for some packages.
struct Apt<'a> {
    folder: PathBuf,
    packages: &'a [&'a str],
}

impl Apt<'_> {
    /// Fetches the packages and what they depend on into `archives`, where package files that an earlier try completed are kept.
    fn fetch(&self, archives: &Path) -> Result<Vec<PathBuf>, Error> {
        files::create_folder(archives)?;
        for folder in ["lists/partial", "cache/archives/partial"] {
            files::create_folder(&self.folder.join(folder))?;
        }
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
        let output = run(self.command("apt-get", "update"), "apt-get")?;
        let said = complaint(&output);
        Ok((!output.status.success() || said.contains("Failed to fetch")).then_some(said))
    }

    fn fetch_by_lists(&self, archives: &Path) -> Result<Vec<PathBuf>, Error> {
        let mut depends = self.command("apt-cache", "depends");
        depends.args([
            "--recurse",
            "--no-recommends",
            "--no-suggests",
            "--no-conflicts",
            "--no-breaks",
        ]);
        depends
            .args(["--no-replaces", "--no-enhances"])
            .args(self.packages);
        let graph = self.checked(depends, "apt-cache")?;
        let names = closure(&graph, self.packages);

        let mut print = self.command("apt-get", "download");
        print.arg("--print-uris").args(&names).current_dir(archives);
        let files = package_files(&self.checked(print, "apt-get")?);
        let total_bytes = files.iter().map(|(_, bytes)| bytes).sum();
        files::require_space(archives, total_bytes * UNPACKED)?;
        self.download(&names, archives, total_bytes)?;
        Ok(files
            .into_iter()
            .map(|(name, _)| archives.join(name))
            .collect())
    }

    fn download(
        &self,
        names: &BTreeSet<String>,
        archives: &Path,
        total_bytes: u64,
    ) -> Result<(), Error> {
        let mut command = self.command("apt-get", "download");
        command.args(names).current_dir(archives);
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn();
        let mut child = child.map_err(Error::file("start apt-get in", archives))?;
        let bar = progress(total_bytes);
        while child
            .try_wait()
            .map_err(Error::file("wait for apt-get in", archives))?
            .is_none()
        {
            bar.set_position(bytes_in(archives));
            std::thread::sleep(Duration::from_millis(100));
        }
        bar.finish_and_clear();
        let output = child
            .wait_with_output()
            .map_err(Error::file("wait for apt-get in", archives))?;
        if output.status.success() {
            Ok(())
        } else {
            Err(self.failed(&output))
        }
    }

    fn command(&self, program: &str, action: &str) -> Command {
        let folder =
            |name: &str, value: &str| format!("{name}={}", self.folder.join(value).display());
        let mut command = Command::new(program);
        command
            .env("LC_ALL", "C")
            .args(["-o", &folder("Dir::State::lists", "lists")])
            .args(["-o", &folder("Dir::Cache", "cache")])
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
        command
    }

    fn checked(&self, command: Command, program: &'static str) -> Result<String, Error> {
        let output = run(command, program)?;
        if output.status.success() {
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        } else {
            Err(self.failed(&output))
        }
    }

    fn failed(&self, output: &Output) -> Error {
        Error::Fetch {
            packages: self.packages.join(" "),
            reason: complaint(output),
        }
    }
}

/// The packages that are to be fetched: those asked for and what they depend on, without what every machine has.
///
/// `graph` is what `apt-cache depends --recurse` prints: a package's name on a line of its own, below it indented lines such as
/// `Depends: libc6`; a virtual package stands in angle brackets, with its providers indented further.
fn closure(graph: &str, packages: &[&str]) -> BTreeSet<String> {
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
    let mut open: Vec<&str> = packages.to_vec();
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

/// File names and sizes, in bytes, from lines such as `'http://…/x.deb' x.deb 1234 SHA256:…`.
fn package_files(uris: &str) -> Vec<(String, u64)> {
    uris.lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace().skip(1);
            Some((words.next()?.to_owned(), words.next()?.parse().ok()?))
        })
        .collect()
}

/// Unpacks package files over one another into a new folder.
fn unpack(packages: &[PathBuf], root: &Path) -> Result<(), Error> {
    files::remove_folder(root)?;
    files::create_folder(root)?;
    eprintln!("unpacking {} packages", packages.len());
    for package in packages {
        let mut command = Command::new("dpkg-deb");
        command
            .env("LC_ALL", "C")
            .arg("--extract")
            .arg(package)
            .arg(root);
        let output = run(command, "dpkg-deb")?;
        if !output.status.success() {
            return Err(Error::Unpack {
                package: package.clone(),
                reason: complaint(&output),
            });
        }
    }
    Ok(())
}

fn run(mut command: Command, program: &'static str) -> Result<Output, Error> {
    command
        .stdin(Stdio::null())
        .output()
        .map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => Error::NotDebian(program),
            _ => Error::Program {
                program: program.to_owned(),
                source,
                hint: "check that it can be executed",
            },
        })
}

/// Why a program failed, in one line: what it names as an error, a failed fetch or a warning, in this order, without apt's mark;
/// else what it said first.
fn complaint(output: &Output) -> String {
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
        closure(GRAPH, packages).into_iter().collect()
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

    #[test]
    fn names_and_sizes_are_read_from_what_apt_prints() {
        let uris = "'http://deb.example/a_1%3a2_amd64.deb' a_1%3a2_amd64.deb 1234 SHA256:00\n\
            'http://deb.example/b_1_all.deb' b_1_all.deb 5 SHA256:11\n";
        let expected = [
            ("a_1%3a2_amd64.deb".to_owned(), 1234),
            ("b_1_all.deb".to_owned(), 5),
        ];
        assert_eq!(package_files(uris), expected);
    }
}

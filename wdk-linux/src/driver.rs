//! cargo, run on the driver for its own target.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use crate::checkout::workspace;
use crate::host_port::Places;
use crate::toolchain::{TARGET, Toolchain};
use crate::{Error, files, host_port, wdk_root};

/// A built driver image and what the linker wrote with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// The driver, `ferrostor.sys`.
    pub sys: PathBuf,
    /// Its debug information.
    pub pdb: PathBuf,
    /// The link map: every symbol that was linked, and from where.
    pub map: PathBuf,
}

/// What cargo can do with the driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    /// Build the image.
    Build,
    /// Check it with clippy, warnings denied.
    Clippy,
    /// Build its documentation, warnings denied.
    Doc,
}

/// Makes sure that the image is built from the sources as they are now.
///
/// What is missing is set up first: packages are fetched into the user's cache folder. An image that is newer than everything that it
/// was built from is returned at once. Several processes may ask at the same time; one of them builds.
pub fn image() -> Result<Image, Error> {
    let workspace = workspace()?;
    let image = Image::of(&workspace);
    if image.is_current(&workspace) {
        return Ok(image);
    }
    let _lock = lock(&workspace)?;
    if !image.is_current(&workspace) {
        let began = cargo(Task::Build, &workspace)?;
        image.collect(&workspace, began)?;
    }
    Ok(image)
}

/// Does one task on the driver, whether or not anything has changed.
pub fn run(task: Task) -> Result<(), Error> {
    run_in(&workspace()?, task)
}

/// Does one task on the driver of another working copy, in a `target` folder of its own.
pub fn run_in(workspace: &Path, task: Task) -> Result<(), Error> {
    let _lock = lock(workspace)?;
    let began = cargo(task, workspace)?;
    match task {
        Task::Build => Image::of(workspace).collect(workspace, began),
        Task::Clippy | Task::Doc => Ok(()),
    }
}

impl Image {
    fn of(workspace: &Path) -> Self {
        let release = target_folder(workspace).join("release");
        Self {
            sys: release.join("ferrostor.sys"),
            pdb: release.join("ferrostor.pdb"),
            map: release.join("ferrostor.map"),
        }
    }

    /// Is the image newer than everything that it was built from?
    fn is_current(&self, workspace: &Path) -> bool {
        let files = [&self.sys, &self.pdb, &self.map];
        let Some(built) = files.iter().map(|file| changed(file)).min().flatten() else {
            return false;
        };
        inputs(workspace).is_some_and(|inputs| {
            inputs
                .iter()
                .all(|input| changed(input).is_some_and(|at| at < built))
        })
    }

    /// Copies what the linker wrote to where it is looked for, as old as the build's beginning: a source that was changed while the
    /// compiler ran is newer.
    fn collect(&self, workspace: &Path, began: SystemTime) -> Result<(), Error> {
        let built = linked_folder(workspace);
        for (from, to) in [
            (built.join("ferrostor.dll"), &self.sys),
            (built.join("ferrostor.pdb"), &self.pdb),
            (built.join("deps/ferrostor.map"), &self.map),
        ] {
            let unfinished = to.with_extension("unfinished");
            fs::copy(&from, &unfinished).map_err(Error::file("copy", &from))?;
            fs::File::options()
                .append(true)
                .open(&unfinished)
                .and_then(|copy| copy.set_modified(began))
                .map_err(Error::file("date", &unfinished))?;
            fs::rename(&unfinished, to).map_err(Error::file("put in place", to))?;
        }
        Ok(())
    }
}

/// Everything that the image is built from: the sources that cargo has listed, the manifests, and what stands in for the WDK. `None`
/// when there is no list, or it is of another checkout, whose `target` folder was copied.
fn inputs(workspace: &Path) -> Option<Vec<PathBuf>> {
    let listed = fs::read_to_string(linked_folder(workspace).join("ferrostor.d")).ok()?;
    let sources = listed.lines().find_map(|line| line.split_once(": "))?.1;
    let mut inputs: Vec<PathBuf> = escaped_words(sources)
        .into_iter()
        .map(PathBuf::from)
        .collect();
    if !inputs.iter().all(|source| source.starts_with(workspace)) {
        return None;
    }
    let manifests: Vec<PathBuf> = inputs
        .iter()
        .flat_map(|source| source.ancestors().skip(1))
        .take_while(|folder| folder.starts_with(workspace))
        .map(|folder| folder.join("Cargo.toml"))
        .filter(|manifest| manifest.is_file())
        .collect();
    inputs.extend(manifests);
    inputs.extend(
        ["Cargo.toml", "Cargo.lock", ".cargo/config.toml"].map(|name| workspace.join(name)),
    );
    for folder in ["def", "overlay", "facts", "src"] {
        inputs.extend(files_below(&data_folder(workspace).join(folder))?);
    }
    Some(inputs)
}

/// The files in a folder and in those inside it.
fn files_below(folder: &Path) -> Option<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).ok()? {
        let path = entry.ok()?.path();
        if path.is_dir() {
            files.extend(files_below(&path)?);
        } else {
            files.push(path);
        }
    }
    Some(files)
}

/// The words of a make rule, in which a space in a path is written `\ `.
fn escaped_words(text: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match (character, words.last_mut()) {
            (' ', _) => words.push(String::new()),
            ('\\', Some(word)) => word.extend(characters.next()),
            (_, Some(word)) => word.push(character),
            (_, None) => {}
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

fn changed(file: &Path) -> Option<SystemTime> {
    fs::metadata(file)
        .and_then(|metadata| metadata.modified())
        .ok()
}

/// Sets up what is missing and runs cargo on the driver; returns when cargo began.
fn cargo(task: Task, workspace: &Path) -> Result<SystemTime, Error> {
    let toolchain = Toolchain::set_up()?;
    let target = target_folder(workspace);
    let root = target.join("wdk");
    wdk_root::assemble(&root, &data_folder(workspace), &toolchain)?;
    let wrapper = host_port::write(
        &wdk_build_sources(workspace)?,
        &target.join("host"),
        &Places {
            workspace: workspace.to_owned(),
            cargo: cargo_home(workspace),
            packages: toolchain.root().to_owned(),
        },
    )?;
    let linker = host_port::write_linker(&toolchain.linker(), &target.join("host"))?;

    let (name, subcommand) = match task {
        Task::Build => ("build", "build"),
        Task::Clippy => ("clippy", "check"),
        Task::Doc => ("doc", "doc"),
    };
    let mut command = plain_cargo(workspace);
    command
        .args([
            subcommand,
            "--release",
            "--locked",
            "--package",
            "ferrostor",
            "--target",
            TARGET,
        ])
        .env("CARGO_TARGET_DIR", &target)
        .env("RUSTC_WRAPPER", wrapper)
        .env("WDKContentRoot", &root)
        .env("Version_Number", wdk_root::VERSION);
    toolchain.equip(&mut command);
    command.env("CARGO_TARGET_X86_64_PC_WINDOWS_MSVC_LINKER", linker);
    match task {
        Task::Build => {}
        Task::Clippy => toolchain.lint(&mut command),
        Task::Doc => {
            // A driver has no public items.
            command.args(["--no-deps", "--document-private-items"]).env(
                "RUSTDOCFLAGS",
                "-Dwarnings -Arustdoc::private_intra_doc_links",
            );
        }
    }
    let began = SystemTime::now();
    let status = command.status().map_err(cargo_missing)?;
    if status.success() {
        Ok(began)
    } else {
        Err(Error::Cargo(name))
    }
}

/// Where cargo keeps what it fetches. A relative `CARGO_HOME` is relative to where cargo runs.
fn cargo_home(workspace: &Path) -> PathBuf {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    match (variable("CARGO_HOME"), variable("HOME")) {
        (Some(home), _) => workspace.join(home),
        (None, Some(home)) => Path::new(&home).join(".cargo"),
        (None, None) => workspace.to_owned(),
    }
}

/// Where cargo keeps the sources of the wdk-build that the lock file names, fetched if need be.
fn wdk_build_sources(workspace: &Path) -> Result<PathBuf, Error> {
    let output = plain_cargo(workspace)
        .args(["metadata", "--format-version", "1", "--locked"])
        .output()
        .map_err(cargo_missing)?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let reason = said
            .lines()
            .rfind(|line| !line.trim().is_empty())
            .unwrap_or_default();
        return Err(Error::Metadata(reason.trim().to_owned()));
    }
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout)
        .map_err(|error| Error::Metadata(error.to_string()))?;
    metadata["packages"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|package| package["name"] == "wdk-build")
        .and_then(|package| Path::new(package["manifest_path"].as_str()?).parent())
        .map(|folder| folder.join("src"))
        .ok_or_else(|| Error::Metadata("the workspace does not depend on wdk-build".to_owned()))
}

/// cargo in the workspace, without what an outer cargo, that runs this program or test, has set for its own build.
pub(crate) fn plain_cargo(workspace: &Path) -> Command {
    const KEPT: [&str; 7] = [
        "CARGO_HOME",
        "CARGO_HTTP_",
        "CARGO_NET_",
        "CARGO_REGISTRIES_",
        "CARGO_REGISTRY_",
        "CARGO_TERM_",
        "RUSTUP_",
    ];
    let program = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(program);
    command.current_dir(workspace);
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        let foreign = text.starts_with("CARGO") || text.starts_with("RUST");
        if foreign && !KEPT.iter().any(|kept| text.starts_with(kept)) {
            command.env_remove(&name);
        }
    }
    command
}

pub(crate) fn cargo_missing(source: std::io::Error) -> Error {
    Error::Program {
        program: "cargo".to_owned(),
        source,
        hint: "install the Rust toolchain with rustup",
    }
}

pub(crate) fn lock(workspace: &Path) -> Result<fs::File, Error> {
    files::lock(
        &target_folder(workspace).join("lock"),
        "another process that builds the driver",
    )
}

/// This package's data: overlay headers, import definitions, facts.
pub(crate) fn data_folder(workspace: &Path) -> PathBuf {
    workspace.join("wdk-linux")
}

/// The driver's own target folder. wdk-build looks for the workspace above it.
pub(crate) fn target_folder(workspace: &Path) -> PathBuf {
    workspace.join("target/driver")
}

fn linked_folder(workspace: &Path) -> PathBuf {
    target_folder(workspace).join(TARGET).join("release")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Writes a file that was changed so many seconds after the build began.
    fn put(workspace: &Path, name: &str, contents: &str, began: SystemTime, seconds: i64) {
        let file = workspace.join(name);
        files::write_changed(&file, contents).unwrap();
        let distance = Duration::from_secs(seconds.unsigned_abs());
        let changed = if seconds < 0 {
            began - distance
        } else {
            began + distance
        };
        fs::File::options()
            .append(true)
            .open(file)
            .unwrap()
            .set_modified(changed)
            .unwrap();
    }

    const SOURCE: &str = "a crate/src/lib.rs";

    const INPUTS: [&str; 11] = [
        SOURCE,
        "driver/lib.rs",
        "a crate/Cargo.toml",
        "Cargo.toml",
        "Cargo.lock",
        ".cargo/config.toml",
        "wdk-linux/def/hal.def",
        "wdk-linux/overlay/wdm.h",
        "wdk-linux/facts/abi.json",
        "wdk-linux/src/lib.rs",
        "wdk-linux/src/headers/facts.rs",
    ];

    /// A workspace in which cargo has just built; the image is not collected yet.
    fn built(began: SystemTime) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let workspace = folder.path();
        for input in INPUTS {
            put(workspace, input, "before", began, -60);
        }
        let linked = format!("target/driver/{TARGET}/release");
        for file in ["ferrostor.dll", "ferrostor.pdb", "deps/ferrostor.map"] {
            put(workspace, &format!("{linked}/{file}"), file, began, 60);
        }
        let sources = [SOURCE, "driver/lib.rs"].map(|source| {
            workspace
                .join(source)
                .display()
                .to_string()
                .replace(' ', "\\ ")
        });
        let listed = format!("{linked}/ferrostor.dll: {}\n", sources.join(" "));
        put(
            workspace,
            &format!("{linked}/ferrostor.d"),
            &listed,
            began,
            60,
        );
        fs::create_dir_all(workspace.join("target/driver/release")).unwrap();
        folder
    }

    #[test]
    fn an_image_is_current_until_one_of_its_inputs_changes() {
        let began = SystemTime::now();
        for input in INPUTS {
            let folder = built(began);
            let workspace = folder.path();
            let image = Image::of(workspace);
            assert!(!image.is_current(workspace), "nothing is collected yet");
            image.collect(workspace, began).unwrap();
            assert!(image.is_current(workspace));
            // While the compiler ran.
            put(workspace, input, "after", began, 1);
            assert!(!image.is_current(workspace), "{input}");
        }
    }

    #[test]
    fn an_image_that_came_with_a_copied_target_folder_is_not_current() {
        let began = SystemTime::now();
        let [first, copy] = [built(began), built(began)];
        for folder in [&first, &copy] {
            let image = Image::of(folder.path());
            image.collect(folder.path(), began).unwrap();
            assert!(image.is_current(folder.path()));
        }
        let list = |folder: &tempfile::TempDir| linked_folder(folder.path()).join("ferrostor.d");
        fs::copy(list(&first), list(&copy)).unwrap();
        assert!(!Image::of(copy.path()).is_current(copy.path()));
    }

    #[test]
    fn an_image_without_one_of_its_files_is_not_current() {
        let began = SystemTime::now();
        let folder = built(began);
        let image = Image::of(folder.path());
        for file in [&image.sys, &image.pdb, &image.map] {
            image.collect(folder.path(), began).unwrap();
            fs::remove_file(file).unwrap();
            assert!(!image.is_current(folder.path()), "{}", file.display());
        }
    }

    #[test]
    fn what_the_linker_wrote_is_where_it_is_looked_for() {
        let folder = built(SystemTime::now());
        let image = Image::of(folder.path());
        image.collect(folder.path(), SystemTime::now()).unwrap();
        let release = folder.path().join("target/driver/release");
        for (file, name, from) in [
            (&image.sys, "ferrostor.sys", "ferrostor.dll"),
            (&image.pdb, "ferrostor.pdb", "ferrostor.pdb"),
            (&image.map, "ferrostor.map", "deps/ferrostor.map"),
        ] {
            assert_eq!(*file, release.join(name));
            assert_eq!(fs::read_to_string(file).unwrap(), from);
        }
    }

    #[test]
    fn a_space_in_a_path_does_not_end_it() {
        assert_eq!(escaped_words("/a/b\\ c /d  /e"), ["/a/b c", "/d", "/e"]);
    }
}

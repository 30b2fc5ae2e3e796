//! Where QEMU is.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use thiserror::Error;

/// The program, and Debian's package of it.
const PROGRAM: &str = "qemu-system-x86_64";
const PACKAGE: &str = "qemu-system-x86";

/// The environment variable that names another one.
const VARIABLE: &str = "FERROSTOR_QEMU";

/// The database of installed packages.
const PACKAGES: &str = "/var/lib/dpkg";

/// QEMU for a PC.
#[derive(Clone, Debug)]
pub struct Program {
    pub(super) path: PathBuf,
    /// Its version, such as `7.2.22`.
    pub(super) version: String,
}

/// Why there is no QEMU. One line that says what to do.
#[derive(Debug, Error)]
pub enum ProgramError {
    /// It is not installed, and cannot be by this user.
    #[error(
        "{PROGRAM} is not on the PATH: have root run `apt-get install {PACKAGE}`, or name it with --qemu PATH"
    )]
    Absent,
    /// Its installation failed.
    #[error(
        "{PROGRAM} is not on the PATH, and `apt-get install {PACKAGE}` failed: {0}; install it, or name it with --qemu PATH"
    )]
    NotInstalled(String),
    /// What was named is something else.
    #[error("{} is no {PROGRAM}: {why}", path.display())]
    Unusable {
        /// What was named or found.
        path: PathBuf,
        /// What it did.
        why: String,
    },
}

impl Program {
    /// The one that is named, or that `FERROSTOR_QEMU` names; else the one on the PATH, which is installed first when it is
    /// not there and root asks.
    pub fn find(named: Option<&Path>) -> Result<Self, ProgramError> {
        let variable = || std::env::var_os(VARIABLE).map(PathBuf::from);
        if let Some(path) = named.map(PathBuf::from).or_else(variable) {
            return Self::at(path);
        }
        if let Some(path) = on_path() {
            return Self::at(path);
        }
        if !rustix::process::geteuid().is_root() {
            return Err(ProgramError::Absent);
        }
        Self::at(installed()?)
    }

    fn at(path: PathBuf) -> Result<Self, ProgramError> {
        let said = match Command::new(&path).arg("--version").output() {
            Ok(output) => String::from_utf8_lossy(&output.stdout).into_owned(),
            Err(why) => {
                let why = why.to_string();
                return Err(ProgramError::Unusable { path, why });
            }
        };
        let version = said
            .strip_prefix("QEMU emulator version ")
            .and_then(|rest| rest.split_whitespace().next());
        match version {
            Some(version) => Ok(Self {
                path,
                version: version.to_owned(),
            }),
            None => Err(ProgramError::Unusable {
                path,
                why: "it does not tell a version of QEMU".to_owned(),
            }),
        }
    }
}

fn on_path() -> Option<PathBuf> {
    let folders = std::env::var_os("PATH")?;
    std::env::split_paths(&folders)
        .map(|folder| folder.join(PROGRAM))
        .find(|path| path.is_file())
}

/// Where QEMU is once it is installed. Of several processes that find it absent, one installs it.
fn installed() -> Result<PathBuf, ProgramError> {
    let database = File::open(PACKAGES).and_then(|folder| folder.lock().map(|()| folder));
    // Without a package database, or locks, there is nothing to share.
    let _locked = database.ok();
    if on_path().is_none() {
        install()?;
    }
    on_path().ok_or(ProgramError::Absent)
}

/// Installs the distribution's package; with lists that are out of date, or none, they are fetched first.
fn install() -> Result<(), ProgramError> {
    eprintln!("installing {PACKAGE}");
    if apt_get(&["install", "--no-install-recommends", PACKAGE]).is_ok() {
        return Ok(());
    }
    let updated = apt_get(&["update"]);
    let installed = apt_get(&["install", "--no-install-recommends", PACKAGE]);
    installed.map_err(|why| ProgramError::NotInstalled(updated.err().unwrap_or(why)))
}

/// Runs apt-get; what it complained of first, if it failed.
fn apt_get(arguments: &[&str]) -> Result<(), String> {
    let output = Command::new("apt-get")
        // Another apt-get may be at work: it is waited for.
        .args(["--assume-yes", "-o", "DPkg::Lock::Timeout=300"])
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null())
        .output()
        .map_err(|why| why.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let complaint = said.lines().find(|line| line.starts_with("E:"));
    Err(complaint.unwrap_or("it did not say why").to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_qemu_is_told_in_one_line() {
        for named in ["/nonexistent/qemu", "/bin/true"] {
            let error = Program::find(Some(Path::new(named))).unwrap_err();
            let told = error.to_string();
            assert!(told.contains(named) && !told.contains('\n'), "{told}");
        }
    }
}

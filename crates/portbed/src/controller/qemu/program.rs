//! Where QEMU is.

use std::path::{Path, PathBuf};
use std::process::Command;

use thiserror::Error;

/// The program.
const PROGRAM: &str = "qemu-system-x86_64";

/// The environment variable that names another one.
const VARIABLE: &str = "FERROSTOR_QEMU";

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
    /// The distribution's could not be fetched.
    #[error("{PROGRAM} is not on the PATH; name it with --qemu PATH, or: {0}")]
    Absent(#[from] wdk_linux::Error),
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
    /// The one that is named, or that `FERROSTOR_QEMU` names; else the one on the PATH; else the distribution's, unpacked in the
    /// user's cache folder, which is fetched first when it is not there. Nothing is installed.
    pub fn find(named: Option<&Path>) -> Result<Self, ProgramError> {
        // A variable without a value names nothing.
        let value = || std::env::var_os(VARIABLE).filter(|value| !value.is_empty());
        let variable = || value().map(PathBuf::from);
        if let Some(path) = named.map(PathBuf::from).or_else(variable) {
            return Self::at(path);
        }
        if let Some(path) = on_path() {
            return Self::at(path);
        }
        Self::at(wdk_linux::packages::qemu()?)
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

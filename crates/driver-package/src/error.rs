//! Why a package could not be made: one line each, with what to do about it where that can be said.

use std::io;
use std::path::{Path, PathBuf};

/// Why a package could not be made, or a finished one not be looked at.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder could not be read or written.
    #[error("cannot {what} {}: {source}", path.display())]
    File {
        /// What was tried.
        what: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// The INF breaks rules.
    #[error("the INF is not fit to ship:\n{0}")]
    Lint(String),
    /// The file is no image that Windows could load.
    #[error("{0} is no PE32+ image")]
    NotAnImage(String),
    /// Two implementations of the Authenticode hash disagree.
    #[error(
        "two implementations of the Authenticode hash disagree on {0}: the image's layout is not as it should be"
    )]
    DigestsDisagree(String),
    /// A structure of the catalogue could not be written or read.
    #[error("the catalogue is not sound: {0}")]
    Catalog(#[from] der::Error),
    /// A certificate could not be read.
    #[error("the certificate is not sound: {0}")]
    Certificate(#[source] der::Error),
    /// Something in a package is a folder, a link or a device.
    #[error("{} is no plain file", .0.display())]
    NotAFile(PathBuf),
    /// The manifest is not what this program writes.
    #[error("the manifest is not sound: {0}")]
    Manifest(#[from] serde_json::Error),
    /// There is no date for the version.
    #[error(
        "the version has no date: this is no git working copy; set SOURCE_DATE_EPOCH to the date of the sources, in seconds since 1970"
    )]
    NoDate,
    /// A program could not be started.
    #[error("{program} cannot be started ({source}); on Debian: apt-get install {package}")]
    Start {
        /// The program.
        program: &'static str,
        /// Why.
        source: io::Error,
        /// The package that has it.
        package: &'static str,
    },
    /// A program failed.
    #[error("{program} {action} failed: {said}")]
    Tool {
        /// The program.
        program: &'static str,
        /// What it was to do.
        action: String,
        /// What it said.
        said: String,
    },
    /// A signature that was just made does not hold.
    #[error("{0}")]
    Signature(String),
    /// The image could not be built, or a tool not be fetched.
    #[cfg(target_os = "linux")]
    #[error(transparent)]
    Image(#[from] wdk_linux::Error),
}

impl Error {
    /// The conversion of an I/O error on `path`, for `map_err`.
    pub(crate) fn file(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::File {
            what,
            path: path.to_owned(),
            source,
        }
    }
}

//! Why the image could not be built: one line each, with what to do about it.

use std::io;
use std::path::{Path, PathBuf};

/// Why set-up or the image build failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A program that every Debian system has is missing.
    #[error(
        "{0} is not on this machine: the image is built with packages of Debian 12 (bookworm), fetched with apt-get and unpacked with \
         dpkg-deb; run this on Debian 12, or build on Windows with the WDK"
    )]
    NotDebian(&'static str),
    /// A program of the Rust toolchain, or gcc, is missing.
    #[error("{program} cannot be started ({source}): {hint}")]
    Program {
        /// The program, as it was called.
        program: String,
        /// Why it did not start.
        source: io::Error,
        /// What to do.
        hint: &'static str,
    },
    /// The checkout that a program was built in has gone.
    #[error(
        "this program was built in {}, which is no checkout now: build it anew where the checkout is", .0.display()
    )]
    NoCheckout(PathBuf),
    /// A program of one checkout runs for another.
    #[error(
        "this program is of {}, and cargo runs it for {}: give each checkout a target folder of its own",
        program.display(),
        cargo.display()
    )]
    TwoCheckouts {
        /// Where the program is.
        program: PathBuf,
        /// What cargo runs.
        cargo: PathBuf,
    },
    /// There is no place for the cache.
    #[error(
        "no cache folder: neither XDG_CACHE_HOME nor HOME is an absolute path; set one of them"
    )]
    NoCacheFolder,
    /// The cache folder has a name that not every tool can be given.
    #[error(
        "{0:?} cannot be the cache folder: its path has to be UTF-8 without colons and control characters; set XDG_CACHE_HOME to another"
    )]
    CacheName(PathBuf),
    /// So has the checkout.
    #[error(
        "{0:?} cannot be built in: its path has to be UTF-8 without control characters; move the checkout"
    )]
    CheckoutName(PathBuf),
    /// apt-get did not deliver.
    #[error(
        "apt-get cannot fetch {packages}: {reason}; {}",
        advice_on(reason, APT_ADVICE)
    )]
    Fetch {
        /// The packages that were asked for.
        packages: String,
        /// What apt-get said.
        reason: String,
    },
    /// A package could not be unpacked.
    #[error("dpkg-deb cannot unpack {}: {reason}; {}", package.display(), advice_on(reason, UNPACK_ADVICE))]
    Unpack {
        /// The package file.
        package: PathBuf,
        /// What dpkg-deb said.
        reason: String,
    },
    /// The disk of a folder has too little room.
    #[error(
        "{} has {free_megabytes} MB free and needs {needed_megabytes} MB; make room, or point XDG_CACHE_HOME at a larger disk",
        folder.display()
    )]
    NoSpace {
        /// The folder.
        folder: PathBuf,
        /// What its disk has.
        free_megabytes: u64,
        /// What it should have.
        needed_megabytes: u64,
    },
    /// A file or folder could not be read or written.
    #[error("cannot {what} {}: {source}{}", path.display(), advice(source))]
    File {
        /// What was tried.
        what: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// The facts do not have the form that the header generator reads.
    #[error("facts/storport-abi.json cannot be read: {0}")]
    Facts(serde_json::Error),
    /// The sources of a crate that is ported to this host are not as expected.
    #[error("the host port of wdk-build does not fit {}: `{place}` occurs {found} times instead of {expected}", file.display())]
    Port {
        /// The source file.
        file: PathBuf,
        /// The text that is edited.
        place: &'static str,
        /// How often it should occur.
        expected: usize,
        /// How often it does.
        found: usize,
    },
    /// cargo did not say what the workspace depends on.
    #[error(
        "cargo metadata failed: {0}; check that this machine is online and that Cargo.lock is up to date"
    )]
    Metadata(String),
    /// The import libraries could not be made.
    #[error("lld-link cannot make {library}: {reason}")]
    ImportLibrary {
        /// The library.
        library: String,
        /// What the linker said.
        reason: String,
    },
    /// cargo failed on the driver; it has said why.
    #[error("cargo {0} of the driver failed; its messages are above")]
    Cargo(&'static str),
    /// A tool failed on the miniport in C; it has said why.
    #[error("{0} failed on the miniport in C; its messages are above")]
    Tool(&'static str),
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

const APT_ADVICE: &str = "check that this machine is online and that its apt sources include Debian 12 (bookworm) and \
                          bookworm-security";

const UNPACK_ADVICE: &str = "try again, and if that does not help remove ferrostor's cache folder";

const SPACE_ADVICE: &str = "make room, or point XDG_CACHE_HOME at a larger disk";

/// What to do about what a program of the system has said.
fn advice_on(reason: &str, otherwise: &'static str) -> &'static str {
    let full = [
        "No space left on device",
        "enough free space",
        "Disk quota exceeded",
    ];
    if full.iter().any(|text| reason.contains(text)) {
        SPACE_ADVICE
    } else {
        otherwise
    }
}

fn advice(source: &io::Error) -> String {
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => format!("; {SPACE_ADVICE}"),
        _ => String::new(),
    }
}

//! Debian packages, fetched and unpacked into the user's cache folder, never installed: the same way for root and for anyone else.
//!
//! apt-get gets lists and caches of its own, so that it needs no privilege; the sources are the machine's own, and apt checks the
//! signatures of their lists. Each package file is checked against its SHA-256 in those lists before it is unpacked, whether it was
//! fetched just now or by a try that was interrupted. What is unpacked is put in place as a whole, or not at all.

mod apt;
mod archive;
mod qemu;

use std::fs;
use std::path::{Path, PathBuf};

use apt::{Apt, complaint, ending_with_parent, run};
use archive::Archive;
pub use qemu::qemu;

use crate::{Error, files};

/// The file in an unpacked root that says what was asked for (first line) and which package files it came from.
const RECORD: &str = "PACKAGES";

/// Where the roots are in the cache folder.
const ROOTS: &str = "unpacked";

/// Fetches packages with what they depend on, unpacks them together, and returns the folder that holds their `usr`.
///
/// `name` is the folder's name in the cache. A `*` in names of packages stands for a number, which is the highest for which all of
/// them exist. What is there already is used as it is; several processes may ask at once.
pub fn unpacked(name: &str, packages: &[&str]) -> Result<PathBuf, Error> {
    let cache = cache_folder()?;
    let root = cache.join(ROOTS).join(name);
    let wanted = packages.join(" ");
    if holds(&root, &wanted) {
        return Ok(root);
    }
    let _lock = files::lock(&cache.join("lock"), "another process that fetches packages")?;
    if holds(&root, &wanted) {
        return Ok(root);
    }
    let folder = cache.join("archives").join(name);
    let apt = Apt {
        folder: cache.join("apt"),
        packages,
    };
    let archives = apt.fetch(&folder)?;
    let unfinished = cache.join(ROOTS).join(format!("{name}.unfinished"));
    unpack(&archives, &folder, &unfinished)?;
    let files = archives
        .iter()
        .map(|archive| format!("{} {}", archive.sha256, archive.name));
    let record: Vec<String> = [wanted].into_iter().chain(files).collect();
    files::write_changed(&unfinished.join(RECORD), &(record.join("\n") + "\n"))?;
    files::put_in_place(&unfinished, &root)?;
    files::remove(&folder)?;
    Ok(root)
}

/// `$XDG_CACHE_HOME/ferrostor`, or `~/.cache/ferrostor`.
pub fn cache_folder() -> Result<PathBuf, Error> {
    let absolute = |name| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let cache = absolute("XDG_CACHE_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".cache")))
        .ok_or(Error::NoCacheFolder)?;
    // A colon ends a folder in a list of them, such as LD_LIBRARY_PATH.
    if files::is_plain(&cache) && !cache.as_os_str().as_encoded_bytes().contains(&b':') {
        Ok(cache.join("ferrostor"))
    } else {
        Err(Error::CacheName(cache))
    }
}

/// Was this root unpacked, to its end, from what is wanted?
fn holds(root: &Path, wanted: &str) -> bool {
    fs::read_to_string(root.join(RECORD)).is_ok_and(|record| record.lines().next() == Some(wanted))
}

/// Unpacks package files over one another into a new folder.
fn unpack(archives: &[Archive], folder: &Path, root: &Path) -> Result<(), Error> {
    files::remove(root)?;
    files::create_folder(root)?;
    eprintln!("unpacking {} packages", archives.len());
    for archive in archives {
        let package = archive.path(folder);
        let mut command = ending_with_parent("dpkg-deb")?;
        command
            .env("LC_ALL", "C")
            .arg("--extract")
            .arg(&package)
            .arg(root);
        let output = run(command, "dpkg-deb")?;
        if !output.status.success() {
            return Err(Error::Unpack {
                reason: complaint(&output),
                package,
            });
        }
    }
    Ok(())
}

//! A package file, and what the package lists say of it.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::Error;

/// A package file as the package lists describe it, whose signature apt has checked.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Archive {
    /// Its file name.
    pub(super) name: String,
    /// Its size.
    pub(super) bytes: u64,
    /// The SHA-256 of its contents, in hexadecimal digits.
    pub(super) sha256: String,
}

impl Archive {
    /// Reads what `apt-get --print-uris` prints, in the order of the names: lines such as `'http://…/x.deb' x.deb 1234 SHA256:…`. The
    /// error is the line that is something else.
    pub(super) fn listed(printed: &str) -> Result<Vec<Self>, &str> {
        let mut archives = Vec::new();
        for line in printed.lines() {
            let read = || {
                let mut words = line.strip_prefix('\'')?.split_whitespace().skip(1);
                let (name, bytes, hash) = (words.next()?, words.next()?, words.next()?);
                let sha256 = hash.strip_prefix("SHA256:")?.to_ascii_lowercase();
                let plain = !name.contains('/') && !name.starts_with('.');
                plain.then_some(Self {
                    name: name.to_owned(),
                    bytes: bytes.parse().ok()?,
                    sha256,
                })
            };
            archives.push(read().ok_or(line)?);
        }
        archives.sort();
        Ok(archives)
    }

    /// The package that the file is of.
    pub(super) fn package(&self) -> &str {
        self.name.split('_').next().unwrap_or_default()
    }

    pub(super) fn path(&self, folder: &Path) -> PathBuf {
        folder.join(&self.name)
    }

    /// Is the file in a folder, and all of it what the lists say?
    pub(super) fn is_whole(&self, folder: &Path) -> Result<bool, Error> {
        let path = self.path(folder);
        match fs::symlink_metadata(&path) {
            Ok(found) if found.is_file() && found.len() == self.bytes => {}
            _ => return Ok(false),
        }
        let hash = sha256(&path).map_err(Error::file("read", &path))?;
        Ok(hash == self.sha256)
    }
}

fn sha256(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            bytes => hash.update(&buffer[..bytes]),
        }
    }
    Ok(format!("{:x}", hash.finalize()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The SHA-256 of "abc".
    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn names_sizes_and_hashes_are_read_from_what_apt_prints() {
        let printed = format!(
            "'http://deb.example/b_1_all.deb' b_1_all.deb 5 SHA256:11\n\
             'http://deb.example/a_1%3a2_amd64.deb' a_1%3a2_amd64.deb 1234 SHA256:{ABC}\n"
        );
        let archives = Archive::listed(&printed).unwrap();
        let names: Vec<&str> = archives
            .iter()
            .map(|archive| archive.name.as_str())
            .collect();
        assert_eq!(names, ["a_1%3a2_amd64.deb", "b_1_all.deb"]);
        assert_eq!(archives[0].package(), "a");
        assert_eq!(
            (archives[0].bytes, archives[0].sha256.as_str()),
            (1234, ABC)
        );
        for line in [
            "'http://deb.example/a.deb' a.deb 1 MD5Sum:00",
            "'http://deb.example/a.deb' ../a.deb 1 SHA256:00",
            "'http://deb.example/a.deb' a.deb many SHA256:00",
            "W: something",
        ] {
            assert_eq!(Archive::listed(line), Err(line));
        }
    }

    #[test]
    fn a_file_is_whole_when_all_of_it_is_what_the_lists_say() {
        let folder = tempfile::tempdir().unwrap();
        let archive = Archive {
            name: "a.deb".to_owned(),
            bytes: 3,
            sha256: ABC.to_owned(),
        };
        let whole = || archive.is_whole(folder.path()).unwrap();
        let path = folder.path().join("a.deb");
        assert!(!whole());
        for (contents, held) in [
            ("abc", true),
            ("ab", false),
            ("abcd", false),
            ("\0\0\0", false),
        ] {
            fs::write(&path, contents).unwrap();
            assert_eq!(whole(), held, "{contents:?}");
        }
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert!(!whole());
    }
}

//! The manifest of a package: every file with its hash, for people and for [`verify`](crate::verify).

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::Error;
use crate::digest::{Digests, hex};
use crate::files;
use crate::stamp::Date;
use crate::verify::DRIVER;

/// The manifest's file name.
pub const NAME: &str = "manifest.json";

/// The architecture of a package, as its folder is named.
pub(crate) const ARCHITECTURE: &str = "x64";

/// A package and its files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The version that is in the INF.
    pub version: String,
    /// Its date, as `2026-11-22`.
    pub date: String,
    /// The architecture, as the package's folder is named: `x64`.
    pub architecture: String,
    /// The Authenticode hash of the image, SHA-256: what stays the same when it is signed.
    pub image_authenticode_sha256: String,
    /// The thumbprint of the certificate that the package is signed with, SHA-1, as Windows shows it.
    pub certificate_thumbprint: String,
    /// The files, in the order of their names.
    pub files: Vec<File>,
}

/// A file of a package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// Its name; a package has no folders.
    pub name: String,
    /// Its size.
    pub bytes: u64,
    /// The hash of its bytes.
    pub sha256: String,
}

impl Manifest {
    /// Reads the manifest of a package.
    pub fn read(folder: &Path) -> Result<Self, Error> {
        let path = folder.join(NAME);
        let text = fs::read_to_string(&path).map_err(Error::file("read", &path))?;
        Ok(serde_json::from_str(&text)?)
    }

    /// Writes the manifest of a package.
    pub fn write(&self, folder: &Path) -> Result<(), Error> {
        let path = folder.join(NAME);
        let text = serde_json::to_string_pretty(self)? + "\n";
        files::write(&path, text.as_bytes())
    }
}

/// The files of a folder, but for the manifest.
pub fn list(folder: &Path) -> Result<Vec<File>, Error> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(Error::file("list", folder))? {
        let entry = entry.map_err(Error::file("list", folder))?;
        let path = entry.path();
        // A link is not followed: what it leads to is no part of the package.
        if !entry.file_type().is_ok_and(|kind| kind.is_file()) {
            return Err(Error::NotAFile(path));
        }
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if name != NAME {
            let bytes = files::read(&path)?;
            files.push(File {
                name,
                bytes: bytes.len() as u64,
                sha256: hex(&Digests::of_file(&bytes).sha256),
            });
        }
    }
    files.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(files)
}

/// The manifest of a folder that is complete but for it.
pub fn of(folder: &Path, version: &str, date: Date) -> Result<Manifest, Error> {
    let read = |extension: &str| files::read(&folder.join(DRIVER).with_extension(extension));
    let image = Digests::of_image(&read("sys")?, "the image")?;
    Ok(Manifest {
        version: version.to_owned(),
        date: date.to_string(),
        architecture: ARCHITECTURE.to_owned(),
        image_authenticode_sha256: hex(&image.sha256),
        certificate_thumbprint: hex(&Digests::of_file(&read("cer")?).sha1),
        files: list(folder)?,
    })
}

//! Checks a finished package: that its files are those of the manifest, that the catalogue vouches for each of them, and that the
//! INF is fit to ship.

use std::collections::BTreeSet;
use std::path::Path;

use crate::Error;
use crate::catalog::{self, Contents, Listed};
use crate::digest::{Digests, hex};
use crate::files;
use crate::inf::{Entry, Inf};
use crate::lint::{self, lint};
use crate::manifest::{self, Manifest};

/// The name of the driver, which its files have.
pub const DRIVER: &str = "ferrostor";

/// Something that is wrong with a package.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// It cannot be looked at.
    #[error(transparent)]
    Unreadable(#[from] Error),
    /// A file is missing.
    #[error("{0} is missing")]
    Missing(String),
    /// A file is there that the manifest does not know.
    #[error("{0} does not belong to the package: the manifest does not list it")]
    Stranger(String),
    /// A file was changed.
    #[error("{name} was changed: its SHA-256 is {found}, in the manifest it is {listed}")]
    Changed {
        /// The file.
        name: String,
        /// The hash that it has.
        found: String,
        /// The hash that it should have.
        listed: String,
    },
    /// The catalogue does not vouch for a file.
    #[error("the catalogue does not know {name} by its {hash} {digest}")]
    Uncatalogued {
        /// The file.
        name: String,
        /// Which hash.
        hash: &'static str,
        /// The hash that it has.
        digest: String,
    },
    /// The catalogue vouches for something else.
    #[error("the catalogue vouches for {0}, which is not in the package")]
    Foreign(String),
    /// The INF names another catalogue.
    #[error("the INF names the catalogue {0:?}, which is not in the package")]
    CatalogName(String),
    /// The INF and the manifest are of different versions.
    #[error("DriverVer of the INF is {inf:?}, in the manifest it is {manifest:?}")]
    Version {
        /// In the INF.
        inf: String,
        /// In the manifest.
        manifest: String,
    },
    /// Nobody has signed the catalogue.
    #[error("nobody has signed the catalogue")]
    Unsigned,
    /// The manifest gives another Authenticode hash, or certificate.
    #[error("the manifest's {0} is not that of the package")]
    Manifest(&'static str),
    /// The INF breaks a rule.
    #[error("{DRIVER}.inf:{0}")]
    Lint(lint::Finding),
    /// A signature does not hold.
    #[error("the signature of {name} does not hold: {said}")]
    Signature {
        /// The file.
        name: String,
        /// What the program that checks it said.
        said: String,
    },
}

/// Checks everything but the signatures. A sound package has no faults.
#[must_use]
pub fn check(folder: &Path) -> Vec<Fault> {
    let manifest = match Manifest::read(folder) {
        Ok(manifest) => manifest,
        Err(error) => return vec![error.into()],
    };
    let mut faults = Vec::new();
    faults.extend(against_manifest(folder, &manifest).unwrap_or_else(unreadable));
    faults.extend(against_catalog(folder, &manifest).unwrap_or_else(unreadable));
    faults.extend(inf(folder, &manifest).unwrap_or_else(unreadable));
    faults
}

fn unreadable(error: Error) -> Vec<Fault> {
    vec![error.into()]
}

fn read(folder: &Path, extension: &str) -> Result<Vec<u8>, Error> {
    files::read(&folder.join(DRIVER).with_extension(extension))
}

fn against_manifest(folder: &Path, manifest: &Manifest) -> Result<Vec<Fault>, Error> {
    let present = manifest::list(folder)?;
    let mut faults = Vec::new();
    for listed in &manifest.files {
        match present.iter().find(|file| file.name == listed.name) {
            None => faults.push(Fault::Missing(listed.name.clone())),
            Some(file) if file.sha256 != listed.sha256 => faults.push(Fault::Changed {
                name: file.name.clone(),
                found: file.sha256.clone(),
                listed: listed.sha256.clone(),
            }),
            Some(_) => {}
        }
    }
    for file in &present {
        if !manifest.files.iter().any(|listed| listed.name == file.name) {
            faults.push(Fault::Stranger(file.name.clone()));
        }
    }
    for extension in ["sys", "inf", "cat", "pdb", "cer"] {
        let name = format!("{DRIVER}.{extension}");
        if !manifest.files.iter().any(|listed| listed.name == name) {
            faults.push(Fault::Missing(name));
        }
    }
    Ok(faults)
}

fn against_catalog(folder: &Path, manifest: &Manifest) -> Result<Vec<Fault>, Error> {
    let mut faults = Vec::new();
    let contents: Contents = catalog::read(&read(folder, "cat")?)?;
    if contents.signers == 0 {
        faults.push(Fault::Unsigned);
    }
    let image = Digests::of_image(&read(folder, "sys")?, &format!("{DRIVER}.sys"))?;
    if hex(&image.sha256) != manifest.image_authenticode_sha256 {
        faults.push(Fault::Manifest("Authenticode hash"));
    }
    let certificate = Digests::of_file(&read(folder, "cer")?);
    if hex(&certificate.sha1) != manifest.certificate_thumbprint {
        faults.push(Fault::Manifest("certificate thumbprint"));
    }
    let inf = Digests::of_file(&read(folder, "inf")?);
    let members = [("sys", "Authenticode hash", image), ("inf", "SHA-256", inf)];
    let names = members.map(|(extension, ..)| format!("{DRIVER}.{extension}"));
    for ((_, hash, digests), name) in members.iter().zip(&names) {
        let known = |entry: &Listed| {
            entry.digest == digests.sha256 && entry.vouched.as_deref() == Some(&digests.sha256)
        };
        if !contents
            .entries
            .iter()
            .any(|entry| entry.name == *name && known(entry))
        {
            faults.push(Fault::Uncatalogued {
                name: name.clone(),
                hash,
                digest: hex(&digests.sha256),
            });
        }
    }
    let others: BTreeSet<&String> = contents
        .entries
        .iter()
        .map(|entry| &entry.name)
        .filter(|name| !names.contains(name))
        .collect();
    faults.extend(others.into_iter().map(|name| Fault::Foreign(name.clone())));
    Ok(faults)
}

fn inf(folder: &Path, manifest: &Manifest) -> Result<Vec<Fault>, Error> {
    let inf = Inf::parse(&read(folder, "inf")?);
    let mut faults: Vec<Fault> = lint(&inf).into_iter().map(Fault::Lint).collect();
    let catalog = inf.entry("Version", "CatalogFile").map_or("", Entry::value);
    if catalog != format!("{DRIVER}.cat") {
        faults.push(Fault::CatalogName(catalog.to_owned()));
    }
    let version = inf
        .entry("Version", "DriverVer")
        .and_then(|entry| entry.values.get(1))
        .map_or("", String::as_str);
    if version != manifest.version {
        faults.push(Fault::Version {
            inf: version.to_owned(),
            manifest: manifest.version.clone(),
        });
    }
    Ok(faults)
}

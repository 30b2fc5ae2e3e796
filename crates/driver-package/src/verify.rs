//! Checks a finished package: that its files are those of the manifest, that the catalogue vouches for each of them, and that the
//! INF is fit to ship.

use std::collections::BTreeSet;
use std::path::Path;

use crate::Error;
use crate::catalog::{self, Contents, Kind, Listed};
use crate::digest::{Digests, hex};
use crate::files;
use crate::image::Layout;
use crate::inf::{Entry, Inf};
use crate::lint::{self, lint};
use crate::manifest::{self, ARCHITECTURE, Manifest};
use crate::stamp::Date;
use crate::trust::Thumbprint;

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
    /// The catalogue takes a file for an image, or an image for another file.
    #[error("the catalogue takes {0} for another kind of file than it is")]
    Kind(String),
    /// The checksum in the image is wrong: the boot loader does not load it.
    #[error("the checksum of {DRIVER}.sys is {said:#x}, and must be {sum:#x}")]
    Checksum {
        /// What the image says.
        said: u32,
        /// What the sum is.
        sum: u32,
    },
    /// The certificate table, which no signature covers, is not one signature alone.
    #[error("the certificate table of {DRIVER}.sys {0}")]
    Certificates(&'static str),
    /// The manifest does not describe the package.
    #[error("the manifest's {0} is not that of the package")]
    Manifest(String),
    /// The manifest lists a file twice.
    #[error("the manifest lists {0} twice")]
    Twice(String),
    /// Somebody else has signed the package.
    #[error(
        "the package is signed with the certificate {found}, not with {wanted}: it is not from who has that key"
    )]
    Signer {
        /// The certificate in the package.
        found: Thumbprint,
        /// The one that it should be.
        wanted: Thumbprint,
    },
    /// There is nothing to compare the certificate with.
    #[error(
        "whose certificate {0} is cannot be told here: ask the builder of the package for its thumbprint, and give that with --thumbprint"
    )]
    UnknownSigner(Thumbprint),
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

/// Checks everything but the signatures and [whose](crate::trust) they are. A sound package has no faults.
#[must_use]
pub fn check(folder: &Path) -> Vec<Fault> {
    let manifest = match Manifest::read(folder) {
        Ok(manifest) => manifest,
        Err(error) => return vec![error.into()],
    };
    let mut faults = Vec::new();
    faults.extend(against_manifest(folder, &manifest).unwrap_or_else(unreadable));
    faults.extend(against_catalog(folder, &manifest).unwrap_or_else(unreadable));
    faults.extend(image(folder).unwrap_or_else(unreadable));
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
            Some(file) if file.bytes != listed.bytes => {
                faults.push(Fault::Manifest(format!("size of {}", file.name)));
            }
            Some(_) => {}
        }
    }
    // Windows does not tell names by their case.
    let mut names = BTreeSet::new();
    for file in &manifest.files {
        if !names.insert(file.name.to_ascii_lowercase()) {
            faults.push(Fault::Twice(file.name.clone()));
        }
    }
    if manifest.architecture != ARCHITECTURE {
        faults.push(Fault::Manifest("architecture".to_owned()));
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
        faults.push(Fault::Manifest("Authenticode hash".to_owned()));
    }
    let certificate = Digests::of_file(&read(folder, "cer")?);
    if hex(&certificate.sha1) != manifest.certificate_thumbprint {
        faults.push(Fault::Manifest("certificate thumbprint".to_owned()));
    }
    let inf = Digests::of_file(&read(folder, "inf")?);
    let members = [
        ("Authenticode hash", Kind::Image, image),
        ("SHA-256", Kind::File, inf),
    ];
    let names = ["sys", "inf"].map(|extension| format!("{DRIVER}.{extension}"));
    for ((hash, kind, digests), name) in members.iter().zip(&names) {
        let mut entries = contents.entries.iter().filter(|entry| entry.name == *name);
        if entries.any(|entry| entry.kind != Some(*kind)) {
            faults.push(Fault::Kind(name.clone()));
        }
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

/// What the Authenticode hash leaves out of the image: its checksum and its certificate table.
fn image(folder: &Path) -> Result<Vec<Fault>, Error> {
    let bytes = read(folder, "sys")?;
    let not_an_image = || Error::NotAnImage(format!("{DRIVER}.sys"));
    let layout = Layout::of(&bytes).ok_or_else(not_an_image)?;
    let (said, sum) = layout.checksums(&bytes).ok_or_else(not_an_image)?;
    let checksum = (said != sum).then_some(Fault::Checksum { said, sum });
    let certificates = layout.certificate_fault(&bytes).map(Fault::Certificates);
    Ok(checksum.into_iter().chain(certificates).collect())
}

fn inf(folder: &Path, manifest: &Manifest) -> Result<Vec<Fault>, Error> {
    let inf = Inf::parse(&read(folder, "inf")?);
    let mut faults: Vec<Fault> = lint(&inf).into_iter().map(Fault::Lint).collect();
    let catalog = inf.entry("Version", "CatalogFile").map_or("", Entry::value);
    if catalog != format!("{DRIVER}.cat") {
        faults.push(Fault::CatalogName(catalog.to_owned()));
    }
    let stamped = inf.entry("Version", "DriverVer");
    let date = stamped.and_then(|entry| Date::from_inf(entry.value()));
    if date.is_none_or(|date| date.to_string() != manifest.date) {
        faults.push(Fault::Manifest("date".to_owned()));
    }
    let version = stamped
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

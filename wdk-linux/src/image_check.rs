//! What must hold of the image that ships, read from the image and its link map.
//!
//! A driver that breaks one of these still links. It then fails to load, or brings the machine down, far from where the fault was
//! made: here each is one line.

mod headers;
mod imports;
mod link_map;
mod relocations;
#[cfg(test)]
mod tests;

use std::fs;

use object::read::pe::PeFile64;

use crate::{Error, Image, files};

/// One thing that does not hold of an image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Finding {
    /// The file is no PE32+ image, or a table in it cannot be read.
    #[error("the file is not a sound PE32+ image: {0}")]
    Format(String),
    /// The image is for another machine.
    #[error("the machine is {0:#06x}, not x86-64 (0x8664)")]
    Machine(u16),
    /// The image is not for the kernel.
    #[error("the subsystem is {0}, not native (1)")]
    Subsystem(u16),
    /// A section may not begin on a page, so that its protection covers parts of others.
    #[error("sections are aligned to {0} bytes, not to pages of 4096")]
    SectionAlignment(u32),
    /// The header does not ask for what the system demands of a driver.
    #[error("the header lacks {0}")]
    Characteristic(&'static str),
    /// The loader refuses a driver whose checksum differs.
    #[error("the checksum is {stored:#010x}, the file's is {computed:#010x}")]
    Checksum {
        /// In the header.
        stored: u32,
        /// Of the file as it is.
        computed: u32,
    },
    /// Contents of sections lie in the file at places that the loader does not take.
    #[error(
        "the file's alignment is {0} bytes: no power of two from 512 to 65536, or more than that of sections"
    )]
    FileAlignment(u32),
    /// An image begins with 64 KiB of address space of its own.
    #[error("the image base {0:#x} is no multiple of 64 KiB")]
    ImageBase(u64),
    /// The headers are not whole parts of the file, or do not hold themselves.
    #[error(
        "the headers' size of {0} bytes is no multiple of the file's alignment, or leaves section headers out"
    )]
    HeaderSize(u32),
    /// Code that could be written.
    #[error("the section {0} is writable and executable")]
    WritableCode(String),
    /// The loader cannot move the image.
    #[error("the relocations are stripped")]
    RelocationsStripped,
    /// An address that stays as it is when the image is moved.
    #[error("the address at {0:#x} has no relocation")]
    Unrelocated(u32),
    /// A relocation of something that is no address in the image.
    #[error("the relocation at {0:#x} is not of an address in the image")]
    StrayRelocation(u32),
    /// An import that does not exist, or not in a module that a miniport may use.
    #[error("{library} is not known to export {name}, which is imported")]
    UnknownImport {
        /// The module.
        library: String,
        /// The function, or the ordinal after a `#`.
        name: String,
    },
    /// An import that a miniport must not have.
    #[error("{0} is imported, which a miniport must not call")]
    ProhibitedImport(String),
    /// The map was written for another image.
    #[error("the link map is not of this image")]
    ForeignMap,
    /// Something can panic, or runs when something has.
    #[error("a panic path is linked: {0}")]
    PanicPath(String),
    /// Something formats text, which takes stack and calls through pointers, and is never needed.
    #[error("text formatting is linked: {0}")]
    Formatting(String),
}

impl Finding {
    /// What of a Windows system refuses an image for this, if anything does (PE Format; Memory integrity and virtualization-based
    /// protection of code integrity).
    #[must_use]
    pub fn refused_by(&self) -> Option<&'static str> {
        match self {
            Self::Checksum { .. }
            | Self::FileAlignment(_)
            | Self::ImageBase(_)
            | Self::HeaderSize(_) => Some("the loader"),
            Self::SectionAlignment(bytes) if *bytes > 0 && bytes.is_multiple_of(4096) => None,
            Self::SectionAlignment(_) | Self::WritableCode(_) => Some("memory integrity (HVCI)"),
            _ => None,
        }
    }
}

/// What the headers of any driver's image say that a Windows system refuses.
#[must_use]
pub fn refusals(sys: &[u8]) -> Vec<Finding> {
    let findings = PeFile64::parse(sys).map(|image| headers::check(&image));
    let mut findings = findings.unwrap_or_default();
    findings.retain(|finding| finding.refused_by().is_some());
    findings
}

/// Whether a miniport must not call the kernel's function `name`.
#[must_use]
pub fn is_prohibited(name: &str) -> bool {
    imports::prohibited(name)
}

/// Checks a built image. An image that is fit to ship has no findings.
pub fn check(image: &Image) -> Result<Vec<Finding>, Error> {
    let sys = fs::read(&image.sys).map_err(Error::file("read", &image.sys))?;
    Ok(findings(&sys, &files::read(&image.map)?))
}

/// Checks an image, given as the contents of its file and of its link map.
#[must_use]
pub fn findings(sys: &[u8], map: &str) -> Vec<Finding> {
    let unsound = |error: object::read::Error| vec![Finding::Format(error.to_string())];
    let image = match PeFile64::parse(sys) {
        Ok(image) => image,
        Err(error) => return unsound(error),
    };
    headers::check(&image)
        .into_iter()
        .chain(relocations::check(&image).unwrap_or_else(unsound))
        .chain(imports::check(&image).unwrap_or_else(unsound))
        .chain(link_map::check(&image, map))
        .collect()
}

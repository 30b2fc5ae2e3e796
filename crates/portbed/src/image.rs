//! Native driver images (PE32+ for x64), loaded into this process.
//!
//! An image is laid out in memory as the system does it: sections with their own protections, relocated to where there
//! is room, its imports bound by name, the cookie of its stack checks set. Pages before and after it are inaccessible.

mod contents;
mod error;
mod headers;
mod symbols;

use std::ffi::c_void;
use std::fmt::Write;
use std::fs::File;
use std::io::{self, Read as _};
use std::ops::Range;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use contents::Contents;
pub use error::ImageError;
use headers::Headers;
use rustix::fs::OFlags;
use sha2::{Digest, Sha256};
use symbols::Symbols;
use wdk_linux::image_check::{Finding, refusals};

use crate::pages::{Access, PAGE_BYTES, Pages};

/// The largest file that is read: no driver comes near it.
const MOST_BYTES: u64 = 256 << 20;

/// The contents of a regular file. Devices and pipes, which may have no end, or never begin, are refused.
fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    let file = File::options()
        .read(true)
        // A pipe that nobody writes to is opened all the same.
        .custom_flags(OFlags::NONBLOCK.bits().cast_signed())
        .open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    let mut bytes = Vec::new();
    file.take(MOST_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(io::Error::other("it is larger than 256 MiB"));
    }
    Ok(bytes)
}

/// The entry point of a driver image: `DRIVER_INITIALIZE`, with the driver object and the registry path.
pub type EntryPoint =
    unsafe extern "win64" fn(driver_object: *mut c_void, registry_path: *mut c_void) -> i32;

/// Finds the address of an import by the name of its library, as the image writes it, and its own (`#` and the number
/// for an import without a name).
pub type Resolve<'a> = &'a dyn Fn(&str, &str) -> Option<*const c_void>;

/// An image in memory, bound and ready to run. Its memory is unmapped when the value is dropped.
#[derive(Debug)]
pub struct Image {
    path: PathBuf,
    sha256: String,
    refusals: Vec<Finding>,
    /// The image, and an inaccessible page before and after it.
    pages: Pages,
    headers: Headers,
    symbols: OnceLock<Symbols>,
}

impl Image {
    /// Loads the image at `path`: maps its sections, relocates it, and binds its imports to what `resolve` finds.
    pub fn load(path: &Path, resolve: Resolve<'_>) -> Result<Self, ImageError> {
        let file = read_file(path).map_err(ImageError::Unreadable)?;
        Self::from_bytes(path, &file, resolve)
    }

    /// Loads the image `file`, which came from `path`.
    pub fn from_bytes(path: &Path, file: &[u8], resolve: Resolve<'_>) -> Result<Self, ImageError> {
        let headers = Headers::parse(file)?;
        let pages = Pages::reserve(headers.image_bytes as u64 + 2 * PAGE_BYTES)
            .map_err(ImageError::Unmappable)?;
        let base = pages.address() + PAGE_BYTES;
        let mut contents = Contents::lay_out(file, &headers)?;
        contents.relocate(&headers, base)?;
        contents.bind(&headers, resolve)?;
        contents.set_cookie(&headers, base)?;
        map(&pages, &headers, contents.bytes()).map_err(ImageError::Unmappable)?;
        let sha256 = hexadecimal(&Sha256::digest(file));
        Ok(Self {
            path: path.into(),
            sha256,
            refusals: refusals(file),
            pages,
            headers,
            symbols: OnceLock::new(),
        })
    }

    /// Where the image was read from.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// SHA-256 of the file, in lower-case hexadecimal digits.
    #[must_use]
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// What a Windows system refuses the image for, although it runs here.
    #[must_use]
    pub fn refusals(&self) -> &[Finding] {
        &self.refusals
    }

    /// Address of the first byte.
    #[must_use]
    pub fn base(&self) -> u64 {
        self.pages.address() + PAGE_BYTES
    }

    /// Size in memory, in bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.headers.image_bytes as u64
    }

    /// The addresses of the image.
    #[must_use]
    pub fn range(&self) -> Range<u64> {
        self.base()..self.base() + self.bytes()
    }

    /// The entry point. The image must outlive every call.
    #[must_use]
    pub fn entry(&self) -> EntryPoint {
        let address = std::ptr::with_exposed_provenance::<c_void>(
            (self.base() + u64::from(self.headers.entry)) as usize,
        );
        // SAFETY: the address lies in an executable section of a driver image, whose entry point has this signature.
        unsafe { std::mem::transmute::<*const c_void, EntryPoint>(address) }
    }

    /// Whether `address` lies in the image.
    #[must_use]
    pub fn contains(&self, address: u64) -> bool {
        self.range().contains(&address)
    }

    /// Makes the sections inaccessible that the system discards when `DriverEntry` has returned.
    pub fn discard_initialization(&self) -> io::Result<()> {
        let mut discardable = self
            .headers
            .sections
            .iter()
            .filter(|section| section.discardable);
        discardable.try_for_each(|section| {
            self.pages.protect(
                PAGE_BYTES + u64::from(section.rva),
                u64::from(section.bytes),
                Access::None,
            )
        })
    }

    /// The functions that begin in the image, by the addresses of their first bytes; none where no symbols are known.
    pub fn functions(&self) -> impl Iterator<Item = (u64, &str)> {
        let symbols = self.symbols.get_or_init(|| Symbols::beside(&self.path));
        let functions = symbols.all();
        functions.map(|(rva, name)| (self.base() + u64::from(rva), name))
    }

    /// Names `address` as `image!function+0x12`, or `image+0x1234` where no symbol is known; nothing outside the image.
    #[must_use]
    pub fn symbolize(&self, address: u64) -> Option<String> {
        let rva = address
            .checked_sub(self.base())
            .filter(|&rva| rva < self.bytes())? as u32;
        let image = self.path.file_stem().unwrap_or_default().to_string_lossy();
        let symbols = self.symbols.get_or_init(|| Symbols::beside(&self.path));
        Some(match symbols.nearest(rva) {
            Some((name, offset)) => format!("{image}!{name}+{offset:#x}"),
            None => format!("{image}+{rva:#x}"),
        })
    }
}

/// Copies the image behind the first page of `pages` and protects its sections.
fn map(pages: &Pages, headers: &Headers, contents: &[u8]) -> io::Result<()> {
    pages.protect(PAGE_BYTES, contents.len() as u64, Access::ReadWrite)?;
    pages.write(PAGE_BYTES, contents)?;
    pages.protect(PAGE_BYTES, contents.len() as u64, Access::None)?;
    let header_bytes = (headers.header_bytes as u64).next_multiple_of(PAGE_BYTES);
    pages.protect(PAGE_BYTES, header_bytes, Access::Read)?;
    headers.sections.iter().try_for_each(|section| {
        pages.protect(
            PAGE_BYTES + u64::from(section.rva),
            u64::from(section.bytes),
            section.access,
        )
    })
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut digits, byte| {
        // Writing to a string cannot fail.
        let _ = write!(digits, "{byte:02x}");
        digits
    })
}

#[cfg(test)]
mod tests;

//! What Windows knows a file by: the hash of its bytes, or of an image without what signing changes.

use authenticode::authenticode_digest;
use object::read::pe::PeFile64;
use sha1::Sha1;
use sha2::{Digest, Sha256};

use crate::Error;
use crate::image::Layout;

/// The two hashes of a file that a catalogue has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Digests {
    /// SHA-1, which Windows still looks members up by.
    pub sha1: [u8; 20],
    /// SHA-256, which it trusts.
    pub sha256: [u8; 32],
}

impl Digests {
    /// Of all bytes of a file.
    #[must_use]
    pub fn of_file(bytes: &[u8]) -> Self {
        Self::of([bytes])
    }

    /// The Authenticode hashes of a PE32+ image: of its bytes without the checksum, the directory entry of the certificates, and the
    /// certificates, so that they are the same before and after it is signed. Microsoft, "Windows Authenticode Portable Executable
    /// Signature Format".
    ///
    /// `name` is for the error.
    pub fn of_image(image: &[u8], name: &str) -> Result<Self, Error> {
        let not_an_image = || Error::NotAnImage(name.to_owned());
        let parts = hashed_parts(image).ok_or_else(not_an_image)?;
        let digests = Self::of(parts);
        let pe = PeFile64::parse(image).map_err(|_| not_an_image())?;
        let mut second = Sha256::new();
        authenticode_digest(&pe, &mut second).map_err(|_| not_an_image())?;
        if second.finalize()[..] == digests.sha256 {
            Ok(digests)
        } else {
            Err(Error::DigestsDisagree(name.to_owned()))
        }
    }

    fn of<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let (mut sha1, mut sha256) = (Sha1::new(), Sha256::new());
        for part in parts {
            sha1.update(part);
            sha256.update(part);
        }
        Self {
            sha1: sha1.finalize().into(),
            sha256: sha256.finalize().into(),
        }
    }
}

/// A hash as hexadecimal digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or_default();
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 0xf)])
        .collect()
}

/// The parts of an image that signing does not change. `None` when it is no PE32+ image with certificates at its end, or none.
fn hashed_parts(image: &[u8]) -> Option<[&[u8]; 3]> {
    let layout = Layout::of(image)?;
    Some([
        image.get(..layout.checksum.start)?,
        image.get(layout.checksum.end..layout.directory.start)?,
        image.get(layout.directory.end..layout.certificates.start)?,
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_image_is_told() {
        let mut bytes = vec![0; 0x200];
        for cut in [0, 0x3d, 0x200] {
            let error = Digests::of_image(&bytes[..cut], "x.sys").unwrap_err();
            assert_eq!(error.to_string(), "x.sys is no PE32+ image");
        }
        bytes[0x3c..0x40].copy_from_slice(&u32::MAX.to_le_bytes());
        assert!(Digests::of_image(&bytes, "x.sys").is_err());
    }

    #[test]
    fn the_hash_of_a_file_is_of_all_its_bytes() {
        let abc = Digests::of_file(b"abc");
        assert_eq!(hex(&abc.sha1), "a9993e364706816aba3e25717850c26c9cd0d89d");
        assert!(hex(&abc.sha256).starts_with("ba7816bf8f01cfea"));
    }
}

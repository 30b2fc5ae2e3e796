//! Where an image has what signing changes: its checksum and its certificate table.

use std::ops::Range;

use der::{Decode, Header, Reader, SliceReader};

/// `e_lfanew`, the offset of the PE signature.
const PE_OFFSET: usize = 0x3c;
/// From the PE signature to the optional header.
const OPTIONAL_HEADER: usize = 24;
/// In the optional header.
const CHECKSUM: usize = 64;
/// In the optional header of PE32+: the fifth data directory.
const CERTIFICATES: usize = 112 + 4 * 8;
const PE32_PLUS: [u8; 2] = 0x20b_u16.to_le_bytes();

/// `WIN_CERTIFICATE` without its certificate: length, revision and type.
const CERTIFICATE_HEADER: usize = 8;
/// Revision 2.0 and `WIN_CERT_TYPE_PKCS_SIGNED_DATA`.
const PKCS_SIGNED_DATA: [u8; 4] = [0x00, 0x02, 0x02, 0x00];
/// What the entries of the certificate table are aligned to.
const ALIGNMENT: usize = 8;

/// The places in a PE32+ image that its Authenticode hash leaves out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Layout {
    /// The checksum in the optional header.
    pub(crate) checksum: Range<usize>,
    /// The data directory of the certificates.
    pub(crate) directory: Range<usize>,
    /// The certificates, at the end of the file; empty when the image is not signed.
    pub(crate) certificates: Range<usize>,
}

impl Layout {
    /// `None` when it is no PE32+ image with certificates at its end, or none.
    pub(crate) fn of(image: &[u8]) -> Option<Self> {
        let pe = number(image, PE_OFFSET)?;
        let header = pe.checked_add(OPTIONAL_HEADER)?;
        let sound =
            image.get(pe..)?.starts_with(b"PE\0\0") && image.get(header..)?.starts_with(&PE32_PLUS);
        let checksum = range(header.checked_add(CHECKSUM)?, 4)?;
        let directory = range(header.checked_add(CERTIFICATES)?, 8)?;
        let certificates = range(
            number(image, directory.start)?,
            number(image, directory.start + 4)?,
        )?;
        if !sound || (!certificates.is_empty() && certificates.end != image.len()) {
            return None;
        }
        let certificates = if certificates.is_empty() {
            image.len()..image.len()
        } else {
            certificates
        };
        Some(Self {
            checksum,
            directory,
            certificates,
        })
    }

    /// The checksum that the image says it has, and the one that it has. The boot loader does not load an image whose checksum is
    /// another: Microsoft, "PE Format", `CheckSum`.
    pub(crate) fn checksums(&self, image: &[u8]) -> Option<(u32, u32)> {
        let said = image.get(self.checksum.clone())?.first_chunk::<4>()?;
        let (words, odd) = image.as_chunks::<2>();
        let own = self.checksum.start / 2..self.checksum.end / 2;
        let mut sum = odd.first().copied().map_or(0, u32::from);
        for (index, word) in words.iter().enumerate() {
            if !own.contains(&index) {
                sum += u32::from(u16::from_le_bytes(*word));
                sum = (sum & 0xffff) + (sum >> 16);
            }
        }
        sum = (sum & 0xffff) + (sum >> 16);
        let bytes = u32::try_from(image.len()).ok()?;
        Some((u32::from_le_bytes(*said), sum.wrapping_add(bytes)))
    }

    /// What is wrong with the certificate table. No signature covers it: whatever is in it besides one signature can be changed
    /// without anyone's key. Microsoft, "PE Format", "The Attribute Certificate Table".
    pub(crate) fn certificate_fault(&self, image: &[u8]) -> Option<&'static str> {
        let Some(table) = image.get(self.certificates.clone()) else {
            return Some("is not in the file");
        };
        let (Some(length), Some(kind)) = (number(table, 0), table.get(4..CERTIFICATE_HEADER))
        else {
            return Some("is empty: nobody has signed the image");
        };
        if !self.certificates.start.is_multiple_of(ALIGNMENT) || kind != PKCS_SIGNED_DATA {
            return Some("does not begin with a signature");
        }
        if length.checked_next_multiple_of(ALIGNMENT) != Some(table.len()) {
            return Some("holds more than one signature");
        }
        let signature = table.get(CERTIFICATE_HEADER..).unwrap_or_default();
        let Some(rest) = der_length(signature).and_then(|length| signature.get(length..)) else {
            return Some("does not hold a whole signature");
        };
        (rest.len() >= ALIGNMENT || rest.iter().any(|byte| *byte != 0))
            .then_some("holds something behind the signature")
    }
}

/// How long the DER value at the beginning of `bytes` is.
fn der_length(bytes: &[u8]) -> Option<usize> {
    let mut reader = SliceReader::new(bytes).ok()?;
    let header = Header::decode(&mut reader).ok()?;
    let length = reader.position() + header.length;
    usize::try_from(length.ok()?).ok()
}

fn range(start: usize, bytes: usize) -> Option<Range<usize>> {
    Some(start..start.checked_add(bytes)?)
}

fn number(image: &[u8], offset: usize) -> Option<usize> {
    let bytes = image.get(offset..)?.first_chunk::<4>()?;
    usize::try_from(u32::from_le_bytes(*bytes)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PE: usize = 0x80;
    const TABLE: usize = 0x200;

    /// An image of headers alone, with a certificate table.
    fn image(table: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; TABLE];
        bytes[PE_OFFSET] = 0x80;
        bytes[PE..PE + 4].copy_from_slice(b"PE\0\0");
        let header = PE + OPTIONAL_HEADER;
        bytes[header..header + 2].copy_from_slice(&PE32_PLUS);
        let place = [TABLE, table.len()].map(|number| u32::try_from(number).unwrap());
        let directory = header + CERTIFICATES;
        bytes[directory..directory + 4].copy_from_slice(&place[0].to_le_bytes());
        bytes[directory + 4..directory + 8].copy_from_slice(&place[1].to_le_bytes());
        bytes.extend(table);
        bytes
    }

    /// A table with these bytes, whose first entry says that it is so long.
    fn table(length: u8, kind: u8, contents: &[u8]) -> Vec<u8> {
        let mut table = vec![length, 0, 0, 0, 0, 2, kind, 0];
        table.extend(contents);
        table
    }

    fn fault(table: &[u8]) -> Option<&'static str> {
        let image = image(table);
        Layout::of(&image).unwrap().certificate_fault(&image)
    }

    #[test]
    fn a_table_holds_one_signature_and_nothing_else() {
        assert_eq!(fault(&table(16, 2, &[0x30, 1, 9, 0, 0, 0, 0, 0])), None);
        assert_eq!(fault(&table(11, 2, &[0x30, 1, 9, 0, 0, 0, 0, 0])), None);
        for (table, what) in [
            (vec![], "is empty"),
            (table(16, 1, &[0x30, 1, 9, 0, 0, 0, 0, 0]), "does not begin"),
            (table(16, 2, &[0x30, 1, 9, 0, 0, 0, 0, 7]), "behind"),
            (
                table(24, 2, &[0x30, 1, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
                "behind",
            ),
            (
                table(16, 2, &[0x30, 1, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
                "more than one",
            ),
            (table(16, 2, &[0x30, 9, 9, 0, 0, 0, 0, 0]), "whole"),
        ] {
            let found = fault(&table);
            assert!(
                found.is_some_and(|found| found.contains(what)),
                "{what}: {found:?}"
            );
        }
    }

    #[test]
    fn the_checksum_is_the_folded_sum_of_the_words_and_the_length() {
        let mut bytes = image(&[]);
        let before = Layout::of(&bytes).unwrap().checksums(&bytes).unwrap().1;
        // The checksum itself does not count; a carry is added at the other end; an odd byte is a word.
        bytes[PE + OPTIONAL_HEADER + CHECKSUM] = 0x55;
        bytes[0..2].copy_from_slice(&0xffff_u16.to_le_bytes());
        bytes.push(3);
        let (said, sum) = Layout::of(&bytes).unwrap().checksums(&bytes).unwrap();
        assert_eq!((said, sum), (0x55, before + 3 + 1));
    }
}

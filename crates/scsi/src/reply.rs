//! Parameter data on its way to the initiator, cut off where the allocation length or the buffer ends.

use zerocopy::{Immutable, IntoBytes};

use crate::status::Outcome;

/// Parameter data that is written front to back. What does not fit is counted and dropped: length fields inside the data
/// are never adjusted to a truncation (SPC-4, 4.2.5.6).
pub(crate) struct Reply<'a> {
    room: &'a mut [u8],
    length: usize,
}

impl<'a> Reply<'a> {
    /// An empty reply that may fill the buffer up to the allocation length.
    pub(crate) fn new(buffer: &'a mut [u8], allocation_length: u32) -> Self {
        let allowed = usize::try_from(allocation_length).unwrap_or(usize::MAX);
        let fits = buffer.len().min(allowed);
        Self {
            room: buffer.get_mut(..fits).unwrap_or_default(),
            length: 0,
        }
    }

    /// The bytes so far, those that were dropped included.
    pub(crate) fn length(&self) -> usize {
        self.length
    }

    /// Appends bytes.
    pub(crate) fn push_bytes(&mut self, bytes: &[u8]) {
        self.patch(self.length, bytes);
        self.length = self.length.saturating_add(bytes.len());
    }

    /// Appends a structure as it lies in memory.
    pub(crate) fn push<T: IntoBytes + Immutable>(&mut self, part: &T) {
        self.push_bytes(part.as_bytes());
    }

    /// Appends ASCII that a device reported. The standards allow 20h to 7Eh; anything else becomes a space.
    pub(crate) fn push_ascii(&mut self, text: &[u8]) {
        for byte in text {
            let printable = matches!(byte, b' '..=b'~');
            self.push_bytes(&[if printable { *byte } else { b' ' }]);
        }
    }

    /// Appends two upper-case hexadecimal digits a byte.
    pub(crate) fn push_hex(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.push_bytes(&[hex_digit(byte >> 4), hex_digit(byte & 0xF)]);
        }
    }

    /// Overwrites bytes at a place that was pushed before: a length that is known now.
    pub(crate) fn patch(&mut self, at: usize, bytes: &[u8]) {
        let places = self.room.iter_mut().skip(at);
        for (to, from) in places.zip(bytes) {
            *to = *from;
        }
    }

    /// GOOD, with the bytes that were written.
    pub(crate) fn finish(self) -> Outcome {
        let written = self.length.min(self.room.len());
        Outcome::good(u32::try_from(written).unwrap_or(u32::MAX))
    }
}

/// The upper-case digit of a value below 16.
fn hex_digit(nibble: u8) -> u8 {
    match nibble {
        0..=9 => b'0'.wrapping_add(nibble),
        _ => b'A'.wrapping_add(nibble.wrapping_sub(10)),
    }
}

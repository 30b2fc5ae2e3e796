//! Text in Identify data and log pages, as a device wrote it.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// An ASCII string field: left justified, padded with spaces, bytes 20h to 7Eh (Base 1.4).
///
/// A device may have written anything here; what it wrote is in the field, and the methods show a usable part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(transparent)]
pub struct Ascii<const N: usize>(
    /// The bytes as the device wrote them.
    pub [u8; N],
);

impl<const N: usize> Ascii<N> {
    /// The field with this text in it: padded with spaces, cut at the end of the field.
    #[must_use]
    pub fn padded(text: &str) -> Self {
        let mut bytes = [b' '; N];
        bytes
            .iter_mut()
            .zip(text.bytes())
            .for_each(|(to, from)| *to = from);
        Self(bytes)
    }

    /// The bytes without leading and trailing spaces and NULs, as the device wrote them otherwise.
    #[must_use]
    pub fn trimmed(&self) -> &[u8] {
        let mut text = self.0.as_slice();
        while let [b' ' | 0, rest @ ..] | [rest @ .., b' ' | 0] = text {
            text = rest;
        }
        text
    }

    /// The trimmed bytes with `_` for each one that is not printable ASCII: safe to show, to log and to hand on.
    pub fn printable(&self) -> impl Iterator<Item = u8> + '_ {
        self.trimmed().iter().map(|&byte| match byte {
            b' '..=b'~' => byte,
            _ => b'_',
        })
    }
}

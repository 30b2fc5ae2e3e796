//! From bytes to text.

/// How an INF is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// Seven-bit ASCII, which every ANSI code page agrees with.
    Ascii,
    /// UTF-16, little-endian, with a byte order mark.
    Utf16,
}

/// Edits the text of a file, which keeps its encoding; `None` when that is no encoding of an INF.
pub(crate) fn edited(bytes: &[u8], edit: impl FnOnce(&str) -> String) -> Option<Vec<u8>> {
    let (encoding, text) = decode(bytes);
    let text = edit(&text);
    Some(match encoding? {
        Encoding::Ascii => text.into_bytes(),
        Encoding::Utf16 => {
            let units = "\u{feff}".encode_utf16().chain(text.encode_utf16());
            units.flat_map(u16::to_le_bytes).collect()
        }
    })
}

/// The text of a file. One whose encoding Windows does not promise to understand is read as well as can be, without an [`Encoding`].
pub(super) fn decode(bytes: &[u8]) -> (Option<Encoding>, String) {
    if let Some(rest) = bytes.strip_prefix(b"\xff\xfe") {
        let (units, odd) = rest.as_chunks::<2>();
        let units = units.iter().map(|unit| u16::from_le_bytes(*unit));
        let text: Result<String, _> = char::decode_utf16(units.clone()).collect();
        return match text {
            Ok(text) if odd.is_empty() => (Some(Encoding::Utf16), text),
            _ => (None, String::from_utf16_lossy(&units.collect::<Vec<u16>>())),
        };
    }
    let encoding = bytes.is_ascii().then_some(Encoding::Ascii);
    (encoding, String::from_utf8_lossy(bytes).into_owned())
}

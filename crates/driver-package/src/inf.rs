//! An INF file, read as Windows' setup functions read it, with the line that everything stands on.

mod line;
mod text;

use std::fmt;

use line::Words;
pub use text::Encoding;
pub(crate) use text::edited;

/// An INF file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inf {
    /// How the file is encoded; `None` when it is neither of the encodings that an INF may have.
    pub encoding: Option<Encoding>,
    /// The sections, in the file's order. One that is continued further down occurs twice.
    pub sections: Vec<Section>,
    /// Lines that are no INF syntax.
    pub faults: Vec<Fault>,
}

/// A section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// The name between the brackets.
    pub name: String,
    /// Where it begins, counted from 1.
    pub line: usize,
    /// Its entries, in order.
    pub entries: Vec<Entry>,
}

/// `key = value, value`, or values alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Where it begins, counted from 1.
    pub line: usize,
    /// What stands before the equals sign. Quotes are removed, string tokens are not replaced.
    pub key: Option<String>,
    /// The values, likewise. One that is left out between commas is empty.
    pub values: Vec<String>,
}

/// A line that is no INF syntax.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong with it.
    pub what: &'static str,
}

/// A string token that `[Strings]` does not define.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownToken(pub String);

impl fmt::Display for UnknownToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "%{}% is not defined in [Strings]", self.0)
    }
}

impl Inf {
    /// Reads a file. Whatever is wrong with it is in [`Inf::encoding`] and [`Inf::faults`]; the rest is read all the same.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Self {
        let (encoding, text) = text::decode(bytes);
        let mut inf = Self {
            encoding,
            sections: Vec::new(),
            faults: Vec::new(),
        };
        for (line, logical) in line::logical_lines(&text) {
            inf.read_line(line, &logical);
        }
        inf
    }

    fn read_line(&mut self, line: usize, text: &str) {
        if let Some(rest) = text.strip_prefix('[') {
            match rest.split_once(']') {
                Some((name, "")) if !name.trim().is_empty() => self.sections.push(Section {
                    name: name.trim().to_owned(),
                    line,
                    entries: Vec::new(),
                }),
                Some((_, "")) => self.fault(line, "a section without a name"),
                Some(_) => self.fault(line, "text after a section's name"),
                None => self.fault(line, "a section's name without its closing bracket"),
            }
            return;
        }
        let Words { key, values, fault } = line::words(text);
        if let Some(what) = fault {
            self.fault(line, what);
        }
        match self.sections.last_mut() {
            Some(section) => section.entries.push(Entry { line, key, values }),
            None => self.fault(line, "text before the first section"),
        }
    }

    fn fault(&mut self, line: usize, what: &'static str) {
        self.faults.push(Fault { line, what });
    }

    /// All sections of this name, whose case does not matter.
    pub fn sections_named(&self, name: &str) -> impl Iterator<Item = &Section> {
        self.sections
            .iter()
            .filter(move |section| section.name.eq_ignore_ascii_case(name))
    }

    /// The entries of all sections of this name.
    pub fn entries(&self, section: &str) -> impl Iterator<Item = &Entry> {
        self.sections_named(section)
            .flat_map(|section| &section.entries)
    }

    /// The first entry with this key in a section.
    #[must_use]
    pub fn entry(&self, section: &str, key: &str) -> Option<&Entry> {
        self.entries(section).find(|entry| entry.has_key(key))
    }

    /// Replaces string tokens. `%%` is a per cent sign, and a token that is a number is a folder's id, which stays as it is.
    pub fn expand(&self, text: &str) -> Result<String, UnknownToken> {
        let mut expanded = String::new();
        for piece in tokens(text) {
            match piece {
                Piece::Text(text) => expanded.push_str(text),
                Piece::Folder(id) => expanded.extend(["%", id, "%"]),
                Piece::Token(name) => expanded.push_str(
                    self.entry("Strings", name)
                        .map(Entry::value)
                        .ok_or_else(|| UnknownToken(name.to_owned()))?,
                ),
            }
        }
        Ok(expanded)
    }

    /// A value of an entry with its string tokens replaced; empty when it is left out, or a token is unknown.
    #[must_use]
    pub fn text(&self, entry: &Entry, index: usize) -> String {
        entry
            .values
            .get(index)
            .and_then(|value| self.expand(value).ok())
            .unwrap_or_default()
    }
}

impl Entry {
    /// Is this the entry's key? Case does not matter.
    #[must_use]
    pub fn has_key(&self, key: &str) -> bool {
        self.key
            .as_ref()
            .is_some_and(|own| own.eq_ignore_ascii_case(key))
    }

    /// The first value, as it stands in the file.
    #[must_use]
    pub fn value(&self) -> &str {
        self.values.first().map_or("", String::as_str)
    }
}

/// A part of a text with string tokens.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    /// What stands for itself.
    Text(&'a str),
    /// The name of a string.
    Token(&'a str),
    /// The id of a folder (DIRID).
    Folder(&'a str),
}

/// Takes a text apart at its per cent signs. One that has no partner stands for itself.
pub(crate) fn tokens(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('%') {
        let Some((name, behind)) = after.split_once('%') else {
            break;
        };
        if !before.is_empty() {
            pieces.push(Piece::Text(before));
        }
        pieces.push(match name {
            "" => Piece::Text("%"),
            id if id.bytes().all(|byte| byte.is_ascii_digit()) => Piece::Folder(id),
            name => Piece::Token(name),
        });
        rest = behind;
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest));
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only_entry(line: &str) -> Entry {
        let inf = Inf::parse(format!("[A]\n{line}").as_bytes());
        assert_eq!(inf.faults, [], "{line}");
        inf.sections[0].entries[0].clone()
    }

    #[test]
    fn an_entry_is_a_key_with_values_or_values_alone() {
        let entry = only_entry("  Key = one, , \"two, three\" ; a comment");
        assert_eq!(entry.key.as_deref(), Some("Key"));
        assert_eq!(entry.values, ["one", "", "two, three"]);
        assert_eq!(entry.line, 2);
        let entry = only_entry("HKR,, Name , 0x10");
        assert_eq!(entry.key, None);
        assert_eq!(entry.values, ["HKR", "", "Name", "0x10"]);
        let entry = only_entry("Key =");
        assert_eq!((entry.key.as_deref(), entry.values.len()), (Some("Key"), 0));
    }

    #[test]
    fn quotes_hide_what_is_special_outside_of_them() {
        let entry = only_entry(r#""a = b" = "say ""no""; = \" , c"#);
        assert_eq!(entry.key.as_deref(), Some("a = b"));
        assert_eq!(entry.values, [r#"say "no"; = \"#, "c"]);
    }

    #[test]
    fn a_line_goes_on_after_a_backslash() {
        let inf = Inf::parse(b"[A]\r\nK = 1, \\ ; first\r\n    2\r\nL = a\\b\r\n");
        let entries = &inf.sections[0].entries;
        assert_eq!(entries[0].values, ["1", "2"]);
        assert_eq!((entries[1].line, entries[1].value()), (4, r"a\b"));
    }

    #[test]
    fn utf_16_is_read_by_its_mark_and_utf_8_is_not_an_encoding_of_an_inf() {
        let utf16 = |text: &str, big: bool| {
            let units = "\u{feff}".encode_utf16().chain(text.encode_utf16());
            units
                .flat_map(|unit| {
                    if big {
                        unit.to_be_bytes()
                    } else {
                        unit.to_le_bytes()
                    }
                })
                .collect::<Vec<u8>>()
        };
        let inf = Inf::parse(&utf16("[Ä]\r\nö = ß", false));
        assert_eq!(inf.encoding, Some(Encoding::Utf16));
        assert_eq!(inf.sections[0].name, "Ä");
        assert_eq!(inf.sections[0].entries[0].value(), "ß");
        for bytes in [
            "[Ä]".as_bytes(),
            b"\xef\xbb\xbf[A]",
            b"[A]\xff",
            &utf16("[A]", true),
            b"\xff\xfe[",
        ] {
            assert_eq!(Inf::parse(bytes).encoding, None, "{bytes:?}");
        }
        assert_eq!(Inf::parse(b"[A]").encoding, Some(Encoding::Ascii));
    }

    #[test]
    fn what_is_no_inf_syntax_is_told_with_its_line() {
        for (text, line, what) in [
            ("a = b\n[A]", 1, "text before the first section"),
            (
                "[A]\n\n[B",
                3,
                "a section's name without its closing bracket",
            ),
            ("[A]\n[ ]", 2, "a section without a name"),
            ("[A] b", 1, "text after a section's name"),
            ("[A]\na = \"b", 2, "a quotation mark without its partner"),
            ("[A]\na = b \"c\"", 2, "text next to a quoted value"),
            ("[A]\na = \"b\" c", 2, "text next to a quoted value"),
            ("[A]\na = b = c", 2, "a second equals sign"),
            ("[A]\n = b", 2, "an equals sign without a key"),
        ] {
            let faults = Inf::parse(text.as_bytes()).faults;
            assert_eq!(faults, [Fault { line, what }], "{text}");
        }
    }

    #[test]
    fn tokens_are_replaced_and_folders_stay() {
        let inf = Inf::parse(b"[strings]\nName = \"x y\"");
        assert_eq!(
            inf.expand("a %NAME% %13%\\b 5%% %").unwrap(),
            "a x y %13%\\b 5% %"
        );
        assert_eq!(inf.expand("%other%"), Err(UnknownToken("other".into())));
    }
}

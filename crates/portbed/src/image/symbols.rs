//! Names of the functions of an image, from the map that the linker wrote next to it.

use std::collections::BTreeMap;
use std::path::Path;

/// Symbols by their addresses, relative to the base of the image.
#[derive(Debug, Default)]
pub(super) struct Symbols {
    names: BTreeMap<u32, String>,
}

impl Symbols {
    /// The symbols of the image at `path`: none where there is no map.
    pub(super) fn beside(path: &Path) -> Self {
        let map = super::read_file(&path.with_extension("map")).unwrap_or_default();
        Self::parse(&String::from_utf8_lossy(&map))
    }

    /// Reads a map as link.exe and lld-link write it: one line says for which address the image was linked, and a line
    /// for each symbol begins with its section and offset, its name and its address.
    fn parse(map: &str) -> Self {
        let mut preferred_base = None;
        let mut names = BTreeMap::new();
        for line in map.lines() {
            if let Some((_, base)) = line.split_once("Preferred load address is ") {
                preferred_base = u64::from_str_radix(base.trim(), 16).ok();
            }
            let mut words = line.split_whitespace();
            let (Some(place), Some(name), Some(address)) =
                (words.next(), words.next(), words.next())
            else {
                continue;
            };
            // Section 0 holds absolute numbers.
            if !is_place(place) || place.starts_with("0000:") || address.len() != 16 {
                continue;
            }
            let address = u64::from_str_radix(address, 16).ok();
            let rva = address
                .zip(preferred_base)
                .and_then(|(address, base)| address.checked_sub(base));
            if let Some(rva) = rva.and_then(|rva| u32::try_from(rva).ok()) {
                names
                    .entry(rva)
                    .or_insert_with(|| format!("{:#}", rustc_demangle::demangle(name)));
            }
        }
        Self { names }
    }

    /// Every symbol with its address, in ascending order.
    pub(super) fn all(&self) -> impl Iterator<Item = (u32, &str)> {
        self.names.iter().map(|(&rva, name)| (rva, name.as_str()))
    }

    /// The symbol at or before `rva`, and how far before it lies.
    pub(super) fn nearest(&self, rva: u32) -> Option<(&str, u32)> {
        let (at, name) = self.names.range(..=rva).next_back()?;
        Some((name, rva - at))
    }
}

/// Whether `word` is a section and an offset, like `0001:00000010`.
fn is_place(word: &str) -> bool {
    let is_number = |part: &str, digits| {
        part.len() == digits && part.bytes().all(|digit| digit.is_ascii_hexdigit())
    };
    word.split_once(':')
        .is_some_and(|(section, offset)| is_number(section, 4) && is_number(offset, 8))
}

#[cfg(test)]
mod tests {
    use super::Symbols;

    const MAP: &str = "\
 breaker

 Timestamp is 64f0a0b0 (Thu Aug 31 2023)

 Preferred load address is 0000000180000000

 Start         Length     Name                   Class
 0001:00000000 00001200H .text                   CODE

  Address         Publics by Value              Rva+Base               Lib:Object

 0000:00000000       __ImageBase                0000000180000000     <linker-defined>
 0001:00000000       DriverEntry                0000000180001000     breaker.o
 0001:00000040       _RNvNtCs1234_7breaker4ring5write 0000000180001040     breaker.o
 0002:00000010       table                      0000000180003010 f   breaker.o

 entry point at        0001:00000000
";

    #[test]
    fn an_address_belongs_to_the_last_symbol_before_it() {
        let symbols = Symbols::parse(MAP);
        assert_eq!(symbols.nearest(0xFFF), None);
        assert_eq!(symbols.nearest(0x1000), Some(("DriverEntry", 0)));
        assert_eq!(symbols.nearest(0x103F), Some(("DriverEntry", 0x3F)));
        assert_eq!(symbols.nearest(0x1041), Some(("breaker::ring::write", 1)));
        assert_eq!(symbols.nearest(0x3018), Some(("table", 8)));
    }

    #[test]
    fn nothing_comes_of_no_map() {
        assert_eq!(
            Symbols::parse("0001:00000000 name 0000000180001000\n\u{FFFD}").nearest(u32::MAX),
            None
        );
    }
}

//! The version resource of the image: what Explorer, `sigcheck` and a crash dump tell of the file.
//!
//! Written as a compiled resource (`.res`), which every linker takes, so that no resource compiler is needed.

/// What the resource says.
pub struct Version<'a> {
    /// Major, minor and patch number.
    pub numbers: [u16; 3],
    /// The strings, by the names that Windows knows them by.
    pub strings: &'a [(&'a str, &'a str)],
}

/// `RT_VERSION`.
const TYPE: u16 = 16;
/// English (United States) and Unicode: the language of the strings.
const LANGUAGE: u16 = 0x0409;
const CODE_PAGE: u16 = 0x04B0;
/// Discardable and pure, as resource compilers mark version resources.
const MEMORY_FLAGS: u16 = 0x0030;
/// A node whose value is text; binary otherwise.
const TEXT: u16 = 1;
const BINARY: u16 = 0;

impl Version<'_> {
    /// The compiled resource file.
    pub fn compile(&self) -> Vec<u8> {
        let data = self.info();
        let mut file = header(0, 0, 0, 0, 0);
        file.extend(header(data.len() as u32, TYPE, 1, MEMORY_FLAGS, LANGUAGE));
        file.extend(data);
        pad(&mut file);
        file
    }

    /// `VS_VERSIONINFO`.
    fn info(&self) -> Vec<u8> {
        let strings = self.strings.iter().map(|(name, value)| {
            let units = utf16(value);
            node(name, TEXT, units.len() as u16 / 2, &units, &[])
        });
        let table = format!("{LANGUAGE:04x}{CODE_PAGE:04x}");
        let table = node(&table, TEXT, 0, &[], &strings.collect::<Vec<_>>());
        let translation = words(&[LANGUAGE, CODE_PAGE]);
        let translation = node("Translation", BINARY, 4, &translation, &[]);
        let children = [
            node("StringFileInfo", TEXT, 0, &[], &[table]),
            node("VarFileInfo", TEXT, 0, &[], &[translation]),
        ];
        let fixed = self.fixed();
        node(
            "VS_VERSION_INFO",
            BINARY,
            fixed.len() as u16,
            &fixed,
            &children,
        )
    }

    /// `VS_FIXEDFILEINFO` of a system driver for Windows NT.
    fn fixed(&self) -> Vec<u8> {
        let [major, minor, patch] = self.numbers.map(u32::from);
        let (high, low) = (major << 16 | minor, patch << 16);
        let fields = [
            0xFEEF_04BD, // signature
            0x0001_0000, // version of this structure
            high,
            low, // file
            high,
            low, // product
            0x3F,
            0,           // flags that are valid, and set
            0x0004_0004, // Windows NT, 32-bit API and later
            3,
            7, // driver, system driver
            0,
            0, // date
        ];
        fields
            .iter()
            .flat_map(|field| field.to_le_bytes())
            .collect()
    }
}

/// The header of a resource.
fn header(bytes: u32, kind: u16, name: u16, flags: u16, language: u16) -> Vec<u8> {
    const HEADER_BYTES: u32 = 32;
    const ORDINAL: u16 = 0xFFFF;
    let mut header = [bytes, HEADER_BYTES].map(u32::to_le_bytes).concat();
    header.extend(words(&[
        ORDINAL, kind, ORDINAL, name, 0, 0, flags, language, 0, 0, 0, 0,
    ]));
    header
}

/// A node of the version tree: its length, the length of its value, its type, its key, its value, its children.
fn node(key: &str, kind: u16, value_length: u16, value: &[u8], children: &[Vec<u8>]) -> Vec<u8> {
    let mut node = words(&[0, value_length, kind]);
    node.extend(utf16(key));
    pad(&mut node);
    node.extend(value);
    for child in children {
        pad(&mut node);
        node.extend(child);
    }
    let length = (node.len() as u16).to_le_bytes();
    node[..2].copy_from_slice(&length);
    node
}

/// UTF-16 with a zero at the end.
fn utf16(text: &str) -> Vec<u8> {
    words(&text.encode_utf16().chain([0]).collect::<Vec<_>>())
}

fn words(words: &[u16]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// Everything starts at a multiple of four bytes.
fn pad(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().next_multiple_of(4), 0);
}

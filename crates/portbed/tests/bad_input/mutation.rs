//! Images in which something was changed, as a seed decides (PE Format, Microsoft, for the places).

use std::fmt::Write as _;
use std::ops::Range;

use fastrand::Rng;

/// A changed image, and what was changed.
pub struct Mutated {
    /// For people.
    pub what: String,
    /// The file.
    pub bytes: Vec<u8>,
}

/// Values at which arithmetic goes wrong.
const EDGES: &[u32] = &[
    0,
    1,
    3,
    0x200,
    0xFFF,
    0x1000,
    0x1001,
    0x0FFF_FFFF,
    0x7FFF_FFFF,
    0x8000_0000,
    0xFFFF_F000,
    0xFFFF_FFFF,
];

/// Bytes of an entry of the section table.
const SECTION_BYTES: usize = 40;
/// Indices of data directories.
const IMPORTS: usize = 1;
const RELOCATIONS: usize = 5;
const IMPORT_ADDRESSES: usize = 12;

/// One of the images, changed in one place or a few.
pub fn of(images: &[Vec<u8>], seed: u64) -> Mutated {
    let mut random = Rng::with_seed(seed);
    let mut image = Image {
        bytes: images[random.usize(..images.len())].clone(),
    };
    let what = match random.u32(..13) {
        0 => image.edge(&mut random, "headers", Image::headers),
        1 => image.flip(&mut random, "headers", Image::headers),
        2 => image.edge(&mut random, "section table", Image::section_table),
        3 => image.flip(&mut random, "section table", Image::section_table),
        4 => image.edge(&mut random, "data directories", Image::directories),
        5 => image.edge(&mut random, "relocations", |image| {
            image.directory(RELOCATIONS)
        }),
        6 => image.flip(&mut random, "relocations", |image| {
            image.directory(RELOCATIONS)
        }),
        7 => image.flip(&mut random, "imports", |image| image.directory(IMPORTS)),
        8 => image.flip(&mut random, "import addresses", |image| {
            image.directory(IMPORT_ADDRESSES)
        }),
        9 => image.cut(&mut random),
        10 => image.checksum(&mut random),
        11 => image.flip(&mut random, "data", |image| image.section(1)),
        _ => image.flip(&mut random, "code", |image| image.section(0)),
    };
    Mutated {
        what,
        bytes: image.bytes,
    }
}

struct Image {
    bytes: Vec<u8>,
}

impl Image {
    fn u32(&self, at: usize) -> usize {
        let bytes = self.bytes[at..at + 4].try_into().unwrap();
        u32::from_le_bytes(bytes) as usize
    }

    fn u16(&self, at: usize) -> usize {
        usize::from(u16::from_le_bytes([self.bytes[at], self.bytes[at + 1]]))
    }

    /// Where the PE signature is.
    fn signature(&self) -> usize {
        self.u32(0x3C)
    }

    fn optional_header(&self) -> usize {
        self.signature() + 24
    }

    fn headers(&self) -> Range<usize> {
        0..self.section_table().end
    }

    fn section_table(&self) -> Range<usize> {
        let start = self.optional_header() + self.u16(self.signature() + 20);
        start..start + self.u16(self.signature() + 6) * SECTION_BYTES
    }

    fn directories(&self) -> Range<usize> {
        let start = self.optional_header() + 112;
        start..start + 16 * 8
    }

    /// Where the contents of a section are in the file.
    fn section(&self, index: usize) -> Range<usize> {
        let entry = self.section_table().start + index * SECTION_BYTES;
        let start = self.u32(entry + 20);
        start..start + self.u32(entry + 16).min(self.u32(entry + 8))
    }

    /// Where a data directory's contents are in the file; without any, the directories themselves.
    fn directory(&self, index: usize) -> Range<usize> {
        let entry = self.directories().start + index * 8;
        let (rva, bytes) = (self.u32(entry), self.u32(entry + 4));
        let mut entries = self.section_table().step_by(SECTION_BYTES);
        let holds =
            |&at: &usize| (self.u32(at + 12)..self.u32(at + 12) + self.u32(at + 8)).contains(&rva);
        let Some(section) = entries.find(holds) else {
            return self.directories();
        };
        let start = self.u32(section + 20) + rva - self.u32(section + 12);
        start..start + bytes
    }

    /// Puts a value at the edge of what there can be into a number.
    fn edge(
        &mut self,
        random: &mut Rng,
        name: &str,
        place: impl Fn(&Self) -> Range<usize>,
    ) -> String {
        let place = place(self);
        let words = (place.len() / 4).max(1);
        let at = place.start + 4 * random.usize(..words);
        let value = EDGES[random.usize(..EDGES.len())];
        self.bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
        format!("{name}: {value:#x} at {at:#x}")
    }

    /// Changes up to four bytes.
    fn flip(
        &mut self,
        random: &mut Rng,
        name: &str,
        place: impl Fn(&Self) -> Range<usize>,
    ) -> String {
        let place = place(self);
        let mut what = format!("{name}:");
        for _ in 0..random.usize(1..=4) {
            let at = random.usize(place.clone());
            self.bytes[at] ^= random.u8(1..);
            let _ = write!(what, " {:#04x} at {at:#x}", self.bytes[at]);
        }
        what
    }

    /// Ends too early, or goes on.
    fn cut(&mut self, random: &mut Rng) -> String {
        let bytes = if random.bool() {
            random.usize(..self.bytes.len())
        } else {
            self.bytes.len() + random.usize(1..0x1_0000)
        };
        self.bytes.resize(bytes, 0xA5);
        format!("{bytes} bytes")
    }

    fn checksum(&mut self, random: &mut Rng) -> String {
        let at = self.optional_header() + 64;
        let value = random.u32(..);
        self.bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
        format!("checksum {value:#x}")
    }
}

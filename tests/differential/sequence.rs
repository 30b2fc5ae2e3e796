//! Requests as a seed decides: reads and writes of all lengths, questions about the disk, and nonsense.

use portbed::machine::{Data, LogicalUnit, SrbKind};

/// A request.
pub struct Step {
    pub cdb: Vec<u8>,
    pub data: Data,
    pub srb: SrbKind,
    pub buffer_offset: usize,
}

/// An endless sequence of requests for a disk.
pub struct Sequence {
    blocks: u64,
    block_bytes: usize,
    most_blocks: u64,
    state: u64,
}

impl Sequence {
    /// The sequence for disks of this size.
    pub fn new(unit: &LogicalUnit) -> Self {
        Self {
            blocks: unit.blocks,
            block_bytes: unit.block_bytes as usize,
            most_blocks: u64::from(unit.max_transfer_bytes / unit.block_bytes),
            state: 0x5EED,
        }
    }

    /// A number below `end` (`SplitMix64`).
    fn below(&mut self, end: u64) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.state;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ mixed >> 31) % end
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(count + 8);
        while bytes.len() < count {
            bytes.extend(self.below(u64::MAX).to_le_bytes());
        }
        bytes.truncate(count);
        bytes
    }

    /// Where a transfer starts: mostly where it was written before, now and then at or past the end.
    fn lba(&mut self) -> u64 {
        match self.below(20) {
            0 => self.blocks - self.below(4),
            1 => self.blocks + self.below(1 << 20),
            2 => self.below(self.blocks),
            _ => self.below(200),
        }
    }

    fn length(&mut self) -> u64 {
        match self.below(10) {
            0 => 0,
            1 => self.most_blocks - self.below(2),
            _ => 1 + self.below(16),
        }
    }

    /// Reads, writes and verifications in all the lengths of their descriptor blocks.
    fn transfer(&mut self) -> (Vec<u8>, Data) {
        let (lba, blocks) = (self.lba(), self.length().min(self.most_blocks));
        let usual = [0x28, 0x2A, 0x88, 0x8A];
        let others = [0x08, 0x0A, 0xA8, 0xAA, 0x2F, 0x8F, 0xAF, 0x2E];
        let opcode = match self.below(16) as usize {
            other @ 0..8 => others[other],
            one => usual[one % 4],
        };
        let mut cdb = vec![opcode];
        match opcode >> 5 {
            0 => {
                cdb.extend(&(lba as u32 & 0x1F_FFFF).to_be_bytes()[1..]);
                cdb.extend([blocks as u8, 0]);
            }
            1 => {
                cdb.push(self.flags());
                cdb.extend((lba as u32).to_be_bytes());
                cdb.push(0);
                cdb.extend((blocks as u16).to_be_bytes());
                cdb.push(0);
            }
            4 => {
                cdb.push(self.flags());
                cdb.extend(lba.to_be_bytes());
                cdb.extend((blocks as u32).to_be_bytes());
                cdb.extend([0, 0]);
            }
            _ => {
                cdb.push(self.flags());
                cdb.extend((lba as u32).to_be_bytes());
                cdb.extend((blocks as u32).to_be_bytes());
                cdb.extend([0, 0]);
            }
        }
        let blocks = match (opcode, blocks as u8) {
            // A length of 0 in the shortest descriptor block is 256 blocks.
            (0x08 | 0x0A, 0) => 256.min(self.most_blocks),
            (0x08 | 0x0A, short) => u64::from(short),
            _ => blocks,
        };
        let bytes = blocks as usize * self.block_bytes;
        let data = match opcode {
            0x08 | 0x28 | 0x88 | 0xA8 => self.room(bytes),
            0x2F | 0x8F | 0xAF => Data::None,
            _ if bytes == 0 => Data::None,
            _ => Data::Out(self.bytes(bytes)),
        };
        (cdb, data)
    }

    /// Mostly none; FUA, DPO, and now and then something reserved or a protection field.
    fn flags(&mut self) -> u8 {
        match self.below(8) {
            0 => 0x08,
            1 => 0x10,
            2 => self.below(256) as u8,
            _ => 0,
        }
    }

    /// Room for an answer: mostly as much as is asked for.
    fn room(&mut self, bytes: usize) -> Data {
        let bytes = match self.below(12) {
            0 => bytes / 2,
            _ => bytes,
        };
        if bytes == 0 {
            Data::None
        } else {
            Data::In(bytes)
        }
    }

    /// Questions about the disk, with pages and lengths of all kinds.
    fn question(&mut self) -> (Vec<u8>, Data) {
        let length = [0, 4, 5, 36, 64, 96, 192, 255][self.below(8) as usize];
        let pages = [0x00, 0x80, 0x83, 0x86, 0xB0, 0xB1, 0xB2, 0x08, 0x0A, 0x3F];
        let mut page = pages[self.below(10) as usize];
        if self.below(8) == 0 {
            page = self.below(256) as u8;
        }
        let no_blocks = 8 * self.below(2) as u8;
        let cdb = match self.below(11) {
            0 => vec![0x12, 0, 0, 0, length, 0],
            1 | 2 => vec![0x12, 1, page, 0, length, 0],
            3 => vec![0x1A, no_blocks, page, 0, length, 0],
            4 => vec![0x5A, no_blocks, page, 0, 0, 0, 0, 0, length, 0],
            5 => vec![0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            6 => vec![0x9E, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, length, 0, 0],
            7 => vec![0xA0, 0, 0, 0, 0, 0, 0, 0, 0, length, 0, 0],
            8 => vec![0x03, 0, 0, 0, length, 0],
            9 => vec![0x4D, 0, 0x40 | page & 0x3F, 0, 0, 0, 0, 0, length, 0],
            _ => return (vec![0; 6], Data::None),
        };
        let bytes = if cdb[0] == 0x25 { 8 } else { length.into() };
        let data = self.room(bytes);
        (cdb, data)
    }

    /// Commands that change something beside data.
    fn order(&mut self) -> (Vec<u8>, Data) {
        let immediate = 2 * self.below(2) as u8;
        match self.below(6) {
            0 => (vec![0x35, immediate, 0, 0, 0, 0, 0, 0, 0, 0], Data::None),
            1 => {
                let mut cdb = vec![0x91, immediate];
                cdb.resize(16, 0);
                (cdb, Data::None)
            }
            2 => (vec![0x1B, 1, 0, 0, self.below(4) as u8, 0], Data::None),
            3 => (vec![0x1E, 0, 0, 0, self.below(2) as u8, 0], Data::None),
            4 => {
                // UNMAP with one descriptor far from what is read.
                let lba = self.blocks / 2 + self.below(self.blocks / 2 + 8);
                let mut list = vec![0, 22, 0, 16, 0, 0, 0, 0];
                list.extend(lba.to_be_bytes());
                list.extend(8_u32.to_be_bytes());
                list.extend([0; 4]);
                (vec![0x42, 0, 0, 0, 0, 0, 0, 0, 24, 0], Data::Out(list))
            }
            _ => {
                let length = self.below(32) as u8;
                let data = match length {
                    0 => Data::None,
                    _ => Data::Out(self.bytes(length.into())),
                };
                (vec![0x15, 0x10, 0, 0, length, 0], data)
            }
        }
    }

    /// Any bytes at all.
    fn nonsense(&mut self) -> (Vec<u8>, Data) {
        let length = [6, 10, 12, 16][self.below(4) as usize];
        let cdb = self.bytes(length);
        // What is written depends on more than a random descriptor block says: only reading is left to chance.
        (cdb, self.room(512))
    }
}

impl Iterator for Sequence {
    type Item = Step;

    fn next(&mut self) -> Option<Step> {
        let (cdb, data) = match self.below(16) {
            0..9 => self.transfer(),
            9..13 => self.question(),
            13 => self.order(),
            _ => self.nonsense(),
        };
        let srb = if self.below(2) == 0 {
            SrbKind::Scsi
        } else {
            SrbKind::Storage
        };
        Some(Step {
            cdb,
            data,
            srb,
            buffer_offset: self.below(1024) as usize * 4,
        })
    }
}

//! A namespace: whole blocks on top of media, and what identifies them.

use std::io;

use crate::media::Media;
use crate::profile::Deallocated;

/// The identifier of an organisation that was never assigned, as in an EUI-64.
pub(crate) const OUI: [u8; 3] = [0xFE, 0xED, 0x00];

/// A namespace.
pub(crate) struct Namespace {
    /// Its identifier.
    pub(crate) nsid: u32,
    /// Its size in blocks.
    pub(crate) blocks: u64,
    /// Size of a block.
    pub(crate) block_bytes: u32,
    /// It is attached to the controller.
    pub(crate) active: bool,
    /// It cannot be written.
    pub(crate) write_protected: bool,
    /// It has changed in a way that the host cannot have known of.
    pub(crate) surprise: Surprise,
    /// How often another one took its place.
    made: u8,
    media: Box<dyn Media>,
}

/// How long after the host has heard of a change commands may come that it had sent before.
const UNDER_WAY_NS: u64 = 100_000_000;

/// What the host knows of a change of a namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Surprise {
    /// There was none.
    None,
    /// Nothing yet.
    Unknown,
    /// It has looked at the namespace, or at the list, at this time.
    KnownSince(u64),
}

impl Surprise {
    /// The namespace changes by itself.
    pub(crate) fn begin(&mut self) {
        *self = Self::Unknown;
    }

    /// The host looks.
    pub(crate) fn end(&mut self, now_ns: u64) {
        if *self == Self::Unknown {
            *self = Self::KnownSince(now_ns);
        }
    }

    /// Whether the host cannot be blamed for a command that is wrong since the change.
    pub(crate) fn excuses(self, now_ns: u64) -> bool {
        match self {
            Self::None => false,
            Self::Unknown => true,
            Self::KnownSince(since_ns) => now_ns < since_ns.saturating_add(UNDER_WAY_NS),
        }
    }
}

impl Namespace {
    /// As many whole blocks as the media hold.
    pub(crate) fn new(nsid: u32, media: Box<dyn Media>, block_bytes: u32) -> Self {
        Self {
            nsid,
            blocks: media.len_bytes() / u64::from(block_bytes),
            block_bytes,
            active: true,
            write_protected: false,
            surprise: Surprise::None,
            made: 0,
            media,
        }
    }

    /// It has this size from now on, as far as the media go.
    pub(crate) fn resize(&mut self, bytes: u64) {
        let bytes = bytes.min(self.media.len_bytes());
        self.blocks = bytes / u64::from(self.block_bytes);
    }

    /// Another one takes its place: of this size, as far as the media go, and with nothing in it.
    pub(crate) fn create(&mut self, bytes: u64) {
        self.active = true;
        self.write_protected = false;
        self.made = self.made.wrapping_add(1);
        self.clear();
        self.resize(bytes);
    }

    /// It has blocks of this size from now on, and nothing in them.
    pub(crate) fn format(&mut self, block_bytes: u32) {
        let bytes = self.blocks * u64::from(self.block_bytes);
        self.clear();
        self.block_bytes = block_bytes;
        self.resize(bytes);
    }

    fn clear(&mut self) {
        let zeroed = self.media.zero(0, self.media.len_bytes());
        zeroed.expect("the media can be written");
    }

    /// `blocks` blocks from `lba` on exist.
    pub(crate) fn contains(&self, lba: u64, blocks: u64) -> bool {
        lba.checked_add(blocks)
            .is_some_and(|end| end <= self.blocks)
    }

    fn offset(&self, lba: u64) -> u64 {
        lba * u64::from(self.block_bytes)
    }

    /// Reads `blocks` blocks that exist.
    pub(crate) fn read(&mut self, lba: u64, blocks: u64) -> io::Result<Vec<u8>> {
        let mut data = vec![0; (blocks * u64::from(self.block_bytes)) as usize];
        self.media.read_at(self.offset(lba), &mut data)?;
        Ok(data)
    }

    /// Writes blocks that exist.
    pub(crate) fn write(&mut self, lba: u64, data: &[u8]) -> io::Result<()> {
        self.media.write_at(self.offset(lba), data)
    }

    /// Makes `blocks` blocks that exist read as zero.
    pub(crate) fn zero(&mut self, lba: u64, blocks: u64) -> io::Result<()> {
        self.media.zero(self.offset(lba), self.offset(blocks))
    }

    /// Deallocates `blocks` blocks that exist.
    pub(crate) fn deallocate(
        &mut self,
        lba: u64,
        blocks: u64,
        deallocated: Deallocated,
    ) -> io::Result<()> {
        if deallocated == Deallocated::Zeros {
            return self.zero(lba, blocks);
        }
        for lba in lba..lba + blocks {
            let spread = lba.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
            let byte = match (deallocated, spread % 3) {
                (Deallocated::Any, 0) => continue,
                (Deallocated::Any, 1) => 0,
                (Deallocated::Any, _) => spread as u8 | 1,
                _ => 0xFF,
            };
            self.write(lba, &vec![byte; self.block_bytes as usize])?;
        }
        Ok(())
    }

    /// Returns when everything written is durable.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.media.flush()
    }

    /// EUI-64: the organisation, then a number of its own.
    pub(crate) fn eui64(&self) -> [u8; 8] {
        let mut eui64 = [0, 0, 0, 1, 0, 0, 0, 0];
        eui64[..3].copy_from_slice(&OUI);
        eui64[3] += self.made;
        eui64[4..].copy_from_slice(&self.nsid.to_be_bytes());
        eui64
    }

    /// NGUID: a vendor specific identifier, the organisation, then a number of its own.
    pub(crate) fn nguid(&self) -> [u8; 16] {
        let mut nguid = [0; 16];
        nguid[..8].copy_from_slice(b"software");
        nguid[8..].copy_from_slice(&self.eui64());
        nguid
    }

    /// UUID of version 8, which a vendor may fill as it likes.
    pub(crate) fn uuid(&self) -> [u8; 16] {
        let mut uuid = self.nguid();
        uuid[6] = 0x80 | uuid[6] & 0x0F;
        uuid[8] = 0x80 | uuid[8] & 0x3F;
        uuid
    }
}

//! A namespace: whole blocks on top of media, and what identifies them.

use std::io;

use crate::media::Media;

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
    media: Box<dyn Media>,
}

impl Namespace {
    /// As many whole blocks as the media hold.
    pub(crate) fn new(nsid: u32, media: Box<dyn Media>, block_bytes: u32) -> Self {
        Self {
            nsid,
            blocks: media.len_bytes() / u64::from(block_bytes),
            block_bytes,
            active: true,
            media,
        }
    }

    /// It has this size from now on, as far as the media go.
    pub(crate) fn resize(&mut self, bytes: u64) {
        let bytes = bytes.min(self.media.len_bytes());
        self.blocks = bytes / u64::from(self.block_bytes);
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

    /// Returns when everything written is durable.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.media.flush()
    }

    /// EUI-64: the organisation, then a number of its own.
    pub(crate) fn eui64(&self) -> [u8; 8] {
        let mut eui64 = [0, 0, 0, 1, 0, 0, 0, 0];
        eui64[..3].copy_from_slice(&OUI);
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

//! The layout that CDBs with a block address share (SBC-3, 5), and the check against the size of the medium.

use core::num::NonZeroU64;

use bitfield_struct::bitfield;
use zerocopy::big_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::sense::Sense;

/// Consecutive logical blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    pub(crate) lba: u64,
    pub(crate) blocks: u32,
}

impl Extent {
    /// The extent, when it lies within a namespace of so many blocks.
    pub(crate) fn within(self, blocks: NonZeroU64) -> Result<Self, Sense> {
        match self.lba.checked_add(self.blocks.into()) {
            Some(end) if end <= blocks.get() => Ok(self),
            _ => Err(Sense::LOGICAL_BLOCK_ADDRESS_OUT_OF_RANGE),
        }
    }
}

/// The 6-byte commands that name logical blocks: READ and WRITE.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct Block6Bytes {
    _operation_code: u8,
    /// The upper three bits are reserved.
    lba_high: u8,
    lba_low: U16,
    /// 0 stands for 256.
    blocks: u8,
    _control: u8,
}

/// The 10-byte commands that name logical blocks.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct Block10Bytes {
    _operation_code: u8,
    pub(crate) flags: BlockFlags,
    lba: U32,
    _group_number: u8,
    blocks: U16,
    _control: u8,
}

/// The 12-byte commands that name logical blocks.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct Block12Bytes {
    _operation_code: u8,
    pub(crate) flags: BlockFlags,
    lba: U32,
    blocks: U32,
    _group_number: u8,
    _control: u8,
}

/// The 16-byte commands that name logical blocks.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct Block16Bytes {
    _operation_code: u8,
    pub(crate) flags: BlockFlags,
    lba: U64,
    blocks: U32,
    _group_number: u8,
    _control: u8,
}

/// Byte 1 of READ, WRITE and VERIFY. BYTCHK is reserved or obsolete in READ and WRITE, FUA in VERIFY. RARC, DPO and the obsolete
/// `FUA_NV` are hints that NVMe has no like of.
#[bitfield(u8)]
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
pub(crate) struct BlockFlags {
    __: bool,
    #[bits(2, access = RO)]
    pub(crate) bytchk: u8,
    #[bits(access = RO)]
    pub(crate) fua: bool,
    __: bool,
    #[bits(3, access = RO)]
    pub(crate) protect: u8,
}

impl Block6Bytes {
    pub(crate) fn extent(&self) -> Extent {
        Extent {
            lba: u64::from(self.lba_high & 0x1F) << 16 | u64::from(self.lba_low.get()),
            blocks: match self.blocks {
                0 => 0x100,
                blocks => blocks.into(),
            },
        }
    }
}

impl Block10Bytes {
    pub(crate) fn extent(&self) -> Extent {
        Extent {
            lba: self.lba.get().into(),
            blocks: self.blocks.get().into(),
        }
    }
}

impl Block12Bytes {
    pub(crate) fn extent(&self) -> Extent {
        Extent {
            lba: self.lba.get().into(),
            blocks: self.blocks.get(),
        }
    }
}

impl Block16Bytes {
    pub(crate) fn extent(&self) -> Extent {
        Extent {
            lba: self.lba.get(),
            blocks: self.blocks.get(),
        }
    }
}

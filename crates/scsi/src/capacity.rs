//! READ CAPACITY(10) and READ CAPACITY(16) (SBC-3, 5).

use zerocopy::big_endian::{U32, U64};
use zerocopy::{FromZeros, Immutable, IntoBytes};

use crate::reply::Reply;
use crate::unit::LogicalUnit;

#[derive(IntoBytes, Immutable)]
#[repr(C)]
struct Capacity10 {
    last_lba: U32,
    block_bytes: U32,
}

#[derive(FromZeros, IntoBytes, Immutable)]
#[repr(C)]
struct Capacity16 {
    last_lba: U64,
    block_bytes: U32,
    /// Protection, physical block exponent, provisioning and alignment: none is claimed.
    properties: [u8; 20],
}

const _: () = assert!(size_of::<Capacity10>() == 8 && size_of::<Capacity16>() == 32);

/// A last block that 32 bits cannot name becomes `FFFF_FFFFh`, which tells the initiator to ask with READ CAPACITY(16).
pub(crate) fn read_capacity_10(unit: &LogicalUnit<'_>, reply: &mut Reply<'_>) {
    reply.push(&Capacity10 {
        last_lba: U32::new(u32::try_from(last_lba(unit)).unwrap_or(u32::MAX)),
        block_bytes: U32::new(unit.block_size.bytes()),
    });
}

pub(crate) fn read_capacity_16(unit: &LogicalUnit<'_>, reply: &mut Reply<'_>) {
    reply.push(&Capacity16 {
        last_lba: U64::new(last_lba(unit)),
        block_bytes: U32::new(unit.block_size.bytes()),
        ..FromZeros::new_zeroed()
    });
}

fn last_lba(unit: &LogicalUnit<'_>) -> u64 {
    unit.blocks.get().saturating_sub(1)
}

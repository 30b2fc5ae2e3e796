//! The pages about blocks: block limits, block device characteristics, logical block provisioning (SBC-3, 6.6).

use zerocopy::big_endian::{U16, U32, U64};
use zerocopy::{FromZeros, Immutable, IntoBytes};

use crate::reply::Reply;
use crate::unit::LogicalUnit;

/// Block limits after its header. What is zero is not reported, or not supported: COMPARE AND WRITE and atomic writes are not.
#[derive(FromZeros, IntoBytes, Immutable)]
#[repr(C)]
struct BlockLimits {
    /// WSNZ: WRITE SAME has to count its blocks.
    wsnz: u8,
    maximum_compare_and_write_blocks: u8,
    optimal_transfer_granularity_blocks: U16,
    maximum_transfer_blocks: U32,
    optimal_transfer_blocks: U32,
    maximum_prefetch_blocks: U32,
    maximum_unmap_blocks: U32,
    maximum_unmap_descriptors: U32,
    optimal_unmap_granularity_blocks: U32,
    /// UGAVALID is bit 31.
    unmap_granularity_alignment: U32,
    maximum_write_same_blocks: U64,
    atomic: [U32; 5],
}

const _: () = assert!(size_of::<BlockLimits>() == 0x3C);

pub(super) fn block_limits(unit: &LogicalUnit<'_>, reply: &mut Reply<'_>) {
    let most = unit.maximum_transfer_blocks();
    let page = BlockLimits {
        optimal_transfer_granularity_blocks: U16::new(unit.transfer_granularity_blocks()),
        maximum_transfer_blocks: U32::new(most),
        optimal_transfer_blocks: U32::new(unit.optimal_transfer_blocks().min(most)),
        ..FromZeros::new_zeroed()
    };
    reply.push(&page);
}

/// Block device characteristics after its header.
#[derive(FromZeros, IntoBytes, Immutable)]
#[repr(C)]
struct BlockDeviceCharacteristics {
    medium_rotation_rate: U16,
    /// Product type, form factor and so on: not reported.
    rest: [u8; 58],
}

const _: () = assert!(size_of::<BlockDeviceCharacteristics>() == 0x3C);

pub(super) fn block_device_characteristics(_: &LogicalUnit<'_>, reply: &mut Reply<'_>) {
    const NON_ROTATING: u16 = 1;
    reply.push(&BlockDeviceCharacteristics {
        medium_rotation_rate: U16::new(NON_ROTATING),
        ..FromZeros::new_zeroed()
    });
}

/// Logical block provisioning after its header: nothing is deallocated, and no block is provisioned thinly.
pub(super) fn logical_block_provisioning(_: &LogicalUnit<'_>, reply: &mut Reply<'_>) {
    reply.push_bytes(&[0; 4]);
}

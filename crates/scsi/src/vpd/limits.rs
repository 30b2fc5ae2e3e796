//! The pages about blocks: block limits, block device characteristics, logical block provisioning (SBC-3, 6.6).

use zerocopy::big_endian::{U16, U32, U64};
use zerocopy::{FromZeros, Immutable, IntoBytes};

use crate::reply::Reply;
use crate::unit::LogicalUnit;
use crate::write_same;

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
    const UGAVALID: u32 = 1 << 31;
    let most = unit.maximum_transfer_blocks();
    let mut page = BlockLimits {
        optimal_transfer_granularity_blocks: U16::new(unit.transfer_granularity_blocks()),
        maximum_transfer_blocks: U32::new(most),
        optimal_transfer_blocks: U32::new(unit.optimal_transfer_blocks().min(most)),
        ..FromZeros::new_zeroed()
    };
    if let Some(deallocation) = unit.deallocation {
        page.maximum_unmap_blocks = U32::new(deallocation.maximum_unmap_blocks());
        page.maximum_unmap_descriptors = U32::new(deallocation.maximum_descriptors().into());
        if let Some(preferred) = unit.hints.preferred {
            let granularity = u32::from(preferred.deallocate_granularity_z).saturating_add(1);
            let alignment = u32::from(preferred.deallocate_alignment_z).saturating_add(1);
            page.optimal_unmap_granularity_blocks = U32::new(granularity);
            // Ranges that begin at a multiple of the granularity begin at a multiple of the alignment.
            if granularity.is_multiple_of(alignment) {
                page.unmap_granularity_alignment = U32::new(UGAVALID);
            }
        }
    }
    if let Some(most) = write_same::maximum_blocks(unit) {
        page.wsnz = 1;
        page.maximum_write_same_blocks = U64::new(most.into());
    }
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

/// Logical block provisioning after its header: what deallocates, and that no block is provisioned thinly.
pub(super) fn logical_block_provisioning(unit: &LogicalUnit<'_>, reply: &mut Reply<'_>) {
    const LBPU: u8 = 1 << 7;
    /// UNMAP in WRITE SAME(16) and WRITE SAME(10).
    const LBPWS: u8 = 1 << 6 | 1 << 5;
    const LBPRZ: u8 = 1 << 2;
    const FULLY_PROVISIONED: u8 = 0;
    const RESOURCE_PROVISIONED: u8 = 1;
    let Some(deallocation) = unit.deallocation else {
        reply.push_bytes(&[0, 0, FULLY_PROVISIONED, 0]);
        return;
    };
    let mut flags = LBPU;
    if write_same::deallocates(unit) {
        flags |= LBPWS;
    }
    if deallocation.reads_zeroes {
        flags |= LBPRZ;
    }
    reply.push_bytes(&[0, flags, RESOURCE_PROVISIONED, 0]);
}

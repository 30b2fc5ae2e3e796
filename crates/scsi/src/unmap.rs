//! UNMAP (SBC-3, 5.28), which becomes Dataset Management: as many commands as the limits of the device make necessary.

use core::num::NonZeroU64;

use bitfield_struct::bitfield;
use nvme_spec::command::{
    Command, ContextAttributes, DATASET_RANGES_MAX, DatasetManagementCdw10, DatasetManagementCdw11,
    DatasetRange, NvmOpcode,
};
use zerocopy::big_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::cdb::{CONTROL, Cdb, Row, ignored, laid_out};
use crate::extent::Extent;
use crate::sense::Sense;
use crate::status::Outcome;
use crate::translate::{Action, command};
use crate::unit::{Deallocation, LogicalUnit};

pub(crate) const COMMANDS: [Row; 1] = [Row {
    // ANCHOR counts in byte 1.
    usage: &[0x42, 0x01, 0, 0, 0, 0, 0, 0xFF, 0xFF, CONTROL],
    ignored_flags: 0,
    ignored: &ignored::BLOCK_TEN,
    has_service_action: false,
    parse: |bytes| {
        let cdb = laid_out::<UnmapBytes>(bytes)?;
        Ok(Cdb::Unmap(Unmap {
            anchor: cdb.flags.anchor(),
            list_bytes: cdb.parameter_list_length.get(),
        }))
    },
}];

/// UNMAP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unmap {
    /// ANCHOR: the blocks are to keep what they need.
    anchor: bool,
    list_bytes: u16,
}

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct UnmapBytes {
    _operation_code: u8,
    flags: UnmapFlags,
    _reserved: [u8; 4],
    _group_number: u8,
    parameter_list_length: U16,
    _control: u8,
}

#[bitfield(u8)]
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
struct UnmapFlags {
    #[bits(access = RO)]
    anchor: bool,
    #[bits(7)]
    __: u8,
}

/// The header of the parameter list.
#[derive(FromBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct Header {
    _data_length: U16,
    descriptors_length: U16,
    _reserved: [u8; 4],
}

/// An UNMAP block descriptor.
#[derive(FromBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct Descriptor {
    lba: U64,
    blocks: U32,
    _reserved: [u8; 4],
}

const HEADER_BYTES: usize = size_of::<Header>();
const DESCRIPTOR_BYTES: usize = size_of::<Descriptor>();
const _: () = assert!(HEADER_BYTES == 8 && DESCRIPTOR_BYTES == 16);

/// The blocks that a descriptor of the parameter list names.
fn extent(list: &[u8], index: u16) -> Option<Extent> {
    let at = usize::from(index)
        .checked_mul(DESCRIPTOR_BYTES)?
        .checked_add(HEADER_BYTES)?;
    let (descriptor, _) = Descriptor::ref_from_prefix(list.get(at..)?).ok()?;
    Some(Extent {
        lba: descriptor.lba.get(),
        blocks: descriptor.blocks.get(),
    })
}

/// The deallocation that an UNMAP asks for: how far it has come. Its ranges are in the parameter list, which stays where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deallocate {
    /// The length of the parameter list: the bytes of the request's buffer that count as transferred in the end.
    pub bytes: u32,
    namespace_id: u32,
    namespace_blocks: NonZeroU64,
    limits: Deallocation,
    descriptors: u16,
    /// The descriptor that comes next, and how many of its blocks are done.
    next: u16,
    done_blocks: u32,
}

/// The bytes of the ranges of one command.
pub const RANGES_BYTES: usize = DATASET_RANGES_MAX * size_of::<DatasetRange>();
const _: () = assert!(RANGES_BYTES == 4096);

impl Deallocate {
    /// The next Dataset Management command, without its identifier and its data pointer, its ranges in `ranges`; `None` when there
    /// is nothing left to deallocate.
    ///
    /// `list` is the parameter list. It may belong to a program that changes it meanwhile, so each descriptor is checked again.
    pub fn next_command(
        &mut self,
        list: &[u8],
        ranges: &mut [u8; RANGES_BYTES],
    ) -> Result<Option<Command>, Sense> {
        ranges.fill(0);
        let most = self.limits.maximum_descriptors();
        let (places, _) = ranges.as_chunks_mut::<{ size_of::<DatasetRange>() }>();
        let mut places = places.iter_mut().take(most.into());
        let mut count = 0u16;
        let mut left = self.limits.command_blocks();
        while let Some(Extent { lba, blocks }) = self.rest(list)? {
            let blocks = u64::from(blocks.min(self.limits.range_blocks())).min(left) as u32;
            if blocks == 0 {
                break;
            }
            let Some(place) = places.next() else { break };
            let range = DatasetRange {
                attributes: ContextAttributes::new(),
                length_blocks: blocks,
                starting_lba: lba,
            };
            place.copy_from_slice(range.as_bytes());
            count = count.saturating_add(1);
            left = left.saturating_sub(blocks.into());
            self.done_blocks = self.done_blocks.saturating_add(blocks);
        }
        let Some(nr_z) = count.checked_sub(1) else {
            return Ok(None);
        };
        let dword10 = DatasetManagementCdw10::new().with_nr_z(nr_z as u8);
        Ok(Some(Command {
            cdw10: dword10.into_bits(),
            cdw11: DatasetManagementCdw11::new().with_ad(true).into_bits(),
            ..command(NvmOpcode::DATASET_MANAGEMENT, self.namespace_id)
        }))
    }

    /// What is left of the next descriptor that has anything left.
    fn rest(&mut self, list: &[u8]) -> Result<Option<Extent>, Sense> {
        while self.next < self.descriptors {
            let extent = extent(list, self.next).ok_or(Sense::PARAMETER_LIST_LENGTH_ERROR)?;
            let Extent { lba, blocks } = extent.within(self.namespace_blocks)?;
            if let Some(rest) = blocks
                .checked_sub(self.done_blocks)
                .filter(|rest| *rest != 0)
            {
                let lba = lba.saturating_add(self.done_blocks.into());
                return Ok(Some(Extent { lba, blocks: rest }));
            }
            self.next = self.next.saturating_add(1);
            self.done_blocks = 0;
        }
        Ok(None)
    }
}

/// Checks the whole parameter list before anything is deallocated. Descriptors may overlap and may name no block; one that is cut
/// off by the parameter list length is ignored.
pub(crate) fn unmap(request: Unmap, unit: &LogicalUnit<'_>, data: &[u8]) -> Result<Action, Sense> {
    let limits = unit.deallocation;
    let limits = limits.ok_or(Sense::INVALID_COMMAND_OPERATION_CODE)?;
    if request.anchor {
        return Err(Sense::INVALID_FIELD_IN_CDB);
    }
    if unit.write_protected {
        return Err(Sense::WRITE_PROTECTED);
    }
    let good = Action::Done(Outcome::good(request.list_bytes.into()));
    if request.list_bytes == 0 {
        return Ok(good);
    }
    let list = data.get(..request.list_bytes.into());
    let list = list.ok_or(Sense::PARAMETER_LIST_LENGTH_ERROR)?;
    let header = Header::ref_from_prefix(list);
    let (header, rest) = header.map_err(|_| Sense::PARAMETER_LIST_LENGTH_ERROR)?;
    let bytes = usize::from(header.descriptors_length.get()).min(rest.len());
    let descriptors = bytes.checked_div(DESCRIPTOR_BYTES).unwrap_or(0);
    let descriptors = u16::try_from(descriptors).unwrap_or(u16::MAX);
    if descriptors > limits.maximum_descriptors() {
        return Err(Sense::INVALID_FIELD_IN_PARAMETER_LIST);
    }
    let mut blocks = 0u64;
    for extent in (0..descriptors).filter_map(|index| extent(list, index)) {
        blocks = blocks.saturating_add(extent.within(unit.blocks)?.blocks.into());
    }
    if blocks > limits.maximum_unmap_blocks().into() {
        return Err(Sense::INVALID_FIELD_IN_PARAMETER_LIST);
    }
    if blocks == 0 {
        return Ok(good);
    }
    Ok(Action::Deallocate(Deallocate {
        bytes: request.list_bytes.into(),
        namespace_id: unit.namespace_id,
        namespace_blocks: unit.blocks,
        limits,
        descriptors,
        next: 0,
        done_blocks: 0,
    }))
}

//! READ CAPACITY(10) and READ CAPACITY(16) (SBC-3, 5).

use zerocopy::big_endian::{U16, U32, U64};
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::cdb::{CONTROL, CONTROL_IGNORED, Cdb, Row, SCSI_2_LUN, laid_out};
use crate::reply::Reply;
use crate::unit::LogicalUnit;

/// The obsolete RELADR.
const RELADR: u8 = 1;
/// PMI: obsolete, as the LOGICAL BLOCK ADDRESS that belongs to it.
const PMI: u8 = 1;

pub(crate) const COMMANDS: [Row; 2] = [
    Row {
        usage: &[0x25, 0, 0, 0, 0, 0, 0, 0, 0, CONTROL],
        ignored_flags: SCSI_2_LUN | RELADR,
        ignored: &[0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0, PMI, CONTROL_IGNORED],
        has_service_action: false,
        parse: |bytes| laid_out::<[u8; 10]>(bytes).map(|_| Cdb::ReadCapacity10),
    },
    Row {
        usage: &[
            0x9E, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0, CONTROL,
        ],
        ignored_flags: 0,
        ignored: &[
            0,
            0,
            0xFF,
            0xFF,
            0xFF,
            0xFF,
            0xFF,
            0xFF,
            0xFF,
            0xFF,
            0,
            0,
            0,
            0,
            PMI,
            CONTROL_IGNORED,
        ],
        has_service_action: true,
        parse: |bytes| {
            let cdb = laid_out::<ReadCapacity16Bytes>(bytes)?;
            Ok(Cdb::ReadCapacity16 {
                allocation_length: cdb.allocation_length.get(),
            })
        },
    },
];

/// SERVICE ACTION IN(16) as READ CAPACITY(16) lays it out. Its LOGICAL BLOCK ADDRESS is obsolete.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct ReadCapacity16Bytes {
    _operation_code: u8,
    _service_action: u8,
    _lba: [u8; 8],
    allocation_length: U32,
    _pmi: u8,
    _control: u8,
}

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
    /// No protection information.
    protection: u8,
    /// LOGICAL BLOCKS PER PHYSICAL BLOCK EXPONENT; `P_I_EXPONENT` 0.
    physical_exponent: u8,
    /// LBPME is bit 15, LBPRZ bit 14, LOWEST ALIGNED LOGICAL BLOCK ADDRESS the rest.
    provisioning: U16,
    reserved: [u8; 16],
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
    const LBPME: u16 = 1 << 15;
    const LBPRZ: u16 = 1 << 14;
    let provisioning = match unit.deallocation {
        None => 0,
        Some(deallocation) if deallocation.reads_zeroes => LBPME | LBPRZ,
        Some(_) => LBPME,
    };
    reply.push(&Capacity16 {
        last_lba: U64::new(last_lba(unit)),
        block_bytes: U32::new(unit.block_size.bytes()),
        physical_exponent: unit.physical_exponent(),
        provisioning: U16::new(provisioning),
        ..FromZeros::new_zeroed()
    });
}

fn last_lba(unit: &LogicalUnit<'_>) -> u64 {
    unit.blocks.get().saturating_sub(1)
}

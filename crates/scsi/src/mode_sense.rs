//! MODE SENSE(6) and MODE SENSE(10) (SPC-4, 6.13, 6.14 and 7.5; SBC-3).

use bitfield_struct::bitfield;
use zerocopy::big_endian::{U16, U32, U64};
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::cdb::{CONTROL, Cdb, Row, SCSI_2_LUN, ignored, laid_out};
use crate::mode_pages::{PAGES, PageControl};
use crate::reply::Reply;
use crate::sense::Sense;
use crate::unit::LogicalUnit;

pub(crate) const COMMANDS: [Row; 2] = [
    Row {
        // DBD counts in byte 1.
        usage: &[0x1A, 0x08, 0xFF, 0xFF, 0xFF, CONTROL],
        ignored_flags: SCSI_2_LUN,
        ignored: &ignored::SIX,
        has_service_action: false,
        parse: |bytes| {
            let cdb = laid_out::<ModeSense6Bytes>(bytes)?;
            Ok(Cdb::ModeSense(ModeSense {
                header: ModeHeader::Six,
                disable_block_descriptors: cdb.flags.dbd(),
                page_control: PageControl::from_field(cdb.page.pc()),
                page_code: cdb.page.page_code(),
                subpage_code: cdb.subpage_code,
                allocation_length: cdb.allocation_length.into(),
            }))
        },
    },
    Row {
        // DBD and LLBAA count in byte 1.
        usage: &[0x5A, 0x18, 0xFF, 0xFF, 0, 0, 0, 0xFF, 0xFF, CONTROL],
        ignored_flags: SCSI_2_LUN,
        ignored: &ignored::TEN,
        has_service_action: false,
        parse: |bytes| {
            let cdb = laid_out::<ModeSense10Bytes>(bytes)?;
            Ok(Cdb::ModeSense(ModeSense {
                header: ModeHeader::Ten {
                    long_lba_accepted: cdb.flags.llbaa(),
                },
                disable_block_descriptors: cdb.flags.dbd(),
                page_control: PageControl::from_field(cdb.page.pc()),
                page_code: cdb.page.page_code(),
                subpage_code: cdb.subpage_code,
                allocation_length: cdb.allocation_length.get(),
            }))
        },
    },
];

/// MODE SENSE(6) and MODE SENSE(10).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ModeSense {
    header: ModeHeader,
    /// DBD: no block descriptor.
    disable_block_descriptors: bool,
    /// PC: which values of the pages.
    page_control: PageControl,
    page_code: u8,
    subpage_code: u8,
    pub(crate) allocation_length: u16,
}

/// Which header the mode parameters begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ModeHeader {
    /// That of MODE SENSE(6).
    Six,
    /// That of MODE SENSE(10).
    Ten {
        /// LLBAA: the block descriptor may be the long one.
        long_lba_accepted: bool,
    },
}

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct ModeSense6Bytes {
    _operation_code: u8,
    flags: ModeSenseFlags,
    page: ModePage,
    subpage_code: u8,
    allocation_length: u8,
    _control: u8,
}

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct ModeSense10Bytes {
    _operation_code: u8,
    flags: ModeSenseFlags,
    page: ModePage,
    subpage_code: u8,
    _reserved: [u8; 3],
    allocation_length: U16,
    _control: u8,
}

#[bitfield(u8)]
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
struct ModeSenseFlags {
    #[bits(3)]
    __: u8,
    #[bits(access = RO)]
    dbd: bool,
    /// Reserved in MODE SENSE(6).
    #[bits(access = RO)]
    llbaa: bool,
    #[bits(3)]
    __: u8,
}

#[bitfield(u8)]
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
struct ModePage {
    #[bits(6, access = RO)]
    page_code: u8,
    #[bits(2, access = RO)]
    pc: u8,
}

const ALL_PAGES: u8 = 0x3F;
const ALL_SUBPAGES: u8 = 0xFF;

/// DEVICE-SPECIFIC PARAMETER of a direct access block device (SBC-3): DPO and FUA are accepted.
const DPOFUA: u8 = 1 << 4;
/// DEVICE-SPECIFIC PARAMETER: the medium is write-protected.
const WP: u8 = 1 << 7;

#[derive(FromZeros, IntoBytes, Immutable)]
#[repr(C)]
struct Header6 {
    /// What follows this byte.
    mode_data_length: u8,
    medium_type: u8,
    device_specific: u8,
    block_descriptor_length: u8,
}

#[derive(FromZeros, IntoBytes, Immutable)]
#[repr(C)]
struct Header10 {
    /// What follows this field.
    mode_data_length: U16,
    medium_type: u8,
    device_specific: u8,
    long_lba: u8,
    reserved: u8,
    block_descriptor_length: U16,
}

#[derive(FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct ShortBlockDescriptor {
    pub(crate) blocks: U32,
    /// The upper byte is reserved; the length has three.
    pub(crate) block_bytes: U32,
}

#[derive(FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct LongBlockDescriptor {
    pub(crate) blocks: U64,
    reserved: U32,
    pub(crate) block_bytes: U32,
}

pub(crate) fn mode_sense(
    request: ModeSense,
    unit: &LogicalUnit<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), Sense> {
    if request.page_control == PageControl::Saved {
        return Err(Sense::SAVING_PARAMETERS_NOT_SUPPORTED);
    }
    // No page has subpages: the only ones to name are the page itself and all that there are.
    if !matches!(request.subpage_code, 0 | ALL_SUBPAGES) {
        return Err(Sense::INVALID_FIELD_IN_CDB);
    }
    let asked = |code: u8| matches!(request.page_code, ALL_PAGES) || request.page_code == code;
    if !PAGES.iter().any(|page| asked(page.code)) {
        return Err(Sense::INVALID_FIELD_IN_CDB);
    }
    header(request, unit, reply);
    if !request.disable_block_descriptors {
        block_descriptor(request.header, unit, reply);
    }
    for page in PAGES.iter().filter(|page| asked(page.code)) {
        page.write(request.page_control, unit, reply);
    }
    mode_data_length(request.header, reply);
    Ok(())
}

/// The header, its MODE DATA LENGTH still zero.
fn header(request: ModeSense, unit: &LogicalUnit<'_>, reply: &mut Reply<'_>) {
    let device_specific = if unit.write_protected {
        WP | DPOFUA
    } else {
        DPOFUA
    };
    let (descriptor_bytes, long_lba) = match request.header {
        _ if request.disable_block_descriptors => (0, false),
        ModeHeader::Ten {
            long_lba_accepted: true,
        } => (size_of::<LongBlockDescriptor>(), true),
        _ => (size_of::<ShortBlockDescriptor>(), false),
    };
    match request.header {
        ModeHeader::Six => reply.push(&Header6 {
            device_specific,
            block_descriptor_length: descriptor_bytes as u8,
            ..FromZeros::new_zeroed()
        }),
        ModeHeader::Ten { .. } => reply.push(&Header10 {
            device_specific,
            long_lba: long_lba.into(),
            block_descriptor_length: U16::new(descriptor_bytes as u16),
            ..FromZeros::new_zeroed()
        }),
    }
}

/// Fills in the MODE DATA LENGTH, which counts what follows it.
fn mode_data_length(header: ModeHeader, reply: &mut Reply<'_>) {
    match header {
        ModeHeader::Six => {
            let rest = reply.length().saturating_sub(1);
            reply.patch(0, &[rest as u8]);
        }
        ModeHeader::Ten { .. } => {
            let rest = reply.length().saturating_sub(2);
            reply.patch(0, &(rest as u16).to_be_bytes());
        }
    }
}

/// How many blocks there are and of what size. The short descriptor says `FFFF_FFFFh` where 32 bits do not suffice.
fn block_descriptor(header: ModeHeader, unit: &LogicalUnit<'_>, reply: &mut Reply<'_>) {
    let blocks = unit.blocks.get();
    let block_bytes = U32::new(unit.block_size.bytes());
    match header {
        ModeHeader::Ten {
            long_lba_accepted: true,
        } => reply.push(&LongBlockDescriptor {
            blocks: U64::new(blocks),
            reserved: U32::ZERO,
            block_bytes,
        }),
        _ => reply.push(&ShortBlockDescriptor {
            blocks: U32::new(u32::try_from(blocks).unwrap_or(u32::MAX)),
            block_bytes,
        }),
    }
}

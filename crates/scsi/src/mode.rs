//! MODE SENSE(6) and MODE SENSE(10) (SPC-4, 6.13, 6.14 and 7.5; SBC-3).

use zerocopy::big_endian::{U16, U32, U64};
use zerocopy::{FromZeros, Immutable, IntoBytes};

use crate::cdb::{ModeHeader, ModeSense, PageControl};
use crate::reply::Reply;
use crate::sense::Sense;
use crate::unit::LogicalUnit;

const CACHING: u8 = 0x08;
const CONTROL: u8 = 0x0A;
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

#[derive(IntoBytes, Immutable)]
#[repr(C)]
struct ShortBlockDescriptor {
    blocks: U32,
    /// The upper byte is reserved; the length has three.
    block_bytes: U32,
}

#[derive(IntoBytes, Immutable)]
#[repr(C)]
struct LongBlockDescriptor {
    blocks: U64,
    reserved: U32,
    block_bytes: U32,
}

/// Caching mode page (SBC-3).
#[derive(FromZeros, IntoBytes, Immutable)]
#[repr(C)]
struct CachingPage {
    page_code: u8,
    page_length: u8,
    /// WCE is bit 2.
    flags: u8,
    rest: [u8; 17],
}

/// Control mode page (SPC-4, 7.5.8).
#[derive(FromZeros, IntoBytes, Immutable)]
#[repr(C)]
struct ControlPage {
    page_code: u8,
    page_length: u8,
    /// TST 0: one task set for all initiators. `D_SENSE` 0: fixed format. GLTSD is bit 1.
    flags: u8,
    /// QUEUE ALGORITHM MODIFIER is bits 4 to 7.
    queue: u8,
    flags_4: u8,
    flags_5: u8,
    obsolete: U16,
    busy_timeout_period: U16,
    extended_self_test_seconds: U16,
}

const _: () = assert!(size_of::<CachingPage>() == 20 && size_of::<ControlPage>() == 12);

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
    let (caching, control) = match request.page_code {
        CACHING => (true, false),
        CONTROL => (false, true),
        ALL_PAGES => (true, true),
        _ => return Err(Sense::INVALID_FIELD_IN_CDB),
    };
    header(request, unit, reply);
    if !request.disable_block_descriptors {
        block_descriptor(request.header, unit, reply);
    }
    if caching {
        reply.push(&caching_page(request.page_control, unit));
    }
    if control {
        reply.push(&control_page(request.page_control));
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

fn caching_page(page_control: PageControl, unit: &LogicalUnit<'_>) -> CachingPage {
    const WCE: u8 = 1 << 2;
    let controller = unit.controller;
    let write_cache = controller.volatile_write_cache
        && match page_control {
            PageControl::Current => controller.write_cache_enabled,
            PageControl::Default => true,
            // Nothing can be changed: MODE SELECT is not offered.
            PageControl::Changeable | PageControl::Saved => false,
        };
    CachingPage {
        page_code: CACHING,
        page_length: 0x12,
        flags: if write_cache { WCE } else { 0 },
        ..FromZeros::new_zeroed()
    }
}

fn control_page(page_control: PageControl) -> ControlPage {
    const GLTSD: u8 = 1 << 1;
    const UNRESTRICTED_REORDERING: u8 = 1 << 4;
    const UNLIMITED: u16 = 0xFFFF;
    let page = ControlPage {
        page_code: CONTROL,
        page_length: 0x0A,
        ..FromZeros::new_zeroed()
    };
    match page_control {
        PageControl::Current | PageControl::Default => ControlPage {
            flags: GLTSD,
            queue: UNRESTRICTED_REORDERING,
            busy_timeout_period: U16::new(UNLIMITED),
            ..page
        },
        PageControl::Changeable | PageControl::Saved => page,
    }
}

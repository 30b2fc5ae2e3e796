//! MODE SELECT(6) and MODE SELECT(10) (SPC-4, 6.11 and 6.12). The volatile write cache is all that can be changed.

use bitfield_struct::bitfield;
use zerocopy::big_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::cdb::{CONTROL, Cdb, Row, SCSI_2_LUN, ignored, laid_out};
use crate::mode_pages::{CACHING, PAGE_BYTES, PAGES, PageControl, WCE};
use crate::mode_sense::{LongBlockDescriptor, ShortBlockDescriptor};
use crate::reply::Reply;
use crate::sense::Sense;
use crate::status::Outcome;
use crate::translate::Action;
use crate::unit::LogicalUnit;

/// PF and SP count in byte 1.
const FLAGS: u8 = 0x11;

pub(crate) const COMMANDS: [Row; 2] = [
    Row {
        usage: &[0x15, FLAGS, 0, 0, 0xFF, CONTROL],
        ignored_flags: SCSI_2_LUN,
        ignored: &ignored::SIX,
        has_service_action: false,
        parse: |bytes| {
            let cdb = laid_out::<ModeSelect6Bytes>(bytes)?;
            Ok(Cdb::ModeSelect(ModeSelect {
                long_header: false,
                page_format: cdb.flags.pf(),
                save: cdb.flags.sp(),
                list_bytes: cdb.parameter_list_length.into(),
            }))
        },
    },
    Row {
        usage: &[0x55, FLAGS, 0, 0, 0, 0, 0, 0xFF, 0xFF, CONTROL],
        ignored_flags: SCSI_2_LUN,
        ignored: &ignored::TEN,
        has_service_action: false,
        parse: |bytes| {
            let cdb = laid_out::<ModeSelect10Bytes>(bytes)?;
            Ok(Cdb::ModeSelect(ModeSelect {
                long_header: true,
                page_format: cdb.flags.pf(),
                save: cdb.flags.sp(),
                list_bytes: cdb.parameter_list_length.get(),
            }))
        },
    },
];

/// MODE SELECT(6) and MODE SELECT(10).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ModeSelect {
    /// The parameter list begins with the header of MODE SELECT(10).
    long_header: bool,
    /// PF: the pages are as the standard lays them out.
    page_format: bool,
    /// SP: save the pages.
    save: bool,
    list_bytes: u16,
}

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct ModeSelect6Bytes {
    _operation_code: u8,
    flags: ModeSelectFlags,
    _reserved: [u8; 2],
    parameter_list_length: u8,
    _control: u8,
}

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct ModeSelect10Bytes {
    _operation_code: u8,
    flags: ModeSelectFlags,
    _reserved: [u8; 5],
    parameter_list_length: U16,
    _control: u8,
}

#[bitfield(u8)]
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
struct ModeSelectFlags {
    #[bits(access = RO)]
    sp: bool,
    #[bits(3)]
    __: u8,
    #[bits(access = RO)]
    pf: bool,
    #[bits(3)]
    __: u8,
}

/// The parameter list is checked whole. What it says of pages has to be as it is, but for what can be changed.
pub(crate) fn mode_select(
    request: ModeSelect,
    unit: &LogicalUnit<'_>,
    data: &[u8],
) -> Result<Action, Sense> {
    if request.save || !request.page_format && request.list_bytes != 0 {
        return Err(Sense::INVALID_FIELD_IN_CDB);
    }
    let bytes = u32::from(request.list_bytes);
    let good = Action::Done(Outcome::good(bytes));
    if request.list_bytes == 0 {
        return Ok(good);
    }
    let list = data.get(..request.list_bytes.into());
    let mut pages = after_header(list.ok_or(TRUNCATED)?, request.long_header, unit)?;
    let enabled = unit.controller.write_cache_enabled;
    let mut wanted = enabled;
    while !pages.is_empty() {
        let (code, page, rest) = split_page(pages)?;
        check_page(code, page, unit)?;
        if code == CACHING
            && let [_, _, flags, ..] = page
        {
            wanted = flags & WCE != 0;
        }
        pages = rest;
    }
    if wanted == enabled || !unit.controller.volatile_write_cache {
        return Ok(good);
    }
    Ok(Action::SetWriteCache {
        enable: wanted,
        bytes,
    })
}

const TRUNCATED: Sense = Sense::PARAMETER_LIST_LENGTH_ERROR;
const INVALID: Sense = Sense::INVALID_FIELD_IN_PARAMETER_LIST;

/// The pages: what follows the header and the block descriptor, which has to describe the medium as it is. MODE DATA LENGTH, WP and
/// DPOFUA are reserved here, and what MODE SENSE returned for them may stand in their place.
fn after_header<'a>(
    list: &'a [u8],
    long_header: bool,
    unit: &LogicalUnit<'_>,
) -> Result<&'a [u8], Sense> {
    let (medium_type, long_lba, descriptor_bytes, rest) = match list {
        [_, medium_type, _, length, rest @ ..] if !long_header => {
            (*medium_type, false, usize::from(*length), rest)
        }
        [_, _, medium_type, _, long_lba, _, high, low, rest @ ..] if long_header => {
            let length = u16::from_be_bytes([*high, *low]);
            (*medium_type, long_lba & 1 != 0, length.into(), rest)
        }
        _ => return Err(TRUNCATED),
    };
    if medium_type != 0 {
        return Err(INVALID);
    }
    let (descriptor, rest) = rest.split_at_checked(descriptor_bytes).ok_or(TRUNCATED)?;
    if descriptor.is_empty() {
        return Ok(rest);
    }
    // All ones stand for a number that the field cannot hold, or for all there are; 0 for as many as now.
    let (blocks, most, block_bytes) = if long_lba {
        let long = LongBlockDescriptor::read_from_bytes(descriptor).map_err(|_| INVALID)?;
        (long.blocks.get(), u64::MAX, long.block_bytes.get())
    } else {
        let short = ShortBlockDescriptor::read_from_bytes(descriptor).map_err(|_| INVALID)?;
        let blocks = short.blocks.get().into();
        (
            blocks,
            u32::MAX.into(),
            short.block_bytes.get() & 0x00FF_FFFF,
        )
    };
    let as_now = blocks == 0 || blocks == most || blocks == unit.blocks.get();
    if !as_now || block_bytes != unit.block_size.bytes() {
        return Err(INVALID);
    }
    Ok(rest)
}

/// The first page, its code, and what follows the page. No page has subpages (SPF 0).
fn split_page(pages: &[u8]) -> Result<(u8, &[u8], &[u8]), Sense> {
    let [code, length, ..] = pages else {
        return Err(TRUNCATED);
    };
    let known = PAGES.iter().find(|page| page.code == *code);
    if known.is_none_or(|page| page.length != *length) {
        return Err(INVALID);
    }
    let bytes = usize::from(*length).saturating_add(2);
    let (page, rest) = pages.split_at_checked(bytes).ok_or(TRUNCATED)?;
    Ok((*code, page, rest))
}

/// Refuses a page that is another one than the current one where nothing can be changed.
fn check_page(code: u8, page: &[u8], unit: &LogicalUnit<'_>) -> Result<(), Sense> {
    let known = PAGES.iter().find(|known| known.code == code);
    let known = known.ok_or(INVALID)?;
    let mut current = [0; PAGE_BYTES];
    let mut changeable = [0; PAGE_BYTES];
    for (control, bytes) in [
        (PageControl::Current, &mut current),
        (PageControl::Changeable, &mut changeable),
    ] {
        known.write(control, unit, &mut Reply::new(bytes, u32::MAX));
    }
    let places = current.iter().zip(&changeable).zip(page).skip(2);
    for ((current, changeable), wanted) in places {
        if (current ^ wanted) & !changeable != 0 {
            return Err(INVALID);
        }
    }
    Ok(())
}

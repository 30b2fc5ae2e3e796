//! LOG SENSE (SPC-4, 6.9 and 7.3): the list of the log pages.

use bitfield_struct::bitfield;
use zerocopy::big_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::cdb::{CONTROL, Cdb, Row, SCSI_2_LUN, ignored, laid_out};
use crate::reply::Reply;
use crate::sense::Sense;

/// PPC: obsolete.
const PPC: u8 = 1 << 1;

pub(crate) const COMMANDS: [Row; 1] = [Row {
    usage: &[0x4D, 0x01, 0xFF, 0xFF, 0, 0xFF, 0xFF, 0xFF, 0xFF, CONTROL],
    ignored_flags: SCSI_2_LUN | PPC,
    ignored: &ignored::TEN,
    has_service_action: false,
    parse: |bytes| {
        let cdb = laid_out::<LogSenseBytes>(bytes)?;
        Ok(Cdb::LogSense(LogSense {
            save: cdb.flags.sp(),
            page_code: cdb.page.page_code(),
            subpage_code: cdb.subpage_code,
            parameter_pointer: cdb.parameter_pointer.get(),
            allocation_length: cdb.allocation_length.get(),
        }))
    },
}];

/// LOG SENSE. Page control tells thresholds from values: the list has neither.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LogSense {
    /// SP: save the parameters.
    save: bool,
    page_code: u8,
    subpage_code: u8,
    parameter_pointer: u16,
    pub(crate) allocation_length: u16,
}

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct LogSenseBytes {
    _operation_code: u8,
    flags: LogSenseFlags,
    page: LogPage,
    subpage_code: u8,
    _reserved: u8,
    parameter_pointer: U16,
    allocation_length: U16,
    _control: u8,
}

#[bitfield(u8)]
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
struct LogSenseFlags {
    #[bits(access = RO)]
    sp: bool,
    #[bits(7)]
    __: u8,
}

#[bitfield(u8)]
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
struct LogPage {
    #[bits(6, access = RO)]
    page_code: u8,
    #[bits(2)]
    __: u8,
}

const SUPPORTED_PAGES: u8 = 0x00;
const ALL_SUBPAGES: u8 = 0xFF;
/// SPF: the page has a subpage code.
const SPF: u8 = 1 << 6;
/// The pages that there are, in ascending order.
const PAGES: [u8; 1] = [SUPPORTED_PAGES];

pub(crate) fn log_sense(request: LogSense, reply: &mut Reply<'_>) -> Result<(), Sense> {
    if request.save || request.parameter_pointer != 0 {
        return Err(Sense::INVALID_FIELD_IN_CDB);
    }
    match (request.page_code, request.subpage_code) {
        (SUPPORTED_PAGES, 0) => {
            reply.push_bytes(&[SUPPORTED_PAGES, 0, 0, PAGES.len() as u8]);
            reply.push_bytes(&PAGES);
        }
        // The pages with their subpages: each page itself, and this one.
        (SUPPORTED_PAGES, ALL_SUBPAGES) => {
            let length = PAGES.len().saturating_add(1).saturating_mul(2);
            reply.push_bytes(&[SUPPORTED_PAGES | SPF, ALL_SUBPAGES, 0, length as u8]);
            reply.push_bytes(&[SUPPORTED_PAGES, 0, SUPPORTED_PAGES, ALL_SUBPAGES]);
        }
        _ => return Err(Sense::INVALID_FIELD_IN_CDB),
    }
    Ok(())
}

//! REPORT LUNS (SPC-4, 6.33).

use zerocopy::big_endian::U32;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::cdb::{CONTROL, Cdb, Row, ignored, laid_out};
use crate::reply::Reply;
use crate::sense::Sense;
use crate::unit::Controller;

pub(crate) const COMMANDS: [Row; 1] = [Row {
    usage: &[0xA0, 0, 0xFF, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0, CONTROL],
    ignored_flags: 0,
    ignored: &ignored::TWELVE,
    has_service_action: false,
    parse: |bytes| {
        let cdb = laid_out::<ReportLunsBytes>(bytes)?;
        Ok(Cdb::ReportLuns(ReportLuns {
            select_report: cdb.select_report,
            allocation_length: cdb.allocation_length.get(),
        }))
    },
}];

/// REPORT LUNS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ReportLuns {
    select_report: u8,
    pub(crate) allocation_length: u32,
}

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct ReportLunsBytes {
    _operation_code: u8,
    _reserved_1: u8,
    select_report: u8,
    _reserved_3: [u8; 3],
    allocation_length: U32,
    _reserved_10: u8,
    _control: u8,
}

/// The shortest allocation length that the standard allows.
const MINIMUM_ALLOCATION: u32 = 16;
/// The bytes of one LUN in the list.
const LUN_BYTES: u32 = 8;

/// The logical units of the target. There are no well-known logical units.
pub(crate) fn report_luns(
    request: ReportLuns,
    controller: &Controller<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), Sense> {
    let luns = match request.select_report {
        // All but the well-known ones, and all.
        0 | 2 => controller.luns,
        // The well-known ones only.
        1 => &[],
        _ => return Err(Sense::INVALID_FIELD_IN_CDB),
    };
    if request.allocation_length < MINIMUM_ALLOCATION {
        return Err(Sense::INVALID_FIELD_IN_CDB);
    }
    // One byte numbers at most 256 units, but a list is only as good as whoever made it.
    let count = u32::try_from(luns.len()).unwrap_or(u32::MAX);
    reply.push(&U32::new(count.saturating_mul(LUN_BYTES)));
    reply.push(&U32::ZERO);
    for lun in luns {
        // Peripheral device addressing on bus 0 (SAM-5, single level LUN structure).
        reply.push(&[0, *lun, 0, 0, 0, 0, 0, 0]);
    }
    Ok(())
}

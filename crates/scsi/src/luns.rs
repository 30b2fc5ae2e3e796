//! REPORT LUNS (SPC-4, 6.33).

use zerocopy::big_endian::U32;

use crate::cdb::ReportLuns;
use crate::reply::Reply;
use crate::sense::Sense;
use crate::unit::Controller;

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

//! SYNCHRONIZE CACHE (SBC-3, 5), which becomes Flush.

use nvme_spec::command::NvmOpcode;

use crate::cdb::{CONTROL, Cdb, Row, ignored, laid_out};
use crate::extent::{Block10Bytes, Block16Bytes, Extent};
use crate::sense::Sense;
use crate::status::Outcome;
use crate::translate::{Action, DataDirection, command};
use crate::unit::LogicalUnit;

/// IMMED counts.
const FLAGS: u8 = 0x02;
/// The obsolete `SYNC_NV` and RELADR do not.
const FLAGS_IGNORED: u8 = 0x05;

pub(crate) const COMMANDS: [Row; 2] = [
    Row {
        usage: &[0x35, FLAGS, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0xFF, 0xFF, CONTROL],
        ignored_flags: FLAGS_IGNORED,
        ignored: &ignored::BLOCK_TEN,
        has_service_action: false,
        parse: |bytes| {
            let cdb = laid_out::<Block10Bytes>(bytes)?;
            Ok(Cdb::SynchronizeCache(cdb.extent()))
        },
    },
    Row {
        usage: &[
            0x91, FLAGS, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0,
            CONTROL,
        ],
        ignored_flags: FLAGS_IGNORED,
        ignored: &ignored::BLOCK_SIXTEEN,
        has_service_action: false,
        parse: |bytes| {
            let cdb = laid_out::<Block16Bytes>(bytes)?;
            Ok(Cdb::SynchronizeCache(cdb.extent()))
        },
    },
];

/// NVMe flushes a whole namespace. A request to answer before the flush is over (IMMED) is answered after it: a later promise, and
/// a stronger one.
pub(crate) fn synchronize_cache(extent: Extent, unit: &LogicalUnit<'_>) -> Result<Action, Sense> {
    extent.within(unit.blocks)?;
    Ok(flush(unit))
}

/// Flush, or success at once where there is nothing volatile.
pub(crate) fn flush(unit: &LogicalUnit<'_>) -> Action {
    if !unit.controller.volatile_write_cache {
        return Action::Done(Outcome::good(0));
    }
    Action::Submit {
        command: command(NvmOpcode::FLUSH, unit.namespace_id),
        direction: DataDirection::None,
        bytes: 0,
        more_blocks: 0,
    }
}

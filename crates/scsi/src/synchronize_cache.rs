//! SYNCHRONIZE CACHE (SBC-3, 5), which becomes Flush.

use nvme_spec::command::NvmOpcode;

use crate::cdb::{Cdb, Row, laid_out, usage};
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
    Row::of_blocks(&usage::block_ten(0x35, FLAGS), FLAGS_IGNORED, |bytes| {
        let cdb = laid_out::<Block10Bytes>(bytes)?;
        Ok(Cdb::SynchronizeCache(cdb.extent()))
    }),
    Row::of_blocks(&usage::block_sixteen(0x91, FLAGS), FLAGS_IGNORED, |bytes| {
        let cdb = laid_out::<Block16Bytes>(bytes)?;
        Ok(Cdb::SynchronizeCache(cdb.extent()))
    }),
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

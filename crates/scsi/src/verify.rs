//! VERIFY (SBC-3, 5), which becomes Verify where the controller has it.

use nvme_spec::command::{NvmOpcode, ReadWriteCdw12};

use crate::cdb::{Cdb, Row, laid_out, usage};
use crate::extent::{Block10Bytes, Block12Bytes, Block16Bytes, BlockFlags, Extent};
use crate::sense::Sense;
use crate::series;
use crate::status::Outcome;
use crate::translate::{Action, DataDirection};
use crate::unit::LogicalUnit;

/// VRPROTECT, DPO and BYTCHK count.
const FLAGS: u8 = 0xF6;
/// The obsolete RELADR does not.
const FLAGS_IGNORED: u8 = 0x01;

pub(crate) const COMMANDS: [Row; 3] = [
    Row::of_blocks(&usage::block_ten(0x2F, FLAGS), FLAGS_IGNORED, |bytes| {
        let cdb = laid_out::<Block10Bytes>(bytes)?;
        Ok(cdb.flags.verify(cdb.extent()))
    }),
    Row::of_blocks(&usage::block_twelve(0xAF, FLAGS), FLAGS_IGNORED, |bytes| {
        let cdb = laid_out::<Block12Bytes>(bytes)?;
        Ok(cdb.flags.verify(cdb.extent()))
    }),
    Row::of_blocks(&usage::block_sixteen(0x8F, FLAGS), FLAGS_IGNORED, |bytes| {
        let cdb = laid_out::<Block16Bytes>(bytes)?;
        Ok(cdb.flags.verify(cdb.extent()))
    }),
];

/// VERIFY(10), VERIFY(12) and VERIFY(16).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Verify {
    extent: Extent,
    /// VRPROTECT: what is done with protection information.
    protection: u8,
    /// BYTCHK: what the blocks are compared with; 0 for nothing.
    byte_check: u8,
}

impl BlockFlags {
    fn verify(self, extent: Extent) -> Cdb {
        Cdb::Verify(Verify {
            extent,
            protection: self.protect(),
            byte_check: self.bytchk(),
        })
    }
}

/// VERIFY without a comparison: the Verify command, as often as its limit makes necessary. Where there is none, success if the
/// blocks exist, as of a device that finds and mends bad blocks by itself (SBC-3, 5). What is cached is written to the medium
/// first (FUA). A comparison with data of the host is not carried out.
pub(crate) fn verify(request: Verify, unit: &LogicalUnit<'_>) -> Result<Action, Sense> {
    if request.protection != 0 || request.byte_check != 0 {
        return Err(Sense::INVALID_FIELD_IN_CDB);
    }
    let extent = request.extent.within(unit.blocks)?;
    let good = Action::Done(Outcome::good(0));
    let Some(most) = unit.command_blocks(unit.controller.verify_bytes) else {
        return Ok(good);
    };
    if extent.blocks == 0 {
        return Ok(good);
    }
    let flags = ReadWriteCdw12::new().with_fua(true);
    let (command, more_blocks) = series::first(NvmOpcode::VERIFY, unit, extent, most, flags)?;
    Ok(Action::Submit {
        command,
        direction: DataDirection::None,
        bytes: 0,
        more_blocks,
    })
}

//! VERIFY (SBC-3, 5), which becomes Verify where the controller has it.

use nvme_spec::command::{Command, NvmOpcode, ReadWriteCdw12};

use crate::cdb::{CONTROL, Cdb, Row, ignored, laid_out};
use crate::extent::{Block10Bytes, Block12Bytes, Block16Bytes, BlockFlags, Extent};
use crate::sense::Sense;
use crate::status::Outcome;
use crate::translate::{Action, DataDirection, command};
use crate::unit::LogicalUnit;

/// VRPROTECT, DPO and BYTCHK count.
const FLAGS: u8 = 0xF6;
/// The obsolete RELADR does not.
const FLAGS_IGNORED: u8 = 0x01;

pub(crate) const COMMANDS: [Row; 3] = [
    Row {
        usage: &[0x2F, FLAGS, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0xFF, 0xFF, CONTROL],
        ignored_flags: FLAGS_IGNORED,
        ignored: &ignored::BLOCK_TEN,
        has_service_action: false,
        parse: |bytes| {
            let cdb = laid_out::<Block10Bytes>(bytes)?;
            Ok(cdb.flags.verify(cdb.extent()))
        },
    },
    Row {
        usage: &[
            0xAF, FLAGS, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0, CONTROL,
        ],
        ignored_flags: FLAGS_IGNORED,
        ignored: &ignored::BLOCK_TWELVE,
        has_service_action: false,
        parse: |bytes| {
            let cdb = laid_out::<Block12Bytes>(bytes)?;
            Ok(cdb.flags.verify(cdb.extent()))
        },
    },
    Row {
        usage: &[
            0x8F, FLAGS, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0,
            CONTROL,
        ],
        ignored_flags: FLAGS_IGNORED,
        ignored: &ignored::BLOCK_SIXTEEN,
        has_service_action: false,
        parse: |bytes| {
            let cdb = laid_out::<Block16Bytes>(bytes)?;
            Ok(cdb.flags.verify(cdb.extent()))
        },
    },
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
    let Extent { lba, blocks } = request.extent.within(unit.blocks)?;
    let good = Action::Done(Outcome::good(0));
    let Some(most) = unit.command_blocks(unit.controller.verify_bytes) else {
        return Ok(good);
    };
    let first = blocks.min(most);
    let Some(last) = first.checked_sub(1) else {
        return Ok(good);
    };
    let nlb_z = u16::try_from(last).map_err(|_| Sense::INVALID_FIELD_IN_CDB)?;
    let dword12 = ReadWriteCdw12::new().with_nlb_z(nlb_z).with_fua(true);
    Ok(Action::Submit {
        command: Command {
            cdw10: lba as u32,
            cdw11: (lba >> 32) as u32,
            cdw12: dword12.into_bits(),
            ..command(NvmOpcode::VERIFY, unit.namespace_id)
        },
        direction: DataDirection::None,
        bytes: 0,
        more_blocks: blocks.saturating_sub(first),
    })
}

/// Goes from one Verify or Write Zeroes command to the next: it names the blocks behind those that it named, as many at most. How many are left
/// after it; `None` when there were none for it.
#[must_use]
pub fn next_verify(command: &mut Command, more_blocks: u32) -> Option<u32> {
    let dword12 = ReadWriteCdw12::from_bits(command.cdw12);
    let done = u32::from(dword12.nlb_z()).saturating_add(1);
    let blocks = more_blocks.min(done);
    let nlb_z = u16::try_from(blocks.checked_sub(1)?).ok()?;
    let lba = u64::from(command.cdw11) << 32 | u64::from(command.cdw10);
    let lba = lba.checked_add(u64::from(done))?;
    command.cdw10 = lba as u32;
    command.cdw11 = (lba >> 32) as u32;
    command.cdw12 = dword12.with_nlb_z(nlb_z).into_bits();
    Some(more_blocks.saturating_sub(blocks))
}

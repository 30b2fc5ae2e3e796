//! Blocks that take more commands than one: Verify and Write Zeroes, each of as many blocks as the controller takes at a time.

use nvme_spec::command::{Command, NvmOpcode, ReadWriteCdw12};

use crate::extent::Extent;
use crate::sense::Sense;
use crate::translate::command;
use crate::unit::LogicalUnit;

/// The command for the first blocks of `extent`, `most` of them at most, and how many are left after it. There has to be one block.
pub(crate) fn first(
    opcode: NvmOpcode,
    unit: &LogicalUnit<'_>,
    extent: Extent,
    most: u32,
    flags: ReadWriteCdw12,
) -> Result<(Command, u32), Sense> {
    let Extent { lba, blocks } = extent;
    let first = blocks.min(most);
    let nlb_z = u16::try_from(first.saturating_sub(1)).map_err(|_| Sense::INVALID_FIELD_IN_CDB)?;
    let command = Command {
        cdw10: lba as u32,
        cdw11: (lba >> 32) as u32,
        cdw12: flags.with_nlb_z(nlb_z).into_bits(),
        ..command(opcode, unit.namespace_id)
    };
    Ok((command, blocks.saturating_sub(first)))
}

/// Goes from one command of a series to the next: it names the blocks behind those that it named, as many at most. How many are left
/// after it; `None` when there were none for it.
#[must_use]
pub fn next_in_series(command: &mut Command, more_blocks: u32) -> Option<u32> {
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

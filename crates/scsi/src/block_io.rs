//! Reading, writing and flushing logical blocks: the requests that become NVMe commands (SBC-3, 5).

use core::num::NonZeroU64;

use nvme_spec::command::{Command, CommandDword0, NvmOpcode, ReadWriteCdw12};

use crate::cdb::{Access, Extent, Operation, StartStopUnit, Verify};
use crate::sense::Sense;
use crate::status::Outcome;
use crate::translate::{Action, DataDirection, Transfer};
use crate::unit::{LogicalUnit, Medium};

/// READ and WRITE: the command, without its identifier and its data pointer, or the answer at once. Its data is exactly the buffer
/// of the request: a CDB whose block count says otherwise, or whose direction is not the buffer's, would let the device reach memory
/// that was not offered to it.
#[inline]
pub fn access(access: Access, medium: &Medium, transfer: Transfer) -> Result<Command, Outcome> {
    let Extent { lba, blocks } = access.extent;
    let (opcode, offered) = match access.operation {
        Operation::Read => (NvmOpcode::READ, transfer.data_in),
        Operation::Write => (NvmOpcode::WRITE, transfer.data_out),
    };
    let end = lba.checked_add(u64::from(blocks));
    let inside = end.is_some_and(|end| end <= medium.blocks.get());
    let bytes = u64::from(blocks) << medium.block_size.shift();
    let fits = blocks <= medium.maximum_transfer_blocks && bytes == u64::from(transfer.bytes);
    if access.protection != 0 || !inside || !fits || !offered || blocks == 0 {
        return Err(refused_access(access, medium));
    }
    // At most 65,536 blocks, as the limit of the medium says.
    let nlb_z = blocks.wrapping_sub(1) as u16;
    let dword12 = ReadWriteCdw12::new().with_nlb_z(nlb_z).with_fua(access.fua);
    Ok(Command {
        cdw10: lba as u32,
        cdw11: (lba >> 32) as u32,
        cdw12: dword12.into_bits(),
        ..command(opcode, medium.namespace_id)
    })
}

/// The answer to READ or WRITE that is not carried out.
fn refused_access(access: Access, medium: &Medium) -> Outcome {
    if access.protection != 0 {
        return Outcome::check_condition(Sense::INVALID_FIELD_IN_CDB);
    }
    match within(access.extent, medium.blocks) {
        Err(sense) => Outcome::check_condition(sense),
        Ok(Extent { blocks: 0, .. }) => Outcome::good(0),
        Ok(_) => Outcome::check_condition(Sense::INVALID_FIELD_IN_CDB),
    }
}

/// VERIFY without a comparison: the Verify command, as often as its limit makes necessary. Where there is none, success if the
/// blocks exist, as of a device that finds and mends bad blocks by itself (SBC-3, 5). What is cached is written to the medium
/// first (FUA). A comparison with data of the host is not carried out.
pub(crate) fn verify(request: Verify, unit: &LogicalUnit<'_>) -> Result<Action, Sense> {
    if request.protection != 0 || request.byte_check != 0 {
        return Err(Sense::INVALID_FIELD_IN_CDB);
    }
    let Extent { lba, blocks } = within(request.extent, unit.blocks)?;
    let good = Action::Done(Outcome::good(0));
    let Some(most) = unit.maximum_verify_blocks() else {
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

/// Goes from one Verify command to the next: it names the blocks behind those that it named, as many at most. How many are left
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

/// SYNCHRONIZE CACHE. NVMe flushes a whole namespace. A request to answer before the flush is over (IMMED) is answered
/// after it: a later promise, and a stronger one.
pub(crate) fn synchronize_cache(extent: Extent, unit: &LogicalUnit<'_>) -> Result<Action, Sense> {
    within(extent, unit.blocks)?;
    Ok(flush(unit))
}

/// START STOP UNIT. A namespace is always started; what was written is made to last before it is stopped, unless the
/// request says that it need not.
pub(crate) fn start_stop_unit(
    request: StartStopUnit,
    unit: &LogicalUnit<'_>,
) -> Result<Action, Sense> {
    if request.power_condition != 0 || request.load_eject {
        return Err(Sense::INVALID_FIELD_IN_CDB);
    }
    if request.start || request.no_flush {
        return Ok(Action::Done(Outcome::good(0)));
    }
    Ok(flush(unit))
}

/// Flush, or success at once where there is nothing volatile.
fn flush(unit: &LogicalUnit<'_>) -> Action {
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

/// The extent, when it lies within a namespace of so many blocks.
fn within(extent: Extent, blocks: NonZeroU64) -> Result<Extent, Sense> {
    match extent.lba.checked_add(extent.blocks.into()) {
        Some(end) if end <= blocks.get() => Ok(extent),
        _ => Err(Sense::LOGICAL_BLOCK_ADDRESS_OUT_OF_RANGE),
    }
}

/// A command for a namespace.
fn command(opcode: NvmOpcode, namespace_id: u32) -> Command {
    Command {
        cdw0: CommandDword0::new().with_opcode(opcode.0),
        nsid: namespace_id,
        ..Command::default()
    }
}

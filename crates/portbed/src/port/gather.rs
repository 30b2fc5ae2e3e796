//! Scatter/gather lists that a miniport has the port driver build.
//!
//! The list is there when the miniport's routine is called: within the call that asks for it, or some time after it has returned, as
//! the seed decides.

use std::collections::BTreeMap;

use super::call::Call;
use super::mdl;
use super::srb::{fragments, list_bytes, write_list};
use crate::abi::status;
use crate::controller::DmaUse;
use crate::rules::port as rules;
use crate::schedule::irql::{self, DISPATCH};
use crate::schedule::{Callback, Cpu, Dispatch};
use crate::thunk::Arguments;

/// Lists that were built and not released, by the address of the miniport's buffer.
pub(super) type Lists = BTreeMap<u64, List>;

/// A scatter/gather list.
pub(super) struct List {
    buffer_bytes: u64,
    /// The memory that it is about.
    data: (u64, u64),
    parts: Vec<(u64, u64)>,
    to_device: bool,
    routine: (u64, u64),
    /// Whether the miniport has it.
    ready: bool,
}

impl List {
    fn touches(&self, buffer: u64, at: u64, bytes: u64) -> bool {
        let overlaps = |start: u64, length: u64| start < at + bytes && at < start + length;
        overlaps(buffer, self.buffer_bytes) || overlaps(self.data.0, self.data.1)
    }

    fn use_(&self) -> DmaUse {
        if self.to_device {
            DmaUse::Read
        } else {
            DmaUse::Write
        }
    }
}

/// `StorPortBuildScatterGatherList`.
pub(super) fn build(call: &Call, arguments: &mut Arguments) -> u32 {
    let (mdl, start, length) = (
        arguments.next_u64(),
        arguments.next_u64(),
        u64::from(arguments.next_u32()),
    );
    let routine = (arguments.next_u64(), arguments.next_u64());
    let to_device = arguments.next_u8() != 0;
    let (buffer, buffer_bytes) = (arguments.next_u64(), u64::from(arguments.next_u32()));
    let cpu = call.cpu();
    if !is_at_dispatch_level(call) {
        return status::INVALID_IRQL;
    }
    let sound = judge_memory(call, mdl, start, length)
        & call.needs_routine(routine.0)
        & call.needs_room(buffer, buffer_bytes as usize, "buffer")
        & judge_buffer(cpu, buffer, buffer_bytes);
    if !sound {
        return status::INVALID_PARAMETER;
    }
    let Some(parts) = fragments(&cpu.core().memory, start, length) else {
        return status::INSUFFICIENT_RESOURCES;
    };
    if buffer_bytes < list_bytes(&parts) {
        return status::BUFFER_TOO_SMALL;
    }
    let list = List {
        buffer_bytes,
        data: (start, length),
        parts,
        to_device,
        routine,
        ready: false,
    };
    let at_once = {
        let mut state = cpu.state();
        state.port.dma.allow_listed(&list.parts, list.use_());
        state.port.lists.insert(buffer, list);
        let at_once = state.random.bool();
        if !at_once {
            state.dispatch_anywhere(Dispatch::List(buffer));
        }
        at_once
    };
    if at_once {
        run(cpu, buffer);
    }
    status::SUCCESS
}

/// Judges the MDL, and the part of its memory that a list is to be about.
fn judge_memory(call: &Call, mdl: u64, start: u64, length: u64) -> bool {
    let cpu = call.cpu();
    let described = mdl::described(&cpu.state(), mdl);
    mdl::judge_known(call, mdl, described.is_some());
    let Some(described) = described else {
        return false;
    };
    cpu.check(&rules::MDL_BUILT, described.built, || {
        format!("the MDL at {mdl:#x} was allocated and does not describe its memory yet")
    });
    let offset = start.checked_sub(described.buffer);
    let within = offset.is_some_and(|offset| {
        length > 0 && offset < described.bytes && length <= described.bytes - offset
    });
    cpu.check(&rules::LIST_RANGE, within, || {
        format!(
            "{length} bytes at {start:#x}, of {} at {:#x}",
            described.bytes, described.buffer
        )
    }) && described.built
}

/// Judges that a buffer holds no list.
fn judge_buffer(cpu: &Cpu, buffer: u64, bytes: u64) -> bool {
    let taken = {
        let state = cpu.state();
        let mut lists = state.port.lists.iter();
        lists.any(|(&at, list)| at < buffer + bytes && buffer < at + list.buffer_bytes)
    };
    cpu.check(&rules::LIST_BUFFER, !taken, || {
        format!("{buffer:#x} holds a list that was not released")
    })
}

/// Judges that memory which is about to be freed is that of no list, and forgets the lists that it belongs to.
pub(super) fn judge_freed(cpu: &Cpu, at: u64, bytes: u64) {
    let left = {
        let mut state = cpu.state();
        let lists = state.port.lists.iter();
        let lost: Vec<u64> = lists
            .filter(|&(&buffer, list)| list.touches(buffer, at, bytes))
            .map(|(&buffer, _)| buffer)
            .collect();
        for buffer in &lost {
            if let Some(list) = state.port.lists.remove(buffer) {
                state.port.dma.forbid_listed(&list.parts, list.use_());
            }
        }
        lost
    };
    cpu.check(&rules::LIST_BUFFER, left.is_empty(), || {
        format!("{bytes} bytes at {at:#x} are freed with the lists at {left:x?}")
    });
}

/// Gives the miniport its list, at `DISPATCH_LEVEL`.
pub(super) fn run(cpu: &Cpu, buffer: u64) {
    let found = {
        let mut state = cpu.state();
        let list = state.port.lists.get_mut(&buffer);
        list.filter(|list| !list.ready).map(|list| {
            list.ready = true;
            (list.parts.clone(), list.routine)
        })
    };
    let Some((parts, (routine, context))) = found else {
        return;
    };
    write_list(buffer, &parts);
    // The device object and the IRP, which a miniport ignores, the list, and the context.
    let arguments = [0, 0, buffer, context, 0, 0];
    cpu.call(Callback::ListBuilt, routine, arguments);
}

/// `StorPortPutScatterGatherList`.
pub(super) fn release(call: &Call, arguments: &mut Arguments) -> u32 {
    let (buffer, to_device) = (arguments.next_u64(), arguments.next_u8() != 0);
    let cpu = call.cpu();
    if !is_at_dispatch_level(call) {
        return status::INVALID_IRQL;
    }
    let (known, same) = {
        let mut state = cpu.state();
        let list = state.port.lists.get(&buffer);
        let known = list.is_some_and(|list| list.ready);
        let same = list.is_some_and(|list| list.to_device == to_device);
        if known && let Some(list) = state.port.lists.remove(&buffer) {
            state.port.dma.forbid_listed(&list.parts, list.use_());
        }
        (known, same)
    };
    cpu.check(&rules::LIST_RELEASE, known && same, || {
        if known {
            format!("the list at {buffer:#x} was built for the other direction")
        } else {
            format!("there is no list at {buffer:#x}")
        }
    });
    if known {
        status::SUCCESS
    } else {
        status::INVALID_PARAMETER
    }
}

/// Judges that a call is made at the one level at which it may be.
fn is_at_dispatch_level(call: &Call) -> bool {
    let irql = call.cpu().irql();
    call.cpu().check(&rules::LIST_IRQL, irql == DISPATCH, || {
        format!("{} is called at {}", call.name(), irql::name(irql))
    })
}

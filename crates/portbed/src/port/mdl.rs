//! Memory descriptor lists: those that a miniport allocates for memory that it got, and those of requests.

use super::call::Call;
use super::memory;
use super::srb::Outstanding;
use crate::abi::mdl::{Mdl, flags};
use crate::abi::{callback, status};
use crate::machine::Data;
use crate::memory::{PAGE_BYTES, PhysicalMemory, Request};
use crate::rules::port as rules;
use crate::schedule::State;
use crate::thunk::Arguments;

/// An MDL of the miniport's.
#[derive(Clone, Copy, Debug)]
pub(super) struct Allocated {
    pub(super) buffer: u64,
    pub(super) bytes: u32,
    /// Whether it describes the buffer.
    built: bool,
}

/// Memory that an MDL describes, or will describe.
#[derive(Clone, Copy, Debug)]
pub(super) struct Described {
    pub(super) buffer: u64,
    pub(super) bytes: u64,
    pub(super) built: bool,
}

/// `StorPortAllocateMdl`.
pub(super) fn allocate(call: &Call, arguments: &mut Arguments) -> u32 {
    let (buffer, bytes, mdl_at) = (
        arguments.next_u64(),
        arguments.next_u32(),
        arguments.next_u64(),
    );
    let cpu = call.cpu();
    let room = cpu.core().memory.room(buffer).unwrap_or(0);
    let given = bytes > 0 && room >= u64::from(bytes);
    cpu.check(&rules::MDL_BUFFER, given, || {
        format!("{bytes} bytes at {buffer:#x}, where the port driver gave {room}")
    });
    if !call.needs_place::<u64>(mdl_at, "place for the MDL") || !given {
        return status::INVALID_PARAMETER;
    }
    let Some(mdl) = place(&cpu.core().memory, buffer, u64::from(bytes), 0) else {
        return status::INSUFFICIENT_RESOURCES;
    };
    let allocated = Allocated {
        buffer,
        bytes,
        built: false,
    };
    cpu.state().port.mdls.insert(mdl, allocated);
    callback::write(mdl_at, mdl);
    status::SUCCESS
}

/// `StorPortBuildMdlForNonPagedPool`.
pub(super) fn build(call: &Call, arguments: &mut Arguments) -> u32 {
    let mdl = arguments.next_u64();
    let cpu = call.cpu();
    let known = {
        let mut state = cpu.state();
        let allocated = state.port.mdls.get_mut(&mdl);
        allocated.map(|allocated| {
            allocated.built = true;
            *allocated
        })
    };
    judge_known(call, mdl, known.is_some());
    let Some(Allocated { buffer, bytes, .. }) = known else {
        return status::INVALID_PARAMETER;
    };
    let mut header: Mdl = callback::read(mdl);
    header.flags |= flags::SOURCE_IS_NONPAGED_POOL;
    header.mapped_system_va = buffer;
    callback::write(mdl, header);
    number_pages(&cpu.core().memory, mdl, buffer, u64::from(bytes));
    status::SUCCESS
}

/// `StorPortFreeMdl`.
pub(super) fn free(call: &Call, arguments: &mut Arguments) -> u32 {
    let mdl = arguments.next_u64();
    let cpu = call.cpu();
    let known = cpu.state().port.mdls.remove(&mdl).is_some();
    judge_known(call, mdl, known);
    if !known {
        return status::INVALID_PARAMETER;
    }
    memory::release(cpu, mdl);
    status::SUCCESS
}

pub(super) fn judge_known(call: &Call, mdl: u64, known: bool) {
    call.cpu().check(&rules::MDL_HANDLE, known, || {
        format!("{} gets {mdl:#x}, which is no live MDL", call.name())
    });
}

/// `StorPortGetOriginalMdl` and, where `of_input`, `StorPortGetDataInBufferMdl`: the MDL of a request's data, which lasts as long as
/// the request.
pub(super) fn of_request(call: &Call, arguments: &mut Arguments, of_input: bool) -> u32 {
    let (srb, mdl_at) = (arguments.next_u64(), arguments.next_u64());
    let cpu = call.cpu();
    if !call.needs_place::<u64>(mdl_at, "place for the MDL") {
        return status::INVALID_PARAMETER;
    }
    let found = {
        let mut state = cpu.state();
        let outstanding = state.port.queues.outstanding.get_mut(&srb);
        outstanding.map(|outstanding| {
            let wrong_way = of_input && !has_input(outstanding);
            (!wrong_way).then(|| describe(&cpu.core().memory, outstanding))
        })
    };
    cpu.check(&rules::SRB_KNOWN, found.is_some(), || {
        format!("{srb:#x} is no outstanding request")
    });
    match found.flatten() {
        None => status::INVALID_PARAMETER,
        Some(None) => status::INSUFFICIENT_RESOURCES,
        Some(Some(mdl)) => {
            callback::write(mdl_at, mdl);
            status::SUCCESS
        }
    }
}

/// Whether a request's data come from the device.
pub(super) fn has_input(outstanding: &Outstanding) -> bool {
    matches!(outstanding.spec.data, Data::In(_)) && outstanding.data.is_some()
}

/// The MDL of a request: made when it is first asked for, and 0 without data. `None` without memory.
fn describe(memory: &PhysicalMemory, outstanding: &mut Outstanding) -> Option<u64> {
    let (None, Some(data)) = (outstanding.mdl, outstanding.data) else {
        return Some(outstanding.mdl.unwrap_or(0));
    };
    let bytes = outstanding.data_bytes() as u64;
    let mdl = place(memory, data.at, bytes, flags::PAGES_LOCKED)?;
    if data.own().is_some() {
        let mut header: Mdl = callback::read(mdl);
        header.flags |= flags::MAPPED_TO_SYSTEM_VA;
        header.mapped_system_va = data.at;
        callback::write(mdl, header);
    }
    number_pages(memory, mdl, data.at, bytes);
    outstanding.mdl = Some(mdl);
    Some(mdl)
}

/// What an MDL describes, one of the miniport's or one of an outstanding request.
pub(super) fn described(state: &State, mdl: u64) -> Option<Described> {
    let own = state.port.mdls.get(&mdl).map(|allocated| Described {
        buffer: allocated.buffer,
        bytes: u64::from(allocated.bytes),
        built: allocated.built,
    });
    own.or_else(|| {
        let mut outstanding = state.port.queues.outstanding.values();
        let request = outstanding.find(|request| request.mdl == Some(mdl))?;
        Some(Described {
            buffer: request.data?.at,
            bytes: request.data_bytes() as u64,
            built: true,
        })
    })
}

/// An MDL for `bytes` at `buffer`, with room for the numbers of its pages.
fn place(memory: &PhysicalMemory, buffer: u64, bytes: u64, flags: u16) -> Option<u64> {
    let offset = buffer % PAGE_BYTES;
    let size = size_of::<Mdl>() as u64 + (offset + bytes).div_ceil(PAGE_BYTES) * 8;
    let mdl = memory.alloc_scattered(Request::new(size, "MDL"), 0)?.va;
    let mut header: Mdl = callback::zeroed();
    header.size = size as u16;
    header.flags = flags;
    header.start_va = buffer - offset;
    header.byte_count = bytes as u32;
    header.byte_offset = offset as u32;
    callback::write(mdl, header);
    Some(mdl)
}

/// Writes the numbers of the pages.
fn number_pages(memory: &PhysicalMemory, mdl: u64, buffer: u64, bytes: u64) {
    let mut at = buffer;
    let mut entry = mdl + size_of::<Mdl>() as u64;
    while at < buffer + bytes {
        let (pa, _) = memory.translate(at).unwrap_or((0, 0));
        callback::write(entry, pa / PAGE_BYTES);
        at = (at - at % PAGE_BYTES) + PAGE_BYTES;
        entry += 8;
    }
}

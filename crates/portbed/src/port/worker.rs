//! Work items.

use super::Phase;
use super::call::Call;
use crate::abi::{callback, status};
use crate::machine::WorkItems;
use crate::rules::port as rules;
use crate::schedule::irql::DISPATCH;
use crate::schedule::{Callback, Cpu};
use crate::thunk::Arguments;

/// Handles look like kernel addresses.
const FIRST_HANDLE: u64 = 0xFFFF_B000_0000_1000;

/// A worker.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Worker {
    busy: bool,
}

/// `StorPortInitializeWorker`.
pub(super) fn initialize(call: &Call, arguments: &mut Arguments) -> u32 {
    let handle_at = arguments.next_u64();
    if !call.needs_place::<u64>(handle_at, "place for the worker") {
        return status::INVALID_PARAMETER;
    }
    let handle = {
        let mut state = call.cpu().state();
        let last = state.port.workers.keys().next_back().copied();
        let handle = last.map_or(FIRST_HANDLE, |last| last + 0x100);
        state.port.workers.insert(handle, Worker::default());
        handle
    };
    callback::write(handle_at, handle);
    status::SUCCESS
}

/// `StorPortQueueWorkItem`.
pub(super) fn queue(call: &Call, arguments: &mut Arguments) -> u32 {
    let (routine, worker, context) = (
        arguments.next_u64(),
        arguments.next_u64(),
        arguments.next_u64(),
    );
    let cpu = call.cpu();
    if cpu.irql() > DISPATCH {
        return status::INVALID_IRQL;
    }
    if !call.needs_routine(routine) {
        return status::INVALID_PARAMETER;
    }
    let early = cpu.core().options.work_items == WorkItems::ToTheStop;
    let (known, refused, extension) = {
        let mut state = cpu.state();
        let adapter = &state.port.adapter;
        let refused = adapter.phase == Phase::Stopped || early && state.port.leaves;
        let extension = adapter.extension;
        let known = state.port.workers.get_mut(&worker);
        // Looked at and taken in one step: two processors may queue the same worker at the same time.
        let known = known.map(|worker| {
            let before = *worker;
            worker.busy |= !refused;
            before
        });
        (known, refused, extension)
    };
    cpu.check(&rules::WORKER_HANDLE, known.is_some(), || {
        format!("{worker:#x} is no worker")
    });
    let Some(known) = known else {
        return status::INVALID_PARAMETER;
    };
    cpu.check(&rules::WORKER_IDLE, !known.busy, || {
        format!("worker {worker:#x} is queued or running")
    });
    if known.busy {
        return status::BUSY;
    }
    if refused {
        return status::INVALID_DEVICE_STATE;
    }
    cpu.spawn(move |cpu| run(cpu, routine, [extension, context, worker, 0, 0, 0]));
    status::SUCCESS
}

fn run(cpu: &Cpu, routine: u64, arguments: [u64; 6]) {
    let worker = arguments[2];
    // The callback may free the worker or queue it again: from here on it is not busy.
    if let Some(worker) = cpu.state().port.workers.get_mut(&worker) {
        worker.busy = false;
    }
    cpu.call(Callback::WorkItem, routine, arguments);
}

/// `StorPortFreeWorker`.
pub(super) fn free(call: &Call, arguments: &mut Arguments) -> u32 {
    let worker = arguments.next_u64();
    let cpu = call.cpu();
    let known = cpu.state().port.workers.remove(&worker);
    cpu.check(&rules::WORKER_HANDLE, known.is_some(), || {
        format!("{worker:#x} is no worker")
    });
    let idle = known.is_none_or(|known| !known.busy);
    cpu.check(&rules::WORKER_IDLE, idle, || {
        format!("worker {worker:#x} is queued or running")
    });
    if known.is_some() {
        status::SUCCESS
    } else {
        status::INVALID_PARAMETER
    }
}

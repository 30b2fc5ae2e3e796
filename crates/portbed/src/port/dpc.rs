//! Deferred procedure calls.

use super::call::Call;
use crate::abi::callback;
use crate::abi::interrupt::StorDpc;
use crate::abi::status;
use crate::rules::port as rules;
use crate::schedule::{Callback, Cpu, Dispatch};
use crate::thunk::Arguments;

/// What a DPC calls. The object in the miniport's memory is only its name; it stays as the port driver wrote it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dpc {
    routine: u64,
    arguments: (u64, u64),
}

/// `StorPortInitializeDpc`, with a context where `has_context`.
pub(super) fn initialize(call: &Call, arguments: &mut Arguments, has_context: bool) {
    let (address, routine) = (arguments.next_u64(), arguments.next_u64());
    let context = if has_context { arguments.next_u64() } else { 0 };
    let cpu = call.cpu();
    cpu.check(
        &rules::DPC_INITIALIZED,
        address != 0 && routine != 0,
        || format!("the DPC at {address:#x} is initialised with routine {routine:#x}"),
    );
    if address == 0 || routine == 0 {
        return;
    }
    let kept = cpu.core().memory.translate(address).is_some();
    cpu.check(&rules::DPC_PLACE, kept, || {
        format!("{address:#x} is not memory that the port driver gave")
    });
    if !call.needs_place::<StorDpc>(address, "DPC") {
        return;
    }
    let mut object: StorDpc = callback::zeroed();
    object.deferred_routine = routine;
    object.deferred_context = context;
    callback::write(address, object);
    cpu.state().port.dpcs.insert(
        address,
        Dpc {
            routine,
            arguments: (0, 0),
        },
    );
}

/// `StorPortIssueDpc`: FALSE when it is queued already.
pub(super) fn issue(call: &Call, arguments: &mut Arguments) {
    let (address, first, second) = (
        arguments.next_u64(),
        arguments.next_u64(),
        arguments.next_u64(),
    );
    let answer_at = arguments.next_u64();
    let cpu = call.cpu();
    let queued = {
        let mut state = cpu.state();
        let work = Dispatch::Dpc(address);
        let idle = !state.is_dispatched(work);
        let dropped = state.port.stopped || state.port.drops_dpcs;
        let known = state.port.dpcs.get_mut(&address);
        let known = known.map(|dpc| {
            if idle {
                dpc.arguments = (first, second);
            }
        });
        if known.is_some() && idle && !dropped {
            let target = super::performance::dpc_target(cpu, &mut state);
            state.dispatch_on(target, work);
        }
        known.map(|()| idle)
    };
    cpu.check(&rules::DPC_INITIALIZED, queued.is_some(), || {
        format!("the DPC at {address:#x} was never initialised")
    });
    call.answer(answer_at, i32::from(queued.unwrap_or(false)));
}

/// `StorPortCancelDpc`.
pub(super) fn cancel(call: &Call, arguments: &mut Arguments) -> u32 {
    let (address, answer_at) = (arguments.next_u64(), arguments.next_u64());
    let cpu = call.cpu();
    let (known, was_queued) = {
        let mut state = cpu.state();
        (
            state.port.dpcs.contains_key(&address),
            state.cancel_dispatch(Dispatch::Dpc(address)),
        )
    };
    cpu.check(&rules::DPC_INITIALIZED, known, || {
        format!("the DPC at {address:#x} was never initialised")
    });
    call.answer(answer_at, u8::from(was_queued));
    status::SUCCESS
}

/// Runs a DPC at `DISPATCH_LEVEL`.
pub(super) fn run(cpu: &Cpu, address: u64) {
    let (dpc, extension) = {
        let state = cpu.state();
        (
            state.port.dpcs.get(&address).copied(),
            state.port.adapter.extension,
        )
    };
    let Some(dpc) = dpc else { return };
    // HW_DPC_ROUTINE: the DPC, the device extension, and the two arguments of the issue call.
    cpu.call(
        Callback::Dpc,
        dpc.routine,
        [address, extension, dpc.arguments.0, dpc.arguments.1, 0, 0],
    );
}

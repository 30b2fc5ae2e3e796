//! Spin locks and synchronised access, as the miniport asks for them.

use super::call::Call;
use crate::abi::callback;
use crate::abi::interrupt::{StorLockHandle, spin_lock};
use crate::abi::status;
use crate::rules::port as rules;
use crate::schedule::irql::HIGH;
use crate::schedule::{Callback, LockId};
use crate::thunk::Arguments;

/// `StorPortAcquireSpinLock` and `StorPortAcquireSpinLockEx`.
pub(super) fn acquire(call: &Call, arguments: &mut Arguments) -> u32 {
    let (kind, context, handle) = (
        arguments.next_u32(),
        arguments.next_u64(),
        arguments.next_u64(),
    );
    let cpu = call.cpu();
    let lock = match kind {
        spin_lock::DPC if context != 0 => Some(LockId::Dpc(context)),
        spin_lock::THREADED_DPC if context != 0 => Some(LockId::ThreadedDpc(context)),
        spin_lock::DPC_LEVEL if context != 0 => Some(LockId::DpcLevel(context)),
        spin_lock::START_IO => Some(LockId::StartIo(cpu.adapter())),
        spin_lock::INTERRUPT => Some(LockId::Interrupt(cpu.adapter())),
        _ => None,
    };
    cpu.check(&rules::LOCK_KIND, lock.is_some(), || {
        format!("lock {kind} with context {context:#x}")
    });
    let Some(lock) = lock else {
        return status::INVALID_PARAMETER;
    };
    if !call.needs_place::<StorLockHandle>(handle, "lock handle") {
        return status::INVALID_PARAMETER;
    }
    if matches!(lock, LockId::Interrupt(_)) {
        let per_message = cpu.state().port.adapter.lock_per_message;
        cpu.check(&rules::LOCK_MESSAGE, !per_message, || {
            "the interrupt lock guards nothing while each message has a lock of its own".to_owned()
        });
    }
    let old = cpu.acquire_for_miniport(lock, handle);
    let mut filled: StorLockHandle = callback::zeroed();
    filled.lock = kind;
    filled.queue_lock = context;
    filled.old_irql = old;
    callback::write(handle, filled);
    status::SUCCESS
}

/// `StorPortReleaseSpinLock`.
pub(super) fn release(call: &Call, arguments: &mut Arguments) {
    let handle = arguments.next_u64();
    if call.needs::<StorLockHandle>(handle, "lock handle") {
        call.cpu().release_for_miniport(handle, None);
    }
}

/// `StorPortAcquireMSISpinLock`.
pub(super) fn acquire_message(call: &Call, arguments: &mut Arguments) -> u32 {
    let (message, old_irql_at) = (arguments.next_u32(), arguments.next_u64());
    let cpu = call.cpu();
    let (per_message, messages) = {
        let state = cpu.state();
        (
            state.port.adapter.lock_per_message,
            state.port.adapter.messages,
        )
    };
    cpu.check(
        &rules::LOCK_MESSAGE,
        per_message && message < messages,
        || format!("the lock of message {message} of {messages}, per message: {per_message}"),
    );
    if !per_message || message >= messages {
        return status::INVALID_PARAMETER;
    }
    let old = cpu.acquire_for_miniport(
        LockId::Message(call.cpu().adapter(), message),
        old_irql_at.max(1),
    );
    call.answer(old_irql_at, u32::from(old));
    status::SUCCESS
}

/// `StorPortReleaseMSISpinLock`.
pub(super) fn release_message(call: &Call, arguments: &mut Arguments) -> u32 {
    let message = arguments.next_u32();
    call.cpu()
        .release_for_miniport(0, Some(LockId::Message(call.cpu().adapter(), message)));
    status::SUCCESS
}

/// `StorPortSynchronizeAccess`.
pub(super) extern "win64" fn synchronize_access(extension: u64, routine: u64, context: u64) -> u64 {
    let call = Call::enter("StorPortSynchronizeAccess", extension, HIGH);
    if !call.needs_routine(routine) {
        return 0;
    }
    let cpu = call.cpu();
    let held = cpu.holds_interrupt_lock();
    if !held {
        cpu.acquire(LockId::Interrupt(cpu.adapter()), 0);
    }
    let result = cpu.call(
        Callback::Synchronized,
        routine,
        [extension, context, 0, 0, 0, 0],
    ) & 0xFF;
    if !held {
        cpu.release(LockId::Interrupt(cpu.adapter()));
    }
    result
}

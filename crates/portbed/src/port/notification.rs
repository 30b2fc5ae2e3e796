//! `StorPortNotification`: each documented type to its subject.

use super::call::Call;
use super::{complete, dpc, locks, processors, start, timer};
use crate::abi::notification as n;
use crate::abi::status;
use crate::rules::port as rules;
use crate::schedule::irql::HIGH;
use crate::thunk::Arguments;

crate::variadic!(
    /// `StorPortNotification`.
    pub(super) storport_notification => notification
);

/// Carries a notification out.
unsafe extern "win64" fn notification(first: *const u64) -> u64 {
    // SAFETY: `storport_notification` passes the address of its own arguments; what follows reads no more of them than
    // the type documents.
    let mut arguments = unsafe { Arguments::new(first) };
    let (kind, extension) = (arguments.next_u32(), arguments.next_u64());
    if kind == n::ENABLE_PASSIVE_INITIALIZATION {
        let (routine, answer) = (arguments.next_u64(), arguments.next_u64());
        start::enable_passive(extension, routine, answer);
        return 0;
    }
    let call = Call::enter(name(kind), extension, HIGH);
    let documented = name(kind) != UNDOCUMENTED;
    call.cpu().check(&rules::CALL_DOCUMENTED, documented, || {
        format!("notification {kind}")
    });
    carry_out(&call, kind, &mut arguments);
    0
}

fn carry_out(call: &Call, kind: u32, arguments: &mut Arguments) {
    match kind {
        n::REQUEST_COMPLETE => complete::request_complete(call, arguments),
        n::REQUEST_TIMER_CALL => timer::request(call, arguments),
        n::QUERY_TICK_COUNT => processors::tick_count(call, arguments),
        n::INITIALIZE_DPC => dpc::initialize(call, arguments, false),
        n::INITIALIZE_DPC_WITH_CONTEXT | n::INITIALIZE_THREADED_DPC => {
            dpc::initialize(call, arguments, true);
        }
        n::ISSUE_DPC => dpc::issue(call, arguments),
        n::ACQUIRE_SPIN_LOCK => {
            locks::acquire(call, arguments);
        }
        n::RELEASE_SPIN_LOCK => locks::release(call, arguments),
        n::STATE_CHANGE_DETECTED => {
            // The changed entity, an address, attributes, a routine and its context come before the place of the answer.
            let _ = [(); 5].map(|()| arguments.next_u64());
            call.answer(arguments.next_u64(), status::SUCCESS);
        }
        n::ASYNC_NOTIFICATION_DETECTED => {
            let _ = [(); 2].map(|()| arguments.next_u64());
            call.answer(arguments.next_u64(), status::SUCCESS);
        }
        n::BUS_CHANGE_DETECTED => {
            call.tell_once("bus change detected");
            call.cpu().state().port.adapter.bus_changed = true;
        }
        // The rest informs the port driver of what changes nothing here.
        _ => {}
    }
}

const UNDOCUMENTED: &str = "an undocumented notification";

fn name(kind: u32) -> &'static str {
    match kind {
        n::REQUEST_COMPLETE => "StorPortNotification(RequestComplete)",
        n::NEXT_REQUEST => "StorPortNotification(NextRequest)",
        n::NEXT_LU_REQUEST => "StorPortNotification(NextLuRequest)",
        n::RESET_DETECTED => "StorPortNotification(ResetDetected)",
        n::REQUEST_TIMER_CALL => "StorPortNotification(RequestTimerCall)",
        n::BUS_CHANGE_DETECTED => "StorPortNotification(BusChangeDetected)",
        n::WMI_EVENT => "StorPortNotification(WMIEvent)",
        n::WMI_REREGISTER => "StorPortNotification(WMIReregister)",
        n::LINK_UP => "StorPortNotification(LinkUp)",
        n::LINK_DOWN => "StorPortNotification(LinkDown)",
        n::QUERY_TICK_COUNT => "StorPortNotification(QueryTickCount)",
        n::BUFFER_OVERRUN_DETECTED => "StorPortNotification(BufferOverrunDetected)",
        n::INITIALIZE_DPC => "StorPortInitializeDpc",
        n::ISSUE_DPC => "StorPortIssueDpc",
        n::ACQUIRE_SPIN_LOCK => "StorPortAcquireSpinLock",
        n::RELEASE_SPIN_LOCK => "StorPortReleaseSpinLock",
        n::STATE_CHANGE_DETECTED => "StorPortStateChangeDetected",
        n::IO_TARGET_REQUEST_SERVICE_TIME => "StorPortNotification(IoTargetRequestServiceTime)",
        n::ASYNC_NOTIFICATION_DETECTED => "StorPortAsyncNotificationDetected",
        n::INITIALIZE_DPC_WITH_CONTEXT => "StorPortInitializeDpcWithContext",
        n::INITIALIZE_THREADED_DPC => "StorPortInitializeThreadedDpc",
        n::SET_TARGET_PROCESSOR_DPC => "StorPortNotification(SetTargetProcessorDpc)",
        n::MARK_DEVICE_FAILED => "StorPortMarkDeviceFailed",
        n::MARK_DEVICE_FAILED_EX => "StorPortMarkDeviceFailedEx",
        _ => UNDOCUMENTED,
    }
}

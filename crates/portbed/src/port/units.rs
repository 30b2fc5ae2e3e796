//! Logical units: their extensions, queue depths, pauses.

use super::call::Call;
use super::queue::pump;
use crate::machine::UnitAddress;
use crate::rules::port as rules;
use crate::schedule::Due;
use crate::schedule::irql::HIGH;

/// `StorPortGetLogicalUnit`: the extension of a unit. This port driver gives none: a miniport asks for a size first.
pub(super) extern "win64" fn get_logical_unit(
    extension: u64,
    path: u8,
    target: u8,
    lun: u8,
) -> u64 {
    let call = Call::enter("StorPortGetLogicalUnit", extension, HIGH);
    judge(
        &call,
        UnitAddress {
            adapter: call.cpu().adapter(),
            path,
            target,
            lun,
        },
    );
    0
}

/// `StorPortSetDeviceQueueDepth`.
pub(super) extern "win64" fn set_device_queue_depth(
    extension: u64,
    path: u8,
    target: u8,
    lun: u8,
    depth: u32,
) -> u64 {
    let call = Call::enter("StorPortSetDeviceQueueDepth", extension, HIGH);
    let unit = UnitAddress {
        adapter: call.cpu().adapter(),
        path,
        target,
        lun,
    };
    let within = judge(&call, unit);
    let most = call.cpu().state().port.adapter.most_requests_per_unit();
    let sane = call
        .cpu()
        .check(&rules::QUEUE_DEPTH, depth > 0 && depth <= most, || {
            format!("a depth of {depth}, where the adapter declared {most}")
        });
    if !(within && sane) {
        return 0;
    }
    let mut state = call.cpu().state();
    state.port.queues.set_depth(unit, depth);
    pump(call.cpu().core(), &mut state);
    1
}

/// `StorPortPause`: for so many seconds.
pub(super) extern "win64" fn pause(extension: u64, seconds: u32) -> u64 {
    let call = Call::enter("StorPortPause", extension, HIGH);
    let mut state = call.cpu().state();
    state.port.queues.pause(true);
    state.schedule(u64::from(seconds) * 1_000_000_000, Due::Resume);
    1
}

/// `StorPortResume`.
pub(super) extern "win64" fn resume(extension: u64) -> u64 {
    let call = Call::enter("StorPortResume", extension, HIGH);
    let mut state = call.cpu().state();
    state.port.queues.pause(false);
    pump(call.cpu().core(), &mut state);
    1
}

/// `StorPortPauseDevice`: for so many seconds.
pub(super) extern "win64" fn pause_device(
    extension: u64,
    path: u8,
    target: u8,
    lun: u8,
    seconds: u32,
) -> u64 {
    let call = Call::enter("StorPortPauseDevice", extension, HIGH);
    let unit = UnitAddress {
        adapter: call.cpu().adapter(),
        path,
        target,
        lun,
    };
    if !judge(&call, unit) {
        return 0;
    }
    let mut state = call.cpu().state();
    let known = state.port.queues.pause_unit(unit, true);
    state.schedule(u64::from(seconds) * 1_000_000_000, Due::Resume);
    u64::from(known)
}

/// `StorPortResumeDevice`.
pub(super) extern "win64" fn resume_device(extension: u64, path: u8, target: u8, lun: u8) -> u64 {
    let call = Call::enter("StorPortResumeDevice", extension, HIGH);
    let unit = UnitAddress {
        adapter: call.cpu().adapter(),
        path,
        target,
        lun,
    };
    if !judge(&call, unit) {
        return 0;
    }
    let mut state = call.cpu().state();
    let known = state.port.queues.pause_unit(unit, false);
    pump(call.cpu().core(), &mut state);
    u64::from(known)
}

/// `StorPortBusy`.
pub(super) extern "win64" fn busy(extension: u64, to_complete: u32) -> u64 {
    let call = Call::enter("StorPortBusy", extension, HIGH);
    call.cpu().state().port.queues.busy(Some(to_complete));
    1
}

/// `StorPortReady`.
pub(super) extern "win64" fn ready(extension: u64) -> u64 {
    let call = Call::enter("StorPortReady", extension, HIGH);
    let mut state = call.cpu().state();
    state.port.queues.busy(None);
    pump(call.cpu().core(), &mut state);
    1
}

/// `StorPortDeviceBusy`.
pub(super) extern "win64" fn device_busy(
    extension: u64,
    path: u8,
    target: u8,
    lun: u8,
    to_complete: u32,
) -> u64 {
    let call = Call::enter("StorPortDeviceBusy", extension, HIGH);
    let unit = UnitAddress {
        adapter: call.cpu().adapter(),
        path,
        target,
        lun,
    };
    u64::from(
        judge(&call, unit)
            && call
                .cpu()
                .state()
                .port
                .queues
                .busy_unit(unit, Some(to_complete)),
    )
}

/// `StorPortDeviceReady`.
pub(super) extern "win64" fn device_ready(extension: u64, path: u8, target: u8, lun: u8) -> u64 {
    let call = Call::enter("StorPortDeviceReady", extension, HIGH);
    let unit = UnitAddress {
        adapter: call.cpu().adapter(),
        path,
        target,
        lun,
    };
    if !judge(&call, unit) {
        return 0;
    }
    let mut state = call.cpu().state();
    let known = state.port.queues.busy_unit(unit, None);
    pump(call.cpu().core(), &mut state);
    u64::from(known)
}

/// Judges the address of a unit.
pub(super) fn judge(call: &Call, unit: UnitAddress) -> bool {
    let (buses, targets, units) = call.cpu().state().port.adapter.limits();
    let within = unit.path < buses && unit.target < targets && unit.lun < units;
    call.cpu().check(&rules::UNIT_ADDRESS, within, || {
        format!("{} names {unit:?}", call.name())
    })
}

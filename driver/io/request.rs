//! A request's way in: `HwBuildIo` translates, `HwStartIo` submits.

use scsi::{Access, Action, DataDirection, Deallocate, Other, Outcome, Request};

use super::finish::end_scsi;
use super::pair::Submitted;
use crate::adapter::Adapter;
use crate::storport::{Port, Srb, SrbFunction, SrbStatus};

/// How often the queues are polled where interrupts are missing, in microseconds.
pub(crate) const POLL_US: u32 = 10_000;

/// What `HwBuildIo` made of a request.
enum Built {
    /// It goes on to `HwStartIo`.
    Ready,
    /// It is done.
    Done(SrbStatus),
}

/// `HwBuildIo`: true when the request goes on to [`start`], false when it was completed here.
pub(crate) fn build(adapter: &Adapter, port: Port, mut srb: Srb) -> bool {
    let built = match srb.function() {
        SrbFunction::EXECUTE_SCSI => scsi(adapter, port, &mut srb),
        SrbFunction::FLUSH | SrbFunction::SHUTDOWN => flush(adapter, port, &mut srb),
        function if function.is_for_control() => Built::Ready,
        // Power reaches the adapter as ScsiAdapterPower; a unit has no state of its own.
        SrbFunction::POWER => Built::Done(SrbStatus::SUCCESS),
        _ => Built::Done(SrbStatus::INVALID_REQUEST),
    };
    match built {
        Built::Ready => true,
        Built::Done(status) => {
            srb.complete(port, status);
            false
        }
    }
}

/// The logical unit that a request is for.
fn lun(adapter: &Adapter, srb: &Srb) -> Result<u8, SrbStatus> {
    if let Ok(lun) = u8::try_from(srb.unit())
        && adapter.io.units.get().is_given(lun)
    {
        return Ok(lun);
    }
    Err(match srb.address() {
        Some((0, 0, _)) => SrbStatus::INVALID_LUN,
        Some((0, _, _)) => SrbStatus::INVALID_TARGET_ID,
        Some(_) => SrbStatus::INVALID_PATH_ID,
        None => SrbStatus::INVALID_REQUEST,
    })
}

fn scsi(adapter: &Adapter, port: Port, srb: &mut Srb) -> Built {
    let lun = match lun(adapter, srb) {
        Ok(lun) => lun,
        Err(status) => return Built::Done(status),
    };
    if adapter.io.units.get().has_attention(lun)
        && let Some(status) = attend(adapter, srb, lun)
    {
        return Built::Done(status);
    }
    match Access::parse(srb.cdb()) {
        Some(Ok(access)) => read_or_write(adapter, port, srb, lun, access),
        Some(Err(sense)) => Built::Done(end_scsi(srb, Outcome::check_condition(sense))),
        None => other(adapter, port, srb, lun),
    }
}

/// Tells of a unit attention condition, unless the request is one that reports none.
#[cold]
fn attend(adapter: &Adapter, srb: &mut Srb, lun: u8) -> Option<SrbStatus> {
    let request = Request::parse(srb.cdb()).ok()?;
    let sense = adapter.io.units.get().attention(lun, &request)?;
    let transfer = srb.transfer();
    let data = if request.is_request_sense() {
        srb.buffer()
    } else {
        &mut []
    };
    let outcome = request.attention(sense, transfer, data);
    Some(end_scsi(srb, outcome))
}

/// READ and WRITE, which go straight to their command.
fn read_or_write(adapter: &Adapter, port: Port, srb: &mut Srb, lun: u8, access: Access) -> Built {
    let Some(medium) = adapter.io.units.get().medium(lun) else {
        return Built::Done(end_scsi(srb, scsi::gone()));
    };
    let transfer = srb.transfer();
    match scsi::access(access, &medium, transfer) {
        Ok(command) => prepare(port, srb, &command, transfer.bytes, 0),
        Err(outcome) => Built::Done(end_scsi(srb, outcome)),
    }
}

/// Every other SCSI command, and the READ and WRITE that class drivers do not send.
#[inline(never)]
fn other(adapter: &Adapter, port: Port, srb: &mut Srb, lun: u8) -> Built {
    let request = match Other::parse(srb.cdb()) {
        Ok(request) => request,
        Err(sense) => return Built::Done(end_scsi(srb, Outcome::check_condition(sense))),
    };
    let transfer = srb.transfer();
    let data = if request.returns_parameter_data() || request.takes_parameter_data() {
        srb.buffer()
    } else {
        &mut []
    };
    let units = adapter.io.units.get();
    let action = units.with(lun, |unit| match unit {
        Ok(unit) => request.translate(unit, transfer, data),
        Err(controller) => request.translate_gone(controller, transfer, data),
    });
    match action {
        Action::Done(outcome) => Built::Done(end_scsi(srb, outcome)),
        Action::Submit {
            command,
            direction,
            bytes,
            more_blocks,
        } => {
            let data_bytes = if direction == DataDirection::None {
                0
            } else {
                bytes
            };
            let built = prepare(port, srb, &command, data_bytes, more_blocks);
            srb.set_command_bytes(bytes);
            built
        }
        Action::Deallocate(deallocate) => deallocation(port, srb, deallocate),
        // No unit says that its cache can be turned off.
        Action::SetWriteCache { .. } => Built::Done(SrbStatus::INVALID_REQUEST),
    }
}

/// UNMAP.
fn deallocation(port: Port, srb: &mut Srb, deallocate: Deallocate) -> Built {
    let bytes = deallocate.bytes;
    match srb.prepare_deallocation(port, deallocate) {
        Ok(true) => Built::Ready,
        Ok(false) => Built::Done(end_scsi(srb, Outcome::good(bytes))),
        Err(Some(sense)) => Built::Done(end_scsi(srb, Outcome::check_condition(sense))),
        Err(None) => Built::Done(SrbStatus::INVALID_REQUEST),
    }
}

/// A flush or shutdown of a logical unit. Without a volatile write cache there is nothing to flush.
#[inline(never)]
fn flush(adapter: &Adapter, port: Port, srb: &mut Srb) -> Built {
    if !adapter.io.units.get().volatile_write_cache() {
        return Built::Done(SrbStatus::SUCCESS);
    }
    let lun = match lun(adapter, srb) {
        Ok(lun) => lun,
        Err(status) => return Built::Done(status),
    };
    let none = scsi::Transfer::NONE;
    let action = adapter.io.units.get().with(lun, |unit| match unit {
        Ok(unit) => Other::FLUSH.translate(unit, none, &mut []),
        Err(_) => Action::Done(scsi::gone()),
    });
    match action {
        Action::Submit { command, .. } => prepare(port, srb, &command, 0, 0),
        Action::Done(outcome) if outcome.sense.is_none() => Built::Done(SrbStatus::SUCCESS),
        _ => Built::Done(SrbStatus::NO_DEVICE),
    }
}

fn prepare(
    port: Port,
    srb: &mut Srb,
    command: &nvme_spec::command::Command,
    bytes: u32,
    more_blocks: u32,
) -> Built {
    match srb.prepare(port, command, bytes, more_blocks) {
        Ok(()) => Built::Ready,
        Err(_) => Built::Done(SrbStatus::INVALID_REQUEST),
    }
}

/// `HwStartIo`: to the request's queue pair, or to the control plane.
pub(crate) fn start(adapter: &Adapter, port: Port, srb: Srb) {
    if srb.function().is_for_control() {
        adapter.ask(port, srb);
    } else {
        submit(adapter, port, srb);
    }
}

fn submit(adapter: &Adapter, port: Port, srb: Srb) {
    match adapter.io.submit(port, srb) {
        Submitted::Taken => {}
        Submitted::Polled => port.tick_after(POLL_US),
        Submitted::Elsewhere(srb) => srb.complete(port, SrbStatus::BUS_RESET),
        Submitted::Ended(srb, status) => srb.complete(port, status),
    }
}

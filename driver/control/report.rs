//! Events about the controller. Those about the Host Memory Buffer are told in [`crate::control::hmb`].

use nvme::identify::{NamespaceInfo, Usability};
use nvme::identity::Naming;
use nvme::lifecycle::{Event as ControllerEvent, Failure};
use nvme::quirks::Quirks;

use crate::control::call::Call;
use crate::control::naming::Why;
use crate::control::power::AdapterControl;
use crate::io::units::Change;
use crate::storport::{Event, Level, Parameters, Performance, text};

/// Event numbers, as documented.
mod event_id {
    pub(super) const FAILED: u32 = 110;
    pub(super) const ASYNCHRONOUS: u32 = 111;
    pub(super) const LATE: u32 = 112;
    pub(super) const POLLING: u32 = 113;
    pub(super) const HELD: u32 = 114;
    pub(super) const RETURNED: u32 = 115;
    pub(super) const UNUSABLE: u32 = 116;
    pub(super) const RENAMED: u32 = 117;
    pub(super) const QUIRKS: u32 = 118;
    pub(super) const NAMESPACE_CHANGED: u32 = 119;
    pub(super) const NOT_FOUND: u32 = 120;
    pub(super) const LATE_CONTROL: u32 = 121;
    pub(super) const LINE_HELD: u32 = 122;
    pub(super) const QUEUES: u32 = 123;
}

/// The controller failed: it is reset, or given up.
pub(crate) fn failed(call: Call<'_>, failure: Failure) {
    let (reason, detail) = match failure {
        Failure::Removed => (1, 0),
        Failure::Fatal => (2, 0),
        Failure::NotReady => (3, 0),
        Failure::StillReady => (4, 0),
        Failure::NotShutDown => (5, 0),
        Failure::Unsupported(what) => (6, what as u64),
        Failure::TimedOut(opcode) => (7, u64::from(opcode.0)),
        Failure::Refused(opcode, status) => (8, u64::from(opcode.0) << 16 | u64::from(status.0)),
        Failure::Impossible(what) => (9, what as u64),
        Failure::Full => (10, 0),
        Failure::QueueMemory => (11, 0),
        Failure::NoReset => (12, 0),
    };
    call.log(&Event {
        id: event_id::FAILED,
        level: Level::Error,
        text: text!("Controller failed"),
        parameters: Parameters::Two(&[(text!("Reason"), reason), (text!("Detail"), detail)]),
    });
}

/// The port driver asked for a reset each time before the controller had come up: it is given up.
pub(crate) fn given_up(call: Call<'_>, resets: u8) {
    call.log(&Event {
        id: event_id::FAILED,
        level: Level::Error,
        text: text!("Controller failed"),
        parameters: Parameters::Two(&[(text!("Reason"), 13), (text!("Detail"), u64::from(resets))]),
    });
}

/// Completions were found again and again that no interrupt told of: from now on the queues are polled while requests are
/// outstanding.
pub(crate) fn polling(call: Call<'_>, missed: u8, interval_us: u32) {
    call.log(&Event {
        id: event_id::POLLING,
        level: Level::Warning,
        text: text!("Interrupts are missing, the queues are polled"),
        parameters: Parameters::Two(&[
            (text!("MissedInterrupts"), u64::from(missed)),
            (text!("IntervalMicroseconds"), u64::from(interval_us)),
        ]),
    });
}

/// The controller keeps its interrupt line up without a reason: it is masked, and the queues are polled while requests are
/// outstanding.
pub(crate) fn line_held(call: Call<'_>, interval_us: u32) {
    call.log(&Event {
        id: event_id::LINE_HELD,
        level: Level::Warning,
        text: text!("Interrupt line held up, the queues are polled"),
        parameters: Parameters::Two(&[
            (text!("IntervalMicroseconds"), u64::from(interval_us)),
            (text!("Detail"), 0),
        ]),
    });
}

/// Nothing shows that the controller has stopped, and it may still read or write the buffers of requests: they are held.
pub(crate) fn held(call: Call<'_>, requests: usize, status: u32) {
    call.log(&Event {
        id: event_id::HELD,
        level: Level::Error,
        text: text!("Requests held: no proof that the device stopped"),
        parameters: Parameters::Two(&[
            (text!("Requests"), requests as u64),
            (text!("ControllerStatus"), u64::from(status)),
        ]),
    });
}

/// As for [`held`], but the adapter is being removed: they are completed all the same.
pub(crate) fn returned(call: Call<'_>, requests: usize, status: u32) {
    call.log(&Event {
        id: event_id::RETURNED,
        level: Level::Error,
        text: text!("Requests returned: no proof that the device stopped"),
        parameters: Parameters::Two(&[
            (text!("Requests"), requests as u64),
            (text!("ControllerStatus"), u64::from(status)),
        ]),
    });
}

/// A namespace that cannot be a disk, and why.
pub(crate) fn unusable(call: Call<'_>, namespace: &NamespaceInfo) {
    let why = match namespace.usability {
        Usability::Metadata => 1,
        Usability::Protection => 2,
        Usability::BlockSize => 3,
        Usability::Impossible => 4,
        Usability::Usable => 5,
    };
    call.log(&Event {
        id: event_id::UNUSABLE,
        level: Level::Warning,
        text: text!("Namespace cannot be used as a disk"),
        parameters: Parameters::Two(&[
            (text!("Namespace"), u64::from(namespace.nsid)),
            (text!("Why"), why),
        ]),
    });
}

/// A namespace came, went or changed.
pub(crate) fn namespace_changed(call: Call<'_>, nsid: u32, change: Change) {
    call.log(&Event {
        id: event_id::NAMESPACE_CHANGED,
        level: if change == Change::NoNumber {
            Level::Warning
        } else {
            Level::Information
        },
        text: text!("Namespace changed"),
        parameters: Parameters::Two(&[
            (text!("Namespace"), u64::from(nsid)),
            (text!("Change"), change as u64),
        ]),
    });
}

/// The disks are named by something else than the identifiers that they report.
pub(crate) fn renamed(call: Call<'_>, why: Why, naming: Naming) {
    call.log(&Event {
        id: event_id::RENAMED,
        level: Level::Warning,
        text: text!("Identifiers are not unique, others are used"),
        parameters: Parameters::Two(&[
            (text!("Reason"), why as u64),
            (text!("NamedBy"), naming as u64),
        ]),
    });
}

/// Something is done differently with this device, as it is known or as the registry says.
pub(crate) fn quirks(call: Call<'_>, quirks: Quirks, given: bool) {
    call.log(&Event {
        id: event_id::QUIRKS,
        level: Level::Information,
        text: text!("Device with quirks"),
        parameters: Parameters::Two(&[
            (text!("Quirks"), u64::from(quirks.bits())),
            (text!("FromRegistry"), u64::from(given)),
        ]),
    });
}

/// Something that the controller said unasked, or too late.
pub(crate) fn event(call: Call<'_>, event: ControllerEvent) {
    let event = match event {
        ControllerEvent::Async(dword) => Event {
            id: event_id::ASYNCHRONOUS,
            level: Level::Warning,
            text: text!("Asynchronous event"),
            parameters: Parameters::Two(&[
                (text!("EventDword"), u64::from(u32::from(dword))),
                (text!("LogPage"), u64::from(dword.log_page().0)),
            ]),
        },
        ControllerEvent::Late(opcode, status) => Event {
            id: event_id::LATE,
            level: Level::Warning,
            text: text!("Admin command answered too late"),
            parameters: Parameters::Two(&[
                (text!("Opcode"), u64::from(opcode.0)),
                (text!("Status"), u64::from(status.0)),
            ]),
        },
    };
    call.log(&event);
}

/// Why `HwFindAdapter` found no adapter, where the controller is not to blame.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Missing {
    /// The registers cannot be mapped.
    Registers = 1,
    /// There is no memory for the queues.
    Memory = 2,
    /// Another callback has the adapter's state.
    State = 3,
    /// The memory for the queues cannot be laid out.
    Layout = 4,
    /// The controller's numbers make no I/O queue.
    Queues = 5,
    /// A crash dump is to be written, which is not supported. There are no events then.
    Dump = 6,
}

/// The adapter is not found for want of something else than a working controller.
pub(crate) fn not_found(call: Call<'_>, missing: Missing) {
    call.log(&Event {
        id: event_id::NOT_FOUND,
        level: Level::Error,
        text: text!("Adapter not started"),
        parameters: Parameters::Two(&[(text!("Reason"), missing as u64), (text!("Detail"), 0)]),
    });
}

/// What the port driver asked for was done late: another callback had the adapter's state.
pub(crate) fn late(call: Call<'_>, control: AdapterControl) {
    call.log(&Event {
        id: event_id::LATE_CONTROL,
        level: Level::Error,
        text: text!("Adapter control carried out late"),
        parameters: Parameters::Two(&[(text!("Control"), control as u64), (text!("Detail"), 0)]),
    });
}

/// How many I/O queue pairs the controller has, and what the port driver does for them. A warning where processors share them.
pub(crate) fn queues(call: Call<'_>, pairs: usize, processors: usize, granted: Performance) {
    call.log(&Event {
        id: event_id::QUEUES,
        level: if pairs < processors {
            Level::Warning
        } else {
            Level::Information
        },
        text: text!("I/O queue pairs"),
        parameters: Parameters::Two(&[
            (text!("Pairs"), pairs as u64),
            (text!("PerformanceFlags"), u64::from(granted.bits())),
        ]),
    });
}

//! What can be asked of the state machine, and what it answers.

use nvme_spec::async_event::AsyncEventDw0;
use nvme_spec::command::AdminOpcode;
use nvme_spec::status::Status;

/// What to reach. A goal that resets or disables the controller can be begun at any time; when it is done the controller has
/// forgotten every command in the I/O queues. What was going on before is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goal {
    /// Reset and enable the controller, identify it and its namespaces. No I/O queues, no event requests.
    Identify,
    /// Reset and enable the controller, with the identity known from before. No I/O queues, no event requests.
    Reset,
    /// Create up to so many I/O queue pairs of [`Inventory::queues`](super::Inventory::queues), read the write cache's state and the controller's health, hold event requests.
    /// The controller has to be enabled, identified and idle, and to have no I/O queues; the driver's side of them has to be
    /// empty.
    Start {
        /// Queue pairs wanted, 1 to [`MAX_QUEUE_PAIRS`](super::MAX_QUEUE_PAIRS).
        pairs: u16,
    },
    /// Identify the namespaces again. Everything else stays as it is: requests are served meanwhile. The controller has to be
    /// enabled, identified and idle. When this fails, [`Inventory::namespaces`](super::Inventory::namespaces) is a part.
    FindNamespaces,
    /// Take the Host Memory Buffer back by command. The controller has to be enabled. When an enabling command was not
    /// answered there is no proof afterwards: it may have been executed last.
    DisableHmb,
    /// Reset the controller (CC.EN = 0) and leave it so: it does not access memory any more. One whose CSTS.RDY is 0 already
    /// is enabled once more, to see by RDY = 1 that it was reset, and disabled again.
    Disable,
    /// Delete the I/O queues, notify of a shutdown, wait for it, then disable the controller.
    Shutdown(Shutdown),
}

/// Kind of a shutdown (CC.SHN, 3.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shutdown {
    /// With time to finish: I/O queues are deleted first.
    Normal,
    /// Power is about to fail.
    Abrupt,
}

/// What a step reached.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Not there yet: step again.
    Again {
        /// When it is worth to look again, in microseconds; earlier does no harm. 0 for at once.
        after_us: u32,
    },
    /// The goal is reached, or none was begun.
    Done,
    /// The goal was missed; it is over.
    Failed(Failure),
}

/// Why a goal was missed. After any of these the controller can be reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Registers read all ones: the controller has gone, or is powered down.
    Removed,
    /// Controller Fatal Status (CSTS.CFS).
    Fatal,
    /// CSTS.RDY did not become 1 within CAP.TO.
    NotReady,
    /// CSTS.RDY did not become 0 within CAP.TO.
    StillReady,
    /// CSTS.RDY was 0 before CC.EN was cleared, and did not become 1 after CC.EN was set again: nothing shows that the
    /// controller was reset, and it may still use the memory that it was given.
    NoReset,
    /// Shutdown processing did not complete in time. The controller was disabled all the same, and RDY = 0 was seen.
    NotShutDown,
    /// The controller cannot be used by this driver.
    Unsupported(Unsupported),
    /// An admin command was not answered in time. Its answer may still come.
    TimedOut(AdminOpcode),
    /// An admin command failed.
    Refused(AdminOpcode, Status),
    /// The controller said something impossible.
    Impossible(Impossible),
    /// No room for another admin command: too many were never answered.
    Full,
    /// [`Inventory::queues`](super::Inventory::queues) has no memory for a queue pair, or the controller does not take queues of that size.
    QueueMemory,
}

/// Why a controller cannot be used by this driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsupported {
    /// It needs memory pages larger than 4 KiB (CAP.MPSMIN).
    PageSize,
    /// It has no NVM Command Set (CAP.CSS).
    CommandSet,
    /// It needs other queue entry sizes (SQES, CQES).
    EntrySizes,
    /// Its queues have one entry (CAP.MQES = 0), which makes no queue.
    QueueSize,
}

/// What a controller cannot truthfully say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Impossible {
    /// A completion in the admin queue for another submission queue.
    QueueId,
    /// A completion for a command that is not outstanding.
    CommandId,
    /// A submission queue head that the controller cannot have reached.
    Head,
}

/// A goal that cannot be begun in the controller's present state, as [`Goal`] tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotNow;

/// Whether the Host Memory Buffer's contents are as the controller left them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contents {
    /// The memory was neither freed nor written since the controller used it last.
    Kept,
    /// They may have changed: after hibernation, for example.
    Lost,
}

/// Something that happened besides goals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// An asynchronous event.
    Async(AsyncEventDw0),
    /// A command was answered after its deadline.
    Late(AdminOpcode, Status),
}

/// The volatile write cache's state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WriteCache {
    /// There is none.
    #[default]
    Absent,
    /// There is one and it is in use, or its state could not be read.
    Enabled,
    /// There is one and it is not in use.
    Disabled,
}

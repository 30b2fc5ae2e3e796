//! How a command fails, and what the error log keeps of it.

use nvme_spec::command::Command;
use nvme_spec::status::Status;

/// A command on its way through the controller.
#[derive(Clone, Copy)]
pub(crate) struct Request<'a> {
    /// The submission queue that it came from.
    pub(crate) queue: u16,
    /// The entry.
    pub(crate) command: &'a Command,
}

impl Request<'_> {
    /// Its identifier.
    pub(crate) fn cid(&self) -> u16 {
        self.command.cdw0.cid()
    }
}

/// A status other than success.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// The status.
    pub(crate) status: Status,
    /// The same command would fail again.
    pub(crate) do_not_retry: bool,
    /// The byte of the command that is wrong.
    pub(crate) byte: Option<u8>,
    /// The first block that met the error.
    pub(crate) lba: u64,
}

impl Failure {
    /// A field of the command is wrong: the one at this byte.
    pub(crate) fn field(status: Status, byte: u8) -> Self {
        Self {
            byte: Some(byte),
            ..status.into()
        }
    }

    /// The command may succeed another time.
    pub(crate) fn transient(status: Status) -> Self {
        Self {
            do_not_retry: false,
            ..status.into()
        }
    }

    /// The same failure, at this block.
    pub(crate) fn at_block(self, lba: u64) -> Self {
        Self { lba, ..self }
    }
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        Self {
            status,
            do_not_retry: true,
            byte: None,
            lba: 0,
        }
    }
}

/// What a command comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It succeeded; dword 0 of its completion.
    Done(u32),
    /// It succeeded, but says so only after this many nanoseconds.
    Later(u64),
    /// It waits for an event.
    Held,
    /// It took effect and is never completed.
    Lost,
}

/// What carrying out a command gives.
pub(crate) type Verdict = Result<Outcome, Failure>;

/// What is checked holds, or the command fails.
pub(crate) fn ensure(held: bool, failure: Failure) -> Result<(), Failure> {
    if held { Ok(()) } else { Err(failure) }
}

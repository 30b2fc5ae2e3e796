//! What the controller can do to the machine around it.

use crate::rule::Rule;

/// Why the controller reads or writes host memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// A submission queue entry is fetched.
    SubmissionEntry {
        /// The submission queue.
        queue: u16,
    },
    /// A completion queue entry is posted.
    CompletionEntry {
        /// The completion queue.
        queue: u16,
    },
    /// A PRP list of a command is fetched.
    PrpList {
        /// The submission queue that the command came from.
        queue: u16,
        /// The command's identifier.
        cid: u16,
    },
    /// The data of a command is transferred.
    Data {
        /// The submission queue that the command came from.
        queue: u16,
        /// The command's identifier.
        cid: u16,
    },
    /// The Host Memory Descriptor List is read.
    HmbDescriptors,
    /// The Host Memory Buffer is used.
    Hmb,
}

/// A transfer that the machine did not carry out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no memory that the controller may reach at {address:#x}")]
pub struct BusFault {
    /// The bus address at which the transfer failed.
    pub address: u64,
}

/// The machine, as the controller reaches it. A transfer may be meant to end at the very end of the address space, or beyond
/// what exists: the machine refuses it.
pub trait Bus {
    /// Reads host memory. Nothing is transferred beyond a fault.
    fn read(&mut self, from: u64, into: &mut [u8], why: Access) -> Result<(), BusFault>;
    /// Writes host memory. Nothing is transferred beyond a fault.
    fn write(&mut self, to: u64, data: &[u8], why: Access) -> Result<(), BusFault>;
    /// A controller that reaches host memory by itself is about to write these bytes, or to read them: nothing is
    /// transferred, but it is judged.
    fn transfer(&mut self, _start: u64, _bytes: u64, _write: bool, _why: Access) {}
    /// Sends MSI-X message number `message`, which is enabled and not masked.
    fn interrupt(&mut self, message: u16);
    /// The level of the INTx line changed.
    fn line(&mut self, asserted: bool);
    /// Whether the line is asserted although neither a completion nor the controller's status shows why.
    fn line_unexplained(&mut self, _unexplained: bool) {}
    /// `rule` was evaluated; `what` describes the case and is only called when somebody wants to read it.
    fn judge(&mut self, rule: Rule, held: bool, what: &dyn Fn() -> String);
    /// Something worth a line in a timeline happened.
    fn note(&mut self, what: String);
}

//! What the adapter gives the state machine: memory, limits, and room for what it finds.

use zerocopy::FromZeros;

use crate::identify::Namespaces;

/// Entries of the admin submission and completion queue each.
pub const ADMIN_ENTRIES: u16 = 32;
/// The most I/O queue pairs that this driver creates.
pub const MAX_QUEUE_PAIRS: usize = 64;
/// Memory of the admin queue and its data. Each part starts a page; none is shared with another controller.
#[derive(Debug)]
pub struct AdminMemory<D> {
    /// Submission queue: [`ADMIN_ENTRIES`] entries of 64 bytes.
    pub submission: D,
    /// Completion queue: [`ADMIN_ENTRIES`] entries of 16 bytes.
    pub completion: D,
    /// Data of Identify: one page.
    pub data: D,
    /// The Host Memory Buffer's descriptor list: one page. It has to stay where it is, with its contents, for memory to
    /// be returned after a reset.
    pub hmb_list: D,
}

/// Deadlines and limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The longest wait for one admin command, in microseconds.
    pub command_us: u64,
    /// The longest wait for all admin commands of one goal, in microseconds.
    pub goal_us: u64,
    /// The longest wait for shutdown processing, whatever RTD3E says, in microseconds.
    pub shutdown_us: u64,
    /// The driver's own limit of one transfer in bytes, a multiple of the page size.
    pub max_transfer_bytes: u32,
    /// How long no register is read after CC.EN was cleared, in microseconds.
    pub ready_delay_us: u64,
    /// The list of active namespaces is used, where the version has it.
    pub namespace_list: bool,
    /// Namespace identification descriptors are read, where the version has them.
    pub descriptors: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            command_us: 10_000_000,
            goal_us: 30_000_000,
            shutdown_us: 10_000_000,
            max_transfer_bytes: 1 << 20,
            ready_delay_us: 0,
            namespace_list: true,
            descriptors: true,
        }
    }
}

/// Memory and interrupt of an I/O queue pair. All zero is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromZeros)]
pub struct QueueMemory {
    /// Device address of the submission queue, a page's start.
    pub submission_address: u64,
    /// Device address of the completion queue, a page's start.
    pub completion_address: u64,
    /// Entries of the submission queue, 2 to [`Controller::max_queue_entries`](super::Controller::max_queue_entries).
    pub submission_entries: u16,
    /// Entries of the completion queue, 2 to [`Controller::max_queue_entries`](super::Controller::max_queue_entries).
    pub completion_entries: u16,
    /// Interrupt vector of the completion queue.
    pub vector: u16,
}

/// What the adapter keeps for its controller, too large to pass around: all zero is a valid, empty one.
#[derive(Debug, FromZeros)]
pub struct Inventory {
    /// What [`Goal::Identify`](super::Goal::Identify) found.
    pub namespaces: Namespaces,
    /// What [`Goal::Start`](super::Goal::Start) makes queues of: queue pair `n`, with queue identifiers `n + 1`, is `queues[n]`.
    pub queues: [QueueMemory; MAX_QUEUE_PAIRS],
}

impl Inventory {
    /// An empty one. Constant, so that it can be placed without passing over a stack.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            namespaces: Namespaces::new(),
            queues: [const {
                QueueMemory {
                    submission_address: 0,
                    completion_address: 0,
                    submission_entries: 0,
                    completion_entries: 0,
                    vector: 0,
                }
            }; MAX_QUEUE_PAIRS],
        }
    }
}

impl Default for Inventory {
    fn default() -> Self {
        Self::new()
    }
}

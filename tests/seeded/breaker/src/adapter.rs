//! What this miniport knows of its adapter: it lies in the device extension, which comes zeroed.

use core::cell::Cell;

use crate::faults::Fault;
use crate::nvme::Queue;

/// Bytes of a page.
pub const PAGE: u64 = 4096;
/// Requests that the device gets at once.
pub const SLOTS: usize = 32;
/// Ranges of host memory that are taken.
pub const HMB_RANGES: usize = 8;

/// Pages of the uncached extension.
#[derive(Clone, Copy)]
#[repr(u64)]
pub enum Page {
    /// The admin submission queue.
    AdminSubmission,
    /// The admin completion queue.
    AdminCompletion,
    /// The I/O submission queue.
    Submission,
    /// The I/O completion queue.
    Completion,
    /// Data of admin commands.
    Data,
    /// The list of host memory descriptors.
    HmbList,
    /// How many there are.
    Count,
}

/// `ACCESS_RANGE`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct AccessRange {
    /// Where it starts.
    pub start: u64,
    /// Its bytes.
    pub length: u32,
    /// TRUE for memory.
    pub in_memory: u32,
}

/// The adapter. The port driver calls on several processors; what they share is changed under the StartIo lock.
#[repr(C)]
pub struct Adapter {
    /// A `STOR_DPC`.
    dpc: [Cell<u64>; 16],
    /// The fault that is wanted.
    pub fault: Cell<u32>,
    /// Whether a fault that is done once was done.
    done: Cell<bool>,
    /// Interrupts come by the line.
    pub line: Cell<bool>,
    /// The controller runs.
    pub running: Cell<bool>,
    /// Host memory was enabled before.
    pub hmb_returned: Cell<bool>,
    /// Where the device extension lies.
    pub extension: Cell<u64>,
    /// Where the configuration lies during `HwFindAdapter`.
    pub configuration: Cell<u64>,
    /// The registers.
    pub registers: Cell<u64>,
    /// The uncached extension.
    pub uncached: Cell<u64>,
    /// Its physical address.
    pub uncached_physical: Cell<u64>,
    /// Bytes from one doorbell to the next.
    pub stride: Cell<u64>,
    /// Blocks of the namespace.
    pub blocks: Cell<u64>,
    /// Pages of host memory that the device prefers, and needs.
    pub hmb_pages: Cell<[u32; 2]>,
    /// Host memory that is granted.
    pub hmb: [Cell<AccessRange>; HMB_RANGES],
    /// How many ranges.
    pub hmb_ranges: Cell<usize>,
    /// The admin queues.
    pub admin: Queue,
    /// The I/O queues.
    pub io: Queue,
    /// The request of each command identifier.
    pub slots: [Cell<u64>; SLOTS],
    /// Requests that the fault keeps from the device.
    pub lost: Cell<u64>,
    /// Pool, its MDL, and the buffer of a scatter/gather list.
    pub described: [Cell<u64>; 3],
    /// Whether the list is to be asked for.
    pub to_list: Cell<bool>,
    /// Pointers and handles that stay.
    pub kept: [Cell<u64>; 2],
}

impl Adapter {
    /// The adapter in a device extension.
    pub fn of(extension: u64) -> &'static Self {
        let at = core::ptr::with_exposed_provenance::<Self>(extension as usize);
        // SAFETY: the device extension is as large as an `Adapter`, page-aligned and zeroed when the port driver gives it,
        // and stays until the driver is unloaded; zeroes are an `Adapter`, and all of it can be shared.
        unsafe { &*at }
    }

    /// Whether this is the fault.
    pub fn wants(&self, fault: Fault) -> bool {
        self.fault.get() == fault as u32
    }

    /// Whether this is the fault, the first time that it is asked.
    pub fn once(&self, fault: Fault) -> bool {
        self.wants(fault) && !self.done.replace(true)
    }

    /// `wrong` if this is the fault, else `right`.
    pub fn pick<T>(&self, fault: Fault, wrong: T, right: T) -> T {
        if self.wants(fault) { wrong } else { right }
    }

    /// The address of the DPC.
    pub fn dpc(&self) -> u64 {
        core::ptr::from_ref(&self.dpc).expose_provenance() as u64
    }

    /// The virtual address of a page.
    pub fn page(&self, page: Page) -> u64 {
        self.uncached.get() + page as u64 * PAGE
    }

    /// The physical address of a page.
    pub fn physical(&self, page: Page) -> u64 {
        self.uncached_physical.get() + page as u64 * PAGE
    }
}

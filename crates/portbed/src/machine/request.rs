//! Requests: what is sent to a logical unit, and what comes back.

use std::ops::{Add, Sub};

/// Where a logical unit is.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct UnitAddress {
    /// The adapter, by its place among the machine's controllers.
    pub adapter: usize,
    /// The bus.
    pub path: u8,
    /// The target on the bus.
    pub target: u8,
    /// The logical unit of the target.
    pub lun: u8,
}

/// The data of a request.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Data {
    /// No data.
    #[default]
    None,
    /// Up to this many bytes from the device.
    In(usize),
    /// These bytes to the device.
    Out(Vec<u8>),
}

/// Which request block carries a request.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum SrbKind {
    /// `SCSI_REQUEST_BLOCK`.
    Scsi,
    /// `STORAGE_REQUEST_BLOCK` with a 16-byte CDB. A miniport that does not take it gets the other kind.
    #[default]
    Storage,
}

/// One SCSI request.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Request {
    /// The logical unit.
    pub unit: UnitAddress,
    /// The command descriptor block: 6 to 16 bytes.
    pub cdb: Vec<u8>,
    /// The data.
    pub data: Data,
    /// Where in a page the data buffer starts, below 4096; rounded to what the adapter asked for.
    pub buffer_offset: usize,
    /// Whether no page of it follows the one before in physical memory.
    pub pages_apart: bool,
    /// Which request block carries it.
    pub srb: SrbKind,
    /// Seconds until the port driver gives up on it; 0 is the default of 10.
    pub timeout_s: u32,
    /// `SRB_FLAGS_*` beside those of direction and queueing.
    pub flags: u32,
}

/// A request that came back.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Completed {
    /// `SRB_STATUS_*` without the flags.
    pub srb_status: u8,
    /// The SCSI status.
    pub scsi_status: u8,
    /// Sense data, where the miniport said that they are valid.
    pub sense: Option<Vec<u8>>,
    /// What was read: as many bytes as were transferred.
    pub data: Vec<u8>,
    /// How many bytes were transferred.
    pub transferred: u32,
}

impl Completed {
    /// Whether the request succeeded.
    #[must_use]
    pub fn succeeded(&self) -> bool {
        self.srb_status == crate::abi::srb::status::SUCCESS
    }
}

/// Names a submitted request.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Token(pub(crate) u64);

/// A logical unit, as a disk class driver sees it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct LogicalUnit {
    /// Where it is.
    pub address: UnitAddress,
    /// The vendor of its standard inquiry data, trimmed.
    pub vendor: String,
    /// The product of its standard inquiry data, trimmed.
    pub product: String,
    /// The revision of its standard inquiry data, trimmed.
    pub revision: String,
    /// The serial number of VPD page 80h, trimmed.
    pub serial: String,
    /// The number of blocks.
    pub blocks: u64,
    /// Bytes a block.
    pub block_bytes: u32,
    /// The largest transfer, in bytes: the least of what the adapter and VPD page B0h allow.
    pub max_transfer_bytes: u32,
    /// Whether the caching mode page says that there is a write cache and that it is on.
    pub write_cache: bool,
}

/// Why the system changes its power.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum PowerAction {
    /// The adapter alone is idle: run-time D3.
    #[default]
    None,
    /// Sleep: host memory is kept.
    Sleep,
    /// Hibernation: host memory is lost and restored from the disk.
    Hibernate,
    /// Shutdown.
    Shutdown,
}

/// How the resources of an adapter are assigned anew.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Rebalance {
    /// The interrupts that it gets; registers and vectors are others in any case.
    pub interrupts: super::Interrupts,
    /// Whether the stop is announced while the miniport has requests. No document says that it has none by then, only
    /// that it has none when it is stopped.
    pub under_requests: bool,
}

/// The host memory buffer, for the report.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct HmbReport {
    /// Bytes granted, over all grants of the run.
    pub granted_bytes: u64,
    /// Ranges granted, over all grants of the run.
    pub ranges: u64,
    /// How often the controller saw it enabled.
    pub enabled: u64,
    /// How often the controller saw it disabled by command.
    pub disabled: u64,
    /// Enables that said that the memory is the same as before.
    pub memory_returned: u64,
    /// Successful free calls.
    pub freed: u64,
    /// Bytes of those.
    pub freed_bytes: u64,
    /// Calls at `DISPATCH_LEVEL` that were granted memory.
    pub granted_at_dispatch: u64,
    /// Free calls at `DISPATCH_LEVEL`.
    pub freed_at_dispatch: u64,
    /// Bytes that the miniport declared as retained, with an event.
    pub retained_bytes: u64,
    /// Bytes that were safe but left to the port driver: their DPC never ran, or it refused to take them back.
    pub left_to_port_bytes: u64,
    /// Bytes that were neither freed nor declared: a leak once the adapter is gone.
    pub outstanding_bytes: u64,
}

/// What the requests cost, summed over the run.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Cost {
    /// Requests completed.
    pub requests: u64,
    /// Register reads while requests were outstanding.
    pub mmio_reads: u64,
    /// Register writes while requests were outstanding.
    pub mmio_writes: u64,
    /// Port driver calls while requests were outstanding.
    pub port_calls: u64,
    /// Instructions, as far as they were counted.
    pub instructions: Instructions,
}

/// Instructions inside the image, those that access registers included, in the callbacks that requests go through.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Instructions {
    /// Requests completed while they were counted.
    pub requests: u64,
    /// Those of `HwStorBuildIo`.
    pub build: u64,
    /// Those of `HwStorStartIo`.
    pub start: u64,
    /// Those of interrupt routines.
    pub interrupt: u64,
    /// Those of DPCs and timers.
    pub dpc: u64,
}

impl Cost {
    /// Each number with its counterpart in `other`.
    fn combine(self, other: Self, with: fn(u64, u64) -> u64) -> Self {
        Self {
            requests: with(self.requests, other.requests),
            mmio_reads: with(self.mmio_reads, other.mmio_reads),
            mmio_writes: with(self.mmio_writes, other.mmio_writes),
            port_calls: with(self.port_calls, other.port_calls),
            instructions: self.instructions.combine(other.instructions, with),
        }
    }
}

impl Instructions {
    /// Each number with its counterpart in `other`.
    fn combine(self, other: Self, with: fn(u64, u64) -> u64) -> Self {
        Self {
            requests: with(self.requests, other.requests),
            build: with(self.build, other.build),
            start: with(self.start, other.start),
            interrupt: with(self.interrupt, other.interrupt),
            dpc: with(self.dpc, other.dpc),
        }
    }
}

impl Add for Cost {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        self.combine(other, u64::add)
    }
}

impl Sub for Cost {
    type Output = Self;

    /// What was added since `before`.
    fn sub(self, before: Self) -> Self {
        self.combine(before, u64::sub)
    }
}

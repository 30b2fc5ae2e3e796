//! What a machine is made of.

mod dma;
mod keys;
mod neighbour;
mod performance;

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use crate::controller::Controller;
use crate::journal::Journal;

pub use dma::DmaGrant;
pub use neighbour::Neighbour;
pub use performance::{Performance, PerformanceOffer, StartIoAnswer};

/// Everything that decides a run: under the deterministic clock, the same options give the same run.
pub struct MachineOptions {
    /// The number of virtual processors, 1 to 128.
    pub cpus: u32,
    /// See [`Clock`].
    pub clock: Clock,
    /// Decides every choice that the machine makes.
    pub seed: u64,
    /// How the port driver behaves.
    pub port: PortOptions,
    /// Values of the service's `Parameters\Device` key.
    pub registry: BTreeMap<String, u32>,
    /// The controller behind each adapter, at least one.
    pub controllers: Vec<Box<dyn Controller>>,
    /// Where events are noted.
    pub journal: Journal,
}

/// What decides when a processor runs.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Clock {
    /// One processor runs at a time, as the seed decides, and time is virtual: the same seed gives the same run.
    #[default]
    Deterministic,
    /// The same, and one in so many calls and register accesses is followed, some instructions later, by a pre-emption of
    /// the driver code: at an instruction that the seed chooses.
    Preemptive(NonZeroU32),
    /// Every processor is a thread that runs in parallel with the others, in real time.
    Threaded,
}

/// How much host memory the port driver grants.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Grant {
    /// What the miniport prefers.
    #[default]
    Preferred,
    /// What the miniport needs at least.
    Minimum,
    /// Half of what it prefers, even if that is below its minimum.
    Half,
    /// Nothing: insufficient resources.
    Refuse,
    /// Nothing so many times, then what the miniport prefers.
    Later(u32),
    /// The call is not implemented.
    NotImplemented,
    /// Nothing: the port driver says that the arguments are invalid, although they are not.
    Invalid,
    /// What the miniport prefers, in at least this many ranges where its array allows.
    Ranges(u32),
}

/// What host memory is granted at `DISPATCH_LEVEL`, where contiguous memory is scarcer than below.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum DispatchGrant {
    /// What [`Grant`] says.
    #[default]
    Ok,
    /// At most half of what the miniport prefers, in ranges of at most 128 KiB, as many as its array has room for.
    Small,
    /// Nothing: insufficient resources.
    Refuse,
}

/// Whether host memory is taken back at `DISPATCH_LEVEL`: no page gives the IRQL of the free call.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum DispatchFree {
    /// It is.
    #[default]
    Ok,
    /// The call fails with `STOR_STATUS_UNSUCCESSFUL`, and the port driver keeps the memory.
    Refuse,
}

/// Until when work items are taken: `StorPortQueueWorkItem` fails during a removal.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum WorkItems {
    /// Until the adapter is removed.
    #[default]
    ToTheEnd,
    /// Until its stop or removal is announced, or, where that is not, until it is stopped.
    ToTheStop,
}

/// At which IRQL, and with what afterwards, an adapter is stopped.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Stop {
    /// At `PASSIVE_LEVEL`.
    #[default]
    Passive,
    /// At DIRQL with the interrupt lock; DPCs that the miniport issues run afterwards.
    Dirql,
    /// At DIRQL; DPCs that the miniport issues are dropped.
    DirqlNoDpc,
}

/// How the port driver changes the power of an adapter.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Power {
    /// By `ScsiAdapterPower`, where the miniport supports it.
    #[default]
    Control,
    /// By `ScsiStopAdapter`, as [`Stop`] says, and `ScsiRestartAdapter`: the port driver does not know the other way.
    Stop,
}

/// At which IRQL `ScsiAdapterPower` comes: its page allows any up to `DISPATCH_LEVEL`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum PowerIrql {
    /// One of the others, as the seed decides.
    #[default]
    Any,
    /// At `PASSIVE_LEVEL`.
    Passive,
    /// At `DISPATCH_LEVEL`.
    Dispatch,
}

/// What a device is whose removal comes by surprise.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Removal {
    /// It was pulled out and does not answer.
    #[default]
    Pulled,
    /// It is still there, and answers: it was only said to be gone.
    Present,
}

/// Which interrupts the adapter gets.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Interrupts {
    /// As many MSI-X messages as the controller has.
    #[default]
    Messages,
    /// As many, with MSI-X enabled and every message masked before `HwFindAdapter`: what its commands leave pending comes
    /// as soon as the interrupt is connected, before `HwInitialize`.
    Early,
    /// As many, with MSI-X enabled when `HwInitialize` has returned: before the passive initialisation routine.
    Late,
    /// As many messages of plain MSI as the controller has.
    Msi,
    /// One message.
    OneMessage,
    /// The line.
    Line,
}

/// Which processor takes an interrupt message.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Affinity {
    /// The one with the message's number; where there are fewer processors, they take turns.
    #[default]
    Spread,
    /// The same, counted from the last processor down.
    Reversed,
    /// The first processor takes every message.
    First,
    /// Each processor of the first group in turn takes the next one, whichever message it is.
    Turns,
}

impl Affinity {
    /// Whether processor `index` of so many may take `message`.
    pub(crate) const fn may_take(
        self,
        index: usize,
        message: usize,
        processors: usize,
        group: usize,
    ) -> bool {
        match self {
            Self::Spread => index == message % processors,
            Self::Reversed => index == processors - 1 - message % processors,
            Self::First => index == 0,
            Self::Turns => index < group,
        }
    }

    /// Whether it takes `message` as the `arrival`-th one that arrived.
    pub(crate) const fn takes(
        self,
        index: usize,
        message: usize,
        arrival: usize,
        processors: usize,
        group: usize,
    ) -> bool {
        match self {
            Self::Turns if processors < group => index == arrival % processors,
            Self::Turns => index == arrival % group,
            _ => self.may_take(index, message, processors, group),
        }
    }
}

/// What becomes of DMA to memory that was not given for it, which is told in any case.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Isolation {
    /// It is kept from the memory.
    #[default]
    On,
    /// It is carried out.
    Off,
}

/// How the port driver behaves where documentation leaves it a choice.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PortOptions {
    /// See [`Grant`].
    pub grant: Grant,
    /// See [`DispatchGrant`].
    pub dispatch_grant: DispatchGrant,
    /// Whether host memory is taken back; otherwise each free call fails with `STOR_STATUS_UNSUCCESSFUL` and the port
    /// driver keeps the memory.
    pub takes_back: bool,
    /// See [`DispatchFree`].
    pub dispatch_free: DispatchFree,
    /// See [`WorkItems`].
    pub work_items: WorkItems,
    /// See [`Stop`].
    pub stop: Stop,
    /// See [`Power`].
    pub power: Power,
    /// See [`PowerIrql`].
    pub power_irql: PowerIrql,
    /// Whether stop and removal are announced by a plug-and-play SRB.
    pub pnp: bool,
    /// See [`Removal`].
    pub removal: Removal,
    /// See [`Interrupts`].
    pub interrupts: Interrupts,
    /// See [`Affinity`].
    pub affinity: Affinity,
    /// See [`Neighbour`].
    pub neighbour: Neighbour,
    /// Whether `StorPortGetCurrentIrql` is implemented.
    pub irql_query: bool,
    /// See [`Isolation`].
    pub iommu: Isolation,
    /// See [`Performance`].
    pub performance: Performance,
    /// See [`DmaGrant`].
    pub dma_grant: DmaGrant,
    /// Processors of a processor group, 1 to 64.
    pub group_size: u32,
    /// NUMA nodes, over which the processors are spread, 1 to 64.
    pub nodes: u32,
}

impl Default for PortOptions {
    fn default() -> Self {
        Self {
            grant: Grant::default(),
            dispatch_grant: DispatchGrant::default(),
            takes_back: true,
            dispatch_free: DispatchFree::default(),
            work_items: WorkItems::default(),
            stop: Stop::default(),
            power: Power::default(),
            power_irql: PowerIrql::default(),
            pnp: true,
            removal: Removal::default(),
            interrupts: Interrupts::default(),
            affinity: Affinity::default(),
            neighbour: Neighbour::default(),
            irql_query: true,
            iommu: Isolation::default(),
            performance: Performance::default(),
            dma_grant: DmaGrant::default(),
            group_size: 64,
            nodes: 1,
        }
    }
}

/// A key that [`PortOptions::set`] takes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PortKey {
    /// Its name.
    pub name: &'static str,
    /// What it means and what it takes, one line.
    pub meaning: &'static str,
    /// Its default.
    pub default: &'static str,
}

/// Why a port option was refused.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PortOptionError {
    /// No such key.
    #[error("the port driver has no option `{0}`")]
    UnknownKey(String),
    /// The value is not one that the key takes.
    #[error("`{key}` does not take `{value}`: {expected}")]
    BadValue {
        /// The key.
        key: &'static str,
        /// The value that was given.
        value: String,
        /// What it takes.
        expected: &'static str,
    },
}

//! The adapter: what the miniport registered and configured, and how far it has come.

use super::find::DmaDescription;
use super::performance::Granted;
use crate::abi::callback::zeroed;
use crate::abi::configuration::{DMA64_SYSTEM_SUPPORTED, PortConfiguration};
use crate::abi::initialization::HwInitializationData;
use crate::abi::power::control;
use crate::machine::Interrupts;

/// How far an adapter has come.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Phase {
    /// The driver does not know it.
    #[default]
    Absent,
    /// `HwFindAdapter` found it.
    Found,
    /// It is initialised and takes requests.
    Started,
    /// It is about to be stopped: requests wait.
    Stopping,
    /// It is in D3.
    Asleep,
    /// It was stopped.
    Stopped,
}

/// The adapter.
pub(crate) struct Adapter {
    pub(crate) phase: Phase,
    /// Which one of the machine's adapters it is: the `n` of `Parameters\Device<n>`.
    pub(super) number: usize,
    /// What the driver registered.
    pub(crate) initialization: HwInitializationData,
    pub(super) context: u64,
    /// The device extension.
    pub(crate) extension: u64,
    /// Where the configuration lies that `HwFindAdapter` gets.
    pub(super) configuration_address: u64,
    pub(super) configuration: PortConfiguration,
    /// What the DMA adapter was made of, until `HwFindAdapter` returns.
    pub(super) described: Option<DmaDescription>,
    pub(super) bar_address: u64,
    pub(super) bar_bytes: u64,
    /// Which interrupts plug and play gives it.
    pub(super) interrupts: Interrupts,
    /// The vector of message 0; the others follow.
    pub(super) first_vector: u32,
    /// The miniport has logged an error since the adapter's start began.
    pub(super) told_error: bool,
    /// The miniport has said that logical units have changed, and nobody has looked since.
    pub(crate) bus_changed: bool,
    /// Interrupt messages that the adapter was given; 0 for the line.
    pub(crate) messages: u32,
    pub(crate) message_routine: u64,
    pub(crate) lock_per_message: bool,
    pub(super) passive_routine: u64,
    pub(super) performance: Granted,
    pub(super) supported: Vec<bool>,
    pub(super) unit_supported: Vec<bool>,
}

/// Where BAR0 of the adapter lies, in the hole below 4 GiB.
const BAR_ADDRESS: u64 = 0xFE80_0000;
/// How far the registers of one adapter lie from those of the next.
const BAR_SPACE: u64 = 0x100_0000;
/// How far resources that are assigned anew lie from those before.
const BAR_STEP: u64 = 0x10_0000;
const VECTOR_STEP: u32 = 0x10;
/// The vector of message 0 at first.
const FIRST_VECTOR: u32 = 0x60;

impl Adapter {
    pub(super) fn new(number: usize, bar_bytes: u64, interrupts: Interrupts) -> Self {
        Self {
            phase: Phase::default(),
            number,
            initialization: zeroed(),
            context: 0,
            extension: 0,
            configuration_address: 0,
            configuration: zeroed(),
            described: None,
            bar_address: BAR_ADDRESS - number as u64 * BAR_SPACE,
            bar_bytes,
            interrupts,
            first_vector: FIRST_VECTOR,
            told_error: false,
            bus_changed: false,
            messages: 0,
            message_routine: 0,
            lock_per_message: false,
            passive_routine: 0,
            performance: Granted::default(),
            supported: Vec::new(),
            unit_supported: Vec::new(),
        }
    }

    /// Gives the adapter, which is stopped, other resources than before; what it registered with the old ones is void.
    pub(super) fn reassign(&mut self, interrupts: Interrupts) {
        self.bar_address += BAR_STEP;
        self.first_vector += VECTOR_STEP;
        self.interrupts = interrupts;
        self.passive_routine = 0;
        self.performance = Granted::default();
    }

    /// Whether the miniport supports an adapter control type.
    pub(super) fn supports(&self, kind: u32) -> bool {
        kind == control::QUERY_SUPPORTED
            || self.supported.get(kind as usize).copied().unwrap_or(false)
    }

    /// Whether the adapter is stopped and restarted where its power changes.
    pub(crate) fn stops_for_power(&self) -> bool {
        !self.supports(control::ADAPTER_POWER)
    }

    /// Whether the miniport supports a unit control type.
    pub(super) fn supports_unit(&self, kind: u32) -> bool {
        self.unit_supported
            .get(kind as usize)
            .copied()
            .unwrap_or(false)
    }

    /// Bytes of the extension of each request.
    pub(super) fn srb_extension_bytes(&self) -> u64 {
        u64::from(
            self.configuration
                .srb_extension_size
                .max(self.initialization.srb_extension_size),
        )
    }

    /// The largest transfer that the adapter takes, in bytes, at any alignment. A list of scattered pages has one element
    /// more than breaks, and the first page of a transfer may be touched at its last bytes only.
    pub(crate) fn max_transfer_bytes(&self) -> u32 {
        let breaks = self
            .configuration
            .number_of_physical_breaks
            .clamp(1, (1 << 20) - 1);
        self.configuration
            .maximum_transfer_length
            .min(breaks * 4096)
            .max(4096)
    }

    /// How many buses, targets and units are looked at.
    pub(crate) fn limits(&self) -> (u8, u8, u8) {
        let configuration = &self.configuration;
        (
            configuration.number_of_buses.max(1),
            configuration.maximum_number_of_targets.max(1),
            configuration.maximum_number_of_logical_units.max(1),
        )
    }

    /// How many requests a logical unit takes at once, to begin with.
    pub(super) fn initial_depth(&self) -> usize {
        (self.configuration.initial_lun_queue_depth as usize).clamp(1, 1 << 16)
    }

    /// How many requests a logical unit takes at once, at most.
    pub(super) fn most_requests_per_unit(&self) -> u32 {
        self.configuration.max_ios_per_lun
    }

    /// How many requests the adapter takes at once.
    pub(super) fn most_requests(&self) -> usize {
        (self.configuration.max_number_of_io as usize).clamp(1, 1 << 16)
    }

    /// Changes how many requests the adapter, and each unit, takes at once.
    pub(super) fn limit_requests(&mut self, most: u32, per_unit: Option<u32>) {
        self.configuration.max_number_of_io = most;
        if let Some(per_unit) = per_unit {
            self.configuration.max_ios_per_lun = per_unit;
        }
    }

    /// Which buffers the miniport may touch by their virtual address, `STOR_MAP_*`.
    pub(super) fn map_buffers(&self) -> u8 {
        self.configuration.map_buffers
    }

    /// One less than the alignment that data buffers have.
    pub(super) fn alignment_mask(&self) -> u64 {
        u64::from(self.configuration.alignment_mask)
    }

    /// The highest physical address that the adapter can use.
    pub(super) fn highest_address(&self) -> u64 {
        // The miniport adds its answer to the bit in which the system said that it could do more.
        if matches!(
            self.configuration.dma_64_bit_addresses,
            0 | DMA64_SYSTEM_SUPPORTED
        ) {
            0xFFFF_FFFF
        } else {
            u64::MAX
        }
    }
}

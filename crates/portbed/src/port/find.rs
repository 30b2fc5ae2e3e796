//! `HwFindAdapter`: resources, configuration, and what the miniport makes of them.

use super::Phase;
use super::control;
use crate::abi::callback;
use crate::abi::configuration::{
    self, AccessRange, DMA64_SYSTEM_SUPPORTED, FULL_DUPLEX, INTERRUPT_SUPPORT_NONE,
    PortConfiguration, SRB_TYPE_STORAGE, SYNCHRONIZE_PER_MESSAGE, UNINITIALIZED, found,
};
use crate::abi::initialization::SRB_TYPE_FLAG_STORAGE;
use crate::abi::interrupt::LATCHED;
use crate::controller::Moment;
use crate::journal::Who;
use crate::machine::Interrupts;
use crate::memory::Request;
use crate::rules::port as rules;
use crate::schedule::{Callback, Cpu};

/// The default of Windows for requests outstanding on an adapter.
const DEFAULT_MAX_IO: u32 = 1000;
/// The default of Windows for requests outstanding on a logical unit.
const DEFAULT_MAX_IO_PER_LUN: u32 = 255;
/// The default of Windows for the queue depth that a logical unit begins with.
const DEFAULT_LUN_DEPTH: u32 = 20;
/// Targets and logical units that a bus may have unless the miniport says otherwise.
const DEFAULT_TARGETS: u8 = 128;
const DEFAULT_UNITS: u8 = 8;
/// Breaks in a transfer that an adapter under Storport takes at least.
const LEAST_BREAKS: u32 = 16;

/// Allocates the device extension and calls `HwFindAdapter`. Why the adapter was not found, if not.
pub(crate) fn find_adapter(cpu: &Cpu) -> Result<(), String> {
    prepare(cpu).ok_or("no memory for the device extension")?;
    {
        let mut state = cpu.state();
        state.port.stopped = false;
        state.port.timers.left_pending = false;
        state.port.drops_dpcs = false;
        state.port.leaves = false;
        state.port.adapter.told_error = false;
    }
    super::bus::assign_interrupts(cpu);
    if cpu.state().port.adapter.interrupts == Interrupts::Early {
        super::bus::enable_masked(cpu);
    }
    let (routine, arguments, configuration_address) = {
        let state = cpu.state();
        let adapter = &state.port.adapter;
        // The third argument, the bus information, is unused; the argument string is empty.
        let string = adapter.configuration_address + size_of::<PortConfiguration>() as u64;
        let again = string + 8;
        let arguments = [
            adapter.extension,
            adapter.context,
            0,
            string,
            adapter.configuration_address,
            again,
        ];
        (
            adapter.initialization.find_adapter,
            arguments,
            adapter.configuration_address,
        )
    };
    let result = cpu.call(Callback::FindAdapter, routine, arguments) as u32;
    cpu.check(&rules::FIND_RESULT, result <= found::BAD_CONFIG, || {
        format!("HwFindAdapter returned {result}")
    });
    if result != found::FOUND {
        return Err(match result {
            found::NOT_FOUND => "HwFindAdapter found none".to_owned(),
            other => format!("HwFindAdapter failed with {other}"),
        });
    }
    let configuration: PortConfiguration = callback::read(configuration_address);
    judge(cpu, &configuration);
    adopt(cpu, &configuration);
    control::query_supported(cpu);
    super::moment(cpu, Moment::Find);
    Ok(())
}

/// The device extension and the configuration, as `HwFindAdapter` gets them.
fn prepare(cpu: &Cpu) -> Option<()> {
    let memory = &cpu.core().memory;
    let mut state = cpu.state();
    let (initialization, context) = state.driver.registered?;
    let adapter = &mut state.port.adapter;
    (adapter.initialization, adapter.context) = (initialization, context);
    if adapter.extension == 0 {
        let bytes = u64::from(adapter.initialization.device_extension_size);
        // The extension is page-aligned nonpaged memory and comes zeroed.
        let block = memory.alloc_scattered(Request::new(bytes, "device extension").zeroed(), 0)?;
        adapter.extension = block.va;
        let bytes = (size_of::<PortConfiguration>() + 64 + size_of::<AccessRange>() * 8) as u64;
        let block =
            memory.alloc_scattered(Request::new(bytes, "port configuration").zeroed(), 0)?;
        adapter.configuration_address = block.va;
    }
    let ranges_address = adapter.configuration_address + size_of::<PortConfiguration>() as u64 + 64;
    let bar = AccessRange {
        start: adapter.bar_address,
        length: u32::try_from(adapter.bar_bytes).unwrap_or(u32::MAX),
        in_memory: 1,
        gap_0: [0; 3],
    };
    callback::write(ranges_address, bar);
    let message = adapter.interrupts != Interrupts::Line;
    let initialization = &adapter.initialization;
    let mut configuration: PortConfiguration = callback::zeroed();
    configuration.length = size_of::<PortConfiguration>() as u32;
    configuration.adapter_interface_type = initialization.adapter_interface_type;
    configuration.slot_number = adapter.number as u32;
    configuration.bus_interrupt_level = 9;
    configuration.bus_interrupt_vector = 0x91;
    configuration.interrupt_mode = if message { LATCHED } else { 0 };
    configuration.maximum_transfer_length = UNINITIALIZED;
    configuration.number_of_physical_breaks = UNINITIALIZED;
    configuration.dma_channel = UNINITIALIZED;
    configuration.dma_port = UNINITIALIZED;
    configuration.number_of_access_ranges = initialization.number_of_access_ranges.min(8);
    configuration.access_ranges = ranges_address;
    configuration.initiator_bus_id = [0xFF; 8];
    configuration.map_buffers = initialization.map_buffers;
    configuration.need_physical_addresses = initialization.need_physical_addresses;
    configuration.tagged_queuing = initialization.tagged_queuing;
    configuration.auto_request_sense = initialization.auto_request_sense;
    configuration.multiple_request_per_lu = initialization.multiple_request_per_lu;
    configuration.receive_event = initialization.receive_event;
    configuration.maximum_number_of_targets = DEFAULT_TARGETS;
    configuration.maximum_number_of_logical_units = DEFAULT_UNITS;
    configuration.srb_type = if initialization.srb_type_flags & SRB_TYPE_FLAG_STORAGE != 0 {
        SRB_TYPE_STORAGE
    } else {
        0
    };
    configuration.device_extension_size = initialization.device_extension_size;
    configuration.specific_lu_extension_size = initialization.specific_lu_extension_size;
    configuration.srb_extension_size = initialization.srb_extension_size;
    configuration.dma_64_bit_addresses = DMA64_SYSTEM_SUPPORTED;
    configuration.synchronization_model = FULL_DUPLEX;
    configuration.dma_address_width = 64;
    configuration.max_number_of_io = DEFAULT_MAX_IO;
    configuration.max_ios_per_lun = DEFAULT_MAX_IO_PER_LUN;
    configuration.initial_lun_queue_depth = DEFAULT_LUN_DEPTH;
    configuration.feature_support = initialization.feature_support;
    adapter.configuration = configuration;
    callback::write(adapter.configuration_address, configuration);
    Some(())
}

/// What the port driver describes the adapter's DMA by, and with it the common buffer.
#[derive(Clone, Copy, Debug)]
pub(super) struct DmaDescription {
    transfer_bytes: u32,
    breaks: u32,
    srb_extension_bytes: u32,
    /// `ScatterGather`, `Master` and `Dma64BitAddresses`.
    modes: [u8; 3],
}

impl DmaDescription {
    fn of(it: &PortConfiguration) -> Self {
        Self {
            transfer_bytes: it.maximum_transfer_length,
            breaks: it.number_of_physical_breaks,
            srb_extension_bytes: it.srb_extension_size,
            modes: [it.scatter_gather, it.master, it.dma_64_bit_addresses],
        }
    }

    fn is_filled(&self) -> bool {
        let [scatter_gather, master, _] = self.modes;
        is_set(self.transfer_bytes) && is_set(self.breaks) && scatter_gather != 0 && master != 0
    }

    /// Whether an adapter that was described by this can do what `later` says.
    fn covers(&self, later: &Self) -> bool {
        later.transfer_bytes <= self.transfer_bytes
            && later.breaks <= self.breaks
            && later.srb_extension_bytes <= self.srb_extension_bytes
            && later.modes == self.modes
    }
}

/// Whether a number was set that comes uninitialised.
fn is_set(number: u32) -> bool {
    ![0, UNINITIALIZED].contains(&number)
}

/// The configuration as the call that allocates the uncached extension finds it: the DMA adapter is made of it.
pub(super) fn judge_filled(cpu: &Cpu, it: &PortConfiguration) {
    let described = DmaDescription::of(it);
    cpu.state().port.adapter.described = Some(described);
    cpu.check(&rules::UNCACHED_FILLED, described.is_filled(), || {
        format!("the call finds {described:x?}")
    });
}

fn judge(cpu: &Cpu, it: &PortConfiguration) {
    let described = cpu.state().port.adapter.described.take();
    if let Some(described) = described.filter(DmaDescription::is_filled) {
        let now = DmaDescription::of(it);
        cpu.check(&rules::UNCACHED_FILLED, described.covers(&now), || {
            format!("the call found {described:x?}, HwFindAdapter leaves {now:x?}")
        });
    }
    let (transfer, breaks) = (it.maximum_transfer_length, it.number_of_physical_breaks);
    cpu.check(
        &rules::FIND_MANDATORY,
        is_set(transfer) && is_set(breaks),
        || format!("MaximumTransferLength is {transfer:#x}, NumberOfPhysicalBreaks is {breaks:#x}"),
    );
    cpu.check(&rules::FIND_BREAKS, breaks >= LEAST_BREAKS, || {
        format!("NumberOfPhysicalBreaks is {breaks}")
    });
    cpu.check(
        &rules::FIND_DUPLEX,
        it.synchronization_model == FULL_DUPLEX,
        || format!("SynchronizationModel is {}", it.synchronization_model),
    );
    cpu.check(
        &rules::FIND_MASTER,
        it.scatter_gather != 0 && it.master != 0,
        || {
            format!(
                "ScatterGather is {}, Master is {}",
                it.scatter_gather, it.master
            )
        },
    );
    cpu.check(&rules::FIND_PHYSICAL, it.virtual_device == 0, || {
        "VirtualDevice is TRUE".to_owned()
    });
    let width = it.dma_64_bit_addresses;
    cpu.check(&rules::FIND_DMA_WIDTH, width & 0x7F <= 4, || {
        format!("Dma64BitAddresses is {width:#x}")
    });
    let mask = it.alignment_mask;
    cpu.check(
        &rules::FIND_ALIGNMENT,
        mask & mask.wrapping_add(1) == 0,
        || format!("AlignmentMask is {mask:#x}"),
    );
    let counts = [
        it.number_of_buses,
        it.maximum_number_of_targets,
        it.maximum_number_of_logical_units,
    ];
    cpu.check(&rules::FIND_UNITS, !counts.contains(&0), || {
        format!("buses, targets, units: {counts:?}")
    });
    let depths = [
        it.initial_lun_queue_depth,
        it.max_ios_per_lun,
        it.max_number_of_io,
    ];
    cpu.check(
        &rules::FIND_DEPTH,
        depths[0] > 0 && depths.is_sorted(),
        || format!("initial depth, requests a unit, requests: {depths:?}"),
    );
    let mode = it.interrupt_synchronization_mode;
    let consistent = (it.message_interrupt_routine != 0) == (mode != INTERRUPT_SUPPORT_NONE)
        && mode <= configuration::SYNCHRONIZE_PER_MESSAGE;
    cpu.check(&rules::FIND_MESSAGES, consistent, || {
        format!("InterruptSynchronizationMode is {mode}")
    });
}

fn adopt(cpu: &Cpu, configuration: &PortConfiguration) {
    let mut state = cpu.state();
    let adapter = &mut state.port.adapter;
    adapter.configuration = *configuration;
    // A miniport without a routine for messages gets the line.
    adapter.message_routine = if adapter.messages > 0 {
        configuration.message_interrupt_routine
    } else {
        0
    };
    adapter.lock_per_message =
        configuration.interrupt_synchronization_mode == SYNCHRONIZE_PER_MESSAGE;
    adapter.phase = Phase::Found;
    let transfer = adapter.max_transfer_bytes();
    let now_ns = state.now_ns;
    let what = format!("adapter found: transfers up to {} KiB", transfer >> 10);
    cpu.core().journal.note(now_ns, Who::Port, what);
}

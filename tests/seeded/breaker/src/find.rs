//! `HwStorFindAdapter`: the registers, the configuration, and a first look at the device.

use crate::adapter::{AccessRange, Adapter, PAGE, Page};
use crate::faults::Fault;
use crate::io::message;
use crate::nvme::register;
use crate::port::{
    self, device_base, free_registry_buffer, physical_address, read, registry_buffer,
    registry_read, uncached_extension, write,
};

/// Offsets in `PORT_CONFIGURATION_INFORMATION`.
mod field {
    pub(super) const MAXIMUM_TRANSFER_LENGTH: u64 = 24;
    pub(super) const NUMBER_OF_PHYSICAL_BREAKS: u64 = 28;
    pub(super) const ALIGNMENT_MASK: u64 = 48;
    pub(super) const ACCESS_RANGES: u64 = 56;
    pub(super) const NUMBER_OF_BUSES: u64 = 72;
    pub(super) const SCATTER_GATHER: u64 = 81;
    pub(super) const MASTER: u64 = 82;
    pub(super) const MAXIMUM_NUMBER_OF_TARGETS: u64 = 97;
    pub(super) const DMA_64_BIT_ADDRESSES: u64 = 144;
    pub(super) const MAXIMUM_NUMBER_OF_LOGICAL_UNITS: u64 = 146;
    pub(super) const SYNCHRONIZATION_MODEL: u64 = 148;
    pub(super) const MESSAGE_ROUTINE: u64 = 152;
    pub(super) const INTERRUPT_SYNCHRONIZATION_MODE: u64 = 160;
    pub(super) const VIRTUAL_DEVICE: u64 = 196;
    pub(super) const MAX_NUMBER_OF_IO: u64 = 204;
    pub(super) const MAX_IOS_PER_LUN: u64 = 208;
    pub(super) const INITIAL_LUN_QUEUE_DEPTH: u64 = 212;
}

/// `SP_RETURN_FOUND` and `SP_RETURN_ERROR`.
const FOUND: u32 = 1;
const ERROR: u32 = 2;

/// `HwStorFindAdapter`. `PASSIVE_LEVEL`.
pub extern "C" fn find_adapter(
    extension: u64,
    _context: u64,
    _bus: u64,
    _string: u64,
    configuration: u64,
    _again: u64,
) -> u32 {
    let adapter = Adapter::of(extension);
    adapter.extension.set(extension);
    adapter.configuration.set(configuration);
    adapter.fault.set(fault(extension));
    let range: AccessRange = read(read(configuration + field::ACCESS_RANGES));
    if adapter.wants(Fault::BaseBehindRange) {
        device_base(extension, range.start + PAGE, range.length);
    }
    adapter
        .registers
        .set(device_base(extension, range.start, range.length));
    if !adapter.wants(Fault::UncachedBeforeConfiguration) {
        configure(adapter, configuration);
    }
    let expected = configuration + adapter.pick(Fault::UncachedOtherConfiguration, 8, 0);
    let uncached = uncached_extension(extension, expected, (Page::Count as u64 * PAGE) as u32);
    adapter.uncached.set(uncached);
    adapter
        .uncached_physical
        .set(physical_address(extension, 0, uncached));
    let stride: u32 = adapter.register(register::CAP + 4);
    adapter.stride.set(4 << (stride & 0xF));
    if adapter.wants(Fault::UncachedBeforeConfiguration) {
        configure(adapter, configuration);
    }
    if adapter.wants(Fault::UncachedThenRaised) {
        write(configuration + field::NUMBER_OF_PHYSICAL_BREAKS, 18_u32);
    }
    // Nothing is to interrupt before there is a routine; messages are not enabled yet.
    adapter.set_register(register::INTMS, 1);
    if !adapter.enable() || !adapter.identify() {
        return ERROR;
    }
    // The queues are drained. Once messages are enabled the register must not be used any more.
    adapter.set_register(register::INTMC, 1);
    adapter.pick(Fault::UndefinedFindResult, 9, FOUND)
}

/// The registry value that names the fault.
fn fault(extension: u64) -> u32 {
    let buffer = registry_buffer(extension);
    let found = registry_read(extension, &mut { *b"Fault\0" }, buffer);
    let fault = if found { port::read(buffer) } else { 0 };
    if fault != Fault::RegistryKept as u32 {
        free_registry_buffer(extension, buffer);
    }
    if fault == Fault::RegistryFreedTwice as u32 {
        free_registry_buffer(extension, buffer);
    }
    fault
}

/// Fills the configuration in.
fn configure(adapter: &Adapter, at: u64) {
    let put8 = |offset, value: u8| write(at + offset, value);
    let put32 = |offset, value: u32| write(at + offset, value);
    if !adapter.wants(Fault::NoTransferLength) {
        put32(field::MAXIMUM_TRANSFER_LENGTH, 64 << 10);
    }
    let breaks = adapter.pick(Fault::FewBreaks, 8, 17);
    put32(field::NUMBER_OF_PHYSICAL_BREAKS, breaks);
    put32(
        field::ALIGNMENT_MASK,
        adapter.pick(Fault::OddAlignment, 4, 3),
    );
    put8(field::NUMBER_OF_BUSES, adapter.pick(Fault::NoBuses, 0, 1));
    put8(field::SCATTER_GATHER, 1);
    put8(field::MASTER, adapter.pick(Fault::NoMaster, 0, 1));
    put8(field::MAXIMUM_NUMBER_OF_TARGETS, 1);
    put8(field::MAXIMUM_NUMBER_OF_LOGICAL_UNITS, 2);
    let width: u8 = read(at + field::DMA_64_BIT_ADDRESSES);
    let width = width | adapter.pick(Fault::UndefinedDmaWidth, 6, 1);
    put8(field::DMA_64_BIT_ADDRESSES, width);
    if adapter.wants(Fault::HalfDuplex) {
        put32(field::SYNCHRONIZATION_MODEL, 0);
    }
    write(at + field::MESSAGE_ROUTINE, message as *const () as u64);
    let mode = adapter.pick(Fault::RoutineWithoutMessages, 0, 1);
    put32(field::INTERRUPT_SYNCHRONIZATION_MODE, mode);
    put8(
        field::VIRTUAL_DEVICE,
        adapter.pick(Fault::VirtualDevice, 1, 0),
    );
    put32(field::MAX_NUMBER_OF_IO, 32);
    put32(field::MAX_IOS_PER_LUN, 32);
    put32(
        field::INITIAL_LUN_QUEUE_DEPTH,
        adapter.pick(Fault::NoDepth, 0, 16),
    );
}

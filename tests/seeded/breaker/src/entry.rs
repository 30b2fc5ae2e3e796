//! `DriverEntry`.

use crate::adapter::Adapter;
use crate::faults::Fault;
use crate::io::{build_io, interrupt, reset_bus, start_io};
use crate::lifecycle::{adapter_control, unit_control};
use crate::port::{self, at};

/// The fault of `DriverEntry`: its number, in the last two bytes, is written into the image before it is loaded.
#[used]
static FAULT_AT_ENTRY: [u8; 16] = *b"fault at entry\0\0";

fn wanted() -> u32 {
    let [.., low, high] =
        port::read::<[u8; 16]>((&raw const FAULT_AT_ENTRY).expose_provenance() as u64);
    u32::from(u16::from_le_bytes([low, high]))
}

/// `HW_INITIALIZATION_DATA`.
#[repr(C)]
struct Initialization {
    size: u32,
    bus_type: u32,
    initialize: u64,
    start_io: u64,
    interrupt: u64,
    find_adapter: u64,
    reset_bus: u64,
    dma_started: u64,
    adapter_state: u64,
    device_extension_size: u32,
    unit_extension_size: u32,
    srb_extension_size: u32,
    access_ranges: u32,
    reserved: u64,
    map_buffers: u8,
    need_physical_addresses: u8,
    tagged_queuing: u8,
    auto_request_sense: u8,
    multiple_request_per_lu: u8,
    receive_event: u8,
    vendor: [u64; 3],
    adapter_control: u64,
    build_io: u64,
    virtual_routines: [u64; 3],
    tracing: [u64; 3],
    feature_support: u32,
    srb_type_flags: u32,
    address_type_flags: u32,
    reserved1: u32,
    unit_control: u64,
}

/// Registers the miniport. `PASSIVE_LEVEL`.
#[unsafe(no_mangle)]
extern "C" fn DriverEntry(driver: u64, path: u64) -> u32 {
    let is = |fault: Fault| wanted() == fault as u32;
    let mut data = Initialization {
        size: size_of::<Initialization>() as u32
            - if is(Fault::ShortInitialization) { 8 } else { 0 },
        bus_type: if is(Fault::OtherBus) { 0 } else { 5 },
        initialize: crate::start::initialize as *const () as u64,
        start_io: start_io as *const () as u64,
        interrupt: interrupt as *const () as u64,
        find_adapter: crate::find::find_adapter as *const () as u64,
        reset_bus: if is(Fault::NoResetRoutine) {
            0
        } else {
            reset_bus as *const () as u64
        },
        dma_started: 0,
        adapter_state: 0,
        device_extension_size: size_of::<Adapter>() as u32,
        unit_extension_size: 0,
        srb_extension_size: 256,
        access_ranges: u32::from(!is(Fault::NoAccessRanges)),
        reserved: 0,
        map_buffers: if is(Fault::UndefinedMapBuffers) { 9 } else { 2 },
        need_physical_addresses: 1,
        tagged_queuing: u8::from(!is(Fault::NoTaggedQueuing)),
        auto_request_sense: 1,
        multiple_request_per_lu: 1,
        receive_event: 0,
        vendor: [0; 3],
        adapter_control: adapter_control as *const () as u64,
        build_io: build_io as *const () as u64,
        virtual_routines: [0; 3],
        tracing: [0; 3],
        feature_support: u32::from(is(Fault::VirtualFeature)),
        srb_type_flags: 3,
        address_type_flags: 0,
        reserved1: 0,
        unit_control: unit_control as *const () as u64,
    };
    let path = if is(Fault::OtherRegistryPath) {
        path + 16
    } else {
        path
    };
    let status = port::initialize(driver, path, at(&mut data));
    status + u32::from(is(Fault::OtherEntryStatus))
}

const _: () = assert!(core::mem::offset_of!(Initialization, adapter_control) == 120);

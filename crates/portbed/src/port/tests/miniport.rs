//! A miniport for the bench device, which can be told to break a rule.

mod calls;
mod channels;
mod describe;
mod dma;
mod faults;
mod habits;
mod host_memory;
mod request;
mod stop;

use std::collections::{BTreeMap, VecDeque};
use std::ffi::c_void;
use std::sync::{Mutex, MutexGuard, PoisonError};

use self::calls::{at, complete, extended, notify};
pub(super) use self::channels::{Seen, seen};
pub(super) use self::dma::{BOUNDARY, BYTES, WINDOW};
use self::faults::passive_faults;
pub(super) use self::habits::Habit;
use self::host_memory::{allocate_host_memory, free_host_memory};
use self::request::Srb;
use self::stop::adapter_control;
use super::device;
use crate::abi::callback::{read, write, zeroed};
use crate::abi::configuration::{AccessRange, PortConfiguration, found};
use crate::abi::initialization::{HwInitializationData, MAP_NON_READ_WRITE_BUFFERS, PCI_BUS};
use crate::abi::interrupt::PerfConfigurationData;
use crate::abi::srb::{ScatterGatherElement, ScatterGatherList, function, status};
use crate::abi::{function as f, notification as n};
use crate::port::{bus, initialize, memory, processors, registers, registry, scatter};

/// Operation codes of this miniport's own.
pub(super) const LOSE_UNTIL_RESET: u8 = 0xD0;
pub(super) const BUSY_ONCE: u8 = 0xD1;

const POOL_TAG: u32 = u32::from_le_bytes(*b"bnch");

macro_rules! faults {
    ($($name:ident => $rule:literal,)*) => {
        /// What the miniport does wrong.
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        pub(super) enum Fault { None, NotFound, OverrunAtTheEnd, $($name,)* }
        /// Every fault that breaks a rule, with the rule.
        pub(super) const FAULTS: &[(Fault, &str)] = &[$((Fault::$name, $rule),)*];
    };
}

faults! {
    BusDataLate => "bus-data-site",
    CompleteTwice => "srb-once",
    CompletePending => "srb-status",
    CompleteUnknown => "srb-known",
    DelayInDpc => "delay-irql",
    DepthOfZero => "queue-depth",
    DmaElsewhere => "dma-target",
    DmaKept => "leak-dma-memory",
    DpcUnknown => "dpc-initialized",
    EndlessPolling => "no-progress",
    EventWithoutText => "event-text",
    FewBreaks => "find-adapter-breaks",
    HmbBoundary => "hmb-boundary",
    HmbFreedOtherwise => "hmb-free-ranges",
    HmbKept => "leak-hmb",
    HmbTwice => "hmb-once",
    HmbUnaligned => "hmb-sizes",
    InterruptUnclaimed => "interrupt-claimed",
    LockInInterrupt => "lock-site",
    LockKept => "callback-locks",
    LockTwice => "lock-recursion",
    MessageTargetsShort => "call-pointer",
    PassiveFromPassive => "passive-initialization-site",
    PerfFlagAlone => "performance-options-flags",
    PerfLate => "performance-options-site",
    PoolBehindItsEnd => "memory-overrun",
    PoolFreedTwice => "pool-free",
    PoolInStartIo => "pool-site",
    PoolKept => "leak-pool",
    RegistryInDpc => "call-irql",
    RegistryWithoutBuffer => "registry-buffer",
    SenseBehindItsEnd => "memory-overrun",
    SenseWithoutCheck => "srb-sense",
    SrbChanged => "srb-kept",
    StallInInterrupt => "stall-budget",
    StallInStartIo => "stall-site",
    StallTooLong => "stall-length",
    StartIoFalse => "start-io-result",
    TimerFreedTwice => "timer-handle",
    TimerKept => "leak-timers",
    TransferTooLong => "srb-length",
    UncachedLate => "uncached-extension-site",
    Undocumented => "call-documented",
    WorkerKept => "leak-workers",
    WorkerUnknown => "worker-handle",
    WrongExtension => "call-extension",
}

/// The miniport's memory of an adapter.
#[derive(Default)]
struct Adapter {
    fault: u32,
    registers: u64,
    uncached: u64,
    configuration: u64,
    dpc: u64,
    waiting: VecDeque<(u64, u32)>,
    lost: Vec<u64>,
    hmb: Vec<AccessRange>,
    ended: u32,
    /// The request block that was answered as busy.
    busy: Option<u64>,
    done: bool,
    pnp: Option<u64>,
    /// The request that a timer routine completes.
    late: u64,
    seen: Seen,
    /// Pool, its MDL, and a buffer for a scatter/gather list.
    described: [u64; 3],
}

static ADAPTERS: Mutex<BTreeMap<u64, Adapter>> = Mutex::new(BTreeMap::new());

fn adapters() -> MutexGuard<'static, BTreeMap<u64, Adapter>> {
    ADAPTERS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Does something with the memory of an adapter, without a port driver call.
fn with<R>(extension: u64, work: impl FnOnce(&mut Adapter) -> R) -> R {
    work(adapters().entry(extension).or_default())
}

/// Whether this fault is wanted.
fn wants(extension: u64, fault: Fault) -> bool {
    with(extension, |adapter| adapter.fault == fault as u32)
}

/// Whether this fault is wanted and was not done yet.
fn once(extension: u64, fault: Fault) -> bool {
    with(extension, |adapter| {
        adapter.fault == fault as u32 && !std::mem::replace(&mut adapter.done, true)
    })
}

pub(super) unsafe extern "win64" fn driver_entry(object: *mut c_void, path: *mut c_void) -> i32 {
    let mut data: HwInitializationData = zeroed();
    data.size = size_of::<HwInitializationData>() as u32;
    data.adapter_interface_type = PCI_BUS;
    data.initialize = initialize as *const () as u64;
    data.start_io = start_io as *const () as u64;
    data.interrupt = interrupt as *const () as u64;
    data.find_adapter = find_adapter as *const () as u64;
    data.reset_bus = reset_bus as *const () as u64;
    data.adapter_control = adapter_control as *const () as u64;
    data.build_io = build_io as *const () as u64;
    data.device_extension_size = 256;
    data.srb_extension_size = 128;
    data.number_of_access_ranges = 1;
    data.map_buffers = MAP_NON_READ_WRITE_BUFFERS;
    data.need_physical_addresses = 1;
    data.tagged_queuing = 1;
    data.auto_request_sense = 1;
    data.multiple_request_per_lu = 1;
    data.srb_type_flags = 3;
    let (object, path) = (
        object.expose_provenance() as u64,
        path.expose_provenance() as u64,
    );
    initialize::storport_initialize(object, path, at(&mut data), 0).cast_signed()
}

/// The registry value that names the fault.
fn read_fault(extension: u64) -> u32 {
    let mut length = 4_u32;
    let buffer = registry::allocate_registry_buffer(extension, at(&mut length));
    let mut name = *b"Fault\0";
    let found = registry::registry_read(extension, at(&mut name), 1, 4, buffer, at(&mut length));
    let fault = if found == 0 { 0 } else { read(buffer) };
    registry::free_registry_buffer(extension, buffer);
    fault
}

extern "win64" fn find_adapter(
    extension: u64,
    _: u64,
    _: u64,
    _: u64,
    configuration: u64,
    _: u64,
) -> u32 {
    let fault = read_fault(extension);
    adapters().insert(
        extension,
        Adapter {
            fault,
            configuration,
            ..Adapter::default()
        },
    );
    if wants(extension, Fault::NotFound) {
        return found::NOT_FOUND;
    }
    let mut it: PortConfiguration = read(configuration);
    let range: AccessRange = read(it.access_ranges);
    habits::find(extension, &range);
    let registers = registers::get_device_base(extension, PCI_BUS, 0, range.start, range.length, 0);
    let mut header = [0_u8; 16];
    assert_eq!(
        bus::get_bus_data(extension, 4, 0, it.slot_number, at(&mut header), 16),
        16
    );
    it.maximum_transfer_length = 64 << 10;
    it.number_of_physical_breaks = if wants(extension, Fault::FewBreaks) {
        8
    } else {
        17
    };
    habits::configure(extension, &mut it);
    it.scatter_gather = 1;
    it.master = 1;
    it.number_of_buses = 1;
    it.maximum_number_of_targets = 1;
    it.maximum_number_of_logical_units = 2;
    it.dma_64_bit_addresses |= 1;
    it.message_interrupt_routine = message as *const () as u64;
    it.interrupt_synchronization_mode = channels::synchronization(extension);
    write(configuration, it);
    let uncached = memory::get_uncached_extension(extension, configuration, 4096);
    with(extension, |adapter| {
        adapter.registers = registers;
        adapter.uncached = uncached;
    });
    found::FOUND
}

extern "win64" fn initialize(extension: u64) -> u8 {
    let mut accepted = 0_i32;
    let routine = passive as *const () as u64;
    notify(
        extension,
        n::ENABLE_PASSIVE_INITIALIZATION,
        &[routine, at(&mut accepted)],
    );
    processors::stall_execution(if wants(extension, Fault::StallTooLong) {
        2000
    } else {
        20
    });
    1
}

extern "win64" fn passive(extension: u64) -> u8 {
    // The DPC object lies in the device extension, which the port driver keeps.
    let dpc = extension + 64;
    with(extension, |adapter| adapter.dpc = dpc);
    notify(
        extension,
        n::INITIALIZE_DPC,
        &[dpc, dpc_routine as *const () as u64],
    );
    let mut options = PerfConfigurationData {
        version: 1,
        size: 40,
        ..zeroed()
    };
    extended(
        extension,
        f::INITIALIZE_PERFORMANCE_OPTIMIZATIONS,
        &[1, at(&mut options)],
    );
    allocate_host_memory(extension);
    let words: Vec<u16> = "adapter ready\0Channels\0Bytes\0".encode_utf16().collect();
    let text = words.as_ptr().expose_provenance() as u64;
    let text = if wants(extension, Fault::EventWithoutText) {
        0
    } else {
        text
    };
    let names = [text + 28, text + 46];
    let arguments = [0, 1, 7, text, 0, 4, 0, 0, names[0], 1, names[1], 4096];
    if text == 0 {
        extended(
            extension,
            f::CHANNEL_ETW_EVENT_2,
            &[0, 1, 7, 0, 0, 4, 0, 0, 0, 0, 0, 0],
        );
    } else {
        extended(extension, f::CHANNEL_ETW_EVENT_2, &arguments);
    }
    habits::initialize(extension);
    passive_faults(extension);
    1
}

extern "win64" fn build_io(extension: u64, srb: u64) -> u8 {
    let srb = Srb::new(srb);
    if srb.function == function::EXECUTE_SCSI && srb.lun != 0 {
        srb.finish(extension, status::NO_DEVICE);
        return 0;
    }
    1
}

extern "win64" fn start_io(extension: u64, at_srb: u64) -> u8 {
    let srb = Srb::new(at_srb);
    channels::meet(extension, &srb);
    start_faults(extension, &srb);
    match srb.function {
        function::EXECUTE_SCSI => execute(extension, &srb),
        function::PNP => {
            free_host_memory(extension);
            give_back_everything(extension);
            if !habits::answers_later(extension, at_srb) {
                srb.finish(extension, status::SUCCESS);
            }
        }
        _ => srb.finish(extension, status::SUCCESS),
    }
    u8::from(!wants(extension, Fault::StartIoFalse))
}

fn start_faults(extension: u64, srb: &Srb) {
    if once(extension, Fault::StallInStartIo) {
        processors::stall_execution(5);
    }
    if once(extension, Fault::PoolInStartIo) {
        let mut pool = 0_u64;
        extended(
            extension,
            f::ALLOCATE_POOL,
            &[16, u64::from(POOL_TAG), at(&mut pool)],
        );
        extended(extension, f::FREE_POOL, &[pool]);
    }
    if once(extension, Fault::PerfLate) {
        let mut options = PerfConfigurationData {
            version: 1,
            size: 40,
            ..zeroed()
        };
        extended(
            extension,
            f::INITIALIZE_PERFORMANCE_OPTIMIZATIONS,
            &[1, at(&mut options)],
        );
    }
    if once(extension, Fault::SrbChanged) {
        let flags: u32 = read(srb.at + 12);
        write(srb.at + 12, flags ^ 0x8000);
    }
}

fn execute(extension: u64, srb: &Srb) {
    match srb.cdb[0] {
        0 => srb.finish(extension, status::SUCCESS),
        0xA0 if habits::lists_no_units(extension) => srb.refuse(extension),
        0xA0 => {
            let mut answer = [0; 16];
            answer[3] = 8;
            srb.fill(extension, &answer);
        }
        0x12 if srb.cdb[1] & 1 != 0 => srb.refuse(extension),
        0x12 => {
            let mut answer = [b' '; 36];
            answer[..8].copy_from_slice(&[0, 0, 6, 2, 31, 0, 0, 2]);
            answer[8..13].copy_from_slice(b"Bench");
            answer[16..22].copy_from_slice(b"Device");
            srb.fill(extension, &answer);
        }
        0x25 => srb.fill(extension, &[0, 0, 7, 0xFF, 0, 0, 2, 0]),
        0x28 => channels::guarded(extension, || transfer(extension, srb)),
        LOSE_UNTIL_RESET => with(extension, |adapter| adapter.lost.push(srb.at)),
        BUSY_ONCE => {
            // It has to come again in the same memory.
            let before = with(extension, |adapter| adapter.busy.replace(srb.at));
            let status = match before {
                None => status::BUSY,
                Some(block) if block == srb.at => status::SUCCESS,
                Some(_) => status::ERROR,
            };
            srb.finish(extension, status);
        }
        _ => srb.refuse(extension),
    }
}

/// Has the device fill each piece of the buffer.
fn transfer(extension: u64, srb: &Srb) {
    let list_at = scatter::get_scatter_gather_list(extension, srb.at);
    let list: ScatterGatherList = read(list_at);
    let registers = with(extension, |adapter| {
        adapter.waiting.push_back((srb.at, list.number_of_elements));
        adapter.registers
    });
    habits::begun(extension, srb.at);
    let elsewhere = if once(extension, Fault::DmaElsewhere) {
        1 << 20
    } else {
        0
    };
    let block = u32::from_be_bytes([srb.cdb[2], srb.cdb[3], srb.cdb[4], srb.cdb[5]]);
    channels::choose_message(extension, block);
    for index in 0..u64::from(list.number_of_elements) {
        let element: ScatterGatherElement = read(list_at + 16 + index * 24);
        write(
            registers + device::ADDRESS,
            element.physical_address + elsewhere,
        );
        write(registers + device::LENGTH, element.length);
        write(registers + device::BLOCK, block);
    }
}

extern "win64" fn message(extension: u64, message: u32) -> u8 {
    channels::interrupted(extension, message);
    interrupt(extension)
}

extern "win64" fn interrupt(extension: u64) -> u8 {
    // The device still asserts the line then, and the next call claims it.
    if once(extension, Fault::InterruptUnclaimed) {
        return 0;
    }
    if habits::is_too_early(extension) {
        return 1;
    }
    let (registers, dpc) = with(extension, |adapter| (adapter.registers, adapter.dpc));
    let ended: u32 = read(registers + device::ENDED);
    with(extension, |adapter| adapter.ended += ended);
    if once(extension, Fault::LockInInterrupt) {
        let mut handle = [0_u64; 4];
        notify(extension, n::ACQUIRE_SPIN_LOCK, &[1, dpc, at(&mut handle)]);
        notify(extension, n::RELEASE_SPIN_LOCK, &[at(&mut handle)]);
    }
    let mut queued = 0_i32;
    notify(extension, n::ISSUE_DPC, &[dpc, 0, 0, at(&mut queued)]);
    if once(extension, Fault::StallInInterrupt) {
        for _ in 0..120 {
            processors::stall_execution(900);
        }
    }
    1
}

extern "win64" fn dpc_routine(dpc: u64, extension: u64, _: u64, _: u64) {
    assert_eq!(dpc, extension + 64);
    channels::deferred(extension);
    let mut handle = [0_u64; 4];
    notify(extension, n::ACQUIRE_SPIN_LOCK, &[2, 0, at(&mut handle)]);
    if once(extension, Fault::LockTwice) {
        let mut again = [0_u64; 4];
        notify(extension, n::ACQUIRE_SPIN_LOCK, &[2, 0, at(&mut again)]);
    }
    let done = with(extension, |adapter| {
        let mut done = Vec::new();
        for _ in 0..std::mem::take(&mut adapter.ended) {
            let Some((srb, left)) = adapter.waiting.front_mut() else {
                break;
            };
            *left -= 1;
            if *left == 0 {
                done.push(*srb);
                adapter.waiting.pop_front();
            }
        }
        done
    });
    if !once(extension, Fault::LockKept) {
        notify(extension, n::RELEASE_SPIN_LOCK, &[at(&mut handle)]);
    }
    for srb in done {
        end_transfer(extension, &Srb::new(srb));
    }
    while wants(extension, Fault::EndlessPolling) || wants(extension, Fault::OverrunAtTheEnd) {
        processors::stall_execution(999);
    }
    if once(extension, Fault::DelayInDpc) {
        extended(extension, f::DELAY_EXECUTION, &[10]);
    }
    if once(extension, Fault::RegistryInDpc) {
        let mut length = 4_u32;
        let buffer = registry::allocate_registry_buffer(extension, at(&mut length));
        registry::free_registry_buffer(extension, buffer);
    }
}

fn end_transfer(extension: u64, srb: &Srb) {
    faults::end(extension, srb);
    if once(extension, Fault::TransferTooLong) {
        write(srb.length_at, 1 << 20);
    }
    if once(extension, Fault::CompletePending) {
        return srb.finish(extension, status::PENDING);
    }
    if once(extension, Fault::SenseWithoutCheck) {
        return srb.finish(extension, status::SUCCESS | status::AUTOSENSE_VALID);
    }
    srb.finish(extension, status::SUCCESS);
    habits::completed(extension);
    if once(extension, Fault::CompleteTwice) {
        complete(extension, srb.at);
    }
    if once(extension, Fault::CompleteUnknown) {
        complete(extension, extension);
    }
}

extern "win64" fn reset_bus(extension: u64, _path: u32) -> u8 {
    give_back_everything(extension);
    1
}

/// Completes what the device has: it forgets it.
fn give_back_everything(extension: u64) {
    let all: Vec<u64> = with(extension, |adapter| {
        let waiting = adapter.waiting.drain(..).map(|(srb, _)| srb);
        waiting.chain(adapter.lost.drain(..)).collect()
    });
    for srb in all {
        Srb::new(srb).finish(extension, status::BUS_RESET);
    }
}

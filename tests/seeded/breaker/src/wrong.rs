//! What is wrong in each callback, beside what is wrong in the course of its own work.

use crate::adapter::{Adapter, PAGE, Page};
use crate::describe;
use crate::faults::Fault;
use crate::nvme::{command, register};
use crate::port::{
    SpinLock, at, bus_data, device_base, extended, free_registry_buffer, function, log_error,
    notification, notify, physical_address, prohibited, read, registry_buffer, registry_read,
    set_queue_depth, stall, uncached_extension, write,
};
use crate::start::passive;

const TAG: u64 = u32::from_le_bytes(*b"brkr") as u64;
/// Bytes of pool that are asked for.
const POOL_BYTES: u64 = 100;
/// An address that nothing lies at.
const WILD: u64 = 0x1000;
/// Where a DPC object must not lie.
static mut IN_IMAGE: [u64; 16] = [0; 16];

/// In the passive initialisation routine: `PASSIVE_LEVEL`, no lock.
pub fn in_passive(adapter: &Adapter) {
    pool(adapter);
    dma_memory(adapter);
    timers_and_workers(adapter);
    calls(adapter);
    pointers(adapter);
    told(adapter);
    locks_and_dpcs(adapter);
    registers(adapter);
    commands(adapter);
    describe::in_passive(adapter);
}

/// Has the device write into pool; whether it did. Without an IOMMU this works.
pub fn identify_into_pool(adapter: &Adapter) -> bool {
    if !adapter.wants(Fault::IdentifyIntoPool) {
        return true;
    }
    let extension = adapter.extension.get();
    let mut place = 0_u64;
    extended(
        extension,
        function::ALLOCATE_POOL,
        &[2 * PAGE, TAG, at(&mut place)],
    );
    let pool: u64 = read(at(&mut place));
    let page = (pool + PAGE - 1) & !(PAGE - 1);
    write(page + 1, 0_u8);
    let mut identify = command(0x06, 0, physical_address(extension, 0, page));
    identify[10] = 1;
    let done = adapter.admin(identify) && read::<u8>(page + 1) != 0;
    extended(extension, function::FREE_POOL, &[pool]);
    done
}

fn pool(adapter: &Adapter) {
    let call = |code, arguments: &[u64]| extended(adapter.extension.get(), code, arguments);
    let place = core::ptr::from_ref(&adapter.kept[0]).expose_provenance() as u64;
    let bytes = adapter.pick(Fault::PoolOfNothing, 0, POOL_BYTES);
    call(function::ALLOCATE_POOL, &[bytes, TAG, place]);
    let pool: u64 = read(place);
    if adapter.wants(Fault::PoolForgotten) {
        call(function::ALLOCATE_POOL, &[bytes, TAG, place]);
    }
    if pool == 0 {
        return;
    }
    if adapter.wants(Fault::PoolBehindItsEnd) {
        write(pool + POOL_BYTES, 0x55_u8);
    }
    if !adapter.wants(Fault::PoolKept) {
        call(function::FREE_POOL, &[read(place)]);
        write(place, 0_u64);
    }
    if adapter.wants(Fault::PoolFreedTwice) {
        call(function::FREE_POOL, &[pool]);
    }
}

fn dma_memory(adapter: &Adapter) {
    let call = |code, arguments: &[u64]| extended(adapter.extension.get(), code, arguments);
    let (mut memory, mut physical) = (0_u64, 0_u64);
    let highest = adapter.pick(Fault::DmaWindowEmpty, 0, u64::MAX >> 1);
    let arguments = [
        8192,
        0,
        highest,
        0,
        1,
        adapter.pick(Fault::DmaNodeUnknown, 7, 0),
        at(&mut memory),
        at(&mut physical),
    ];
    let allocated = call(function::ALLOCATE_DMA_MEMORY, &arguments) == 0;
    if allocated && adapter.wants(Fault::QueueMemoryFreed) {
        let mut completion = command(0x05, 0, read(at(&mut physical)));
        (completion[10], completion[11]) = (63 << 16 | 2, 1);
        adapter.admin(completion);
    }
    if allocated && !adapter.wants(Fault::DmaKept) {
        let bytes = adapter.pick(Fault::DmaFreedShorter, 4096, 8192);
        call(function::FREE_DMA_MEMORY, &[memory, bytes, 1, physical]);
    }
}

extern "C" fn tick(_extension: u64) {}

extern "C" fn work(_extension: u64, _context: u64, _worker: u64) {}

extern "C" fn work_with_locks(extension: u64, _context: u64, _worker: u64) {
    let adapter = Adapter::of(extension);
    let (mut first, mut second) = (SpinLock::unused(), SpinLock::unused());
    first.acquire(extension, SpinLock::DPC, adapter.dpc());
    second.acquire(extension, SpinLock::START_IO, 0);
    first.release(extension);
    second.release(extension);
}

fn timers_and_workers(adapter: &Adapter) {
    let extension = adapter.extension.get();
    let call = |code, arguments: &[u64]| extended(extension, code, arguments);
    let (mut timer, mut worker) = (0_u64, 0_u64);
    call(function::INITIALIZE_TIMER, &[at(&mut timer)]);
    let timer: u64 = read(at(&mut timer));
    if !adapter.wants(Fault::TimerKept) {
        call(function::FREE_TIMER, &[timer]);
    }
    if adapter.wants(Fault::TimerFreedTwice) {
        call(function::FREE_TIMER, &[timer]);
    }
    if adapter.wants(Fault::TimerWithoutRoutine) {
        notify(extension, notification::REQUEST_TIMER_CALL, &[0, 1000]);
    }
    if adapter.wants(Fault::TimerCallKept) {
        let routine = tick as *const () as u64;
        notify(
            extension,
            notification::REQUEST_TIMER_CALL,
            &[routine, 4_000_000_000],
        );
    }
    call(function::INITIALIZE_WORKER, &[at(&mut worker)]);
    let worker: u64 = read(at(&mut worker));
    let queue = |routine: extern "C" fn(u64, u64, u64)| {
        let arguments = [routine as *const () as u64, worker, 0];
        call(function::QUEUE_WORK_ITEM, &arguments);
    };
    if adapter.wants(Fault::IrqlKept) {
        queue(work_with_locks);
        call(function::DELAY_EXECUTION, &[1000]);
    }
    if adapter.wants(Fault::WorkerQueuedTwice) {
        queue(work);
        queue(work);
        call(function::DELAY_EXECUTION, &[1000]);
    }
    if !adapter.wants(Fault::WorkerKept) {
        call(function::FREE_WORKER, &[worker]);
    }
    if adapter.wants(Fault::WorkerFreedTwice) {
        call(function::FREE_WORKER, &[worker]);
    }
}

/// Calls in the wrong place, or that must not be made at all.
fn calls(adapter: &Adapter) {
    let extension = adapter.extension.get();
    let call = |code, arguments: &[u64]| extended(extension, code, arguments);
    let mut place = 0_u64;
    let mut options = [0_u64; 5];
    // The version, whether it asks, the flags, and the first and the last redirection message.
    for (fault, version, asks, flags, redirected) in [
        (Fault::PerformanceVersion, 99_u32, 1, 0_u32, [0_u32; 2]),
        // STOR_PERF_DPC_REDIRECTION and STOR_PERF_DPC_REDIRECTION_CURRENT_CPU.
        (Fault::PerformanceOfLaterVersion, 3, 0, 0x21, [0; 2]),
        // STOR_PERF_ADV_CONFIG_LOCALITY.
        (Fault::PerformanceFlagAlone, 3, 0, 8, [0; 2]),
        // STOR_PERF_CONCURRENT_CHANNELS: the port driver does not lock HwStorStartIo any more, and nor does this miniport.
        (Fault::ChannelsWithoutLock, 2, 0, 2, [0; 2]),
        // STOR_PERF_DPC_REDIRECTION and STOR_PERF_INTERRUPT_MESSAGE_RANGES.
        (Fault::RedirectionOutside, 2, 0, 5, [0, 1000]),
    ] {
        if adapter.wants(fault) {
            let options = at(&mut options);
            write(options, [version, 40, flags, 2, redirected[0], redirected[1]]);
            call(function::PERFORMANCE_OPTIONS, &[asks, options]);
        }
    }
    if adapter.wants(Fault::BaseLate) {
        device_base(extension, 0xFE80_0000, 4096);
    }
    if adapter.wants(Fault::UncachedLate) {
        uncached_extension(extension, adapter.configuration.get(), 4096);
    }
    if adapter.wants(Fault::BusDataLate) {
        bus_data(extension, at(&mut place), 4);
    }
    if adapter.wants(Fault::FeatureListLate) {
        call(function::SET_FEATURE_LIST, &[0]);
    }
    if adapter.wants(Fault::PassiveFromPassive) {
        let routine = passive as *const () as u64;
        notify(
            extension,
            notification::ENABLE_PASSIVE_INITIALIZATION,
            &[routine, 0],
        );
    }
    if adapter.wants(Fault::OtherExtension) {
        extended(extension + 8, function::PROCESSOR_COUNT, &[at(&mut place)]);
    }
    if adapter.wants(Fault::UndocumentedFunction) {
        call(4000, &[]);
    }
    if adapter.wants(Fault::DeprecatedLog) {
        log_error(extension);
    }
    if adapter.wants(Fault::KernelFunction) {
        prohibited();
    }
    if adapter.wants(Fault::PhysicalOfStack) {
        physical_address(extension, 0, at(&mut place));
    }
    if adapter.wants(Fault::DepthOfZero) {
        set_queue_depth(extension, 0, 0);
    }
    if adapter.wants(Fault::UnitOutside) {
        set_queue_depth(extension, 200, 1);
    }
}

/// Pointers to nowhere.
fn pointers(adapter: &Adapter) {
    let extension = adapter.extension.get();
    let call = |code, arguments: &[u64]| extended(extension, code, arguments);
    if adapter.wants(Fault::NoPointer) {
        call(function::PROCESSOR_COUNT, &[0]);
    }
    if adapter.wants(Fault::WildPointerToRead) {
        call(function::LOG_SYSTEM_EVENT, &[WILD, 0]);
    }
    if adapter.wants(Fault::WildPointerToFill) {
        call(function::PROCESSOR_COUNT, &[WILD]);
    }
    if adapter.wants(Fault::WildText) {
        call(function::ETW_EVENT_2, &[0, 1, 7, WILD, 0, 4]);
    }
    if adapter.wants(Fault::NullRead) {
        read::<u32>(0);
    }
}

/// Registry and events.
fn told(adapter: &Adapter) {
    let extension = adapter.extension.get();
    let mut text = [0_u16; 8];
    for (to, from) in text.iter_mut().zip(b"started") {
        *to = u16::from(*from);
    }
    let text = adapter.pick(Fault::EventWithoutText, 0, at(&mut text));
    let level = adapter.pick(Fault::EventLevel, 9, 4);
    let arguments = [0, 1, 7, text, 0, level];
    extended(extension, function::ETW_EVENT_2, &arguments);
    let mut details = [0_u64; 9];
    if adapter.wants(Fault::LogWithoutSize) {
        write(at(&mut details), 1_u32);
        extended(
            extension,
            function::LOG_SYSTEM_EVENT,
            &[at(&mut details), 0],
        );
    }
    if adapter.wants(Fault::RegistryWithoutBuffer) {
        let mut value = 0_u32;
        registry_read(extension, &mut { *b"Fault\0" }, at(&mut value));
    }
}

fn locks_and_dpcs(adapter: &Adapter) {
    let extension = adapter.extension.get();
    if adapter.wants(Fault::LockInPassive) {
        let mut lock = SpinLock::unused();
        lock.acquire(extension, SpinLock::START_IO, 0);
        lock.release(extension);
    }
    if adapter.wants(Fault::UndefinedLock) {
        SpinLock::unused().acquire(extension, 9, 0);
    }
    if adapter.wants(Fault::LockNotHeld) {
        SpinLock::unused().release(extension);
    }
    if adapter.wants(Fault::MessageLock) {
        let mut old = 0_u32;
        extended(
            extension,
            function::ACQUIRE_MESSAGE_LOCK,
            &[0, at(&mut old)],
        );
    }
    if adapter.wants(Fault::DpcUnknown) {
        notify(extension, notification::ISSUE_DPC, &[extension + 8, 0, 0]);
    }
    if adapter.wants(Fault::DpcInImage) {
        let place = (&raw mut IN_IMAGE).expose_provenance() as u64;
        let routine = crate::io::dpc as *const () as u64;
        notify(extension, notification::INITIALIZE_DPC, &[place, routine]);
    }
}

fn registers(adapter: &Adapter) {
    if adapter.wants(Fault::NarrowRead) {
        read::<u16>(adapter.registers.get() + register::CSTS);
    }
    if adapter.wants(Fault::VersionWritten) {
        adapter.set_register(register::VS, 1);
    }
    if adapter.wants(Fault::ReservedWritten) {
        let value = adapter.register(register::CC) | 1 << 31;
        adapter.set_register(register::CC, value);
    }
    if adapter.wants(Fault::MaskedWithMessages) {
        adapter.set_register(register::INTMS, 1);
    }
    if adapter.wants(Fault::QueuesMovedWhileEnabled) {
        adapter.set_register(register::AQA, 3 << 16 | 3);
    }
    if adapter.wants(Fault::DoorbellOfNoQueue) {
        adapter.set_register(adapter.doorbell(7, false), 1);
    }
    if adapter.wants(Fault::DoorbellRead) {
        adapter.register(adapter.doorbell(1, false));
    }
    if adapter.wants(Fault::DoorbellOutOfRange) {
        adapter.set_register(adapter.doorbell(1, false), 1000);
    }
}

fn commands(adapter: &Adapter) {
    if adapter.wants(Fault::UnknownCommand) {
        adapter.admin(command(0x7F, 0, 0));
    }
    if adapter.wants(Fault::QueuesOverlap) {
        let mut completion = command(0x05, 0, adapter.physical(Page::Completion));
        (completion[10], completion[11]) = (63 << 16 | 2, 1);
        adapter.admin(completion);
    }
    if adapter.wants(Fault::UnknownQueueDeleted) {
        let mut delete = command(0x00, 0, 0);
        delete[10] = 9;
        adapter.admin(delete);
    }
    for (fault, opcode, most) in [
        (Fault::ManyEventRequests, 0x0C, 5),
        (Fault::ManyAborts, 0x08, 8),
    ] {
        if adapter.wants(fault) {
            for _ in 0..most {
                adapter.put_admin(command(opcode, 0, 0));
            }
            adapter.ring_admin();
            // A command that is waited for, so that the answers to these are consumed.
            adapter.admin(command(0x06, 1, adapter.physical(Page::Data)));
        }
    }
}

/// In `HwStorStartIo`: `DISPATCH_LEVEL`, the StartIo lock.
pub fn in_start_io(adapter: &Adapter, srb: u64) {
    let extension = adapter.extension.get();
    let mut place = 0_u64;
    let mut options = [0_u64; 5];
    if adapter.once(Fault::StallInStartIo) {
        stall(5);
    }
    if adapter.once(Fault::PoolInStartIo) {
        extended(
            extension,
            function::ALLOCATE_POOL,
            &[16, TAG, at(&mut place)],
        );
        extended(extension, function::FREE_POOL, &[read(at(&mut place))]);
    }
    if adapter.once(Fault::PerformanceLate) {
        write(at(&mut options), 1_u32);
        write(at(&mut options) + 4, 40_u32);
        extended(
            extension,
            function::PERFORMANCE_OPTIONS,
            &[1, at(&mut options)],
        );
    }
    if adapter.once(Fault::ParametersWithoutSize) {
        let arguments = [srb, at(&mut options)];
        extended(extension, function::START_IO_PARAMETERS, &arguments);
    }
    if adapter.once(Fault::MaximumIoLate) {
        extended(extension, function::UPDATE_MAXIMUM_IO, &[32]);
    }
}

/// In `HwStorStartIo`, between the look for a free slot and its use: time for another processor to find the same one.
pub fn before_slot_is_taken(adapter: &Adapter) {
    if adapter.wants(Fault::ChannelsWithoutLock) {
        let mut place = 0_u64;
        for _ in 0..20 {
            let arguments = [at(&mut place)];
            extended(adapter.extension.get(), function::PROCESSOR_COUNT, &arguments);
        }
    }
}

/// In an interrupt routine: DIRQL, the interrupt lock.
pub fn in_interrupt(adapter: &Adapter) {
    if adapter.once(Fault::LongInterrupt) {
        for _ in 0..120 {
            stall(900);
        }
    }
}

/// In the DPC: `DISPATCH_LEVEL`, no lock.
pub fn in_dpc(adapter: &Adapter) {
    let extension = adapter.extension.get();
    describe::build(adapter);
    while adapter.wants(Fault::EndlessDpc) {
        stall(999);
    }
    if adapter.once(Fault::DelayInDpc) {
        extended(extension, function::DELAY_EXECUTION, &[10]);
    }
    if adapter.once(Fault::RegistryInDpc) {
        let buffer = registry_buffer(extension);
        free_registry_buffer(extension, buffer);
    }
    if adapter.once(Fault::LocksOutOfOrder) {
        let (mut first, mut second) = (SpinLock::unused(), SpinLock::unused());
        first.acquire(extension, SpinLock::INTERRUPT, 0);
        second.acquire(extension, SpinLock::START_IO, 0);
        second.release(extension);
        first.release(extension);
    }
}

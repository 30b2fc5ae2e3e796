//! Memory descriptor lists, scatter/gather lists of memory of this miniport's own, and the power management framework.

use crate::adapter::{Adapter, PAGE};
use crate::faults::Fault;
use crate::port::{at, extended, function, read, write};

const TAG: u64 = u32::from_le_bytes(*b"brkd") as u64;
/// Bytes that the MDL is about.
const BYTES: u64 = 2 * PAGE;
/// A buffer for a list of four elements.
const LIST_BYTES: u64 = 16 + 4 * 24;

/// The faults that are about this. Others are left as they are: what some of them break depends on the order in which the processors
/// take their turns.
const OWN: [Fault; 17] = [
    Fault::None,
    Fault::MdlOfStack,
    Fault::MdlFreedTwice,
    Fault::MdlNotBuilt,
    Fault::MdlKept,
    Fault::ListAtPassiveLevel,
    Fault::ListBehindMemory,
    Fault::ListBufferFreed,
    Fault::ListBufferTwice,
    Fault::ListMemoryFreed,
    Fault::ListReleasedTwice,
    Fault::ListReleasedOtherWay,
    Fault::ListKept,
    Fault::DeviceOfNoVersion,
    Fault::StatesOfNoNumber,
    Fault::SecondComponent,
    Fault::IdleTwice,
];

/// In the passive initialisation routine.
pub fn in_passive(adapter: &Adapter) {
    if OWN.iter().any(|&fault| adapter.wants(fault)) {
        allocate(adapter);
        idle(adapter);
    }
}

fn allocate(adapter: &Adapter) {
    let call = |code, arguments: &[u64]| extended(adapter.extension.get(), code, arguments);
    let mut place = 0_u64;
    let mut pool = |bytes| {
        write(at(&mut place), 0_u64);
        call(function::ALLOCATE_POOL, &[bytes, TAG, at(&mut place)]);
        read::<u64>(at(&mut place))
    };
    let [memory, mdl, buffer] = &adapter.described;
    memory.set(pool(BYTES));
    buffer.set(pool(LIST_BYTES));
    let mut made = 0_u64;
    if adapter.wants(Fault::MdlOfStack) {
        let mut on_stack = [0_u8; 16];
        call(
            function::ALLOCATE_MDL,
            &[at(&mut on_stack), 16, at(&mut made)],
        );
    }
    call(
        function::ALLOCATE_MDL,
        &[memory.get(), BYTES, at(&mut made)],
    );
    mdl.set(read(at(&mut made)));
    if !adapter.wants(Fault::MdlNotBuilt) {
        call(function::BUILD_MDL, &[mdl.get()]);
    }
    if adapter.wants(Fault::ListAtPassiveLevel) {
        ask(adapter);
    }
    // The DPC may run already, on another processor.
    adapter.to_list.set(true);
}

/// In the DPC: the list is asked for once.
pub fn build(adapter: &Adapter) {
    if !adapter.to_list.replace(false) {
        return;
    }
    ask(adapter);
    if adapter.wants(Fault::ListBufferTwice) {
        ask(adapter);
    }
}

fn ask(adapter: &Adapter) {
    let extension = adapter.extension.get();
    let [memory, mdl, buffer] = &adapter.described;
    let routine = built as *const () as u64;
    let bytes = adapter.pick(Fault::ListBehindMemory, BYTES + 1, BYTES);
    let arguments = [
        mdl.get(),
        memory.get(),
        bytes,
        routine,
        extension,
        1,
        buffer.get(),
        LIST_BYTES,
    ];
    extended(extension, function::BUILD_LIST, &arguments);
}

/// `ExecutionRoutine`: the list is there, and is released. `DISPATCH_LEVEL`.
extern "C" fn built(_device: u64, _irp: u64, list: u64, extension: u64) {
    let adapter = Adapter::of(extension);
    let call = |code, arguments: &[u64]| extended(extension, code, arguments);
    let [memory, _, buffer] = &adapter.described;
    for (fault, pool) in [
        (Fault::ListBufferFreed, buffer),
        (Fault::ListMemoryFreed, memory),
    ] {
        if adapter.wants(fault) {
            call(function::FREE_POOL, &[pool.replace(0)]);
            return;
        }
    }
    if adapter.wants(Fault::ListKept) || adapter.wants(Fault::ListBufferTwice) {
        return;
    }
    let to_device = adapter.pick(Fault::ListReleasedOtherWay, 0, 1);
    call(function::PUT_LIST, &[list, to_device]);
    if adapter.wants(Fault::ListReleasedTwice) {
        call(function::PUT_LIST, &[list, to_device]);
    }
}

/// When the adapter is to be removed.
pub fn free(adapter: &Adapter) {
    let call = |code, arguments: &[u64]| extended(adapter.extension.get(), code, arguments);
    let [memory, mdl, buffer] = &adapter.described;
    if mdl.get() == 0 {
        return;
    }
    if !adapter.wants(Fault::MdlKept) {
        call(function::FREE_MDL, &[mdl.get()]);
    }
    if adapter.wants(Fault::MdlFreedTwice) {
        call(function::FREE_MDL, &[mdl.get()]);
    }
    if adapter.wants(Fault::ListBufferTwice) {
        call(function::PUT_LIST, &[buffer.get(), 1]);
    }
    if adapter.wants(Fault::ListKept) {
        return;
    }
    for pool in [memory.replace(0), buffer.replace(0)] {
        if pool != 0 {
            call(function::FREE_POOL, &[pool]);
        }
    }
}

/// Registers the adapter, and says that it was active.
fn idle(adapter: &Adapter) {
    let call = |code, arguments: &[u64]| extended(adapter.extension.get(), code, arguments);
    let version = adapter.pick(Fault::DeviceOfNoVersion, 9, 1);
    let states = adapter.pick(Fault::StatesOfNoNumber, 0, 1);
    // A device, its component, whose identifier stays zero, and one F-state.
    let mut device = [0_u32; 20];
    device[..3].copy_from_slice(&[version, 0x10, 1]);
    device[4..7].copy_from_slice(&[1, 0x20, states]);
    device[12..14].copy_from_slice(&[1, 0x20]);
    let mut cold = 0_u8;
    call(
        function::INITIALIZE_POFX,
        &[0, at(&mut device), at(&mut cold)],
    );
    let component = adapter.pick(Fault::SecondComponent, 1, 0);
    call(function::POFX_ACTIVATE, &[0, 0, component, 0]);
    if !adapter.wants(Fault::SecondComponent) {
        call(function::POFX_IDLE, &[0, 0, 0, 0]);
    }
    if adapter.wants(Fault::IdleTwice) {
        call(function::POFX_IDLE, &[0, 0, 0, 0]);
    }
}

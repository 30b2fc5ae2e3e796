//! Memory descriptor lists, scatter/gather lists, and the power management framework.

use super::calls::{at, extended};
use super::with;
use crate::abi::callback::{read, write, zeroed};
use crate::abi::function as f;
use crate::abi::mdl::{Mdl, flags};
use crate::abi::pofx::{Component, Device, IdleState};
use crate::abi::srb::{AddressBtl8, ScatterGatherElement, ScatterGatherList};
use crate::abi::status;
use crate::port::{memory, scatter};

/// Bytes of pool that an MDL describes, and where a list begins in them.
const BYTES: u64 = 9000;
const SKIPPED: u64 = 100;
/// A buffer for a list of four elements.
const LIST_BYTES: u64 = 16 + 4 * 24;

/// In the passive initialisation routine: pool, its MDL, and a buffer for a list.
pub(super) fn allocate(extension: u64) {
    let (mut pool, mut mdl, mut buffer) = (0_u64, 0_u64, 0_u64);
    extended(extension, f::ALLOCATE_POOL, &[BYTES, 0, at(&mut pool)]);
    extended(
        extension,
        f::ALLOCATE_POOL,
        &[LIST_BYTES, 0, at(&mut buffer)],
    );
    let allocated = extended(extension, f::ALLOCATE_MDL, &[pool, BYTES, at(&mut mdl)]);
    assert_eq!(allocated, status::SUCCESS);
    assert_eq!(extended(extension, f::BUILD_MDL, &[mdl]), status::SUCCESS);
    let header: Mdl = read(mdl);
    assert_eq!(header.start_va + u64::from(header.byte_offset), pool);
    assert_eq!(u64::from(header.byte_count), BYTES);
    assert_eq!(header.mapped_system_va, pool);
    assert_eq!(header.flags, flags::SOURCE_IS_NONPAGED_POOL);
    let last = (pool % 4096 + BYTES - 1) / 4096;
    assert_eq!(u64::from(header.size), 48 + 8 * (last + 1));
    let number: u64 = read(mdl + 48 + 8 * last);
    assert_eq!(
        memory::get_virtual_address(extension, number << 12),
        header.start_va + last * 4096
    );
    with(extension, |adapter| adapter.described = [pool, mdl, buffer]);
}

/// In `HwStartIo`: the MDL of the request, and a list of the pool with the first request.
pub(super) fn begun(extension: u64, srb: u64) {
    let list = scatter::get_scatter_gather_list(extension, srb);
    let ask = |code| {
        let mut answer = 7_u64;
        let asked = extended(extension, code, &[srb, at(&mut answer)]);
        assert_eq!(asked, status::SUCCESS);
        read::<u64>(at(&mut answer))
    };
    let mdl = ask(f::GET_ORIGINAL_MDL);
    assert_eq!(ask(f::GET_DATA_IN_MDL), mdl);
    assert_eq!(ask(f::GET_DATA_IN_LIST), list);
    let header: Mdl = read(mdl);
    assert_eq!(header.byte_count, 4096);
    assert_eq!(header.flags, flags::PAGES_LOCKED);
    let first: ScatterGatherElement = read(list + 16);
    let number: u64 = read(mdl + 48);
    assert_eq!(
        first.physical_address,
        (number << 12) + u64::from(header.byte_offset)
    );
    let [pool, mdl, buffer] = with(extension, |adapter| adapter.described);
    if pool == 0
        || with(extension, |adapter| {
            std::mem::replace(&mut adapter.done, true)
        })
    {
        return;
    }
    let length = BYTES - SKIPPED;
    let build = |bytes| {
        let routine = built as *const () as u64;
        // WriteToDevice is a byte: what lies above it is junk.
        let arguments = [
            mdl,
            pool + SKIPPED,
            length,
            routine,
            extension,
            0x7700,
            buffer,
            bytes,
        ];
        extended(extension, f::BUILD_LIST, &arguments)
    };
    assert_eq!(build(16 + 24), status::BUFFER_TOO_SMALL);
    assert_eq!(build(LIST_BYTES), status::SUCCESS);
}

/// `ExecutionRoutine`.
extern "win64" fn built(_device: u64, _irp: u64, list_at: u64, extension: u64) {
    let [pool, mdl, buffer] = with(extension, |adapter| adapter.described);
    assert_eq!(list_at, buffer);
    let list: ScatterGatherList = read(list_at);
    let mut at = pool + SKIPPED;
    for index in 0..u64::from(list.number_of_elements) {
        let element: ScatterGatherElement = read(list_at + 16 + index * 24);
        assert_eq!(
            memory::get_virtual_address(extension, element.physical_address),
            at
        );
        at += u64::from(element.length);
    }
    assert_eq!(at, pool + BYTES);
    let put = extended(extension, f::PUT_LIST, &[list_at, 0x7700]);
    assert_eq!(put, status::SUCCESS);
    assert_eq!(extended(extension, f::FREE_MDL, &[mdl]), status::SUCCESS);
    extended(extension, f::FREE_POOL, &[pool]);
    extended(extension, f::FREE_POOL, &[buffer]);
}

/// In the passive initialisation routine: the adapter and its unit are registered.
pub(super) fn register(extension: u64) {
    let states = [IdleState {
        version: 1,
        size: 0x20,
        ..zeroed()
    }; 2];
    let component = Component {
        version: 1,
        size: 0x20,
        state_count: 2,
        ..zeroed()
    };
    let device = Device {
        version: 1,
        size: 0x10,
        component_count: 1,
        flags: 0,
    };
    let mut pool = 0_u64;
    extended(extension, f::ALLOCATE_POOL, &[0x70, 0, at(&mut pool)]);
    write(pool, device);
    write(pool + 0x10, component);
    write(pool + 0x30, states);
    let mut cold = 7_u8;
    let mut register = |address| {
        extended(
            extension,
            f::INITIALIZE_POFX,
            &[address, pool, at(&mut cold)],
        )
    };
    assert_eq!(idle(extension, 0), status::INVALID_DEVICE_REQUEST);
    assert_eq!(register(0), status::SUCCESS);
    assert_eq!(register(0), status::UNSUCCESSFUL);
    assert_eq!(register(at(&mut unit())), status::SUCCESS);
    assert_eq!(cold, 0);
    extended(extension, f::FREE_POOL, &[pool]);
    let set = |code, value: u64| extended(extension, code, &[0, 0, value]);
    assert_eq!(set(f::POFX_LATENCY, 10), status::SUCCESS);
    assert_eq!(set(f::POFX_RESIDENCY, 10), status::SUCCESS);
    assert_eq!(
        extended(extension, f::POFX_TIMEOUT, &[0, 100]),
        status::SUCCESS
    );
}

fn unit() -> AddressBtl8 {
    AddressBtl8 {
        kind: 1,
        address_length: 4,
        ..zeroed()
    }
}

fn idle(extension: u64, srb: u64) -> u32 {
    extended(extension, f::POFX_IDLE, &[0, srb, 0, 0])
}

/// In `HwStartIo`: activations are counted.
pub(super) fn activate(extension: u64, srb: u64) {
    let activate = |address, srb| extended(extension, f::POFX_ACTIVATE, &[address, srb, 0, 0]);
    assert_eq!(activate(0, srb), status::SUCCESS);
    assert_eq!(activate(0, 0), status::SUCCESS);
    assert_eq!(activate(at(&mut unit()), srb), status::SUCCESS);
    assert_eq!(idle(extension, srb), status::BUSY);
    assert_eq!(idle(extension, 0), status::SUCCESS);
    let unit_idle = extended(extension, f::POFX_IDLE, &[at(&mut unit()), srb, 0, 0]);
    assert_eq!(unit_idle, status::SUCCESS);
}

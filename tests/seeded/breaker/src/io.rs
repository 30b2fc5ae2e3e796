//! Requests on their way to the device and back.

use crate::adapter::{Adapter, Page, SLOTS};
use crate::faults::Fault;
use crate::nvme::{Command, command, register};
use crate::port::{
    SpinLock, notification, notify, physical_address, read, scatter_gather_list, write,
};
use crate::request::{Request, function, status};
use crate::wrong;

/// An operation code of this miniport's own: such a command is kept until the bus is reset.
const KEEP: u8 = 0xD0;
/// Entries of a PRP list: the transfers of this miniport need no more.
const LIST_ENTRIES: u64 = 16;

/// `HwStorBuildIo`.
pub extern "C" fn build_io(extension: u64, srb: u64) -> u8 {
    let adapter = Adapter::of(extension);
    let request = Request::of(srb);
    match request.function {
        // Here, where no lock is held, the port driver may be waited for.
        function::PNP => {
            adapter.retire();
            request.finish(
                adapter,
                adapter.pick(Fault::PnpFails, status::ERROR, status::SUCCESS),
            );
            0
        }
        function::EXECUTE_SCSI if request.lun != 0 => {
            request.finish(adapter, status::NO_DEVICE);
            0
        }
        _ => 1,
    }
}

/// `HwStorStartIo`, with the StartIo lock.
pub extern "C" fn start_io(extension: u64, srb: u64) -> u8 {
    let adapter = Adapter::of(extension);
    let request = Request::of(srb);
    wrong::in_start_io(adapter, srb);
    if request.function != function::EXECUTE_SCSI {
        request.finish(adapter, status::SUCCESS);
        return 1;
    }
    match request.cdb[0] {
        0 => {
            if adapter.once(Fault::ListWithoutData) {
                scatter_gather_list(extension, srb);
            }
            request.finish(adapter, status::SUCCESS);
        }
        0x35 => request.finish(adapter, status::SUCCESS),
        0xA0 => {
            let mut answer = [0; 16];
            answer[3] = 8;
            request.fill(adapter, &answer);
        }
        0x12 if request.cdb[1] & 1 == 0 => {
            let answer = b"\0\0\x06\x02\x1F\0\0\x02Breaker Miniport        1.0 ";
            request.fill(adapter, answer);
        }
        0x25 => {
            let last = u32::try_from(adapter.blocks.get() - 1).unwrap_or(u32::MAX);
            let mut answer = [0, 0, 0, 0, 0, 0, 2, 0];
            answer[..4].copy_from_slice(&last.to_be_bytes());
            request.fill(adapter, &answer);
        }
        0x28 => transfer(adapter, &request, 2),
        0x2A => transfer(adapter, &request, 1),
        KEEP => adapter.lost.set(srb),
        _ => request.refuse(adapter),
    }
    u8::from(!adapter.once(Fault::StartIoFalse))
}

/// Sends a read or write to the device.
fn transfer(adapter: &Adapter, request: &Request, opcode: u32) {
    let free = adapter.slots.iter().position(|slot| slot.get() == 0);
    let Some(slot) = free else {
        return request.refuse(adapter);
    };
    let pick = |fault, wrong| u32::from(adapter.once(fault)) * wrong;
    let mut command = command(opcode, 1 + pick(Fault::UnknownNamespace, 8), 0);
    command[0] |= (slot as u32) << 16;
    let [_, _, a, b, c, d, _, high, low, ..] = request.cdb;
    command[10] = u32::from_be_bytes([a, b, c, d]);
    command[10] |= pick(Fault::BlocksBehindEnd, 0x4000_0000);
    command[12] = u32::from(u16::from_be_bytes([high, low])) - 1;
    describe(adapter, request, &mut command);
    wrong::before_slot_is_taken(adapter);
    adapter.slots[slot].set(request.at);
    adapter.put(&adapter.io, Page::Submission, &command);
    if adapter.once(Fault::IdentifierTwice) {
        adapter.put(&adapter.io, Page::Submission, &command);
    }
    ring(adapter);
    if adapter.once(Fault::SubmissionBackwards) {
        let tail = u32::from(adapter.io.tail.get()) + 63;
        adapter.set_register(adapter.doorbell(1, false), tail % 64);
    }
}

/// Tells the device of the commands in its submission queue.
fn ring(adapter: &Adapter) {
    let tail = adapter.io.tail.get();
    adapter.set_register(adapter.doorbell(1, false), u32::from(tail));
}

/// Names the pages of the data.
fn describe(adapter: &Adapter, request: &Request, command: &mut Command) {
    let extension = adapter.extension.get();
    let elements = scatter_gather_list(extension, request.at);
    let count: u32 = read(elements);
    // A list of 16 entries that is aligned to its size lies in one page.
    let list = (request.extension + 127) & !127;
    let mut pages = 0;
    let mut second = 0;
    for index in 0..u64::from(count) {
        let element = elements + 16 + index * 24;
        let (mut start, length) = (read::<u64>(element), read::<u32>(element + 8));
        let end = start + u64::from(length);
        if adapter.once(Fault::DataElsewhere) {
            start += 1 << 20;
        }
        while start < end || pages == 0 {
            if pages == 0 {
                (command[6], command[7]) = (start as u32, (start >> 32) as u32);
            } else if pages <= LIST_ENTRIES {
                second = start;
                write(list + (pages - 1) * 8, start);
            }
            pages += 1;
            start = (start & !4095) + 4096;
        }
    }
    if pages > 2 {
        second = physical_address(extension, request.at, list);
    }
    (command[8], command[9]) = (second as u32, (second >> 32) as u32);
}

/// `HwStorInterrupt`: the line is masked until the DPC has looked.
pub extern "C" fn interrupt(extension: u64) -> u8 {
    let adapter = Adapter::of(extension);
    if adapter.wants(Fault::InterruptUnquiet) {
        return 1;
    }
    if adapter.wants(Fault::InterruptOfNeighbour) && adapter.register(register::INTMS) & 1 != 0 {
        // A masked device asserts no line: this is another device's.
        return 1;
    }
    adapter.set_register(register::INTMS, 1);
    message(extension, 0)
}

/// `HwMSInterruptRoutine`.
pub extern "C" fn message(extension: u64, _message: u32) -> u8 {
    let adapter = Adapter::of(extension);
    notify(extension, notification::ISSUE_DPC, &[adapter.dpc(), 0, 0]);
    wrong::in_interrupt(adapter);
    u8::from(!adapter.once(Fault::InterruptUnclaimed))
}

/// The DPC: completes what the device has done.
pub extern "C" fn dpc(_dpc: u64, extension: u64, _first: u64, _second: u64) {
    let adapter = Adapter::of(extension);
    let mut lock = SpinLock::unused();
    lock.acquire(extension, SpinLock::START_IO, 0);
    if adapter.running.get() {
        while let Some((slot, result)) = adapter.next(&adapter.io, Page::Completion, 1) {
            let srb = adapter
                .slots
                .get(usize::from(slot))
                .map_or(0, |slot| slot.replace(0));
            if srb != 0 {
                Request::of(srb).end_transfer(adapter, result == 0);
            }
        }
        if adapter.once(Fault::CompletionAhead) {
            let head = u32::from(adapter.io.head.get()) + 5;
            adapter.set_register(adapter.doorbell(1, true), head % 64);
        }
        if adapter.line.get() {
            adapter.set_register(register::INTMC, 1);
        }
    }
    if adapter.once(Fault::LockTwice) {
        SpinLock::unused().acquire(extension, SpinLock::START_IO, 0);
    }
    if !adapter.once(Fault::LockKept) {
        lock.release(extension);
    }
    wrong::in_dpc(adapter);
}

/// `HwStorResetBus`, with the StartIo lock.
pub extern "C" fn reset_bus(extension: u64, _path: u32) -> u8 {
    let adapter = Adapter::of(extension);
    if !adapter.wants(Fault::RequestLost) {
        let lost = adapter.lost.replace(0);
        if lost != 0 {
            Request::of(lost).finish(adapter, status::BUS_RESET);
        }
    }
    u8::from(!adapter.wants(Fault::ResetFails))
}

const _: () = assert!(SLOTS < 64);

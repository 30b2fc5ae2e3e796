//! The controller: registers, queues, commands.

use core::cell::Cell;

use crate::adapter::{Adapter, PAGE, Page};
use crate::faults::Fault;
use crate::port::{read, stall, write};

/// Registers, by offset.
pub mod register {
    #![allow(missing_docs)]
    pub const CAP: u64 = 0;
    pub const VS: u64 = 8;
    pub const INTMS: u64 = 0x0C;
    pub const INTMC: u64 = 0x10;
    pub const CC: u64 = 0x14;
    pub const CSTS: u64 = 0x1C;
    pub const AQA: u64 = 0x24;
    pub const ASQ: u64 = 0x28;
    pub const ACQ: u64 = 0x30;
    pub const DOORBELLS: u64 = 0x1000;
}

/// Entries of each queue.
pub const ENTRIES: u16 = 64;
/// CC: entries of 64 and of 16 bytes, enabled.
const CC_ENABLED: u32 = 4 << 20 | 6 << 16 | 1;
/// CC: normal shutdown.
const CC_SHUTDOWN: u32 = 1 << 14;
/// One look at the device, and how many of them.
const LOOK_US: u32 = 500;
const LOOKS: u32 = 20_000;

/// A queue pair.
#[repr(C)]
pub struct Queue {
    /// Where the next command goes.
    pub tail: Cell<u16>,
    /// Where the next completion is.
    pub head: Cell<u16>,
    /// Whether the completions of this round have the phase bit 0.
    odd: Cell<bool>,
    /// The identifier of the last admin command.
    identifier: Cell<u16>,
}

/// A command.
pub type Command = [u32; 16];

/// A command of an opcode for a namespace, with one page of data.
pub fn command(opcode: u32, namespace: u32, page: u64) -> Command {
    let mut command = [0; 16];
    command[0] = opcode;
    command[1] = namespace;
    (command[6], command[7]) = (page as u32, (page >> 32) as u32);
    command
}

impl Adapter {
    /// Reads a register.
    pub fn register(&self, offset: u64) -> u32 {
        read(self.registers.get() + offset)
    }

    /// Writes a register.
    pub fn set_register(&self, offset: u64, value: u32) {
        write(self.registers.get() + offset, value);
    }

    /// The offset of a doorbell: that of the submission queue, or of the completion queue.
    pub fn doorbell(&self, queue: u64, completion: bool) -> u64 {
        register::DOORBELLS + (2 * queue + u64::from(completion)) * self.stride.get()
    }

    /// Waits until CSTS, masked, has a value.
    fn wait(&self, mask: u32, value: u32) -> bool {
        for _ in 0..LOOKS {
            let status = self.register(register::CSTS);
            if status & mask == value {
                return true;
            }
            // All ones: it is gone. Fatal status: it never will.
            if status == u32::MAX || status & 2 != 0 {
                return false;
            }
            stall(LOOK_US);
        }
        false
    }

    /// Resets the controller and starts it with empty queues, its interrupt line masked.
    pub fn enable(&self) -> bool {
        let set = |offset, value| self.set_register(offset, value);
        set(register::CC, 0);
        if !self.wait(1, 0) {
            return false;
        }
        let entries = u32::from(self.pick(Fault::AdminQueuesEmpty, 1, ENTRIES)) - 1;
        set(register::AQA, entries << 16 | entries);
        for (offset, page) in [
            (register::ASQ, Page::AdminSubmission),
            (register::ACQ, Page::AdminCompletion),
        ] {
            let address = self.physical(page);
            set(offset, address as u32);
            set(offset + 4, (address >> 32) as u32);
        }
        for offset in (0..4 * PAGE).step_by(8) {
            write(self.uncached.get() + offset, 0_u64);
        }
        for queue in [&self.admin, &self.io] {
            queue.tail.set(0);
            queue.head.set(0);
            queue.odd.set(false);
        }
        let page_size = self.pick(Fault::PageUnsupported, 15 << 7, 0);
        set(register::CC, CC_ENABLED | page_size);
        if self.once(Fault::DoorbellBeforeReady) {
            set(self.doorbell(0, false), 1);
        }
        let ready = self.wait(1, 1);
        if ready && self.once(Fault::EnabledWhileReady) {
            set(register::CC, CC_ENABLED & !1);
            set(register::CC, CC_ENABLED);
            return self.wait(1, 0) && self.enable();
        }
        self.running.set(ready);
        ready
    }

    /// Shuts the controller down.
    pub fn shut_down(&self) {
        self.set_register(register::CC, CC_ENABLED | CC_SHUTDOWN);
        self.wait(0xC, 8);
        self.running.set(false);
    }

    /// Puts a command into a submission queue.
    pub fn put(&self, queue: &Queue, page: Page, command: &Command) {
        let at = self.page(page) + u64::from(queue.tail.get()) * 64;
        for (offset, &word) in (0_u64..).step_by(4).zip(command) {
            write(at + offset, word);
        }
        queue.tail.set((queue.tail.get() + 1) % ENTRIES);
    }

    /// Puts an admin command into its queue, under an identifier of its own, without telling the device.
    pub fn put_admin(&self, mut command: Command) -> u16 {
        let identifier = self.admin.identifier.get().wrapping_add(1) & 0x7FFF;
        self.admin.identifier.set(identifier);
        command[0] |= u32::from(identifier) << 16;
        self.put(&self.admin, Page::AdminSubmission, &command);
        identifier
    }

    /// Tells the device of the admin commands.
    pub fn ring_admin(&self) {
        let tail = self.admin.tail.get();
        self.set_register(self.doorbell(0, false), u32::from(tail));
    }

    /// An admin command to its end: whether it succeeded.
    pub fn admin(&self, command: Command) -> bool {
        let identifier = self.put_admin(command);
        self.ring_admin();
        for _ in 0..LOOKS {
            while let Some((ended, status)) = self.next(&self.admin, Page::AdminCompletion, 0) {
                if ended == identifier {
                    return status == 0;
                }
            }
            if self.register(register::CSTS) == u32::MAX {
                return false;
            }
            stall(LOOK_US);
        }
        false
    }

    /// Takes the next completion: the command's identifier and its status.
    pub fn next(&self, queue: &Queue, page: Page, id: u64) -> Option<(u16, u16)> {
        let at = self.page(page) + u64::from(queue.head.get()) * 16;
        let last: u32 = read(at + 12);
        if (last >> 16 & 1 == 0) != queue.odd.get() {
            return None;
        }
        let head = (queue.head.get() + 1) % ENTRIES;
        queue.head.set(head);
        if head == 0 {
            queue.odd.set(!queue.odd.get());
        }
        self.set_register(self.doorbell(id, true), u32::from(head));
        Some((last as u16, (last >> 17) as u16))
    }

    /// Reads Identify Controller and Identify Namespace.
    pub fn identify(&self) -> bool {
        let mut identify = command(0x06, 0, self.physical(Page::Data));
        identify[10] = 1;
        if self.wants(Fault::ReservedField) {
            identify[12] = 1;
        }
        if self.once(Fault::OddPage) {
            let mut odd = identify;
            odd[6] += 2;
            self.admin(odd);
        }
        if !self.admin(identify) {
            return false;
        }
        let data = self.page(Page::Data);
        self.hmb_pages.set([read(data + 272), read(data + 276)]);
        if !self.admin(command(0x06, 1, self.physical(Page::Data))) {
            return false;
        }
        self.blocks.set(read(data));
        true
    }

    /// Makes the I/O queues.
    pub fn create_queues(&self) -> bool {
        if !self.wants(Fault::QueuesNotNegotiated) {
            let mut number = command(0x09, 0, 0);
            (number[10], number[11]) = (7, 1 << 16 | 1);
            if !self.admin(number) {
                return false;
            }
        }
        let size = u32::from(ENTRIES - 1) << 16 | 1;
        let mut completion = command(0x05, 0, self.physical(Page::Completion));
        (completion[10], completion[11]) = (size, 3);
        let mut submission = command(0x01, 0, self.physical(Page::Submission));
        (submission[10], submission[11]) = (size, 1 << 16 | 1);
        let created = self.admin(completion) && self.admin(submission);
        if self.once(Fault::QueueCreatedTwice) {
            self.admin(completion);
        }
        created || self.wants(Fault::QueuesNotNegotiated)
    }

    /// Deletes the I/O queues.
    pub fn delete_queues(&self) {
        for opcode in [0x00, 0x04] {
            let mut delete = command(opcode, 0, 0);
            delete[10] = 1;
            self.admin(delete);
        }
    }
}

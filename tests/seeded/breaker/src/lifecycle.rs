//! Power, stop and removal.

use crate::adapter::{Adapter, Page};
use crate::describe;
use crate::faults::Fault;
use crate::nvme::{command, register};
use crate::port::{read, write};
use crate::start::enable_passive;

/// `SCSI_ADAPTER_CONTROL_TYPE`.
mod control {
    pub(super) const QUERY_SUPPORTED: u32 = 0;
    pub(super) const STOP: u32 = 1;
    pub(super) const RESTART: u32 = 2;
    pub(super) const POWER: u32 = 6;
    pub(super) const SURPRISE_REMOVAL: u32 = 16;
}

/// `SCSI_UNIT_CONTROL_TYPE`: `ScsiUnitRemove`.
const UNIT_REMOVE: u32 = 9;
/// `STOR_DEVICE_POWER_STATE`: D3.
const D3: u32 = 4;

impl Adapter {
    /// Takes everything back from the device and shuts it down.
    fn put_to_sleep(&self) {
        if !self.running.get() {
            return;
        }
        if self.line.get() {
            self.set_register(register::INTMS, 1);
        }
        if !self.once(Fault::HmbAwake) {
            self.disable_hmb();
        }
        self.delete_queues();
        if self.wants(Fault::NoShutdown) {
            self.running.set(false);
        } else {
            self.shut_down();
        }
    }

    /// Starts the device again, with the same memory.
    fn wake(&self) {
        if self.line.get() {
            self.set_register(register::INTMS, 1);
        }
        if self.enable() && self.create_queues() {
            self.enable_hmb();
            if self.line.get() {
                self.set_register(register::INTMC, 1);
            }
        }
    }

    /// The adapter is going to be removed.
    pub fn retire(&self) {
        describe::free(self);
        if self.wants(Fault::BusyAfterStop) {
            // The last command is sent when the adapter is stopped.
            self.disable_hmb();
            return self.free_hmb();
        }
        if self.wants(Fault::HmbFreedLent) {
            self.free_hmb();
        }
        if self.wants(Fault::ShutdownWhileBusy) {
            self.disable_hmb();
            self.read_into_data();
            // A read waits until the command has reached the device.
            self.register(register::CSTS);
            self.shut_down();
        }
        self.put_to_sleep();
        self.free_hmb();
    }

    /// Sends a read of its own and does not wait for it.
    fn read_into_data(&self) {
        let mut last = command(2, 1, self.physical(Page::Data));
        last[0] |= 63 << 16;
        self.put(&self.io, Page::Submission, &last);
        let tail = u32::from(self.io.tail.get());
        self.set_register(self.doorbell(1, false), tail);
    }
}

/// `HwStorAdapterControl`.
pub extern "C" fn adapter_control(extension: u64, kind: u32, parameters: u64) -> u32 {
    let adapter = Adapter::of(extension);
    match kind {
        control::QUERY_SUPPORTED => {
            let most = read::<u32>(parameters);
            let types = [
                control::STOP,
                control::RESTART,
                control::POWER,
                control::SURPRISE_REMOVAL,
            ];
            for kind in types.into_iter().filter(|&kind| kind < most) {
                let supported = kind != control::RESTART || !adapter.wants(Fault::NoRestart);
                write(parameters + 4 + u64::from(kind), u8::from(supported));
            }
            if adapter.wants(Fault::ControlListOverrun) {
                write(parameters + 4 + u64::from(most), 1_u8);
            }
        }
        control::POWER => {
            let state: u32 = read(parameters + 20);
            if state == D3 {
                adapter.put_to_sleep();
            } else {
                adapter.wake();
                if adapter.once(Fault::PassiveFromRestart) {
                    // As where HwInitialize serves for a start after a stop, too.
                    enable_passive(extension);
                }
            }
        }
        control::STOP => {
            if adapter.wants(Fault::BusyAfterStop) {
                adapter.read_into_data();
            }
            return adapter.pick(Fault::StopFails, 1, 0);
        }
        _ => {}
    }
    0
}

/// `HwStorUnitControl`.
pub extern "C" fn unit_control(extension: u64, kind: u32, parameters: u64) -> u32 {
    let adapter = Adapter::of(extension);
    if kind == control::QUERY_SUPPORTED {
        let most: u32 = read(parameters);
        if UNIT_REMOVE < most {
            write(parameters + 4 + u64::from(UNIT_REMOVE), 1_u8);
        }
        return 0;
    }
    adapter.pick(Fault::UnitRemovalFails, 1, 0)
}

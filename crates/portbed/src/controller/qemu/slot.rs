//! Where the controller is: in a slot behind a root port, as firmware sets it up, and as it leaves and comes.

use std::io::{self, Error};

use nvme_model::Power;
use serde_json::json;

use super::{BAR_ADDRESS, QemuController};
use crate::pci;

/// Ports through which configuration space is reached.
const CONFIG_ADDRESS: u16 = 0xCF8;
const CONFIG_DATA: u16 = 0xCFC;
/// The root port is device 4 of bus 0, and the controller device 0 of the bus behind it, in the terms of
/// [`CONFIG_ADDRESS`].
const ROOT_PORT: u32 = 0x8000_0000 | 4 << 11;
const CONTROLLER_FUNCTION: u32 = 0x8000_0000 | 1 << 16;

/// Offsets in configuration space, and what the registers there hold.
const MEMORY_AND_BUS_MASTER: u32 = 0x6;
const CLASS: u16 = 0x08;
const BAR0: u16 = 0x10;
const BUS_NUMBERS: u16 = 0x18;
const MEMORY_WINDOW: u16 = 0x20;

/// Message Control of the MSI-X capability, and in it the switches of all vectors.
const MSI_X_CONTROL: u16 = 2;
const MSI_X_ENABLE: u32 = 1 << 15;
const MSI_X_MASK: u32 = 1 << 14;

/// Slot Control of the PCI Express capability, and in it the power of the slot: the indicator and the controller, off.
const SLOT_CONTROL: u16 = 0x18;
const SLOT_POWER: u32 = 0x700;
const SLOT_ON: u32 = 0x100;
const SLOT_OFF: u32 = 0x700;

/// What a function that is not there answers.
const ABSENT: u32 = 0xFFFF;

/// A function that is reached through the ports.
#[derive(Clone, Copy, Debug)]
pub(super) enum Function {
    RootPort,
    Controller,
}

impl QemuController {
    /// Reads or writes 1, 2 or 4 bytes of a function's configuration space.
    pub(super) fn config(
        &self,
        function: Function,
        offset: u16,
        bytes: u8,
        value: Option<u32>,
    ) -> u32 {
        let function = match function {
            Function::RootPort => ROOT_PORT,
            Function::Controller => CONTROLLER_FUNCTION,
        };
        let address = function | u32::from(offset & 0xFC);
        self.ask(format_args!("outl {CONFIG_ADDRESS:#x} {address:#x}"));
        let port = CONFIG_DATA + (offset & 3);
        let (suffix, mask) = match bytes {
            1 => ('b', 0xFF),
            2 => ('w', 0xFFFF),
            _ => ('l', u32::MAX),
        };
        let answer = match value {
            Some(value) => self.ask(format_args!("out{suffix} {port:#x} {value:#x}")),
            None => self.ask(format_args!("in{suffix} {port:#x}")),
        };
        answer as u32 & mask
    }

    fn capability(&self, function: Function, id: u32) -> Option<u16> {
        pci::capability(
            |offset, bytes| self.config(function, offset, bytes, None),
            id,
        )
    }

    /// Does what firmware does with the root port: numbers the bus behind it, and gives it the addresses of a BAR.
    pub(super) fn open_port(&self) {
        let port = Function::RootPort;
        self.config(port, BUS_NUMBERS, 4, Some(0x01_01_00));
        // Base and limit of the window, the upper 12 bits of their lower halves: one mebibyte.
        let window = BAR_ADDRESS as u32 >> 16;
        self.config(port, MEMORY_WINDOW, 4, Some(window << 16 | window));
        self.config(port, pci::COMMAND, 2, Some(MEMORY_AND_BUS_MASTER));
    }

    /// Does what firmware does with the controller: places its BAR and enables it.
    pub(super) fn place(&mut self) -> io::Result<()> {
        let controller = Function::Controller;
        let class = self.config(controller, CLASS, 4, None) >> 8;
        self.config(controller, BAR0, 4, Some(u32::MAX));
        let sizing = self.config(controller, BAR0, 4, None) & !0xF;
        self.config(controller, BAR0, 4, Some(BAR_ADDRESS as u32));
        self.config(controller, BAR0 + 4, 4, Some((BAR_ADDRESS >> 32) as u32));
        self.config(controller, pci::COMMAND, 2, Some(MEMORY_AND_BUS_MASTER));
        self.bar_bytes = u64::from(sizing.wrapping_neg());
        self.power_capability = self.capability(controller, pci::POWER);
        self.msi_x_capability = self.capability(controller, pci::MSI_X);
        if let (Some(at), Some(mut messages)) = (self.msi_x_capability, self.messages.take()) {
            let vectors = u64::from(self.config(controller, at + 2, 2, None) & 0x7FF) + 1;
            let table = u64::from(self.config(controller, at + 4, 4, None) & !7);
            messages.set_table(table, vectors);
            self.messages = Some(messages);
        }
        let capabilities = self.ask(format_args!("readq {BAR_ADDRESS:#x}"));
        self.commands.restart(capabilities);
        match self.failure.borrow().clone() {
            Some(failure) => Err(Error::other(failure)),
            None if class == pci::CLASS_NVME => Ok(()),
            None => Err(Error::other("QEMU shows no NVMe controller")),
        }
    }

    /// Switches MSI-X on with all vectors masked, where it is off: where its control is, and what was there.
    pub(super) fn allow_messages(&self) -> Option<(u16, u32)> {
        let at = self.msi_x_capability? + MSI_X_CONTROL;
        let control = self.config(Function::Controller, at, 2, None);
        if control & MSI_X_ENABLE != 0 {
            return None;
        }
        let masked = control | MSI_X_ENABLE | MSI_X_MASK;
        self.config(Function::Controller, at, 2, Some(masked));
        Some((at, control))
    }

    /// Takes the power off the slot, whatever its device is doing: the device is gone at once.
    pub(super) fn pull(&mut self) {
        self.set_slot(SLOT_OFF);
        self.present = false;
        let answer = self.config(Function::Controller, 0, 2, None);
        if answer != ABSENT {
            self.fail("QEMU: the device stays in its slot".to_owned());
        }
    }

    /// Puts a fresh controller into the slot, which is empty. It has the namespaces that the one before had.
    pub(super) fn plug(&mut self) -> io::Result<()> {
        self.set_slot(SLOT_ON);
        let line = format!("device_add {}", self.parts.profile.controller());
        // In the words of the command line the types of properties are QEMU's business.
        let arguments = json!({ "command-line": line });
        let said = self.monitor.execute("human-monitor-command", &arguments)?;
        if let Some(complaint) = said.as_str().filter(|said| !said.is_empty()) {
            return Err(Error::other(format!("QEMU: {}", complaint.trim())));
        }
        self.present = true;
        self.power = Power::D0;
        self.place()
    }

    fn set_slot(&self, power: u32) {
        let port = Function::RootPort;
        let Some(express) = self.capability(port, pci::EXPRESS) else {
            return;
        };
        let at = express + SLOT_CONTROL;
        let control = self.config(port, at, 2, None) & !SLOT_POWER;
        self.config(port, at, 2, Some(control | power));
    }
}

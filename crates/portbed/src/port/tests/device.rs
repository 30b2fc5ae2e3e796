//! A device that fills memory: an address and a length in two registers, a doorbell, an interrupt when it is done.

use nvme_model::{Access, Bus};

use crate::controller::{Controller, HmbView, Identity, Power, Width};

/// Registers.
pub(super) const ADDRESS: u64 = 0x10;
pub(super) const LENGTH: u64 = 0x18;
pub(super) const BLOCK: u64 = 0x1C;
/// Reading it tells how many transfers ended since, and withdraws the interrupt.
pub(super) const ENDED: u64 = 0x20;
/// The message with which it interrupts.
pub(super) const MESSAGE: u64 = 0x28;
/// The message table.
const TABLE: u32 = 0x1000;
const BAR_BYTES: u64 = 0x2000;
/// Where the MSI-X capability lies.
const MSI_X: u16 = 0x40;
/// How long a transfer takes.
const TRANSFER_NS: u64 = 8_000;

/// What a block is full of.
pub(super) fn pattern(block: u32) -> u8 {
    0x30 + (block % 64) as u8
}

#[derive(Default)]
pub(super) struct Device {
    address: u64,
    length: u32,
    transfers: Vec<(u64, u64, u32, u32)>,
    ended: u32,
    message: u16,
    messages: bool,
    gone: bool,
}

impl Controller for Device {
    fn identity(&self) -> Identity {
        Identity {
            kind: "bench",
            ..Identity::default()
        }
    }

    fn bar_bytes(&self) -> u64 {
        BAR_BYTES
    }

    fn config_read(&self, offset: u16, bytes: u8) -> u32 {
        match (offset, bytes) {
            (0x34, 1) => u32::from(MSI_X),
            (MSI_X, 1) => 0x11,
            (MSI_X, 4) => 0x11 | 1 << 16 | u32::from(self.messages) << 31,
            (offset, 4) if offset == MSI_X + 4 => TABLE,
            _ => 0,
        }
    }

    fn config_write(
        &mut self,
        offset: u16,
        _bytes: u8,
        value: u32,
        _now_ns: u64,
        _bus: &mut dyn Bus,
    ) {
        if offset == MSI_X {
            self.messages = value >> 31 != 0;
        }
    }

    fn read(&mut self, offset: u64, _width: Width, _now_ns: u64, bus: &mut dyn Bus) -> u64 {
        if self.gone {
            return u64::MAX;
        }
        if offset == ENDED {
            bus.line(false);
            return u64::from(std::mem::take(&mut self.ended));
        }
        0
    }

    fn write(&mut self, offset: u64, _width: Width, value: u64, now_ns: u64, _bus: &mut dyn Bus) {
        match offset {
            ADDRESS => self.address = value,
            LENGTH => self.length = value as u32,
            BLOCK => self.transfers.push((
                now_ns + TRANSFER_NS,
                self.address,
                self.length,
                value as u32,
            )),
            MESSAGE => self.message = value as u16,
            _ => {}
        }
    }

    fn run(&mut self, now_ns: u64, bus: &mut dyn Bus) {
        let (due, later) = self
            .transfers
            .iter()
            .partition(|(at_ns, ..)| *at_ns <= now_ns);
        self.transfers = later;
        let due: Vec<(u64, u64, u32, u32)> = due;
        for (_, address, length, block) in due {
            let data = vec![pattern(block); length as usize];
            let _ = bus.write(address, &data, Access::Data { queue: 1, cid: 0 });
            self.ended += 1;
            if self.messages {
                bus.interrupt(self.message);
            } else {
                bus.line(true);
            }
        }
    }

    fn next_event_ns(&self) -> Option<u64> {
        self.transfers.iter().map(|&(at_ns, ..)| at_ns).min()
    }

    fn power(&mut self, _to: Power, _now_ns: u64, _bus: &mut dyn Bus) {}

    fn remove(&mut self, bus: &mut dyn Bus) {
        self.gone = true;
        self.transfers.clear();
        bus.line(false);
    }

    fn hmb(&self) -> HmbView {
        HmbView::default()
    }
}

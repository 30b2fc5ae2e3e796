//! Request blocks, in either form.

use crate::adapter::Adapter;
use crate::faults::Fault;
use crate::port::{complete, read, write};

/// `SRB_FUNCTION_*`.
pub mod function {
    #![allow(missing_docs)]
    pub const EXECUTE_SCSI: u32 = 0;
    pub const PNP: u32 = 0x25;
    pub const STORAGE_REQUEST_BLOCK: u8 = 0x28;
}

/// `SRB_STATUS_*`.
pub mod status {
    #![allow(missing_docs)]
    pub const PENDING: u8 = 0;
    pub const SUCCESS: u8 = 1;
    pub const ERROR: u8 = 4;
    pub const BUSY: u8 = 5;
    pub const NO_DEVICE: u8 = 8;
    pub const BUS_RESET: u8 = 0x0E;
    pub const AUTOSENSE_VALID: u8 = 0x80;
}

/// A request.
#[derive(Clone, Copy)]
pub struct Request {
    /// Where its block lies.
    pub at: u64,
    /// What it is.
    pub function: u32,
    /// Its logical unit.
    pub lun: u8,
    /// Its command.
    pub cdb: [u8; 16],
    /// Its extension.
    pub extension: u64,
    /// Where its transfer length stands.
    pub length_at: u64,
    scsi_status_at: u64,
    sense_length_at: u64,
    sense: u64,
    data: u64,
}

impl Request {
    /// The request of a block.
    pub fn of(at: u64) -> Self {
        let function: u8 = read(at + 2);
        if function != function::STORAGE_REQUEST_BLOCK {
            return Self {
                at,
                function: u32::from(function),
                lun: read(at + 7),
                cdb: read(at + 72),
                extension: read(at + 56),
                length_at: at + 16,
                scsi_status_at: at + 4,
                sense_length_at: at + 11,
                sense: read(at + 32),
                data: read(at + 24),
            };
        }
        let address = at + u64::from(read::<u32>(at + 52));
        let count: u32 = read(at + 56);
        // Without extended data the fields are read from the block itself, and not used.
        let offset = if count == 0 { 0 } else { read::<u32>(at + 120) };
        let extended = at + u64::from(offset);
        let execute = read::<u32>(at + 20) == function::EXECUTE_SCSI;
        Self {
            at,
            function: read(at + 20),
            lun: read(address + 10),
            cdb: if execute {
                read(extended + 24)
            } else {
                [0; 16]
            },
            extension: read(at + 0x68),
            length_at: at + 0x3C,
            scsi_status_at: extended + 8,
            sense_length_at: extended + 9,
            sense: if execute { read(extended + 16) } else { 0 },
            data: read(at + 64),
        }
    }

    /// Completes it.
    pub fn finish(&self, adapter: &Adapter, status: u8) {
        write(self.at + 3, status);
        complete(adapter.extension.get(), self.at);
    }

    /// Completes it with an answer in its data buffer.
    pub fn fill(&self, adapter: &Adapter, answer: &[u8]) {
        let room: u32 = read(self.length_at);
        let mut filled = 0;
        for (offset, &byte) in (0..room).zip(answer) {
            write(self.data + u64::from(offset), byte);
            filled = offset + 1;
        }
        write(self.length_at, filled);
        self.finish(adapter, status::SUCCESS);
    }

    /// Completes it with CHECK CONDITION: the command is not supported.
    pub fn refuse(&self, adapter: &Adapter) {
        for offset in 0..18 {
            write(self.sense + offset, 0_u8);
        }
        for (offset, value) in [(0, 0x70_u8), (2, 5), (7, 10), (12, 0x20)] {
            write(self.sense + offset, value);
        }
        write(self.scsi_status_at, 2_u8);
        write(self.sense_length_at, 18_u8);
        write(self.length_at, 0_u32);
        self.finish(adapter, status::ERROR | status::AUTOSENSE_VALID);
    }

    /// Completes a transfer.
    pub fn end_transfer(&self, adapter: &Adapter, succeeded: bool) {
        if adapter.once(Fault::TransferTooLong) {
            write(self.length_at, 1_u32 << 20);
        }
        if adapter.once(Fault::TransferTooShort) {
            write(self.length_at, 512_u32);
        }
        if adapter.once(Fault::BusyWithoutLength) {
            write(self.length_at, 0_u32);
            return self.finish(adapter, status::BUSY);
        }
        if adapter.once(Fault::SuccessWithCheck) {
            write(self.scsi_status_at, 2_u8);
        }
        if adapter.once(Fault::RequestChanged) {
            // The time-out of either form.
            let at = self.at
                + if self.length_at == self.at + 16 {
                    20
                } else {
                    40
                };
            write(at, read::<u32>(at) + 1);
        }
        if !succeeded {
            return self.refuse(adapter);
        }
        let status = if adapter.once(Fault::CompletedPending) {
            status::PENDING
        } else if adapter.once(Fault::SenseWithoutCheck) {
            status::SUCCESS | status::AUTOSENSE_VALID
        } else {
            status::SUCCESS
        };
        self.finish(adapter, status);
        if adapter.once(Fault::CompletedTwice) {
            complete(adapter.extension.get(), self.at);
        }
        if adapter.once(Fault::UnknownCompleted) {
            complete(adapter.extension.get(), adapter.extension.get());
        }
        if adapter.once(Fault::RequestTouched) {
            write(self.at + 3, status::SUCCESS);
        }
    }
}

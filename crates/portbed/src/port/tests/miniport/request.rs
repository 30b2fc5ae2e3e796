//! Request blocks, as a miniport reads and answers them.

use super::calls::complete;
use crate::abi::callback::{read, write, write_bytes, zeroed};
use crate::abi::srb::{
    AddressBtl8, ExtendedCdb16, ScsiRequestBlock, StorageRequestBlock, function, status,
};

/// The request block in either form.
pub(super) struct Srb {
    pub(super) at: u64,
    pub(super) function: u8,
    pub(super) lun: u8,
    pub(super) cdb: [u8; 16],
    /// Where the answers go: SCSI status, sense length, and the sense buffer.
    scsi_status_at: u64,
    sense_length_at: u64,
    pub(super) sense: u64,
    pub(super) length_at: u64,
    data: u64,
}

impl Srb {
    pub(super) fn new(at: u64) -> Self {
        let old: ScsiRequestBlock = read(at);
        if old.function != function::STORAGE_REQUEST_BLOCK {
            return Self {
                at,
                function: old.function,
                lun: old.lun,
                cdb: old.cdb,
                scsi_status_at: at + 4,
                sense_length_at: at + 11,
                sense: old.sense_info_buffer,
                length_at: at + 16,
                data: old.data_buffer,
            };
        }
        let new: StorageRequestBlock = read(at);
        let address: AddressBtl8 = read(at + u64::from(new.address_offset));
        let extended = at + u64::from(new.srb_ex_data_offset);
        let data: ExtendedCdb16 = if new.num_srb_ex_data > 0 {
            read(extended)
        } else {
            zeroed()
        };
        Self {
            at,
            function: new.srb_function as u8,
            lun: address.lun,
            cdb: data.cdb,
            scsi_status_at: extended + 8,
            sense_length_at: extended + 9,
            sense: data.sense_info_buffer,
            length_at: at + 0x3C,
            data: new.data_buffer,
        }
    }

    pub(super) fn finish(&self, extension: u64, srb_status: u8) {
        write(self.at + 3, srb_status);
        complete(extension, self.at);
    }

    pub(super) fn fill(&self, extension: u64, answer: &[u8]) {
        let room: u32 = read(self.length_at);
        let bytes = answer.len().min(room as usize);
        write_bytes(self.data, &answer[..bytes]);
        write(self.length_at, bytes as u32);
        self.finish(extension, status::SUCCESS);
    }

    pub(super) fn refuse(&self, extension: u64) {
        let mut sense = [0_u8; 18];
        (sense[0], sense[2], sense[7], sense[12]) = (0x70, 5, 10, 0x20);
        write_bytes(self.sense, &sense);
        write(self.scsi_status_at, 2_u8);
        write(self.sense_length_at, 18_u8);
        write(self.length_at, 0_u32);
        self.finish(extension, status::ERROR | status::AUTOSENSE_VALID);
    }
}

//! Request blocks, and the data of scatter/gather lists.

use zerocopy::FromBytes;

/// `SCSI_REQUEST_BLOCK`.
#[repr(C)]
#[derive(Clone, Copy, Debug, FromBytes)]
pub(crate) struct ScsiRequestBlock {
    pub(crate) length: u16,
    pub(crate) function: u8,
    pub(crate) srb_status: u8,
    pub(crate) scsi_status: u8,
    pub(crate) path_id: u8,
    pub(crate) target_id: u8,
    pub(crate) lun: u8,
    pub(crate) queue_tag: u8,
    pub(crate) queue_action: u8,
    pub(crate) cdb_length: u8,
    pub(crate) sense_info_buffer_length: u8,
    pub(crate) srb_flags: u32,
    pub(crate) data_transfer_length: u32,
    pub(crate) time_out_value: u32,
    pub(crate) data_buffer: u64,
    pub(crate) sense_info_buffer: u64,
    pub(crate) next_srb: u64,
    pub(crate) original_request: u64,
    pub(crate) srb_extension: u64,
    pub(crate) queue_sort_key: u32,
    pub(crate) reserved: u32,
    pub(crate) cdb: [u8; 16],
}

/// `SCSI_PNP_REQUEST_BLOCK`.
#[repr(C)]
#[derive(Clone, Copy, Debug, FromBytes)]
pub(crate) struct ScsiPnpRequestBlock {
    pub(crate) length: u16,
    pub(crate) function: u8,
    pub(crate) srb_status: u8,
    pub(crate) pnp_sub_function: u8,
    pub(crate) path_id: u8,
    pub(crate) target_id: u8,
    pub(crate) lun: u8,
    pub(crate) pnp_action: u32,
    pub(crate) srb_flags: u32,
    pub(crate) data_transfer_length: u32,
    pub(crate) time_out_value: u32,
    pub(crate) data_buffer: u64,
    pub(crate) sense_info_buffer: u64,
    pub(crate) next_srb: u64,
    pub(crate) original_request: u64,
    pub(crate) srb_extension: u64,
    pub(crate) srb_pnp_flags: u32,
    pub(crate) reserved: u32,
    pub(crate) reserved_4: [u8; 16],
}

/// `STORAGE_REQUEST_BLOCK`, with one offset of extended data.
#[repr(C)]
#[derive(Clone, Copy, Debug, FromBytes)]
pub(crate) struct StorageRequestBlock {
    pub(crate) length: u16,
    pub(crate) function: u8,
    pub(crate) srb_status: u8,
    pub(crate) reserved_1: u32,
    pub(crate) signature: u32,
    pub(crate) version: u32,
    pub(crate) srb_length: u32,
    pub(crate) srb_function: u32,
    pub(crate) srb_flags: u32,
    pub(crate) reserved_2: u32,
    pub(crate) request_tag: u32,
    pub(crate) request_priority: u16,
    pub(crate) request_attribute: u16,
    pub(crate) time_out_value: u32,
    pub(crate) system_status: u32,
    pub(crate) zero_guard_1: u32,
    pub(crate) address_offset: u32,
    pub(crate) num_srb_ex_data: u32,
    pub(crate) data_transfer_length: u32,
    pub(crate) data_buffer: u64,
    pub(crate) zero_guard_2: u64,
    pub(crate) original_request: u64,
    pub(crate) class_context: u64,
    pub(crate) port_context: u64,
    pub(crate) miniport_context: u64,
    pub(crate) next_srb: u64,
    pub(crate) srb_ex_data_offset: u32,
    pub(crate) gap_0: u32,
}

/// `STOR_ADDR_BTL8`.
#[repr(C)]
#[derive(Clone, Copy, Debug, FromBytes)]
pub(crate) struct AddressBtl8 {
    pub(crate) kind: u16,
    pub(crate) port: u16,
    pub(crate) address_length: u32,
    pub(crate) path: u8,
    pub(crate) target: u8,
    pub(crate) lun: u8,
    pub(crate) reserved: u8,
    pub(crate) gap_0: u32,
}

/// `SRBEX_DATA_SCSI_CDB16`.
#[repr(C)]
#[derive(Clone, Copy, Debug, FromBytes)]
pub(crate) struct ExtendedCdb16 {
    pub(crate) kind: u32,
    pub(crate) length: u32,
    pub(crate) scsi_status: u8,
    pub(crate) sense_info_buffer_length: u8,
    pub(crate) cdb_length: u8,
    pub(crate) reserved: u8,
    pub(crate) reserved_1: u32,
    pub(crate) sense_info_buffer: u64,
    pub(crate) cdb: [u8; 16],
}

/// `SRBEX_DATA_PNP`.
#[repr(C)]
#[derive(Clone, Copy, Debug, FromBytes)]
pub(crate) struct ExtendedPnp {
    pub(crate) kind: u32,
    pub(crate) length: u32,
    pub(crate) pnp_sub_function: u8,
    pub(crate) reserved: [u8; 3],
    pub(crate) pnp_action: u32,
    pub(crate) srb_pnp_flags: u32,
    pub(crate) reserved_1: u32,
}

/// The fixed part of `STOR_SCATTER_GATHER_LIST`.
#[repr(C)]
#[derive(Clone, Copy, Debug, FromBytes)]
pub(crate) struct ScatterGatherList {
    pub(crate) number_of_elements: u32,
    pub(crate) gap_0: u32,
    pub(crate) reserved: u64,
}

/// `STOR_SCATTER_GATHER_ELEMENT`.
#[repr(C)]
#[derive(Clone, Copy, Debug, FromBytes)]
pub(crate) struct ScatterGatherElement {
    pub(crate) physical_address: u64,
    pub(crate) length: u32,
    pub(crate) gap_0: u32,
    pub(crate) reserved: u64,
}

/// `SRB_SIGNATURE`.
pub(crate) const SIGNATURE: u32 = 0x5352_4258;
/// `STORAGE_REQUEST_BLOCK_VERSION_1`.
pub(crate) const VERSION_1: u32 = 1;
/// `STOR_ADDRESS_TYPE_BTL8`.
pub(crate) const ADDRESS_TYPE_BTL8: u16 = 1;
/// `STOR_ADDR_BTL8_ADDRESS_LENGTH`.
pub(crate) const BTL8_ADDRESS_LENGTH: u32 = 4;
/// `SrbExDataTypeScsiCdb16`.
pub(crate) const EX_DATA_CDB16: u32 = 64;
/// `SrbExDataTypePnP`.
pub(crate) const EX_DATA_PNP: u32 = 98;
/// `SRB_PNP_FLAGS_ADAPTER_REQUEST`.
pub(crate) const PNP_FLAGS_ADAPTER_REQUEST: u32 = 1;
/// `SRB_SIMPLE_TAG_REQUEST`.
pub(crate) const SIMPLE_TAG: u8 = 0x20;

/// `SRB_FUNCTION_*`.
pub(crate) mod function {
    pub(crate) const EXECUTE_SCSI: u8 = 0;
    pub(crate) const FLUSH: u8 = 8;
    pub(crate) const RESET_LOGICAL_UNIT: u8 = 0x20;
    pub(crate) const PNP: u8 = 0x25;
    pub(crate) const STORAGE_REQUEST_BLOCK: u8 = 0x28;
}

/// `SRB_STATUS_*`.
pub(crate) mod status {
    #[cfg(test)]
    pub(crate) const PENDING: u8 = 0;
    pub(crate) const SUCCESS: u8 = 1;
    #[cfg(test)]
    pub(crate) const ERROR: u8 = 4;
    pub(crate) const BUSY: u8 = 5;
    #[cfg(test)]
    pub(crate) const NO_DEVICE: u8 = 8;
    pub(crate) const TIMEOUT: u8 = 9;
    pub(crate) const BUS_RESET: u8 = 0x0E;
    pub(crate) const INTERNAL_ERROR: u8 = 0x30;
    #[cfg(test)]
    pub(crate) const QUEUE_FROZEN: u8 = 0x40;
    pub(crate) const AUTOSENSE_VALID: u8 = 0x80;
    /// Without the two flags.
    pub(crate) const MASK: u8 = 0x3F;
    /// The values that are defined, without that of a pending request.
    pub(crate) const DEFINED: [u8; 33] = [
        1, 2, 3, 4, 5, 6, 7, 8, 9, 0xA, 0xB, 0xD, 0xE, 0xF, 0x10, 0x11, 0x12, 0x13, 0x14, 0x15,
        0x16, 0x17, 0x18, 0x20, 0x21, 0x22, 0x23, 0x24, 0x25, 0x26, 0x27, 0x28, 0x30,
    ];

    /// What srb.h calls a status, without `SRB_STATUS_`; a number where this driver kit does not define it, or physical miniports
    /// seldom use it.
    pub(crate) fn name(status: u8) -> String {
        match status {
            0 => "PENDING",
            SUCCESS => "SUCCESS",
            2 => "ABORTED",
            4 => "ERROR",
            BUSY => "BUSY",
            6 => "INVALID_REQUEST",
            7 => "INVALID_PATH_ID",
            8 => "NO_DEVICE",
            TIMEOUT => "TIMEOUT",
            0xA => "SELECTION_TIMEOUT",
            0xB => "COMMAND_TIMEOUT",
            BUS_RESET => "BUS_RESET",
            0xF => "PARITY_ERROR",
            0x11 => "NO_HBA",
            0x12 => "DATA_OVERRUN",
            0x20 => "INVALID_LUN",
            0x21 => "INVALID_TARGET_ID",
            0x22 => "BAD_FUNCTION",
            0x23 => "ERROR_RECOVERY",
            INTERNAL_ERROR => "INTERNAL_ERROR",
            other => return format!("{other:#04X}").replace('X', "x"),
        }
        .to_owned()
    }
}

/// `SRB_FLAGS_*`.
pub(crate) mod flags {
    pub(crate) const QUEUE_ACTION_ENABLE: u32 = 2;
    pub(crate) const DATA_IN: u32 = 0x40;
    pub(crate) const DATA_OUT: u32 = 0x80;
    pub(crate) const NO_QUEUE_FREEZE: u32 = 0x100;
}

/// `STOR_PNP_ACTION`.
pub(crate) mod pnp {
    pub(crate) const REMOVE_DEVICE: u32 = 2;
    pub(crate) const STOP_DEVICE: u32 = 4;
    pub(crate) const SURPRISE_REMOVAL: u32 = 23;
}

//! What a miniport registers with `StorPortInitialize`.

use zerocopy::FromBytes;

/// `HW_INITIALIZATION_DATA`.
#[repr(C)]
#[derive(Clone, Copy, Debug, FromBytes)]
pub(crate) struct HwInitializationData {
    pub(crate) size: u32,
    pub(crate) adapter_interface_type: u32,
    pub(crate) initialize: u64,
    pub(crate) start_io: u64,
    pub(crate) interrupt: u64,
    pub(crate) find_adapter: u64,
    pub(crate) reset_bus: u64,
    pub(crate) dma_started: u64,
    pub(crate) adapter_state: u64,
    pub(crate) device_extension_size: u32,
    pub(crate) specific_lu_extension_size: u32,
    pub(crate) srb_extension_size: u32,
    pub(crate) number_of_access_ranges: u32,
    pub(crate) reserved: u64,
    pub(crate) map_buffers: u8,
    pub(crate) need_physical_addresses: u8,
    pub(crate) tagged_queuing: u8,
    pub(crate) auto_request_sense: u8,
    pub(crate) multiple_request_per_lu: u8,
    pub(crate) receive_event: u8,
    pub(crate) vendor_id_length: u16,
    pub(crate) vendor_id: u64,
    pub(crate) port_version_flags: u16,
    pub(crate) device_id_length: u16,
    pub(crate) device_id: u64,
    pub(crate) adapter_control: u64,
    pub(crate) build_io: u64,
    pub(crate) free_adapter_resources: u64,
    pub(crate) process_service_request: u64,
    pub(crate) complete_service_irp: u64,
    pub(crate) initialize_tracing: u64,
    pub(crate) cleanup_tracing: u64,
    pub(crate) tracing_enabled: u64,
    pub(crate) feature_support: u32,
    pub(crate) srb_type_flags: u32,
    pub(crate) address_type_flags: u32,
    pub(crate) reserved1: u32,
    pub(crate) unit_control: u64,
}

/// `INTERFACE_TYPE`: PCI.
pub(crate) const PCI_BUS: u32 = 5;
/// `STOR_MAP_*`: no buffers.
pub(crate) const MAP_NO_BUFFERS: u8 = 0;
/// An old name, `STOR_MAP_ALL_BUFFERS`, for what is now the next one.
pub(crate) const MAP_OLD_NON_READ_WRITE_BUFFERS: u8 = 1;
/// Buffers are mapped but those of reads and writes.
pub(crate) const MAP_NON_READ_WRITE_BUFFERS: u8 = 2;
/// All buffers are mapped.
pub(crate) const MAP_ALL_BUFFERS: u8 = 3;
/// `SRB_TYPE_FLAG_STORAGE_REQUEST_BLOCK`.
pub(crate) const SRB_TYPE_FLAG_STORAGE: u32 = 2;
/// `SRB_TYPE_FLAG_SCSI_REQUEST_BLOCK`.
pub(crate) const SRB_TYPE_FLAG_SCSI: u32 = 1;
/// `STOR_FEATURE_VIRTUAL_MINIPORT`.
pub(crate) const FEATURE_VIRTUAL_MINIPORT: u32 = 1;

//! What the port driver and a miniport agree on in `HwFindAdapter`.

use zerocopy::FromBytes;

/// `PORT_CONFIGURATION_INFORMATION`.
#[repr(C)]
#[derive(Clone, Copy, Debug, FromBytes)]
pub(crate) struct PortConfiguration {
    pub(crate) length: u32,
    pub(crate) system_io_bus_number: u32,
    pub(crate) adapter_interface_type: u32,
    pub(crate) bus_interrupt_level: u32,
    pub(crate) bus_interrupt_vector: u32,
    pub(crate) interrupt_mode: u32,
    pub(crate) maximum_transfer_length: u32,
    pub(crate) number_of_physical_breaks: u32,
    pub(crate) dma_channel: u32,
    pub(crate) dma_port: u32,
    pub(crate) dma_width: u32,
    pub(crate) dma_speed: u32,
    pub(crate) alignment_mask: u32,
    pub(crate) number_of_access_ranges: u32,
    pub(crate) access_ranges: u64,
    pub(crate) miniport_dump_data: u64,
    pub(crate) number_of_buses: u8,
    pub(crate) initiator_bus_id: [u8; 8],
    pub(crate) scatter_gather: u8,
    pub(crate) master: u8,
    pub(crate) caches_data: u8,
    pub(crate) adapter_scans_down: u8,
    pub(crate) at_disk_primary_claimed: u8,
    pub(crate) at_disk_secondary_claimed: u8,
    pub(crate) dma_32_bit_addresses: u8,
    pub(crate) demand_mode: u8,
    pub(crate) map_buffers: u8,
    pub(crate) need_physical_addresses: u8,
    pub(crate) tagged_queuing: u8,
    pub(crate) auto_request_sense: u8,
    pub(crate) multiple_request_per_lu: u8,
    pub(crate) receive_event: u8,
    pub(crate) real_mode_initialized: u8,
    pub(crate) buffer_access_scsi_port_controlled: u8,
    pub(crate) maximum_number_of_targets: u8,
    pub(crate) srb_type: u8,
    pub(crate) address_type: u8,
    pub(crate) slot_number: u32,
    pub(crate) bus_interrupt_level_2: u32,
    pub(crate) bus_interrupt_vector_2: u32,
    pub(crate) interrupt_mode_2: u32,
    pub(crate) dma_channel_2: u32,
    pub(crate) dma_port_2: u32,
    pub(crate) dma_width_2: u32,
    pub(crate) dma_speed_2: u32,
    pub(crate) device_extension_size: u32,
    pub(crate) specific_lu_extension_size: u32,
    pub(crate) srb_extension_size: u32,
    pub(crate) dma_64_bit_addresses: u8,
    pub(crate) reset_target_supported: u8,
    pub(crate) maximum_number_of_logical_units: u8,
    pub(crate) wmi_data_provider: u8,
    pub(crate) synchronization_model: u32,
    pub(crate) message_interrupt_routine: u64,
    pub(crate) interrupt_synchronization_mode: u32,
    pub(crate) gap_0: u32,
    pub(crate) dump_region: MemoryRegion,
    pub(crate) requested_dump_buffer_size: u32,
    pub(crate) virtual_device: u8,
    pub(crate) dump_mode: u8,
    pub(crate) dma_address_width: u8,
    pub(crate) gap_1: u8,
    pub(crate) extended_flags_1: u32,
    pub(crate) max_number_of_io: u32,
    pub(crate) max_ios_per_lun: u32,
    pub(crate) initial_lun_queue_depth: u32,
    pub(crate) bus_reset_hold_time: u32,
    pub(crate) feature_support: u32,
}

/// `MEMORY_REGION`.
#[repr(C)]
#[derive(Clone, Copy, Debug, FromBytes)]
pub(crate) struct MemoryRegion {
    pub(crate) virtual_base: u64,
    pub(crate) physical_base: u64,
    pub(crate) length: u32,
    pub(crate) gap_0: u32,
}

/// `ACCESS_RANGE`. The bytes after the flag are padding and mean nothing.
#[repr(C)]
#[derive(Clone, Copy, Debug, FromBytes)]
pub(crate) struct AccessRange {
    pub(crate) start: u64,
    pub(crate) length: u32,
    pub(crate) in_memory: u8,
    pub(crate) gap_0: [u8; 3],
}

/// `SP_UNINITIALIZED_VALUE`.
pub(crate) const UNINITIALIZED: u32 = u32::MAX;
/// `STOR_SYNCHRONIZATION_MODEL`: full duplex.
pub(crate) const FULL_DUPLEX: u32 = 1;
/// `INTERRUPT_SYNCHRONIZATION_MODE`: no messages.
pub(crate) const INTERRUPT_SUPPORT_NONE: u32 = 0;
/// `INTERRUPT_SYNCHRONIZATION_MODE`: one lock for each message.
pub(crate) const SYNCHRONIZE_PER_MESSAGE: u32 = 2;
/// `SCSI_DMA64_SYSTEM_SUPPORTED`: what the port driver says of the system.
pub(crate) const DMA64_SYSTEM_SUPPORTED: u8 = 0x80;
/// `SRB_TYPE_STORAGE_REQUEST_BLOCK`.
pub(crate) const SRB_TYPE_STORAGE: u8 = 1;

/// `HwFindAdapter` results.
pub(crate) mod found {
    /// `SP_RETURN_NOT_FOUND`.
    pub(crate) const NOT_FOUND: u32 = 0;
    /// `SP_RETURN_FOUND`.
    pub(crate) const FOUND: u32 = 1;
    /// `SP_RETURN_BAD_CONFIG`, the highest that a physical miniport may return.
    pub(crate) const BAD_CONFIG: u32 = 3;
}

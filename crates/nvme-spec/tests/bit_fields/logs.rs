//! Fields of the log pages.

use nvme_spec::log::*;

use crate::table::*;

#[test]
fn log_pages() {
    bits!(ParameterErrorLocation(u16) = "NVME_ERROR_INFO_LOG.ParameterErrorLocation" {
        byte with_byte: "Byte";
        bit with_bit: "Bit";
    });
    bits!(CriticalWarning(u8) = "NVME_HEALTH_INFO_LOG.CriticalWarning" {
        spare_low with_spare_low: "AvailableSpaceLow";
        temperature with_temperature: "TemperatureThreshold";
        reliability_degraded with_reliability_degraded: "ReliabilityDegraded";
        read_only with_read_only: "ReadOnly";
        backup_failed with_backup_failed: "VolatileMemoryBackupDeviceFailed";
        persistent_memory_unreliable with_persistent_memory_unreliable: (5, 1);
    });
    bits!(ActiveFirmware(u8) = "NVME_FIRMWARE_SLOT_INFO_LOG.AFI" {
        active_slot with_active_slot: "ActiveSlot";
        next_slot with_next_slot: "PendingActivateSlot";
    });
    bits!(CommandEffect(u32) = "NVME_COMMAND_EFFECTS_DATA" {
        csupp with_csupp: "CSUPP";
        lbcc with_lbcc: "LBCC";
        ncc with_ncc: "NCC";
        nic with_nic: "NIC";
        ccc with_ccc: "CCC";
        cse with_cse: "CSE";
        uuid_selection with_uuid_selection: "UUIDSelectionSupported";
        scope_namespace with_scope_namespace: "CSPNamespace";
        scope_controller with_scope_controller: "CSPController";
        scope_nvm_set with_scope_nvm_set: "CSPNVMSet";
        scope_endurance_group with_scope_endurance_group: "CSPEnduranceGroup";
        scope_domain with_scope_domain: "CSPDomain";
        scope_subsystem with_scope_subsystem: "CSPNVMSubsystem";
    });
}

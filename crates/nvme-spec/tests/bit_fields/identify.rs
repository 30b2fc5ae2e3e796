//! Fields of the Identify data structures.

use nvme_spec::identify::*;

use crate::facts::{Place, Record};
use crate::table::*;

#[test]
fn controller_attributes() {
    bits!(MultiPathCapabilities(u8) = "NVME_IDENTIFY_CONTROLLER_DATA.CMIC" {
        multiple_ports with_multiple_ports: "MultiPorts";
        multiple_controllers with_multiple_controllers: "MultiControllers";
        sr_iov with_sr_iov: "SRIOV";
        ana_reporting with_ana_reporting: "ANAR";
    });
    bits!(OptionalAsyncEvents(u32) = "NVME_IDENTIFY_CONTROLLER_DATA.OAES" {
        namespace_attribute with_namespace_attribute: "NamespaceAttributeChanged";
        firmware_activation with_firmware_activation: "FirmwareActivation";
        ana_change with_ana_change: "AsymmetricAccessChanged";
        predictable_latency_log with_predictable_latency_log: "PredictableLatencyAggregateLogChanged";
        lba_status with_lba_status: "LbaStatusChanged";
        endurance_group_log with_endurance_group_log: "EnduranceGroupAggregateLogChanged";
        normal_subsystem_shutdown with_normal_subsystem_shutdown: "NormalNvmSubsystemShutdown";
        zone_descriptor with_zone_descriptor: "ZoneInformation";
        discovery_log with_discovery_log: "DiscoveryLogChanged";
    });
    bits!(ControllerAttributes(u32) = "NVME_IDENTIFY_CONTROLLER_DATA.CTRATT" {
        host_identifier_128 with_host_identifier_128: "HostIdentifier128Bit";
        non_operational_permissive with_non_operational_permissive: "NOPSPMode";
        nvm_sets with_nvm_sets: "NVMSets";
        read_recovery_levels with_read_recovery_levels: "ReadRecoveryLevels";
        endurance_groups with_endurance_groups: "EnduranceGroups";
        predictable_latency with_predictable_latency: "PredictableLatencyMode";
        tbkas with_tbkas: "TBKAS";
        namespace_granularity with_namespace_granularity: "NamespaceGranularity";
        sq_associations with_sq_associations: "SQAssociations";
        uuid_list with_uuid_list: "UUIDList";
        mds with_mds: "MultiDomainSubsystem";
        fixed_capacity with_fixed_capacity: "FixedCapacityManagement";
        variable_capacity with_variable_capacity: "VariableCapacityManagement";
        delete_endurance_group with_delete_endurance_group: "DeleteEnduranceGroup";
        delete_nvm_set with_delete_nvm_set: "DeleteNVMSet";
        elbas with_elbas: "ELBAS";
    });
    bits!(OptionalAdminCommands(u16) = "NVME_IDENTIFY_CONTROLLER_DATA.OACS" {
        security with_security: "SecurityCommands";
        format with_format: "FormatNVM";
        firmware with_firmware: "FirmwareCommands";
        namespaces with_namespaces: "NamespaceCommands";
        self_test with_self_test: "DeviceSelfTest";
        directives with_directives: "Directives";
        nvme_mi with_nvme_mi: "NVMeMICommands";
        virtualization with_virtualization: "VirtualizationMgmt";
        doorbell_buffer with_doorbell_buffer: "DoorBellBufferConfig";
        lba_status with_lba_status: "GetLBAStatus";
        lockdown with_lockdown: "CommandFeatureLockdown";
    });
    bits!(FirmwareUpdates(u8) = "NVME_IDENTIFY_CONTROLLER_DATA.FRMW" {
        slot_1_read_only with_slot_1_read_only: "Slot1ReadOnly";
        slots with_slots: "SlotCount";
        activate_without_reset with_activate_without_reset: "ActivationWithoutReset";
        overlap_detection with_overlap_detection: (5, 1);
    });
    bits!(LogPageAttributes(u8) = "NVME_IDENTIFY_CONTROLLER_DATA.LPA" {
        smart_per_namespace with_smart_per_namespace: "SmartPagePerNamespace";
        command_effects with_command_effects: "CommandEffectsLog";
        extended_data with_extended_data: "LogPageExtendedData";
        telemetry with_telemetry: "TelemetrySupport";
        persistent_event with_persistent_event: "PersistentEventLog";
        supported_log_pages with_supported_log_pages: "SupportedLogPages";
        telemetry_area_4 with_telemetry_area_4: "TelemetryDataArea4";
    });
}

#[test]
fn controller_power_and_media() {
    bits!(AutonomousPowerStateAttributes(u8) = "NVME_IDENTIFY_CONTROLLER_DATA.APSTA" {
        supported with_supported: "Supported";
    });
    bits!(ReplayProtectedMemoryBlocks(u32) = "NVME_IDENTIFY_CONTROLLER_DATA.RPMBS" {
        units with_units: "RPMBUnitCount";
        authentication with_authentication: "AuthenticationMethod";
        total_z with_total_z: "TotalSize";
        access_z with_access_z: "AccessSize";
    });
    bits!(SanitizeCapabilities(u32) = "NVME_IDENTIFY_CONTROLLER_DATA.SANICAP" {
        crypto_erase with_crypto_erase: "CryptoErase";
        block_erase with_block_erase: "BlockErase";
        overwrite with_overwrite: "Overwrite";
        ndi with_ndi: "NDI";
        nodmmas with_nodmmas: "NODMMAS";
    });
    bits!(AsymmetricAccessCapabilities(u8) = "NVME_IDENTIFY_CONTROLLER_DATA.ANACAP" {
        optimized with_optimized: "OptimizedState";
        non_optimized with_non_optimized: "NonOptimizedState";
        inaccessible with_inaccessible: "InaccessibleState";
        persistent_loss with_persistent_loss: "PersistentLossState";
        change with_change: "ChangeState";
        static_group with_static_group: "StaticANAGRPID";
        group_assignable with_group_assignable: "SupportNonZeroANAGRPID";
    });
    bits!(QueueEntrySize(u8) = "NVME_IDENTIFY_CONTROLLER_DATA.SQES" {
        required with_required: "RequiredEntrySize";
        maximum with_maximum: "MaxEntrySize";
    });
}

#[test]
fn controller_io() {
    bits!(OptionalNvmCommands(u16) = "NVME_IDENTIFY_CONTROLLER_DATA.ONCS" {
        compare with_compare: "Compare";
        write_uncorrectable with_write_uncorrectable: "WriteUncorrectable";
        dataset_management with_dataset_management: "DatasetManagement";
        write_zeroes with_write_zeroes: "WriteZeroes";
        save_and_select with_save_and_select: "FeatureField";
        reservations with_reservations: "Reservations";
        timestamp with_timestamp: "Timestamp";
        verify with_verify: "Verify";
        copy with_copy: (8, 1);
    });
    bits!(FormatAttributes(u8) = "NVME_IDENTIFY_CONTROLLER_DATA.FNA" {
        format_all with_format_all: "FormatApplyToAll";
        erase_all with_erase_all: "SecureEraseApplyToAll";
        crypto_erase with_crypto_erase: "CryptographicEraseSupported";
        broadcast_unsupported with_broadcast_unsupported: "FormatSupportNSIDAllF";
    });
    bits!(VolatileWriteCacheAttributes(u8) = "NVME_IDENTIFY_CONTROLLER_DATA.VWC" {
        present with_present: "Present";
        flush_behavior with_flush_behavior: "FlushBehavior";
    });
    bits!(WriteProtectionCapabilities(u8) = "NVME_IDENTIFY_CONTROLLER_DATA.NWPC" {
        write_protect with_write_protect: "WriteProtect";
        until_power_cycle with_until_power_cycle: "UntilPowerCycle";
        permanent with_permanent: "Permanent";
    });
    bits!(SglSupport(u32) = "NVME_IDENTIFY_CONTROLLER_DATA.SGLS" {
        supported with_supported: "SGLSupported";
        keyed with_keyed: "KeyedSGLData";
        threshold with_threshold: (8, 8);
        bit_bucket with_bit_bucket: "BitBucketDescrSupported";
        byte_aligned_metadata with_byte_aligned_metadata: "ByteAlignedContiguousPhysicalBuffer";
        longer_than_data with_longer_than_data: "SGLLengthLargerThanDataLength";
        mptr_descriptor with_mptr_descriptor: "MPTRSGLDescriptor";
        offset_address with_offset_address: "AddressFieldSGLDataBlock";
        transport with_transport: "TransportSGLData";
    });
}

/// SQES and CQES share a type.
#[test]
fn queue_entry_sizes_have_one_layout() {
    let place = |path| Record::named("NVME_IDENTIFY_CONTROLLER_DATA.CQES").place(path);
    assert_eq!(
        place("RequiredEntrySize"),
        Place {
            offset_bits: 0,
            bits: 4
        }
    );
    assert_eq!(
        place("MaxEntrySize"),
        Place {
            offset_bits: 4,
            bits: 4
        }
    );
}

#[test]
fn power_states() {
    bits!(PowerStateFlags(u8) = "NVME_POWER_STATE_DESC" + 24 {
        mxps with_mxps: "MPS";
        nops with_nops: "NOPS";
    });
    bits!(RelativePerformance(u32) = "NVME_POWER_STATE_DESC" + 96 {
        rrt with_rrt: "RRT";
        rrl with_rrl: "RRL";
        rwt with_rwt: "RWT";
        rwl with_rwl: "RWL";
    });
    bits!(IdlePowerScale(u8) = "NVME_POWER_STATE_DESC" + 144 {
        ips with_ips: "IPS";
    });
    bits!(ActivePower(u8) = "NVME_POWER_STATE_DESC" + 176 {
        apw with_apw: "APW";
        aps with_aps: "APS";
    });
}

#[test]
fn namespace() {
    bits!(NamespaceFeatures(u8) = "NVME_IDENTIFY_NAMESPACE_DATA.NSFEAT" {
        thinp with_thinp: "ThinProvisioning";
        nsabp with_nsabp: "NameSpaceAtomicWriteUnit";
        dae with_dae: "DeallocatedOrUnwrittenError";
        uidreuse with_uidreuse: "SkipReuseUI";
        optperf with_optperf: "NameSpaceIoOptimization";
    });
    bits!(FormattedLbaSize(u8) = "NVME_IDENTIFY_NAMESPACE_DATA.FLBAS" {
        index_low with_index_low: "LbaFormatIndex";
        extended with_extended: "MetadataInExtendedDataLBA";
        index_high with_index_high: "LbaFormatIndexMS";
    });
    bits!(MetadataCapabilities(u8) = "NVME_IDENTIFY_NAMESPACE_DATA.MC" {
        extended with_extended: "MetadataInExtendedDataLBA";
        separate with_separate: "MetadataInSeparateBuffer";
    });
    bits!(DataProtectionCapabilities(u8) = "NVME_IDENTIFY_NAMESPACE_DATA.DPC" {
        type_1 with_type_1: "ProtectionInfoType1";
        type_2 with_type_2: "ProtectionInfoType2";
        type_3 with_type_3: "ProtectionInfoType3";
        first_bytes with_first_bytes: "InfoAtBeginningOfMetadata";
        last_bytes with_last_bytes: "InfoAtEndOfMetadata";
    });
    bits!(DataProtectionSettings(u8) = "NVME_IDENTIFY_NAMESPACE_DATA.DPS" {
        pi_type with_pi_type: "ProtectionInfoTypeEnabled";
        first_bytes with_first_bytes: "InfoAtBeginningOfMetadata";
    });
    bits!(NamespaceSharing(u8) = "NVME_IDENTIFY_NAMESPACE_DATA.NMIC" {
        shared with_shared: "SharedNameSpace";
    });
    bits!(ReservationCapabilities(u8) = "NVM_RESERVATION_CAPABILITIES" {
        persist_through_power_loss with_persist_through_power_loss: "PersistThroughPowerLoss";
        write_exclusive with_write_exclusive: "WriteExclusiveReservation";
        exclusive_access with_exclusive_access: "ExclusiveAccessReservation";
        write_exclusive_registrants_only with_write_exclusive_registrants_only: "WriteExclusiveRegistrantsOnlyReservation";
        exclusive_access_registrants_only with_exclusive_access_registrants_only: "ExclusiveAccessRegistrantsOnlyReservation";
        write_exclusive_all_registrants with_write_exclusive_all_registrants: "WriteExclusiveAllRegistrantsReservation";
        exclusive_access_all_registrants with_exclusive_access_all_registrants: "ExclusiveAccessAllRegistrantsReservation";
        ignore_existing_key_1_3 with_ignore_existing_key_1_3: (7, 1);
    });
    bits!(FormatProgress(u8) = "NVME_IDENTIFY_NAMESPACE_DATA.FPI" {
        remaining_percent with_remaining_percent: "PercentageRemained";
        supported with_supported: "Supported";
    });
    bits!(DeallocateFeatures(u8) = "NVME_IDENTIFY_NAMESPACE_DATA.DLFEAT" {
        read_behavior with_read_behavior: "ReadBehavior";
        write_zeroes_deallocate with_write_zeroes_deallocate: "WriteZeroes";
        guard_crc with_guard_crc: "GuardFieldWithCRC";
    });
    bits!(NamespaceAttributes(u8) = "NVME_IDENTIFY_NAMESPACE_DATA.NSATTR" {
        write_protected with_write_protected: "WriteProtected";
    });
    bits!(LbaFormat(u32) = "NVME_LBA_FORMAT" {
        ms with_ms: "MS";
        lbads with_lbads: "LBADS";
        rp with_rp: "RP";
    });
}

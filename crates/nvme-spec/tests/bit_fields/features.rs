//! Dwords and data of features.

use nvme_spec::feature::*;

use crate::table::*;

#[test]
fn features() {
    bits!(SupportedCapabilities(u32) = "NVME_CDW11_FEATURE_SUPPORTED_CAPABILITY" {
        saveable with_saveable: "SAVE";
        namespace_specific with_namespace_specific: "NSS";
        changeable with_changeable: "MOD";
    });
    bits!(Arbitration(u32) = "NVME_CDW11_FEATURE_ARBITRATION" {
        ab with_ab: "AB";
        lpw_z with_lpw_z: "LPW";
        mpw_z with_mpw_z: "MPW";
        hpw_z with_hpw_z: "HPW";
    });
    bits!(PowerManagement(u32) = "NVME_CDW11_FEATURE_POWER_MANAGEMENT" {
        ps with_ps: "PS";
        wh with_wh: (5, 3);
    });
    bits!(TemperatureThreshold(u32) = "NVME_CDW11_FEATURE_TEMPERATURE_THRESHOLD" {
        tmpth with_tmpth: "TMPTH";
        tmpsel with_tmpsel: "TMPSEL";
        thsel with_thsel: "THSEL";
    });
    bits!(ErrorRecovery(u32) = "NVME_CDW11_FEATURE_ERROR_RECOVERY" {
        tler with_tler: "TLER";
        dulbe with_dulbe: "DULBE";
    });
    bits!(VolatileWriteCache(u32) = "NVME_CDW11_FEATURE_VOLATILE_WRITE_CACHE" {
        wce with_wce: "WCE";
    });
    bits!(NumberOfQueues(u32) = "NVME_CDW11_FEATURE_NUMBER_OF_QUEUES" {
        nsqr_z with_nsqr_z: "NSQ";
        ncqr_z with_ncqr_z: "NCQ";
    });
    bits!(InterruptCoalescing(u32) = "NVME_CDW11_FEATURE_INTERRUPT_COALESCING" {
        thr_z with_thr_z: "THR";
        time with_time: "LARGE_INTEGER";
    });
    bits!(InterruptVectorConfiguration(u32) = "NVME_CDW11_FEATURE_INTERRUPT_VECTOR_CONFIG" {
        iv with_iv: "IV";
        cd with_cd: "CD";
    });
    bits!(WriteAtomicityNormal(u32) = "NVME_CDW11_FEATURE_WRITE_ATOMICITY_NORMAL" {
        dn with_dn: "DN";
    });
    bits!(AsyncEventConfiguration(u32) = "NVME_CDW11_FEATURE_ASYNC_EVENT_CONFIG" {
        critical_warnings with_critical_warnings: "CriticalWarnings";
        namespace_attribute with_namespace_attribute: "NsAttributeNotices";
        firmware_activation with_firmware_activation: "FwActivationNotices";
        telemetry_log with_telemetry_log: "TelemetryLogNotices";
        ana_change with_ana_change: "ANAChangeNotices";
        predictable_latency_log with_predictable_latency_log: "PredictableLogChangeNotices";
        lba_status with_lba_status: "LBAStatusNotices";
        endurance_group_log with_endurance_group_log: "EnduranceEventNotices";
        normal_subsystem_shutdown with_normal_subsystem_shutdown: "NormalNVMSubsystemShutdown";
        zone_descriptor with_zone_descriptor: "ZoneDescriptorNotices";
        discovery_log with_discovery_log: "DiscoveryLogPageChange";
    });
    bits!(AutonomousPowerStateTransition(u32) = "NVME_CDW11_FEATURE_AUTO_POWER_STATE_TRANSITION" {
        apste with_apste: "APSTE";
    });
    bits!(AutonomousTransition(u64) = "NVME_AUTO_POWER_STATE_TRANSITION_ENTRY" {
        itps with_itps: "IdleTransitionPowerState";
        itpt_ms with_itpt_ms: "IdleTimePriorToTransition";
    });
    bits!(HostMemoryBufferCdw11(u32) = "NVME_CDW11_FEATURE_HOST_MEMORY_BUFFER" {
        ehm with_ehm: "EHM";
        mr with_mr: "MR";
    });
    bits!(Timestamp(u64) = "NVME_GET_FEATURE_TIMESTAMP" {
        timestamp_ms with_timestamp_ms: "Timestamp";
        synch with_synch: "Synch";
        origin with_origin: "Origin";
    });
    bits!(HostIdentifier(u32) = "NVME_CDW11_FEATURE_HOST_IDENTIFIER" {
        exhid with_exhid: "EXHID";
    });
}

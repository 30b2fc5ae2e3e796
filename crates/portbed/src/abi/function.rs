//! `STORPORT_FUNCTION_CODE`: the extended functions that this port driver knows, with the highest IRQL at which each may
//! be called. What has no limit in the documentation has none here.

use crate::schedule::irql::{DISPATCH, HIGH, Irql, PASSIVE};

/// One past the highest code of the newest kit.
pub(crate) const END: u32 = 130;

macro_rules! functions {
    ($($name:ident = $code:literal, $text:literal, $highest:expr;)*) => {
        $(pub(crate) const $name: u32 = $code;)*

        /// Name and highest IRQL of a function, if it is known here.
        pub(crate) fn known(code: u32) -> Option<(&'static str, Irql)> {
            match code {
                $($code => Some(($text, $highest)),)*
                _ => None,
            }
        }
    };
}

functions! {
    ALLOCATE_POOL = 0, "StorPortAllocatePool", DISPATCH;
    FREE_POOL = 1, "StorPortFreePool", DISPATCH;
    GET_SYSTEM_ADDRESS = 5, "StorPortGetSystemAddress", HIGH;
    ACQUIRE_MSI_SPIN_LOCK = 11, "StorPortAcquireMSISpinLock", HIGH;
    RELEASE_MSI_SPIN_LOCK = 12, "StorPortReleaseMSISpinLock", HIGH;
    GET_MESSAGE_INTERRUPT_INFORMATION = 13, "StorPortGetMSIInfo", HIGH;
    INITIALIZE_PERFORMANCE_OPTIMIZATIONS = 14, "StorPortInitializePerfOpts", HIGH;
    GET_START_IO_PERFORMANCE_PARAMETERS = 15, "StorPortGetStartIoPerfParams", HIGH;
    LOG_SYSTEM_EVENT = 16, "StorPortLogSystemEvent", HIGH;
    GET_CURRENT_PROCESSOR_NUMBER = 17, "StorPortGetCurrentProcessorNumber", HIGH;
    GET_ACTIVE_GROUP_COUNT = 18, "StorPortGetActiveGroupCount", HIGH;
    GET_GROUP_AFFINITY = 19, "StorPortGetGroupAffinity", HIGH;
    GET_ACTIVE_NODE_COUNT = 20, "StorPortGetActiveNodeCount", HIGH;
    GET_NODE_AFFINITY = 21, "StorPortGetNodeAffinity", HIGH;
    GET_HIGHEST_NODE_NUMBER = 22, "StorPortGetHighestNodeNumber", HIGH;
    ALLOCATE_CONTIGUOUS_MEMORY = 24, "StorPortAllocateContiguousMemorySpecifyCacheNode", DISPATCH;
    FREE_CONTIGUOUS_MEMORY = 25, "StorPortFreeContiguousMemorySpecifyCache", DISPATCH;
    INITIALIZE_WORKER = 29, "StorPortInitializeWorker", DISPATCH;
    QUEUE_WORK_ITEM = 30, "StorPortQueueWorkItem", DISPATCH;
    FREE_WORKER = 31, "StorPortFreeWorker", DISPATCH;
    INITIALIZE_TIMER = 32, "StorPortInitializeTimer", DISPATCH;
    REQUEST_TIMER = 33, "StorPortRequestTimer", HIGH;
    FREE_TIMER = 34, "StorPortFreeTimer", DISPATCH;
    INITIALIZE_SLIST_HEAD = 35, "StorPortInitializeSListHead", HIGH;
    FLUSH_SLIST = 36, "StorPortInterlockedFlushSList", HIGH;
    POP_ENTRY_SLIST = 37, "StorPortInterlockedPopEntrySList", HIGH;
    PUSH_ENTRY_SLIST = 38, "StorPortInterlockedPushEntrySList", HIGH;
    QUERY_DEPTH_SLIST = 39, "StorPortQueryDepthSList", DISPATCH;
    GET_SYSTEM_PORT_NUMBER = 41, "StorPortGetSystemPortNumber", HIGH;
    MARK_DUMP_MEMORY = 45, "StorPortMarkDumpMemory", HIGH;
    SET_UNIT_ATTRIBUTES = 46, "StorPortSetUnitAttributes", HIGH;
    QUERY_PERFORMANCE_COUNTER = 47, "StorPortQueryPerformanceCounter", HIGH;
    GET_PROCESSOR_INDEX_FROM_NUMBER = 56, "StorPortGetProcessorIndexFromNumber", HIGH;
    ETW_EVENT_2 = 58, "the ETW event with 2 parameters", HIGH;
    ETW_EVENT_4 = 59, "the ETW event with 4 parameters", HIGH;
    ETW_EVENT_8 = 60, "the ETW event with 8 parameters", HIGH;
    REGISTRY_READ_ADAPTER_KEY = 62, "StorPortRegistryReadAdapterKey", PASSIVE;
    REGISTRY_WRITE_ADAPTER_KEY = 63, "StorPortRegistryWriteAdapterKey", PASSIVE;
    SET_ADAPTER_BUS_TYPE = 64, "StorPortSetAdapterBusType", HIGH;
    ALLOCATE_HMB = 69, "StorPortAllocateHostMemoryBuffer", DISPATCH;
    FREE_HMB = 70, "StorPortFreeHostMemoryBuffer", DISPATCH;
    INITIALIZE_SPINLOCK = 75, "StorPortInitializeSpinlock", HIGH;
    LOG_TELEMETRY = 79, "StorPortLogTelemetry", HIGH;
    UPDATE_ADAPTER_MAX_IO = 80, "StorPortUpdateAdapterMaxIO", HIGH;
    DELAY_EXECUTION = 81, "StorPortDelayExecution", PASSIVE;
    ALLOCATE_DMA_MEMORY = 82, "StorPortAllocateDmaMemory", DISPATCH;
    FREE_DMA_MEMORY = 83, "StorPortFreeDmaMemory", DISPATCH;
    UPDATE_ADAPTER_MAX_IO_INFO = 84, "StorPortUpdatePortConfigMaxIOInfo", HIGH;
    CHANNEL_ETW_EVENT_2 = 85, "StorPortEtwEvent2", HIGH;
    CHANNEL_ETW_EVENT_4 = 86, "StorPortEtwEvent4", HIGH;
    CHANNEL_ETW_EVENT_8 = 87, "StorPortEtwEvent8", HIGH;
    INITIALIZE_HIGH_RESOLUTION_TIMER = 88, "StorPortInitializeHighResolutionTimer", DISPATCH;
    REQUEST_HIGH_RESOLUTION_TIMER = 89, "StorPortRequestHighResolutionTimer", HIGH;
    CANCEL_HIGH_RESOLUTION_TIMER = 90, "StorPortCancelHighResolutionTimer", HIGH;
    FREE_HIGH_RESOLUTION_TIMER = 91, "StorPortFreeHighResolutionTimer", DISPATCH;
    GET_CURRENT_PROCESSOR_INDEX = 92, "StorPortGetCurrentProcessorIndex", HIGH;
    ACQUIRE_SPIN_LOCK = 93, "StorPortAcquireSpinLockEx", HIGH;
    GET_PROCESSOR_COUNT = 94, "StorPortGetProcessorCount", HIGH;
    CANCEL_DPC = 95, "StorPortCancelDpc", HIGH;
    LOG_TELEMETRY_EX = 96, "StorPortLogTelemetryEx", HIGH;
    LOG_HARDWARE_ERROR = 98, "StorPortEtwLogError", HIGH;
    SET_FEATURE_LIST = 103, "StorPortSetFeatureList", HIGH;
    GET_CURRENT_IRQL = 109, "StorPortGetCurrentIrql", HIGH;
    GET_MESSAGE_FROM_PROCESSOR = 116, "StorPortGetMessageInterruptIDFromProcessorIndex", HIGH;
    GET_NODE_AFFINITY_2 = 117, "StorPortGetNodeAffinity2", HIGH;
}

/// Functions that are documented and not carried out here, by their codes.
const OTHERS: &[(u32, &str)] = &[
    (2, "StorPortAllocateMdl"),
    (3, "StorPortFreeMdl"),
    (4, "StorPortBuildMdlForNonPagedPool"),
    (6, "StorPortGetOriginalMdl"),
    (7, "StorPortCompleteServiceIrp"),
    (8, "StorPortGetDeviceObjects"),
    (9, "StorPortBuildScatterGatherList"),
    (10, "StorPortPutScatterGatherList"),
    (23, "StorPortGetLogicalProcessorRelationship"),
    (26, "StorPortSetPowerSettingNotificationGuids"),
    (27, "StorPortInvokeAcpiMethod"),
    (28, "StorPortGetRequestInfo"),
    (40, "StorPortGetActivityIdSrb"),
    (42, "StorPortGetDataInBufferMdl"),
    (43, "StorPortGetDataInBufferSystemAddress"),
    (44, "StorPortGetDataInBufferScatterGatherList"),
    (48, "StorPortInitializePoFxPower"),
    (49, "StorPortPoFxActivateComponent"),
    (50, "StorPortPoFxIdleComponent"),
    (51, "StorPortPoFxSetComponentLatency"),
    (52, "StorPortPoFxSetComponentResidency"),
    (53, "StorPortPoFxPowerControl"),
    (54, "ExtFunctionFlushDataBufferMdl"),
    (55, "StorPortIsDeviceOperationAllowed"),
    (57, "StorPortPoFxSetIdleTimeout"),
    (61, "StorPortIsCurrentOsInstallationUpgrade"),
    (65, "StorPortPoFxRegisterPerfStates"),
    (66, "StorPortPoFxSetPerfState"),
    (67, "StorPortGetD3ColdSupport"),
    (68, "StorPortInitializeRpmb"),
    (71, "StorPortPropagateIrpExtension"),
    (72, "StorPortInterlockedInsertHeadList"),
    (73, "StorPortInterlockedInsertTailList"),
    (74, "StorPortInterlockedRemoveHeadList"),
    (76, "StorPortGetPfns"),
    (77, "StorPortInitializeCryptoEngine"),
    (78, "StorPortGetRequestCryptoInfo"),
    (97, "StorPortQueryConfiguration"),
    (99, "StorPortInitializeEvent"),
    (100, "StorPortWaitForSingleObject"),
    (101, "StorPortSetEvent"),
    (102, "StorPortHardwareReset"),
    (104, "StorPortCaptureLiveDump"),
    (105, "StorPortEtwLogByteStream"),
    (106, "StorPortQueryDpcWatchdogInformation"),
    (107, "StorPortQueryTimerMinInterval"),
    (108, "StorPortMaskMsixInterrupt"),
    (110, "StorPortCreateSystemThread"),
    (111, "StorPortSetPriorityThread"),
    (112, "StorPortSetSystemGroupAffinityThread"),
    (113, "StorPortRevertToUserGroupAffinityThread"),
    (114, "StorPortHardwareResetEx"),
    (115, "StorPortMiniportReportInternalData"),
    (118, "StorPortEnableRegistryKeyNotification"),
    (119, "StorPortPoFxRegisterPerfStatesEx"),
    (120, "StorPortReadRegistryKey"),
    (121, "StorPortGetDeviceBase2"),
    (122, "StorPortIsDriverHotSwapEnabled"),
    (123, "StorPortRegisterDriverProxy"),
    (124, "StorPortRegisterDriverProxyEndpoints"),
    (125, "StorPortGetDriverProxyEndpointWrapper"),
    (126, "StorPortNvmeIceIoStart"),
    (127, "StorPortNvmeIceIoComplete"),
    (128, "StorPortNvmeMiniportEvent"),
    (129, "StorPortNvmeLogTelemetry"),
];

/// The name of a documented function.
pub(crate) fn name(code: u32) -> Option<&'static str> {
    let others = || OTHERS.iter().find(|(other, _)| *other == code);
    known(code)
        .map(|(name, _)| name)
        .or_else(|| others().map(|&(_, name)| name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_documented_code_has_a_name() {
        assert!((0..END).all(|code| name(code).is_some()));
        assert_eq!(name(END), None);
    }
}

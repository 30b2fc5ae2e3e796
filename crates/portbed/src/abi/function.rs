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
    ALLOCATE_MDL = 2, "StorPortAllocateMdl", DISPATCH;
    FREE_MDL = 3, "StorPortFreeMdl", DISPATCH;
    BUILD_MDL = 4, "StorPortBuildMdlForNonPagedPool", DISPATCH;
    GET_SYSTEM_ADDRESS = 5, "StorPortGetSystemAddress", HIGH;
    GET_ORIGINAL_MDL = 6, "StorPortGetOriginalMdl", HIGH;
    BUILD_LIST = 9, "StorPortBuildScatterGatherList", DISPATCH;
    PUT_LIST = 10, "StorPortPutScatterGatherList", DISPATCH;
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
    GET_DATA_IN_MDL = 42, "StorPortGetDataInBufferMdl", HIGH;
    GET_DATA_IN_ADDRESS = 43, "StorPortGetDataInBufferSystemAddress", HIGH;
    GET_DATA_IN_LIST = 44, "StorPortGetDataInBufferScatterGatherList", HIGH;
    MARK_DUMP_MEMORY = 45, "StorPortMarkDumpMemory", HIGH;
    SET_UNIT_ATTRIBUTES = 46, "StorPortSetUnitAttributes", HIGH;
    QUERY_PERFORMANCE_COUNTER = 47, "StorPortQueryPerformanceCounter", HIGH;
    INITIALIZE_POFX = 48, "StorPortInitializePoFxPower", PASSIVE;
    POFX_ACTIVATE = 49, "StorPortPoFxActivateComponent", DISPATCH;
    POFX_IDLE = 50, "StorPortPoFxIdleComponent", DISPATCH;
    POFX_LATENCY = 51, "StorPortPoFxSetComponentLatency", DISPATCH;
    POFX_RESIDENCY = 52, "StorPortPoFxSetComponentResidency", DISPATCH;
    GET_PROCESSOR_INDEX_FROM_NUMBER = 56, "StorPortGetProcessorIndexFromNumber", HIGH;
    POFX_TIMEOUT = 57, "StorPortPoFxSetIdleTimeout", DISPATCH;
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

// Why a documented function is not carried out.
const IRP: &str = "a physical miniport sees no IRP";
const KERNEL: &str =
    "what it gives is of use with functions of the kernel that a physical miniport must not call";
const MACHINE: &str = "about a part of the machine that is not played";
const REQUEST: &str = "about what sent a request, which is not played";
const POWER: &str = "nothing is idled, and there is no power engine plug-in";
const FLUSH: &str = "for ARM alone: the storport.h of x64 does not call it";
const HARDWARE: &str = "about hardware that the controllers here do not have";
const UNCALLED: &str = "no miniport that is known to run here calls it";
const RESET: &str = "recovery by the reset of the platform is not played";
const LOG: &str = "what it logs is not kept";
const REGISTRY: &str = "there are the keys of the adapter alone";
const OTHER: &str = "no page documents it well enough to be judged";

/// Functions that are documented and not carried out here, by their codes, with the reason.
pub(crate) const OTHERS: &[(u32, &str, &str)] = &[
    (7, "StorPortCompleteServiceIrp", IRP),
    (8, "StorPortGetDeviceObjects", KERNEL),
    (23, "StorPortGetLogicalProcessorRelationship", MACHINE),
    (26, "StorPortSetPowerSettingNotificationGuids", MACHINE),
    (27, "StorPortInvokeAcpiMethod", MACHINE),
    (28, "StorPortGetRequestInfo", REQUEST),
    (40, "StorPortGetActivityIdSrb", REQUEST),
    (53, "StorPortPoFxPowerControl", POWER),
    (54, "ExtFunctionFlushDataBufferMdl", FLUSH),
    (55, "StorPortIsDeviceOperationAllowed", MACHINE),
    (61, "StorPortIsCurrentOsInstallationUpgrade", MACHINE),
    (65, "StorPortPoFxRegisterPerfStates", POWER),
    (66, "StorPortPoFxSetPerfState", POWER),
    (67, "StorPortGetD3ColdSupport", POWER),
    (68, "StorPortInitializeRpmb", HARDWARE),
    (71, "StorPortPropagateIrpExtension", IRP),
    (72, "StorPortInterlockedInsertHeadList", UNCALLED),
    (73, "StorPortInterlockedInsertTailList", UNCALLED),
    (74, "StorPortInterlockedRemoveHeadList", UNCALLED),
    (76, "StorPortGetPfns", UNCALLED),
    (77, "StorPortInitializeCryptoEngine", HARDWARE),
    (78, "StorPortGetRequestCryptoInfo", HARDWARE),
    (97, "StorPortQueryConfiguration", OTHER),
    (99, "StorPortInitializeEvent", KERNEL),
    (100, "StorPortWaitForSingleObject", KERNEL),
    (101, "StorPortSetEvent", KERNEL),
    (102, "StorPortHardwareReset", RESET),
    (104, "StorPortCaptureLiveDump", LOG),
    (105, "StorPortEtwLogByteStream", LOG),
    (106, "StorPortQueryDpcWatchdogInformation", MACHINE),
    (107, "StorPortQueryTimerMinInterval", MACHINE),
    (108, "StorPortMaskMsixInterrupt", HARDWARE),
    (110, "StorPortCreateSystemThread", KERNEL),
    (111, "StorPortSetPriorityThread", KERNEL),
    (112, "StorPortSetSystemGroupAffinityThread", KERNEL),
    (113, "StorPortRevertToUserGroupAffinityThread", KERNEL),
    (114, "StorPortHardwareResetEx", RESET),
    (115, "StorPortMiniportReportInternalData", LOG),
    (118, "StorPortEnableRegistryKeyNotification", REGISTRY),
    (119, "StorPortPoFxRegisterPerfStatesEx", POWER),
    (120, "StorPortReadRegistryKey", REGISTRY),
    (121, "StorPortGetDeviceBase2", OTHER),
    (122, "StorPortIsDriverHotSwapEnabled", MACHINE),
    (123, "StorPortRegisterDriverProxy", OTHER),
    (124, "StorPortRegisterDriverProxyEndpoints", OTHER),
    (125, "StorPortGetDriverProxyEndpointWrapper", OTHER),
    (126, "StorPortNvmeIceIoStart", OTHER),
    (127, "StorPortNvmeIceIoComplete", OTHER),
    (128, "StorPortNvmeMiniportEvent", LOG),
    (129, "StorPortNvmeLogTelemetry", LOG),
];

/// The name of a documented function.
pub(crate) fn name(code: u32) -> Option<&'static str> {
    let others = || OTHERS.iter().find(|(other, ..)| *other == code);
    known(code)
        .map(|(name, _)| name)
        .or_else(|| others().map(|&(_, name, _)| name))
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

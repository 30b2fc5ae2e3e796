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
    SET_FEATURE_LIST = 103, "StorPortSetFeatureList", HIGH;
    GET_CURRENT_IRQL = 109, "StorPortGetCurrentIrql", HIGH;
    GET_MESSAGE_FROM_PROCESSOR = 116, "StorPortGetMessageInterruptIDFromProcessorIndex", HIGH;
}

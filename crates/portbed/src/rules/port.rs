//! The rules that the port driver judges. Sources are pages of the Windows driver documentation, by name.

use super::Rule;

macro_rules! rules {
    ($($name:ident: $id:literal, $meaning:literal, $source:literal;)*) => {
        $(pub(crate) static $name: Rule = Rule { id: $id, meaning: $meaning, source: $source };)*

        /// Every rule above, in order.
        pub(super) static ALL: &[&Rule] = &[$(&$name,)*];
    };
}

rules! {
    // Registration.
    ENTRY_STATUS: "entry-status",
        "DriverEntry returns what StorPortInitialize returned",
        "StorPortInitialize";
    INITIALIZE_SITE: "initialize-site",
        "StorPortInitialize is called in DriverEntry, with the two arguments that DriverEntry got",
        "StorPortInitialize";
    INITIALIZATION_SIZE: "initialization-size",
        "HwInitializationDataSize is the size of HW_INITIALIZATION_DATA",
        "HW_INITIALIZATION_DATA";
    INITIALIZATION_BUS: "initialization-bus",
        "AdapterInterfaceType is PCIBus for a PCI Express controller",
        "HW_INITIALIZATION_DATA";
    INITIALIZATION_ROUTINES: "initialization-routines",
        "HwFindAdapter, HwInitialize, HwStartIo, HwResetBus and HwAdapterControl are given",
        "HW_INITIALIZATION_DATA";
    INITIALIZATION_FLAGS: "initialization-flags",
        "NeedPhysicalAddresses, TaggedQueuing, AutoRequestSense and MultipleRequestPerLu are TRUE",
        "HW_INITIALIZATION_DATA";
    INITIALIZATION_MAP: "initialization-map-buffers",
        "MapBuffers is one of the STOR_MAP values",
        "HW_INITIALIZATION_DATA";
    INITIALIZATION_PHYSICAL: "initialization-physical",
        "a physical miniport asks for nothing that only a virtual one has",
        "HW_INITIALIZATION_DATA; SDV rule StorPortVirtualDevice";
    INITIALIZATION_RANGES: "initialization-ranges",
        "NumberOfAccessRanges is not 0 for an adapter with registers",
        "HW_INITIALIZATION_DATA";
    // Finding the adapter.
    FIND_RESULT: "find-adapter-result",
        "HwFindAdapter returns FOUND, NOT_FOUND, ERROR or BAD_CONFIG",
        "HwStorFindAdapter; SDV rule SpReturnValue";
    FIND_MANDATORY: "find-adapter-mandatory",
        "HwFindAdapter sets MaximumTransferLength and NumberOfPhysicalBreaks",
        "HwStorFindAdapter; SDV rule StorPortFindAdapter";
    FIND_BREAKS: "find-adapter-breaks",
        "NumberOfPhysicalBreaks, one less than the elements of a scatter/gather list, is at least 16",
        "Requirements for Using Storport with an Adapter; PORT_CONFIGURATION_INFORMATION";
    FIND_DUPLEX: "find-adapter-duplex",
        "SynchronizationModel is full duplex",
        "PORT_CONFIGURATION_INFORMATION; SDV rule SpDuplex";
    FIND_MASTER: "find-adapter-master",
        "ScatterGather and Master are TRUE: the adapter does bus-master DMA",
        "Requirements for Using Storport with an Adapter";
    FIND_PHYSICAL: "find-adapter-physical",
        "VirtualDevice is FALSE for a physical adapter",
        "PORT_CONFIGURATION_INFORMATION; SDV rule StorPortVirtualDevice";
    FIND_DMA_WIDTH: "find-adapter-dma-width",
        "Dma64BitAddresses keeps the system's bit and adds one defined miniport value",
        "PORT_CONFIGURATION_INFORMATION";
    FIND_ALIGNMENT: "find-adapter-alignment",
        "AlignmentMask is one less than a power of two",
        "PORT_CONFIGURATION_INFORMATION";
    FIND_UNITS: "find-adapter-units",
        "NumberOfBuses, MaximumNumberOfTargets and MaximumNumberOfLogicalUnits are not 0, and the latter at most 255",
        "PORT_CONFIGURATION_INFORMATION";
    FIND_DEPTH: "find-adapter-depth",
        "InitialLunQueueDepth is at least 1 and not above MaxIOsPerLun, nor that above MaxNumberOfIO",
        "PORT_CONFIGURATION_INFORMATION";
    FIND_MESSAGES: "find-adapter-messages",
        "HwMSInterruptRoutine is given if and only if InterruptSynchronizationMode uses messages",
        "PORT_CONFIGURATION_INFORMATION";
    DEVICE_BASE_RANGE: "device-base-range",
        "StorPortGetDeviceBase maps a part of an access range that was assigned to the adapter",
        "StorPortGetDeviceBase; bug check 0xF1 2003";
    DEVICE_BASE_SITE: "device-base-site",
        "StorPortGetDeviceBase and StorPortFreeDeviceBase are called in HwFindAdapter",
        "StorPortGetDeviceBase; StorPortFreeDeviceBase";
    UNCACHED_SITE: "uncached-extension-site",
        "StorPortGetUncachedExtension is called in HwFindAdapter, once",
        "StorPortGetUncachedExtension; bug check 0xF1 2002";
    UNCACHED_CONFIGURATION: "uncached-extension-configuration",
        "StorPortGetUncachedExtension gets the configuration of the current HwFindAdapter call, and is called with a size",
        "StorPortGetUncachedExtension";
    UNCACHED_FILLED: "uncached-extension-filled",
        "transfer length, physical breaks, ScatterGather, Master, DMA width and SRB extension are filled in before StorPortGetUncachedExtension, and at most lowered afterwards",
        "StorPortGetUncachedExtension";
    BUS_DATA_SITE: "bus-data-site",
        "bus data are read and written in HwFindAdapter or ScsiSetRunningConfig",
        "StorPortGetBusData; StorPortSetBusDataByOffset";
    FEATURE_LIST_SITE: "feature-list-site",
        "StorPortSetFeatureList is called in HwFindAdapter",
        "StorPortSetFeatureList";
    // Initialising it.
    INITIALIZE_RESULT: "initialize-result",
        "HwInitialize and the passive initialisation routine return TRUE, or an error was logged that says why not",
        "HwStorInitialize; HwStorPassiveInitializeRoutine";
    PASSIVE_SITE: "passive-initialization-site",
        "StorPortEnablePassiveInitialization is called in HwInitialize, with a routine",
        "StorPortEnablePassiveInitialization; SDV rules StorPortEnablePassive, StorPortPassiveFromHwInit";
    PERF_SITE: "performance-options-site",
        "StorPortInitializePerfOpts is called in HwInitialize or the passive initialisation routine",
        "StorPortInitializePerfOpts";
    PERF_DATA: "performance-options-data",
        "PERF_CONFIGURATION_DATA has a version of the kit and its size, and sets nothing that was not offered or is not valid in its version",
        "StorPortInitializePerfOpts; PERF_CONFIGURATION_DATA; SDV rule StorPortPerfOpts";
    PERF_FLAGS: "performance-options-flags",
        "a performance option that builds on others is set together with them",
        "PERF_CONFIGURATION_DATA";
    PERF_MESSAGES: "performance-options-messages",
        "the redirection messages are messages of the adapter, the first one not above the last one",
        "PERF_CONFIGURATION_DATA";
    PERF_PARAMETERS: "start-io-parameters-size",
        "STARTIO_PERFORMANCE_PARAMETERS has its size when StorPortGetStartIoPerfParams is called",
        "StorPortGetStartIoPerfParams";
    MAX_IO_SITE: "maximum-io-site",
        "the adapter's request limits are updated in the initialise routines",
        "StorPortUpdateAdapterMaxIO";
    // Callbacks.
    CALLBACK_IRQL: "callback-irql",
        "a callback returns at the IRQL at which it was called",
        "SDV rule SpChangeIrql";
    CALLBACK_LOCKS: "callback-locks",
        "a callback has released every lock that it acquired when it returns",
        "SDV rules SpinLock, QueuedSpinLock";
    CALLBACK_PROGRESS: "no-progress",
        "a callback comes to an end",
        "Guidelines for Writing DPC Routines; HwStorInterrupt";
    START_IO_RESULT: "start-io-result",
        "HwStartIo returns TRUE",
        "HwStorStartIo";
    INTERRUPT_CLAIMED: "interrupt-claimed",
        "an interrupt of the adapter, whose reason it shows, is claimed by HwInterrupt or HwMSInterruptRoutine",
        "HwStorInterrupt; HwMSInterruptRoutine";
    INTERRUPT_SHARED: "interrupt-shared",
        "HwInterrupt does not go on claiming interrupts of another device on the adapter's line",
        "HwStorInterrupt, return value";
    INTERRUPT_QUIET: "interrupt-quiet",
        "the interrupt routine makes the device withdraw its line interrupt",
        "HwStorInterrupt";
    RESET_BUS: "reset-bus",
        "HwResetBus returns TRUE",
        "HwStorResetBus";
    CONTROL_LIST: "adapter-control-list",
        "the answer about control types stays within MaxControlType",
        "HwStorAdapterControl";
    CONTROL_REQUIRED: "adapter-control-required",
        "ScsiStopAdapter and ScsiRestartAdapter are supported",
        "HwStorAdapterControl";
    CONTROL_SUCCESS: "adapter-control-success",
        "HwAdapterControl returns ScsiAdapterControlSuccess for a type that it supports",
        "HwStorAdapterControl";
    UNIT_CONTROL_SUCCESS: "unit-control-success",
        "HwUnitControl returns ScsiUnitControlSuccess for a type that it supports",
        "HwStorUnitControl";
    // Calls.
    CALL_EXTENSION: "call-extension",
        "a port driver call names the device extension of the adapter",
        "StorPortExtendedFunction; StorPortNotification";
    CALL_IRQL: "call-irql",
        "a port driver call is made at an IRQL that its page allows",
        "the pages of the calls; SDV rule StorPortIrql";
    CALL_DOCUMENTED: "call-documented",
        "only documented functions, notifications and extended function codes are used",
        "StorPortNotification; SDV rules StorPortNotification2, StorPortDDIsPortOnly";
    CALL_DEPRECATED: "call-deprecated",
        "StorPortValidateRange and StorPortLogError are not used",
        "SDV rule StorPortDeprecated";
    CALL_PROHIBITED: "call-prohibited",
        "no kernel function is called that a physical miniport must not call",
        "SDV rule HwStorPortProhibitedDDIs";
    CALL_POINTER: "call-pointer",
        "a pointer that a call needs is given, and what it points to can be read, or filled",
        "the pages of the calls";
    STALL_LENGTH: "stall-length",
        "one StorPortStallExecution call is shorter than a millisecond",
        "StorPortStallExecution";
    STALL_BUDGET: "stall-budget",
        "the stalls of one callback at DIRQL or under the interrupt lock stay below 100 milliseconds together",
        "StorPortStallExecution; bug check 0xF1 2001";
    STALL_SITE: "stall-site",
        "HwStartIo does not stall",
        "SDV rule SpNoWait";
    DELAY_IRQL: "delay-irql",
        "StorPortDelayExecution is called at PASSIVE_LEVEL",
        "StorPortDelayExecution";
    // Locks.
    LOCK_ORDER: "lock-order",
        "locks are acquired in their order: DPC or StartIo, then Interrupt",
        "StorPortAcquireSpinLock; SDV rule StorPortSpinLock3";
    LOCK_RECURSION: "lock-recursion",
        "a lock is not acquired by a processor that holds it",
        "StorPortAcquireSpinLock; SDV rule StorPortSpinLock";
    LOCK_SITE: "lock-site",
        "a callback acquires only locks that its page allows",
        "StorPortAcquireSpinLock";
    LOCK_KIND: "lock-kind",
        "only defined spin locks are acquired, with the context that they need",
        "StorPortAcquireSpinLock";
    LOCK_RELEASE: "lock-release",
        "a lock is released by its holder, with the handle it was acquired with, the last one first",
        "StorPortReleaseSpinLock; SDV rule StorPortSpinLock4";
    LOCK_MESSAGE: "lock-message",
        "message locks are used if and only if each message has a lock of its own",
        "StorPortAcquireMSISpinLock; SDV rule StorPortMSILock";
    // DPCs, timers, work items.
    DPC_INITIALIZED: "dpc-initialized",
        "a DPC is initialised, with a routine, before it is issued",
        "StorPortInitializeDpc; StorPortIssueDpc";
    DPC_PLACE: "dpc-place",
        "a DPC object lies in memory that the adapter keeps",
        "StorPortInitializeDpc";
    TIMER_ROUTINE: "timer-routine",
        "a timer call names a routine unless it cancels",
        "StorPortNotification; SDV rule StorPortTimer";
    TIMER_HANDLE: "timer-handle",
        "a timer handle comes from the port driver and was not freed",
        "StorPortRequestTimer; StorPortFreeTimer";
    WORKER_HANDLE: "worker-handle",
        "a worker comes from the port driver and was not freed",
        "StorPortQueueWorkItem; StorPortFreeWorker";
    WORKER_IDLE: "worker-idle",
        "a worker is queued or freed only when no work item of it is queued or running",
        "StorPortQueueWorkItem; StorPortFreeWorker";
    // Memory.
    POOL_SIZE: "pool-size",
        "pool is allocated with a size and a place for the pointer",
        "StorPortAllocatePool";
    POOL_OVERWRITE: "pool-overwrite",
        "the pointer that an allocation overwrites is not the only one to live pool",
        "SDV rule StorPortAllocatePool2";
    POOL_FREE: "pool-free",
        "pool that is freed was allocated and not yet freed",
        "StorPortFreePool; SDV rule StorPortAllocatePool";
    POOL_SITE: "pool-site",
        "HwStartIo does not allocate",
        "SDV rule SpNoWait";
    MEMORY_OVERRUN: "memory-overrun",
        "nothing is written before or behind memory that the port driver gave",
        "Driver Verifier, special pool";
    MEMORY_ACCESS: "memory-access",
        "the driver touches only memory that it may touch",
        "bug check 0xD1";
    DMA_ARGUMENTS: "dma-memory-arguments",
        "DMA memory is asked for with a size, an address window and a boundary that can be met, a cache type, and a node that there is",
        "StorPortAllocateContiguousMemorySpecifyCacheNode; StorPortAllocateDmaMemory";
    DMA_FREE: "dma-memory-free",
        "DMA memory is freed once, with the address, size and cache type that it was allocated with",
        "StorPortFreeContiguousMemorySpecifyCache; StorPortFreeDmaMemory";
    DMA_TARGET: "dma-target",
        "the adapter reads and writes only memory that was given to it for that",
        "IOMMU Based Storage Isolation; Handling DMA";
    QUEUE_MEMORY: "queue-memory",
        "the queues in DMA memory are deleted, or the controller is disabled or shut down, before the memory is freed",
        "NVMe Base, Delete I/O Completion Queue; Handling DMA";
    PHYSICAL_ADDRESS: "physical-address",
        "physical addresses are asked for memory that the adapter may use: its own, or that of an outstanding request",
        "StorPortGetPhysicalAddress; bug check 0xF1 1006";
    SCATTER_GATHER: "scatter-gather-list",
        "a scatter/gather list is asked for an outstanding request with data, in HwBuildIo or HwStartIo or later",
        "StorPortGetScatterGatherList";
    MDL_BUFFER: "mdl-buffer",
        "an MDL is allocated for a number of bytes that the port driver gave the miniport",
        "StorPortAllocateMdl";
    MDL_HANDLE: "mdl-handle",
        "an MDL comes from the port driver and was not freed",
        "StorPortFreeMdl; StorPortBuildMdlForNonPagedPool; StorPortBuildScatterGatherList";
    MDL_BUILT: "mdl-built",
        "an MDL of the miniport's describes its memory before a scatter/gather list is built from it",
        "StorPortBuildMdlForNonPagedPool";
    LIST_IRQL: "scatter-gather-irql",
        "a scatter/gather list is built and released at DISPATCH_LEVEL",
        "StorPortBuildScatterGatherList; StorPortPutScatterGatherList";
    LIST_RANGE: "scatter-gather-range",
        "a scatter/gather list is built for memory that its MDL describes",
        "StorPortBuildScatterGatherList";
    LIST_BUFFER: "scatter-gather-buffer",
        "a scatter/gather list is released before its buffer, or the memory that it names, is freed, and before its buffer is used again",
        "StorPortBuildScatterGatherList; StorPortPutScatterGatherList";
    LIST_RELEASE: "scatter-gather-release",
        "a scatter/gather list is released once, after its ExecutionRoutine was called, with the direction that it was built with",
        "StorPortPutScatterGatherList";
    // Host memory buffer.
    HMB_SIZES: "hmb-sizes",
        "minimum and preferred size are multiples of a page, and the minimum is not above the preferred size",
        "StorPortAllocateHostMemoryBuffer";
    HMB_BOUNDARY: "hmb-boundary",
        "BoundaryAddressMultiple is 0",
        "StorPortAllocateHostMemoryBuffer";
    HMB_WINDOW: "hmb-window",
        "the address window is not empty, and the alignment is a power of two",
        "StorPortAllocateHostMemoryBuffer";
    HMB_ARRAY: "hmb-array",
        "the array of ranges has at least one entry",
        "StorPortAllocateHostMemoryBuffer";
    HMB_ONCE: "hmb-once",
        "no buffer is asked for while one is granted",
        "StorPortAllocateHostMemoryBuffer";
    HMB_FREE_RANGES: "hmb-free-ranges",
        "a buffer is freed with the ranges exactly as they were granted, once",
        "StorPortFreeHostMemoryBuffer";
    HMB_FREE_LENT: "hmb-free-lent",
        "no memory is freed that the controller may still use",
        "StorPortFreeHostMemoryBuffer; NVMe Base, Host Memory Buffer";
    HMB_LENT_GRANTED: "hmb-lent-granted",
        "the controller is lent only memory that was granted",
        "StorPortAllocateHostMemoryBuffer; NVMe Base, Host Memory Buffer";
    // Power management framework.
    POFX_DEVICE: "pofx-device",
        "STOR_POFX_DEVICE, its component and each F-state have a known version and its size; there is one component, of 1 to 8 F-states, or 2 for a unit",
        "StorPortInitializePoFxPower; STOR_POFX_DEVICE; STOR_POFX_COMPONENT";
    POFX_COMPONENT: "pofx-component",
        "a call of the power management framework names component 0, and no flags",
        "StorPortPoFxActivateComponent; StorPortPoFxIdleComponent";
    POFX_BALANCE: "pofx-balance",
        "each StorPortPoFxIdleComponent matches an earlier StorPortPoFxActivateComponent",
        "StorPortPoFxIdleComponent";
    // Requests.
    SRB_KNOWN: "srb-known",
        "a request that is named is one that the port driver sent",
        "StorPortNotification";
    SRB_ONCE: "srb-once",
        "a request is completed once",
        "StorPortNotification; bug check 0xF1 2004";
    SRB_STATUS: "srb-status",
        "a request is completed with a final, defined SRB status",
        "SRB_STATUS values; SDV rule StorPortStatusPending";
    SRB_LENGTH: "srb-length",
        "DataTransferLength is what was transferred: never more than was asked for, and all of it where blocks were read or written",
        "SCSI_REQUEST_BLOCK";
    SRB_BUSY: "srb-busy",
        "a request that is completed as busy keeps its DataTransferLength: the same block is sent again",
        "SRB_STATUS_BUSY, SCSI_REQUEST_BLOCK";
    SRB_SENSE: "srb-sense",
        "AUTOSENSE_VALID comes with CHECK CONDITION, a sense buffer and sense data in a known format",
        "SCSI_REQUEST_BLOCK";
    SRB_SCSI_STATUS: "srb-scsi-status",
        "a request with success has SCSI status GOOD, one with another SCSI status an SRB status that is not success",
        "SCSI_REQUEST_BLOCK";
    SRB_KEPT: "srb-kept",
        "a miniport leaves the fields of a request alone that belong to the port driver",
        "SCSI_REQUEST_BLOCK; STORAGE_REQUEST_BLOCK";
    SRB_UNTOUCHED: "srb-untouched",
        "a request, its extension, sense and data are not touched after completion",
        "StorPortNotification, RequestComplete";
    SRB_ANSWERED: "srb-answered",
        "every request comes back, at the latest after the bus was reset",
        "HwStorResetBus; bug check 0xF1 1007";
    SRB_PNP: "srb-pnp",
        "the adapter's plug-and-play request is completed in time, with success",
        "SCSI_PNP_REQUEST_BLOCK";
    QUEUE_DEPTH: "queue-depth",
        "a queue depth is between 1 and the limit that the adapter declared",
        "StorPortSetDeviceQueueDepth";
    UNIT_ADDRESS: "unit-address",
        "a logical unit that a call names is within the adapter's limits",
        "StorPortGetLogicalUnit; StorPortSetDeviceQueueDepth; STOR_ADDRESS";
    // Registry and events.
    REGISTRY_BUFFER: "registry-buffer",
        "registry values are read and written through a buffer of StorPortAllocateRegistryBuffer, within its length",
        "StorPortRegistryRead; StorPortAllocateRegistryBuffer";
    REGISTRY_FREE: "registry-buffer-free",
        "a registry buffer is freed once",
        "StorPortFreeRegistryBuffer";
    EVENT_TEXT: "event-text",
        "an event has a description of less than 64 characters, and parameter names of less than 32",
        "StorPortEtwEvent2, 4 and 8";
    EVENT_LEVEL: "event-level",
        "an event's channel and level are defined",
        "STORPORT_ETW_LEVEL; STORPORT_ETW_EVENT_CHANNEL";
    LOG_DETAILS: "log-event-details",
        "STOR_LOG_EVENT_DETAILS has its revision and size, and dump data where it says so",
        "StorPortLogSystemEvent";
    // After stop and removal.
    LEAK_REQUESTS: "leak-requests",
        "no request is outstanding when the adapter is stopped",
        "HwStorAdapterControl, ScsiStopAdapter";
    LEAK_POOL: "leak-pool",
        "pool was freed when the adapter is removed",
        "StorPortAllocatePool; Driver Verifier, pool tracking";
    LEAK_DMA: "leak-dma-memory",
        "DMA memory was freed when the adapter is removed",
        "StorPortAllocateContiguousMemorySpecifyCacheNode; StorPortAllocateDmaMemory";
    LEAK_HMB: "leak-hmb",
        "host memory was freed when the adapter is removed, or declared as retained, or left to the port driver",
        "StorPortAllocateHostMemoryBuffer";
    LEAK_MDLS: "leak-mdls",
        "MDLs were freed when the adapter is removed",
        "StorPortAllocateMdl";
    LEAK_LISTS: "leak-scatter-gather-lists",
        "scatter/gather lists were released when the adapter is removed",
        "StorPortBuildScatterGatherList";
    LEAK_TIMERS: "leak-timers",
        "timers were freed when the adapter is removed",
        "StorPortInitializeTimer";
    LEAK_TIMER_CALL: "leak-timer-call",
        "no call of the adapter's timer is to come when the adapter is removed, unless it was stopped at DIRQL",
        "StorPortNotification, RequestTimerCall";
    LEAK_WORKERS: "leak-workers",
        "workers were freed when the adapter is removed",
        "StorPortInitializeWorker";
    LEAK_REGISTRY: "leak-registry-buffers",
        "registry buffers were freed when the adapter is removed",
        "StorPortAllocateRegistryBuffer";
    LEAK_LOCKS: "leak-locks",
        "no lock is held when the adapter is removed",
        "StorPortAcquireSpinLock";
    QUIET_AFTER_STOP: "quiet-after-stop",
        "a stopped adapter does no DMA and sends no interrupts",
        "HwStorAdapterControl, ScsiStopAdapter";
}

//! What can be wrong with the miniport, and the rules that it then breaks. The tests read the same table.

macro_rules! faults {
    ($($name:ident => $($rule:literal)+ $(, on $profile:literal)?;)*) => {
        /// A fault. Its number is the registry value that chooses it.
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        #[allow(missing_docs)]
        #[repr(u32)]
        pub enum Fault { None, $($name,)* }

        /// Each fault, the rules that it breaks, the first one first, and the profile that it needs.
        pub const FAULTS: &[(Fault, &[&str], &str)] = &[
            $((Fault::$name, &[$($rule),+], concat!("hmb" $(, ",", $profile)?)),)*
        ];
    };
}

faults! {
    // Registration.
    OtherEntryStatus => "entry-status";
    OtherRegistryPath => "initialize-site";
    ShortInitialization => "initialization-size";
    OtherBus => "initialization-bus";
    NoResetRoutine => "initialization-routines";
    NoTaggedQueuing => "initialization-flags";
    UndefinedMapBuffers => "initialization-map-buffers";
    VirtualFeature => "initialization-physical";
    NoAccessRanges => "initialization-ranges";
    // Finding the adapter.
    UndefinedFindResult => "find-adapter-result";
    NoTransferLength => "uncached-extension-filled" "find-adapter-mandatory";
    FewBreaks => "find-adapter-breaks";
    HalfDuplex => "find-adapter-duplex";
    NoMaster => "uncached-extension-filled" "find-adapter-master";
    VirtualDevice => "find-adapter-physical";
    UndefinedDmaWidth => "find-adapter-dma-width";
    OddAlignment => "find-adapter-alignment";
    NoBuses => "find-adapter-units";
    NoDepth => "find-adapter-depth";
    RoutineWithoutMessages => "find-adapter-messages";
    BaseBehindRange => "device-base-range";
    BaseLate => "device-base-site";
    UncachedLate => "uncached-extension-site";
    UncachedOtherConfiguration => "uncached-extension-configuration";
    UncachedBeforeConfiguration => "uncached-extension-filled";
    UncachedThenRaised => "uncached-extension-filled";
    BusDataLate => "bus-data-site";
    FeatureListLate => "feature-list-site";
    // Initialising it.
    InitializeFails => "initialize-result";
    PassiveFromPassive => "passive-initialization-site";
    PassiveFromRestart => "passive-initialization-site";
    PerformanceLate => "performance-options-site";
    PerformanceVersion => "performance-options-data";
    PerformanceOfLaterVersion => "performance-options-data";
    PerformanceFlagAlone => "performance-options-flags";
    RedirectionOutside => "performance-options-messages";
    ChannelsWithoutLock => "nvme-command-identifier" "srb-answered";
    ParametersWithoutSize => "start-io-parameters-size";
    MaximumIoLate => "maximum-io-site";
    // Callbacks.
    IrqlKept => "lock-release" "callback-irql";
    LockKept => "callback-locks";
    EndlessDpc => "no-progress";
    StartIoFalse => "start-io-result";
    InterruptUnclaimed => "interrupt-claimed";
    InterruptOfNeighbour => "interrupt-shared", on "interrupts=line,neighbour=working";
    InterruptUnquiet => "interrupt-quiet", on "interrupts=line";
    LineUnmaskedEarly => "interrupt-quiet", on "interrupts=line";
    ResetFails => "reset-bus";
    ControlListOverrun => "adapter-control-list";
    NoRestart => "adapter-control-required";
    StopFails => "adapter-control-success";
    UnitRemovalFails => "unit-control-success";
    // Calls.
    OtherExtension => "call-extension";
    RegistryInDpc => "call-irql";
    UndocumentedFunction => "call-documented";
    DeprecatedLog => "call-deprecated";
    KernelFunction => "call-prohibited";
    NoPointer => "call-pointer";
    WildPointerToRead => "call-pointer";
    WildPointerToFill => "call-pointer";
    WildText => "call-pointer" "event-text";
    LongStall => "stall-length";
    LongInterrupt => "stall-budget";
    StallInStartIo => "stall-site";
    DelayInDpc => "call-irql" "delay-irql";
    // Locks.
    LocksOutOfOrder => "lock-order";
    LockTwice => "lock-recursion";
    LockInPassive => "lock-site";
    UndefinedLock => "lock-kind";
    LockNotHeld => "lock-release";
    MessageLock => "lock-message";
    // DPCs, timers, work items.
    DpcUnknown => "dpc-initialized";
    DpcInImage => "dpc-place";
    TimerWithoutRoutine => "timer-routine";
    TimerFreedTwice => "timer-handle";
    WorkerFreedTwice => "worker-handle";
    WorkerQueuedTwice => "worker-idle";
    // Memory.
    PoolOfNothing => "pool-size";
    PoolForgotten => "pool-overwrite" "leak-pool";
    PoolFreedTwice => "pool-free";
    PoolInStartIo => "pool-site";
    PoolBehindItsEnd => "memory-overrun";
    NullRead => "memory-access";
    DmaWindowEmpty => "dma-memory-arguments";
    DmaFreedShorter => "dma-memory-free";
    DataElsewhere => "dma-target";
    IdentifyIntoPool => "physical-address" "dma-target", on "iommu=off";
    DmaNodeUnknown => "dma-memory-arguments";
    QueueMemoryFreed => "queue-memory";
    PhysicalOfStack => "physical-address";
    ListWithoutData => "scatter-gather-list";
    MdlOfStack => "mdl-buffer";
    MdlFreedTwice => "mdl-handle";
    MdlNotBuilt => "mdl-built";
    ListAtPassiveLevel => "scatter-gather-irql";
    ListBehindMemory => "scatter-gather-range";
    ListBufferFreed => "scatter-gather-buffer";
    ListBufferTwice => "scatter-gather-buffer";
    ListMemoryFreed => "scatter-gather-buffer";
    ListReleasedTwice => "scatter-gather-release";
    ListReleasedOtherWay => "scatter-gather-release";
    // Host memory buffer.
    HmbOddSize => "hmb-sizes";
    HmbBoundary => "hmb-boundary";
    HmbNoWindow => "hmb-window";
    HmbNoArray => "hmb-array";
    HmbTwice => "hmb-once" "hmb-free-ranges" "leak-hmb";
    HmbFreedShorter => "hmb-free-ranges" "leak-hmb";
    HmbFreedTwice => "hmb-free-ranges";
    HmbFreedLent => "hmb-free-lent" "dma-target" "nvme-hmb-untouched";
    HmbNotGranted => "dma-target" "nvme-hmb-untouched" "hmb-lent-granted" "nvme-hmb-memory-return";
    // Power management framework.
    DeviceOfNoVersion => "pofx-device";
    StatesOfNoNumber => "pofx-device";
    SecondComponent => "pofx-component";
    IdleTwice => "pofx-balance";
    // Requests.
    UnknownCompleted => "srb-known";
    CompletedTwice => "srb-once";
    CompletedPending => "srb-status";
    TransferTooLong => "srb-length";
    TransferTooShort => "srb-length";
    BusyWithoutLength => "srb-busy" "srb-length";
    SenseWithoutCheck => "srb-sense";
    SuccessWithCheck => "srb-scsi-status";
    RequestChanged => "srb-kept";
    RequestTouched => "srb-untouched";
    RequestLost => "srb-answered";
    PnpFails => "srb-pnp";
    DepthOfZero => "queue-depth";
    UnitOutside => "unit-address";
    // Registry and events.
    RegistryWithoutBuffer => "registry-buffer";
    RegistryFreedTwice => "registry-buffer-free";
    EventWithoutText => "event-text";
    EventLevel => "event-level";
    LogWithoutSize => "log-event-details";
    // After stop and removal.
    PoolKept => "leak-pool";
    DmaKept => "leak-dma-memory";
    MdlKept => "leak-mdls";
    ListKept => "leak-pool" "leak-scatter-gather-lists";
    HmbKept => "leak-hmb";
    TimerKept => "leak-timers";
    TimerCallKept => "leak-timer-call";
    WorkerKept => "leak-workers";
    RegistryKept => "leak-registry-buffers";
    BusyAfterStop => "quiet-after-stop" "queue-memory";
    // Registers.
    NarrowRead => "nvme-register-width";
    VersionWritten => "nvme-register-writable";
    ReservedWritten => "nvme-reserved-bits";
    MaskedWithMessages => "nvme-mask-with-msix";
    EnabledWhileReady => "nvme-enable-transition";
    QueuesMovedWhileEnabled => "nvme-configuration-kept";
    PageUnsupported => "nvme-configuration-supported";
    AdminQueuesEmpty => "nvme-admin-queues";
    DoorbellBeforeReady => "nvme-ready-for-commands";
    DoorbellOfNoQueue => "nvme-doorbell-queue";
    DoorbellRead => "nvme-doorbell-write-only";
    DoorbellOutOfRange => "nvme-doorbell-range";
    SubmissionBackwards => "nvme-submission-room";
    CompletionAhead => "nvme-completion-consumed";
    // Commands and queues.
    IdentifierTwice => "nvme-command-identifier" "dma-target";
    ReservedField => "nvme-command-reserved";
    UnknownCommand => "nvme-command-supported";
    UnknownNamespace => "nvme-namespace";
    BlocksBehindEnd => "nvme-block-range";
    TransferAboveLimit => "nvme-transfer-limit", on "mdts=8K";
    OddPage => "nvme-prp-offset";
    QueuesNotNegotiated => "nvme-queue-count";
    QueueCreatedTwice => "nvme-queue-creation";
    QueuesOverlap => "nvme-queue-overlap";
    UnknownQueueDeleted => "nvme-queue-deletion";
    ManyEventRequests => "nvme-event-request-limit";
    ManyAborts => "nvme-abort-limit";
    ShutdownWhileBusy => "nvme-shutdown-quiet";
    NoShutdown => "nvme-shutdown-before-power-off" "queue-memory";
    // Host memory buffer, as the controller sees it.
    HmbUnwanted => "nvme-hmb-wanted", on "hmpre=0,hmmin=0";
    HmbEnabledTwice => "nvme-hmb-sequence";
    HmbOddList => "nvme-hmb-list-address";
    HmbNoEntries => "nvme-hmb-entry-count";
    HmbManyEntries => "nvme-hmb-entry-count", on "hmmaxd=2,grant=ranges:3";
    HmbSmallEntries => "nvme-hmb-entry-size", on "hmminds=1536K,grant=ranges:2";
    HmbOddEntry => "nvme-hmb-entry-address";
    HmbEntryTwice => "nvme-hmb-entries-distinct";
    HmbOtherSum => "nvme-hmb-size";
    HmbBelowMinimum => "nvme-hmb-minimum";
    HmbListChanged => "nvme-hmb-list-kept";
    HmbReturnedAtFirst => "nvme-hmb-memory-return";
    HmbAwake => "nvme-hmb-before-power-off";
}

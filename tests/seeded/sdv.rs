//! The rules of Static Driver Verifier for Storport, and what holds a miniport to them here.

/// A rule of SDV, the rules here that cover it, and what there is to say: without rules, why it does not concern a physical miniport
/// that is executed.
pub struct Sdv {
    pub name: &'static str,
    pub covered_by: &'static [&'static str],
    pub note: &'static str,
}

const fn sdv(name: &'static str, covered_by: &'static [&'static str], note: &'static str) -> Sdv {
    Sdv {
        name,
        covered_by,
        note,
    }
}

const KERNEL_LOCK: &str = "the kernel's own spin locks are no choice of a physical miniport";

/// Every rule, in alphabetical order.
pub const SDV: &[Sdv] = &[
    sdv("CancelSpinLock", &["call-prohibited"], KERNEL_LOCK),
    sdv(
        "DoubleExFreePool",
        &["call-prohibited", "pool-free"],
        "of the port driver's pool in the second place",
    ),
    sdv(
        "DoubleKeSetEvent",
        &["call-prohibited"],
        "KeSetEvent is on the list",
    ),
    sdv(
        "HwStorPortProhibitedDDIs",
        &["call-prohibited"],
        "the check of the driver's imports has the whole list",
    ),
    sdv(
        "IoFreeIrp",
        &["call-prohibited"],
        "a physical miniport sees no IRP",
    ),
    sdv(
        "IrqlDispatch",
        &["call-prohibited", "call-irql"],
        "the functions of the kernel that it names are on the list",
    ),
    sdv("IrqlKeReleaseSpinLock", &["call-prohibited"], KERNEL_LOCK),
    sdv(
        "NullCheck",
        &["memory-access", "call-pointer"],
        "where the pointer is used; the tool looks at the source",
    ),
    sdv(
        "PagedCode",
        &[],
        "PAGED_CODE is a macro of the source, and a miniport has no paged code",
    ),
    sdv(
        "QueuedSpinLock",
        &["call-prohibited", "callback-locks"],
        KERNEL_LOCK,
    ),
    sdv(
        "QueuedSpinLockRelease",
        &["call-prohibited", "lock-release"],
        KERNEL_LOCK,
    ),
    sdv("SpChangeIrql", &["callback-irql"], ""),
    sdv("SpDuplex", &["find-adapter-duplex"], ""),
    sdv(
        "SpIrql",
        &[],
        "TdiRegisterPnPHandlers is for drivers of transports",
    ),
    sdv(
        "SpNoWait",
        &["stall-site", "pool-site", "delay-irql", "call-prohibited"],
        "",
    ),
    sdv("SpReturnValue", &["find-adapter-result"], ""),
    sdv(
        "SpinLock",
        &["call-prohibited", "callback-locks"],
        KERNEL_LOCK,
    ),
    sdv(
        "SpinLockDpc",
        &["call-prohibited", "callback-locks"],
        KERNEL_LOCK,
    ),
    sdv(
        "SpinLockRelease",
        &["call-prohibited", "lock-release"],
        KERNEL_LOCK,
    ),
    sdv(
        "SpinLockSafe",
        &["call-prohibited"],
        "IoStartNextPacket and IoCompleteRequest are on the list",
    ),
    sdv("StorPortAllocatePool", &["pool-free"], ""),
    sdv("StorPortAllocatePool2", &["pool-overwrite"], ""),
    sdv(
        "StorPortBuildIo",
        &[],
        "it holds the port driver to leaving HwStartIo out where HwBuildIo returned FALSE",
    ),
    sdv(
        "StorPortCompleteRequest",
        &["call-documented"],
        "the call ends the run",
    ),
    sdv("StorPortDDIsPortOnly", &["call-documented"], ""),
    sdv("StorPortDeprecated", &["call-deprecated"], ""),
    sdv(
        "StorPortEnablePassive",
        &["passive-initialization-site"],
        "",
    ),
    sdv("StorPortFindAdapter", &["find-adapter-mandatory"], ""),
    sdv("StorPortIrql", &["call-irql"], ""),
    sdv("StorPortMSILock", &["lock-message"], ""),
    sdv("StorPortNotification2", &["call-documented"], ""),
    sdv(
        "StorPortPassiveFromHwInit",
        &["passive-initialization-site"],
        "HwAdapterControl starts the adapter with HwInitialize",
    ),
    sdv(
        "StorPortPerfOpts",
        &["performance-options-data", "call-pointer"],
        "",
    ),
    sdv(
        "StorPortSpinLock",
        &["lock-recursion", "lock-release", "callback-locks"],
        "",
    ),
    sdv("StorPortSpinLock3", &["lock-order"], ""),
    sdv("StorPortSpinLock4", &["lock-release"], ""),
    sdv(
        "StorPortStartIo",
        &["stall-site", "pool-site", "lock-site", "lock-recursion"],
        "",
    ),
    sdv("StorPortStatusPending", &["srb-status"], ""),
    sdv("StorPortTimer", &["timer-routine"], ""),
    sdv(
        "StorPortVirtualDevice",
        &["initialization-physical", "find-adapter-physical"],
        "",
    ),
    sdv("StorPortVirtualDevice2", &[], "it is for virtual miniports"),
    sdv(
        "WithinCriticalRegion",
        &["call-prohibited"],
        "KeEnterCriticalRegion is on the list",
    ),
    sdv(
        "ZwRegistryCreate",
        &["call-prohibited"],
        "the registry is reached through the port driver",
    ),
    sdv(
        "ZwRegistryOpen",
        &["call-prohibited"],
        "the registry is reached through the port driver",
    ),
];

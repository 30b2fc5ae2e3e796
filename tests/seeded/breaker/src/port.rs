//! The port driver, as this miniport calls it, and memory by its address: a fault of a miniport is a wrong address more
//! often than not, so that addresses are plain numbers here.

/// Reads what lies at an address.
pub fn read<T: Copy>(at: u64) -> T {
    let from = core::ptr::with_exposed_provenance::<T>(at as usize);
    // SAFETY: the address is that of memory the port driver gave, unless the fault that is wanted is a wrong one, which
    // the processor notices.
    unsafe { from.read_volatile() }
}

/// Writes to an address.
pub fn write<T: Copy>(at: u64, value: T) {
    let to = core::ptr::with_exposed_provenance_mut::<T>(at as usize);
    // SAFETY: as for `read`.
    unsafe { to.write_volatile(value) };
}

/// The address of something that a call reads or fills.
pub fn at<T>(value: &mut T) -> u64 {
    core::ptr::from_mut(value).expose_provenance() as u64
}

#[link(name = "storport")]
unsafe extern "C" {
    fn StorPortInitialize(driver: u64, path: u64, data: u64, context: u64) -> u32;
    fn StorPortNotification(kind: u32, extension: u64, ...);
    fn StorPortExtendedFunction(code: u32, extension: u64, ...) -> u32;
    fn StorPortGetDeviceBase(
        extension: u64,
        bus_type: u32,
        bus: u32,
        address: u64,
        bytes: u32,
        io: u8,
    ) -> u64;
    fn StorPortGetBusData(
        extension: u64,
        kind: u32,
        bus: u32,
        slot: u32,
        buffer: u64,
        bytes: u32,
    ) -> u32;
    fn StorPortGetUncachedExtension(extension: u64, configuration: u64, bytes: u32) -> u64;
    fn StorPortGetPhysicalAddress(extension: u64, srb: u64, address: u64, length: u64) -> u64;
    fn StorPortGetScatterGatherList(extension: u64, srb: u64) -> u64;
    fn StorPortSetDeviceQueueDepth(extension: u64, path: u8, target: u8, lun: u8, depth: u32)
    -> u8;
    fn StorPortStallExecution(us: u32);
    fn StorPortAllocateRegistryBuffer(extension: u64, length: u64) -> u64;
    fn StorPortFreeRegistryBuffer(extension: u64, buffer: u64);
    fn StorPortRegistryRead(
        extension: u64,
        name: u64,
        global: u32,
        kind: u32,
        buffer: u64,
        length: u64,
    ) -> u8;
    fn StorPortLogError(
        extension: u64,
        srb: u64,
        path: u8,
        target: u8,
        lun: u8,
        code: u32,
        unique: u32,
    );
}

#[link(name = "ntoskrnl")]
unsafe extern "C" {
    fn KeGetCurrentIrql() -> u8;
}

/// `SCSI_NOTIFICATION_TYPE`.
pub mod notification {
    #![allow(missing_docs)]
    pub const REQUEST_COMPLETE: u32 = 0;
    pub const REQUEST_TIMER_CALL: u32 = 6;
    pub const ENABLE_PASSIVE_INITIALIZATION: u32 = 0x1000;
    pub const INITIALIZE_DPC: u32 = 0x1001;
    pub const ISSUE_DPC: u32 = 0x1002;
    pub const ACQUIRE_SPIN_LOCK: u32 = 0x1003;
    pub const RELEASE_SPIN_LOCK: u32 = 0x1004;
}

/// `STORPORT_FUNCTION_CODE`.
pub mod function {
    #![allow(missing_docs)]
    pub const ALLOCATE_POOL: u32 = 0;
    pub const FREE_POOL: u32 = 1;
    pub const ALLOCATE_MDL: u32 = 2;
    pub const FREE_MDL: u32 = 3;
    pub const BUILD_MDL: u32 = 4;
    pub const BUILD_LIST: u32 = 9;
    pub const PUT_LIST: u32 = 10;
    pub const ACQUIRE_MESSAGE_LOCK: u32 = 11;
    pub const MESSAGE_INFORMATION: u32 = 13;
    pub const PERFORMANCE_OPTIONS: u32 = 14;
    pub const START_IO_PARAMETERS: u32 = 15;
    pub const LOG_SYSTEM_EVENT: u32 = 16;
    pub const INITIALIZE_WORKER: u32 = 29;
    pub const QUEUE_WORK_ITEM: u32 = 30;
    pub const FREE_WORKER: u32 = 31;
    pub const INITIALIZE_TIMER: u32 = 32;
    pub const FREE_TIMER: u32 = 34;
    pub const INITIALIZE_POFX: u32 = 48;
    pub const POFX_ACTIVATE: u32 = 49;
    pub const POFX_IDLE: u32 = 50;
    pub const ALLOCATE_HMB: u32 = 69;
    pub const FREE_HMB: u32 = 70;
    pub const UPDATE_MAXIMUM_IO: u32 = 80;
    pub const DELAY_EXECUTION: u32 = 81;
    pub const ALLOCATE_DMA_MEMORY: u32 = 82;
    pub const FREE_DMA_MEMORY: u32 = 83;
    pub const ETW_EVENT_2: u32 = 85;
    pub const PROCESSOR_COUNT: u32 = 94;
    pub const SET_FEATURE_LIST: u32 = 103;
}

/// `StorPortInitialize`.
pub fn initialize(driver: u64, path: u64, data: u64) -> u32 {
    // SAFETY: an import of the port driver, with the arguments that it documents.
    unsafe { StorPortInitialize(driver, path, data, 0) }
}

/// `StorPortNotification`. What is not given is 0.
pub fn notify(extension: u64, kind: u32, arguments: &[u64]) {
    let a = |index: usize| arguments.get(index).copied().unwrap_or(0);
    // SAFETY: as for `initialize`; no notification that is used here takes more arguments.
    unsafe { StorPortNotification(kind, extension, a(0), a(1), a(2), a(3)) };
}

/// `StorPortExtendedFunction`. What is not given is 0.
pub fn extended(extension: u64, code: u32, arguments: &[u64]) -> u32 {
    let a = |index: usize| arguments.get(index).copied().unwrap_or(0);
    // SAFETY: as for `initialize`; no function that is used here takes more arguments.
    unsafe {
        StorPortExtendedFunction(
            code,
            extension,
            a(0),
            a(1),
            a(2),
            a(3),
            a(4),
            a(5),
            a(6),
            a(7),
            a(8),
            a(9),
            a(10),
            a(11),
        )
    }
}

/// `StorPortGetDeviceBase`.
pub fn device_base(extension: u64, address: u64, bytes: u32) -> u64 {
    // SAFETY: as for `initialize`.
    unsafe { StorPortGetDeviceBase(extension, 5, 0, address, bytes, 0) }
}

/// `StorPortGetBusData`, of the configuration space.
pub fn bus_data(extension: u64, buffer: u64, bytes: u32) -> u32 {
    // SAFETY: as for `initialize`.
    unsafe { StorPortGetBusData(extension, 4, 0, 0, buffer, bytes) }
}

/// `StorPortGetUncachedExtension`.
pub fn uncached_extension(extension: u64, configuration: u64, bytes: u32) -> u64 {
    // SAFETY: as for `initialize`.
    unsafe { StorPortGetUncachedExtension(extension, configuration, bytes) }
}

/// `StorPortGetPhysicalAddress`.
pub fn physical_address(extension: u64, srb: u64, address: u64) -> u64 {
    let mut length = 0_u32;
    // SAFETY: as for `initialize`.
    unsafe { StorPortGetPhysicalAddress(extension, srb, address, at(&mut length)) }
}

/// `StorPortGetScatterGatherList`.
pub fn scatter_gather_list(extension: u64, srb: u64) -> u64 {
    // SAFETY: as for `initialize`.
    unsafe { StorPortGetScatterGatherList(extension, srb) }
}

/// `StorPortSetDeviceQueueDepth`.
pub fn set_queue_depth(extension: u64, lun: u8, depth: u32) {
    // SAFETY: as for `initialize`.
    unsafe { StorPortSetDeviceQueueDepth(extension, 0, 0, lun, depth) };
}

/// `StorPortStallExecution`.
pub fn stall(us: u32) {
    // SAFETY: as for `initialize`.
    unsafe { StorPortStallExecution(us) };
}

/// `StorPortAllocateRegistryBuffer`.
pub fn registry_buffer(extension: u64) -> u64 {
    let mut length = 4_u32;
    // SAFETY: as for `initialize`.
    unsafe { StorPortAllocateRegistryBuffer(extension, at(&mut length)) }
}

/// `StorPortFreeRegistryBuffer`.
pub fn free_registry_buffer(extension: u64, buffer: u64) {
    // SAFETY: as for `initialize`.
    unsafe { StorPortFreeRegistryBuffer(extension, buffer) };
}

/// `StorPortRegistryRead`, of a number among the parameters of all adapters.
pub fn registry_read(extension: u64, name: &mut [u8; 6], buffer: u64) -> bool {
    let mut length = 4_u32;
    // SAFETY: as for `initialize`.
    let found = unsafe { StorPortRegistryRead(extension, at(name), 1, 4, buffer, at(&mut length)) };
    found != 0
}

/// `StorPortLogError`.
pub fn log_error(extension: u64) {
    // SAFETY: as for `initialize`.
    unsafe { StorPortLogError(extension, 0, 0, 0, 0, 1, 1) };
}

/// A function of the kernel that a miniport must not call.
pub fn prohibited() {
    // SAFETY: an import of the kernel without arguments.
    unsafe { KeGetCurrentIrql() };
}

/// Completes a request.
pub fn complete(extension: u64, srb: u64) {
    notify(extension, notification::REQUEST_COMPLETE, &[srb]);
}

/// A spin lock, by its kind, and the handle that it was acquired with.
pub struct SpinLock {
    handle: [u64; 4],
}

impl SpinLock {
    /// `STOR_SPINLOCK`: the lock of a DPC.
    pub const DPC: u32 = 1;
    /// `STOR_SPINLOCK`: the StartIo lock.
    pub const START_IO: u32 = 2;
    /// `STOR_SPINLOCK`: the interrupt lock.
    pub const INTERRUPT: u32 = 3;

    /// A handle that no lock belongs to.
    pub const fn unused() -> Self {
        Self { handle: [0; 4] }
    }

    /// Acquires a lock.
    pub fn acquire(&mut self, extension: u64, kind: u32, context: u64) {
        let handle = at(&mut self.handle);
        let arguments = [u64::from(kind), context, handle];
        notify(extension, notification::ACQUIRE_SPIN_LOCK, &arguments);
    }

    /// Releases it.
    pub fn release(&mut self, extension: u64) {
        let handle = at(&mut self.handle);
        notify(extension, notification::RELEASE_SPIN_LOCK, &[handle]);
    }
}

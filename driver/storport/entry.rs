//! `DriverEntry` and the callbacks: raw pointers become the types of this layer, and the miniport takes over.
//!
//! A callback may rely on: the device extension is the one that `DriverEntry` asked for, zeroed once, at a fixed
//! address, until the adapter is removed. It may not rely on being alone, unless its own comment says so.

use core::ffi::c_void;
use core::mem::{MaybeUninit, size_of};
use core::ptr::{self, NonNull};
use core::sync::atomic::{AtomicUsize, Ordering};

use nvme::lifecycle::MAX_QUEUE_PAIRS;
use wdk_sys::_SCSI_ADAPTER_CONTROL_STATUS::{
    ScsiAdapterControlSuccess, ScsiAdapterControlUnsuccessful,
};
use wdk_sys::_SCSI_UNIT_CONTROL_STATUS::{ScsiUnitControlSuccess, ScsiUnitControlUnsuccessful};
use wdk_sys::_SCSI_UNIT_CONTROL_TYPE::ScsiQuerySupportedUnitControlTypes;
use wdk_sys::storage::StorPortInitialize;
use wdk_sys::{
    ADDRESS_TYPE_FLAG_BTL8, BOOLEAN, DRIVER_OBJECT, HW_INITIALIZATION_DATA, NTSTATUS, PCHAR,
    PCUNICODE_STRING, PORT_CONFIGURATION_INFORMATION, PVOID, SCSI_ADAPTER_CONTROL_STATUS,
    SCSI_ADAPTER_CONTROL_TYPE, SCSI_REQUEST_BLOCK, SCSI_SUPPORTED_CONTROL_TYPE_LIST,
    SCSI_UNIT_CONTROL_STATUS, SCSI_UNIT_CONTROL_TYPE, SP_RETURN_BAD_CONFIG, SP_RETURN_ERROR,
    SP_RETURN_FOUND, SRB_TYPE_FLAG_SCSI_REQUEST_BLOCK, SRB_TYPE_FLAG_STORAGE_REQUEST_BLOCK,
    STOR_ADAPTER_CONTROL_POWER, STOR_DPC, STOR_MAP_NON_READ_WRITE_BUFFERS, ULONG,
};

use super::published::Finding;
use super::request_memory::EXTENSION_BYTES;
use super::srb::refuse;
use super::{Configuration, Irql, Port, PortError, Srb, Table, processors};
use crate::adapter::Adapter;
use crate::control::call::Call;
use crate::control::find::{self, FindError};
use crate::control::power::{self, AdapterControl};
use crate::control::{downgrade, interrupt as interrupts, recovery, start};
use crate::io::pair::Pair;
use crate::io::{completion, request};

/// Says that the device extension holds an [`Adapter`]: the port driver hands it over zeroed.
const INITIALIZED: u64 = u64::from_le_bytes(*b"ferrstor");

/// The device extension: this, and a queue pair for each processor behind it.
#[repr(C)]
struct DeviceExtension {
    initialized: u64,
    adapter: MaybeUninit<Adapter>,
}

/// How many queue pairs each device extension has. Written by `DriverEntry`: processors may be added later.
static PAIRS: AtomicUsize = AtomicUsize::new(0);

/// How many bytes a device extension with so many queue pairs has: the port driver promises no alignment beyond that of its own
/// structures.
fn extension_bytes(pairs: usize) -> ULONG {
    let pairs = pairs.saturating_mul(size_of::<Pair>());
    let bytes = size_of::<DeviceExtension>().saturating_add(pairs);
    bytes.saturating_add(align_of::<Pair>()) as ULONG
}

/// The driver's entry point. `PASSIVE_LEVEL`. Registers the callbacks with the port driver.
// SAFETY: "DriverEntry" is the name the linker is told to enter at, and the image has no other symbol of that name.
#[unsafe(export_name = "DriverEntry")]
pub extern "system" fn driver_entry(
    driver: *mut DRIVER_OBJECT,
    registry_path: PCUNICODE_STRING,
) -> NTSTATUS {
    let pairs = processors::count().clamp(1, MAX_QUEUE_PAIRS);
    PAIRS.store(pairs, Ordering::Release);
    let mut data = HW_INITIALIZATION_DATA {
        HwInitializationDataSize: size_of::<HW_INITIALIZATION_DATA>() as ULONG,
        AdapterInterfaceType: wdk_sys::_INTERFACE_TYPE::PCIBus,
        HwInitialize: Some(initialize),
        HwStartIo: Some(start_io),
        HwInterrupt: Some(interrupt),
        HwFindAdapter: find_adapter as *mut c_void,
        HwResetBus: Some(reset_bus),
        HwAdapterControl: Some(adapter_control),
        HwBuildIo: Some(build_io),
        HwUnitControl: Some(unit_control),
        DeviceExtensionSize: extension_bytes(pairs),
        SpecificLuExtensionSize: 0,
        SrbExtensionSize: EXTENSION_BYTES,
        NumberOfAccessRanges: 6,
        MapBuffers: STOR_MAP_NON_READ_WRITE_BUFFERS as u8,
        NeedPhysicalAddresses: 1,
        TaggedQueuing: 1,
        AutoRequestSense: 1,
        MultipleRequestPerLu: 1,
        SrbTypeFlags: SRB_TYPE_FLAG_SCSI_REQUEST_BLOCK | SRB_TYPE_FLAG_STORAGE_REQUEST_BLOCK,
        AddressTypeFlags: ADDRESS_TYPE_FLAG_BTL8,
        ..HW_INITIALIZATION_DATA::default()
    };
    // SAFETY: the two arguments are the ones that the system passed, and the port driver copies the data.
    let status = unsafe {
        StorPortInitialize(
            driver.cast(),
            registry_path.cast_mut().cast(),
            &raw mut data,
            ptr::null_mut(),
        )
    };
    status.cast_signed()
}

/// The adapter in a device extension, and its port; `None` where `HwFindAdapter` has not been here.
///
/// # Safety
/// `extension` is the first argument of a callback.
unsafe fn adapter<'a>(extension: PVOID) -> Option<(&'a Adapter, Port)> {
    let pointer = NonNull::new(extension)?;
    // SAFETY: the extension is a valid, aligned DeviceExtension for as long as callbacks come.
    let device = unsafe { pointer.cast::<DeviceExtension>().as_ref() };
    if device.initialized != INITIALIZED {
        return None;
    }
    // SAFETY: the mark is written behind the adapter, so the adapter is whole.
    let adapter = unsafe { device.adapter.assume_init_ref() };
    Some((adapter, Port { extension: pointer }))
}

/// Makes the adapter in a device extension that holds none yet.
///
/// # Safety
/// As for [`adapter`], inside `HwFindAdapter`.
unsafe fn make_adapter(extension: PVOID) {
    let device = extension.cast::<DeviceExtension>();
    // SAFETY: the extension is large enough; no other callback runs beside HwFindAdapter.
    let initialized = unsafe { &raw mut (*device).initialized };
    // SAFETY: as above. A rebalance keeps the extension, so the mark may be there already.
    if unsafe { initialized.read() } == INITIALIZED {
        return;
    }
    // SAFETY: as above.
    let place = unsafe { &raw mut (*device).adapter };
    // The value is a constant: it is copied from the image, never built on the small kernel stack.
    // SAFETY: the place is valid for a write.
    unsafe { place.cast::<Adapter>().write(Adapter::EMPTY) };
    // SAFETY: as above; nothing else refers to the adapter yet.
    let adapter = unsafe { &mut *place.cast::<Adapter>() };
    // SAFETY: behind the adapter lie the queue pairs, as many as were asked for.
    adapter.io.set_pairs(unsafe { make_pairs(device) });
    // SAFETY: as above.
    unsafe { initialized.write(INITIALIZED) };
}

/// Makes the queue pairs behind an adapter.
///
/// # Safety
/// As for [`make_adapter`].
unsafe fn make_pairs(device: *mut DeviceExtension) -> Table<Pair> {
    let end = device.wrapping_add(1).cast::<u8>();
    let first = end.wrapping_add(end.align_offset(align_of::<Pair>()));
    let Some(first) = NonNull::new(first).map(NonNull::cast::<Pair>) else {
        return Table::EMPTY;
    };
    let pairs = PAIRS.load(Ordering::Acquire);
    for index in 0..pairs {
        // SAFETY: the extension has room for so many, and for their alignment.
        let pair = unsafe { first.add(index) };
        // SAFETY: the place is valid for a write. The value is a constant, copied from the image.
        unsafe { pair.write(Pair::EMPTY) };
    }
    // SAFETY: they were just written, and stay there as long as the adapter.
    unsafe { Table::new(first, pairs) }
}

/// `HwStorFindAdapter`. `PASSIVE_LEVEL` as a rule, up to `DISPATCH_LEVEL` at a restart; no other callback runs.
/// Maps the registers, enables the controller with its interrupts masked, and reads what it is.
unsafe extern "C" fn find_adapter(
    extension: PVOID,
    _context: PVOID,
    _bus: PVOID,
    _arguments: PCHAR,
    information: *mut PORT_CONFIGURATION_INFORMATION,
    _again: *mut BOOLEAN,
) -> ULONG {
    // SAFETY: the port driver passes its own structure for the length of the call.
    let Some(information) = (unsafe { information.as_mut() }) else {
        return SP_RETURN_BAD_CONFIG;
    };
    if extension.is_null() {
        return SP_RETURN_BAD_CONFIG;
    }
    // SAFETY: this is HwFindAdapter, with its device extension.
    unsafe { make_adapter(extension) };
    // SAFETY: the first argument of a callback.
    let Some((adapter, port)) = (unsafe { adapter(extension) }) else {
        return SP_RETURN_ERROR;
    };
    // SAFETY: the structure is the one of this call.
    let mut configuration = unsafe { Configuration::new(information) };
    match find::find(
        adapter,
        port,
        &mut configuration,
        Some(message_interrupt),
        &mut Finding::new(),
    ) {
        Ok(()) => SP_RETURN_FOUND,
        Err(FindError::Configuration(_)) => SP_RETURN_BAD_CONFIG,
        Err(FindError::Controller) => SP_RETURN_ERROR,
    }
}

/// `HwStorInitialize`. DIRQL, with the interrupt lock. Puts everything that takes time off to the passive routine.
unsafe extern "C" fn initialize(extension: PVOID) -> BOOLEAN {
    // SAFETY: the first argument of a callback.
    let Some((adapter, port)) = (unsafe { adapter(extension) }) else {
        return 0;
    };
    if !adapter.dpc_is_initialized() {
        adapter.dpc.initialize(port, Some(deferred));
        for pair in adapter.io.all_pairs() {
            pair.dpc.initialize(port, Some(request_deferred));
        }
        adapter.set_dpc_initialized();
    }
    BOOLEAN::from(port.enable_passive_initialization(Some(passive_initialize)))
}

/// `HwStorPassiveInitializeRoutine`. `PASSIVE_LEVEL`; no requests yet, interrupts may come.
unsafe extern "C" fn passive_initialize(extension: PVOID) -> BOOLEAN {
    // SAFETY: the first argument of a callback.
    let Some((adapter, port)) = (unsafe { adapter(extension) }) else {
        return 0;
    };
    BOOLEAN::from(start::start(adapter, port))
}

/// `HwStorBuildIo`. `DISPATCH_LEVEL`, any processor, no lock held, several at once.
/// Translates the request and builds its PRP list; touches nothing that another processor writes.
/// Returns TRUE to go on to `HwStorStartIo`, FALSE when the request was completed here.
unsafe extern "C" fn build_io(extension: PVOID, block: *mut SCSI_REQUEST_BLOCK) -> BOOLEAN {
    // SAFETY: the first argument of a callback.
    let Some((adapter, port)) = (unsafe { adapter(extension) }) else {
        return 0;
    };
    let Some(block) = NonNull::new(block) else {
        return 0;
    };
    // SAFETY: the request of this call.
    let Some(srb) = (unsafe { Srb::receive(block) }) else {
        // SAFETY: as above.
        unsafe { refuse(port, block) };
        return 0;
    };
    BOOLEAN::from(request::build(adapter, port, srb))
}

/// `HwStorStartIo`. `DISPATCH_LEVEL`. Whether the port driver holds the StartIo lock makes no difference. Gives the command to the
/// controller.
unsafe extern "C" fn start_io(extension: PVOID, block: *mut SCSI_REQUEST_BLOCK) -> BOOLEAN {
    // SAFETY: the first argument of a callback.
    let Some((adapter, port)) = (unsafe { adapter(extension) }) else {
        return 0;
    };
    let Some(block) = NonNull::new(block) else {
        return 1;
    };
    // SAFETY: the request of this call.
    match unsafe { Srb::resume(block) } {
        Some(srb) => request::start(adapter, port, srb),
        // SAFETY: as above.
        None => unsafe { refuse(port, block) },
    }
    1
}

/// `HwStorInterrupt`: a line interrupt, perhaps another device's. DIRQL, with the interrupt lock.
unsafe extern "C" fn interrupt(extension: PVOID) -> BOOLEAN {
    // SAFETY: the first argument of a callback.
    let Some((adapter, port)) = (unsafe { adapter(extension) }) else {
        return 0;
    };
    BOOLEAN::from(interrupts::line_interrupt(adapter, port))
}

/// `HwMSInterruptRoutine`. DIRQL, with the lock of the message. Always the adapter's own.
unsafe extern "C" fn message_interrupt(extension: PVOID, message: ULONG) -> BOOLEAN {
    // SAFETY: the first argument of a callback.
    let Some((adapter, port)) = (unsafe { adapter(extension) }) else {
        return 0;
    };
    interrupts::message_interrupt(adapter, port, message);
    1
}

/// `HwStorDpcRoutine` of a message that tells of requests. `DISPATCH_LEVEL`, no lock held. Drains the completion queue of their pair,
/// whose number is the first argument.
unsafe extern "C" fn request_deferred(
    _dpc: *mut STOR_DPC,
    extension: PVOID,
    pair: PVOID,
    _second: PVOID,
) {
    // SAFETY: the context of the adapter's DPC is its device extension.
    if let Some((adapter, port)) = unsafe { adapter(extension) } {
        completion::deferred(adapter, port, pair.addr());
    }
}

/// `HwStorDpcRoutine`. `DISPATCH_LEVEL`, no lock held. Drains the completion queues.
unsafe extern "C" fn deferred(
    _dpc: *mut STOR_DPC,
    extension: PVOID,
    _first: PVOID,
    _second: PVOID,
) {
    // SAFETY: the context of the adapter's DPC is its device extension.
    if let Some((adapter, port)) = unsafe { adapter(extension) } {
        interrupts::deferred(adapter, port);
    }
}

/// `HwStorTimer`. `DISPATCH_LEVEL`, with the StartIo lock. Takes the next step of whatever is under way.
unsafe extern "C" fn timer(extension: PVOID) {
    // SAFETY: the first argument of a callback.
    if let Some((adapter, port)) = unsafe { adapter(extension) } {
        interrupts::tick(adapter, port);
    }
}

/// `HwStorWorkItem`. `PASSIVE_LEVEL`, no lock held. Writes down what the adapter has to remember.
unsafe extern "C" fn write_item(extension: PVOID, _context: PVOID, worker: PVOID) {
    // SAFETY: the first argument of a callback.
    if let Some((adapter, port)) = unsafe { adapter(extension) } {
        // First: a worker that is left when the adapter goes is lost.
        port.free_worker(worker);
        downgrade::write(Call::free(adapter, port, Irql::Passive));
    }
}

/// `HwStorWorkItem`. `PASSIVE_LEVEL`, no lock held. Asks for host memory and gives it back.
unsafe extern "C" fn errand_item(extension: PVOID, _context: PVOID, worker: PVOID) {
    // SAFETY: the first argument of a callback.
    if let Some((adapter, port)) = unsafe { adapter(extension) } {
        // First: the last errand of an adapter ends the request that its removal waits for.
        port.free_worker(worker);
        Call::free(adapter, port, Irql::Passive).run_errands();
    }
}

impl Port {
    /// Asks for a call of [`downgrade::write`]. IRQL <= `DISPATCH_LEVEL`.
    pub(crate) fn write_down(self) -> Result<(), PortError> {
        self.queue_work(Some(write_item))
    }

    /// Asks for a call of [`Call::run_errands`]. IRQL <= `DISPATCH_LEVEL`.
    pub(crate) fn queue_errands(self) -> Result<(), PortError> {
        self.queue_work(Some(errand_item))
    }

    /// Asks for a call of [`interrupts::tick`] in about `us` microseconds. Any IRQL.
    pub(crate) fn tick_after(self, us: u32) {
        self.request_timer(Some(timer), us.max(1));
    }

    /// Takes back what [`tick_after`](Self::tick_after) asked for. Any IRQL.
    pub(crate) fn tick_no_more(self) {
        self.request_timer(Some(timer), 0);
    }
}

/// `HwStorResetBus`. `DISPATCH_LEVEL`, with the StartIo lock. Resets the controller; requests in flight come back.
unsafe extern "C" fn reset_bus(extension: PVOID, _path: ULONG) -> BOOLEAN {
    // SAFETY: the first argument of a callback.
    let Some((adapter, port)) = (unsafe { adapter(extension) }) else {
        return 0;
    };
    BOOLEAN::from(recovery::reset(adapter, port))
}

/// `HwStorAdapterControl`. `PASSIVE_LEVEL` for the query, up to `DISPATCH_LEVEL` for power, DIRQL for stop and restart.
unsafe extern "C" fn adapter_control(
    extension: PVOID,
    control: SCSI_ADAPTER_CONTROL_TYPE,
    parameters: PVOID,
) -> SCSI_ADAPTER_CONTROL_STATUS {
    use wdk_sys::_SCSI_ADAPTER_CONTROL_TYPE as types;
    if control == types::ScsiQuerySupportedControlTypes {
        let supported = [
            types::ScsiQuerySupportedControlTypes,
            types::ScsiStopAdapter,
            types::ScsiRestartAdapter,
            types::ScsiAdapterPower,
            types::ScsiAdapterSurpriseRemoval,
        ];
        // SAFETY: for this control type the parameters are such a list.
        unsafe { answer_supported(parameters.cast(), supported.map(i32::cast_unsigned)) };
        return ScsiAdapterControlSuccess;
    }
    // SAFETY: the first argument of a callback.
    let Some((adapter, port)) = (unsafe { adapter(extension) }) else {
        return ScsiAdapterControlUnsuccessful;
    };
    let control = match control {
        types::ScsiStopAdapter => AdapterControl::Stop,
        types::ScsiRestartAdapter => AdapterControl::Restart,
        types::ScsiAdapterSurpriseRemoval => AdapterControl::SurpriseRemoval,
        types::ScsiAdapterPower => {
            // SAFETY: for this control type the parameters are such a structure, or nothing at all.
            let Some(power) = (unsafe { parameters.cast::<STOR_ADAPTER_CONTROL_POWER>().as_ref() })
            else {
                return ScsiAdapterControlUnsuccessful;
            };
            if power.PowerState == wdk_sys::_STOR_DEVICE_POWER_STATE::StorPowerDeviceD0 {
                AdapterControl::PowerUp
            } else {
                let running = power.PowerAction == wdk_sys::STOR_POWER_ACTION::StorPowerActionNone;
                if running {
                    AdapterControl::PowerDown
                } else {
                    AdapterControl::SystemPowerDown
                }
            }
        }
        _ => return ScsiAdapterControlUnsuccessful,
    };
    power::control(adapter, port, control);
    ScsiAdapterControlSuccess
}

/// `HwStorUnitControl`. Only the query is answered: nothing is kept for a unit.
unsafe extern "C" fn unit_control(
    _extension: PVOID,
    control: SCSI_UNIT_CONTROL_TYPE,
    parameters: PVOID,
) -> SCSI_UNIT_CONTROL_STATUS {
    if control != ScsiQuerySupportedUnitControlTypes {
        return ScsiUnitControlUnsuccessful;
    }
    // SAFETY: for this control type the parameters are such a list.
    unsafe {
        answer_supported(
            parameters.cast(),
            [ScsiQuerySupportedUnitControlTypes.cast_unsigned()],
        );
    };
    ScsiUnitControlSuccess
}

/// Marks the supported types in the port driver's list, as far as the list goes.
///
/// # Safety
/// `list` is null or the list of the current call.
unsafe fn answer_supported<const N: usize>(
    list: *mut SCSI_SUPPORTED_CONTROL_TYPE_LIST,
    supported: [ULONG; N],
) {
    // SAFETY: as the caller promises.
    let Some(header) = (unsafe { list.as_ref() }) else {
        return;
    };
    let end = header.MaxControlType;
    // SAFETY: the flags follow the header.
    let flags = unsafe {
        list.cast::<u8>()
            .add(size_of::<SCSI_SUPPORTED_CONTROL_TYPE_LIST>())
    };
    for control in supported.into_iter().filter(|control| *control < end) {
        // SAFETY: the list has MaxControlType flags.
        let flag = unsafe { flags.add(control as usize) };
        // SAFETY: as above.
        unsafe { flag.write(1) };
    }
}

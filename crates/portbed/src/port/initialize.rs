//! `DriverEntry` and `StorPortInitialize`.

use std::collections::BTreeMap;

use super::call::Call;
use super::unload;
use crate::abi::callback;
use crate::abi::initialization::{self, HwInitializationData};
use crate::journal::Who;
use crate::machine::DriverEntry;
use crate::memory::Request;
use crate::rules::port as rules;
use crate::schedule::irql::PASSIVE;
use crate::schedule::{Callback, Cpu};

/// `STATUS_SUCCESS`.
const STATUS_SUCCESS: u32 = 0;
/// `STATUS_REVISION_MISMATCH`: what the size of the registration says.
const STATUS_REVISION_MISMATCH: u32 = 0xC000_0059;
/// `STATUS_INVALID_PARAMETER`.
const STATUS_INVALID_PARAMETER: u32 = 0xC000_000D;
/// Bytes of a `DRIVER_OBJECT`; a miniport passes it on unread.
const DRIVER_OBJECT_BYTES: u64 = 0x150;
/// Where a `DRIVER_OBJECT` has its `DriverUnload`.
pub(super) const DRIVER_UNLOAD: u64 = 0x68;
/// The service's key, as `DriverEntry` is told.
const REGISTRY_PATH: &str = r"\Registry\Machine\System\CurrentControlSet\Services\miniport";

/// The driver that is loaded.
#[derive(Default)]
pub(crate) struct Driver {
    /// Arguments of `DriverEntry`: the driver object and the registry path.
    pub(super) entry_arguments: (u64, u64),
    initialize_status: Option<u32>,
    /// What it registered for all its adapters, and the context for `HwFindAdapter`.
    pub(super) registered: Option<(HwInitializationData, u64)>,
    /// What it wrote to `Parameters\Device`: type and value by name.
    pub(super) parameters: BTreeMap<String, (u32, Vec<u8>)>,
}

impl Driver {
    /// Whether it registered with the port driver.
    pub(crate) fn is_registered(&self) -> bool {
        self.registered.is_some()
    }

    /// Forgets the driver; what it wrote to the registry stays.
    pub(super) fn forget(&mut self) {
        *self = Self {
            parameters: std::mem::take(&mut self.parameters),
            ..Self::default()
        };
    }
}

/// Calls `DriverEntry`; its status, or `None` without memory.
pub(crate) fn enter_driver(cpu: &Cpu, entry: DriverEntry) -> Option<u32> {
    let memory = &cpu.core().memory;
    let object = memory.alloc_scattered(
        Request::new(DRIVER_OBJECT_BYTES, "driver object").zeroed(),
        0,
    )?;
    let units: Vec<u8> = REGISTRY_PATH
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    let path = memory.alloc_scattered(
        Request::new(16 + units.len() as u64 + 2, "registry path").zeroed(),
        0,
    )?;
    callback::write(path.va, units.len() as u16);
    callback::write(path.va + 2, units.len() as u16 + 2);
    callback::write(path.va + 8, path.va + 16);
    callback::write_bytes(path.va + 16, &units);
    cpu.state().driver.entry_arguments = (object.va, path.va);
    let routine = entry as usize as u64;
    let status = cpu.call(
        Callback::DriverEntry,
        routine,
        [object.va, path.va, 0, 0, 0, 0],
    ) as u32;
    let registered = cpu.state().driver.initialize_status;
    cpu.check(
        &rules::ENTRY_STATUS,
        registered == Some(status),
        || match registered {
            Some(registered) => format!(
                "StorPortInitialize returned {registered:#x}, DriverEntry returns {status:#x}"
            ),
            None => format!("DriverEntry returns {status:#x} without a call of StorPortInitialize"),
        },
    );
    Some(status)
}

/// `StorPortInitialize`.
pub(super) extern "win64" fn storport_initialize(
    object: u64,
    path: u64,
    data: u64,
    context: u64,
) -> u32 {
    let call = Call::enter_without_adapter("StorPortInitialize", PASSIVE);
    let cpu = call.cpu();
    let arguments = cpu.state().driver.entry_arguments;
    cpu.check(
        &rules::INITIALIZE_SITE,
        (object, path) == arguments && call.is_in(&[Callback::DriverEntry]),
        || "StorPortInitialize got other arguments than DriverEntry".to_owned(),
    );
    let status = if call.needs::<HwInitializationData>(data, "HW_INITIALIZATION_DATA") {
        register(cpu, &callback::read(data), context)
    } else {
        STATUS_INVALID_PARAMETER
    };
    if status == STATUS_SUCCESS && call.needs_place::<u64>(object + DRIVER_UNLOAD, "DriverUnload") {
        callback::write(object + DRIVER_UNLOAD, unload::routine());
    }
    cpu.state().driver.initialize_status = Some(status);
    status
}

fn register(cpu: &Cpu, data: &HwInitializationData, context: u64) -> u32 {
    let size = size_of::<HwInitializationData>() as u32;
    if !cpu.check(&rules::INITIALIZATION_SIZE, data.size == size, || {
        format!("{} instead of {size}", data.size)
    }) {
        return STATUS_REVISION_MISMATCH;
    }
    cpu.check(
        &rules::INITIALIZATION_BUS,
        data.adapter_interface_type == initialization::PCI_BUS,
        || format!("AdapterInterfaceType is {}", data.adapter_interface_type),
    );
    let routines = [
        data.find_adapter,
        data.initialize,
        data.start_io,
        data.reset_bus,
        data.adapter_control,
    ];
    cpu.check(
        &rules::INITIALIZATION_ROUTINES,
        !routines.contains(&0),
        || format!("{routines:x?}"),
    );
    let flags = [
        data.need_physical_addresses,
        data.tagged_queuing,
        data.auto_request_sense,
        data.multiple_request_per_lu,
    ];
    cpu.check(&rules::INITIALIZATION_FLAGS, !flags.contains(&0), || {
        format!("{flags:?}")
    });
    cpu.check(
        &rules::INITIALIZATION_MAP,
        data.map_buffers <= initialization::MAP_ALL_BUFFERS,
        || format!("MapBuffers is {}", data.map_buffers),
    );
    let physical = data.free_adapter_resources == 0
        && data.process_service_request == 0
        && data.complete_service_irp == 0
        && data.feature_support & initialization::FEATURE_VIRTUAL_MINIPORT == 0;
    cpu.check(&rules::INITIALIZATION_PHYSICAL, physical, || {
        "a virtual miniport's routine or feature".to_owned()
    });
    cpu.check(
        &rules::INITIALIZATION_RANGES,
        data.number_of_access_ranges != 0,
        || "0 access ranges".to_owned(),
    );
    if routines.contains(&0) || data.device_extension_size == 0 {
        return STATUS_INVALID_PARAMETER;
    }
    let mut state = cpu.state();
    state.driver.registered = Some((*data, context));
    let now_ns = state.now_ns;
    cpu.core()
        .journal
        .note(now_ns, Who::Port, "driver registered");
    STATUS_SUCCESS
}

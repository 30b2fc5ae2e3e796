//! What an image finds in `storport.sys` and `ntoskrnl.exe`.

use std::ffi::c_void;

use super::call::Call;
use super::extended::storport_extended_function;
use super::notification::storport_notification;
use super::{
    bus, initialize, kernel, locks, log, memory, processors, registers, registry, scatter, units,
    unoffered,
};
use crate::ntoskrnl;
use crate::rules::port as rules;
use crate::schedule::irql::HIGH;

crate::variadic!(
    /// `StorPortDebugPrint`.
    debug_print => log::debug_print
);

macro_rules! exports {
    ($name:ident: $($text:literal => $function:expr),* $(,)?) => {
        match $name {
            $($text => $function as *const c_void,)*
            _ => return None,
        }
    };
}

/// Address of an import.
pub(crate) fn resolve(library: &str, name: &str) -> Option<*const c_void> {
    if library.eq_ignore_ascii_case("storport.sys") {
        return storport(name);
    }
    let mut kernel = ["ntoskrnl.exe", "hal.dll"].iter();
    if !kernel.any(|known| library.eq_ignore_ascii_case(known)) {
        return None;
    }
    ntoskrnl::resolve(name)
        .or_else(|| kernel::resolve(name))
        .or_else(|| prohibited_export(name))
        .or_else(|| unoffered::stand_in(library, name))
}

fn prohibited_export(name: &str) -> Option<*const c_void> {
    Some(exports!(name:
        "ExAllocatePool2" => prohibited_pool,
        "ExAllocatePoolWithTag" => prohibited_pool,
        "ExFreePool" => prohibited_free,
        "ExFreePoolWithTag" => prohibited_free,
        "KeGetCurrentIrql" => prohibited_irql,
    ))
}

/// Exports of `storport.sys` that are documented and not offered.
const UNOFFERED: [&str; 2] = ["StorPortCompleteRequest", "StorPortReadDriverRegistry"];

fn storport(name: &str) -> Option<*const c_void> {
    if UNOFFERED.contains(&name) {
        return unoffered::stand_in("storport.sys", name);
    }
    Some(exports!(name:
        "StorPortInitialize" => initialize::storport_initialize,
        "StorPortNotification" => storport_notification,
        "StorPortExtendedFunction" => storport_extended_function,
        "StorPortGetDeviceBase" => registers::get_device_base,
        "StorPortFreeDeviceBase" => registers::free_device_base,
        "StorPortGetBusData" => bus::get_bus_data,
        "StorPortSetBusDataByOffset" => bus::set_bus_data_by_offset,
        "StorPortGetUncachedExtension" => memory::get_uncached_extension,
        "StorPortGetPhysicalAddress" => memory::get_physical_address,
        "StorPortGetVirtualAddress" => memory::get_virtual_address,
        "StorPortGetScatterGatherList" => scatter::get_scatter_gather_list,
        "StorPortGetLogicalUnit" => units::get_logical_unit,
        "StorPortPauseDevice" => units::pause_device,
        "StorPortResumeDevice" => units::resume_device,
        "StorPortPause" => units::pause,
        "StorPortResume" => units::resume,
        "StorPortDeviceBusy" => units::device_busy,
        "StorPortDeviceReady" => units::device_ready,
        "StorPortBusy" => units::busy,
        "StorPortReady" => units::ready,
        "StorPortSetDeviceQueueDepth" => units::set_device_queue_depth,
        "StorPortStallExecution" => processors::stall_execution,
        "StorPortQuerySystemTime" => processors::query_system_time,
        "StorPortGetMessageInterruptInformation" => processors::get_message_interrupt_information,
        "StorPortSynchronizeAccess" => locks::synchronize_access,
        "StorPortAllocateRegistryBuffer" => registry::allocate_registry_buffer,
        "StorPortFreeRegistryBuffer" => registry::free_registry_buffer,
        "StorPortRegistryRead" => registry::registry_read,
        "StorPortRegistryWrite" => registry::registry_write,
        "StorPortLogError" => log::log_error,
        "StorPortValidateRange" => registers::validate_range,
        "StorPortDebugPrint" => debug_print,
        "StorPortMoveMemory" => move_memory,
        "StorPortConvertUlongToPhysicalAddress" => same,
        "StorPortConvertPhysicalAddressToUlong" => same,
    ))
}

/// `StorPortMoveMemory`.
extern "win64" fn move_memory(to: u64, from: u64, bytes: u64) {
    let call = Call::enter_without_adapter("StorPortMoveMemory", HIGH);
    let sound = call.needs_room(to, bytes as usize, "target")
        && call.needs_bytes(from, bytes as usize, "source");
    if sound {
        let content = crate::abi::callback::read_bytes(from, bytes as usize);
        crate::abi::callback::write_bytes(to, &content);
    }
}

/// The two conversions between addresses and numbers, which are the same here.
extern "win64" fn same(value: u64) -> u64 {
    value
}

/// A pool function of the kernel: judged, and without success.
extern "win64" fn prohibited_pool() -> u64 {
    prohibited("a pool function of the kernel")
}

extern "win64" fn prohibited_free() {
    prohibited("a pool function of the kernel");
}

extern "win64" fn prohibited_irql() -> u64 {
    prohibited("KeGetCurrentIrql");
    u64::from(crate::schedule::Cpu::current().irql())
}

fn prohibited(name: &'static str) -> u64 {
    let call = Call::enter_without_adapter(name, HIGH);
    call.cpu().check(&rules::CALL_PROHIBITED, false, || {
        format!("{name} is called")
    });
    0
}

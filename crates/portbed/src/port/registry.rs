//! The registry: parameters of the driver, and the adapter's own key.

use std::collections::BTreeMap;

use super::call::Call;
use super::memory::release;
use crate::abi::{callback, status};
use crate::memory::Request;
use crate::rules::port as rules;
use crate::schedule::irql::PASSIVE;
use crate::thunk::Arguments;

/// `MINIPORT_REG_DWORD`.
const DWORD: u32 = 4;
/// The length of a buffer when the miniport names none.
const DEFAULT_BUFFER_BYTES: u32 = 256;
/// The longest name of a value.
const NAME_LIMIT: usize = 256;

/// Buffers that are out, and what was written.
#[derive(Default)]
pub(super) struct Registry {
    pub(super) buffers: BTreeMap<u64, u32>,
    /// What was written to `Parameters\Device<n>`: type and value by name.
    written: BTreeMap<String, (u32, Vec<u8>)>,
    /// The adapter's hardware key: (sub-key, name) to type and value.
    adapter_key: BTreeMap<(String, String), (u32, Vec<u8>)>,
}

/// `StorPortAllocateRegistryBuffer`.
pub(super) extern "win64" fn allocate_registry_buffer(extension: u64, length_at: u64) -> u64 {
    let call = Call::enter("StorPortAllocateRegistryBuffer", extension, PASSIVE);
    if !call.needs_place::<u32>(length_at, "length") {
        return 0;
    }
    let wanted: u32 = callback::read(length_at);
    let bytes = if wanted == 0 {
        DEFAULT_BUFFER_BYTES
    } else {
        wanted
    };
    let va = allocate(&call, bytes);
    callback::write(length_at, if va == 0 { 0 } else { bytes });
    va
}

fn allocate(call: &Call, bytes: u32) -> u64 {
    let request = Request::new(u64::from(bytes), "registry buffer");
    let Some(mapping) = call.cpu().core().memory.alloc_scattered(request, 0) else {
        return 0;
    };
    call.cpu()
        .state()
        .port
        .registry
        .buffers
        .insert(mapping.va, bytes);
    mapping.va
}

/// `StorPortFreeRegistryBuffer`.
pub(super) extern "win64" fn free_registry_buffer(extension: u64, buffer: u64) {
    let call = Call::enter("StorPortFreeRegistryBuffer", extension, PASSIVE);
    let known = call
        .cpu()
        .state()
        .port
        .registry
        .buffers
        .remove(&buffer)
        .is_some();
    call.cpu().check(&rules::REGISTRY_FREE, known, || {
        format!("{buffer:#x} is no registry buffer")
    });
    if known {
        release(call.cpu(), buffer);
    }
}

/// `StorPortRegistryRead`.
pub(super) extern "win64" fn registry_read(
    extension: u64,
    name_at: u64,
    global: u32,
    kind: u32,
    buffer: u64,
    length_at: u64,
) -> u64 {
    let call = Call::enter("StorPortRegistryRead", extension, PASSIVE);
    if !call.needs::<u8>(name_at, "name") || !call.needs_place::<u32>(length_at, "length") {
        return 0;
    }
    let room: u32 = callback::read(length_at);
    if !judge_buffer(&call, buffer, room) {
        return 0;
    }
    let name = call.string(name_at, NAME_LIMIT);
    let Some((stored, value)) = find(&call, global != 0, &name) else {
        return 0;
    };
    callback::write(length_at, value.len() as u32);
    if stored != kind || value.len() > room as usize {
        return 0;
    }
    callback::write_bytes(buffer, &value);
    1
}

/// A parameter: what the miniport wrote, else what the machine was given. Names differ in more than case.
fn find(call: &Call, global: bool, name: &str) -> Option<(u32, Vec<u8>)> {
    let written = {
        let state = call.cpu().state();
        let written = if global {
            &state.driver.parameters
        } else {
            &state.port.registry.written
        };
        let found = written
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.clone())
    };
    written.or_else(|| {
        // `Device<n>\Name` is a value of one adapter alone.
        let registry = &call.cpu().core().registry;
        let wanted = if global {
            name.to_owned()
        } else {
            format!(r"Device{}\{name}", call.cpu().adapter())
        };
        let given = registry
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(&wanted));
        given.map(|(_, value)| (DWORD, value.to_le_bytes().to_vec()))
    })
}

/// `StorPortRegistryWrite`.
pub(super) extern "win64" fn registry_write(
    extension: u64,
    name_at: u64,
    global: u32,
    kind: u32,
    buffer: u64,
    length: u32,
) -> u64 {
    let call = Call::enter("StorPortRegistryWrite", extension, PASSIVE);
    if !call.needs::<u8>(name_at, "name") || !judge_buffer(&call, buffer, length) {
        return 0;
    }
    let name = call.string(name_at, NAME_LIMIT);
    let value = callback::read_bytes(buffer, length as usize);
    let mut state = call.cpu().state();
    let written = if global != 0 {
        &mut state.driver.parameters
    } else {
        &mut state.port.registry.written
    };
    written.insert(name, (kind, value));
    1
}

fn judge_buffer(call: &Call, buffer: u64, bytes: u32) -> bool {
    let room = call
        .cpu()
        .state()
        .port
        .registry
        .buffers
        .get(&buffer)
        .copied();
    call.cpu().check(
        &rules::REGISTRY_BUFFER,
        room.is_some_and(|room| bytes <= room),
        || format!("{} with {bytes} bytes at {buffer:#x}", call.name()),
    )
}

/// `StorPortRegistryReadAdapterKey`: the value comes in a buffer of the port driver's.
pub(super) fn read_adapter_key(call: &Call, arguments: &mut Arguments) -> u32 {
    let (sub_key_at, name_at, kind) = (
        arguments.next_u64(),
        arguments.next_u64(),
        arguments.next_u32(),
    );
    let (data_at, length_at) = (arguments.next_u64(), arguments.next_u64());
    let sound = call.needs::<u8>(name_at, "name")
        && call.needs_place::<u64>(data_at, "place for the value")
        && call.needs_place::<u32>(length_at, "length");
    if !sound {
        return status::INVALID_PARAMETER;
    }
    let key = (
        call.string(sub_key_at, NAME_LIMIT),
        call.string(name_at, NAME_LIMIT),
    );
    let found = call
        .cpu()
        .state()
        .port
        .registry
        .adapter_key
        .get(&key)
        .cloned();
    let Some((_, value)) = found.filter(|(stored, _)| *stored == kind) else {
        return status::UNSUCCESSFUL;
    };
    // A buffer that the miniport names is used when it is long enough; else it gets one.
    let named: u64 = callback::read(data_at);
    let room: u32 = callback::read(length_at);
    callback::write(length_at, value.len() as u32);
    if named == 0 {
        let buffer = allocate(call, value.len() as u32);
        if buffer == 0 {
            return status::INSUFFICIENT_RESOURCES;
        }
        callback::write_bytes(buffer, &value);
        callback::write(data_at, buffer);
    } else if value.len() > room as usize {
        return status::BUFFER_TOO_SMALL;
    } else if call.needs_room(named, value.len(), "buffer") {
        callback::write_bytes(named, &value);
    } else {
        return status::INVALID_PARAMETER;
    }
    status::SUCCESS
}

/// `StorPortRegistryWriteAdapterKey`.
pub(super) fn write_adapter_key(call: &Call, arguments: &mut Arguments) -> u32 {
    let (sub_key_at, name_at, kind) = (
        arguments.next_u64(),
        arguments.next_u64(),
        arguments.next_u32(),
    );
    let (data, length) = (arguments.next_u64(), arguments.next_u32());
    if !call.needs::<u8>(name_at, "name") || !call.needs_bytes(data, length as usize, "value") {
        return status::INVALID_PARAMETER;
    }
    let key = (
        call.string(sub_key_at, NAME_LIMIT),
        call.string(name_at, NAME_LIMIT),
    );
    let value = callback::read_bytes(data, length as usize);
    call.cpu()
        .state()
        .port
        .registry
        .adapter_key
        .insert(key, (kind, value));
    status::SUCCESS
}

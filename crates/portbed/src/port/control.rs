//! `HwAdapterControl` and `HwUnitControl`.

use crate::abi::callback;
use crate::abi::power::{control, unit_control};
use crate::abi::srb::{ADDRESS_TYPE_BTL8, AddressBtl8, BTL8_ADDRESS_LENGTH};
use crate::machine::{Power, UnitAddress};
use crate::memory::Request;
use crate::rules::port as rules;
use crate::schedule::{Callback, Cpu};

/// Bytes behind the list of types that a miniport must leave alone.
const GUARD_BYTES: usize = 16;
/// What they hold.
const GUARD: u8 = 0xA5;

/// Asks which control types the miniport supports. `PASSIVE_LEVEL`.
pub(super) fn query_supported(cpu: &Cpu) {
    let (adapter_routine, unit_routine) = {
        let state = cpu.state();
        let initialization = &state.port.adapter.initialization;
        (initialization.adapter_control, initialization.unit_control)
    };
    let known = match cpu.core().options.power {
        Power::Control => control::MAX,
        Power::Stop => control::MAX_BEFORE_ADAPTER_POWER,
    };
    let supported = ask(
        cpu,
        Callback::AdapterControl(control::QUERY_SUPPORTED),
        adapter_routine,
        known,
    );
    let required = [control::STOP_ADAPTER, control::RESTART_ADAPTER];
    cpu.check(
        &rules::CONTROL_REQUIRED,
        required.iter().all(|&kind| supported[kind as usize]),
        || "stop or restart is not supported".to_owned(),
    );
    let unit_supported = if unit_routine == 0 {
        Vec::new()
    } else {
        ask(
            cpu,
            Callback::UnitControl(unit_control::QUERY_SUPPORTED),
            unit_routine,
            unit_control::MAX,
        )
    };
    let mut state = cpu.state();
    state.port.adapter.supported = supported;
    state.port.adapter.unit_supported = unit_supported;
}

/// Asks one routine; the flag of each type up to `max`.
fn ask(cpu: &Cpu, callback: Callback, routine: u64, max: u32) -> Vec<bool> {
    let extension = cpu.state().port.adapter.extension;
    let bytes = 4 + max as usize + GUARD_BYTES;
    let mut list = vec![0; 4 + max as usize];
    list.resize(bytes, GUARD);
    list[..4].copy_from_slice(&max.to_le_bytes());
    let request = Request::new(bytes as u64, "control type list");
    let Some(block) = cpu.core().memory.alloc_scattered(request, 0) else {
        return vec![false; max as usize];
    };
    callback::write_bytes(block.va, &list);
    let status = cpu.call(callback, routine, [extension, 0, block.va, 0, 0, 0]) as u32;
    let answer = callback::read_bytes(block.va, bytes);
    super::memory::release(cpu, block.va);
    cpu.check(&rules::CONTROL_SUCCESS, status == 0, || {
        format!("the query of control types returned {status}")
    });
    let intact =
        answer[..4] == list[..4] && answer[4 + max as usize..].iter().all(|&byte| byte == GUARD);
    cpu.check(&rules::CONTROL_LIST, intact, || {
        format!("more than the {max} entries were written")
    });
    answer[4..4 + max as usize]
        .iter()
        .map(|&flag| flag != 0)
        .collect()
}

/// Calls `HwAdapterControl` with a type that the miniport supports; whether it succeeded.
pub(super) fn adapter_control(cpu: &Cpu, kind: u32, parameters: u64) -> bool {
    let (routine, extension) = {
        let state = cpu.state();
        (
            state.port.adapter.initialization.adapter_control,
            state.port.adapter.extension,
        )
    };
    let arguments = [extension, u64::from(kind), parameters, 0, 0, 0];
    let status = cpu.call(Callback::AdapterControl(kind), routine, arguments) as u32;
    cpu.check(&rules::CONTROL_SUCCESS, status == 0, || {
        format!("adapter control {kind} returned {status}")
    })
}

/// Calls `HwUnitControl` for a unit, if the miniport supports the type.
pub(super) fn unit_control(cpu: &Cpu, kind: u32, unit: UnitAddress) {
    let (routine, extension, supported) = {
        let state = cpu.state();
        let adapter = &state.port.adapter;
        (
            adapter.initialization.unit_control,
            adapter.extension,
            adapter.supports_unit(kind),
        )
    };
    if !supported {
        return;
    }
    let request = Request::new(size_of::<AddressBtl8>() as u64, "unit address");
    let Some(block) = cpu.core().memory.alloc_scattered(request, 0) else {
        return;
    };
    callback::write(block.va, address(unit));
    let arguments = [extension, u64::from(kind), block.va, 0, 0, 0];
    let status = cpu.call(Callback::UnitControl(kind), routine, arguments) as u32;
    super::memory::release(cpu, block.va);
    cpu.check(&rules::UNIT_CONTROL_SUCCESS, status == 0, || {
        format!("unit control {kind} returned {status}")
    });
}

/// The address of a unit as a structure.
pub(super) fn address(unit: UnitAddress) -> AddressBtl8 {
    AddressBtl8 {
        kind: ADDRESS_TYPE_BTL8,
        port: 0,
        address_length: BTL8_ADDRESS_LENGTH,
        path: unit.path,
        target: unit.target,
        lun: unit.lun,
        reserved: 0,
        gap_0: 0,
    }
}

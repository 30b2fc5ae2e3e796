//! The power management framework, as far as it goes without idling: an adapter or a unit is registered, and what it says of its
//! activity is counted. Nothing is ever idled, so that no activation has to be waited for.

use std::collections::{BTreeMap, BTreeSet};

use super::call::Call;
use super::units;
use crate::abi::pofx::{
    ADAPTER_STATES, COMPONENTS, Component, DEVICES, Device, IDLE_STATE, IdleState, UNIT_STATES,
};
use crate::abi::srb::AddressBtl8;
use crate::abi::{callback, status};
use crate::machine::UnitAddress;
use crate::rules::port as rules;
use crate::thunk::Arguments;

/// The adapter, or a unit.
type Whose = Option<UnitAddress>;

/// What is registered, and the activations that were not taken back.
#[derive(Default)]
pub(super) struct Idle {
    registered: BTreeSet<Whose>,
    active: BTreeMap<Whose, u32>,
}

/// `StorPortInitializePoFxPower`.
pub(super) fn register(call: &Call, arguments: &mut Arguments) -> u32 {
    let address = arguments.next_u64();
    let (device, cold_at) = (arguments.next_u64(), arguments.next_u64());
    let Some(whose) = whose(call, address) else {
        return status::INVALID_PARAMETER;
    };
    if !call.needs_place::<u8>(cold_at, "place for D3ColdEnabled")
        || !call.needs::<Device>(device, "STOR_POFX_DEVICE")
    {
        return status::INVALID_PARAMETER;
    }
    let most = if whose.is_none() {
        ADAPTER_STATES
    } else {
        UNIT_STATES
    };
    let wrong = fault_of(call, device, most);
    let sound = call.cpu().check(&rules::POFX_DEVICE, wrong.is_none(), || {
        wrong.unwrap_or_default()
    });
    if !sound {
        return status::INVALID_PARAMETER;
    }
    // D3cold is not offered.
    callback::write(cold_at, 0_u8);
    if call.cpu().state().port.idle.registered.insert(whose) {
        status::SUCCESS
    } else {
        status::UNSUCCESSFUL
    }
}

/// What is wrong with a device that has at most so many states.
fn fault_of(call: &Call, at: u64, most: u32) -> Option<String> {
    let device: Device = callback::read(at);
    if !DEVICES.contains(&(device.version, device.size)) {
        return Some(format!(
            "version {} of {} bytes",
            device.version, device.size
        ));
    }
    if device.component_count != 1 {
        return Some(format!("{} components", device.component_count));
    }
    let at = at + u64::from(device.size);
    if !call.needs::<Component>(at, "STOR_POFX_COMPONENT") {
        return Some("no component".to_owned());
    }
    let component: Component = callback::read(at);
    let Component {
        version,
        size,
        state_count,
        deepest_wakeable,
        ..
    } = component;
    if !COMPONENTS.contains(&(version, size)) {
        return Some(format!("component version {version} of {size} bytes"));
    }
    if !(1..=most).contains(&state_count) || deepest_wakeable >= state_count {
        return Some(format!(
            "{state_count} states of at most {most}, of which {deepest_wakeable} is the deepest to wake from"
        ));
    }
    let bytes = size_of::<IdleState>();
    let at = at + u64::from(size);
    if !call.needs_bytes(at, bytes * state_count as usize, "F-states") {
        return Some("no states".to_owned());
    }
    (0..u64::from(state_count)).find_map(|index| {
        let state: IdleState = callback::read(at + index * bytes as u64);
        let IdleState { version, size, .. } = state;
        ((version, size) != IDLE_STATE)
            .then(|| format!("F{index} of version {version}, {size} bytes"))
    })
}

/// `StorPortPoFxActivateComponent`.
pub(super) fn activate(call: &Call, arguments: &mut Arguments) -> u32 {
    let whose = match named(call, arguments) {
        Ok(whose) => whose,
        Err(status) => return status,
    };
    *call
        .cpu()
        .state()
        .port
        .idle
        .active
        .entry(whose)
        .or_default() += 1;
    status::SUCCESS
}

/// `StorPortPoFxIdleComponent`.
pub(super) fn idle(call: &Call, arguments: &mut Arguments) -> u32 {
    let whose = match named(call, arguments) {
        Ok(whose) => whose,
        Err(status) => return status,
    };
    let left = {
        let mut state = call.cpu().state();
        let active = state.port.idle.active.entry(whose).or_default();
        let left = active.checked_sub(1);
        *active = left.unwrap_or(0);
        left
    };
    call.cpu().check(&rules::POFX_BALANCE, left.is_some(), || {
        format!("{whose:?} is not active")
    });
    match left {
        None => status::INVALID_DEVICE_REQUEST,
        Some(0) => status::SUCCESS,
        // The reference is gone, and the component is still active.
        Some(_) => status::BUSY,
    }
}

/// `StorPortPoFxSetComponentLatency`, `StorPortPoFxSetComponentResidency`: what is tolerated. Nothing is idled, whatever it is.
pub(super) fn tolerate(call: &Call, arguments: &mut Arguments) -> u32 {
    let address = arguments.next_u64();
    let component = arguments.next_u32();
    let Some(whose) = whose(call, address) else {
        return status::INVALID_PARAMETER;
    };
    if !judge_component(call, component, 0) {
        return status::INVALID_PARAMETER;
    }
    registered(call, whose)
}

/// `StorPortPoFxSetIdleTimeout`.
pub(super) fn set_timeout(call: &Call, arguments: &mut Arguments) -> u32 {
    whose(call, arguments.next_u64())
        .map_or(status::INVALID_PARAMETER, |whose| registered(call, whose))
}

/// Whose component a call is about, or why it fails.
fn named(call: &Call, arguments: &mut Arguments) -> Result<Whose, u32> {
    let (address, srb) = (arguments.next_u64(), arguments.next_u64());
    let (component, flags) = (arguments.next_u32(), arguments.next_u32());
    let whose = whose(call, address).ok_or(status::INVALID_PARAMETER)?;
    let cpu = call.cpu();
    let known = srb == 0 || cpu.state().port.queues.outstanding.contains_key(&srb);
    cpu.check(&rules::SRB_KNOWN, known, || {
        format!("{srb:#x} is no outstanding request")
    });
    if !judge_component(call, component, flags) || !known {
        return Err(status::INVALID_PARAMETER);
    }
    match registered(call, whose) {
        status::SUCCESS => Ok(whose),
        status => Err(status),
    }
}

/// There is one component, and flags are not used.
fn judge_component(call: &Call, component: u32, flags: u32) -> bool {
    let sound = component == 0 && flags == 0;
    call.cpu().check(&rules::POFX_COMPONENT, sound, || {
        format!(
            "{} names component {component} with flags {flags:#x}",
            call.name()
        )
    })
}

/// What is registered can be idled.
fn registered(call: &Call, whose: Whose) -> u32 {
    if call.cpu().state().port.idle.registered.contains(&whose) {
        status::SUCCESS
    } else {
        status::INVALID_DEVICE_REQUEST
    }
}

/// The adapter for 0, or a unit by its address; `None` where it has none.
fn whose(call: &Call, address: u64) -> Option<Whose> {
    if address == 0 {
        return Some(None);
    }
    if !call.needs::<AddressBtl8>(address, "address") {
        return None;
    }
    let unit: AddressBtl8 = callback::read(address);
    let unit = UnitAddress {
        adapter: call.cpu().adapter(),
        path: unit.path,
        target: unit.target,
        lun: unit.lun,
    };
    units::judge(call, unit).then_some(Some(unit))
}

//! The adapter's registers, as the miniport maps and accesses them.

use super::call::Call;
use crate::controller::Width;
use crate::machine::Neighbour;
use crate::rules::port as rules;
use crate::schedule::irql::DISPATCH;
use crate::schedule::{Callback, Cpu};
use crate::trap::{MmioAccess, MmioWindow};

/// Virtual time of a register read: a round trip over the bus.
const READ_NS: u64 = 600;
/// Virtual time of a register write, which is posted.
const WRITE_NS: u64 = 120;

/// One register write in so many is followed by an interrupt of another device on the line.
const NEIGHBOUR_ONE_IN: u32 = 4;

/// A mapping of registers.
pub(super) enum Window {
    /// Every access is trapped.
    Trapped(MmioWindow),
    /// The device's own registers, at this address.
    Straight(u64),
}

impl Window {
    fn address(&self) -> u64 {
        match self {
            Self::Trapped(mapping) => mapping.address(),
            Self::Straight(address) => *address,
        }
    }
}

/// `StorPortGetDeviceBase`.
pub(super) extern "win64" fn get_device_base(
    extension: u64,
    _bus_type: u32,
    _bus: u32,
    address: u64,
    bytes: u32,
    in_io_space: u8,
) -> u64 {
    let call = Call::enter("StorPortGetDeviceBase", extension, DISPATCH);
    let cpu = call.cpu();
    cpu.check(
        &rules::DEVICE_BASE_SITE,
        call.is_in(&[Callback::FindAdapter]),
        || "StorPortGetDeviceBase is called in another callback".to_owned(),
    );
    let (bar, bar_bytes) = {
        let state = cpu.state();
        (state.port.adapter.bar_address, state.port.adapter.bar_bytes)
    };
    let end = address.saturating_add(u64::from(bytes));
    let inside = address >= bar && end <= bar + bar_bytes && bytes > 0 && in_io_space == 0;
    cpu.check(&rules::DEVICE_BASE_RANGE, inside, || {
        format!(
            "{bytes:#x} bytes at {address:#x}; the registers are {bar_bytes:#x} bytes at {bar:#x}"
        )
    });
    if !inside {
        return 0;
    }
    let offset = address - bar;
    let straight = cpu.state().controller.mapped_registers();
    let window = if let Some(base) = straight {
        Window::Straight(base + offset)
    } else {
        let adapter = cpu.adapter();
        let window = MmioWindow::reserve(u64::from(bytes), move |access| {
            access_register(adapter, offset, access)
        });
        let Ok(mapping) = window else { return 0 };
        Window::Trapped(mapping)
    };
    let mapped = window.address();
    cpu.state().port.windows.push(window);
    mapped
}

/// `StorPortValidateRange`: TRUE, as for every miniport of a plug-and-play adapter.
pub(super) extern "win64" fn validate_range(extension: u64) -> u8 {
    let call = Call::enter("StorPortValidateRange", extension, DISPATCH);
    call.cpu().check(&rules::CALL_DEPRECATED, false, || {
        "StorPortValidateRange is called".to_owned()
    });
    1
}

/// `StorPortFreeDeviceBase`.
pub(super) extern "win64" fn free_device_base(extension: u64, address: u64) {
    let call = Call::enter("StorPortFreeDeviceBase", extension, DISPATCH);
    let cpu = call.cpu();
    cpu.check(
        &rules::DEVICE_BASE_SITE,
        call.is_in(&[Callback::FindAdapter]),
        || "StorPortFreeDeviceBase is called in another callback".to_owned(),
    );
    let known = {
        let mut state = cpu.state();
        let windows = &mut state.port.windows;
        let before = windows.len();
        windows.retain(|window| window.address() != address);
        windows.len() < before
    };
    cpu.check(&rules::DEVICE_BASE_RANGE, known, || {
        format!("nothing is mapped at {address:#x}")
    });
}

/// The miniport accesses a register; this runs on its stack.
fn access_register(adapter: usize, base: u64, access: MmioAccess) -> u64 {
    let cpu = Cpu::current().of(adapter);
    let offset = base + access.offset;
    let width = match access.bytes {
        4 => Width::Four,
        8 => Width::Eight,
        other => Width::Other(other),
    };
    // A read waits for everything before it to reach the device, so others may act before it as well as after.
    if access.value.is_none() {
        cpu.point(READ_NS);
    }
    let result = {
        let mut state = cpu.state();
        if let Some(cost) = state.cost_of(cpu.index()) {
            match access.value {
                Some(_) => cost.mmio_writes += 1,
                None => cost.mmio_reads += 1,
            }
        }
        let shown = state.interrupts.line_shows();
        let result = cpu
            .core()
            .with_controller(&mut state, |controller, now_ns, wiring| {
                match access.value {
                    Some(value) => {
                        controller.write(offset, width, value, now_ns, wiring);
                        0
                    }
                    None => controller.read(offset, width, now_ns, wiring),
                }
            });
        state.interrupts.accessed(cpu.index(), shown);
        let neighbour = cpu.core().options.neighbour;
        if access.value.is_some() && neighbour != Neighbour::None {
            let chance = state.random.u32(..NEIGHBOUR_ONE_IN) == 0;
            state.interrupts.neighbour_acts(neighbour, chance);
        }
        result
    };
    if access.value.is_some() {
        cpu.point(WRITE_NS);
    }
    result
}

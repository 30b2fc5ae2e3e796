//! The PCI Express function: configuration space, and the interrupts that the adapter gets.

use super::call::Call;
use crate::abi::callback;
use crate::controller::{Controller, Wiring};
use crate::machine::Interrupts;
use crate::pci;
use crate::rules::port as rules;
use crate::schedule::irql::DISPATCH;
use crate::schedule::{Callback, Cpu};

/// `BUS_DATA_TYPE`: PCI configuration space.
const PCI_CONFIGURATION: u32 = 4;
/// Base address register 0, and its type (PCI Local Bus, 6.2.5.1).
const BAR0: u16 = 0x10;
const BAR_TYPE: u32 = 0b110;
const BAR_64_BIT: u32 = 0b100;
/// MSI-X message control, enable bit, in the upper half of the first dword.
const MSI_X_ENABLE: u32 = 1 << 31;
/// MSI message control, in the upper half of the first dword: enabled, how many messages there are, how many are enabled, and
/// addresses of 64 bits.
const MSI_ENABLE: u32 = 1 << 16;
const MSI_CAPABLE_SHIFT: u32 = 17;
const MSI_ENABLED_SHIFT: u32 = 20;
const MSI_COUNT: u32 = 7;
const MSI_WIDE: u32 = 1 << 23;
/// Where interrupt messages go on x64.
pub(super) const MESSAGE_ADDRESS: u64 = 0xFEE0_0000;
/// Messages that a function has, and is granted, at most.
const MOST_MESSAGES: u32 = 2048;

/// The MSI-X capability of a function.
struct MsiX {
    capability: u16,
    vectors: u32,
    table_offset: u64,
}

fn msi_x(controller: &dyn Controller) -> Option<MsiX> {
    let read = |offset, bytes| controller.config_read(offset, bytes);
    let capability = pci::capability(read, pci::MSI_X)?;
    Some(MsiX {
        capability,
        vectors: (read(capability, 4) >> 16 & 0x7FF) + 1,
        table_offset: u64::from(read(capability + 4, 4) & !7),
    })
}

/// The MSI capability of a function: where it lies, and how many messages it has as a power of two.
fn msi(controller: &dyn Controller) -> Option<(u16, u32)> {
    let read = |offset, bytes| controller.config_read(offset, bytes);
    let capability = pci::capability(read, pci::MSI)?;
    let capable = read(capability, 4) >> MSI_CAPABLE_SHIFT & MSI_COUNT;
    Some((capability, capable.min(5)))
}

/// Decides how many messages the adapter gets, as plug and play does before the adapter is found.
pub(super) fn assign_interrupts(cpu: &Cpu) {
    let mut state = cpu.state();
    let vectors = msi_x(state.controller.as_ref()).map_or(0, |msi_x| msi_x.vectors);
    state.port.adapter.messages = match state.port.adapter.interrupts {
        Interrupts::Messages | Interrupts::Early | Interrupts::Late => vectors.min(MOST_MESSAGES),
        Interrupts::Msi => msi(state.controller.as_ref()).map_or(0, |(_, capable)| 1 << capable),
        Interrupts::OneMessage => vectors.min(1),
        Interrupts::Line => 0,
    };
}

/// Enables MSI-X with every message masked, as it may be when the adapter is found.
pub(super) fn enable_masked(cpu: &Cpu) {
    let core = cpu.core();
    let mut state = cpu.state();
    core.with_controller(&mut state, |controller, now_ns, wiring| {
        program(controller, 0, 0, now_ns, wiring);
        switch(controller, true, now_ns, wiring);
    });
}

/// Writes the message table and enables MSI-X, or disables it for a miniport that takes no messages. Where the adapter gets plain
/// MSI, that instead.
pub(super) fn program_messages(cpu: &Cpu) {
    let core = cpu.core();
    let mut state = cpu.state();
    let adapter = &state.port.adapter;
    let first_vector = adapter.first_vector;
    let plain = adapter.interrupts == Interrupts::Msi;
    let messages = if adapter.message_routine == 0 {
        0
    } else {
        adapter.messages
    };
    core.with_controller(&mut state, |controller, now_ns, wiring| {
        let (msi, msi_x) = if plain { (messages, 0) } else { (0, messages) };
        program(controller, msi_x, first_vector, now_ns, wiring);
        program_msi(controller, msi, first_vector, now_ns, wiring);
    });
}

/// Enables so many messages of plain MSI, a power of two, or disables it.
fn program_msi(
    controller: &mut dyn Controller,
    messages: u32,
    first_vector: u32,
    now_ns: u64,
    wiring: &mut Wiring<'_>,
) {
    let Some((capability, _)) = msi(controller) else {
        return;
    };
    let control = controller.config_read(capability, 4);
    let wide = control & MSI_WIDE != 0;
    let control = control & !(MSI_ENABLE | MSI_COUNT << MSI_ENABLED_SHIFT);
    let mut put = |at: u16, value: u32| controller.config_write(at, 4, value, now_ns, wiring);
    put(capability, control);
    if messages == 0 {
        return;
    }
    let data = if wide {
        capability + 12
    } else {
        capability + 8
    };
    put(capability + 4, MESSAGE_ADDRESS as u32);
    if wide {
        put(capability + 8, 0);
    }
    put(data, first_vector);
    let enabled = messages.trailing_zeros() << MSI_ENABLED_SHIFT;
    put(capability, control | enabled | MSI_ENABLE);
}

fn program(
    controller: &mut dyn Controller,
    messages: u32,
    first_vector: u32,
    now_ns: u64,
    wiring: &mut Wiring<'_>,
) {
    let Some(msi_x) = msi_x(controller) else {
        return;
    };
    for vector in 0..msi_x.vectors {
        let entry = msi_x.table_offset + u64::from(vector) * 16;
        let used = vector < messages;
        let data = if used { first_vector + vector } else { 0 };
        let words = [
            if used { MESSAGE_ADDRESS as u32 } else { 0 },
            0,
            data,
            u32::from(!used),
        ];
        for (offset, word) in (0_u64..).step_by(4).zip(words) {
            controller.write(
                entry + offset,
                crate::controller::Width::Four,
                u64::from(word),
                now_ns,
                wiring,
            );
        }
    }
    switch(controller, messages > 0, now_ns, wiring);
}

/// Enables or disables MSI-X.
fn switch(controller: &mut dyn Controller, on: bool, now_ns: u64, wiring: &mut Wiring<'_>) {
    let Some(MsiX { capability, .. }) = msi_x(controller) else {
        return;
    };
    let control = controller.config_read(capability, 4);
    let enable = if on {
        control | MSI_X_ENABLE
    } else {
        control & !MSI_X_ENABLE
    };
    controller.config_write(capability, 4, enable, now_ns, wiring);
}

/// `StorPortGetBusData`: bytes read.
pub(super) extern "win64" fn get_bus_data(
    extension: u64,
    kind: u32,
    _bus: u32,
    _slot: u32,
    buffer: u64,
    length: u32,
) -> u32 {
    let call = Call::enter("StorPortGetBusData", extension, DISPATCH);
    judge_site(&call);
    if kind != PCI_CONFIGURATION {
        tell_other_type(&call, kind);
        return 0;
    }
    let length = length.min(256);
    if !call.needs_room(buffer, length as usize, "buffer") {
        return 0;
    }
    let assigned = assigned_bar(call.cpu());
    for offset in 0..length as u16 {
        let bar = offset.checked_sub(BAR0).map(usize::from);
        let byte = match bar.and_then(|byte| assigned.get(byte)) {
            Some(&byte) => byte,
            None => call.cpu().state().controller.config_read(offset, 1) as u8,
        };
        callback::write(buffer + u64::from(offset), byte);
    }
    length
}

/// What the base address register of the registers holds: the address that plug and play assigned, which is that of the
/// access range, and the kind of range that the device asks for. A device that this process reaches in its own way has
/// not been told that address.
fn assigned_bar(cpu: &Cpu) -> Vec<u8> {
    let state = cpu.state();
    let kind = state.controller.config_read(BAR0, 4) & 0xF;
    let bar = state.port.adapter.bar_address | u64::from(kind);
    let bytes = if kind & BAR_TYPE == BAR_64_BIT { 8 } else { 4 };
    bar.to_le_bytes()[..bytes].to_vec()
}

/// The other types are those of buses that the adapter is not on.
fn tell_other_type(call: &Call, kind: u32) {
    call.tell_once(&format!(
        "{} of bus data type {kind}: there is PCIConfiguration ({PCI_CONFIGURATION}) only, 0 bytes",
        call.name()
    ));
}

/// `StorPortSetBusDataByOffset`: bytes written.
pub(super) extern "win64" fn set_bus_data_by_offset(
    extension: u64,
    kind: u32,
    _bus: u32,
    _slot: u32,
    buffer: u64,
    offset: u32,
    length: u32,
) -> u32 {
    let call = Call::enter("StorPortSetBusDataByOffset", extension, DISPATCH);
    judge_site(&call);
    if kind != PCI_CONFIGURATION {
        tell_other_type(&call, kind);
    }
    if kind != PCI_CONFIGURATION
        || offset.saturating_add(length) > 256
        || !call.needs_bytes(buffer, length as usize, "buffer")
    {
        return 0;
    }
    for index in 0..length {
        let byte: u8 = callback::read(buffer + u64::from(index));
        let mut state = call.cpu().state();
        let at = (offset + index) as u16;
        call.cpu()
            .core()
            .with_controller(&mut state, |controller, now_ns, wiring| {
                controller.config_write(at, 1, u32::from(byte), now_ns, wiring);
            });
    }
    length
}

fn judge_site(call: &Call) {
    let site = call.is_in(&[Callback::FindAdapter])
        || call.is_in(&[Callback::AdapterControl(
            crate::abi::power::control::SET_RUNNING_CONFIG,
        )])
        || call.is_in(&[Callback::AdapterControl(
            crate::abi::power::control::SET_BOOT_CONFIG,
        )]);
    call.cpu().check(&rules::BUS_DATA_SITE, site, || {
        format!("{} is called in another callback", call.name())
    });
}

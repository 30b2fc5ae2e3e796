//! What a miniport registers with the power management framework.

use zerocopy::FromBytes;

/// `STOR_POFX_DEVICE`, without its components.
#[repr(C)]
#[derive(Clone, Copy, Debug, FromBytes)]
pub(crate) struct Device {
    pub(crate) version: u32,
    pub(crate) size: u32,
    pub(crate) component_count: u32,
    pub(crate) flags: u32,
}

/// `STOR_POFX_COMPONENT`, without its states.
#[repr(C)]
#[derive(Clone, Copy, Debug, FromBytes)]
pub(crate) struct Component {
    pub(crate) version: u32,
    pub(crate) size: u32,
    pub(crate) state_count: u32,
    pub(crate) deepest_wakeable: u32,
    pub(crate) id: [u8; 16],
}

/// `STOR_POFX_COMPONENT_IDLE_STATE`.
#[repr(C)]
#[derive(Clone, Copy, Debug, FromBytes)]
pub(crate) struct IdleState {
    pub(crate) version: u32,
    pub(crate) size: u32,
    pub(crate) transition_latency: u64,
    pub(crate) residency_requirement: u64,
    pub(crate) nominal_power: u32,
    pub(crate) gap_0: u32,
}

/// Each version of `STOR_POFX_DEVICE` with its size, which is where the components begin.
pub(crate) const DEVICES: [(u32, u32); 3] = [(1, 0x10), (2, 0x18), (3, 0x18)];
/// Each version of `STOR_POFX_COMPONENT` with its size, which is where the states begin.
pub(crate) const COMPONENTS: [(u32, u32); 2] = [(1, 0x20), (2, 0x28)];
/// `STOR_POFX_COMPONENT_IDLE_STATE`: its only version, with its size.
pub(crate) const IDLE_STATE: (u32, u32) = (1, 0x20);
/// F-states that an adapter, and a unit, may have.
pub(crate) const ADAPTER_STATES: u32 = 8;
pub(crate) const UNIT_STATES: u32 = 2;

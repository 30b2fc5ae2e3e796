//! Power State Descriptors of Identify Controller (Base 5.17.2.1, figure 276).

use bitfield_struct::bitfield;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::width;

/// Power State Descriptor (Base 5.17.2.1, figure 276).
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct PowerStateDescriptor {
    /// Maximum Power, in units of 10 mW, or of 100 uW where `flags.mxps` is set; 0 says nothing.
    pub mp: u16,
    /// Reserved.
    pub reserved_2: u8,
    /// Scale of the maximum power, and whether the state is operational.
    pub flags: PowerStateFlags,
    /// Entry Latency, in us; 0 says nothing.
    pub enlat_us: u32,
    /// Exit Latency, in us; 0 says nothing.
    pub exlat_us: u32,
    /// Relative performance among the power states.
    pub relative: RelativePerformance,
    /// Idle Power, scaled by `idle_scale`; 0 says nothing.
    pub idlp: u16,
    /// Scale of the idle power.
    pub idle_scale: IdlePowerScale,
    /// Reserved.
    pub reserved_19: u8,
    /// Active Power, scaled by `active`; 0 says nothing.
    pub actp: u16,
    /// Workload and scale of the active power.
    pub active: ActivePower,
    /// Reserved.
    pub reserved_23: [u8; 9],
}
const _: () = assert!(size_of::<PowerStateDescriptor>() == 32);

/// Byte 3 of a Power State Descriptor (Base 5.17.2.1).
#[bitfield(u8)]
#[derive(PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct PowerStateFlags {
    /// Max Power Scale: `mp` is in units of 100 uW, not 10 mW.
    pub mxps: bool,
    /// Non-Operational State: no I/O command is processed in it.
    pub nops: bool,
    #[bits(6)]
    __: u8,
}

/// Bytes 12 to 15 of a Power State Descriptor: lower is better, and each is less than the number of power states
/// (Base 5.17.2.1).
#[bitfield(u32)]
#[derive(PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct RelativePerformance {
    /// Relative Read Throughput.
    #[bits(5, into = width::u8::<5>)]
    pub rrt: u8,
    #[bits(3)]
    __: u8,
    /// Relative Read Latency.
    #[bits(5, into = width::u8::<5>)]
    pub rrl: u8,
    #[bits(3)]
    __: u8,
    /// Relative Write Throughput.
    #[bits(5, into = width::u8::<5>)]
    pub rwt: u8,
    #[bits(3)]
    __: u8,
    /// Relative Write Latency.
    #[bits(5, into = width::u8::<5>)]
    pub rwl: u8,
    #[bits(3)]
    __: u8,
}

/// Byte 18 of a Power State Descriptor (Base 5.17.2.1).
#[bitfield(u8)]
#[derive(PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct IdlePowerScale {
    #[bits(6)]
    __: u8,
    /// Idle Power Scale: 0 not reported, 1 units of 100 uW, 2 units of 10 mW.
    #[bits(2, into = width::u8::<2>)]
    pub ips: u8,
}

/// Byte 22 of a Power State Descriptor (Base 5.17.2.1).
#[bitfield(u8)]
#[derive(PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct ActivePower {
    /// Active Power Workload.
    #[bits(3, into = width::u8::<3>)]
    pub apw: u8,
    #[bits(3)]
    __: u8,
    /// Active Power Scale: 0 not reported, 1 units of 100 uW, 2 units of 10 mW.
    #[bits(2, into = width::u8::<2>)]
    pub aps: u8,
}

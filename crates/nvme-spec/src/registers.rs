//! Controller registers ("properties"): offsets in BAR0 and the layout of each (Base section 3.1.3, PCIe section 3.1.2).

use bitfield_struct::bitfield;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::code::code;
use crate::width;

/// Controller Capabilities, [`Capabilities`], 8 bytes, read-only (Base 3.1.3.1).
pub const CAP: u32 = 0x00;
/// Version, [`Version`], 4 bytes, read-only (Base 3.1.3.2).
pub const VS: u32 = 0x08;
/// Interrupt Mask Set, 4 bytes, a bit a vector; writing 1 masks it. Not to be used with MSI-X (Base 3.1.3.3).
pub const INTMS: u32 = 0x0C;
/// Interrupt Mask Clear, 4 bytes, a bit a vector; writing 1 unmasks it. Not to be used with MSI-X (Base 3.1.3.4).
pub const INTMC: u32 = 0x10;
/// Controller Configuration, [`ControllerConfiguration`], 4 bytes (Base 3.1.3.5).
pub const CC: u32 = 0x14;
/// Controller Status, [`ControllerStatus`], 4 bytes (Base 3.1.3.6).
pub const CSTS: u32 = 0x1C;
/// NVM Subsystem Reset, 4 bytes: writing [`NSSR_RESET`] resets the subsystem (Base 3.1.3.7).
pub const NSSR: u32 = 0x20;
/// Admin Queue Attributes, [`AdminQueueAttributes`], 4 bytes (Base 3.1.3.8).
pub const AQA: u32 = 0x24;
/// Admin Submission Queue Base Address, 8 bytes; bits 11:0 are reserved (Base 3.1.3.9).
pub const ASQ: u32 = 0x28;
/// Admin Completion Queue Base Address, 8 bytes; bits 11:0 are reserved (Base 3.1.3.10).
pub const ACQ: u32 = 0x30;
/// Controller Memory Buffer Location, [`ControllerMemoryBufferLocation`], 4 bytes (Base 3.1.3.11).
pub const CMBLOC: u32 = 0x38;
/// Controller Memory Buffer Size, [`ControllerMemoryBufferSize`], 4 bytes (Base 3.1.3.12).
pub const CMBSZ: u32 = 0x3C;
/// Controller Ready Timeouts, [`ReadyTimeouts`], 4 bytes, read-only (Base 3.1.3.21).
pub const CRTO: u32 = 0x68;
/// Where the doorbells begin: the admin submission queue's tail doorbell (PCIe 3.1.2.1).
pub const DOORBELLS: u32 = 0x1000;

/// The value that resets the NVM subsystem when written to [`NSSR`]: "NVMe" in ASCII (Base 3.1.3.7).
pub const NSSR_RESET: u32 = 0x4E56_4D65;

/// Offset of a submission queue's tail doorbell, 4 bytes, write-only: `1000h + (2y * (4 << CAP.DSTRD))` (PCIe 3.1.2.1).
/// `dstrd` has 4 bits; what is above them is ignored.
#[must_use]
pub const fn submission_tail_doorbell(queue_id: u16, dstrd: u8) -> u32 {
    doorbell((queue_id as u32).wrapping_mul(2), dstrd)
}

/// Offset of a completion queue's head doorbell, 4 bytes, write-only: `1000h + ((2y + 1) * (4 << CAP.DSTRD))` (PCIe 3.1.2.2).
/// `dstrd` has 4 bits; what is above them is ignored.
#[must_use]
pub const fn completion_head_doorbell(queue_id: u16, dstrd: u8) -> u32 {
    doorbell((queue_id as u32).wrapping_mul(2).wrapping_add(1), dstrd)
}

/// What does not fit 32 bits (the last queues at the widest strides) saturates: it is in no BAR.
const fn doorbell(index: u32, dstrd: u8) -> u32 {
    let stride = 4 << (dstrd & 0xF);
    index.saturating_mul(stride).saturating_add(DOORBELLS)
}

/// CAP, Controller Capabilities (Base 3.1.3.1, figure 36). Read-only.
#[bitfield(u64)]
#[derive(PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct Capabilities {
    /// Maximum Queue Entries Supported, zero-based: an I/O queue has at most `mqes_z + 1` entries.
    pub mqes_z: u16,
    /// Contiguous Queues Required: I/O queues have to be physically contiguous.
    pub cqr: bool,
    /// Arbitration Mechanism Supported: weighted round robin with urgent priority class.
    pub ams_weighted_round_robin: bool,
    /// Arbitration Mechanism Supported: vendor specific.
    pub ams_vendor: bool,
    #[bits(5)]
    __: u8,
    /// Timeout, in units of 500 ms: the longest wait for CSTS.RDY to follow CC.EN.
    pub to: u8,
    /// Doorbell Stride: the distance between doorbells is `4 << dstrd` bytes.
    #[bits(4, into = width::u8::<4>)]
    pub dstrd: u8,
    /// NVM Subsystem Reset Supported.
    pub nssrs: bool,
    /// Command Sets Supported: the NVM Command Set.
    pub css_nvm: bool,
    #[bits(5)]
    __: u8,
    /// Command Sets Supported: one or more I/O Command Sets, found by Identify.
    pub css_io_command_sets: bool,
    /// Command Sets Supported: no I/O Command Set, admin commands only.
    pub css_admin_only: bool,
    /// Boot Partition Support.
    pub bps: bool,
    /// Controller Power Scope: 0 not reported, 1 controller, 2 domain, 3 NVM subsystem.
    #[bits(2, into = width::u8::<2>)]
    pub cps: u8,
    /// Memory Page Size Minimum: `2 ^ (12 + mpsmin)` bytes.
    #[bits(4, into = width::u8::<4>)]
    pub mpsmin: u8,
    /// Memory Page Size Maximum: `2 ^ (12 + mpsmax)` bytes.
    #[bits(4, into = width::u8::<4>)]
    pub mpsmax: u8,
    /// Persistent Memory Region Supported.
    pub pmrs: bool,
    /// Controller Memory Buffer Supported.
    pub cmbs: bool,
    /// NVM Subsystem Shutdown Supported.
    pub nsss: bool,
    /// Controller Ready With Media Support: CRTO.CRWMT is valid.
    pub crwms: bool,
    /// Controller Ready Independent of Media Support: CRTO.CRIMT and CC.CRIME are valid.
    pub crims: bool,
    #[bits(3)]
    __: u8,
}

/// VS, Version of the specification that the controller implements (Base 3.1.3.2). Read-only; also Identify's VER.
#[bitfield(u32)]
#[derive(PartialEq, Eq, PartialOrd, Ord, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct Version {
    /// Tertiary Version Number.
    pub ter: u8,
    /// Minor Version Number.
    pub mnr: u8,
    /// Major Version Number.
    pub mjr: u16,
}

/// CC, Controller Configuration (Base 3.1.3.5).
#[bitfield(u32)]
#[derive(PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct ControllerConfiguration {
    /// Enable: 1 starts the controller, a change to 0 resets it.
    pub en: bool,
    #[bits(3)]
    __: u8,
    /// I/O Command Set Selected.
    #[bits(3)]
    pub css: CommandSetSelected,
    /// Memory Page Size: `2 ^ (12 + mps)` bytes.
    #[bits(4, into = width::u8::<4>)]
    pub mps: u8,
    /// Arbitration Mechanism Selected: 0 round robin, 1 weighted round robin with urgent priority class, 7 vendor specific.
    #[bits(3, into = width::u8::<3>)]
    pub ams: u8,
    /// Shutdown Notification.
    #[bits(2)]
    pub shn: ShutdownNotification,
    /// I/O Submission Queue Entry Size: `2 ^ iosqes` bytes; 6 in the NVM Command Set.
    #[bits(4, into = width::u8::<4>)]
    pub iosqes: u8,
    /// I/O Completion Queue Entry Size: `2 ^ iocqes` bytes; 4 in the NVM Command Set.
    #[bits(4, into = width::u8::<4>)]
    pub iocqes: u8,
    /// Controller Ready Independent of Media Enable.
    pub crime: bool,
    #[bits(7)]
    __: u8,
}

code! {
    /// CC.CSS, I/O Command Set Selected (Base 3.1.3.5).
    pub struct CommandSetSelected(u8: 3) {
        NVM = 0, "NVM Command Set";
        ALL_SUPPORTED = 6, "all supported I/O Command Sets";
        ADMIN_ONLY = 7, "admin commands only";
        _ => "reserved command set selection";
    }
}

code! {
    /// CC.SHN, Shutdown Notification (Base 3.1.3.5).
    pub struct ShutdownNotification(u8: 2) {
        NONE = 0, "no notification";
        NORMAL = 1, "normal shutdown";
        ABRUPT = 2, "abrupt shutdown";
        _ => "reserved shutdown notification";
    }
}

/// CSTS, Controller Status (Base 3.1.3.6). All ones is what a controller that has gone reads as.
#[bitfield(u32)]
#[derive(PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct ControllerStatus {
    /// Ready.
    pub rdy: bool,
    /// Controller Fatal Status.
    pub cfs: bool,
    /// Shutdown Status.
    #[bits(2)]
    pub shst: ShutdownStatus,
    /// NVM Subsystem Reset Occurred; writing 1 clears it.
    pub nssro: bool,
    /// Processing Paused.
    pub pp: bool,
    /// Shutdown Type: SHST tells of the controller (0) or of the NVM subsystem (1).
    pub st: bool,
    #[bits(25)]
    __: u32,
}

code! {
    /// CSTS.SHST, Shutdown Status (Base 3.1.3.6).
    pub struct ShutdownStatus(u8: 2) {
        NORMAL_OPERATION = 0, "normal operation, no shutdown requested";
        IN_PROGRESS = 1, "shutdown in progress";
        COMPLETE = 2, "shutdown complete";
        _ => "reserved shutdown status";
    }
}

/// AQA, Admin Queue Attributes (Base 3.1.3.8).
#[bitfield(u32)]
#[derive(PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct AdminQueueAttributes {
    /// Admin Submission Queue Size in entries, zero-based, at least 1.
    #[bits(12, into = width::u16::<12>)]
    pub asqs_z: u16,
    #[bits(4)]
    __: u8,
    /// Admin Completion Queue Size in entries, zero-based, at least 1.
    #[bits(12, into = width::u16::<12>)]
    pub acqs_z: u16,
    #[bits(4)]
    __: u8,
}

/// CMBLOC, Controller Memory Buffer Location (Base 3.1.3.11).
#[bitfield(u32)]
#[derive(PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct ControllerMemoryBufferLocation {
    /// Base Indicator Register: 0, 2, 3, 4 or 5 for the BAR that holds the buffer.
    #[bits(3, into = width::u8::<3>)]
    pub bir: u8,
    /// Queue Mixed Memory Support: a queue may lie partly in the buffer.
    pub cqmms: bool,
    /// Queue Physically Discontiguous Support.
    pub cqpds: bool,
    /// Data Pointer Mixed Locations Support: PRP or SGL lists may lie partly in the buffer.
    pub cdpmls: bool,
    /// Data Pointer and Command Independent Locations Support.
    pub cdpcils: bool,
    /// Data Metadata Mixed Memory Support.
    pub cdmmms: bool,
    /// Queue Dword Alignment.
    pub cqda: bool,
    #[bits(3)]
    __: u8,
    /// Offset of the buffer in the BAR, in units of CMBSZ.SZU.
    #[bits(20, into = width::u32::<20>)]
    pub ofst: u32,
}

/// CMBSZ, Controller Memory Buffer Size (Base 3.1.3.12). Read-only.
#[bitfield(u32)]
#[derive(PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct ControllerMemoryBufferSize {
    /// Submission Queue Support.
    pub sqs: bool,
    /// Completion Queue Support.
    pub cqs: bool,
    /// PRP SGL List Support.
    pub lists: bool,
    /// Read Data Support.
    pub rds: bool,
    /// Write Data Support.
    pub wds: bool,
    #[bits(3)]
    __: u8,
    /// Size Units: `4096 * 16 ^ szu` bytes; 7 and above are reserved.
    #[bits(4, into = width::u8::<4>)]
    pub szu: u8,
    /// Size, in size units.
    #[bits(20, into = width::u32::<20>)]
    pub sz: u32,
}

/// CRTO, Controller Ready Timeouts (Base 3.1.3.21). Read-only.
#[bitfield(u32)]
#[derive(PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct ReadyTimeouts {
    /// Controller Ready With Media Timeout, in units of 500 ms; valid when CAP.CRWMS is 1.
    pub crwmt: u16,
    /// Controller Ready Independent of Media Timeout, in units of 500 ms; valid when CAP.CRIMS is 1.
    pub crimt: u16,
}

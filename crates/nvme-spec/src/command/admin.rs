//! Dwords of admin commands (Base section 5).

use bitfield_struct::bitfield;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::code::code;
use crate::feature::{FeatureId, Select};
use crate::identify::Cns;
use crate::log::LogPageId;
use crate::width;

/// Abort, dword 10 (Base 5.1). Dword 0 of the completion: bit 0 set says that the command was not aborted.
#[bitfield(u32)]
#[derive(PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct AbortCdw10 {
    /// Submission Queue Identifier of the command to abort.
    pub sqid: u16,
    /// Command Identifier of the command to abort.
    pub cid: u16,
}

/// Create I/O Completion Queue and Create I/O Submission Queue, dword 10 (Base 5.4 and 5.5).
#[bitfield(u32)]
#[derive(PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct CreateQueueCdw10 {
    /// Queue Identifier: 1 or more.
    pub qid: u16,
    /// Queue Size in entries, zero-based, at least 1.
    pub qsize_z: u16,
}

/// Create I/O Completion Queue, dword 11 (Base 5.4).
#[bitfield(u32)]
#[derive(PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct CreateCompletionQueueCdw11 {
    /// Physically Contiguous: PRP1 is the address of the queue, not of a PRP list.
    pub pc: bool,
    /// Interrupts Enabled.
    pub ien: bool,
    #[bits(14)]
    __: u16,
    /// Interrupt Vector: the MSI-X or MSI message; 0 for pin-based and single-message MSI.
    pub iv: u16,
}

/// Create I/O Submission Queue, dword 11 (Base 5.5).
#[bitfield(u32)]
#[derive(PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct CreateSubmissionQueueCdw11 {
    /// Physically Contiguous: PRP1 is the address of the queue, not of a PRP list.
    pub pc: bool,
    /// Queue Priority, for weighted round robin.
    #[bits(2)]
    pub qprio: QueuePriority,
    #[bits(13)]
    __: u16,
    /// Completion Queue Identifier: 1 or more, and created before.
    pub cqid: u16,
}

code! {
    /// Priority of a submission queue under weighted round robin (Base 5.5).
    pub struct QueuePriority(u8: 2) {
        URGENT = 0, "urgent";
        HIGH = 1, "high";
        MEDIUM = 2, "medium";
        LOW = 3, "low";
        _ => "reserved queue priority";
    }
}

/// Delete I/O Completion Queue and Delete I/O Submission Queue, dword 10 (Base 5.6 and 5.7).
#[bitfield(u32)]
#[derive(PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct DeleteQueueCdw10 {
    /// Queue Identifier: 1 or more.
    pub qid: u16,
    __: u16,
}

/// Identify, dword 10 (Base 5.17).
#[bitfield(u32)]
#[derive(PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct IdentifyCdw10 {
    /// Controller or Namespace Structure: what to return.
    #[bits(8)]
    pub cns: Cns,
    __: u8,
    /// Controller Identifier, for the structures that need one.
    pub cntid: u16,
}

/// Identify, dword 11 (Base 5.17).
#[bitfield(u32)]
#[derive(PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct IdentifyCdw11 {
    /// CNS Specific Identifier, such as an NVM Set Identifier.
    pub cnsid: u16,
    __: u8,
    /// Command Set Identifier: 0 for the NVM Command Set.
    pub csi: u8,
}

/// Get Log Page, dword 10 (Base 5.16).
#[bitfield(u32)]
#[derive(PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct GetLogPageCdw10 {
    /// Log Page Identifier.
    #[bits(8)]
    pub lid: LogPageId,
    /// Log Specific Field.
    #[bits(7, into = width::u8::<7>)]
    pub lsp: u8,
    /// Retain Asynchronous Event: reading the page does not clear the event.
    pub rae: bool,
    /// Number of Dwords, lower 16 bits of a zero-based number; the upper bits are [`GetLogPageCdw11::numdu_z`].
    pub numdl_z: u16,
}

/// Get Log Page, dword 11 (Base 5.16). Dwords 12 and 13 hold the offset in the page, in bytes, a multiple of 4.
#[bitfield(u32)]
#[derive(PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct GetLogPageCdw11 {
    /// Number of Dwords, upper 16 bits of a zero-based number.
    pub numdu_z: u16,
    /// Log Specific Identifier.
    pub lsi: u16,
}

/// Get Features and Set Features, dword 10 (Base 5.15 and 5.27).
#[bitfield(u32)]
#[derive(PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct FeatureCdw10 {
    /// Feature Identifier.
    #[bits(8)]
    pub fid: FeatureId,
    /// Select, of Get Features: which value to return. Reserved in Set Features.
    #[bits(3)]
    pub select: Select,
    #[bits(20)]
    __: u32,
    /// Save, of Set Features: keep the value across power cycles and resets. Reserved in Get Features.
    pub save: bool,
}

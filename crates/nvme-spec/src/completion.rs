//! Completion queue entries (Base 3.3.3.2).

use bitfield_struct::bitfield;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::width;

/// Size of a completion queue entry in bytes, `1 << COMPLETION_SHIFT`.
pub const COMPLETION_BYTES: usize = size_of::<Completion>();
/// Base-2 logarithm of [`COMPLETION_BYTES`]: the value of CC.IOCQES.
pub const COMPLETION_SHIFT: u8 = 4;
const _: () = assert!(COMPLETION_BYTES == 1 << COMPLETION_SHIFT);

/// Common Completion Queue Entry (Base 3.3.3.2).
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Completion {
    /// Dword 0: specific to the command.
    pub dw0: u32,
    /// Dword 1: specific to the command.
    pub dw1: u32,
    /// SQ Head Pointer: the submission queue's head when the entry was written.
    pub sq_head: u16,
    /// SQ Identifier: the submission queue that the command came from.
    pub sq_id: u16,
    /// Command Identifier: as in the command.
    pub cid: u16,
    /// Phase tag and status.
    pub status: StatusField,
}

/// Phase Tag and Status, the upper half of dword 3 (Base 3.3.3.2.1).
#[bitfield(u16)]
#[derive(PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct StatusField {
    /// Phase Tag: inverted at each pass of the controller through the queue; not part of the status.
    pub phase: bool,
    /// Status Code.
    pub code: u8,
    /// Status Code Type.
    #[bits(3, into = width::u8::<3>)]
    pub code_type: u8,
    /// Command Retry Delay: 0 none, else which of Identify's CRDT1, CRDT2 and CRDT3 to wait before a retry.
    #[bits(2, into = width::u8::<2>)]
    pub crd: u8,
    /// More: the Error Information log page tells more.
    pub more: bool,
    /// Do Not Retry: the command would fail again.
    pub do_not_retry: bool,
}

//! Submission queue entries: the common format and the opcodes (Base 3.3.3.1), and the dwords of single commands.

mod admin;
mod nvm;

pub use admin::*;
pub use nvm::*;

use bitfield_struct::bitfield;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::code::code;
use crate::width;

/// Size of a submission queue entry in bytes, `1 << COMMAND_SHIFT`.
pub const COMMAND_BYTES: usize = size_of::<Command>();
/// Base-2 logarithm of [`COMMAND_BYTES`]: the value of CC.IOSQES.
pub const COMMAND_SHIFT: u8 = 6;
const _: () = assert!(COMMAND_BYTES == 1 << COMMAND_SHIFT);

/// Broadcast namespace identifier: all namespaces (Base 3.2.1).
pub const NSID_ALL: u32 = 0xFFFF_FFFF;

/// Common Command Format (Base 3.3.3.1, figure 87). Data pointers are PRP entries: SGLs are not described.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Command {
    /// Command Dword 0: opcode and identifier.
    pub cdw0: CommandDword0,
    /// Namespace Identifier; 0 where the command uses none, [`NSID_ALL`] for all.
    pub nsid: u32,
    /// Command Dword 2: specific to the command.
    pub cdw2: u32,
    /// Command Dword 3: specific to the command.
    pub cdw3: u32,
    /// Metadata Pointer: device address.
    pub mptr: u64,
    /// PRP Entry 1: device address of the data, a dword at least aligned.
    pub prp1: u64,
    /// PRP Entry 2: device address of the second page, or of the PRP list when there are more than two.
    pub prp2: u64,
    /// Command Dword 10: specific to the command.
    pub cdw10: u32,
    /// Command Dword 11: specific to the command.
    pub cdw11: u32,
    /// Command Dword 12: specific to the command.
    pub cdw12: u32,
    /// Command Dword 13: specific to the command.
    pub cdw13: u32,
    /// Command Dword 14: specific to the command.
    pub cdw14: u32,
    /// Command Dword 15: specific to the command.
    pub cdw15: u32,
}

/// Command Dword 0 (Base 3.3.3.1, figure 86).
#[bitfield(u32)]
#[derive(PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct CommandDword0 {
    /// Opcode: an [`AdminOpcode`] in the admin queue, an [`NvmOpcode`] in an I/O queue.
    pub opcode: u8,
    /// Fused Operation: 0 none, 1 first command, 2 second command.
    #[bits(2, into = width::u8::<2>)]
    pub fuse: u8,
    #[bits(4)]
    __: u8,
    /// PRP or SGL for Data Transfer: 0 PRPs; 1 and 2 SGLs, with a metadata buffer or with an SGL for metadata.
    #[bits(2, into = width::u8::<2>)]
    pub psdt: u8,
    /// Command Identifier: unique among the outstanding commands of its submission queue; `FFFFh` should not be used.
    pub cid: u16,
}

code! {
    /// Opcodes of admin commands (Base section 5).
    pub struct AdminOpcode(u8: 8) {
        DELETE_SUBMISSION_QUEUE = 0x00, "Delete I/O Submission Queue";
        CREATE_SUBMISSION_QUEUE = 0x01, "Create I/O Submission Queue";
        GET_LOG_PAGE = 0x02, "Get Log Page";
        DELETE_COMPLETION_QUEUE = 0x04, "Delete I/O Completion Queue";
        CREATE_COMPLETION_QUEUE = 0x05, "Create I/O Completion Queue";
        IDENTIFY = 0x06, "Identify";
        ABORT = 0x08, "Abort";
        SET_FEATURES = 0x09, "Set Features";
        GET_FEATURES = 0x0A, "Get Features";
        ASYNC_EVENT_REQUEST = 0x0C, "Asynchronous Event Request";
        NAMESPACE_MANAGEMENT = 0x0D, "Namespace Management";
        FIRMWARE_COMMIT = 0x10, "Firmware Commit";
        FIRMWARE_IMAGE_DOWNLOAD = 0x11, "Firmware Image Download";
        DEVICE_SELF_TEST = 0x14, "Device Self-test";
        NAMESPACE_ATTACHMENT = 0x15, "Namespace Attachment";
        KEEP_ALIVE = 0x18, "Keep Alive";
        DIRECTIVE_SEND = 0x19, "Directive Send";
        DIRECTIVE_RECEIVE = 0x1A, "Directive Receive";
        VIRTUALIZATION_MANAGEMENT = 0x1C, "Virtualization Management";
        NVME_MI_SEND = 0x1D, "NVMe-MI Send";
        NVME_MI_RECEIVE = 0x1E, "NVMe-MI Receive";
        CAPACITY_MANAGEMENT = 0x20, "Capacity Management";
        LOCKDOWN = 0x24, "Lockdown";
        DOORBELL_BUFFER_CONFIG = 0x7C, "Doorbell Buffer Config";
        FABRICS = 0x7F, "Fabrics command";
        FORMAT_NVM = 0x80, "Format NVM";
        SECURITY_SEND = 0x81, "Security Send";
        SECURITY_RECEIVE = 0x82, "Security Receive";
        SANITIZE = 0x84, "Sanitize";
        GET_LBA_STATUS = 0x86, "Get LBA Status";
        _ => "unknown admin command";
    }
}

code! {
    /// Opcodes of I/O commands in the NVM Command Set (Base section 7; NVM section 3.2).
    pub struct NvmOpcode(u8: 8) {
        FLUSH = 0x00, "Flush";
        WRITE = 0x01, "Write";
        READ = 0x02, "Read";
        WRITE_UNCORRECTABLE = 0x04, "Write Uncorrectable";
        COMPARE = 0x05, "Compare";
        WRITE_ZEROES = 0x08, "Write Zeroes";
        DATASET_MANAGEMENT = 0x09, "Dataset Management";
        VERIFY = 0x0C, "Verify";
        RESERVATION_REGISTER = 0x0D, "Reservation Register";
        RESERVATION_REPORT = 0x0E, "Reservation Report";
        RESERVATION_ACQUIRE = 0x11, "Reservation Acquire";
        RESERVATION_RELEASE = 0x15, "Reservation Release";
        COPY = 0x19, "Copy";
        _ => "unknown NVM command";
    }
}

//! The messages of vfio-user: a header, a structure for each command, all in the byte order of the host.

use rustix::io::Errno;
use thiserror::Error;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// The largest piece of data that one message carries, in bytes.
pub const MOST_DATA_BYTES: usize = 1 << 20;
/// The largest message, in bytes: a write to a region.
const MOST_BYTES: usize = size_of::<Header>() + size_of::<RegionAccess>() + MOST_DATA_BYTES;

/// Header flag: the message answers another one.
const REPLY: u32 = 1;
/// Header flags: the bits that tell commands from replies.
const TYPE: u32 = 0xF;
/// Header flag: nobody waits for an answer.
const NO_REPLY: u32 = 1 << 4;
/// Header flag: `error` says why the command was not obeyed.
const ERROR: u32 = 1 << 5;

/// What every message begins with.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, FromBytes, Immutable, IntoBytes, KnownLayout)]
pub struct Header {
    /// Chosen by the sender; the reply repeats it.
    pub id: u16,
    /// What is asked.
    pub command: u16,
    /// Size of the message with this header.
    pub bytes: u32,
    /// Command or reply, and whether a reply is wanted.
    pub flags: u32,
    /// An `errno`, in replies.
    pub error: u32,
}

impl Header {
    /// The size of what follows, if the header is one that a client may send.
    pub fn body_bytes(&self) -> Result<usize, ProtocolError> {
        let bytes = self.bytes as usize;
        if !(size_of::<Self>()..=MOST_BYTES).contains(&bytes) {
            return Err(ProtocolError::Size {
                command: self.command,
                bytes: self.bytes,
            });
        }
        if self.flags & TYPE != 0 {
            return Err(ProtocolError::NoCommand(self.flags));
        }
        Ok(bytes - size_of::<Self>())
    }

    /// The whole reply, unless none is wanted.
    pub fn reply(&self, body: &[u8]) -> Option<Vec<u8>> {
        self.answer(REPLY, 0, body)
    }

    /// The whole reply that says why the command was not obeyed, unless none is wanted.
    pub fn refusal(&self, why: Errno) -> Option<Vec<u8>> {
        self.answer(REPLY | ERROR, why.raw_os_error().unsigned_abs(), &[])
    }

    fn answer(&self, flags: u32, error: u32, body: &[u8]) -> Option<Vec<u8>> {
        let header = Self {
            id: self.id,
            command: self.command,
            bytes: (size_of::<Self>() + body.len()) as u32,
            flags,
            error,
        };
        (self.flags & NO_REPLY == 0).then(|| [header.as_bytes(), body].concat())
    }
}

/// What a client can ask, as far as it is obeyed here.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Command {
    /// Agree on a version and on limits: the first message.
    Version,
    /// Memory of the client that the device may use.
    DmaMap,
    /// Memory that it may no longer use.
    DmaUnmap,
    /// What the device is.
    DeviceInfo,
    /// One of its regions.
    RegionInfo,
    /// One kind of its interrupts.
    InterruptInfo,
    /// Where interrupts go.
    SetInterrupts,
    /// Read a region.
    RegionRead,
    /// Write a region.
    RegionWrite,
    /// Reset the device.
    Reset,
    /// One that exists, or will, and is not for this device.
    Other(u16),
}

impl From<u16> for Command {
    fn from(number: u16) -> Self {
        match number {
            1 => Self::Version,
            2 => Self::DmaMap,
            3 => Self::DmaUnmap,
            4 => Self::DeviceInfo,
            5 => Self::RegionInfo,
            7 => Self::InterruptInfo,
            8 => Self::SetInterrupts,
            9 => Self::RegionRead,
            10 => Self::RegionWrite,
            13 => Self::Reset,
            other => Self::Other(other),
        }
    }
}

/// The fixed part of the version message; JSON follows.
#[repr(C)]
#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout)]
pub struct Version {
    /// Has to be 0.
    pub major: u16,
    /// The lower one of both sides is used.
    pub minor: u16,
}

/// Memory of the client.
#[repr(C)]
#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout)]
pub struct DmaMap {
    /// Size of this structure.
    pub argsz: u32,
    /// Bit 0: the device may read it; bit 1: it may write it.
    pub flags: u32,
    /// Where it begins in the file that comes along.
    pub offset: u64,
    /// Where it begins for the device.
    pub address: u64,
    /// Its size.
    pub bytes: u64,
}

/// Memory that the client takes back.
#[repr(C)]
#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout)]
pub struct DmaUnmap {
    /// Size of this structure.
    pub argsz: u32,
    /// Bit 1: tell which pages are dirty; bit 2: all there is.
    pub flags: u32,
    /// Where it begins for the device.
    pub address: u64,
    /// Its size.
    pub bytes: u64,
}

/// What the device is.
#[repr(C)]
#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout)]
pub struct DeviceInfo {
    /// Size of this structure.
    pub argsz: u32,
    /// Bit 0: it can be reset; bit 1: it is a PCI device.
    pub flags: u32,
    /// Number of regions.
    pub regions: u32,
    /// Number of kinds of interrupts.
    pub interrupts: u32,
}

/// A region of the device.
#[repr(C)]
#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout)]
pub struct RegionInfo {
    /// Size of this structure.
    pub argsz: u32,
    /// Bit 0: it can be read; bit 1: it can be written.
    pub flags: u32,
    /// Its number.
    pub index: u32,
    /// Where capabilities begin; there are none.
    pub capabilities: u32,
    /// Its size; 0 is none.
    pub bytes: u64,
    /// For regions that can be mapped.
    pub offset: u64,
}

/// A kind of interrupts.
#[repr(C)]
#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout)]
pub struct InterruptInfo {
    /// Size of this structure.
    pub argsz: u32,
    /// Bit 0: by eventfd; bit 1: can be masked; bit 2: masks itself when it is triggered.
    pub flags: u32,
    /// Its number.
    pub index: u32,
    /// How many interrupts there are.
    pub count: u32,
}

/// What becomes of interrupts; descriptors come along, or a byte for each interrupt follows.
#[repr(C)]
#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout)]
pub struct SetInterrupts {
    /// Size of this structure and what follows.
    pub argsz: u32,
    /// One of the kinds of data and one of the actions.
    pub flags: u32,
    /// The kind of interrupts.
    pub index: u32,
    /// The first of them.
    pub start: u32,
    /// How many.
    pub count: u32,
}

/// A part of a region; the data follow, in writes and in replies to reads.
#[repr(C)]
#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout)]
pub struct RegionAccess {
    /// Where it begins.
    pub offset: u64,
    /// The region.
    pub region: u32,
    /// How many bytes.
    pub count: u32,
}

/// A client that does not keep to the protocol. What it says cannot be trusted from then on: the session ends.
#[derive(Debug, Error)]
pub enum ProtocolError {
    /// The size in a header is impossible.
    #[error("a message of {bytes} bytes with command {command}")]
    Size {
        /// The command.
        command: u16,
        /// The size.
        bytes: u32,
    },
    /// A reply, or something unknown, where a command has to come.
    #[error("a message with flags {0:#x}, which is no command")]
    NoCommand(u32),
    /// The body is not as large as the command needs.
    #[error("{command:?} with a body of {bytes} bytes")]
    Body {
        /// The command.
        command: Command,
        /// Size of the body.
        bytes: usize,
    },
    /// More descriptors than were agreed on.
    #[error("more descriptors in a message than were agreed on, or than can be opened")]
    Descriptors,
    /// The connection ended within a message.
    #[error("the connection ended within a message")]
    Cut,
    /// The first message is another one.
    #[error("{0:?} before a version was agreed on")]
    NoVersion(Command),
    /// A version is agreed on once.
    #[error("a second version message")]
    SecondVersion,
    /// The version is not spoken here.
    #[error("version {}.{}, and only 0 is spoken here", .0.major, .0.minor)]
    Version(Version),
    /// What comes with the version is no JSON.
    #[error("the capabilities of the version message are no JSON that ends with a zero byte")]
    Capabilities,
    /// Replies are not taken.
    #[error("a reply could not be sent: {0}")]
    Reply(std::io::Error),
    /// The connection failed.
    #[error("the connection failed: {0}")]
    Connection(Errno),
}

/// Reads a structure that is the whole body.
pub fn whole<T: FromBytes>(command: Command, body: &[u8]) -> Result<T, ProtocolError> {
    T::read_from_bytes(body).map_err(|_| ProtocolError::Body {
        command,
        bytes: body.len(),
    })
}

/// Reads a structure that begins the body, and what follows it.
pub fn leading<T: FromBytes>(command: Command, body: &[u8]) -> Result<(T, &[u8]), ProtocolError> {
    T::read_from_prefix(body).map_err(|_| ProtocolError::Body {
        command,
        bytes: body.len(),
    })
}

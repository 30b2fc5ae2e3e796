//! Identify: what it can return, and lists and descriptors that several of them share (Base 5.17).

mod capabilities;
mod controller;
mod namespace;
mod power_state;

pub use capabilities::*;
pub use controller::*;
pub use namespace::*;
pub use power_state::*;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::code::code;

/// Size of every Identify data structure in bytes (Base 5.17).
pub const IDENTIFY_BYTES: usize = 4096;

code! {
    /// Controller or Namespace Structure: what Identify returns (Base 5.17.1, figure 273).
    pub struct Cns(u8: 8) {
        NAMESPACE = 0x00, "Identify Namespace";
        CONTROLLER = 0x01, "Identify Controller";
        ACTIVE_NAMESPACES = 0x02, "Active Namespace ID list";
        NAMESPACE_DESCRIPTORS = 0x03, "Namespace Identification Descriptor list";
        NVM_SETS = 0x04, "NVM Set List";
        COMMAND_SET_NAMESPACE = 0x05, "I/O Command Set specific Identify Namespace";
        COMMAND_SET_CONTROLLER = 0x06, "I/O Command Set specific Identify Controller";
        COMMAND_SET_ACTIVE_NAMESPACES = 0x07, "I/O Command Set specific Active Namespace ID list";
        COMMAND_SET_INDEPENDENT_NAMESPACE = 0x08, "I/O Command Set Independent Identify Namespace";
        ALLOCATED_NAMESPACES = 0x10, "Allocated Namespace ID list";
        ALLOCATED_NAMESPACE = 0x11, "Identify Namespace of an allocated namespace";
        NAMESPACE_CONTROLLERS = 0x12, "Namespace Attached Controller list";
        SUBSYSTEM_CONTROLLERS = 0x13, "Controller list";
        PRIMARY_CONTROLLER_CAPABILITIES = 0x14, "Primary Controller Capabilities";
        SECONDARY_CONTROLLERS = 0x15, "Secondary Controller list";
        NAMESPACE_GRANULARITY = 0x16, "Namespace Granularity List";
        UUIDS = 0x17, "UUID List";
        DOMAINS = 0x18, "Domain List";
        ENDURANCE_GROUPS = 0x19, "Endurance Group List";
        COMMAND_SET_ALLOCATED_NAMESPACES = 0x1A, "I/O Command Set specific Allocated Namespace ID list";
        COMMAND_SET_ALLOCATED_NAMESPACE = 0x1B, "I/O Command Set specific Identify Namespace of an allocated namespace";
        COMMAND_SETS = 0x1C, "Identify I/O Command Set";
        _ => "unknown Identify data structure";
    }
}

/// A list of namespace identifiers in increasing order, ended by 0 unless it is full (CNS 02h, Base 5.17.2.2).
/// It holds those that are greater than the NSID of the command.
#[derive(Clone, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(transparent)]
pub struct NamespaceList(
    /// The identifiers as they are on the wire.
    pub [u32; 1024],
);
const _: () = assert!(size_of::<NamespaceList>() == IDENTIFY_BYTES);

impl NamespaceList {
    /// The identifiers before the first 0. A controller may have put anything there: nothing says that they are in order.
    pub fn identifiers(&self) -> impl Iterator<Item = u32> + '_ {
        self.0.iter().copied().take_while(|&nsid| nsid != 0)
    }
}

/// A list of controller identifiers in increasing order (CNS 12h and 13h, Base 5.17).
#[derive(Clone, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct ControllerList {
    /// Number of Identifiers: at most 2047; 0 for an empty list.
    pub count: u16,
    /// Identifiers; those past `count` are 0.
    pub identifiers: [u16; 2047],
}
const _: () = assert!(size_of::<ControllerList>() == IDENTIFY_BYTES);

/// Head of a Namespace Identification Descriptor, followed by `nidl` bytes of identifier (Base 5.17.2.3).
/// A length of 0 ends the list.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct NamespaceIdDescriptorHeader {
    /// Namespace Identifier Type.
    pub nidt: NamespaceIdType,
    /// Namespace Identifier Length, in bytes.
    pub nidl: u8,
    /// Reserved.
    pub reserved: [u8; 2],
}
const _: () = assert!(size_of::<NamespaceIdDescriptorHeader>() == 4);

code! {
    /// Namespace Identifier Type (Base 5.17.2.3).
    pub struct NamespaceIdType(u8: 8) {
        EUI64 = 1, "IEEE Extended Unique Identifier, 8 bytes";
        NGUID = 2, "Namespace Globally Unique Identifier, 16 bytes";
        UUID = 3, "Namespace UUID, 16 bytes";
        CSI = 4, "Command Set Identifier, 1 byte";
        _ => "reserved namespace identifier type";
    }
}

/// The descriptors in the data of [`Cns::NAMESPACE_DESCRIPTORS`]: type and identifier of each (Base 5.17.2.3).
/// The list ends at a length of 0 or at the first descriptor that does not fit the data.
pub fn namespace_id_descriptors(data: &[u8]) -> impl Iterator<Item = (NamespaceIdType, &[u8])> {
    let mut rest = data;
    core::iter::from_fn(move || {
        let (header, after) = NamespaceIdDescriptorHeader::read_from_prefix(rest).ok()?;
        let (identifier, next) = after.split_at_checked(usize::from(header.nidl))?;
        rest = next;
        (!identifier.is_empty()).then_some((header.nidt, identifier))
    })
    .fuse()
}

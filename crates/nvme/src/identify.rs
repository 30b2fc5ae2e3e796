//! What Identify says (5.17), checked: fields are read one by one from the memory that the controller wrote,
//! so the 4 KiB structures never lie on a stack.

use core::mem::offset_of;
use core::num::NonZeroU64;

use nvme_spec::command::COMMAND_SHIFT;
use nvme_spec::completion::COMPLETION_SHIFT;
use nvme_spec::identify::{
    DataProtectionSettings, DeallocateFeatures, FormattedLbaSize, IdentifyController,
    IdentifyControllerNvm, IdentifyNamespace, LbaFormat, LogPageAttributes, MultiPathCapabilities,
    NamespaceAttributes, NamespaceFeatures, NamespaceIdDescriptorHeader, NamespaceIdType,
    NamespaceSharing, OptionalAdminCommands, OptionalAsyncEvents, OptionalNvmCommands,
    QueueEntrySize, VolatileWriteCacheAttributes,
};
use nvme_spec::text::Ascii;
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout};

use crate::{DmaMemory, PAGE_BYTES, hmb};

/// The most namespaces that this driver presents.
pub const MAX_NAMESPACES: usize = 64;

/// Reads the field of an Identify structure.
macro_rules! field {
    ($memory:expr, $structure:ty, $field:ident) => {
        read($memory, offset_of!($structure, $field))
    };
}

mod hints;
mod identifiers;

pub use hints::IoHints;
pub use identifiers::Identifiers;

fn read<T: FromBytes + IntoBytes>(memory: &impl DmaMemory, offset: usize) -> T {
    let mut value = T::new_zeroed();
    memory.read(offset, value.as_mut_bytes());
    value
}

/// What Identify Controller says (5.17.2.1), in the units that a driver uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ControllerInfo {
    /// PCI Vendor ID (VID).
    pub vendor_id: u16,
    /// PCI Subsystem Vendor ID (SSVID).
    pub subsystem_vendor_id: u16,
    /// Serial Number (SN).
    pub serial: Ascii<20>,
    /// Model Number (MN).
    pub model: Ascii<40>,
    /// Firmware Revision (FR).
    pub firmware: Ascii<8>,
    /// Controller ID (CNTLID).
    pub controller_id: u16,
    /// The subsystem may have several controllers (CMIC bit 1).
    pub multiple_controllers: bool,
    /// The most bytes of one transfer: the smaller of MDTS and the driver's own limit, a multiple of the page size.
    pub max_transfer_bytes: u32,
    /// Asynchronous Event Request Limit (AERL): `aerl_z + 1` requests may be outstanding.
    pub aerl_z: u8,
    /// Volatile Write Cache (VWC).
    pub vwc: VolatileWriteCacheAttributes,
    /// Optional NVM Command Support (ONCS).
    pub oncs: OptionalNvmCommands,
    /// Optional Admin Command Support (OACS).
    pub oacs: OptionalAdminCommands,
    /// Optional Asynchronous Events Supported (OAES).
    pub oaes: OptionalAsyncEvents,
    /// Log Page Attributes (LPA).
    pub lpa: LogPageAttributes,
    /// Number of Namespaces (NN): the highest namespace identifier.
    pub namespaces: u32,
    /// RTD3 Entry Latency (RTD3E) in microseconds; 0 when not reported.
    pub rtd3e_us: u32,
    /// The Host Memory Buffer's sizes.
    pub hmb: hmb::Needs,
    /// How many bytes of blocks one Verify command covers; `None` where there is no such command.
    pub verify_bytes: Option<NonZeroU64>,
    /// How many bytes of blocks one Write Zeroes command covers; `None` where there is no such command.
    pub write_zeroes_bytes: Option<NonZeroU64>,
    /// What one Dataset Management command takes; `None` where there is no such command.
    pub dataset: Option<DatasetLimits>,
}

/// The limits of Dataset Management (NVM 4.1.5.4). 0 is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DatasetLimits {
    /// Ranges of one command (DMRL).
    pub ranges: u8,
    /// Blocks of one range (DMRSL).
    pub range_blocks: u32,
    /// Blocks of one command (DMSL).
    pub blocks: u64,
}

/// A queue entry size that this controller does not take: SQES or CQES exclude the sizes of the NVM Command Set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntrySizes;

impl ControllerInfo {
    /// Reads Identify Controller data at the start of `data`. `max_transfer_bytes` is the driver's own limit,
    /// a multiple of the page size.
    pub fn read(data: &impl DmaMemory, max_transfer_bytes: u32) -> Result<Self, EntrySizes> {
        let sqes: QueueEntrySize = field!(data, IdentifyController, sqes);
        let cqes: QueueEntrySize = field!(data, IdentifyController, cqes);
        if !permits(sqes, COMMAND_SHIFT) || !permits(cqes, COMPLETION_SHIFT) {
            return Err(EntrySizes);
        }
        let mdts = field!(data, IdentifyController, mdts);
        let cmic: MultiPathCapabilities = field!(data, IdentifyController, cmic);
        let oncs: OptionalNvmCommands = field!(data, IdentifyController, oncs);
        Ok(Self {
            vendor_id: field!(data, IdentifyController, vid),
            subsystem_vendor_id: field!(data, IdentifyController, ssvid),
            serial: field!(data, IdentifyController, sn),
            model: field!(data, IdentifyController, mn),
            firmware: field!(data, IdentifyController, fr),
            controller_id: field!(data, IdentifyController, cntlid),
            multiple_controllers: cmic.multiple_controllers(),
            max_transfer_bytes: transfer_limit(mdts, max_transfer_bytes),
            aerl_z: field!(data, IdentifyController, aerl_z),
            vwc: field!(data, IdentifyController, vwc),
            oncs,
            oacs: field!(data, IdentifyController, oacs),
            oaes: field!(data, IdentifyController, oaes),
            lpa: field!(data, IdentifyController, lpa),
            namespaces: field!(data, IdentifyController, nn),
            rtd3e_us: field!(data, IdentifyController, rtd3e_us),
            hmb: hmb_needs(data),
            verify_bytes: oncs.verify().then_some(NonZeroU64::MAX),
            write_zeroes_bytes: untold_write_zeroes_bytes(oncs, mdts),
            dataset: oncs.dataset_management().then(DatasetLimits::default),
        })
    }

    /// Reads Identify Controller data of the NVM Command Set (NVM 4.1.5.4) at the start of `data`.
    pub fn read_nvm(&mut self, data: &impl DmaMemory) {
        if let Some(verify_bytes) = &mut self.verify_bytes {
            *verify_bytes = size_limit(field!(data, IdentifyControllerNvm, vsl));
        }
        if let Some(write_zeroes_bytes) = &mut self.write_zeroes_bytes {
            *write_zeroes_bytes = size_limit(field!(data, IdentifyControllerNvm, wzsl));
        }
        if let Some(limits) = &mut self.dataset {
            *limits = DatasetLimits {
                ranges: field!(data, IdentifyControllerNvm, dmrl),
                range_blocks: field!(data, IdentifyControllerNvm, dmrsl_blocks),
                blocks: field!(data, IdentifyControllerNvm, dmsl_blocks),
            };
        }
    }

    /// Whether there is anything that Identify Controller data of the NVM Command Set would limit.
    pub(crate) fn has_limited_commands(&self) -> bool {
        self.verify_bytes.is_some() || self.write_zeroes_bytes.is_some() || self.dataset.is_some()
    }
}

/// VSL and WZSL count as MDTS does; 0, and what does not fit, is no limit.
fn size_limit(exponent: u8) -> NonZeroU64 {
    let limit = match exponent {
        0 => None,
        exponent => u64::from(PAGE_BYTES)
            .checked_shl(u32::from(exponent))
            .and_then(NonZeroU64::new),
    };
    limit.unwrap_or(NonZeroU64::MAX)
}

/// The most bytes that one Write Zeroes command covers where Identify gives no limit: before version 2.0 some controllers refuse a
/// command that is longer than MDTS.
fn untold_write_zeroes_bytes(oncs: OptionalNvmCommands, mdts: u8) -> Option<NonZeroU64> {
    oncs.write_zeroes().then(|| size_limit(mdts))
}

/// Whether queue entries of `1 << shift` bytes are permitted.
const fn permits(sizes: QueueEntrySize, shift: u8) -> bool {
    sizes.required() <= shift && sizes.maximum() >= shift
}

/// MDTS counts in powers of two of the minimum page size, which is 4 KiB wherever this driver runs; 0 is no limit.
fn transfer_limit(mdts: u8, own: u32) -> u32 {
    let device = match mdts {
        0 => None,
        exponent => PAGE_BYTES
            .checked_shl(u32::from(exponent))
            .filter(|bytes| bytes.is_power_of_two()),
    };
    device.map_or(own, |device| device.min(own))
}

fn hmb_needs(data: &impl DmaMemory) -> hmb::Needs {
    let bytes = |units: u32| u64::from(units).saturating_mul(hmb::UNIT_BYTES);
    hmb::Needs {
        preferred_bytes: bytes(field!(data, IdentifyController, hmpre)),
        minimum_bytes: bytes(field!(data, IdentifyController, hmmin)),
        minimum_descriptor_bytes: bytes(field!(data, IdentifyController, hmminds)),
        max_descriptors: field!(data, IdentifyController, hmmaxd),
    }
}

/// Whether a namespace can be presented as a logical unit.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromZeros, Immutable, KnownLayout, IntoBytes,
)]
#[repr(u8)]
pub enum Usability {
    /// It can.
    #[default]
    Usable,
    /// Its format has metadata.
    Metadata,
    /// End-to-end protection is enabled.
    Protection,
    /// Its blocks are not 512, 1024, 2048 or 4096 bytes.
    BlockSize,
    /// Its format index or its capacity is impossible.
    Impossible,
}

/// What Identify Namespace (NVM 4.1.5.1) and the identification descriptors (5.17.2.3) say. All zero is no namespace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromZeros, Immutable, KnownLayout)]
#[repr(C)]
pub struct NamespaceInfo {
    /// Namespace identifier; 0 in an unused entry.
    pub nsid: u32,
    /// Size of a block in bytes; 0 when it is not usable.
    pub block_bytes: u32,
    /// Size in blocks (NSZE).
    pub blocks: u64,
    /// Blocks in use (NUSE), at most [`blocks`](Self::blocks).
    pub used_blocks: u64,
    /// Namespace Globally Unique Identifier; all zero when there is none.
    pub nguid: [u8; 16],
    /// Namespace UUID; all zero when there is none.
    pub uuid: [u8; 16],
    /// IEEE Extended Unique Identifier; all zero when there is none.
    pub eui64: [u8; 8],
    /// Which transfers are fast.
    pub hints: IoHints,
    /// Namespace Features (NSFEAT).
    pub nsfeat: NamespaceFeatures,
    /// Deallocate Logical Block Features (DLFEAT).
    pub dlfeat: DeallocateFeatures,
    /// Whether it can be a logical unit, and why not.
    pub usability: Usability,
    /// The namespace is write protected now (NSATTR bit 0).
    pub write_protected: bool,
    /// The namespace may be attached to several controllers (NMIC bit 0).
    pub shared: bool,
}

impl NamespaceInfo {
    /// Reads Identify Namespace data at the start of `data`; `None` when the namespace is not active (NSZE is 0).
    pub fn read(data: &impl DmaMemory, nsid: u32) -> Option<Self> {
        let blocks: u64 = field!(data, IdentifyNamespace, nsze);
        if blocks == 0 {
            return None;
        }
        let (block_bytes, usability) = match format(data, blocks) {
            Ok(block_bytes) => (block_bytes, Usability::Usable),
            Err(usability) => (0, usability),
        };
        let used_blocks: u64 = field!(data, IdentifyNamespace, nuse);
        let attributes: NamespaceAttributes = field!(data, IdentifyNamespace, nsattr);
        let sharing: NamespaceSharing = field!(data, IdentifyNamespace, nmic);
        Some(Self {
            nsid,
            block_bytes,
            blocks,
            used_blocks: used_blocks.min(blocks),
            nguid: field!(data, IdentifyNamespace, nguid),
            uuid: [0; 16],
            eui64: field!(data, IdentifyNamespace, eui64),
            hints: IoHints::read(data),
            nsfeat: field!(data, IdentifyNamespace, nsfeat),
            dlfeat: field!(data, IdentifyNamespace, dlfeat),
            usability,
            write_protected: attributes.write_protected(),
            shared: sharing.shared(),
        })
    }

    /// A namespace that is there and of which nothing is known.
    pub(crate) fn impossible(nsid: u32) -> Self {
        Self {
            nsid,
            usability: Usability::Impossible,
            ..Self::default()
        }
    }

    /// What tells it from every other one.
    #[must_use]
    pub const fn identifiers(&self) -> Identifiers {
        Identifiers {
            nguid: self.nguid,
            uuid: self.uuid,
            eui64: self.eui64,
        }
    }

    /// Whether the controller has said what it is; else it only lists it.
    #[must_use]
    pub const fn is_known(&self) -> bool {
        self.blocks != 0
    }

    /// Adds what the Namespace Identification Descriptor list at the start of `data` tells. A descriptor that is cut off
    /// or has the wrong length ends the list.
    pub fn read_descriptors(&mut self, data: &impl DmaMemory) {
        let mut offset = 0usize;
        while offset < PAGE_BYTES as usize {
            let header: NamespaceIdDescriptorHeader = read(data, offset);
            let value = offset.saturating_add(size_of_val(&header));
            match (header.nidt, header.nidl) {
                (NamespaceIdType::EUI64, 8) => self.eui64 = read(data, value),
                (NamespaceIdType::NGUID, 16) => self.nguid = read(data, value),
                (NamespaceIdType::UUID, 16) => self.uuid = read(data, value),
                (NamespaceIdType::EUI64 | NamespaceIdType::NGUID | NamespaceIdType::UUID, _)
                | (_, 0) => return,
                _ => {}
            }
            offset = value.saturating_add(usize::from(header.nidl));
        }
    }

    /// Bytes of blocks in use.
    #[must_use]
    pub const fn used_bytes(&self) -> u64 {
        self.used_blocks.saturating_mul(self.block_bytes as u64)
    }
}

/// Block size of the format in use, or why it cannot be used.
fn format(data: &impl DmaMemory, blocks: u64) -> Result<u32, Usability> {
    let flbas: FormattedLbaSize = field!(data, IdentifyNamespace, flbas);
    let nlbaf_z = field!(data, IdentifyNamespace, nlbaf_z);
    let protection: DataProtectionSettings = field!(data, IdentifyNamespace, dps);
    let index = flbas.index(nlbaf_z);
    if index > nlbaf_z {
        return Err(Usability::Impossible);
    }
    let offset = usize::from(index).saturating_mul(size_of::<LbaFormat>());
    let lbaf: LbaFormat = read(
        data,
        offset_of!(IdentifyNamespace, lbaf).saturating_add(offset),
    );
    if lbaf.ms() != 0 {
        return Err(Usability::Metadata);
    }
    if protection.pi_type() != 0 {
        return Err(Usability::Protection);
    }
    if !(9..=12).contains(&lbaf.lbads()) {
        return Err(Usability::BlockSize);
    }
    let block_bytes = 1u32.unbounded_shl(u32::from(lbaf.lbads()));
    match blocks.checked_mul(u64::from(block_bytes)) {
        Some(_) => Ok(block_bytes),
        None => Err(Usability::Impossible),
    }
}

/// The namespaces of a controller, in the order of their identifiers. All zero is none.
#[derive(Debug, FromZeros, Immutable, KnownLayout)]
#[repr(C)]
pub struct Namespaces {
    entries: [NamespaceInfo; MAX_NAMESPACES],
    count: u32,
    more: bool,
}

impl Namespaces {
    /// No namespaces. Constant, so that it can be placed without passing over a stack.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            entries: [const {
                NamespaceInfo {
                    nsid: 0,
                    block_bytes: 0,
                    blocks: 0,
                    used_blocks: 0,
                    nguid: [0; 16],
                    uuid: [0; 16],
                    eui64: [0; 8],
                    hints: IoHints::NONE,
                    nsfeat: NamespaceFeatures::new(),
                    dlfeat: DeallocateFeatures::new(),
                    usability: Usability::Usable,
                    write_protected: false,
                    shared: false,
                }
            }; MAX_NAMESPACES],
            count: 0,
            more: false,
        }
    }

    /// The namespaces found.
    #[must_use]
    pub fn as_slice(&self) -> &[NamespaceInfo] {
        self.entries.get(..self.count as usize).unwrap_or_default()
    }

    /// The controller has more namespaces than are presented.
    #[must_use]
    pub const fn more(&self) -> bool {
        self.more
    }

    /// What is allocated on the device: the bytes in use of all namespaces.
    #[must_use]
    pub fn used_bytes(&self) -> u64 {
        self.as_slice().iter().fold(0, |sum, namespace| {
            sum.saturating_add(namespace.used_bytes())
        })
    }

    pub(crate) fn clear(&mut self) {
        self.count = 0;
        self.more = false;
    }

    /// Whether there is no room for another; then there are more than are presented.
    pub(crate) fn is_full(&mut self) -> bool {
        self.more = self.count as usize >= MAX_NAMESPACES;
        self.more
    }

    pub(crate) fn push(&mut self, namespace: NamespaceInfo) {
        if let Some(entry) = self.entries.get_mut(self.count as usize) {
            *entry = namespace;
            self.count = self.count.wrapping_add(1);
        }
    }

    pub(crate) fn last_mut(&mut self) -> Option<&mut NamespaceInfo> {
        self.entries.get_mut(self.count.checked_sub(1)? as usize)
    }
}

impl Default for Namespaces {
    fn default() -> Self {
        Self::new()
    }
}

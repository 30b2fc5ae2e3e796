//! What the translation has to know of a logical unit: a view that the driver fills from Identify data it has checked.

use core::num::NonZeroU64;

use nvme_spec::command::DATASET_RANGES_MAX;

/// How many blocks one command names at most: in 16 bits, zero-based.
const NVME_LIMIT: u32 = 1 << 16;

/// The size of a logical block. Windows has disks of these two sizes only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockSize {
    /// 512 bytes.
    Bytes512,
    /// 4096 bytes.
    Bytes4096,
}

impl BlockSize {
    /// The size that an LBA data size (LBADS of the LBA format, a power of two: NVM Command Set 1.0, figure 98) stands
    /// for; `None` for a size that no disk can have here.
    #[must_use]
    pub const fn from_lba_data_size(lbads: u8) -> Option<Self> {
        match lbads {
            9 => Some(Self::Bytes512),
            12 => Some(Self::Bytes4096),
            _ => None,
        }
    }

    /// The size in bytes.
    #[must_use]
    pub const fn bytes(self) -> u32 {
        match self {
            Self::Bytes512 => 512,
            Self::Bytes4096 => 4096,
        }
    }

    /// The size as a power of two.
    pub(crate) const fn shift(self) -> u32 {
        match self {
            Self::Bytes512 => 9,
            Self::Bytes4096 => 12,
        }
    }

    /// The longest transfer of one command in blocks, of a controller that transfers so many bytes: NVMe counts blocks in 16
    /// bits, zero-based.
    #[must_use]
    pub const fn maximum_transfer_blocks(self, bytes: u32) -> u32 {
        let blocks = self.blocks_in(bytes);
        if blocks < NVME_LIMIT {
            blocks
        } else {
            NVME_LIMIT
        }
    }

    /// The number of whole blocks in so many bytes.
    #[must_use]
    pub const fn blocks_in(self, bytes: u32) -> u32 {
        match self {
            Self::Bytes512 => bytes >> 9,
            Self::Bytes4096 => bytes >> 12,
        }
    }
}

/// What tells a logical unit from others: what is not named is not believed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Naming {
    /// NGUID and EUI-64, or serial number and NSID where there is neither; a UUID besides.
    #[default]
    Reported,
    /// The UUID.
    Uuid,
    /// The serial number and the NSID.
    Serial,
    /// The NSID and the controller's place on the bus, by a number of the caller's.
    Place(u64),
}

/// The blocks of a logical unit: all that READ and WRITE have to know of it.
#[derive(Clone, Copy, Debug)]
pub struct Medium {
    /// NSZE of Identify Namespace: size in logical blocks.
    pub blocks: NonZeroU64,
    /// The namespace identifier (NSID).
    pub namespace_id: u32,
    /// The longest transfer of one command in logical blocks.
    pub maximum_transfer_blocks: u32,
    /// The size of a logical block.
    pub block_size: BlockSize,
}

/// The controller that a logical unit belongs to.
#[derive(Clone, Copy, Debug)]
pub struct Controller<'a> {
    /// MN of Identify Controller: model number, ASCII, padded with spaces.
    pub model: &'a [u8; 40],
    /// SN of Identify Controller: serial number, ASCII, padded with spaces.
    pub serial: &'a [u8; 20],
    /// FR of Identify Controller: firmware revision, ASCII, padded with spaces.
    pub firmware: &'a [u8; 8],
    /// VID of Identify Controller: PCI vendor ID.
    pub pci_vendor_id: u16,
    /// A volatile write cache is present (VWC bit 0 of Identify Controller).
    pub volatile_write_cache: bool,
    /// The volatile write cache is in use (WCE of the Volatile Write Cache feature). Means nothing without one.
    pub write_cache_enabled: bool,
    /// MODE SELECT turns the volatile write cache on and off.
    pub write_cache_changeable: bool,
    /// The longest transfer of one command in bytes: the smaller of MDTS and what the driver can describe.
    pub maximum_transfer_bytes: u32,
    /// How many bytes of blocks one Verify command covers; `None` where the controller has no such command.
    pub verify_bytes: Option<NonZeroU64>,
    /// How many bytes of blocks one Write Zeroes command covers; `None` where the controller has no such command, or nobody sends it.
    pub write_zeroes_bytes: Option<NonZeroU64>,
    /// The logical unit numbers that answer, in ascending order.
    pub luns: &'a [u8],
}

/// A logical unit: a namespace, as SCSI sees it.
#[derive(Clone, Copy, Debug)]
pub struct LogicalUnit<'a> {
    /// The controller behind it.
    pub controller: &'a Controller<'a>,
    /// The namespace identifier (NSID).
    pub namespace_id: u32,
    /// NSZE of Identify Namespace: size in logical blocks.
    pub blocks: NonZeroU64,
    /// The size of a logical block.
    pub block_size: BlockSize,
    /// NGUID of Identify Namespace; all zero where there is none.
    pub nguid: &'a [u8; 16],
    /// EUI64 of Identify Namespace; all zero where there is none.
    pub eui64: &'a [u8; 8],
    /// UUID of the namespace; all zero where there is none.
    pub uuid: &'a [u8; 16],
    /// What the namespace is named by.
    pub naming: Naming,
    /// The namespace is write protected (NSATTR bit 0 of Identify Namespace).
    pub write_protected: bool,
    /// Which transfers are fast.
    pub hints: IoHints,
    /// What Dataset Management deallocates at a time; `None` where the controller has no such command, or nobody sends it.
    pub deallocation: Option<Deallocation>,
}

/// The limits of Dataset Management with the Deallocate attribute (Identify Controller of the NVM Command Set; DLFEAT).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Deallocation {
    /// DMRL: ranges of one command; 0 for no limit of the device.
    pub ranges: u8,
    /// DMRSL: blocks of one range; 0 for no limit.
    pub range_blocks: u32,
    /// DMSL: blocks of one command; 0 for no limit.
    pub blocks: u64,
    /// Deallocated blocks read as zeros (DLFEAT bits 2 to 0 are 001b).
    pub reads_zeroes: bool,
    /// Write Zeroes deallocates where it is asked to (DLFEAT bit 3).
    pub write_zeroes: bool,
}

impl Deallocation {
    /// MAXIMUM UNMAP BLOCK DESCRIPTOR COUNT: as many as one command has ranges.
    pub(crate) const fn maximum_descriptors(&self) -> u16 {
        match self.ranges {
            0 => DATASET_RANGES_MAX as u16,
            ranges => ranges as u16,
        }
    }

    /// MAXIMUM UNMAP LBA COUNT: as many as one command deallocates.
    pub(crate) const fn maximum_unmap_blocks(&self) -> u32 {
        match self.blocks {
            1..=0xFFFF_FFFE => self.blocks as u32,
            _ => u32::MAX,
        }
    }

    /// The most blocks of a range.
    pub(crate) const fn range_blocks(&self) -> u32 {
        match self.range_blocks {
            0 => u32::MAX,
            blocks => blocks,
        }
    }

    /// The most blocks of a command.
    pub(crate) const fn command_blocks(&self) -> u64 {
        match self.blocks {
            0 => u64::MAX,
            blocks => blocks,
        }
    }
}

/// Which transfers are fast (Identify Namespace, NVM Command Set 1.0, 4.1.5.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IoHints {
    /// NOIOB: transfers that do not cross a multiple of so many logical blocks; 0 means that none is reported.
    pub boundary_blocks: u16,
    /// NPWG, NPWA, NPDG, NPDA and NOWS, where they are reported.
    pub preferred: Option<PreferredSizes>,
}

/// Sizes and alignments that a namespace prefers, in logical blocks, zero-based.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PreferredSizes {
    /// NPWG: writes of a multiple of so many.
    pub write_granularity_z: u16,
    /// NPWA: writes that begin at a multiple of so many.
    pub write_alignment_z: u16,
    /// NPDG: deallocation of a multiple of so many.
    pub deallocate_granularity_z: u16,
    /// NPDA: deallocation that begins at a multiple of so many.
    pub deallocate_alignment_z: u16,
    /// NOWS: writes of so many, or of a multiple.
    pub optimal_write_z: u16,
}

impl LogicalUnit<'_> {
    /// Its blocks.
    #[must_use]
    pub fn medium(&self) -> Medium {
        Medium {
            blocks: self.blocks,
            namespace_id: self.namespace_id,
            maximum_transfer_blocks: self.maximum_transfer_blocks(),
            block_size: self.block_size,
        }
    }

    /// How many blocks one Verify or Write Zeroes command covers that is limited to so many bytes, where there is such a command.
    pub(crate) fn command_blocks(&self, bytes: Option<NonZeroU64>) -> Option<u32> {
        let most = u64::from(NVME_LIMIT) << self.block_size.shift();
        let blocks = bytes?.get().min(most) >> self.block_size.shift();
        u32::try_from(blocks).ok().filter(|blocks| *blocks != 0)
    }

    /// OPTIMAL TRANSFER LENGTH GRANULARITY: NPWG, or NOIOB where that is not reported; 0 where neither is.
    pub(crate) fn transfer_granularity_blocks(&self) -> u16 {
        match self.hints.preferred {
            // 65,536 blocks do not fit the field.
            Some(preferred) => preferred.write_granularity_z.checked_add(1).unwrap_or(0),
            None => self.hints.boundary_blocks,
        }
    }

    /// OPTIMAL TRANSFER LENGTH: NOWS, or NOIOB where that is not reported; 0 where neither is.
    pub(crate) fn optimal_transfer_blocks(&self) -> u32 {
        match self.hints.preferred {
            Some(preferred) => u32::from(preferred.optimal_write_z).saturating_add(1),
            None => self.hints.boundary_blocks.into(),
        }
    }

    /// LOGICAL BLOCKS PER PHYSICAL BLOCK EXPONENT: a physical block is what is written at a time without reading (NPWG), where its
    /// size and its alignment are one power of two. It has at most 4 KiB: databases refuse disks with larger ones.
    pub(crate) fn physical_exponent(&self) -> u8 {
        const PHYSICAL_SHIFT: u32 = 12;
        let Some(preferred) = self.hints.preferred else {
            return 0;
        };
        let granularity = u32::from(preferred.write_granularity_z).saturating_add(1);
        let alignment = u32::from(preferred.write_alignment_z).saturating_add(1);
        let most = PHYSICAL_SHIFT.saturating_sub(self.block_size.shift());
        if !granularity.is_power_of_two() || !granularity.is_multiple_of(alignment) {
            return 0;
        }
        granularity.trailing_zeros().min(most) as u8
    }

    /// The longest transfer of one command in logical blocks.
    pub(crate) fn maximum_transfer_blocks(&self) -> u32 {
        self.block_size
            .maximum_transfer_blocks(self.controller.maximum_transfer_bytes)
    }
}

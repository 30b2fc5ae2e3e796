//! The partition table of a disk.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;

use fastrand::Rng;
use gpt::disk::LogicalBlockSize;
use gpt::mbr::ProtectiveMBR;
use gpt::{GptConfig, partition_types};
use uuid::Builder;

use crate::disk::{BlockTransport, Disk, Volume};

/// A partition starts and ends at a multiple of this.
const ALIGNMENT_BYTES: u64 = 1 << 20;

/// A partition is not larger than this; it lies at the end of the disk, so that the highest blocks are used.
const MOST_BYTES: u64 = 4 << 30;

/// Writes a protective MBR and a GPT with one partition, and gives its blocks. A disk whose block size GPT tools do not
/// take gets no table: the volume is the whole disk.
pub fn create(
    disk: &mut Disk,
    transport: &mut dyn BlockTransport,
    rng: &mut Rng,
) -> io::Result<Range<u64>> {
    let geometry = disk.geometry();
    let Some(block_size) = block_size(geometry.block_bytes) else {
        return Ok(0..geometry.blocks);
    };
    let mut volume = Volume::whole(disk, transport);
    let mbr_blocks = u32::try_from(geometry.blocks - 1).unwrap_or(u32::MAX);
    ProtectiveMBR::with_lb_size(mbr_blocks)
        .overwrite_lba0(&mut volume)
        .map_err(io::Error::other)?;
    let part = {
        let mut table = GptConfig::new()
            .writable(true)
            .logical_block_size(block_size)
            .create_from_device(&mut volume, Some(guid(rng)))
            .map_err(io::Error::other)?;
        let aligned = ALIGNMENT_BYTES / u64::from(geometry.block_bytes);
        let end = (table.header().last_usable + 1) / aligned * aligned;
        let most = MOST_BYTES / u64::from(geometry.block_bytes);
        let start = aligned.max(end.saturating_sub(most));
        table
            .add_partition_at("FAT", 1, start, end - start, partition_types::BASIC, 0)
            .map_err(io::Error::other)?;
        let mut partitions: BTreeMap<_, _> = table.take_partitions();
        for partition in partitions.values_mut() {
            partition.part_guid = guid(rng);
        }
        table
            .update_partitions(partitions)
            .map_err(io::Error::other)?;
        table.write_inplace().map_err(io::Error::other)?;
        start..end
    };
    io::Write::flush(&mut volume)?;
    Ok(part)
}

/// Reads the table, and gives the blocks of its only partition.
pub fn find(disk: &mut Disk, transport: &mut dyn BlockTransport) -> io::Result<Range<u64>> {
    let geometry = disk.geometry();
    let Some(block_size) = block_size(geometry.block_bytes) else {
        return Ok(0..geometry.blocks);
    };
    let volume = Volume::whole(disk, transport);
    // Both headers have to be valid: damage to one is not to be hidden by the other.
    let table = GptConfig::new()
        .logical_block_size(block_size)
        .only_valid_headers(true)
        .open_from_device(volume)
        .map_err(io::Error::other)?;
    match table.partitions().values().next() {
        Some(partition) if partition.is_used() => Ok(partition.first_lba..partition.last_lba + 1),
        _ => Err(io::Error::other("the partition table is empty")),
    }
}

fn block_size(bytes: u32) -> Option<LogicalBlockSize> {
    match bytes {
        512 => Some(LogicalBlockSize::Lb512),
        4096 => Some(LogicalBlockSize::Lb4096),
        _ => None,
    }
}

fn guid(rng: &mut Rng) -> uuid::Uuid {
    Builder::from_random_bytes(rng.u128(..).to_le_bytes()).into_uuid()
}

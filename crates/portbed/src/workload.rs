//! What is put on a disk: a partition table, a FAT volume in it, directories and files; and how it is read back.

mod change;
mod fat;
mod outside;
mod stream;
mod table;

use std::io;
use std::ops::Range;

use fastrand::Rng;

pub use change::{Change, Tree};
pub use fat::Reading;
pub use outside::{OutsideError, Tools, check_outside};
pub use stream::{Pattern, Stream, Throughput};

use crate::disk::{BlockTransport, Disk, Volume};

/// No volume is made on less.
pub const LEAST_BYTES: u64 = 8 << 20;

/// What a disk holds after [`fill`].
#[derive(Debug)]
pub struct Content {
    /// The blocks of the volume.
    pub part: Range<u64>,
    /// The bytes of the volume.
    pub part_bytes: Range<u64>,
    /// The type of the volume: `FAT12`, `FAT16` or `FAT32`.
    pub fat: &'static str,
    /// Directories and files.
    pub tree: Tree,
}

/// Partitions and formats a blank disk, fills it with directories and files, and changes some of them again, all as
/// `seed` decides.
pub fn fill(disk: &mut Disk, transport: &mut dyn BlockTransport, seed: u64) -> io::Result<Content> {
    let mut rng = Rng::with_seed(seed);
    let geometry = disk.geometry();
    let part = table::create(disk, transport, &mut rng)?;
    let block_bytes = u64::from(geometry.block_bytes);
    let part_bytes = part.start * block_bytes..part.end * block_bytes;
    let changes = change::plan(part_bytes.end - part_bytes.start, &mut rng);
    let mut tree = Tree::default();
    let mut volume = Volume::part(disk, transport, part.clone());
    let fat = fat::format(
        &mut volume,
        geometry.block_bytes,
        part.end - part.start,
        &mut rng,
    )?;
    fat::apply(&mut volume, &changes)?;
    for change in &changes {
        tree.apply(change);
    }
    Ok(Content {
        part,
        part_bytes,
        fat,
        tree,
    })
}

/// Reads the partition table and every file through the driver, with nothing cached.
pub fn read_back(
    disk: &mut Disk,
    transport: &mut dyn BlockTransport,
    content: &Content,
) -> io::Result<Reading> {
    let mut reading = Reading::default();
    if table::find(disk, transport)? != content.part {
        reading
            .wrong
            .push("the partition table is not what was written".to_owned());
    }
    let mut volume = Volume::part(disk, transport, content.part.clone());
    fat::read_back(&mut volume, &content.tree, &mut reading)?;
    Ok(reading)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::memory::Memory;
    use crate::disk::{Geometry, Shadow};

    fn filled(blocks: u64, block_bytes: u32) -> (Disk, Memory, Content) {
        let geometry = Geometry {
            blocks,
            block_bytes,
        };
        let (mut disk, mut memory) = (Disk::new(Shadow::zero(geometry), 1), Memory::new(geometry));
        let content = fill(&mut disk, &mut memory, 7).unwrap();
        (disk, memory, content)
    }

    #[test]
    fn a_disk_of_any_block_size_is_filled_and_read_back() {
        for (blocks, block_bytes, fat) in [
            (1 << 21, 512, "FAT32"),
            (LEAST_BYTES / 512, 512, "FAT16"),
            (20_000, 1024, "FAT16"),
            (200_000, 4096, "FAT32"),
        ] {
            let (mut disk, mut memory, content) = filled(blocks, block_bytes);
            assert_eq!(content.fat, fat, "{blocks} blocks of {block_bytes}");
            let reading = read_back(&mut disk, &mut memory, &content).unwrap();
            assert_eq!(reading.wrong, [""; 0]);
            assert_eq!(reading.files, content.tree.files.len());
            assert_eq!(disk.io().mismatched_bytes, 0);
        }
    }

    #[test]
    fn the_default_disk_has_a_large_file_and_many_small_ones_of_odd_sizes() {
        let (disk, _, content) = filled(1 << 20, 512);
        let sizes: Vec<usize> = content.tree.files.values().map(Vec::len).collect();
        assert!(sizes.iter().any(|size| *size >= 48 << 20));
        assert!(sizes.iter().filter(|size| **size < 64 << 10).count() > 150);
        assert!(
            sizes
                .iter()
                .filter(|size| !size.is_multiple_of(512))
                .count()
                > 150
        );
        assert!(disk.io().written_bytes > 56 << 20);
    }

    #[test]
    fn the_same_seed_writes_the_same_bytes() {
        assert!(filled(20_000, 512).1.bytes == filled(20_000, 512).1.bytes);
    }

    #[test]
    fn a_damaged_file_and_a_damaged_table_are_found() {
        let (mut disk, mut memory, content) = filled(40_000, 512);
        let needle = content
            .tree
            .files
            .values()
            .max_by_key(|data| data.len())
            .unwrap()[100_000..100_512]
            .to_vec();
        let at = memory
            .bytes
            .windows(512)
            .position(|window| window == needle)
            .unwrap();
        memory.bytes[at] ^= 1;
        let reading = read_back(&mut disk, &mut memory, &content).unwrap();
        assert_eq!(reading.wrong.len(), 1, "{:?}", reading.wrong);
        assert!(disk.io().mismatched_bytes > 0);
        memory.bytes[512..4096].fill(0);
        memory.bytes[39_990 * 512..].fill(0);
        assert!(read_back(&mut disk, &mut memory, &content).is_err());
    }
}

//! UNMAP and WRITE SAME: what is deallocated, what is zeroed, and that nothing else is.
#![cfg(target_os = "linux")]

mod bed;

use bed::{Bed, transfer_16};
use portbed::machine::{Completed, Data, LogicalUnit, Request, SrbKind};
use rusty_fork::rusty_fork_test;

const BUS_RESET: u8 = 0x0E;
const AT_ONCE: u64 = 128;
/// UNMAP of WRITE SAME.
const DEALLOCATE: u8 = 1 << 3;
/// There is no data.
const NDOB: u8 = 1;

type Sense = (u8, u8, u8);

const UNKNOWN: Sense = (0x5, 0x20, 0x00);
const OUT_OF_RANGE: Sense = (0x5, 0x21, 0x00);
const INVALID_FIELD: Sense = (0x5, 0x24, 0x00);
const LIST_LENGTH: Sense = (0x5, 0x1A, 0x00);
const INVALID_PARAMETER: Sense = (0x5, 0x26, 0x00);
const WRITE_PROTECTED: Sense = (0x7, 0x27, 0x00);
const MODE_CHANGED: Sense = (0x6, 0x2A, 0x01);

fn sense(completed: &Completed) -> Option<Sense> {
    let sense = completed.sense.as_deref()?;
    Some((sense[2] & 0xF, sense[12], sense[13]))
}

/// An UNMAP parameter list.
fn list(descriptors: &[(u64, u32)]) -> Vec<u8> {
    let bytes = descriptors.len() as u16 * 16;
    let mut list = [
        (bytes + 6).to_be_bytes(),
        bytes.to_be_bytes(),
        [0; 2],
        [0; 2],
    ]
    .concat();
    for (lba, blocks) in descriptors {
        list.extend(lba.to_be_bytes());
        list.extend(blocks.to_be_bytes());
        list.extend([0; 4]);
    }
    list
}

fn unmap_cdb(bytes: usize) -> Vec<u8> {
    let [high, low] = (bytes as u16).to_be_bytes();
    vec![0x42, 0, 0, 0, 0, 0, 0, high, low, 0]
}

fn unmap(bed: &mut Bed, unit: &LogicalUnit, descriptors: &[(u64, u32)]) -> Completed {
    let list = list(descriptors);
    bed.execute(unit, &unmap_cdb(list.len()), Data::Out(list))
}

/// WRITE SAME(16) of these flags.
fn write_same(lba: u64, blocks: u32, flags: u8) -> Vec<u8> {
    let mut cdb = transfer_16(0x93, lba, blocks);
    cdb[1] = flags;
    cdb
}

/// A disk of which it is known what every block holds.
struct Disk {
    bed: Bed,
    unit: LogicalUnit,
    /// What each block must hold; `None` where it may hold anything.
    blocks: Vec<Option<Vec<u8>>>,
}

impl Disk {
    /// A disk that is full of data: no two blocks are the same.
    fn full(profile: &str, faults: &[&str]) -> Self {
        let mut bed = Bed::with_faults(profile, faults);
        let unit = bed.start().swap_remove(0);
        let words = u64::from(unit.block_bytes / 8);
        let contents = |lba: u64| {
            let word = |word: u64| (lba << 16 | word | 1 << 63).to_le_bytes();
            (0..words).flat_map(word).collect::<Vec<u8>>()
        };
        let blocks: Vec<Vec<u8>> = (0..unit.blocks).map(contents).collect();
        for (lba, data) in (0..)
            .step_by(AT_ONCE as usize)
            .zip(blocks.chunks(AT_ONCE as usize))
        {
            let cdb = transfer_16(0x8A, lba, data.len() as u32);
            assert!(
                bed.execute(&unit, &cdb, Data::Out(data.concat()))
                    .succeeded()
            );
        }
        let blocks = blocks.into_iter().map(Some).collect();
        Self { bed, unit, blocks }
    }

    /// From now on these blocks hold nothing but `byte`, or anything.
    fn expect(&mut self, descriptors: &[(u64, u32)], byte: Option<u8>) {
        let bytes = self.unit.block_bytes as usize;
        for (lba, blocks) in descriptors {
            let first = *lba as usize;
            let named = &mut self.blocks[first..first + *blocks as usize];
            named.fill(byte.map(|byte| vec![byte; bytes]));
        }
    }

    fn unmap(&mut self, descriptors: &[(u64, u32)], byte: Option<u8>) {
        let done = unmap(&mut self.bed, &self.unit, descriptors);
        assert!(done.succeeded(), "{done:?}");
        assert_eq!(done.transferred as usize, descriptors.len() * 16 + 8);
        self.expect(descriptors, byte);
    }

    /// A request that is answered with sense data, and of which the controller hears nothing.
    fn refused(&mut self, cdb: &[u8], data: Data, expected: Sense) {
        let before = self.bed.machine.cost().mmio_writes;
        let refused = self.bed.execute(&self.unit, cdb, data);
        assert_eq!(sense(&refused), Some(expected), "{cdb:02X?}");
        assert_eq!(refused.transferred, 0);
        assert_eq!(self.bed.machine.cost().mmio_writes, before, "{cdb:02X?}");
    }

    /// Reads every block.
    fn verify(&mut self) {
        let bytes = self.unit.block_bytes as usize;
        for (first, expected) in (0..)
            .step_by(AT_ONCE as usize)
            .zip(self.blocks.chunks(AT_ONCE as usize))
        {
            let cdb = transfer_16(0x88, first, expected.len() as u32);
            let read = self
                .bed
                .execute(&self.unit, &cdb, Data::In(expected.len() * bytes));
            assert!(read.succeeded(), "{read:?}");
            for ((lba, found), expected) in (first..).zip(read.data.chunks(bytes)).zip(expected) {
                let right = expected.as_ref().is_none_or(|expected| found == expected);
                assert!(right, "block {lba} holds {:02X?}", &found[..16]);
            }
        }
    }

    fn finish(mut self) {
        self.verify();
        self.bed.finish();
    }
}

/// What page B0h and READ CAPACITY(16) say: UNMAP blocks, UNMAP descriptors, WRITE SAME blocks; LBPME and LBPRZ; LBPU, LBPWS, LBPWS10
/// and LBPRZ of page B2h.
fn shown(bed: &mut Bed, unit: &LogicalUnit) -> (u32, u32, u64, u8, u8) {
    let limits = bed
        .execute(unit, &[0x12, 1, 0xB0, 0, 64, 0], Data::In(64))
        .data;
    let be32 = |at: usize| u32::from_be_bytes(limits[at..at + 4].try_into().expect("four"));
    let same = u64::from_be_bytes(limits[36..44].try_into().expect("eight"));
    let capacity = [0x9E, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0];
    let capacity = bed.execute(unit, &capacity, Data::In(32)).data;
    let page = bed
        .execute(unit, &[0x12, 1, 0xB2, 0, 64, 0], Data::In(64))
        .data;
    (be32(20), be32(24), same, capacity[14] & 0xC0, page[5])
}

/// Far apart, next to one another, the first block and the last.
const DESCRIPTORS: [(u64, u32); 5] = [(0, 1), (100, 300), (400, 1), (5000, 77), (8191, 1)];
const SIZE: &str = "plain,capacity=4M";

rusty_fork_test! {
    #![rusty_fork(timeout_ms = 120_000)]

    #[test]
    fn deallocated_blocks_read_as_the_controller_says_and_all_others_are_kept() {
        for (dlfeat, byte) in [("zeros", Some(0)), ("ones", Some(0xFF)), ("any", None)] {
            let mut disk = Disk::full(&format!("{SIZE},dlfeat={dlfeat}"), &[]);
            disk.unmap(&DESCRIPTORS, byte);
            disk.verify();
            // As many as a list has room for: whatever it starts at, it crosses a page.
            let many: Vec<_> = (0..256).map(|index| (1000 + index * 7, 3)).collect();
            disk.unmap(&many, byte);
            disk.finish();
        }
    }

    #[test]
    fn limits_of_the_device_are_kept() {
        let limits = "version=2.0,dsm=7/10/4000";
        let mut disk = Disk::full(&format!("{SIZE},{limits}"), &["dataset-management:delay=1ms"]);
        // 14 ranges, 31, and 7 of which none is cut.
        disk.unmap(&[(20, 95), (500, 40)], Some(0));
        disk.unmap(&[(1000, 301)], Some(0));
        disk.unmap(&[(2000, 10), (2020, 9), (2040, 1), (2060, 2), (2080, 3), (2100, 4), (2120, 5)], Some(0));
        assert_eq!(disk.bed.fired(), [2 + 5 + 1]);
        for (descriptors, expected) in [
            (vec![(0, 1); 8], INVALID_PARAMETER),
            (vec![(0, 4001)], INVALID_PARAMETER),
            (vec![(0, 1), (8192, 1)], OUT_OF_RANGE),
        ] {
            let list = list(&descriptors);
            disk.refused(&unmap_cdb(list.len()), Data::Out(list), expected);
        }
        disk.finish();
    }

    #[test]
    fn controller_may_read_more_ranges_than_there_are() {
        let mut disk = Disk::full(&format!("{SIZE},ranges=all"), &[]);
        disk.unmap(&[(5, 3)], Some(0));
        disk.finish();
    }

    #[test]
    fn the_second_command_of_an_unmap_may_fail() {
        let fault = "dataset-management:status=0/6:nth=2";
        let mut disk = Disk::full(&format!("{SIZE},version=2.0,dsm=2/8/0"), &[fault]);
        let failed = unmap(&mut disk.bed, &disk.unit, &[(50, 60)]);
        assert_eq!(sense(&failed), Some((0x4, 0x44, 0x00)));
        disk.expect(&[(50, 16)], Some(0));
        disk.finish();
    }

    #[test]
    fn lists_that_lie_are_refused() {
        let mut disk = Disk::full(SIZE, &[]);
        let good = list(&[(5, 3), (70, 1)]);
        for bytes in 1..8 {
            disk.refused(&unmap_cdb(bytes), Data::Out(good.clone()), LIST_LENGTH);
        }
        // The buffer is shorter than the CDB says, or goes the other way, or there is none.
        disk.refused(&unmap_cdb(41), Data::Out(good.clone()), LIST_LENGTH);
        disk.refused(&unmap_cdb(40), Data::In(40), LIST_LENGTH);
        disk.refused(&unmap_cdb(40), Data::None, LIST_LENGTH);
        let past = list(&[(5, 3), (8192 - 2, 3)]);
        disk.refused(&unmap_cdb(40), Data::Out(past), OUT_OF_RANGE);
        let around = list(&[(u64::MAX, 2)]);
        disk.refused(&unmap_cdb(24), Data::Out(around), OUT_OF_RANGE);
        let mut anchored = unmap_cdb(40);
        anchored[1] = 1;
        disk.refused(&anchored, Data::Out(good.clone()), INVALID_FIELD);
        // Descriptors that the list has no room for are none.
        let mut longer = good;
        longer[2..4].fill(0xFF);
        let done = disk.bed.execute(&disk.unit, &unmap_cdb(39), Data::Out(longer));
        assert!(done.succeeded(), "{done:?}");
        disk.expect(&[(5, 3)], Some(0));
        disk.finish();
    }

    #[test]
    fn nothing_is_deallocated_or_zeroed_where_nothing_can_be_written() {
        let mut disk = Disk::full(SIZE, &["namespace.1:protect:at=start,after=2s"]);
        disk.bed.machine.pass(3_000_000_000).expect("the driver runs on");
        let ready = disk.bed.execute(&disk.unit, &[0; 6], Data::None);
        assert_eq!(sense(&ready), Some(MODE_CHANGED));
        disk.refused(&unmap_cdb(24), Data::Out(list(&[(5, 3)])), WRITE_PROTECTED);
        disk.refused(&write_same(5, 3, 0), Data::Out(vec![0; 512]), WRITE_PROTECTED);
        disk.refused(&write_same(5, 3, NDOB | DEALLOCATE), Data::None, WRITE_PROTECTED);
        disk.finish();
    }

    #[test]
    fn write_same_of_zeros_zeroes_and_of_other_data_is_refused() {
        for profile in [SIZE, "plain,capacity=4M,version=2.0,zeroes=8K", "plain,capacity=4M,dlfeat=any"] {
            let mut disk = Disk::full(profile, &[]);
            for (lba, flags) in [(9, 0), (1009, DEALLOCATE)] {
                let done = disk.bed.execute(&disk.unit, &write_same(lba, 75, flags), Data::Out(vec![0; 512]));
                assert!(done.succeeded(), "{done:?}");
                assert_eq!(done.transferred, 512);
                disk.expect(&[(lba, 75)], Some(0));
            }
            let done = disk.bed.execute(&disk.unit, &write_same(2000, 33, NDOB), Data::None);
            assert!(done.succeeded(), "{done:?}");
            assert_eq!(done.transferred, 0);
            disk.expect(&[(2000, 33)], Some(0));
            let ten = [0x41, 0, 0, 0, 0x10, 0, 0, 0, 2, 0];
            let done = disk.bed.execute(&disk.unit, &ten, Data::Out(vec![0; 512]));
            assert!(done.succeeded(), "{done:?}");
            disk.expect(&[(4096, 2)], Some(0));
            let mut other = vec![0; 512];
            other[511] = 1;
            disk.refused(&write_same(5, 3, 0), Data::Out(other), INVALID_FIELD);
            disk.refused(&write_same(5, 3, 0), Data::Out(vec![0; 508]), INVALID_FIELD);
            disk.refused(&write_same(5, 3, 0), Data::None, INVALID_FIELD);
            disk.refused(&write_same(8190, 3, NDOB), Data::None, OUT_OF_RANGE);
            disk.finish();
        }
    }

    #[test]
    fn unmap_that_meets_a_reset_comes_back_once_and_touches_nothing_else() {
        let mut disk = Disk::full(&format!("{SIZE},version=2.0,dsm=2/4/0"), &[]);
        let descriptors: Vec<Vec<(u64, u32)>> = (0..24u64).map(|turn| vec![(turn * 300, 90), (turn * 300 + 200, 30)]).collect();
        let request = |descriptors: &[(u64, u32)], srb| {
            let list = list(descriptors);
            Request { unit: disk.unit.address, cdb: unmap_cdb(list.len()), data: Data::Out(list), srb, ..Request::default() }
        };
        let mut begun: Vec<_> = descriptors.iter().zip([SrbKind::Scsi, SrbKind::Storage].into_iter().cycle())
            .map(|(descriptors, srb)| request(descriptors, srb)).collect();
        let mut resets = 0;
        while !begun.is_empty() {
            let tokens: Vec<_> = begun.drain(..).map(|request| (disk.bed.machine.submit(request.clone()).expect("it fits"), request)).collect();
            if resets == 0 {
                disk.bed.machine.pass(700_000).expect("the driver runs on");
                disk.bed.machine.reset_bus().expect("the driver runs on");
            }
            for (token, completed) in disk.bed.machine.drain().expect("the driver runs on") {
                let (_, request) = tokens.iter().find(|(known, _)| *known == token).expect("a request");
                if completed.srb_status == BUS_RESET {
                    resets += 1;
                    begun.push(request.clone());
                } else {
                    assert!(completed.succeeded(), "{completed:?}");
                }
            }
        }
        assert!(resets > 0, "no request met the reset");
        disk.expect(&descriptors.concat(), Some(0));
        disk.finish();
    }

    #[test]
    fn what_is_shown_is_what_the_controller_has() {
        let gib = 1 << 21;
        for (profile, expected) in [
            (SIZE, (u32::MAX, 256, gib, 0xC0, 0xE4)),
            ("plain,capacity=4M,dlfeat=ones", (u32::MAX, 256, gib, 0x80, 0x80)),
            ("plain,capacity=4M,dlfeat=any", (u32::MAX, 256, gib, 0x80, 0x80)),
            ("plain,capacity=4M,version=2.0,verify=off,dsm=7/10/4000", (4000, 7, gib, 0xC0, 0xE4)),
            ("plain,capacity=4M,zeroes=off", (u32::MAX, 256, 0, 0xC0, 0x84)),
            ("plain,capacity=4M,reg.Quirks=2147483712", (u32::MAX, 256, 0, 0xC0, 0x84)),
            ("plain,capacity=4M,pci=144d:a809", (u32::MAX, 256, 0, 0xC0, 0x84)),
            ("plain,capacity=4M,dsm=off", (0, 0, gib, 0, 0)),
            ("plain,capacity=4M,dsm=off,zeroes=off", (0, 0, 0, 0, 0)),
        ] {
            let (mut bed, units) = Bed::started(profile);
            assert_eq!(shown(&mut bed, &units[0]), expected, "{profile}");
            bed.finish();
        }
    }

    #[test]
    fn commands_that_the_controller_lacks_are_unknown() {
        let mut disk = Disk::full(&format!("{SIZE},dsm=off,zeroes=off"), &[]);
        disk.refused(&unmap_cdb(24), Data::Out(list(&[(5, 3)])), UNKNOWN);
        disk.refused(&write_same(5, 3, 0), Data::Out(vec![0; 512]), UNKNOWN);
        disk.refused(&[0x41, 0, 0, 0, 0, 5, 0, 0, 3, 0], Data::Out(vec![0; 512]), UNKNOWN);
        disk.finish();
    }
}

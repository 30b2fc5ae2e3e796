//! What a disk class driver sends, and whether the data is where it belongs.
#![cfg(target_os = "linux")]

mod bed;

use bed::{Bed, transfer_16};
use nvme_model::FileMedia;
use portbed::cli::profile::Selection;
use portbed::machine::{Completed, Data, LogicalUnit, Request, SrbKind};
use rusty_fork::rusty_fork_test;
use std::io::{Read, Seek, SeekFrom};

const CHECK_CONDITION: u8 = 2;
const ILLEGAL_REQUEST: u8 = 5;
const INVALID_COMMAND_OPERATION_CODE: (u8, u8) = (0x20, 0x00);
const LBA_OUT_OF_RANGE: (u8, u8) = (0x21, 0x00);

fn read_16(lba: u64, blocks: u32) -> Vec<u8> {
    transfer_16(0x88, lba, blocks)
}

fn write_16(lba: u64, blocks: u32) -> Vec<u8> {
    transfer_16(0x8A, lba, blocks)
}

fn verify_16(lba: u64, blocks: u32) -> Vec<u8> {
    transfer_16(0x8F, lba, blocks)
}

/// Data that says where it belongs: no two blocks of it are the same.
fn pattern(lba: u64, bytes: usize, salt: u64) -> Vec<u8> {
    (0u64..)
        .flat_map(|word| {
            (lba << 32 ^ word.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ salt).to_le_bytes()
        })
        .take(bytes)
        .collect()
}

fn assert_illegal(completed: &Completed, (code, qualifier): (u8, u8)) {
    let sense = completed.sense.as_deref().expect("sense data");
    assert_eq!(completed.scsi_status, CHECK_CONDITION);
    assert_eq!(
        (sense[2] & 0xF, sense[12], sense[13]),
        (ILLEGAL_REQUEST, code, qualifier)
    );
    assert_eq!(completed.transferred, 0);
}

/// Writes and reads back transfers of many sizes, at many places in a page, in both kinds of request block.
fn every_size_and_alignment(profile: &str) {
    let (mut bed, units) = Bed::started(profile);
    let unit = &units[0];
    let block = unit.block_bytes as usize;
    let most = unit.max_transfer_bytes as usize / block;
    let sizes = [
        1,
        2,
        3,
        7,
        8,
        9,
        15,
        16,
        17,
        64,
        65,
        most / 2 + 1,
        most - 1,
        most,
    ];
    let mut lba = 5;
    for (turn, blocks) in sizes
        .into_iter()
        .filter(|blocks| (1..=most).contains(blocks))
        .enumerate()
    {
        for offset in [0, 4, 508, 512, 2048, 4092] {
            let srb = if (turn + offset) % 2 == 0 {
                SrbKind::Scsi
            } else {
                SrbKind::Storage
            };
            round_trip(&mut bed, unit, lba, blocks, offset, srb);
            lba += blocks as u64;
        }
    }
    bed.finish();
}

fn round_trip(
    bed: &mut Bed,
    unit: &LogicalUnit,
    lba: u64,
    blocks: usize,
    offset: usize,
    srb: SrbKind,
) {
    let bytes = blocks * unit.block_bytes as usize;
    let data = pattern(lba, bytes, offset as u64);
    let mut request = Request {
        unit: unit.address,
        cdb: write_16(lba, blocks as u32),
        data: Data::Out(data.clone()),
        buffer_offset: offset,
        srb,
        ..Request::default()
    };
    let written = bed
        .machine
        .execute(request.clone())
        .expect("the driver runs on");
    assert!(
        written.succeeded(),
        "write of {blocks} blocks at offset {offset}: {written:?}"
    );
    request.cdb = read_16(lba, blocks as u32);
    request.data = Data::In(bytes);
    request.buffer_offset = 4096 - 4 - offset;
    let read = bed.machine.execute(request).expect("the driver runs on");
    assert!(read.succeeded());
    assert!(
        read.data == data,
        "{blocks} blocks at {lba}, offset {offset}"
    );
}

rusty_fork_test! {
    #![rusty_fork(timeout_ms = 120_000)]

    #[test]
    fn every_size_and_alignment_in_blocks_of_512() {
        every_size_and_alignment("hmb,capacity=256M");
    }

    #[test]
    fn every_size_and_alignment_in_blocks_of_4096() {
        every_size_and_alignment("4k,capacity=256M");
    }

    #[test]
    fn every_size_and_alignment_up_to_the_drivers_own_limit() {
        every_size_and_alignment("hmb,capacity=512M,mdts=0");
    }

    #[test]
    fn every_size_and_alignment_with_small_transfers() {
        every_size_and_alignment("small,capacity=64M");
    }

    #[test]
    fn data_is_in_the_file_behind_the_namespace() {
        let selection = Selection::parse("hmb,capacity=64M").expect("a profile");
        let mut file = tempfile::tempfile().expect("a file");
        file.set_len(64 << 20).expect("a sparse file");
        let media = FileMedia::new(file.try_clone().expect("a handle")).expect("media");
        let mut bed = Bed::with_media(selection, vec![Box::new(media)]);
        bed.machine.start_adapter().expect("the adapter starts");
        let units = bed.machine.enumerate().expect("the disk answers");
        let data = pattern(77, 8 * 512, 1);
        assert!(bed.execute(&units[0], &write_16(77, 8), Data::Out(data.clone())).succeeded());
        assert!(bed.execute(&units[0], &[0x35, 0, 0, 0, 0, 0, 0, 0, 0, 0], Data::None).succeeded());
        bed.finish();
        let mut found = vec![0; data.len()];
        file.seek(SeekFrom::Start(77 * 512)).expect("a seek");
        file.read_exact(&mut found).expect("the data");
        assert_eq!(found, data);
    }

    #[test]
    fn namespaces_are_disks_of_their_own() {
        let (mut bed, units) = Bed::started("two-namespaces,capacity=64M");
        assert_eq!(units.len(), 2);
        assert_ne!(units[0].serial, units[1].serial, "Windows tells disks apart by it");
        let data: Vec<_> = (0..2).map(|salt| pattern(9, 512, salt)).collect();
        for (unit, data) in units.iter().zip(&data) {
            assert!(bed.execute(unit, &write_16(9, 1), Data::Out(data.clone())).succeeded());
        }
        for (unit, data) in units.iter().zip(&data) {
            assert_eq!(&bed.execute(unit, &read_16(9, 1), Data::In(512)).data, data);
        }
        bed.finish();
    }

    #[test]
    fn more_requests_than_the_queue_has_room_for() {
        let (mut bed, units) = Bed::started("small,capacity=64M");
        for lba in 0..100 {
            let request = Request {
                unit: units[0].address,
                cdb: write_16(lba, 1),
                data: Data::Out(pattern(lba, 512, 3)),
                ..Request::default()
            };
            bed.machine.submit(request).expect("the driver runs on");
        }
        let completed = bed.machine.drain().expect("the driver runs on");
        assert_eq!(completed.len(), 100);
        assert!(completed.iter().all(|(_, completed)| completed.succeeded()));
        for lba in 0..100 {
            let read = bed.execute(&units[0], &read_16(lba, 1), Data::In(512));
            assert!(read.data == pattern(lba, 512, 3), "block {lba}");
        }
        bed.finish();
    }

    #[test]
    fn unknown_commands_are_refused_with_sense() {
        let (mut bed, units) = Bed::started("hmb,capacity=64M");
        for opcode in [0x01, 0x04, 0x7F, 0xC0, 0xFF] {
            let completed = bed.execute(&units[0], &[opcode, 0, 0, 0, 0, 0, 0, 0, 0, 0], Data::None);
            assert_illegal(&completed, INVALID_COMMAND_OPERATION_CODE);
        }
        bed.finish();
    }

    #[test]
    fn access_past_the_end_is_refused_with_sense() {
        let (mut bed, units) = Bed::started("hmb,capacity=64M");
        let last = units[0].blocks;
        for lba in [last, last - 1, u64::MAX, u64::MAX - 1] {
            let completed = bed.execute(&units[0], &read_16(lba, 2), Data::In(1024));
            assert_illegal(&completed, LBA_OUT_OF_RANGE);
        }
        bed.finish();
    }

    #[test]
    fn absent_logical_units_answer_nothing() {
        let (mut bed, mut units) = Bed::started("hmb,capacity=64M");
        for (target, lun) in [(0, 1), (0, 63), (0, 255), (1, 0)] {
            units[0].address.target = target;
            units[0].address.lun = lun;
            let completed = bed.execute(&units[0], &[0x12, 0, 0, 0, 36, 0], Data::In(36));
            assert!(!completed.succeeded());
            assert_eq!(completed.transferred, 0);
        }
        bed.finish();
    }

    #[test]
    fn verify_reads_the_medium_in_as_many_commands_as_it_takes() {
        // The second part of what is verified cannot be read: its error comes back.
        let profile = "plain,version=2.0,verify=8K,capacity=8M";
        let mut selection = Selection::parse(profile).expect("a profile");
        let fault = "verify:status=2/81:nth=2".parse().expect("a fault");
        selection.device.faults = vec![fault];
        let media = selection.device.memory();
        let mut bed = Bed::with_media(selection, media);
        let units = bed.start();
        let verified = bed.execute(&units[0], &verify_16(0, 40), Data::None);
        let sense = verified.sense.as_deref().expect("sense data");
        assert_eq!((verified.scsi_status, sense[2] & 0xF), (CHECK_CONDITION, 3));
        let verified = bed.execute(&units[0], &verify_16(0, 40), Data::None);
        assert!(verified.succeeded(), "{verified:?}");
        bed.finish();
    }

    #[test]
    fn event_that_comes_again_and_again_is_told_ever_more_seldom() {
        let (mut bed, units) = Bed::started("plain,temperature=nags");
        bed.fill(&units[0], 1);
        bed.machine.pass(200_000_000_000).expect("the driver runs on");
        bed.expect_filled(&units[0], 1);
        let told = bed.logged("Asynchronous event").len();
        assert!((5..=12).contains(&told), "{told} events");
        bed.finish();
    }

    #[test]
    fn verify_of_a_whole_disk() {
        for profile in ["plain,capacity=80M", "plain,capacity=80M,verify=off", "plain,version=2.0,verify=64K,capacity=80M"] {
            let (mut bed, units) = Bed::started(profile);
            let blocks = u32::try_from(units[0].blocks).expect("a small disk");
            let verified = bed.execute(&units[0], &verify_16(0, blocks), Data::None);
            assert!(verified.succeeded(), "{verified:?}");
            let past = bed.execute(&units[0], &verify_16(1, blocks), Data::None);
            assert_illegal(&past, LBA_OUT_OF_RANGE);
            bed.finish();
        }
    }
}

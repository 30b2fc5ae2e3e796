//! Start, I/O, power, resets and an orderly end.

use std::os::unix::fs::FileExt;

use portbed::disk::{Disk, Unit};
use portbed::machine::{Data, PowerAction};
use portbed::workload;
use rusty_fork::rusty_fork_test;

use crate::{BUS_RESET, cycle, started, submit_writes};

/// Starts, answers, and is removed.
fn comes_and_goes(profile: &str) {
    if let Some((mut bed, units, _)) = started(profile) {
        assert!(bed.execute(&units[0], &[0; 6], Data::None).succeeded());
        bed.finish();
    }
}

/// A file system on every namespace, a power cycle, everything read back and compared: through the driver, and in the
/// files behind the namespaces.
fn main_job(profile: &str) {
    let Some((mut bed, units, backings)) = started(profile) else {
        return;
    };
    let mut disks = Vec::new();
    for (seed, (unit, backing)) in (1..).zip(units.iter().zip(&backings)) {
        let shadow = backing.shadow(unit.block_bytes).expect("a shadow copy");
        let mut disk = Disk::new(shadow, seed);
        assert_eq!(disk.geometry().blocks, unit.blocks);
        let mut transport = Unit::new(&mut bed.machine, unit, seed);
        let content = workload::fill(&mut disk, &mut transport, seed).expect("a file system");
        disks.push((disk, content));
    }
    cycle(&mut bed, PowerAction::None);
    for (unit, (disk, content)) in units.iter().zip(&mut disks) {
        let mut transport = Unit::new(&mut bed.machine, unit, 9);
        let reading = workload::read_back(disk, &mut transport, content).expect("reads");
        assert_eq!(reading.wrong, Vec::<String>::new());
        disk.verify(&mut transport, u64::MAX).expect("reads");
    }
    bed.finish();
    for ((mut disk, _), backing) in disks.into_iter().zip(&backings) {
        disk.verify_outside(backing).expect("the file");
        assert_eq!(disk.io().failed, 0);
        assert_eq!(disk.io().mismatched_bytes, 0, "{:?}", disk.differences());
    }
}

rusty_fork_test! {
    #![rusty_fork(timeout_ms = 180_000)]

    #[test]
    fn message_for_each_queue() {
        comes_and_goes("capacity=64M,interrupts=messages");
    }

    #[test]
    fn one_message_for_all() {
        comes_and_goes("capacity=64M,interrupts=message");
    }

    #[test]
    fn one_queue_pair_and_two_messages() {
        comes_and_goes("capacity=64M,max_ioqpairs=1,msix_qsize=2");
    }

    #[test]
    fn stop_at_dirql_without_a_dpc() {
        comes_and_goes("capacity=64M,pnp=off,stop=dirql-nodpc");
    }

    #[test]
    fn file_system_in_blocks_of_512() {
        main_job("capacity=64M");
    }

    #[test]
    fn file_system_in_blocks_of_4096_and_small_transfers() {
        main_job("capacity=64M,logical_block_size=4096,mdts=2");
    }

    #[test]
    fn file_systems_on_two_namespaces() {
        main_job("capacity=32M,namespaces=2");
    }

    #[test]
    fn every_kind_of_power_cycle_keeps_the_data() {
        let Some((mut bed, units, backings)) = started("capacity=64M") else {
            return;
        };
        let actions = [PowerAction::None, PowerAction::Sleep, PowerAction::Hibernate];
        for (turn, action) in (1..).zip(actions) {
            submit_writes(&mut bed, &units[0], (0..64).map(|lba| lba * 8), turn);
            let completed = bed.machine.drain().expect("the driver runs on");
            assert!(completed.iter().all(|(_, completed)| completed.succeeded()));
            cycle(&mut bed, action);
            let read = bed.execute(&units[0], &[0x28, 0, 0, 0, 0, 0, 0, 0, 128, 0], Data::In(65536));
            assert!(read.succeeded());
            assert!(read.data.iter().all(|&byte| byte == turn), "{action:?}");
        }
        bed.finish();
        let mut found = vec![0; 64 * 4096];
        let file = backings[0].handle().expect("a handle");
        file.read_exact_at(&mut found, 0).expect("the data");
        assert!(found.iter().all(|&byte| byte == 3));
    }

    #[test]
    fn reset_under_io_loses_no_request_and_no_data() {
        let Some((mut bed, units, _)) = started("capacity=64M") else {
            return;
        };
        let mut reset = 0;
        for turn in 1..=20 {
            submit_writes(&mut bed, &units[0], (0..64).map(|lba| lba * 8), turn);
            bed.machine.reset_bus().expect("the driver runs on");
            let completed = bed.machine.drain().expect("the driver runs on");
            assert_eq!(completed.len(), 64);
            for (_, completed) in &completed {
                let status = completed.srb_status;
                assert!(completed.succeeded() || status == BUS_RESET, "{status:#x}");
                reset += u32::from(status == BUS_RESET);
            }
            submit_writes(&mut bed, &units[0], (0..64).map(|lba| lba * 8), 100 + turn);
            let completed = bed.machine.drain().expect("the driver runs on");
            assert!(completed.iter().all(|(_, completed)| completed.succeeded()));
            let read = bed.execute(&units[0], &[0x28, 0, 0, 0, 0, 0, 0, 2, 0, 0], Data::In(262_144));
            assert!(read.data.iter().all(|&byte| byte == 100 + turn));
        }
        assert!(reset > 0, "no reset came while requests were outstanding");
        bed.finish();
    }
}

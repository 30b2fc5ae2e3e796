//! Namespaces that come, go, change their size or are replaced while the adapter lives.
#![cfg(target_os = "linux")]

mod bed;

use bed::{Bed, transfer_16};
use portbed::machine::{
    Completed, Data, LogicalUnit, PowerAction, Rebalance, Request, UnitAddress,
};
use rusty_fork::rusty_fork_test;

const LUNS_CHANGED: (u8, u8, u8) = (6, 0x3F, 0x0E);
const CAPACITY_CHANGED: (u8, u8, u8) = (6, 0x2A, 0x09);
const MODE_CHANGED: (u8, u8, u8) = (6, 0x2A, 0x01);
const NOT_SUPPORTED: (u8, u8, u8) = (5, 0x25, 0x00);
const WRITE_PROTECTED: (u8, u8, u8) = (7, 0x27, 0x00);
const TEST_UNIT_READY: [u8; 6] = [0; 6];
const MILLISECOND: u64 = 1_000_000;

fn sense(completed: &Completed) -> Option<(u8, u8, u8)> {
    let sense = completed.sense.as_deref()?;
    Some((sense[2] & 0xF, sense[12], sense[13]))
}

/// An event about namespace `nsid`.
fn told(bed: &Bed, nsid: u32, change: u32) -> usize {
    let told = bed.logged("Namespace changed").into_iter();
    let text = format!("Namespace={nsid}, Change={change}");
    told.filter(|what| what.contains(&text)).count()
}

/// Test Unit Ready.
fn ready(bed: &mut Bed, unit: &LogicalUnit) -> Option<(u8, u8, u8)> {
    sense(&bed.execute(unit, &TEST_UNIT_READY, Data::None))
}

fn luns(units: &[LogicalUnit]) -> Vec<u8> {
    units.iter().map(|unit| unit.address.lun).collect()
}

fn write(bed: &mut Bed, unit: &LogicalUnit, lba: u64, byte: u8) -> Completed {
    let data = vec![byte; unit.block_bytes as usize];
    bed.execute(unit, &transfer_16(0x8A, lba, 1), Data::Out(data))
}

fn read(bed: &mut Bed, unit: &LogicalUnit, lba: u64) -> Completed {
    let bytes = unit.block_bytes as usize;
    bed.execute(unit, &transfer_16(0x88, lba, 1), Data::In(bytes))
}

/// Lets so many milliseconds pass.
fn pass(bed: &mut Bed, milliseconds: u64) {
    let ns = milliseconds * MILLISECOND;
    bed.machine.pass(ns).expect("the driver runs on");
}

/// A bed with these faults, started, with its units.
fn started(profile: &str, faults: &[&str]) -> (Bed, Vec<LogicalUnit>) {
    let mut bed = Bed::with_faults(profile, faults);
    let units = bed.start();
    (bed, units)
}

rusty_fork_test! {
    #![rusty_fork(timeout_ms = 120_000)]

    #[test]
    fn namespace_that_comes_is_a_new_unit() {
        let (mut bed, units) = started("namespaces=2,capacity=16M", &["namespace.2:add:at=start,after=200ms"]);
        assert_eq!(luns(&units), [0]);
        bed.fill(&units[0], 1);
        pass(&mut bed, 300);
        assert!(bed.machine.take_bus_change());
        assert_eq!(told(&bed, 2, 1), 1);
        // What was there is told of it by its next command, once, which INQUIRY and REPORT LUNS are not.
        let inquiry = bed.execute(&units[0], &[0x12, 0, 0, 0, 36, 0], Data::In(36));
        assert!(inquiry.succeeded());
        assert_eq!(ready(&mut bed, &units[0]), Some(LUNS_CHANGED));
        assert_eq!(ready(&mut bed, &units[0]), None);
        let now = bed.machine.enumerate().expect("the disks answer");
        assert_eq!(luns(&now), [0, 1]);
        assert_ne!(now[0].serial, now[1].serial);
        bed.fill(&now[1], 2);
        bed.expect_filled(&units[0], 1);
        bed.expect_filled(&now[1], 2);
        bed.finish();
    }

    #[test]
    fn report_luns_ends_what_a_unit_has_to_say_of_it() {
        let (mut bed, units) = started("namespaces=2,capacity=16M", &["namespace.2:add:at=start,after=200ms"]);
        pass(&mut bed, 300);
        let report = bed.execute(&units[0], &[0xA0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0], Data::In(512));
        assert_eq!(report.data[..4], [0, 0, 0, 16]);
        assert_eq!(ready(&mut bed, &units[0]), None);
        bed.finish();
    }

    #[test]
    fn number_of_a_namespace_that_went_is_given_to_no_other() {
        let (mut bed, units) = started("namespaces=3,capacity=16M", &["namespace.1:delete:at=start,after=2s"]);
        assert_eq!(luns(&units), [0, 1, 2]);
        for (unit, salt) in units.iter().zip(1..) {
            bed.fill(unit, salt);
        }
        pass(&mut bed, 3000);
        assert!(bed.machine.take_bus_change());
        assert_eq!(told(&bed, 1, 2), 1);
        let gone = write(&mut bed, &units[0], 0, 7);
        assert_eq!(sense(&gone), Some(NOT_SUPPORTED));
        assert_eq!(ready(&mut bed, &units[0]), Some(NOT_SUPPORTED));
        assert_eq!(ready(&mut bed, &units[1]), Some(LUNS_CHANGED));
        // Unit 0 tells which there are, and that it is none.
        let inquiry = bed.execute(&units[0], &[0x12, 0, 0, 0, 36, 0], Data::In(36));
        assert_eq!(inquiry.data[0], 0x7F);
        let now = bed.machine.enumerate().expect("the disks answer");
        assert_eq!(luns(&now), [1, 2]);
        assert_eq!(now[0].serial, units[1].serial);
        bed.expect_filled(&units[1], 2);
        bed.expect_filled(&units[2], 3);
        bed.finish();
    }

    #[test]
    fn number_is_kept_when_the_adapter_is_found_anew() {
        let (mut bed, units) = started("namespaces=2,capacity=16M", &["namespace.1:delete:at=stop"]);
        bed.fill(&units[1], 2);
        bed.machine.rebalance(Rebalance::default()).expect("the adapter starts again");
        let now = bed.machine.enumerate().expect("the disks answer");
        assert_eq!(luns(&now), [1]);
        bed.expect_filled(&units[1], 2);
        bed.finish();
    }

    #[test]
    fn namespace_that_comes_back_gets_its_number_back() {
        let faults = ["namespace.1:add:at=start,after=200ms", "namespace.1:delete:at=start,after=2s", "namespace.1:add:at=start,after=8s"];
        let (mut bed, units) = started("namespaces=2,capacity=16M", &faults);
        assert_eq!(luns(&units), [0]);
        let mut serials = Vec::new();
        for (ms, expected) in [(300, &[0, 1][..]), (3000, &[0]), (30_000, &[0, 1])] {
            pass(&mut bed, ms);
            let now = bed.machine.enumerate().expect("the disks answer");
            assert_eq!(luns(&now), expected);
            assert_eq!(now[0].serial, units[0].serial);
            serials.push(now.get(1).map(|unit| unit.serial.clone()));
            if ms == 300 {
                bed.fill(&now[1], 5);
            }
            if ms > 3000 {
                bed.expect_filled(&now[1], 5);
            }
        }
        assert_eq!(serials[0], serials[2]);
        bed.finish();
    }

    #[test]
    fn new_size_is_told_and_true() {
        let faults = ["namespace.1:resize=4M:at=start,after=200ms", "namespace.1:resize=12M:at=start,after=20s"];
        let (mut bed, units) = started("capacity=16M", &faults);
        for (ms, bytes) in [(300, 4_u64 << 20), (30_000, 12 << 20)] {
            pass(&mut bed, ms);
            assert!(bed.machine.take_bus_change());
            assert_eq!(sense(&read(&mut bed, &units[0], 0)), Some(CAPACITY_CHANGED));
            let now = bed.machine.enumerate().expect("the disk answers");
            assert_eq!(luns(&now), [0]);
            assert_eq!(now[0].blocks * u64::from(now[0].block_bytes), bytes);
            assert!(write(&mut bed, &now[0], now[0].blocks - 1, 1).succeeded());
            let past = write(&mut bed, &now[0], now[0].blocks, 1);
            assert_eq!(sense(&past), Some((5, 0x21, 0)));
        }
        assert_eq!(told(&bed, 1, 3), 2);
        bed.finish();
    }

    #[test]
    fn another_namespace_under_the_same_identifier_is_another_unit() {
        for fault in ["namespace.1:create=8M:at=start,after=2s", "namespace.1:format=4K:at=start,after=2s"] {
            let (mut bed, units) = started("namespaces=2,capacity=16M", &[fault]);
            bed.fill(&units[0], 1);
            bed.fill(&units[1], 2);
            pass(&mut bed, 3000);
            let gone = write(&mut bed, &units[0], 0, 7);
            assert_eq!(sense(&gone), Some(NOT_SUPPORTED));
            let now = bed.machine.enumerate().expect("the disks answer");
            assert_eq!(luns(&now), [1, 2]);
            let new = &now[1];
            assert_eq!(new.serial == units[0].serial, fault.contains("format"));
            assert!(read(&mut bed, new, 0).data.iter().all(|byte| *byte == 0));
            assert!(write(&mut bed, new, 0, 9).succeeded());
            assert!(read(&mut bed, new, 0).data.iter().all(|byte| *byte == 9));
            bed.expect_filled(&units[1], 2);
            bed.finish();
        }
    }

    #[test]
    fn requests_wait_until_it_is_known_what_is_behind_an_identifier() {
        // The namespaces are identified slowly: what comes meanwhile must not reach the new one.
        let faults = ["namespace.1:create=8M:at=start,after=2s", "identify.cns=2:delay=2s:nth=2"];
        let (mut bed, units) = started("namespaces=1,capacity=16M,hmpre=0", &faults);
        bed.fill(&units[0], 1);
        pass(&mut bed, 2500);
        let sent: Vec<_> = (0..100)
            .map(|lba| {
                let request = Request {
                    unit: units[0].address,
                    cdb: transfer_16(0x8A, lba, 1),
                    data: Data::Out(vec![7; 512]),
                    ..Request::default()
                };
                bed.machine.submit(request).expect("the driver runs on")
            })
            .collect();
        let back = bed.machine.drain().expect("the driver runs on");
        assert_eq!(back.len(), sent.len());
        for (_, completed) in &back {
            assert_eq!(sense(completed), Some(NOT_SUPPORTED));
        }
        let now = bed.machine.enumerate().expect("the disk answers");
        assert_eq!(luns(&now), [1]);
        for lba in 0..100 {
            assert!(read(&mut bed, &now[0], lba).data.iter().all(|byte| *byte == 0), "block {lba}");
        }
        bed.finish();
    }

    #[test]
    fn namespace_is_replaced_under_requests() {
        for after in ["15ms", "15013us", "15400us", "16ms"] {
            let fault = format!("namespace.1:create=8M:at=start,after={after}");
            let (mut bed, units) = started("namespaces=2,capacity=16M,hmpre=0", &[&fault]);
            bed.fill(&units[1], 2);
            let mut refused = 0;
            for turn in 0.. {
                assert!(turn < 1000, "the namespace is replaced");
                let request = |lba| Request {
                    unit: units[0].address,
                    cdb: transfer_16(0x8A, lba, 1),
                    data: Data::Out(vec![7; 512]),
                    ..Request::default()
                };
                for lba in 0..100 {
                    bed.machine.submit(request(lba)).expect("the driver runs on");
                }
                let back = bed.machine.drain().expect("the driver runs on");
                for (_, completed) in back.iter().filter(|(_, completed)| !completed.succeeded()) {
                    assert_eq!(sense(completed), Some(NOT_SUPPORTED), "{completed:?}");
                    refused += 1;
                }
                if refused >= 100 {
                    break;
                }
            }
            let now = bed.machine.enumerate().expect("the disks answer");
            assert_eq!(luns(&now), [1, 2]);
            assert_eq!(now[1].blocks, 16384);
            bed.expect_filled(&units[1], 2);
            bed.fill(&now[1], 3);
            bed.expect_filled(&now[1], 3);
            bed.finish();
        }
    }

    #[test]
    fn changes_while_the_adapter_sleeps_are_seen_before_any_request() {
        let (mut bed, units) = started("namespaces=2,capacity=16M", &["namespace.1:create=8M:at=d0"]);
        bed.fill(&units[0], 1);
        bed.fill(&units[1], 2);
        bed.machine.power_down(PowerAction::Hibernate).expect("it sleeps");
        bed.machine.power_up().expect("it wakes");
        assert_eq!(sense(&write(&mut bed, &units[0], 0, 7)), Some(NOT_SUPPORTED));
        let now = bed.machine.enumerate().expect("the disks answer");
        assert_eq!(luns(&now), [1, 2]);
        assert!(read(&mut bed, &now[1], 0).data.iter().all(|byte| *byte == 0));
        bed.expect_filled(&units[1], 2);
        bed.finish();
    }

    #[test]
    fn namespace_that_is_listed_and_not_identified_keeps_its_unit() {
        let faults = ["namespace.2:resize=8M:at=start,after=2s", "identify.cns=0:status=0/06:nth=3"];
        let (mut bed, units) = started("namespaces=2,capacity=16M", &faults);
        bed.fill(&units[0], 1);
        pass(&mut bed, 3000);
        assert_eq!(bed.fired(), [1, 1]);
        let now = bed.machine.enumerate().expect("the disks answer");
        assert_eq!(luns(&now), [0, 1]);
        bed.expect_filled(&units[0], 1);
        bed.finish();
    }

    #[test]
    fn without_identifiers_nobody_knows_whether_it_is_the_same() {
        let blank = "namespaces=1,capacity=16M,nguid=00000000000000000000000000000000,eui64=0000000000000000,uuid=00000000000000000000000000000000";
        let (mut bed, units) = started(blank, &["namespace.1:create=8M:at=start,after=2s"]);
        pass(&mut bed, 3000);
        assert_eq!(sense(&write(&mut bed, &units[0], 0, 7)), Some(NOT_SUPPORTED));
        let now = bed.machine.enumerate().expect("the disks answer");
        assert_eq!(luns(&now), [1]);
        bed.finish();
    }

    #[test]
    fn what_cannot_be_written_says_so() {
        for (fault, profile) in [
            ("any:read-only:at=start,after=2s", "capacity=16M"),
            ("namespace.1:protect:at=start,after=2s", "capacity=16M"),
            // Known at the start.
            ("any:read-only:at=find", "capacity=16M"),
        ] {
            let (mut bed, units) = started(profile, &[fault]);
            pass(&mut bed, 3000);
            if !fault.ends_with("find") {
                assert_eq!(ready(&mut bed, &units[0]), Some(MODE_CHANGED));
            }
            let mode = bed.execute(&units[0], &[0x1A, 0, 0x3F, 0, 192, 0], Data::In(192));
            assert!(mode.succeeded(), "{mode:?}");
            assert_eq!(mode.data[2] & 0x80, 0x80, "WP with {fault}");
            assert_eq!(sense(&write(&mut bed, &units[0], 0, 1)), Some(WRITE_PROTECTED));
            assert!(read(&mut bed, &units[0], 0).succeeded());
            bed.finish();
        }
    }

    #[test]
    fn numbers_that_were_never_given_answer_nothing() {
        let (mut bed, units) = started("namespaces=2,capacity=16M", &["namespace.1:delete:at=start,after=200ms"]);
        pass(&mut bed, 300);
        let mut none = units[0].clone();
        none.address = UnitAddress { lun: 2, ..none.address };
        let inquiry = bed.execute(&none, &[0x12, 0, 0, 0, 36, 0], Data::In(36));
        assert_eq!((inquiry.succeeded(), inquiry.transferred), (false, 0));
        bed.finish();
    }
}

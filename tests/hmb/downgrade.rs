//! Controllers that die of the memory they are lent.

use portbed::machine::PowerAction;
use rusty_fork::rusty_fork_test;

use crate::bed::Bed;
use crate::lending::{MIB, assert_all_returned, number, read, read_until_dead};

/// The driver's number for why no memory is lent.
const DOWNGRADED: u64 = 10;

/// The numbers of the events with this text, oldest first.
fn numbers(bed: &Bed, text: &str, name: &str) -> Vec<u64> {
    let logged = bed.logged(text);
    logged.iter().map(|event| number(event, name)).collect()
}

fn limits(bed: &Bed) -> Vec<u64> {
    numbers(bed, "HMB downgraded", "LimitBytes")
}

fn lent(bed: &Bed) -> Vec<u64> {
    numbers(bed, "HMB lent", "LentBytes")
}

rusty_fork_test! {
    #![rusty_fork(timeout_ms = 120_000)]

    #[test]
    fn a_controller_that_dies_of_its_memory_gets_half_of_it() {
        let (mut bed, units) = Bed::started("hmb,dies=lent:40M");
        read_until_dead(&mut bed, &units[0]);
        for block in 0..8 {
            let completed = bed.machine.execute(read(&units[0], block)).expect("it runs on");
            assert!(completed.succeeded(), "it lives with less");
        }
        assert_eq!(limits(&bed), [32 * MIB]);
        assert_eq!(lent(&bed), [64 * MIB, 32 * MIB]);
        let report = bed.finish();
        assert_eq!((report.enabled, report.memory_returned, report.freed), (2, 0, 2));
        assert_all_returned(&report);
    }

    #[test]
    fn a_controller_that_dies_again_gets_none() {
        let (mut bed, units) = Bed::started("hmb,dies=lent:0");
        for _ in 0..2 {
            read_until_dead(&mut bed, &units[0]);
        }
        for block in 0..8 {
            let completed = bed.machine.execute(read(&units[0], block)).expect("it runs on");
            assert!(completed.succeeded(), "it lives without");
        }
        assert_eq!(limits(&bed), [32 * MIB, 0]);
        assert_eq!(lent(&bed), [64 * MIB, 32 * MIB]);
        assert_eq!(numbers(&bed, "HMB not lent", "Why"), [DOWNGRADED]);
        let report = bed.finish();
        assert_all_returned(&report);
    }

    #[test]
    fn a_controller_whose_minimum_kills_it_gets_none_at_once() {
        let (mut bed, units) = Bed::started("hmb,hmmin=64M,dies=lent:0");
        read_until_dead(&mut bed, &units[0]);
        bed.machine.execute(read(&units[0], 0)).expect("it runs on");
        assert_eq!(limits(&bed), [0]);
        let report = bed.finish();
        assert_eq!(report.freed, 1);
        assert_all_returned(&report);
    }

    #[test]
    fn silence_is_blamed_on_the_memory_the_second_time() {
        let (mut bed, units) = Bed::started("hmb,dies=lent:40M,death=silent");
        read_until_dead(&mut bed, &units[0]);
        assert_eq!(limits(&bed), [0; 0], "it may be an accident");
        read_until_dead(&mut bed, &units[0]);
        bed.machine.execute(read(&units[0], 0)).expect("it runs on");
        assert_eq!(limits(&bed), [32 * MIB]);
        assert_eq!(lent(&bed), [64 * MIB, 64 * MIB, 32 * MIB]);
        assert_all_returned(&bed.finish());
    }

    #[test]
    fn a_downgrade_is_remembered_for_the_next_start() {
        let (mut bed, units) = Bed::started("hmb,dies=lent:40M");
        read_until_dead(&mut bed, &units[0]);
        bed.machine.execute(read(&units[0], 0)).expect("it runs on");
        bed.machine.stop_and_remove().expect("the adapter stops");
        bed.start();
        assert_eq!(limits(&bed), [32 * MIB]);
        assert_eq!(lent(&bed), [64 * MIB, 32 * MIB, 32 * MIB]);
        assert_all_returned(&bed.finish());
    }

    #[test]
    fn a_downgrade_is_forgotten_with_the_firmware() {
        let (mut bed, units) = Bed::started("hmb,dies=lent:40M,update=2.0");
        read_until_dead(&mut bed, &units[0]);
        bed.machine.execute(read(&units[0], 0)).expect("it runs on");
        bed.machine.power_down(PowerAction::Sleep).expect("the adapter powers down");
        bed.machine.power_up().expect("the adapter powers up");
        bed.machine.stop_and_remove().expect("the adapter stops");
        let units = bed.start();
        assert_eq!(lent(&bed).last(), Some(&(64 * MIB)));
        for block in 0..8 {
            let completed = bed.machine.execute(read(&units[0], block)).expect("it runs on");
            assert!(completed.succeeded(), "it lives with all of it");
        }
        assert_eq!(limits(&bed), [32 * MIB]);
        assert_all_returned(&bed.finish());
    }

    #[test]
    fn a_controller_that_dies_much_later_keeps_its_memory() {
        let (mut bed, units) = Bed::started("hmb,dies=lent:0");
        bed.machine.pass(61_000_000_000).expect("time passes");
        read_until_dead(&mut bed, &units[0]);
        bed.machine.pass(61_000_000_000).expect("time passes");
        bed.machine.execute(read(&units[0], 0)).expect("it runs on");
        assert_eq!(limits(&bed), [0; 0]);
        assert_eq!(lent(&bed), [64 * MIB, 64 * MIB]);
        assert_all_returned(&bed.finish());
    }
}

//! Several adapters of one driver: each has its own device extension, interrupts, requests and settings, and all of them
//! share one limit of lent memory.
#![cfg(target_os = "linux")]

mod bed;

use bed::Bed;
use portbed::machine::{LogicalUnit, PowerAction};
use rusty_fork::rusty_fork_test;

const MIB: u64 = 1 << 20;
const SECOND_NS: u64 = 1_000_000_000;

/// Starts so many adapters; the first disk of each.
fn started(profile: &str, adapters: usize) -> (Bed, Vec<LogicalUnit>) {
    let mut bed = Bed::with_adapters(profile, adapters);
    let units = (0..adapters).map(|adapter| start(&mut bed, adapter));
    let units = units.collect();
    (bed, units)
}

fn start(bed: &mut Bed, adapter: usize) -> LogicalUnit {
    bed.machine.select_adapter(adapter);
    bed.start().swap_remove(0)
}

fn remove(bed: &mut Bed, adapter: usize) {
    bed.machine.select_adapter(adapter);
    bed.machine.stop_and_remove().expect("the adapter stops");
}

/// What an adapter has been granted and has given back, in bytes and calls.
fn memory(bed: &mut Bed, adapter: usize) -> (u64, u64) {
    bed.machine.select_adapter(adapter);
    let report = bed.machine.hmb();
    (report.granted_bytes, report.freed)
}

/// What an event said last.
fn last_logged(bed: &Bed, text: &str) -> String {
    bed.logged(text).pop().expect("an event")
}

/// Both disks written at once, and read back.
fn both_work(bed: &mut Bed, units: &[LogicalUnit], salt: u64) {
    let begun: Vec<_> = (salt..)
        .zip(units)
        .map(|(salt, unit)| bed.begin_fill(unit, salt))
        .collect();
    bed.finish_fill(begun.into_iter().flatten().collect());
    for (salt, unit) in (salt..).zip(units) {
        bed.expect_filled(unit, salt);
    }
}

fn side_by_side(profile: &str) {
    let (mut bed, units) = started(profile, 2);
    assert_eq!(units[1].address.adapter, 1);
    both_work(&mut bed, &units, 1);
    remove(&mut bed, 0);
    both_work(&mut bed, &units[1..], 3);
    remove(&mut bed, 1);
    for adapter in 0..2 {
        assert_eq!(memory(&mut bed, adapter), (64 * MIB, 1));
    }
    bed.unload();
}

/// How often the driver has set its timers.
fn timer_calls(bed: &Bed) -> u64 {
    let evaluated = bed.machine.rules().evaluated();
    let timers = evaluated.iter().filter(|(id, _)| *id == "timer-routine");
    timers.map(|&(_, times)| times).sum()
}

rusty_fork_test! {
    #![rusty_fork(timeout_ms = 120_000)]

    #[test]
    fn two_adapters_side_by_side() {
        side_by_side("hmb");
    }

    #[test]
    fn two_adapters_with_line_interrupts() {
        side_by_side("hmb,interrupts=line");
    }

    #[test]
    fn two_adapters_that_are_stopped_at_dirql() {
        side_by_side("hmb,pnp=off,stop=dirql");
    }

    #[test]
    fn settings_of_one_adapter() {
        let (mut bed, _) = started("hmb,reg.Device1\\HmbMaximumMegabytes=16", 2);
        assert_eq!(memory(&mut bed, 0), (64 * MIB, 0));
        assert_eq!(memory(&mut bed, 1), (16 * MIB, 0));
        remove(&mut bed, 0);
        remove(&mut bed, 1);
        bed.unload();
    }

    #[test]
    fn the_second_adapter_is_lent_what_the_total_leaves() {
        let (mut bed, units) = started("hmb,reg.HmbTotalMegabytes=96", 2);
        assert_eq!(memory(&mut bed, 0), (64 * MIB, 0));
        assert_eq!(memory(&mut bed, 1), (32 * MIB, 0));
        let event = last_logged(&bed, "HMB lent");
        assert!(event.contains("LimitedBy=3"), "{event}");
        both_work(&mut bed, &units, 1);
        remove(&mut bed, 0);
        remove(&mut bed, 1);
        bed.unload();
    }

    #[test]
    fn the_second_adapter_is_lent_nothing_where_the_total_leaves_less_than_its_minimum() {
        let (mut bed, units) = started("hmb,reg.HmbTotalMegabytes=72", 2);
        assert_eq!(memory(&mut bed, 1), (0, 0));
        let event = last_logged(&bed, "HMB not lent");
        assert!(event.contains("Why=5"), "{event}");
        both_work(&mut bed, &units, 1);
        // What the first one gives back is there for one that comes later.
        remove(&mut bed, 0);
        remove(&mut bed, 1);
        start(&mut bed, 1);
        assert_eq!(memory(&mut bed, 1), (64 * MIB, 0));
        remove(&mut bed, 1);
        bed.unload();
    }

    #[test]
    fn surprise_removal_of_one_does_not_disturb_the_other() {
        let (mut bed, units) = started("hmb", 2);
        let begun = bed.begin_fill(&units[0], 1);
        bed.machine.select_adapter(1);
        bed.machine.surprise_remove().expect("the adapter goes");
        bed.finish_fill(begun);
        bed.expect_filled(&units[0], 1);
        assert_eq!(memory(&mut bed, 1), (64 * MIB, 1));
        assert_eq!(memory(&mut bed, 0), (64 * MIB, 0));
        remove(&mut bed, 0);
        bed.unload();
    }

    #[test]
    fn one_sleeps_while_the_other_works() {
        let (mut bed, units) = started("hmb", 2);
        bed.fill(&units[1], 1);
        bed.machine.select_adapter(1);
        bed.machine
            .power_down(PowerAction::None)
            .expect("the adapter sleeps");
        both_work(&mut bed, &units[..1], 2);
        bed.machine.select_adapter(1);
        bed.machine.power_up().expect("the adapter wakes");
        bed.expect_filled(&units[1], 1);
        remove(&mut bed, 1);
        remove(&mut bed, 0);
        bed.unload();
    }

    #[test]
    fn driver_with_two_adapters_loaded_again() {
        let (mut bed, units) = started("hmb", 2);
        both_work(&mut bed, &units, 1);
        for life in 2..=3 {
            remove(&mut bed, 0);
            remove(&mut bed, 1);
            bed.unload();
            bed.load();
            let units = [start(&mut bed, 0), start(&mut bed, 1)];
            both_work(&mut bed, &units, 2 * life);
        }
        remove(&mut bed, 1);
        remove(&mut bed, 0);
        bed.unload();
    }

    #[test]
    fn adapters_that_ask_at_once_keep_to_the_total() {
        let profile = "hmb,power=stop,stop=passive,reg.HmbTotalMegabytes=96";
        let (mut bed, _) = started(profile, 2);
        let mut before = 96 * MIB;
        for _ in 0..20 {
            for adapter in 0..2 {
                bed.machine.select_adapter(adapter);
                let action = PowerAction::Sleep;
                bed.machine.power_down(action).expect("the adapter sleeps");
            }
            // Both come up side by side, for a restart goes on from the timer.
            for adapter in 0..2 {
                bed.machine.select_adapter(adapter);
                bed.machine.power_up().expect("the adapter wakes");
            }
            bed.machine.pass(SECOND_NS).expect("time passes");
            let granted = memory(&mut bed, 0).0 + memory(&mut bed, 1).0;
            assert_eq!(granted - before, 96 * MIB);
            before = granted;
        }
        remove(&mut bed, 0);
        remove(&mut bed, 1);
        bed.unload();
    }

    #[test]
    fn declined_retry_sets_no_timer_any_more() {
        let (mut bed, _) = started("hmb,grant=later:1,reg.HmbTotalMegabytes=64", 2);
        bed.machine.pass(70 * SECOND_NS).expect("time passes");
        let event = last_logged(&bed, "HMB not lent");
        assert!(event.contains("Why=5"), "{event}");
        let before = timer_calls(&bed);
        bed.machine.pass(10 * SECOND_NS).expect("time passes");
        assert_eq!(timer_calls(&bed), before);
        remove(&mut bed, 0);
        remove(&mut bed, 1);
        bed.unload();
    }
}

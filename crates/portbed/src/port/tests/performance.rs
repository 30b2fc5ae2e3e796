//! Performance options: what is offered, and what a miniport sees that takes all of it.

use super::device::Device;
use super::miniport::{self, Habit, Seen};
use super::*;
use crate::abi::status as stor;
use crate::machine::{Performance, PerformanceOffer, StartIoAnswer};

/// Starts the adapter, reads, and tells what the miniport saw; then everything to the end, without a broken rule.
fn observe(clock: Clock, cpus: u32, port: &PortOptions) -> Seen {
    observe_in(Habit::Channels, clock, cpus, port)
}

fn observe_in(habit: Habit, clock: Clock, cpus: u32, port: &PortOptions) -> Seen {
    let options = MachineOptions {
        cpus,
        clock,
        seed: 5,
        port: port.clone(),
        registry: BTreeMap::from([("Fault".to_owned(), habit as u32)]),
        controllers: vec![Box::new(Device::default())],
        journal: Journal::default(),
    };
    let mut machine = Machine::new(options).unwrap();
    machine.load_entry(miniport::driver_entry).unwrap();
    machine.start_adapter().unwrap();
    for block in 0..24 {
        machine.submit(read(block, 4096, SrbKind::Storage)).unwrap();
    }
    let answers = machine.drain().unwrap();
    assert!(answers.iter().all(|(_, answer)| answer.succeeded()));
    let seen = miniport::seen(machine.extension());
    machine.stop_and_remove().unwrap();
    machine.unload().unwrap();
    assert_eq!(machine.rules().violations(), [], "{port:?}");
    seen
}

fn with(performance: Performance) -> PortOptions {
    PortOptions {
        performance,
        ..PortOptions::default()
    }
}

fn offering(keys: &[(&str, &str)]) -> PortOptions {
    let mut port = PortOptions::default();
    for (key, value) in keys {
        port.set(key, value).unwrap();
    }
    port
}

#[test]
fn start_io_runs_on_several_processors_at_once_if_and_only_if_channels_are_granted() {
    for clock in [Clock::Deterministic, Clock::Threaded] {
        for (keys, channels) in [
            (&[][..], true),
            (&[("perf", "channels")], true),
            (&[("perf-channels", "2")], true),
            (&[("perf-channels", "100")], true),
            (&[("perf-channels", "1")], false),
            (&[("perf", "dpc+ranges+startio")], false),
            (&[("perf", "none")], false),
            (&[("perf", "notimplemented")], false),
            (&[("perf-set", "refuse")], false),
            (&[("perf-version", "1")], false),
            (&[("perf-version", "2")], true),
        ] {
            let seen = observe(clock, 3, &offering(keys));
            assert_eq!(seen.at_once > 1, channels, "{clock:?}, {keys:?}: {seen:?}");
        }
    }
}

#[test]
fn what_is_offered_is_what_the_options_and_the_version_allow() {
    let taken = |keys| {
        let seen = observe(Clock::Deterministic, 2, &offering(keys));
        (seen.version, seen.flags, seen.channels, seen.set)
    };
    assert_eq!(taken(&[]), (8, 0x3F, 2, stor::SUCCESS));
    assert_eq!(taken(&[("perf-version", "4")]), (4, 0x3F, 2, stor::SUCCESS));
    assert_eq!(taken(&[("perf-version", "3")]), (3, 0x1F, 2, stor::SUCCESS));
    assert_eq!(taken(&[("perf-version", "1")]), (1, 0, 0, stor::SUCCESS));
    assert_eq!(
        taken(&[("perf", "dpc+startio")]),
        (8, 0x11, 0, stor::SUCCESS)
    );
    assert_eq!(
        taken(&[("perf-channels", "7")]),
        (8, 0x3F, 7, stor::SUCCESS)
    );
    assert_eq!(taken(&[("perf", "notimplemented")]), (0, 0, 0, 0));
    let refused = taken(&[("perf-set", "refuse")]);
    assert_eq!(refused, (8, 0x3F, 2, stor::INSUFFICIENT_RESOURCES));
}

#[test]
fn requests_are_told_the_message_and_the_channel_that_the_options_say() {
    let told = |start_io| {
        let performance = Performance {
            start_io,
            ..Performance::default()
        };
        observe(Clock::Deterministic, 4, &with(performance))
    };
    let own = told(StartIoAnswer::Own).told;
    assert_eq!(own.len(), 24);
    let differs = |&&(processor, message, channel): &&(u32, u32, u32)| {
        (message, channel) != (processor % 2, processor)
    };
    assert_eq!(own.iter().find(differs), None);
    let other = told(StartIoAnswer::Other).told;
    assert!(
        other
            .iter()
            .all(|&(processor, _, channel)| channel == (processor + 1) % 4)
    );
    assert!(
        told(StartIoAnswer::Any)
            .told
            .iter()
            .any(|told| differs(&told))
    );
    let shared = told(StartIoAnswer::Shared).told;
    assert!(
        shared
            .iter()
            .all(|&(_, message, channel)| (message, channel) == (0, 0))
    );
    assert!(shared.iter().any(|&(processor, ..)| processor > 0));
    let untold = told(StartIoAnswer::NotImplemented);
    assert_eq!(untold.untold, [stor::NOT_IMPLEMENTED; 24]);
}

#[test]
fn dpcs_of_redirected_messages_run_where_their_requests_come_from() {
    // The device interrupts with message 1, which processors 1 and 3 are told of.
    let dpcs = |offer| {
        let performance = Performance {
            offer: PerformanceOffer::Flags(offer),
            ..Performance::default()
        };
        let seen = observe(Clock::Deterministic, 4, &with(performance));
        assert!(seen.interrupts.iter().all(|&it| it == (1, 1)), "{seen:?}");
        seen.dpcs.into_iter().collect::<BTreeSet<_>>()
    };
    assert_eq!(dpcs(0x1F), BTreeSet::from([1, 3]));
    assert_eq!(dpcs(0x3F), BTreeSet::from([1]));
    assert_eq!(dpcs(0x13), BTreeSet::from([1]));
    assert_eq!(dpcs(0), BTreeSet::from([1]));
}

#[test]
fn messages_come_to_the_processors_that_the_affinity_says_and_the_miniport_is_told() {
    // The device interrupts with message 1.
    let seen = |affinity| {
        observe(
            Clock::Deterministic,
            4,
            &offering(&[("affinity", affinity)]),
        )
    };
    for (affinity, targets, taken, dpcs) in [
        ("spread", [(0, 1), (0, 2)], &[1_u32][..], &[1, 3][..]),
        ("reversed", [(0, 8), (0, 4)], &[2], &[1, 2]),
        ("first", [(0, 1); 2], &[0], &[1, 3]),
        ("turns", [(0, 15); 2], &[0, 1, 2, 3], &[1, 3]),
    ] {
        // Everything is granted but that the DPC stays where the interrupt is.
        let seen = seen(affinity);
        let keys = [("affinity", affinity), ("perf-version", "3")];
        let redirected = observe(Clock::Deterministic, 4, &offering(&keys));
        assert_eq!(seen.targets, targets, "{affinity}");
        let at = |messages: Vec<(u32, u32)>| -> BTreeSet<u32> {
            messages.into_iter().map(|(_, at)| at).collect()
        };
        let set = |all: &[u32]| -> BTreeSet<u32> { all.iter().copied().collect() };
        let taken = set(taken);
        // Where the messages go round, those of a short run need not come to every processor.
        for at in [
            at(seen.interrupts),
            set(&seen.dpcs),
            at(redirected.interrupts),
        ] {
            let as_said = at.is_subset(&taken) && (at.len() > 1) == (taken.len() > 1);
            assert!(as_said && !at.is_empty(), "{affinity}: {at:?}");
        }
        assert_eq!(set(&redirected.dpcs), set(dpcs), "{affinity}");
    }
}

#[test]
fn messages_run_at_once_if_and_only_if_each_has_a_lock_of_its_own_and_another_processor() {
    for clock in [Clock::Deterministic, Clock::Threaded] {
        for (habit, affinity, at_once) in [
            (Habit::LockPerMessage, "spread", true),
            (Habit::LockPerMessage, "turns", true),
            (Habit::LockPerMessage, "first", false),
            (Habit::LockForAll, "spread", false),
            (Habit::LockForAll, "turns", false),
        ] {
            let seen = observe_in(habit, clock, 2, &offering(&[("affinity", affinity)]));
            assert_eq!(
                seen.interrupts_at_once > 1,
                at_once,
                "{clock:?}, {habit:?}, {affinity}"
            );
            assert_eq!(seen.intruded, 0, "{clock:?}, {habit:?}, {affinity}");
        }
    }
}

#[test]
fn targets_name_the_group_of_their_processor() {
    let seen = |cpus, keys: &[(&str, &str)]| observe(Clock::Deterministic, cpus, &offering(keys));
    let pairs = ("group-size", "2");
    let reversed = seen(4, &[pairs, ("affinity", "reversed")]);
    assert_eq!(reversed.targets, [(1, 2), (1, 1)]);
    assert!(reversed.interrupts.iter().all(|&it| it == (1, 2)));
    let turns = seen(4, &[pairs, ("affinity", "turns")]);
    assert_eq!(turns.targets, [(0, 3); 2]);
    assert!(turns.interrupts.iter().all(|&(_, at)| at < 2));
    let many = seen(100, &[("affinity", "reversed")]);
    assert_eq!(many.targets, [(1, 1 << 35), (1, 1 << 34)]);
    assert_eq!((many.channels, many.at_once > 1), (100, true));
    assert!(many.told.iter().any(|&(processor, ..)| processor >= 64));
}

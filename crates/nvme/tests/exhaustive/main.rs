//! Every path of events, up to a length, through the state machine and the states of the Host Memory Buffer, against a device
//! that does whatever a device can do: it never comes to freed memory that the device may use, and no memory is lost.
//!
//! A controller cannot be copied, on purpose. So the search is a small one of its own: a path is walked anew from the start
//! for each of its continuations, and one that ends where another did is not continued. Shortest paths come first.

mod device;
mod world;

use std::collections::{HashSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};

use nvme::lifecycle::{Goal, Shutdown};
use nvme_spec::status::Status;

use world::{Event, Fault, World};

const ACCEPT: Event = Event::Answer(0, Status::SUCCESS);

/// What a search found.
struct Outcome {
    /// Different states that were reached.
    states: usize,
    /// Paths that were walked.
    paths: usize,
    /// A shortest path to what must not be, and what that is.
    fault: Option<(Vec<Event>, String)>,
}

fn walk(fault: Option<Fault>, path: &[Event]) -> World {
    let mut world = World::new(fault);
    for &event in path {
        assert!(world.events().contains(&event), "{event:?} of {path:?}");
        world.apply(event).expect("this far it went well");
    }
    world
}

fn hash(world: &World) -> u64 {
    let mut hasher = DefaultHasher::new();
    world.fingerprint().hash(&mut hasher);
    hasher.finish()
}

/// Walks every path of up to `length` events that begins where `start` ends.
fn search(start: &[Event], length: usize, fault: Option<Fault>) -> Outcome {
    let mut seen = HashSet::from([hash(&walk(fault, start))]);
    let mut paths = 0;
    let mut open = VecDeque::from([start.to_vec()]);
    while let Some(path) = open.pop_front() {
        for event in walk(fault, &path).events() {
            paths += 1;
            let mut world = walk(fault, &path);
            let next = [&path[..], &[event]].concat();
            let mut end = world.apply(event);
            if end.is_ok() {
                if !seen.insert(hash(&world)) {
                    continue;
                }
                end = world.give_back();
            }
            if let Err(what) = end {
                return Outcome {
                    states: seen.len(),
                    paths,
                    fault: Some((next, what)),
                };
            }
            if next.len() < start.len() + length {
                open.push_back(next);
            }
        }
    }
    Outcome {
        states: seen.len(),
        paths,
        fault: None,
    }
}

/// Nothing wrong is found on any path from there; at least so many states are reached.
fn nothing_is_wrong(start: &[Event], length: usize, states: usize) {
    let outcome = search(start, length, None);
    println!(
        "{} states on {} paths of {length} events after {start:?}",
        outcome.states, outcome.paths
    );
    assert_eq!(outcome.fault, None);
    assert!(outcome.states >= states, "only {} states", outcome.states);
}

/// The fault is found, on a path that ends so.
fn is_found(fault: Fault, start: &[Event], end: &[Event], what: &str) {
    let outcome = search(start, 5, Some(fault));
    let (path, found) = outcome.fault.expect("it is found");
    println!(
        "{fault:?} is found after {} paths: {path:?}: {found}",
        outcome.paths
    );
    assert!(path.ends_with(end), "{path:?}");
    assert_eq!(found, what);
}

/// A lending is over, but a first command to end it was never answered.
const STALE_DISABLE: [Event; 6] = [
    Event::Lend,
    ACCEPT,
    Event::Begin(Goal::DisableHmb),
    Event::TimeOut,
    Event::Begin(Goal::DisableHmb),
    Event::Answer(1, Status::SUCCESS),
];

/// Memory was given up in order, and the device was put to sleep.
const ASLEEP: [Event; 7] = [
    Event::Lend,
    ACCEPT,
    Event::Begin(Goal::DisableHmb),
    ACCEPT,
    Event::Begin(Goal::Disable),
    Event::Follow,
    Event::Darken,
];

/// An enable was not answered in time, and the driver resets the controller.
const RESETTING: [Event; 3] = [Event::Lend, Event::TimeOut, Event::Begin(Goal::Reset)];

/// The buffer is in use, and the driver shuts the controller down.
const SHUTTING_DOWN: [Event; 3] = [
    Event::Lend,
    ACCEPT,
    Event::Begin(Goal::Shutdown(Shutdown::Normal)),
];

#[test]
fn no_path_from_the_start_frees_what_the_device_may_use_or_loses_memory() {
    nothing_is_wrong(&[], 7, 50_000);
}

#[test]
fn no_path_after_a_stale_disable_frees_what_the_device_may_use_or_loses_memory() {
    nothing_is_wrong(&STALE_DISABLE, 5, 5_000);
}

#[test]
fn no_path_out_of_sleep_frees_what_the_device_may_use_or_loses_memory() {
    nothing_is_wrong(&ASLEEP, 8, 5_000);
}

#[test]
fn no_path_out_of_a_reset_frees_what_the_device_may_use_or_loses_memory() {
    nothing_is_wrong(&RESETTING, 8, 5_000);
}

#[test]
fn no_path_out_of_a_shutdown_frees_what_the_device_may_use_or_loses_memory() {
    nothing_is_wrong(&SHUTTING_DOWN, 8, 5_000);
}

const FREED: &str = "the driver may free memory that the device may use";

#[test]
fn proof_by_time_out_would_be_found() {
    is_found(Fault::TimeOut, &[], &[Event::Lend, Event::TimeOut], FREED);
}

#[test]
fn proof_by_any_failure_would_be_found() {
    let end = [Event::Answer(1, Status::INVALID_FIELD)];
    is_found(Fault::AnyFailure, &[], &end, FREED);
}

#[test]
fn proof_by_a_refused_enable_would_be_found() {
    let end = [
        Event::Lend,
        Event::Execute(0),
        Event::Answer(0, Status::INVALID_FIELD),
    ];
    is_found(Fault::RefusedEnable, &[], &end, FREED);
}

#[test]
fn proof_by_all_ones_would_be_found() {
    let end = [Event::Lend, Event::Darken, Event::TimeOut];
    is_found(Fault::AllOnes, &[], &end, FREED);
}

#[test]
fn proof_by_a_notice_and_one_read_of_all_ones_would_be_found() {
    let end = [Event::Lend, Event::Darken, Event::Announce];
    is_found(Fault::NoticeAndOneRead, &[], &end, FREED);
}

#[test]
fn proof_by_any_disable_would_be_found() {
    let end = [
        Event::Begin(Goal::DisableHmb),
        Event::Answer(1, Status::SUCCESS),
    ];
    is_found(Fault::AnyDisable, &[], &end, FREED);
}

#[test]
fn proof_by_the_disable_of_an_earlier_lending_would_be_found() {
    is_found(
        Fault::LateDisable,
        &STALE_DISABLE,
        &[Event::Lend, ACCEPT],
        FREED,
    );
}

#[test]
fn memory_that_is_lost_would_be_found() {
    let end = [Event::Lend, Event::Answer(0, Status::INVALID_FIELD), ACCEPT];
    let what = "a reset does not get the memory back";
    is_found(Fault::LostProof, &[], &end, what);
}

#[test]
fn proof_by_ready_that_was_clear_before_would_be_found() {
    let end = [
        Event::Lend,
        Event::Panic { fatal: true },
        Event::Begin(Goal::Disable),
    ];
    is_found(Fault::ReadyWasClear, &[], &end, FREED);
}

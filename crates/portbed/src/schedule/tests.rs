//! The clocks, without a port driver and a miniport.

use std::cell::UnsafeCell;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Barrier};

use nvme_model::Profile;

use super::*;
use crate::controller::ModelController;
use crate::journal::Journal;
use crate::machine::{Clock, PortOptions};
use crate::memory::PhysicalMemory;

const CLOCKS: [Clock; 2] = [Clock::Deterministic, Clock::Threaded];

fn core(cpus: usize, clock: Clock, seed: u64) -> Arc<Core> {
    let profile = Profile::default();
    let controller = ModelController::new(&profile, profile.memory());
    Core::start(
        cpus,
        clock,
        seed,
        PhysicalMemory::new(64 << 20, seed).unwrap(),
        Journal::default(),
        PortOptions::default(),
        BTreeMap::new(),
        vec![Box::new(controller)],
    )
    .unwrap()
}

/// A number that only the lock under test protects.
struct Counter(UnsafeCell<u64>);

// SAFETY: the tests touch the number only while they hold a lock of the machine, which is what they test.
unsafe impl Sync for Counter {}

impl Counter {
    fn add_one(&self) {
        let number = self.0.get();
        // SAFETY: the lock under test is held.
        let before = unsafe { number.read_volatile() };
        std::hint::spin_loop();
        // SAFETY: as above.
        unsafe { number.write_volatile(before + 1) };
    }
}

#[test]
fn processors_run_at_the_same_time_in_real_time() {
    let core = core(3, Clock::Threaded, 1);
    let meeting = Arc::new(Barrier::new(3));
    for _ in 0..2 {
        let meeting = Arc::clone(&meeting);
        core.state().tasks.push_back(Box::new(move |_: &Cpu| {
            meeting.wait();
        }));
    }
    let index = core.run(0, move |cpu| {
        meeting.wait();
        cpu.index()
    });
    assert!(index.unwrap() < 3);
    assert!(core.switch_off());
}

#[test]
fn a_lock_keeps_processors_out_of_each_others_way() {
    for clock in CLOCKS {
        let core = core(4, clock, 3);
        let counter = Arc::new(Counter(UnsafeCell::new(0)));
        let left = Arc::new(AtomicU32::new(4));
        for _ in 0..4 {
            let (counter, left) = (Arc::clone(&counter), Arc::clone(&left));
            core.state().tasks.push_back(Box::new(move |cpu: &Cpu| {
                for _ in 0..2000 {
                    cpu.acquire(LockId::StartIo(0), 0);
                    counter.add_one();
                    cpu.release(LockId::StartIo(0));
                }
                left.fetch_sub(1, Ordering::Relaxed);
            }));
        }
        let done = core.run_until(move |_| left.load(Ordering::Relaxed) == 0);
        assert_eq!(done, Ok(Outcome::Satisfied), "{clock:?}");
        assert!(core.switch_off());
        let counter = Arc::into_inner(counter).expect("the tasks are over");
        assert_eq!(counter.0.into_inner(), 8000, "{clock:?}");
    }
}

/// Takes one lock, waits until both processors have one, and takes the other.
fn takes_both(first: LockId, second: LockId, holding: Arc<AtomicU32>) -> processor::Task {
    Box::new(move |cpu: &Cpu| {
        cpu.acquire(first, 0);
        holding.fetch_add(1, Ordering::Relaxed);
        while holding.load(Ordering::Relaxed) < 2 {
            cpu.stall(10_000);
        }
        cpu.acquire(second, 0);
    })
}

#[test]
fn processors_that_wait_for_each_other_end_the_run_with_a_verdict() {
    for clock in CLOCKS {
        let core = core(2, clock, 1);
        let holding = Arc::new(AtomicU32::new(0));
        let (here, there) = (LockId::Dpc(0x1000), LockId::Dpc(0x2000));
        for (first, second) in [(here, there), (there, here)] {
            let task = takes_both(first, second, Arc::clone(&holding));
            core.state().tasks.push_back(task);
        }
        let fatal = core.run_until(|_| false).unwrap_err();
        assert_eq!(fatal.rule, crate::rules::port::CALLBACK_PROGRESS.id);
        for part in ["processor 0 waits for the DPC lock", "processor 1 waits"] {
            assert!(fatal.what.contains(part), "{clock:?}: {}", fatal.what);
        }
        assert!(!core.switch_off(), "their threads never end");
    }
}

#[test]
fn a_wait_for_what_never_happens_ends() {
    for clock in CLOCKS {
        let core = core(2, clock, 1);
        assert_eq!(core.run_until(|_| false), Ok(Outcome::Stuck), "{clock:?}");
        assert_eq!(core.run(0, Cpu::irql), Ok(irql::PASSIVE));
        assert_eq!(core.run_until(|_| false), Ok(Outcome::Stuck), "{clock:?}");
        assert!(core.switch_off());
    }
}

#[test]
fn a_sleep_lasts_as_long_as_it_should_and_a_raised_processor_serves_nothing() {
    for clock in CLOCKS {
        let core = core(1, clock, 1);
        let (before, after, queued) = core
            .run(0, |cpu| {
                let before = cpu.state().now_ns;
                cpu.sleep(3_000_000);
                let after = cpu.state().now_ns;
                cpu.acquire(LockId::StartIo(0), 0);
                cpu.state().dispatch_on(0, Dispatch::Timer);
                cpu.stall(500_000);
                let queued = cpu.state().is_dispatched(Dispatch::Timer);
                cpu.state().cancel_dispatch(Dispatch::Timer);
                cpu.release(LockId::StartIo(0));
                (before, after, queued)
            })
            .unwrap();
        assert!(after - before >= 3_000_000, "{clock:?}");
        assert!(queued, "{clock:?}");
        assert!(core.switch_off());
    }
}

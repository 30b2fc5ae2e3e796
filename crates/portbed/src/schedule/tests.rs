//! The clocks, without a port driver and a miniport.

use std::cell::UnsafeCell;
use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Barrier};

use iced_x86::code_asm::*;
use nvme_model::Profile;

use super::*;
use crate::controller::ModelController;
use crate::journal::Journal;
use crate::machine::{Clock, PortOptions};
use crate::memory::PhysicalMemory;
use crate::pages::{Access, PAGE_BYTES, Pages};
use crate::trap;

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

/// Code in a page of its own that counts as an image.
fn image(code: &mut CodeAssembler) -> u64 {
    let pages = Box::leak(Box::new(Pages::reserve(PAGE_BYTES).unwrap()));
    let at = pages.address();
    let bytes = code.assemble(at).unwrap();
    pages.protect(0, PAGE_BYTES, Access::ReadWrite).unwrap();
    pages.write(0, &bytes).unwrap();
    pages.protect(0, PAGE_BYTES, Access::ReadExecute).unwrap();
    trap::install(at..at + PAGE_BYTES, |_| trap::Resolution::End).unwrap();
    at
}

/// Adds 1 to the number at RCX, RDX times, without a lock.
fn adder() -> u64 {
    let mut code = CodeAssembler::new(64).unwrap();
    let mut again = code.create_label();
    code.set_label(&mut again).unwrap();
    code.mov(rax, qword_ptr(rcx)).unwrap();
    code.inc(rax).unwrap();
    code.mov(qword_ptr(rcx), rax).unwrap();
    code.dec(rdx).unwrap();
    code.jne(again).unwrap();
    code.ret().unwrap();
    image(&mut code)
}

/// What two processors make of a number that each adds 1 to, 4 times in each of 50 callbacks.
fn sum(clock: Clock, seed: u64, adder: u64) -> u64 {
    let core = core(2, clock, seed);
    let number = Box::leak(Box::new(AtomicU64::new(0)));
    let left = Arc::new(AtomicU32::new(2));
    let at = (&raw const *number).expose_provenance() as u64;
    for _ in 0..2 {
        let left = Arc::clone(&left);
        core.state().tasks.push_back(Box::new(move |cpu: &Cpu| {
            for _ in 0..50 {
                cpu.call(Callback::TimerEx, adder, [at, 4, 0, 0, 0, 0]);
            }
            left.fetch_sub(1, Ordering::Relaxed);
        }));
    }
    let done = core.run_until(move |_| left.load(Ordering::Relaxed) == 0);
    assert_eq!(done, Ok(Outcome::Satisfied));
    assert!(core.switch_off());
    number.load(Ordering::Relaxed)
}

#[test]
fn pre_emption_inside_code_loses_what_no_lock_protects_and_the_seed_decides_what() {
    let adder = adder();
    let preemptive = Clock::Preemptive(NonZeroU32::MIN);
    let sums = |clock| {
        (1..6)
            .map(|seed| sum(clock, seed, adder))
            .collect::<Vec<_>>()
    };
    assert_eq!(sums(Clock::Deterministic), [400; 5]);
    let lost = sums(preemptive);
    assert!(lost.iter().any(|&sum| sum < 400), "{lost:?}");
    assert_eq!(sums(preemptive), lost);
}

#[test]
fn code_that_waits_for_another_processor_lets_it_go_on() {
    let mut code = CodeAssembler::new(64).unwrap();
    let mut again = code.create_label();
    code.mov(qword_ptr(rcx), 1).unwrap();
    code.set_label(&mut again).unwrap();
    code.cmp(qword_ptr(rcx), 2).unwrap();
    code.jne(again).unwrap();
    code.ret().unwrap();
    let waits = image(&mut code);
    let machine = core(2, Clock::Deterministic, 1);
    let word: &AtomicU64 = Box::leak(Box::new(AtomicU64::new(0)));
    let at = (&raw const *word).expose_provenance() as u64;
    machine.state().tasks.push_back(Box::new(move |cpu: &Cpu| {
        while word.load(Ordering::Relaxed) == 0 {
            cpu.sleep(1000);
        }
        word.store(2, Ordering::Relaxed);
    }));
    machine
        .run(0, move |cpu| {
            cpu.call(Callback::TimerEx, waits, [at, 0, 0, 0, 0, 0])
        })
        .unwrap();
    assert!(machine.switch_off());
}

/// Waits until the number at RCX has the parity RDX, adds 1 to it, and so on until it is R8 or more.
fn takes_turns() -> u64 {
    let mut code = CodeAssembler::new(64).unwrap();
    let (mut again, mut over) = (code.create_label(), code.create_label());
    code.set_label(&mut again).unwrap();
    code.pause().unwrap();
    code.mov(rax, qword_ptr(rcx)).unwrap();
    code.cmp(rax, r8).unwrap();
    code.jae(over).unwrap();
    code.and(rax, 1).unwrap();
    code.cmp(rax, rdx).unwrap();
    code.jne(again).unwrap();
    code.inc(qword_ptr(rcx)).unwrap();
    code.jmp(again).unwrap();
    code.set_label(&mut over).unwrap();
    code.ret().unwrap();
    image(&mut code)
}

#[test]
fn waiting_with_pause_costs_next_to_no_time() {
    const TURNS: u64 = 20;
    let takes_turns = takes_turns();
    let machine = core(2, Clock::Deterministic, 1);
    let word: &AtomicU64 = Box::leak(Box::new(AtomicU64::new(0)));
    let at = (&raw const *word).expose_provenance() as u64;
    let left = Arc::new(AtomicU32::new(2));
    for parity in 0..2 {
        let left = Arc::clone(&left);
        machine.state().tasks.push_back(Box::new(move |cpu: &Cpu| {
            cpu.call(Callback::TimerEx, takes_turns, [at, parity, TURNS, 0, 0, 0]);
            left.fetch_sub(1, Ordering::Relaxed);
        }));
    }
    let done = machine.run_until(move |_| left.load(Ordering::Relaxed) == 0);
    assert_eq!(done, Ok(Outcome::Satisfied));
    assert_eq!(word.load(Ordering::Relaxed), TURNS);
    // Code that runs on costs a millisecond each time that it is stopped.
    assert!(machine.state().now_ns < 1_000_000);
    assert!(machine.switch_off());
}

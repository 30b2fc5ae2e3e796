//! The queue pair under its lock, with a controller beside it, in every order that the memory model allows: the sources of the pair, the
//! rings and the lock, on the types of a model checker. Every dword of a ring but the one with the phase tag is checked for data races:
//! a read that the memory model does not put after the write ends the test.

#![allow(
    dead_code,
    unused_imports,
    unreachable_pub,
    missing_docs,
    clippy::duplicate_mod,
    clippy::pedantic,
    reason = "sources that are made for another place"
)]

use loom::sync::Arc;
use loom::thread;

/// Entries of each ring: room for as many commands as there are processors.
const ENTRIES: u16 = 3;
/// Dwords of a command and of a completion.
const COMMAND: usize = 16;
const COMPLETION: usize = 4;

mod atomic {
    pub(crate) use loom::hint::spin_loop;
    pub(crate) use loom::sync::atomic::{AtomicBool, Ordering, fence};

    pub(crate) struct Cell<T>(loom::cell::UnsafeCell<T>);

    impl<T> Cell<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(loom::cell::UnsafeCell::new(value))
        }

        pub(crate) fn place(&self) -> *mut T {
            self.0.with_mut(|place| place)
        }
    }
}

#[path = "../../../sync/src/lock.rs"]
mod lock;
mod ordered;
mod unordered;

use lock::Lock;

fn lock<T>(value: T) -> Lock<T> {
    Lock {
        held: atomic::AtomicBool::new(false),
        value: atomic::Cell::new(value),
    }
}

/// The tests on a set of sources.
macro_rules! tests {
    ($sources:ident) => {
        Sources {
            make: |host: &Host| {
                use $sources::queue::{CompletionQueue, SubmissionQueue};
                let submission = SubmissionQueue::new(host.submission.clone(), 1, ENTRIES, 0);
                let completion = CompletionQueue::new(host.completion.clone(), 1, ENTRIES, 0);
                let mut pair = $sources::pair::QueuePair::<_, usize, 4>::new();
                pair.place((submission.unwrap(), completion.unwrap()));
                pair
            },
            send: |pair, value, registers| {
                let sent = pair.send(value, |_, entry| entry.write(&COMMAND_OF_A_TEST));
                pair.ring(registers);
                assert!(sent.is_ok());
            },
            drain: |pair, registers, ended| {
                pair.drain(registers, |value, _| ended(value)).unwrap();
            },
        }
    };
}

/// What the tests do with a pair.
struct Sources<P> {
    make: fn(&Host) -> P,
    send: fn(&mut P, usize, &Doorbells),
    drain: fn(&mut P, &Doorbells, &mut dyn FnMut(usize)),
}

const COMMAND_OF_A_TEST: nvme_spec::command::Command = zerocopy::transmute!([0_u32; COMMAND]);

/// A dword of a ring.
enum Word {
    /// Checked for races.
    Plain(loom::cell::Cell<u32>),
    /// What tells that the others were written.
    Shared(loom::sync::atomic::AtomicU32),
}

#[derive(Clone)]
struct Ring(Arc<Vec<Word>>);

impl Ring {
    fn new(entry_dwords: usize, shared: Option<usize>) -> Self {
        let words = (0..usize::from(ENTRIES) * entry_dwords).map(|index| {
            if Some(index % entry_dwords) == shared {
                Word::Shared(loom::sync::atomic::AtomicU32::new(0))
            } else {
                Word::Plain(loom::cell::Cell::new(0))
            }
        });
        Self(Arc::new(words.collect()))
    }

    fn get(&self, index: usize) -> u32 {
        match &self.0[index] {
            Word::Plain(word) => word.get(),
            Word::Shared(word) => word.load(atomic::Ordering::Relaxed),
        }
    }

    fn set(&self, index: usize, value: u32) {
        match &self.0[index] {
            Word::Plain(word) => word.set(value),
            Word::Shared(word) => word.store(value, atomic::Ordering::Relaxed),
        }
    }
}

impl nvme::DmaMemory for Ring {
    fn address(&self) -> u64 {
        0
    }
    fn len(&self) -> usize {
        self.0.len() * 4
    }
    fn read(&self, offset: usize, into: &mut [u8]) {
        for (index, bytes) in into.chunks_mut(4).enumerate() {
            bytes.copy_from_slice(&self.get(offset / 4 + index).to_le_bytes());
        }
    }
    fn write(&self, offset: usize, from: &[u8]) {
        for (index, bytes) in from.chunks(4).enumerate() {
            self.set(
                offset / 4 + index,
                u32::from_le_bytes(bytes.try_into().unwrap()),
            );
        }
    }
}

/// The doorbells: submission tail, completion head.
struct Doorbells([loom::sync::atomic::AtomicU32; 2]);

impl nvme::Registers for Doorbells {
    fn read32(&self, _: u32) -> u32 {
        panic!("a pair reads no register")
    }
    fn write32(&self, offset: u32, value: u32) {
        let doorbell = &self.0[(offset as usize - 0x1008) / 4];
        doorbell.store(value, atomic::Ordering::Relaxed);
    }
    fn read64(&self, _: u32) -> u64 {
        panic!("a pair reads no register")
    }
    fn write64(&self, _: u32, _: u64) {
        panic!("a doorbell has 4 bytes")
    }
}

/// What host and controller share.
#[derive(Clone)]
struct Host {
    submission: Ring,
    completion: Ring,
    doorbells: Arc<Doorbells>,
}

/// Carries out `commands` commands, as the specification lets it: what it reads lies behind the doorbell, what it posts before the
/// phase tag, and it posts nothing over what was not given back.
fn controller(host: &Host, commands: usize) {
    let (mut head, mut tail, mut phase) = (0, 0, 1);
    for _ in 0..commands {
        while host.doorbells.0[0].load(atomic::Ordering::Relaxed) == head {
            thread::yield_now();
        }
        atomic::fence(atomic::Ordering::Acquire);
        let entry = head as usize * COMMAND;
        let words: Vec<u32> = (0..COMMAND)
            .map(|word| host.submission.get(entry + word))
            .collect();
        head = (head + 1) % u32::from(ENTRIES);
        while (tail + 1) % u32::from(ENTRIES) == host.doorbells.0[1].load(atomic::Ordering::Relaxed)
        {
            thread::yield_now();
        }
        atomic::fence(atomic::Ordering::Acquire);
        let entry = tail as usize * COMPLETION;
        host.completion.set(entry, 0);
        host.completion.set(entry + 1, 0);
        host.completion.set(entry + 2, head | 1 << 16);
        atomic::fence(atomic::Ordering::Release);
        host.completion.set(entry + 3, words[0] >> 16 | phase << 16);
        tail = (tail + 1) % u32::from(ENTRIES);
        if tail == 0 {
            phase ^= 1;
        }
    }
}

/// Every interleaving in which a thread is stopped in the middle of something at most three times.
fn model(test: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(test);
}

impl Host {
    fn new() -> Self {
        let doorbell = || loom::sync::atomic::AtomicU32::new(0);
        Self {
            submission: Ring::new(COMMAND, None),
            completion: Ring::new(COMPLETION, Some(3)),
            doorbells: Arc::new(Doorbells([doorbell(), doorbell()])),
        }
    }
}

impl<P: 'static> Sources<P> {
    /// One processor and the controller, on rings that wrap.
    fn one_processor(self) {
        const COMMANDS: usize = 4;
        model(move || {
            let host = Host::new();
            let mut pair = (self.make)(&host);
            let device = {
                let host = host.clone();
                thread::spawn(move || controller(&host, COMMANDS))
            };
            for value in 0..COMMANDS {
                (self.send)(&mut pair, value, &host.doorbells);
                let mut ended = Vec::new();
                while ended.is_empty() {
                    (self.drain)(&mut pair, &host.doorbells, &mut |value| ended.push(value));
                    thread::yield_now();
                }
                assert_eq!(ended, [value]);
            }
            device.join().unwrap();
        });
    }

    /// Two processors that submit to one pair, and two that drain it.
    fn two_processors(self) {
        model(move || {
            let host = Host::new();
            let pair = Arc::new(lock((self.make)(&host)));
            let submit = {
                let (pair, host, send) = (pair.clone(), host.clone(), self.send);
                move |value| send(&mut pair.lock(), value, &host.doorbells)
            };
            let other = thread::spawn({
                let submit = submit.clone();
                move || submit(1)
            });
            submit(0);
            other.join().unwrap();
            controller(&host, 2);
            let ended = Arc::new(lock([0_u8; 2]));
            let drain = {
                let (pair, ended, host) = (pair.clone(), ended.clone(), host.clone());
                let drain = self.drain;
                move || {
                    let mut pair = pair.lock();
                    drain(&mut pair, &host.doorbells, &mut |value| {
                        ended.lock()[value] += 1
                    });
                }
            };
            let other = thread::spawn(drain.clone());
            drain();
            other.join().unwrap();
            assert_eq!(*ended.lock(), [1; 2]);
        });
    }
}

#[test]
fn one_processor_and_the_controller_in_every_order() {
    tests!(ordered).one_processor();
}

#[test]
fn two_processors_share_a_pair_in_every_order() {
    tests!(ordered).two_processors();
}

#[test]
#[should_panic(expected = "Causality violation")]
fn without_the_order_a_half_written_entry_is_seen() {
    tests!(unordered).one_processor();
}

/// Control closes the gate under the lock: from then on nothing is on its way to the controller.
#[test]
fn a_gate_that_is_closed_under_the_lock_lets_nothing_through() {
    model(|| {
        let open = Arc::new(lock(true));
        let doorbell = Arc::new(loom::cell::Cell::new(0));
        let submitting = {
            let (open, doorbell) = (open.clone(), doorbell.clone());
            thread::spawn(move || {
                let held = open.lock();
                if *held {
                    doorbell.set(doorbell.get() + 1);
                }
            })
        };
        *open.lock() = false;
        doorbell.set(doorbell.get() + 10);
        submitting.join().unwrap();
    });
}

//! Rings: phase tags, wrapping, fullness, doorbells, and heads that a controller cannot have reached.

mod device;

use std::cell::RefCell;

use device::Memory;
use nvme::queue::{CompletionQueue, Full, ImpossibleHead, SubmissionQueue};
use nvme::{DmaMemory, Registers};
use nvme_spec::command::{Command, CommandDword0};
use nvme_spec::completion::Completion;
use proptest::prelude::*;
use zerocopy::IntoBytes;

/// Records doorbell writes.
#[derive(Default)]
struct Doorbells(RefCell<Vec<(u32, u32)>>);

impl Doorbells {
    fn take(&self) -> Vec<(u32, u32)> {
        self.0.take()
    }
}

impl Registers for Doorbells {
    fn read32(&self, _: u32) -> u32 {
        panic!("a ring reads no register")
    }
    fn write32(&self, offset: u32, value: u32) {
        self.0.borrow_mut().push((offset, value));
    }
    fn read64(&self, _: u32) -> u64 {
        panic!("a ring reads no register")
    }
    fn write64(&self, _: u32, _: u64) {
        panic!("a doorbell has 4 bytes")
    }
}

fn command(cid: u16) -> Command {
    Command {
        cdw0: CommandDword0::new().with_cid(cid),
        ..Command::default()
    }
}

fn completion(cid: u16, phase: bool) -> Completion {
    let mut completion = Completion {
        cid,
        ..Completion::default()
    };
    completion.status.set_phase(phase);
    completion
}

#[test]
fn needs_memory_at_a_page_for_all_entries() {
    let memory = Memory::pages(2);
    assert!(SubmissionQueue::new(memory.page(0), 1, 64, 0).is_some());
    assert!(SubmissionQueue::new(memory.page(0), 1, 65, 0).is_none());
    assert!(SubmissionQueue::new(memory.page(0), 1, 1, 0).is_none());
    assert!(SubmissionQueue::new(memory.part(64, 4096), 1, 4, 0).is_none());
    assert!(CompletionQueue::new(memory.page(0), 1, 256, 0).is_some());
    assert!(CompletionQueue::new(memory.page(0), 1, 257, 0).is_none());
}

#[test]
fn one_doorbell_announces_all_commands() {
    let (memory, doorbells) = (Memory::pages(1), Doorbells::default());
    let mut queue = SubmissionQueue::new(memory.clone(), 3, 8, 1).unwrap();
    queue.commit(&doorbells);
    assert_eq!(doorbells.take(), []);
    for cid in 0..5 {
        queue.write(&command(cid), cid).unwrap();
    }
    assert_eq!(doorbells.take(), []);
    queue.commit(&doorbells);
    queue.commit(&doorbells);
    // 1000h + 2 * 3 * (4 << 1)
    assert_eq!(doorbells.take(), [(0x1030, 5)]);
    let mut entry = [0; 64];
    memory.read(4 * 64, &mut entry);
    assert_eq!(entry, command(4).as_bytes());
}

#[test]
fn holds_one_less_than_its_entries_and_wraps() {
    let (memory, doorbells) = (Memory::pages(1), Doorbells::default());
    let mut queue = SubmissionQueue::new(memory, 0, 4, 0).unwrap();
    for cid in 0..3 {
        queue.write(&command(cid), cid).unwrap();
    }
    assert_eq!(queue.write(&command(3), 3), Err(Full));
    queue.commit(&doorbells);
    queue.advance_head(2).unwrap();
    queue.write(&command(3), 3).unwrap();
    queue.write(&command(4), 4).unwrap();
    assert_eq!(queue.write(&command(5), 5), Err(Full));
    queue.commit(&doorbells);
    assert_eq!(doorbells.take(), [(0x1000, 3), (0x1000, 1)]);
}

#[test]
fn a_head_out_of_reach_is_impossible() {
    let (memory, doorbells) = (Memory::pages(1), Doorbells::default());
    let mut queue = SubmissionQueue::new(memory, 0, 4, 0).unwrap();
    queue.write(&command(0), 0).unwrap();
    // Written, but not announced yet.
    assert_eq!(queue.advance_head(1), Err(ImpossibleHead));
    queue.commit(&doorbells);
    assert_eq!(queue.advance_head(2), Err(ImpossibleHead));
    assert_eq!(queue.advance_head(4), Err(ImpossibleHead));
    assert_eq!(queue.advance_head(0xFFFF), Err(ImpossibleHead));
    assert_eq!(queue.advance_head(1), Ok(()));
    assert_eq!(queue.advance_head(1), Ok(()));
    // Backwards.
    assert_eq!(queue.advance_head(0), Err(ImpossibleHead));
}

#[test]
fn a_head_beyond_the_ring_is_impossible_even_when_the_tail_has_wrapped() {
    let (memory, doorbells) = (Memory::pages(1), Doorbells::default());
    let mut queue = SubmissionQueue::new(memory, 0, 4, 0).unwrap();
    for cid in 0..3 {
        queue.write(&command(cid), cid).unwrap();
    }
    queue.commit(&doorbells);
    queue.advance_head(3).unwrap();
    queue.write(&command(3), 3).unwrap();
    queue.write(&command(4), 4).unwrap();
    queue.commit(&doorbells);
    assert_eq!(queue.advance_head(4), Err(ImpossibleHead));
    assert_eq!(queue.advance_head(5), Err(ImpossibleHead));
    assert_eq!(queue.advance_head(1), Ok(()));
}

#[test]
fn completions_are_told_by_their_phase() {
    let (memory, doorbells) = (Memory::pages(1), Doorbells::default());
    let mut queue = CompletionQueue::new(memory.clone(), 2, 4, 0).unwrap();
    assert_eq!(queue.next(), None);
    for pass in 0..5u16 {
        let phase = pass % 2 == 0;
        for index in 0..4u16 {
            let posted = completion(pass * 4 + index, phase);
            memory.write(usize::from(index) * 16, posted.as_bytes());
            assert_eq!(queue.next(), Some(posted));
            assert_eq!(queue.next(), None);
            queue.commit(&doorbells);
            // 1000h + (2 * 2 + 1) * 4
            assert_eq!(doorbells.take(), [(0x1014, u32::from((index + 1) % 4))]);
        }
    }
}

#[test]
fn one_doorbell_gives_all_entries_back() {
    let (memory, doorbells) = (Memory::pages(1), Doorbells::default());
    let mut queue = CompletionQueue::new(memory.clone(), 1, 8, 0).unwrap();
    for index in 0..6u16 {
        memory.write(usize::from(index) * 16, completion(index, true).as_bytes());
    }
    let taken: Vec<u16> = queue.by_ref().map(|completion| completion.cid).collect();
    assert_eq!(taken, [0, 1, 2, 3, 4, 5]);
    queue.commit(&doorbells);
    queue.commit(&doorbells);
    assert_eq!(doorbells.take(), [(0x100C, 6)]);
}

#[test]
fn a_reset_queue_does_not_see_the_past() {
    let (memory, doorbells) = (Memory::pages(1), Doorbells::default());
    let mut queue = CompletionQueue::new(memory.clone(), 1, 4, 0).unwrap();
    memory.write(0, completion(1, true).as_bytes());
    memory.write(16, completion(2, true).as_bytes());
    assert_eq!(queue.next().map(|completion| completion.cid), Some(1));
    queue.commit(&doorbells);
    queue.reset(0);
    assert_eq!(queue.next(), None);
}

proptest! {
    /// Whatever is in memory: between two doorbell writes no more than the ring can hold is taken, so no loop is endless.
    #[test]
    fn any_memory_is_survived(bytes in prop::collection::vec(any::<u8>(), 16 * 8), entries in 2u16..=8, rounds in 1usize..50) {
        let (memory, doorbells) = (Memory::pages(1), Doorbells::default());
        let mut queue = CompletionQueue::new(memory.clone(), 1, entries, 0).unwrap();
        memory.write(0, &bytes);
        for _ in 0..rounds {
            prop_assert!(queue.by_ref().count() < usize::from(entries));
            queue.commit(&doorbells);
        }
        for (_, head) in doorbells.take() {
            prop_assert!(head < u32::from(entries));
        }
    }

    /// Against counters that never wrap.
    #[test]
    fn a_submission_ring_is_a_bounded_queue(entries in 2u16..=16, steps in prop::collection::vec((any::<bool>(), 0u16..16), 1..200)) {
        let (memory, doorbells) = (Memory::pages(1), Doorbells::default());
        let mut queue = SubmissionQueue::new(memory, 1, entries, 0).unwrap();
        let (mut written, mut fetched) = (0u32, 0u32);
        for (write, amount) in steps {
            if write {
                let room = u32::from(entries) - 1 - (written - fetched);
                prop_assert_eq!(u32::from(queue.free()), room);
                prop_assert_eq!(queue.write(&command(amount), amount).is_ok(), room > 0);
                written += u32::from(room > 0);
            } else {
                queue.commit(&doorbells);
                fetched += u32::from(amount).min(written - fetched);
                prop_assert_eq!(queue.advance_head((fetched % u32::from(entries)) as u16), Ok(()));
            }
        }
    }
}

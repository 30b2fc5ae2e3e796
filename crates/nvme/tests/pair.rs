//! A queue pair: commands and their completions, and what no working controller posts, on a pair of any kind.

mod device;

use std::cell::Cell;

use device::Memory;
use nvme::lifecycle::Impossible;
use nvme::pair::{Drained, QueuePair};
use nvme::queue::{CompletionQueue, SubmissionQueue};
use nvme::{DmaMemory, Registers};
use nvme_spec::command::{Command, CommandDword0};
use nvme_spec::completion::Completion;
use zerocopy::{FromBytes, IntoBytes};

const ENTRIES: u16 = 8;

/// Counts doorbell writes.
#[derive(Default)]
struct Doorbells(Cell<u32>);

impl Registers for Doorbells {
    fn read32(&self, _: u32) -> u32 {
        panic!("a pair reads no register")
    }
    fn write32(&self, _: u32, _: u32) {
        self.0.set(self.0.get() + 1);
    }
    fn read64(&self, _: u32) -> u64 {
        panic!("a pair reads no register")
    }
    fn write64(&self, _: u32, _: u64) {
        panic!("a doorbell has 4 bytes")
    }
}

/// A pair and its controller's side.
struct Bench {
    pair: QueuePair<Memory, u32, 16>,
    submission: Memory,
    completion: Memory,
    doorbells: Doorbells,
    /// Completions posted so far.
    posted: u16,
    queue_id: u16,
}

impl Bench {
    fn new(queue_id: u16) -> Self {
        let memory = Memory::pages(2);
        let (submission, completion) = (memory.page(0), memory.page(1));
        let mut pair = QueuePair::new();
        pair.place((
            SubmissionQueue::new(submission.clone(), queue_id, ENTRIES, 0).unwrap(),
            CompletionQueue::new(completion.clone(), queue_id, ENTRIES, 0).unwrap(),
        ));
        Self {
            pair,
            submission,
            completion,
            doorbells: Doorbells::default(),
            posted: 0,
            queue_id,
        }
    }

    fn send(&mut self, value: u32) -> Result<u16, u32> {
        let command = Command {
            cdw10: value,
            cdw0: CommandDword0::new().with_opcode(2),
            ..Command::default()
        };
        let sent = self.pair.send(value, |_, entry| entry.write(&command));
        self.pair.ring(&self.doorbells);
        sent
    }

    /// What the controller finds at a place of the ring.
    fn fetched(&self, place: usize) -> Command {
        let mut bytes = [0; 64];
        self.submission.read(place * 64, &mut bytes);
        Command::read_from_bytes(&bytes).unwrap()
    }

    fn post(&mut self, completion: Completion) {
        let mut completion = completion;
        completion
            .status
            .set_phase((self.posted / ENTRIES).is_multiple_of(2));
        let place = usize::from(self.posted % ENTRIES);
        self.completion.write(place * 16, completion.as_bytes());
        self.posted += 1;
    }

    /// A completion of the command `cid`, as it should be.
    fn honest(&self, cid: u16, sq_head: u16) -> Completion {
        Completion {
            cid,
            sq_head,
            sq_id: self.queue_id,
            ..Completion::default()
        }
    }

    fn drain(&mut self) -> (Result<Drained, Impossible>, Vec<u32>) {
        let mut ended = Vec::new();
        let drained = self
            .pair
            .drain(&self.doorbells, |value, _| ended.push(value));
        (drained, ended)
    }
}

#[test]
fn commands_come_back_with_their_values_for_one_doorbell_write() {
    let mut bench = Bench::new(3);
    let first = bench.send(70).unwrap();
    let second = bench.send(71).unwrap();
    assert_eq!(bench.fetched(0).cdw0.cid(), first);
    assert_eq!(bench.fetched(1).cdw0.cid(), second);
    assert_eq!(
        (bench.fetched(1).cdw0.opcode(), bench.fetched(1).cdw10),
        (2, 71)
    );
    bench.post(bench.honest(second, 2));
    bench.post(bench.honest(first, 2));
    bench.doorbells.0.set(0);
    let (drained, ended) = bench.drain();
    let all = Drained {
        ended: 2,
        strays: 0,
        more: false,
    };
    assert_eq!((drained, ended), (Ok(all), vec![71, 70]));
    assert_eq!(bench.doorbells.0.get(), 1);
    assert_eq!(bench.pair.outstanding(), 0);
}

#[test]
fn a_full_pair_gives_the_value_back() {
    let mut bench = Bench::new(1);
    for value in 0..u32::from(ENTRIES) - 1 {
        bench.send(value).unwrap();
    }
    assert_eq!((bench.send(9), bench.pair.room()), (Err(9), 0));
    assert_eq!(bench.pair.outstanding(), 7);
    assert_eq!(
        QueuePair::<Memory, u32, 4>::new().send(1, |_, _| unreachable!()),
        Err(1)
    );
}

#[test]
fn a_ring_of_completions_is_drained_at_once_and_no_more() {
    let mut bench = Bench::new(1);
    for round in 0..3 {
        let sent: Vec<u16> = (0..7).map(|value| bench.send(value).unwrap()).collect();
        let head = (round + 1) * 7 % ENTRIES;
        for cid in sent {
            bench.post(bench.honest(cid, head));
        }
        let (drained, ended) = bench.drain();
        assert_eq!(ended, [0, 1, 2, 3, 4, 5, 6]);
        assert!(drained.unwrap().more, "a whole ring was drained");
        assert!(!bench.drain().0.unwrap().more);
    }
}

/// Completions that no working controller posts, with what they are found to be: on the admin queue and on others alike.
#[test]
fn what_no_working_controller_posts_is_found() {
    type Damage = fn(&mut Completion);
    let table: [(&str, Damage, Impossible); 7] = [
        ("another queue", |it| it.sq_id ^= 1, Impossible::QueueId),
        ("no queue", |it| it.sq_id = u16::MAX, Impossible::QueueId),
        (
            "a head behind the tail",
            |it| it.sq_head = 3,
            Impossible::Head,
        ),
        (
            "a head outside",
            |it| it.sq_head = ENTRIES,
            Impossible::Head,
        ),
        ("no command", |it| it.cid = u16::MAX, Impossible::CommandId),
        (
            "a generation that is not there",
            |it| it.cid |= 0xFFF0,
            Impossible::CommandId,
        ),
        (
            "a command that was never sent",
            |it| it.cid = 9,
            Impossible::CommandId,
        ),
    ];
    for queue_id in [0, 1, 17] {
        for (what, damage, found) in &table {
            let mut bench = Bench::new(queue_id);
            let cid = bench.send(1).unwrap();
            bench.send(2).unwrap();
            let mut completion = bench.honest(cid, 1);
            damage(&mut completion);
            bench.post(completion);
            let expected = (Err(*found), Vec::new());
            assert_eq!(bench.drain(), expected, "{what} on queue {queue_id}");
            assert_eq!(bench.pair.outstanding(), 2, "{what}");
        }
    }
}

#[test]
fn a_late_completion_is_borne_and_a_row_of_them_is_not() {
    for strays in 1..=8_u16 {
        let mut bench = Bench::new(1);
        let over = bench.send(1).unwrap();
        bench.post(bench.honest(over, 1));
        assert_eq!(bench.drain().1, [1]);
        for _ in 0..strays {
            bench.post(bench.honest(over, 1));
            let (drained, ended) = bench.drain();
            assert_eq!(ended, []);
            if strays < 8 {
                assert_eq!(drained.unwrap().strays, 1);
            } else if bench.posted == 9 {
                assert_eq!(drained, Err(Impossible::CommandId));
            }
        }
        // One that belongs to a command ends the row.
        if strays < 8 {
            let next = bench.send(2).unwrap();
            bench.post(bench.honest(next, 2));
            assert_eq!(bench.drain().1, [2]);
            bench.post(bench.honest(over, 2));
            assert!(bench.drain().0.is_ok());
        }
    }
}

#[test]
fn after_a_reset_commands_can_be_taken_and_their_completions_are_strays() {
    let mut bench = Bench::new(1);
    let before = bench.send(5).unwrap();
    bench.pair.reset(0);
    let mut taken = Vec::new();
    bench.pair.take_all(|value| taken.push(value));
    assert_eq!(taken, [5]);
    assert_eq!(bench.pair.outstanding(), 0);
    let after = bench.send(6).unwrap();
    assert_ne!(before, after);
    bench.posted = 0;
    bench.post(bench.honest(before, 1));
    let (drained, ended) = bench.drain();
    assert_eq!((drained.unwrap().strays, ended), (1, vec![]));
}

//! Submission and completion queues in host memory, and the commands that came from them.

use std::collections::BTreeMap;

use nvme_spec::command::{COMMAND_BYTES, Command};
use nvme_spec::completion::COMPLETION_BYTES;
use nvme_spec::status::Status;

use crate::fault::Injected;

/// A position `by` entries after `at` in a ring.
fn advance(at: u32, by: u32, entries: u32) -> u32 {
    (at + by) % entries
}

/// How many entries lie from `from` up to `to` in a ring.
fn distance(from: u32, to: u32, entries: u32) -> u32 {
    (to + entries - from) % entries
}

/// A submission queue: the host's tail, the controller's head.
#[derive(Debug)]
pub(crate) struct SubmissionQueue {
    /// Bus address of the first entry.
    pub(crate) base: u64,
    /// Number of entries, at least 2.
    pub(crate) entries: u32,
    /// Where completions of its commands go.
    pub(crate) completion_queue: u16,
    /// When the next entry is fetched, if there is one.
    pub(crate) fetch_ns: Option<u64>,
    head: u32,
    tail: u32,
    /// The head in the last completion posted: what the host can know.
    reported_head: u32,
}

/// What a doorbell write may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Doorbell {
    /// It is not below the queue's size, or the same as before.
    OutOfRange,
    /// It passes the other end of the queue.
    Passes,
    /// It is accepted, but the host could not know that there is room.
    Premature,
    /// It is as it should be.
    Good,
}

impl SubmissionQueue {
    /// An empty queue.
    pub(crate) fn new(base: u64, entries: u32, completion_queue: u16) -> Self {
        Self {
            base,
            entries,
            completion_queue,
            fetch_ns: None,
            head: 0,
            tail: 0,
            reported_head: 0,
        }
    }

    /// The host rings the tail doorbell. A value that is good or premature is taken.
    pub(crate) fn ring(&mut self, tail: u32) -> Doorbell {
        if tail >= self.entries || tail == self.tail {
            return Doorbell::OutOfRange;
        }
        let added = distance(self.tail, tail, self.entries);
        let room = |head| self.entries - 1 - distance(head, self.tail, self.entries);
        if added > room(self.head) {
            return Doorbell::Passes;
        }
        let premature = added > room(self.reported_head);
        self.tail = tail;
        if premature {
            Doorbell::Premature
        } else {
            Doorbell::Good
        }
    }

    /// Commands wait to be fetched.
    pub(crate) fn waits(&self) -> bool {
        self.head != self.tail
    }

    /// The address of the next entry, which is then consumed.
    pub(crate) fn consume(&mut self) -> u64 {
        let at = self
            .base
            .wrapping_add(u64::from(self.head) * COMMAND_BYTES as u64);
        self.head = advance(self.head, 1, self.entries);
        at
    }

    /// The head for a completion that is posted now.
    pub(crate) fn report_head(&mut self) -> u16 {
        self.reported_head = self.head;
        self.head as u16
    }
}

/// A completion queue: the controller's tail and phase, the host's head.
#[derive(Debug)]
pub(crate) struct CompletionQueue {
    /// Bus address of the first entry.
    pub(crate) base: u64,
    /// Number of entries, at least 2.
    pub(crate) entries: u32,
    /// The interrupt vector, if interrupts are enabled for the queue.
    pub(crate) vector: Option<u16>,
    head: u32,
    tail: u32,
    phase: bool,
}

impl CompletionQueue {
    /// An empty queue; the first pass has phase 1.
    pub(crate) fn new(base: u64, entries: u32, vector: Option<u16>) -> Self {
        Self {
            base,
            entries,
            vector,
            head: 0,
            tail: 0,
            phase: true,
        }
    }

    /// The host rings the head doorbell. A good value is taken.
    pub(crate) fn ring(&mut self, head: u32) -> Doorbell {
        if head >= self.entries || head == self.head {
            return Doorbell::OutOfRange;
        }
        if distance(self.head, head, self.entries) > distance(self.head, self.tail, self.entries) {
            return Doorbell::Passes;
        }
        self.head = head;
        Doorbell::Good
    }

    /// No entry is free.
    pub(crate) fn is_full(&self) -> bool {
        advance(self.tail, 1, self.entries) == self.head
    }

    /// Entries wait for the host.
    pub(crate) fn waits(&self) -> bool {
        self.head != self.tail
    }

    /// The address and the phase of the next entry, which is then taken.
    pub(crate) fn produce(&mut self) -> (u64, bool) {
        let entry = self
            .base
            .wrapping_add(u64::from(self.tail) * COMPLETION_BYTES as u64);
        let phase = self.phase;
        self.tail = advance(self.tail, 1, self.entries);
        if self.tail == 0 {
            self.phase = !self.phase;
        }
        (entry, phase)
    }
}

/// Every queue that exists. The admin queues have identifier 0.
#[derive(Debug, Default)]
pub(crate) struct Queues {
    /// Submission queues by identifier.
    pub(crate) submission: BTreeMap<u16, SubmissionQueue>,
    /// Completion queues by identifier.
    pub(crate) completion: BTreeMap<u16, CompletionQueue>,
}

impl Queues {
    /// An I/O queue exists.
    pub(crate) fn has_io(&self) -> bool {
        self.submission
            .keys()
            .chain(self.completion.keys())
            .any(|&id| id != 0)
    }

    /// Completions wait for the host in a queue whose vector is not in the mask.
    pub(crate) fn interrupts(&self, mask: u32) -> bool {
        self.completion.values().any(|queue| {
            queue.waits()
                && queue
                    .vector
                    .is_some_and(|vector| mask >> (vector % 32) & 1 == 0)
        })
    }
}

/// How a command ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct End {
    /// The status to complete it with.
    pub(crate) status: Status,
    /// It would fail again.
    pub(crate) do_not_retry: bool,
    /// The Error Information log page tells more.
    pub(crate) more: bool,
    /// Dword 0 of the completion.
    pub(crate) dw0: u32,
}

/// Where a command stands.
#[derive(Clone, Debug)]
pub(crate) enum Stage {
    /// It is carried out at this time.
    Execute(u64, Box<Command>),
    /// Its completion is posted at this time, or, without one, when its completion queue has room.
    Complete(Option<u64>, End),
    /// It has ended, and its completion is posted together with others.
    Gathered(End),
    /// An Asynchronous Event Request that waits for an event.
    Held,
    /// It was carried out, or not, and is never completed.
    Lost,
}

impl Stage {
    /// When something happens to it by itself.
    pub(crate) fn due_ns(&self) -> Option<u64> {
        match self {
            Self::Execute(at, _) => Some(*at),
            Self::Complete(at, _) => *at,
            Self::Gathered(_) | Self::Held | Self::Lost => None,
        }
    }
}

/// A command that was fetched and not completed yet.
#[derive(Clone, Debug)]
pub(crate) struct Outstanding {
    /// The submission queue that it came from.
    pub(crate) queue: u16,
    /// Its identifier.
    pub(crate) cid: u16,
    /// Its opcode.
    pub(crate) opcode: u8,
    /// Where it stands.
    pub(crate) stage: Stage,
    /// What happens to it that should not.
    pub(crate) injected: Injected,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_submission_queue_holds_one_entry_less_than_its_size() {
        let mut queue = SubmissionQueue::new(0, 4, 0);
        assert_eq!(queue.ring(3), Doorbell::Good);
        assert_eq!(queue.ring(0), Doorbell::Passes);
        assert_eq!(queue.ring(4), Doorbell::OutOfRange);
        assert_eq!(queue.ring(3), Doorbell::OutOfRange);
        assert_eq!(queue.consume(), 0);
        assert_eq!(queue.ring(0), Doorbell::Premature);
        assert_eq!(queue.consume(), 64);
        assert_eq!(queue.report_head(), 2);
        assert_eq!(queue.ring(1), Doorbell::Good);
    }

    #[test]
    fn the_phase_inverts_when_a_completion_queue_wraps() {
        let mut queue = CompletionQueue::new(0x1000, 2, None);
        assert_eq!(queue.produce(), (0x1000, true));
        assert!(queue.is_full());
        assert_eq!(queue.ring(0), Doorbell::OutOfRange);
        assert_eq!(queue.ring(1), Doorbell::Good);
        assert!(!queue.waits());
        assert_eq!(queue.produce(), (0x1010, true));
        assert_eq!(queue.ring(0), Doorbell::Good);
        assert_eq!(queue.produce(), (0x1000, false));
        assert_eq!(queue.ring(5), Doorbell::OutOfRange);
    }

    #[test]
    fn a_completion_head_does_not_pass_the_tail() {
        let mut queue = CompletionQueue::new(0, 8, None);
        queue.produce();
        assert_eq!(queue.ring(2), Doorbell::Passes);
        assert_eq!(queue.ring(1), Doorbell::Good);
    }
}

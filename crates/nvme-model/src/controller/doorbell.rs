//! Doorbells.

use nvme_spec::async_event::AsyncEvent;
use nvme_spec::log::LogPageId;
use nvme_spec::registers::{DOORBELLS, ShutdownNotification};

use super::Controller;
use crate::bus::Bus;
use crate::queue::{Doorbell, Stage};
use crate::rule::Rule;

/// How long the controller takes to notice a doorbell and to fetch an entry.
pub(super) const FETCH_NS: u64 = 500;

/// A doorbell write that is being judged.
#[derive(Clone, Copy)]
struct Ring {
    queue: u16,
    completion: bool,
    value: u32,
}

impl Ring {
    fn describe(self) -> String {
        let (what, end) = if self.completion {
            ("completion", "head")
        } else {
            ("submission", "tail")
        };
        format!("{what} queue {}, {end} {}", self.queue, self.value)
    }
}

impl Controller {
    /// A doorbell is written.
    pub(super) fn ring(&mut self, offset: u64, value: u32, now_ns: u64, bus: &mut dyn Bus) {
        let at = offset - u64::from(DOORBELLS);
        let stride = u64::from(self.profile.doorbell_bytes);
        if !at.is_multiple_of(stride) {
            return;
        }
        let index = (at / stride) as u16;
        let ring = Ring {
            queue: index / 2,
            completion: index % 2 == 1,
            value,
        };
        if self.mortality.is_panicked() {
            // Nobody looks, and the host cannot know yet.
            return;
        }
        let ready = self.registers.cc.en() && self.registers.csts.rdy();
        let running = self.registers.cc.shn() == ShutdownNotification::NONE;
        bus.judge(Rule::ReadyForCommands, ready && running, &|| {
            format!("{}: ready {ready}, shutdown {}", ring.describe(), !running)
        });
        if !self.accepts_commands() {
            return;
        }
        match self.take(ring, now_ns) {
            None => self.judge_missing(ring, now_ns, bus),
            Some(result) => self.judge_value(ring, result, now_ns, bus),
        }
    }

    /// Lets the queue take the value, if there is such a queue.
    fn take(&mut self, ring: Ring, now_ns: u64) -> Option<Doorbell> {
        if ring.completion {
            let result = self
                .queues
                .completion
                .get_mut(&ring.queue)?
                .ring(ring.value);
            self.unblock(ring.queue, now_ns);
            return Some(result);
        }
        let queue = self.queues.submission.get_mut(&ring.queue)?;
        let result = queue.ring(ring.value);
        if queue.waits() && queue.fetch_ns.is_none() {
            queue.fetch_ns = Some(now_ns.saturating_add(FETCH_NS));
        }
        Some(result)
    }

    /// Completions that waited for room in this queue are tried again.
    fn unblock(&mut self, completion_queue: u16, now_ns: u64) {
        for command in &mut self.outstanding {
            let target = self.queues.submission.get(&command.queue);
            if target.is_some_and(|queue| queue.completion_queue == completion_queue)
                && let Stage::Complete(at @ None, _) = &mut command.stage
            {
                *at = Some(now_ns);
            }
        }
    }

    fn judge_missing(&mut self, ring: Ring, now_ns: u64, bus: &mut dyn Bus) {
        bus.judge(Rule::DoorbellQueue, false, &|| ring.describe());
        let event = AsyncEvent::INVALID_DOORBELL;
        self.raise(event, LogPageId::ERROR_INFORMATION, now_ns);
    }

    fn judge_value(&mut self, ring: Ring, result: Doorbell, now_ns: u64, bus: &mut dyn Bus) {
        bus.judge(Rule::DoorbellQueue, true, &String::new);
        bus.judge(Rule::DoorbellRange, result != Doorbell::OutOfRange, &|| {
            ring.describe()
        });
        if result != Doorbell::OutOfRange {
            let rule = if ring.completion {
                Rule::CompletionConsumed
            } else {
                Rule::SubmissionRoom
            };
            bus.judge(rule, result == Doorbell::Good, &|| ring.describe());
        }
        if matches!(result, Doorbell::OutOfRange | Doorbell::Passes) {
            let event = AsyncEvent::INVALID_DOORBELL_VALUE;
            self.raise(event, LogPageId::ERROR_INFORMATION, now_ns);
        }
    }
}

//! Completions in groups: a controller that posts several at a time, for one interrupt.

use nvme_spec::status::Status;

use super::Controller;
use crate::bus::Bus;
use crate::queue::{End, Outstanding, Stage};

impl Controller {
    /// Ends a command of an I/O queue: with others of its completion queue, as many as the profile says, or at once when no other
    /// command is at work.
    pub(super) fn complete_in_group(
        &mut self,
        mut command: Outstanding,
        end: End,
        bus: &mut dyn Bus,
    ) {
        let group = usize::from(self.profile.group);
        let plain = end.status == Status::SUCCESS && !command.injected.twice;
        if command.queue == 0 || group <= 1 || !plain {
            return self.complete(&command, end, bus);
        }
        command.stage = Stage::Gathered(end);
        self.outstanding.push(command);
        let gathered = self.outstanding.iter().filter(|other| is_gathered(other));
        if gathered.count() >= group || !self.works_on_io() {
            self.post_gathered(bus);
        }
    }

    /// Whether an I/O command is still to end.
    fn works_on_io(&self) -> bool {
        let at_work = |command: &Outstanding| {
            command.queue != 0 && matches!(command.stage, Stage::Execute(..) | Stage::Complete(..))
        };
        let mut io = self.queues.submission.iter().filter(|(id, _)| **id != 0);
        self.outstanding.iter().any(at_work) || io.any(|(_, queue)| queue.waits())
    }

    /// Posts every completion that was gathered, and interrupts once for each queue.
    fn post_gathered(&mut self, bus: &mut dyn Bus) {
        let (gathered, others): (Vec<_>, Vec<_>) = std::mem::take(&mut self.outstanding)
            .into_iter()
            .partition(is_gathered);
        self.outstanding = others;
        let mut vectors = Vec::new();
        for command in gathered {
            if let Stage::Gathered(end) = command.stage {
                vectors.extend(self.post(&command, end, bus));
            }
        }
        vectors.sort_unstable();
        vectors.dedup();
        for vector in vectors {
            self.interrupt(vector, bus);
        }
    }
}

fn is_gathered(command: &Outstanding) -> bool {
    matches!(command.stage, Stage::Gathered(_))
}

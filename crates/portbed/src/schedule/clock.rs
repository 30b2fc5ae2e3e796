//! Virtual time: what is due when.

use super::processor::{Activity, Dispatch};
use super::state::State;

/// Something that happens at a time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Due {
    /// The adapter's timer, if it was not set again since.
    Timer { generation: u64 },
    /// A timer that the miniport allocated, if it was not set again since.
    TimerEx { handle: u64, generation: u64 },
    /// The time-out of a request.
    Deadline { srb: u64 },
    /// Paused or busy queues are looked at again.
    Resume,
}

/// Something that is to happen, so that it can be called off.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Appointment(u64, u64);

impl State {
    /// Has `due` happen in `after_ns`.
    pub(crate) fn schedule(&mut self, after_ns: u64, due: Due) -> Appointment {
        self.sequence += 1;
        let at_ns = self.now_ns.saturating_add(after_ns);
        self.due
            .insert((at_ns, self.sequence), (self.selected, due));
        Appointment(at_ns, self.sequence)
    }

    /// Calls off what was to happen; whether it had not happened yet.
    pub(crate) fn call_off(&mut self, Appointment(at_ns, number): Appointment) -> bool {
        self.due.remove(&(at_ns, number)).is_some()
    }

    /// When something happens next by itself.
    pub(super) fn next_event_ns(&self) -> Option<u64> {
        let sleepers = self
            .processors
            .iter()
            .filter_map(|processor| match processor.activity {
                Activity::Sleeping(until_ns) | Activity::Stalling(until_ns) => Some(until_ns),
                _ => None,
            });
        self.next_due_ns().into_iter().chain(sleepers).min()
    }

    /// When the controller or a timer does something next.
    pub(super) fn next_due_ns(&self) -> Option<u64> {
        let due = self.due.keys().next().map(|&(at_ns, _)| at_ns);
        let controllers = self
            .slots
            .iter()
            .filter_map(|slot| slot.controller.next_event_ns());
        controllers.chain(due).min()
    }

    /// Takes what is due now, and goes on on behalf of the adapter that it concerns.
    pub(super) fn take_due(&mut self) -> Option<Due> {
        let (&key, _) = self
            .due
            .first_key_value()
            .filter(|((at_ns, _), _)| *at_ns <= self.now_ns)?;
        let (adapter, due) = self.due.remove(&key)?;
        self.select(adapter);
        Some(due)
    }

    /// Gives `work` to a processor that the seed chooses.
    pub(crate) fn dispatch_anywhere(&mut self, work: Dispatch) {
        let index = self.random.usize(..self.processors.len());
        let work = (self.selected, work);
        self.processors[index].dispatch.push_back(work);
    }

    /// Gives `work` to the processor `index`.
    pub(crate) fn dispatch_on(&mut self, index: usize, work: Dispatch) {
        let work = (self.selected, work);
        self.processors[index].dispatch.push_back(work);
    }
}

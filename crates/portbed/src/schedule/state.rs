//! Everything about the machine that changes.

use std::collections::{BTreeMap, VecDeque};

use super::clock::Due;
use super::core::Fatal;
use super::irql;
use super::lock::LockId;
use super::processor::{Activity, Dispatch, Processor, Task};
use super::slot::Slot;
use crate::machine::{Clock, Completed, Cost};
use crate::port::Driver;
use crate::trap::step;

/// What the thread outside waits for.
pub(super) type Until = Box<dyn Fn(&State) -> bool + Send>;

/// The machine's state. Whoever runs may lock it, but not across a call of driver code. It is locked on behalf of one
/// adapter, whose [`Slot`] it stands for as well.
pub(crate) struct State {
    pub(crate) now_ns: u64,
    pub(crate) random: fastrand::Rng,
    pub(crate) slots: Vec<Slot>,
    /// On whose behalf it is locked.
    pub(super) selected: usize,
    pub(crate) driver: Driver,
    pub(super) processors: Vec<Processor>,
    pub(super) locks: BTreeMap<LockId, usize>,
    pub(super) tasks: VecDeque<Task>,
    /// What is to happen when, and to which adapter.
    pub(super) due: BTreeMap<(u64, u64), (usize, Due)>,
    pub(super) sequence: u64,
    pub(crate) cost: Cost,
    /// How requests came back, by SRB status: how often.
    pub(crate) ended: BTreeMap<u8, u64>,
    pub(super) until: Option<Until>,
    pub(super) fatal: Option<Fatal>,
    /// Whether time passes by itself.
    pub(crate) real_time: bool,
    /// Whether somebody outside waits, under the threaded clock.
    pub(super) outside_waits: bool,
    /// When the timekeeper of the threaded clock wakes up by itself, while it rests.
    pub(super) alarm_ns: Option<u64>,
    /// How many threads of the threaded clock have ended.
    pub(super) ended_threads: usize,
}

/// What a processor does next.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Service {
    Message(usize, u16),
    Line(usize),
    Dispatch(usize, Dispatch),
}

impl Service {
    /// For whom it is done.
    pub(super) const fn adapter(self) -> usize {
        match self {
            Self::Message(adapter, _) | Self::Line(adapter) | Self::Dispatch(adapter, _) => adapter,
        }
    }
}

impl State {
    pub(super) fn new(cpus: usize, clock: Clock, seed: u64, slots: Vec<Slot>) -> Self {
        Self {
            now_ns: 0,
            random: fastrand::Rng::with_seed(seed),
            slots,
            selected: 0,
            driver: Driver::default(),
            processors: (0..cpus).map(|_| Processor::new()).collect(),
            locks: BTreeMap::new(),
            tasks: VecDeque::new(),
            due: BTreeMap::new(),
            sequence: 0,
            cost: Cost::default(),
            ended: BTreeMap::new(),
            until: None,
            fatal: None,
            real_time: clock == Clock::Threaded,
            outside_waits: false,
            alarm_ns: None,
            ended_threads: 0,
        }
    }

    /// Lets virtual time pass; real time passes by itself.
    pub(super) fn pass(&mut self, ns: u64) {
        if !self.real_time {
            self.now_ns += ns;
        }
    }

    /// Whether the thread outside has what it waits for, if it waits for anything.
    pub(super) fn satisfied(&mut self) -> bool {
        let Some(until) = self.until.take() else {
            return true;
        };
        let satisfied = until(self);
        self.until = Some(until);
        satisfied
    }

    /// The number of processors.
    pub(crate) fn processor_count(&self) -> usize {
        self.processors.len()
    }

    /// The interrupt message whose routine runs on processor `index`.
    pub(crate) fn message_on(&self, index: usize) -> Option<u16> {
        self.processors[index].message
    }

    /// Goes on on behalf of `adapter`.
    pub(super) fn select(&mut self, adapter: usize) {
        self.selected = adapter;
    }

    /// Whether nothing is left to do now for `adapter`.
    pub(crate) fn quiet(&self, adapter: usize) -> bool {
        self.tasks.is_empty()
            && !self.slots[adapter].interrupts.pending()
            && self
                .processors
                .iter()
                .all(|processor| processor.is_quiet(adapter))
    }

    /// Whether no callback of `adapter` is being made; others may be to come.
    pub(crate) fn in_no_callback(&self, adapter: usize) -> bool {
        let mut processors = self.processors.iter();
        processors.all(|processor| !processor.works_for(adapter))
    }

    /// Whether the answer to a request is there, whichever adapter it went to.
    pub(crate) fn has(&self, token: u64) -> bool {
        self.slots.iter().any(|slot| slot.port.queues.has(token))
    }

    /// Whether there is an answer to a request of the tokens below `end`.
    pub(crate) fn has_any(&self, end: u64) -> bool {
        self.slots.iter().any(|slot| slot.port.queues.has_any(end))
    }

    /// Takes an answer to a request of the tokens below `end`: the oldest one of an adapter.
    pub(crate) fn take_any(&mut self, end: u64) -> Option<(u64, Completed)> {
        let mut slots = self.slots.iter_mut();
        slots.find_map(|slot| slot.port.queues.take_any(end))
    }

    /// Requests that came from above, to any adapter, and did not go back.
    pub(crate) fn unanswered(&self) -> usize {
        let slots = self.slots.iter();
        slots.map(|slot| slot.port.queues.unanswered()).sum()
    }

    /// A lock that is held, of the adapter or by its address.
    pub(crate) fn any_lock_held(&self) -> Option<LockId> {
        let adapter = self.selected;
        let mut held = self.locks.keys().copied();
        held.find(|lock| lock.adapter().is_none_or(|whose| whose == adapter))
    }

    /// Takes note that processor `index` completes a request.
    pub(crate) fn note_completion(&mut self, index: usize) {
        self.cost.requests += 1;
        self.cost.instructions.requests += u64::from(step::is_counting());
        self.processors[index].complete();
    }

    /// What requests cost, where what processor `index` does now is part of it: while one is outstanding, and until the
    /// callbacks return in which one was completed.
    pub(crate) fn cost_of(&mut self, index: usize) -> Option<&mut Cost> {
        let counts = self.slots[self.selected].port.queues.outstanding() > 0
            || self.processors[index].has_completed(self.selected);
        counts.then_some(&mut self.cost)
    }

    /// Removes queued work; whether there was any.
    pub(crate) fn cancel_dispatch(&mut self, work: Dispatch) -> bool {
        let mut found = false;
        let adapter = self.selected;
        for processor in &mut self.processors {
            processor
                .dispatch
                .retain(|&queued| queued != (adapter, work) || std::mem::replace(&mut found, true));
        }
        found
    }

    /// Whether work is queued on any processor.
    pub(crate) fn is_dispatched(&self, work: Dispatch) -> bool {
        self.processors
            .iter()
            .any(|processor| processor.dispatch.contains(&(self.selected, work)))
    }

    /// What the IRQL of processor `index` lets through.
    pub(super) fn service(&self, index: usize) -> Option<Service> {
        let processor = &self.processors[index];
        if processor.irql < irql::DEVICE && !processor.holds_interrupt_lock() {
            let processors = self.processors.len();
            for (adapter, Slot { interrupts, .. }) in self.slots.iter().enumerate() {
                if let Some(message) = interrupts.message_for(index, processors) {
                    return Some(Service::Message(adapter, message));
                }
                if interrupts.line_for(index, processors) {
                    return Some(Service::Line(adapter));
                }
            }
        }
        (processor.irql < irql::DISPATCH)
            .then(|| processor.dispatch.front().copied())?
            .map(|(adapter, work)| Service::Dispatch(adapter, work))
    }

    /// Whether processor `index` can run on.
    pub(super) fn runnable(&self, index: usize) -> bool {
        let can_go_on = match self.processors[index].activity {
            Activity::Ready => true,
            Activity::Idle => !self.tasks.is_empty(),
            Activity::Spinning(lock) => !self.locks.contains_key(&lock),
            Activity::Stalling(until_ns) => until_ns <= self.now_ns,
            Activity::Sleeping(until_ns) => {
                until_ns <= self.now_ns || (!self.tasks.is_empty() && self.all_asleep())
            }
        };
        can_go_on || self.service(index).is_some()
    }

    /// Whether no processor is idle: then a sleeping one has to do what threads want.
    pub(super) fn all_asleep(&self) -> bool {
        self.processors
            .iter()
            .all(|processor| matches!(processor.activity, Activity::Sleeping(_)))
    }

    /// Processors that wait for each other's locks for ever, from `index` on, told in one line.
    pub(super) fn deadlock(&self, index: usize) -> Option<String> {
        let mut told = Vec::new();
        let mut at = index;
        loop {
            let Activity::Spinning(lock) = self.processors[at].activity else {
                return None;
            };
            let owner = *self.locks.get(&lock)?;
            told.push(format!(
                "processor {at} waits for {lock}, which processor {owner} holds"
            ));
            if owner == index {
                return Some(told.join("; "));
            }
            if told.len() > self.processors.len() {
                // The circle is one of others, who tell it.
                return None;
            }
            at = owner;
        }
    }
}

//! Everything about the machine that changes.

use std::collections::{BTreeMap, VecDeque};

use super::clock::Due;
use super::core::Fatal;
use super::interrupt::Interrupts;
use super::irql;
use super::lock::LockId;
use super::processor::{Activity, Dispatch, Processor, Task};
use crate::controller::Controller;
use crate::machine::Cost;
use crate::port::Port;

/// What the thread outside waits for.
pub(super) type Until = Box<dyn Fn(&State) -> bool + Send>;

/// The machine's state. Whoever runs may lock it, but not across a call of driver code.
pub(crate) struct State {
    pub(crate) now_ns: u64,
    pub(crate) random: fastrand::Rng,
    pub(super) processors: Vec<Processor>,
    pub(super) locks: BTreeMap<LockId, usize>,
    pub(super) tasks: VecDeque<Task>,
    pub(super) due: BTreeMap<(u64, u64), Due>,
    pub(super) sequence: u64,
    pub(crate) interrupts: Interrupts,
    pub(crate) controller: Box<dyn Controller>,
    pub(crate) port: Port,
    pub(crate) cost: Cost,
    pub(super) until: Option<Until>,
    pub(super) fatal: Option<Fatal>,
}

/// What a processor does next.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Service {
    Message(u16),
    Line,
    Dispatch(Dispatch),
}

impl State {
    pub(super) fn new(cpus: usize, seed: u64, controller: Box<dyn Controller>, port: Port) -> Self {
        Self {
            now_ns: 0,
            random: fastrand::Rng::with_seed(seed),
            processors: (0..cpus).map(|_| Processor::new()).collect(),
            locks: BTreeMap::new(),
            tasks: VecDeque::new(),
            due: BTreeMap::new(),
            sequence: 0,
            interrupts: Interrupts::default(),
            controller,
            port,
            cost: Cost::default(),
            until: None,
            fatal: None,
        }
    }

    /// The number of processors.
    pub(crate) fn processor_count(&self) -> usize {
        self.processors.len()
    }

    /// Whether every processor is idle and nothing is left to do now.
    pub(crate) fn quiet(&self) -> bool {
        self.tasks.is_empty()
            && !self.interrupts.pending()
            && self.processors.iter().all(|processor| {
                processor.activity == Activity::Idle && processor.dispatch.is_empty()
            })
    }

    /// Whether any lock is held.
    pub(crate) fn any_lock_held(&self) -> Option<LockId> {
        self.locks.keys().next().copied()
    }

    /// Removes queued work; whether there was any.
    pub(crate) fn cancel_dispatch(&mut self, work: Dispatch) -> bool {
        let mut found = false;
        for processor in &mut self.processors {
            processor
                .dispatch
                .retain(|&queued| queued != work || std::mem::replace(&mut found, true));
        }
        found
    }

    /// Whether work is queued on any processor.
    pub(crate) fn is_dispatched(&self, work: Dispatch) -> bool {
        self.processors
            .iter()
            .any(|processor| processor.dispatch.contains(&work))
    }

    /// What the IRQL of processor `index` lets through.
    pub(super) fn service(&self, index: usize) -> Option<Service> {
        let processor = &self.processors[index];
        if processor.irql < irql::DEVICE && !processor.holds_interrupt_lock() {
            if let Some(message) = self.interrupts.message_for(index, self.processors.len()) {
                return Some(Service::Message(message));
            }
            if self.interrupts.line_for(index, self.processors.len()) {
                return Some(Service::Line);
            }
        }
        (processor.irql < irql::DISPATCH)
            .then(|| processor.dispatch.front().copied().map(Service::Dispatch))?
    }

    /// Whether processor `index` can run on.
    pub(super) fn runnable(&self, index: usize) -> bool {
        let can_go_on = match self.processors[index].activity {
            Activity::Ready => true,
            Activity::Idle => !self.tasks.is_empty(),
            Activity::Spinning(lock) => !self.locks.contains_key(&lock),
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
}

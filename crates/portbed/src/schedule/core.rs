//! The machine behind its processors: shared by their threads and by the thread that drives it from outside.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::baton::{Baton, Seat};
use super::cpu::{self, Cpu};
use super::processor::{Activity, Callback};
use super::state::State;
use crate::controller::{Controller, Wiring};
use crate::journal::{Journal, Who};
use crate::machine::PortOptions;
use crate::memory::PhysicalMemory;
use crate::port::Port;
use crate::rules::{Judge, Rule, port as rules};

/// How long driver code may run without reaching a point, in real time.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often that is looked at.
const GLANCE: Duration = Duration::from_millis(250);
/// Stack of a processor's thread. Windows gives kernel threads 24 KiB; the test bed runs on the same stack.
const STACK_BYTES: usize = 2 << 20;

/// The driver cannot be run on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Fatal {
    /// The id of the broken rule.
    pub(crate) rule: &'static str,
    /// What happened.
    pub(crate) what: String,
}

/// How a wait ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Outcome {
    /// What was waited for happened.
    Satisfied,
    /// Nothing will ever happen any more.
    Stuck,
}

/// The parts of a machine that do not change, and the lock round those that do.
pub(crate) struct Core {
    pub(crate) memory: PhysicalMemory,
    pub(crate) judge: Judge,
    pub(crate) journal: Journal,
    pub(crate) options: PortOptions,
    pub(crate) registry: BTreeMap<String, u32>,
    baton: Baton,
    state: Mutex<State>,
    progress: AtomicU64,
    switched_off: AtomicBool,
}

impl Core {
    /// A machine whose processors are idle.
    pub(crate) fn start(
        cpus: usize,
        seed: u64,
        memory: PhysicalMemory,
        journal: Journal,
        options: PortOptions,
        registry: BTreeMap<String, u32>,
        controller: Box<dyn Controller>,
    ) -> std::io::Result<Arc<Self>> {
        let port = Port::new(controller.bar_bytes());
        let core = Arc::new(Self {
            memory,
            judge: Judge::default(),
            journal,
            options,
            registry,
            baton: Baton::new(cpus),
            state: Mutex::new(State::new(cpus, seed, controller, port)),
            progress: AtomicU64::new(0),
            switched_off: AtomicBool::new(false),
        });
        for index in 0..cpus {
            let cpu = Cpu::new(Arc::clone(&core), index);
            thread::Builder::new()
                .name(format!("processor {index}"))
                .stack_size(STACK_BYTES)
                .spawn(move || processor(&cpu))?;
        }
        Ok(core)
    }

    /// The state. Never held while driver code runs.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `work` on a thread of the machine at `PASSIVE_LEVEL`, and waits for its result.
    pub(crate) fn run<R: Send + 'static>(
        &self,
        work: impl FnOnce(&Cpu) -> R + Send + 'static,
    ) -> Result<R, Fatal> {
        let result = Arc::new(Mutex::new(None));
        let theirs = Arc::clone(&result);
        let done = Arc::new(AtomicBool::new(false));
        let their_done = Arc::clone(&done);
        self.state().tasks.push_back(Box::new(move |cpu| {
            let value = work(cpu);
            *theirs.lock().unwrap_or_else(PoisonError::into_inner) = Some(value);
            their_done.store(true, Ordering::Relaxed);
        }));
        self.run_until(move |_| done.load(Ordering::Relaxed))?;
        let value = result.lock().unwrap_or_else(PoisonError::into_inner).take();
        value.ok_or_else(|| {
            self.fatal(
                &rules::CALLBACK_PROGRESS,
                "a thread waits for something that never happens".to_owned(),
            )
        })
    }

    /// Runs the machine until `satisfied`.
    pub(crate) fn run_until(
        &self,
        satisfied: impl Fn(&State) -> bool + Send + 'static,
    ) -> Result<Outcome, Fatal> {
        let next = {
            let mut state = self.state();
            if let Some(fatal) = &state.fatal {
                return Err(fatal.clone());
            }
            state.until = Some(Box::new(satisfied));
            self.choose(&mut state)
        };
        if next != Seat::Outside {
            self.baton.pass(next);
            self.watch();
        }
        let mut state = self.state();
        if let Some(fatal) = &state.fatal {
            return Err(fatal.clone());
        }
        let satisfied = state.until.take().is_none_or(|until| until(&state));
        Ok(if satisfied {
            Outcome::Satisfied
        } else {
            Outcome::Stuck
        })
    }

    /// Waits for the baton, and takes it from driver code that does not come to a point any more.
    fn watch(&self) {
        let mut seen = self.progress.load(Ordering::Relaxed);
        let mut since = Instant::now();
        while !self.baton.wait_for(Seat::Outside, GLANCE) {
            let now = self.progress.load(Ordering::Relaxed);
            if now != seen {
                seen = now;
                since = Instant::now();
            } else if since.elapsed() > PATIENCE {
                let callback = self.running_callback();
                self.fatal(
                    &rules::CALLBACK_PROGRESS,
                    format!("{callback} runs on without a port driver call or a register access"),
                );
                return;
            }
        }
    }

    fn running_callback(&self) -> String {
        let state = self.state();
        let running = state
            .processors
            .iter()
            .filter_map(super::processor::Processor::callback)
            .next_back();
        running.map_or_else(
            || "the test bed".to_owned(),
            |callback| callback.to_string(),
        )
    }

    /// Hands the baton to whoever runs next, and waits until it comes back to processor `index`.
    pub(super) fn switch(&self, index: usize) {
        let next = {
            let mut state = self.state();
            self.choose(&mut state)
        };
        if next != Seat::Processor(index) {
            self.baton.pass(next);
            self.baton.wait(Seat::Processor(index));
        }
    }

    /// Who runs next: outside when it has what it waits for, else a processor that can, else nobody until time has
    /// moved on to the next event.
    fn choose(&self, state: &mut State) -> Seat {
        loop {
            let satisfied = match state.until.take() {
                Some(until) => {
                    let satisfied = until(state);
                    state.until = Some(until);
                    satisfied
                }
                None => true,
            };
            if state.fatal.is_some() || satisfied || self.switched_off.load(Ordering::Relaxed) {
                return Seat::Outside;
            }
            let runnable: Vec<usize> = (0..state.processors.len())
                .filter(|&index| state.runnable(index))
                .collect();
            if !runnable.is_empty() {
                let choice = state.random.usize(..runnable.len());
                return Seat::Processor(runnable[choice]);
            }
            let Some(next_ns) = state.next_event_ns() else {
                return Seat::Outside;
            };
            state.now_ns = state.now_ns.max(next_ns);
            // A controller in another process may take a while, and that is nobody's fault.
            self.step();
            self.run_due(state);
        }
    }

    /// Lets everything happen that is due.
    pub(super) fn run_due(&self, state: &mut State) {
        if state
            .controller
            .next_event_ns()
            .is_some_and(|at_ns| at_ns <= state.now_ns)
        {
            self.with_controller(state, |controller, now_ns, wiring| {
                controller.run(now_ns, wiring);
            });
        }
        while let Some(due) = state.take_due() {
            crate::port::due(self, state, due);
        }
    }

    /// Lets the controller do something.
    pub(crate) fn with_controller<R>(
        &self,
        state: &mut State,
        work: impl FnOnce(&mut dyn Controller, u64, &mut Wiring<'_>) -> R,
    ) -> R {
        let State {
            controller,
            port,
            interrupts,
            now_ns,
            ..
        } = state;
        let mut wiring = Wiring {
            memory: &self.memory,
            judge: &self.judge,
            journal: &self.journal,
            interrupts,
            dma: &port.dma,
            stopped: port.stopped,
            now_ns: *now_ns,
            list_read: false,
        };
        let result = work(controller.as_mut(), *now_ns, &mut wiring);
        if wiring.list_read {
            crate::port::judge_lent(self, state);
        }
        result
    }

    pub(super) fn step(&self) {
        self.progress.fetch_add(1, Ordering::Relaxed);
    }

    /// Records that the driver cannot be run on.
    pub(crate) fn fatal(&self, rule: &'static Rule, what: String) -> Fatal {
        let fatal = Fatal {
            rule: rule.id,
            what,
        };
        let place = self.running_callback();
        let what = fatal.what.clone();
        self.judge.check(rule, false, move || place, move || what);
        let mut state = self.state();
        self.journal.note(
            state.now_ns,
            Who::Bed,
            format!("cannot run on: {} ({})", fatal.what, fatal.rule),
        );
        state.fatal.get_or_insert_with(|| fatal.clone());
        fatal
    }

    /// Ends the processor's part in the machine for good: its thread waits for ever.
    pub(super) fn abandon(&self, index: usize) -> ! {
        self.baton.pass(Seat::Outside);
        loop {
            self.baton.wait(Seat::Processor(index));
            thread::park();
        }
    }

    /// Switches the machine off: idle processors' threads end. Whether all of them did; one that was in the middle of
    /// driver code never runs again, and what it uses must stay.
    pub(crate) fn switch_off(&self) -> bool {
        self.switched_off.store(true, Ordering::Relaxed);
        let (dead, idle): (bool, Vec<bool>) = {
            let state = self.state();
            let idle = state
                .processors
                .iter()
                .map(|processor| processor.activity == Activity::Idle)
                .collect();
            (state.fatal.is_some(), idle)
        };
        if dead {
            return false;
        }
        for (index, _) in idle.iter().enumerate().filter(|(_, idle)| **idle) {
            self.baton.pass(Seat::Processor(index));
            self.baton.wait(Seat::Outside);
        }
        idle.iter().all(|&idle| idle)
    }
}

/// The life of a processor.
fn processor(cpu: &Cpu) {
    let core = Arc::clone(cpu.core());
    cpu::enter(cpu.clone());
    core.baton.wait(Seat::Processor(cpu.index()));
    while !core.switched_off.load(Ordering::Relaxed) {
        cpu.serve();
        let task = core.state().tasks.pop_front();
        if let Some(task) = task {
            core.state().processors[cpu.index()].activity = Activity::Ready;
            task(cpu);
        } else {
            core.state().processors[cpu.index()].activity = Activity::Idle;
            core.switch(cpu.index());
        }
    }
    core.baton.pass(Seat::Outside);
}

/// The callback that is being made, for messages.
pub(super) fn place(callback: Option<Callback>) -> String {
    callback.map_or_else(
        || "the port driver".to_owned(),
        |callback| callback.to_string(),
    )
}

//! The machine behind its processors: shared by their threads and by the thread that drives it from outside.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use super::cpu::{self, Cpu};
use super::guard::StateGuard;
use super::interrupt::Interrupts;
use super::processor::{Activity, Callback};
use super::slot::Slot;
use super::state::State;
use super::threads::Threads;
use super::turns::Turns;
use crate::controller::{Controller, Wiring};
use crate::journal::{Journal, Who};
use crate::machine::{Clock, Isolation, PortOptions};
use crate::memory::PhysicalMemory;
use crate::port::Port;
use crate::rules::{Judge, Rule, port as rules};

/// How long driver code may run without reaching a point, in real time.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);
/// How often that is looked at.
pub(super) const GLANCE: Duration = Duration::from_millis(250);
/// How often driver code is looked at that may wait for another processor, which has to go on then.
pub(super) const SPIN_GLANCE: Duration = Duration::from_millis(1);
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
    pub(super) pace: Pace,
    /// One in so many points is followed by a pre-emption at an instruction that the seed chooses.
    pub(super) preempt_one_in: Option<NonZeroU32>,
    pub(super) state: Mutex<State>,
    pub(super) switched_off: AtomicBool,
}

/// What decides which processors run, and when.
pub(super) enum Pace {
    /// One at a time, in virtual time.
    Turns(Turns),
    /// All at once, in real time.
    Threads(Threads),
}

impl Core {
    /// A machine whose processors are idle.
    #[allow(
        clippy::too_many_arguments,
        reason = "the parts of a machine, each given once"
    )]
    pub(crate) fn start(
        cpus: usize,
        clock: Clock,
        seed: u64,
        memory: PhysicalMemory,
        journal: Journal,
        options: PortOptions,
        registry: BTreeMap<String, u32>,
        controllers: Vec<Box<dyn Controller>>,
    ) -> std::io::Result<Arc<Self>> {
        let slots = controllers.into_iter().enumerate();
        let slots = slots.map(|(adapter, controller)| {
            let mut port = Port::new(adapter, controller.bar_bytes(), options.interrupts);
            port.dma.enforce_by(controller.iommu());
            port.dma.keep_out(options.iommu == Isolation::On);
            let interrupts = Interrupts::new(options.affinity, options.group_size as usize);
            Slot::new(controller, port, interrupts)
        });
        let slots = slots.collect();
        let core = Arc::new(Self {
            memory,
            judge: Judge::default(),
            journal,
            options,
            registry,
            pace: match clock {
                Clock::Deterministic | Clock::Preemptive(_) => Pace::Turns(Turns::new(cpus)),
                Clock::Threaded => Pace::Threads(Threads::new(cpus)),
            },
            preempt_one_in: match clock {
                Clock::Preemptive(one_in) => Some(one_in),
                Clock::Deterministic | Clock::Threaded => None,
            },
            state: Mutex::new(State::new(cpus, clock, seed, slots)),
            switched_off: AtomicBool::new(false),
        });
        for index in 0..cpus {
            let cpu = Cpu::new(Arc::clone(&core), index);
            thread::Builder::new()
                .name(format!("processor {index}"))
                .stack_size(STACK_BYTES)
                .spawn(move || processor(&cpu))?;
        }
        if clock == Clock::Threaded {
            let core = Arc::clone(&core);
            thread::Builder::new()
                .name("timekeeper".to_owned())
                .spawn(move || core.keep_time())?;
        }
        Ok(core)
    }

    /// The state, on behalf of the first adapter. Never held while driver code runs.
    pub(crate) fn state(&self) -> StateGuard<'_> {
        self.state_of(0)
    }

    /// The state, on behalf of `adapter`.
    pub(crate) fn state_of(&self, adapter: usize) -> StateGuard<'_> {
        let mut state = StateGuard::lock(self);
        state.select(adapter);
        state
    }

    /// Runs `work` for `adapter` on a thread of the machine at `PASSIVE_LEVEL`, and waits for its result.
    pub(crate) fn run<R: Send + 'static>(
        &self,
        adapter: usize,
        work: impl FnOnce(&Cpu) -> R + Send + 'static,
    ) -> Result<R, Fatal> {
        let result = Arc::new(Mutex::new(None));
        let theirs = Arc::clone(&result);
        let done = Arc::new(AtomicBool::new(false));
        let their_done = Arc::clone(&done);
        self.state().tasks.push_back(Box::new(move |cpu| {
            let value = work(&cpu.of(adapter));
            *theirs.lock().unwrap_or_else(PoisonError::into_inner) = Some(value);
            their_done.store(true, Ordering::Relaxed);
        }));
        self.run_until(move |_| done.load(Ordering::Relaxed))?;
        let value = result.lock().unwrap_or_else(PoisonError::into_inner).take();
        value.ok_or_else(|| {
            self.fatal(
                "the port driver".to_owned(),
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
        {
            let mut state = self.state();
            if let Some(fatal) = &state.fatal {
                return Err(fatal.clone());
            }
            state.until = Some(Box::new(satisfied));
        }
        match &self.pace {
            Pace::Turns(turns) => self.take_turns(turns),
            Pace::Threads(threads) => self.wait_outside(threads),
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

    /// Waits until processor `index` can run on; others run meanwhile.
    pub(super) fn rest(&self, index: usize) {
        match &self.pace {
            Pace::Turns(turns) => self.switch(turns, index),
            Pace::Threads(threads) => self.park(threads, index),
        }
    }

    /// Gives another processor the chance to go on first.
    pub(super) fn let_another(&self, index: usize) {
        match &self.pace {
            Pace::Turns(turns) => self.switch(turns, index),
            Pace::Threads(_) => thread::yield_now(),
        }
    }

    /// Lets everything happen that is due.
    pub(super) fn run_due(&self, state: &mut State) {
        self.judge.set_now(state.now_ns);
        let before = state.selected;
        for adapter in 0..state.slots.len() {
            state.select(adapter);
            let next_ns = state.controller.next_event_ns();
            if next_ns.is_some_and(|at_ns| at_ns <= state.now_ns) {
                self.with_controller(state, |controller, now_ns, wiring| {
                    controller.run(now_ns, wiring);
                });
            }
        }
        while let Some(due) = state.take_due() {
            crate::port::due(self, state, due);
        }
        state.select(before);
    }

    /// Lets the controller do something.
    pub(crate) fn with_controller<R>(
        &self,
        state: &mut State,
        work: impl FnOnce(&mut dyn Controller, u64, &mut Wiring<'_>) -> R,
    ) -> R {
        let now_ns = state.now_ns;
        let Slot {
            controller,
            port,
            interrupts,
        } = &mut **state;
        let mut wiring = Wiring {
            memory: &self.memory,
            judge: &self.judge,
            journal: &self.journal,
            interrupts,
            dma: &port.dma,
            stopped: port.stopped,
            now_ns,
            list_read: false,
        };
        let result = work(controller.as_mut(), now_ns, &mut wiring);
        if wiring.list_read {
            crate::port::judge_lent(self, state);
        }
        result
    }

    /// Notes that something moves.
    pub(super) fn step(&self) {
        if let Pace::Turns(turns) = &self.pace {
            turns.step();
        }
    }

    /// Records that the driver, at `place`, cannot be run on.
    pub(crate) fn fatal(&self, place: String, rule: &'static Rule, what: String) -> Fatal {
        let fatal = Fatal {
            rule: rule.id,
            what,
        };
        let what = fatal.what.clone();
        self.judge.check(rule, false, move || place, move || what);
        self.stop_at(fatal)
    }

    /// Ends the run.
    pub(super) fn stop_at(&self, fatal: Fatal) -> Fatal {
        crate::port::judge_overruns(&self.memory, &self.judge);
        let mut state = self.state();
        self.journal.note(
            state.now_ns,
            Who::Bed,
            format!("cannot run on: {} ({})", fatal.what, fatal.rule),
        );
        state.fatal.get_or_insert_with(|| fatal.clone());
        fatal
    }

    /// Ends a processor's part in the machine for good: its thread waits for ever.
    pub(super) fn abandon(&self, index: usize) -> ! {
        if let Pace::Turns(turns) = &self.pace {
            turns.leave(index);
        }
        loop {
            thread::park();
        }
    }

    /// Switches the machine off: idle processors' threads end. Whether all of them did; one that was in the middle of
    /// driver code never runs again, and what it uses must stay.
    pub(crate) fn switch_off(&self) -> bool {
        self.switched_off.store(true, Ordering::Relaxed);
        if self.state().fatal.is_some() {
            return false;
        }
        match &self.pace {
            Pace::Turns(turns) => self.end_turns(turns),
            Pace::Threads(threads) => self.end_threads(threads),
        }
    }

    pub(super) fn is_switched_off(&self) -> bool {
        self.switched_off.load(Ordering::Relaxed)
    }
}

/// The life of a processor.
fn processor(cpu: &Cpu) {
    let core = Arc::clone(cpu.core());
    cpu::enter(cpu.clone());
    if let Pace::Turns(turns) = &core.pace {
        turns.wait(cpu.index());
    }
    while !core.is_switched_off() {
        cpu.serve();
        let task = {
            let mut state = core.state();
            let task = state.tasks.pop_front();
            state.processors[cpu.index()].activity = if task.is_some() {
                Activity::Ready
            } else {
                Activity::Idle
            };
            task
        };
        match task {
            Some(task) => task(cpu),
            None => core.rest(cpu.index()),
        }
    }
    match &core.pace {
        Pace::Turns(turns) => turns.pass_outside(),
        Pace::Threads(threads) => core.thread_ends(threads),
    }
}

/// The callback that is being made, for messages.
pub(super) fn place(callback: Option<Callback>) -> String {
    callback.map_or_else(
        || "the port driver".to_owned(),
        |callback| callback.to_string(),
    )
}

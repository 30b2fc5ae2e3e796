//! A processor, as code that runs on it sees it.

use std::cell::{Cell, OnceCell};
use std::sync::Arc;

use super::core::{Core, Fatal, place};
use super::guard::StateGuard;
use super::irql::{self, Irql};
use super::processor::{Activity, Callback, Dispatch, Frame, Task};
use super::state::Service;
use crate::abi::callback;
use crate::last_words;
use crate::rules::{Rule, port as rules};
use crate::trap::{lines, step};

/// One in so many points hands the baton to a processor that the seed chooses.
const SWITCH_ONE_IN: u32 = 6;
/// Virtual time that a callback costs beside what it does.
const CALL_NS: u64 = 200;
/// How long a callback above `PASSIVE_LEVEL` may last in virtual time before the machine gives up on it.
const RAISED_LIMIT_NS: u64 = 20_000_000_000;
/// The same at `PASSIVE_LEVEL`, where a miniport may wait for the device: CAP.TO alone can be 127 s.
const PASSIVE_LIMIT_NS: u64 = 1_200_000_000_000;

/// What an end is told with that is no fault of the driver.
const NO_RULE: &str = "no broken rule";

thread_local! {
    static CURRENT: OnceCell<Cpu> = const { OnceCell::new() };
    /// The adapter whose callback is being made.
    static ADAPTER: Cell<usize> = const { Cell::new(0) };
}

/// Makes this thread the one of a processor.
pub(super) fn enter(cpu: Cpu) {
    let thread = step::enter_thread(super::preemption::preempt);
    lines::enter_processor(cpu.index);
    cpu.state().processors[cpu.index].thread = Some(thread);
    CURRENT.with(|current| current.set(cpu).ok());
}

/// A processor of a machine, at work for one of its adapters.
#[derive(Clone)]
pub(crate) struct Cpu {
    core: Arc<Core>,
    index: usize,
    adapter: usize,
}

/// What a piece of code is seen to have changed when it is over.
#[derive(Clone, Copy, Debug)]
struct Mark {
    irql: Irql,
    held: usize,
}

impl Cpu {
    pub(super) fn new(core: Arc<Core>, index: usize) -> Self {
        Self {
            core,
            index,
            adapter: 0,
        }
    }

    /// The processor whose thread this is, at work for the adapter whose callback is being made. Driver code runs nowhere
    /// else.
    pub(crate) fn current() -> Self {
        CURRENT
            .with(|current| current.get().map(|cpu| cpu.of(ADAPTER.get())))
            .unwrap_or_else(|| {
                // A caller that belongs to no machine cannot be run on.
                last_words::end(format_args!(
                    "the port driver is called on a thread that is no processor: driver code runs astray"
                ))
            })
    }

    /// The same processor, at work for `adapter`.
    pub(crate) fn of(&self, adapter: usize) -> Self {
        Self {
            adapter,
            ..self.clone()
        }
    }

    /// The adapter that it works for.
    pub(crate) fn adapter(&self) -> usize {
        self.adapter
    }

    /// The machine.
    pub(crate) fn core(&self) -> &Arc<Core> {
        &self.core
    }

    /// Its number.
    pub(crate) fn index(&self) -> usize {
        self.index
    }

    /// The machine's state, on behalf of the adapter.
    pub(crate) fn state(&self) -> StateGuard<'_> {
        self.core.state_of(self.adapter)
    }

    /// The current IRQL.
    pub(crate) fn irql(&self) -> Irql {
        self.state().processors[self.index].irql
    }

    /// The innermost callback.
    pub(crate) fn callback(&self) -> Option<Callback> {
        self.state().processors[self.index].callback()
    }

    /// Whether the miniport is called with a lock that interrupts need.
    pub(crate) fn holds_interrupt_lock(&self) -> bool {
        self.state().processors[self.index].holds_interrupt_lock()
    }

    /// Judges `rule` in the current callback.
    pub(crate) fn check(
        &self,
        rule: &'static Rule,
        held: bool,
        what: impl FnOnce() -> String,
    ) -> bool {
        self.core
            .judge
            .check(rule, held, || place(self.callback()), what)
    }

    /// Records that the driver cannot be run on, and never returns.
    pub(crate) fn end(&self, rule: &'static Rule, what: String) -> ! {
        self.core.fatal(place(self.callback()), rule, what);
        self.core.abandon(self.index)
    }

    /// Records that the driver cannot be run on although it has broken no rule, and never returns.
    pub(crate) fn give_up(&self, what: String) -> ! {
        self.core.stop_at(Fatal {
            rule: NO_RULE,
            what,
        });
        self.core.abandon(self.index)
    }

    /// Raises the IRQL and returns the one before.
    pub(crate) fn raise(&self, irql: Irql) -> Irql {
        let mut state = self.state();
        let processor = &mut state.processors[self.index];
        let old = processor.irql;
        processor.irql = old.max(irql);
        old
    }

    /// Goes back to a lower IRQL and serves what that lets through.
    fn lower(&self, irql: Irql) {
        self.state().processors[self.index].irql = irql;
        self.serve();
    }

    /// Calls a routine of the miniport and judges what it leaves behind.
    pub(crate) fn call(&self, callback: Callback, routine: u64, arguments: [u64; 6]) -> u64 {
        let mark = {
            let mut state = self.state();
            state.pass(CALL_NS);
            let entered_ns = state.now_ns;
            let processor = &mut state.processors[self.index];
            processor.activity = Activity::Ready;
            processor.moved_ns = entered_ns;
            processor.frames.push(Frame {
                callback,
                adapter: self.adapter,
                irql: processor.irql,
                entered_ns,
                stalled_ns: 0,
                interrupted: 0,
                completed: false,
            });
            let mark = Mark {
                irql: processor.irql,
                held: processor.held.len(),
            };
            self.count_out(&mut state);
            mark
        };
        let before = ADAPTER.replace(self.adapter);
        let part = callback.part().map(step::enter_part);
        let result = callback::call(routine, arguments);
        if let Some(part) = part {
            step::enter_part(part);
        }
        ADAPTER.set(before);
        self.judge_return(mark);
        self.state().processors[self.index].frames.pop();
        self.point(CALL_NS);
        result
    }

    /// Judges IRQL and locks at the return of a callback, and puts them right.
    fn judge_return(&self, mark: Mark) {
        let (irql, left) = {
            let state = self.state();
            let processor = &state.processors[self.index];
            let left: Vec<_> = processor
                .held
                .iter()
                .skip(mark.held)
                .map(|held| held.lock)
                .collect();
            (processor.irql, left)
        };
        self.check(&rules::CALLBACK_LOCKS, left.is_empty(), || {
            format!("{} is still held", left[0])
        });
        for lock in left.iter().rev() {
            self.release(*lock);
        }
        let irql = if left.is_empty() { irql } else { mark.irql };
        self.check(&rules::CALLBACK_IRQL, irql == mark.irql, || {
            format!(
                "entered at {}, left at {}",
                irql::name(mark.irql),
                irql::name(irql)
            )
        });
        self.state().processors[self.index].irql = mark.irql;
    }

    /// A point at which others may act: lets `cost_ns` pass, serves what the IRQL lets through, and may let another
    /// processor go on.
    pub(crate) fn point(&self, cost_ns: u64) {
        self.core.step();
        let switch = {
            let mut state = self.state();
            state.pass(cost_ns);
            state.processors[self.index].moved_ns = state.now_ns;
            self.core.run_due(&mut state);
            self.count_out(&mut state);
            state.random.u32(..SWITCH_ONE_IN) == 0
        };
        self.serve();
        if switch {
            self.core.let_another(self.index);
            self.serve();
        }
        self.judge_progress();
    }

    /// Lets others go on until this processor can.
    pub(super) fn give_way(&self) {
        self.core.rest(self.index);
    }

    fn judge_progress(&self) {
        let (lasted_ns, limit_ns) = {
            let state = self.state();
            let Some(frame) = state.processors[self.index].frames.last() else {
                return;
            };
            let limit_ns = if frame.irql > irql::PASSIVE {
                RAISED_LIMIT_NS
            } else {
                PASSIVE_LIMIT_NS
            };
            (state.now_ns - frame.entered_ns, limit_ns)
        };
        let ends = lasted_ns <= limit_ns;
        if !self.check(&rules::CALLBACK_PROGRESS, ends, || {
            format!("{} s without an end", lasted_ns / 1_000_000_000)
        }) {
            self.end(
                &rules::CALLBACK_PROGRESS,
                "a callback does not come to an end".to_owned(),
            );
        }
    }

    /// Serves interrupts and dispatch work that the IRQL lets through.
    pub(crate) fn serve(&self) {
        let mut served = 0;
        loop {
            let service = {
                let mut state = self.state();
                if state.fatal.is_some() {
                    drop(state);
                    self.core.abandon(self.index);
                }
                let service = state.service(self.index);
                let processor = &mut state.processors[self.index];
                if let Some(Service::Dispatch(..)) = service {
                    processor.dispatch.pop_front();
                }
                if let Some(service) = service {
                    processor.activity = Activity::Ready;
                    processor.serving.push(service.adapter());
                }
                service
            };
            let Some(service) = service else { return };
            let cpu = self.of(service.adapter());
            served += 1;
            cpu.judge_flood(served);
            match service {
                Service::Message(_, message) => cpu.serve_message(message),
                Service::Line(_) => {
                    // The next interrupt comes from the loop here, not from inside this one.
                    let old = cpu.raise(irql::DEVICE);
                    cpu.serve_line();
                    cpu.state().processors[self.index].irql = old;
                }
                Service::Dispatch(_, work) => {
                    let old = cpu.raise(irql::DISPATCH);
                    crate::port::dispatch(&cpu, work);
                    cpu.state().processors[self.index].irql = old;
                }
            }
            self.state().processors[self.index].serving.pop();
        }
    }

    /// Does work at `DISPATCH_LEVEL` now.
    pub(crate) fn run_dispatch(&self, work: Dispatch) {
        let old = self.raise(irql::DISPATCH);
        crate::port::dispatch(self, work);
        self.lower(old);
    }

    /// Keeps the processor busy for a time.
    pub(crate) fn stall(&self, ns: u64) {
        let stalled_ns = {
            let mut state = self.state();
            let frame = state.processors[self.index].frames.last_mut();
            frame.map_or(0, |frame| {
                frame.stalled_ns += ns;
                frame.stalled_ns
            })
        };
        let at_device = self.irql() >= irql::DEVICE;
        if at_device {
            self.check(&rules::STALL_BUDGET, stalled_ns < 100_000_000, || {
                format!("{} ms of stalls so far", stalled_ns / 1_000_000)
            });
        }
        self.point(ns);
        let until_ns = {
            let mut state = self.state();
            let until_ns = if state.real_time {
                state.now_ns.saturating_add(ns)
            } else {
                state.now_ns
            };
            state.processors[self.index].activity = Activity::Stalling(until_ns);
            until_ns
        };
        loop {
            self.give_way();
            self.serve();
            let mut state = self.state();
            let over = state.now_ns >= until_ns;
            state.processors[self.index].activity = if over {
                Activity::Ready
            } else {
                Activity::Stalling(until_ns)
            };
            if over {
                return;
            }
        }
    }

    /// Sleeps, at `PASSIVE_LEVEL`; interrupts and dispatch work are served meanwhile, and threads when no processor is
    /// free for them.
    pub(crate) fn sleep(&self, ns: u64) {
        let until_ns = self.state().now_ns.saturating_add(ns);
        self.core.step();
        loop {
            let task = {
                let mut state = self.state();
                if state.now_ns >= until_ns {
                    state.processors[self.index].activity = Activity::Ready;
                    break;
                }
                state.processors[self.index].activity = Activity::Sleeping(until_ns);
                if state.all_asleep() {
                    state.tasks.pop_front()
                } else {
                    None
                }
            };
            match task {
                Some(task) => task(self),
                None => self.give_way(),
            }
            self.serve();
        }
        self.judge_progress();
    }

    /// Starts a thread at `PASSIVE_LEVEL`.
    pub(crate) fn spawn(&self, work: impl FnOnce(&Self) + Send + 'static) {
        let adapter = self.adapter;
        let work: Task = Box::new(move |cpu| work(&cpu.of(adapter)));
        self.state().tasks.push_back(work);
    }
}

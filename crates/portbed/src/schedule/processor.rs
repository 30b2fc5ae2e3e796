//! One virtual processor: what it does, at which IRQL, with which locks.

use std::collections::VecDeque;
use std::fmt;

use super::cpu::Cpu;
use super::irql::{self, Irql};
use super::lock::LockId;
use crate::trap::step::{self, Part};

/// A routine of the miniport.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Callback {
    DriverEntry,
    DriverUnload,
    FindAdapter,
    Initialize,
    PassiveInitialize,
    BuildIo,
    StartIo,
    Interrupt,
    MessageInterrupt,
    Dpc,
    Timer,
    TimerEx,
    WorkItem,
    ResetBus,
    AdapterControl(u32),
    UnitControl(u32),
    Synchronized,
    /// The routine that gets a scatter/gather list.
    ListBuilt,
}

impl Callback {
    /// Which part of the cost of a request its instructions are; none, where it belongs to whatever has called for it.
    pub(super) fn part(self) -> Option<Part> {
        Some(match self {
            Self::BuildIo => Part::Build,
            Self::StartIo => Part::Start,
            Self::Interrupt | Self::MessageInterrupt => Part::Interrupt,
            Self::Dpc | Self::Timer | Self::TimerEx => Part::Dpc,
            Self::Synchronized | Self::ListBuilt => return None,
            _ => Part::Rest,
        })
    }
}

impl fmt::Display for Callback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DriverEntry => f.write_str("DriverEntry"),
            Self::DriverUnload => f.write_str("DriverUnload"),
            Self::FindAdapter => f.write_str("HwFindAdapter"),
            Self::Initialize => f.write_str("HwInitialize"),
            Self::PassiveInitialize => f.write_str("HwPassiveInitialize"),
            Self::BuildIo => f.write_str("HwBuildIo"),
            Self::StartIo => f.write_str("HwStartIo"),
            Self::Interrupt => f.write_str("HwInterrupt"),
            Self::MessageInterrupt => f.write_str("HwMSInterruptRoutine"),
            Self::Dpc => f.write_str("HwDpcRoutine"),
            Self::Timer => f.write_str("HwTimer"),
            Self::TimerEx => f.write_str("HwTimerEx"),
            Self::WorkItem => f.write_str("HwWorkItem"),
            Self::ResetBus => f.write_str("HwResetBus"),
            Self::AdapterControl(kind) => write!(f, "HwAdapterControl({kind})"),
            Self::UnitControl(kind) => write!(f, "HwUnitControl({kind})"),
            Self::Synchronized => f.write_str("a synchronised routine"),
            Self::ListBuilt => f.write_str("the ExecutionRoutine of a scatter/gather list"),
        }
    }
}

/// Work that a processor does at `DISPATCH_LEVEL` as soon as its IRQL is lower.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Dispatch {
    /// A DPC of the miniport, by the address of its object.
    Dpc(u64),
    /// The adapter's timer.
    Timer,
    /// A timer that the miniport allocated, by its handle.
    TimerEx(u64),
    /// A scatter/gather list that was asked for, by the address of its buffer.
    List(u64),
    /// A request is sent to the miniport, by the address of its request block.
    Start(u64),
    /// A request timed out.
    TimedOut(u64),
    /// `ScsiAdapterPower` to a state, for an action.
    Power(u32, u32),
    /// A bus is reset.
    ResetBus(u8),
}

/// What a thread at `PASSIVE_LEVEL` does.
pub(crate) type Task = Box<dyn FnOnce(&Cpu) + Send>;

/// Why a processor does not run on by itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Activity {
    /// It has nothing to do.
    Idle,
    /// It was interrupted at a point and can go on.
    Ready,
    /// It wants a lock.
    Spinning(LockId),
    /// It sleeps until a time.
    Sleeping(u64),
    /// It is kept busy until a time.
    Stalling(u64),
}

/// A callback that is being made.
pub(super) struct Frame {
    pub(super) callback: Callback,
    /// Whose it is.
    pub(super) adapter: usize,
    /// The IRQL that it was called at: what interrupts it on the same processor runs higher.
    pub(super) irql: Irql,
    pub(super) entered_ns: u64,
    pub(super) stalled_ns: u64,
    /// How much it was interrupted because it ran on.
    pub(super) interrupted: u32,
    /// Whether a request was completed in it: what it does from then on is still part of the request's cost.
    pub(super) completed: bool,
}

/// A lock that is held.
pub(super) struct Held {
    pub(super) lock: LockId,
    pub(super) old_irql: Irql,
    /// Address of the miniport's handle, or 0 for a lock that the port driver took.
    pub(super) handle: u64,
}

/// A processor.
pub(crate) struct Processor {
    pub(super) activity: Activity,
    pub(super) irql: Irql,
    pub(super) frames: Vec<Frame>,
    pub(super) held: Vec<Held>,
    /// Work to come, and whose it is.
    pub(super) dispatch: VecDeque<(usize, Dispatch)>,
    /// Whose interrupts and work it serves, the innermost last.
    pub(super) serving: Vec<usize>,
    /// The interrupt message whose routine runs on it.
    pub(super) message: Option<u16>,
    /// Whether its thread rests until the processor can run on, under the threaded clock.
    pub(super) parked: bool,
    /// When it came to a point last.
    pub(super) moved_ns: u64,
    /// The thread that it runs on, once that has started.
    pub(super) thread: Option<step::Thread>,
}

impl Processor {
    pub(super) fn new() -> Self {
        Self {
            activity: Activity::Idle,
            irql: irql::PASSIVE,
            frames: Vec::new(),
            held: Vec::new(),
            dispatch: VecDeque::new(),
            serving: Vec::new(),
            message: None,
            parked: false,
            moved_ns: 0,
            thread: None,
        }
    }

    /// Whether it does nothing for `adapter`, and will do nothing that it has not been given yet.
    pub(super) fn is_quiet(&self, adapter: usize) -> bool {
        let frames = self.frames.iter().map(|frame| frame.adapter);
        let mut busy_for = self.serving.iter().copied().chain(frames).peekable();
        let elsewhere = busy_for.peek().is_some() && !busy_for.any(|busy| busy == adapter);
        (self.activity == Activity::Idle || elsewhere)
            && self.dispatch.iter().all(|&(whose, _)| whose != adapter)
    }

    /// Whether it is in a callback of `adapter`, or serves its interrupts and work.
    pub(super) fn works_for(&self, adapter: usize) -> bool {
        self.serving.contains(&adapter) || self.frames.iter().any(|frame| frame.adapter == adapter)
    }

    /// Takes note that a request is completed in the innermost callback. It may have been called in the course of others,
    /// which may have work left that belongs to the request, unless they only happened to be interrupted.
    pub(super) fn complete(&mut self) {
        let innermost = self.frames.len().saturating_sub(1);
        for (index, frame) in self.frames.iter_mut().enumerate() {
            frame.completed |= index == innermost || frame.irql > irql::PASSIVE;
        }
    }

    /// Whether a callback of `adapter` is being made in which a request was completed.
    pub(super) fn has_completed(&self, adapter: usize) -> bool {
        let mut frames = self.frames.iter();
        frames.any(|frame| frame.completed && frame.adapter == adapter)
    }

    /// The innermost callback that is being made.
    pub(super) fn callback(&self) -> Option<Callback> {
        self.frames.last().map(|frame| frame.callback)
    }

    /// Whether a lock that interrupts need is held.
    pub(super) fn holds_interrupt_lock(&self) -> bool {
        self.held
            .iter()
            .any(|held| matches!(held.lock, LockId::Interrupt(_) | LockId::Message(..)))
    }

    /// Interrupts the driver code that it is in.
    pub(super) fn interrupt(&self) {
        if let Some(thread) = &self.thread {
            thread.interrupt();
        }
    }

    /// Interrupts it if it waits for another processor.
    pub(super) fn interrupt_spinning(&self) {
        if let Some(thread) = &self.thread {
            thread.interrupt_spinning();
        }
    }
}

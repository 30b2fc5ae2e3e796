//! Requests on their way: queues of logical units, limits, `HwBuildIo` and `HwStartIo`, time-outs.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::buffer::{Buffer, Spares};
use super::srb::{self, Function, Outstanding, Spec};
use super::{Phase, complete};
use crate::abi::srb::{function, status};
use crate::journal::Who;
use crate::machine::{Completed, Data, SrbKind, UnitAddress};
use crate::memory::Access;
use crate::rules::port as rules;
use crate::schedule::{Callback, Core, Cpu, Dispatch, Due, LockId, State};

/// `SP_UNTAGGED`: the tag of a request without one.
const UNTAGGED: u32 = 0xFF;
/// Seconds that a request gets unless told.
const DEFAULT_TIMEOUT_S: u32 = 10;
/// Between one step of recovery and the next.
const RECOVERY_NS: u64 = 10_000_000_000;
/// How long a queue rests after a busy answer.
pub(super) const BUSY_PAUSE_NS: u64 = 250_000_000;
/// How often a busy request is tried again. The default of Windows.
pub(super) const BUSY_RETRIES: u32 = 20;
/// Tokens of the port driver's own requests, whose answers nobody collects.
const RECOVERY_TOKEN: u64 = u64::MAX;

/// Everything that is on its way.
#[derive(Default)]
pub(crate) struct Queues {
    units: BTreeMap<UnitAddress, Unit>,
    pub(super) outstanding: BTreeMap<u64, Outstanding>,
    /// Request blocks that came back, oldest first: their memory stays inaccessible for a while.
    pub(super) returned: VecDeque<Returned>,
    pub(super) spares: Spares,
    /// Requests that came back and whose answers are being read.
    finishing: usize,
    pub(super) results: VecDeque<(u64, Completed)>,
    paused: bool,
    /// The adapter takes new requests when no more than this many are outstanding.
    busy_until: Option<usize>,
    waiting: usize,
}

/// A request that came back, with the memory that it still keeps.
pub(super) struct Returned {
    pub(super) block: u64,
    pub(super) allocations: Vec<u64>,
    pub(super) data: Option<Buffer>,
}

/// A request that waits for its turn.
enum Waiting {
    /// It has no request block yet.
    New(Box<Spec>),
    /// It came back as busy, and is sent again as it is.
    Again(Box<Outstanding>),
}

/// The queue of a logical unit.
struct Unit {
    waiting: VecDeque<Waiting>,
    outstanding: usize,
    depth: usize,
    paused: bool,
    busy_until: Option<usize>,
}

impl Queues {
    /// The lowest tag that no outstanding request to `unit` has, so that tags stay below the number of those requests. It
    /// is not the one that stands for none.
    pub(super) fn free_tag(&self, unit: UnitAddress) -> u32 {
        let others = self.outstanding.values();
        let taken: BTreeSet<u32> = others
            .filter(|other| other.spec.unit == unit)
            .chain(self.units.get(&unit).into_iter().flat_map(Unit::again))
            .map(|other| other.tag)
            .collect();
        let free = |tag: &u32| *tag & 0xFF != UNTAGGED && !taken.contains(tag);
        (0..u32::MAX).find(free).unwrap_or_default()
    }

    /// Requests that the miniport has.
    pub(crate) fn outstanding(&self) -> usize {
        self.outstanding.len()
    }

    /// Requests that the miniport holds because the device cannot be stopped.
    pub(crate) fn held(&self) -> usize {
        let outstanding = self.outstanding.values();
        outstanding.filter(|outstanding| outstanding.held).count()
    }

    /// Requests that came from above and did not go back.
    pub(crate) fn unanswered(&self) -> usize {
        self.outstanding.len() + self.finishing + self.waiting
    }

    /// Takes a request from the miniport, until [`Self::finished`].
    pub(super) fn finish(&mut self, block: u64) -> Option<Outstanding> {
        let outstanding = self.outstanding.remove(&block)?;
        self.finishing += 1;
        Some(outstanding)
    }

    /// What became of a request that came back is known.
    pub(super) fn finished(&mut self, unit: UnitAddress) {
        self.finishing -= 1;
        self.one_less(unit);
    }

    /// Takes the answer to a request.
    pub(crate) fn take(&mut self, token: u64) -> Option<Completed> {
        let position = self
            .results
            .iter()
            .position(|&(answered, _)| answered == token)?;
        self.results
            .remove(position)
            .map(|(_, completed)| completed)
    }

    /// Whether the answer to a request is there.
    pub(crate) fn has(&self, token: u64) -> bool {
        self.results.iter().any(|&(answered, _)| answered == token)
    }

    /// The oldest answer to a request of the tokens below `end`.
    pub(crate) fn take_any(&mut self, end: u64) -> Option<(u64, Completed)> {
        let position = self
            .results
            .iter()
            .position(|&(answered, _)| answered < end)?;
        self.results.remove(position)
    }

    /// Whether there is an answer to a request of the tokens below `end`.
    pub(crate) fn has_any(&self, end: u64) -> bool {
        self.results.iter().any(|&(answered, _)| answered < end)
    }

    /// Whether `va` lies in memory of an outstanding request, or of the one that is named.
    pub(super) fn owns(&self, va: u64, named: Option<u64>) -> bool {
        match named {
            Some(block) => self
                .outstanding
                .get(&block)
                .is_some_and(|outstanding| outstanding.owns(va)),
            None => self
                .outstanding
                .values()
                .any(|outstanding| outstanding.owns(va)),
        }
    }

    /// Whether a request block came back lately.
    pub(super) fn was_returned(&self, block: u64) -> bool {
        let mut again = self.units.values().flat_map(Unit::again);
        self.returned.iter().any(|returned| returned.block == block)
            || again.any(|waiting| waiting.block == block)
    }

    /// Pauses or resumes the whole adapter.
    pub(super) fn pause(&mut self, paused: bool) {
        self.paused = paused;
    }

    /// Pauses or resumes a unit.
    pub(super) fn pause_unit(&mut self, unit: UnitAddress, paused: bool) -> bool {
        self.units
            .get_mut(&unit)
            .map(|unit| unit.paused = paused)
            .is_some()
    }

    /// Holds requests back until so many have come back; `None` lets them go.
    pub(super) fn busy(&mut self, to_complete: Option<u32>) {
        let outstanding = self.outstanding.len();
        self.busy_until = to_complete.map(|count| outstanding.saturating_sub(count as usize));
    }

    /// The same for a unit.
    pub(super) fn busy_unit(&mut self, unit: UnitAddress, to_complete: Option<u32>) -> bool {
        let found = self.units.get_mut(&unit);
        let known = found.is_some();
        if let Some(unit) = found {
            unit.busy_until =
                to_complete.map(|count| unit.outstanding.saturating_sub(count as usize));
        }
        known
    }

    /// Sets how many requests a unit takes at once.
    pub(super) fn set_depth(&mut self, unit: UnitAddress, depth: u32) {
        let entry = self
            .units
            .entry(unit)
            .or_insert_with(|| Unit::new(depth as usize));
        entry.depth = depth as usize;
    }

    /// Notes that a request of `unit` is gone.
    fn one_less(&mut self, unit: UnitAddress) {
        if let Some(unit) = self.units.get_mut(&unit) {
            unit.outstanding = unit.outstanding.saturating_sub(1);
        }
    }

    /// Puts a busy request back in front.
    pub(super) fn put_back(&mut self, outstanding: Outstanding) {
        if let Some(unit) = self.units.get_mut(&outstanding.spec.unit) {
            unit.waiting
                .push_front(Waiting::Again(Box::new(outstanding)));
            unit.paused = true;
            self.waiting += 1;
        }
    }
}

impl Unit {
    fn new(depth: usize) -> Self {
        Self {
            waiting: VecDeque::new(),
            outstanding: 0,
            depth,
            paused: false,
            busy_until: None,
        }
    }

    /// Requests that are sent again.
    fn again(&self) -> impl Iterator<Item = &Outstanding> {
        self.waiting.iter().filter_map(|waiting| match waiting {
            Waiting::Again(outstanding) => Some(outstanding.as_ref()),
            Waiting::New(_) => None,
        })
    }

    fn may_send(&mut self) -> bool {
        if self
            .busy_until
            .is_some_and(|until| self.outstanding <= until)
        {
            self.busy_until = None;
        }
        !self.paused
            && self.busy_until.is_none()
            && self.outstanding < self.depth
            && !self.waiting.is_empty()
    }
}

/// Queues a request and sends what may be sent.
pub(crate) fn submit(core: &Core, state: &mut State, spec: Spec) {
    let depth = state.port.adapter.initial_depth();
    state.port.queues.waiting += 1;
    let unit = state
        .port
        .queues
        .units
        .entry(spec.unit)
        .or_insert_with(|| Unit::new(depth));
    unit.waiting.push_back(Waiting::New(Box::new(spec)));
    pump(core, state);
}

/// Sends what limits and pauses allow.
pub(crate) fn pump(core: &Core, state: &mut State) {
    if !matches!(state.port.adapter.phase, Phase::Started) || state.port.queues.paused {
        return;
    }
    let most = state.port.adapter.most_requests();
    let units: Vec<UnitAddress> = state.port.queues.units.keys().copied().collect();
    for address in units {
        loop {
            let queues = &mut state.port.queues;
            let outstanding = queues.outstanding.len();
            if queues.busy_until.is_some_and(|until| outstanding <= until) {
                queues.busy_until = None;
            }
            let Some(unit) = queues.units.get_mut(&address) else {
                break;
            };
            if outstanding >= most || queues.busy_until.is_some() || !unit.may_send() {
                break;
            }
            let Some(waiting) = unit.waiting.pop_front() else {
                break;
            };
            queues.waiting -= 1;
            let sent = match waiting {
                Waiting::New(spec) => send(core, state, *spec),
                Waiting::Again(outstanding) => send_again(core, state, *outstanding),
            };
            if !sent {
                return;
            }
        }
    }
}

/// Makes the request block and has a processor start it; whether there was memory for it.
pub(super) fn send(core: &Core, state: &mut State, spec: Spec) -> bool {
    let token = spec.token;
    let Some(outstanding) = srb::build(&core.memory, state, spec) else {
        let completed = Completed {
            srb_status: status::INTERNAL_ERROR,
            ..Completed::default()
        };
        state.port.queues.results.push_back((token, completed));
        return false;
    };
    hand_over(state, outstanding);
    true
}

/// Sends a request block again, in the same memory; whether the adapter could be given that memory.
fn send_again(core: &Core, state: &mut State, mut outstanding: Outstanding) -> bool {
    for start in outstanding.own_memory() {
        let _ = core.memory.protect(start, Access::ReadWrite);
    }
    srb::forget_answer(&outstanding);
    let admitted = srb::admit(&core.memory, state, &mut outstanding).is_some();
    hand_over(state, outstanding);
    admitted
}

/// Has a processor start a request.
fn hand_over(state: &mut State, outstanding: Outstanding) {
    let (block, unit) = (outstanding.block, outstanding.spec.unit);
    state.port.queues.outstanding.insert(block, outstanding);
    if let Some(unit) = state.port.queues.units.get_mut(&unit) {
        unit.outstanding += 1;
    }
    state.dispatch_anywhere(Dispatch::Start(block));
}

/// Hands a request to the miniport.
pub(super) fn start(cpu: &Cpu, block: u64) {
    let (build_io, start_io, extension, locked) = {
        let mut state = cpu.state();
        let Some(outstanding) = state.port.queues.outstanding.get_mut(&block) else {
            return;
        };
        outstanding.started = true;
        let timeout_s = match outstanding.spec.timeout_s {
            0 => DEFAULT_TIMEOUT_S,
            seconds => seconds,
        };
        set_deadline(&mut state, block, u64::from(timeout_s) * 1_000_000_000);
        let adapter = &state.port.adapter;
        let routines = (
            adapter.initialization.build_io,
            adapter.initialization.start_io,
        );
        let locked = adapter.performance.holds_start_io_lock();
        (routines.0, routines.1, adapter.extension, locked)
    };
    let arguments = [extension, block, 0, 0, 0, 0];
    if build_io != 0 && cpu.call(Callback::BuildIo, build_io, arguments) as u8 == 0 {
        return;
    }
    // A request that was completed in HwBuildIo does not come to HwStartIo, whatever HwBuildIo said.
    if !cpu.state().port.queues.outstanding.contains_key(&block) {
        return;
    }
    if locked {
        cpu.acquire(LockId::StartIo(cpu.adapter()), 0);
    }
    let result = cpu.call(Callback::StartIo, start_io, arguments) as u8 != 0;
    cpu.check(&rules::START_IO_RESULT, result, || {
        "HwStartIo returned FALSE".to_owned()
    });
    if locked {
        cpu.release(LockId::StartIo(cpu.adapter()));
    }
}

/// Gives a request `ns` from now on.
fn set_deadline(state: &mut State, block: u64, ns: u64) {
    let deadline = state.schedule(ns, Due::Deadline { srb: block });
    if let Some(outstanding) = state.port.queues.outstanding.get_mut(&block) {
        outstanding.deadline = Some(deadline);
    }
}

/// The time-out of a request.
pub(super) fn deadline(state: &mut State, block: u64) {
    if state.port.queues.outstanding.contains_key(&block) {
        state.dispatch_anywhere(Dispatch::TimedOut(block));
    }
}

/// Recovers from a time-out: first the logical unit is reset, then the bus; then the request is given up.
pub(super) fn timed_out(cpu: &Cpu, block: u64) {
    let core = cpu.core();
    let (step, unit, announcement) = {
        let mut state = cpu.state();
        let Some(outstanding) = state.port.queues.outstanding.get_mut(&block) else {
            return;
        };
        let step = outstanding.recovery;
        outstanding.recovery += 1;
        let unit = outstanding.spec.unit;
        let announcement = matches!(outstanding.spec.what, Function::Pnp(_));
        let listens = state.controller.listens();
        let now_ns = state.now_ns;
        let held = step > 1 && !listens;
        let what = match step {
            _ if held => "a request is held: nothing shows that the device has stopped",
            0 => "a request timed out: the logical unit is reset",
            1 => "the bus is reset",
            _ => "a request did not come back after the bus was reset",
        };
        core.journal.note(now_ns, Who::Port, what);
        if held {
            // Safety of its memory goes first: it comes back when the device is known to have stopped, or is removed.
            if let Some(outstanding) = state.port.queues.outstanding.get_mut(&block) {
                outstanding.held = true;
            }
            return;
        }
        set_deadline(&mut state, block, RECOVERY_NS);
        (step, unit, announcement)
    };
    if announcement {
        cpu.check(&rules::SRB_PNP, false, || {
            "it did not come back in its time".to_owned()
        });
    }
    match step {
        0 => {
            let mut state = cpu.state();
            send(core, &mut state, reset_unit(unit));
        }
        1 => reset_bus(cpu, unit.path),
        _ => {
            cpu.check(&rules::SRB_ANSWERED, false, || {
                format!("the request at {block:#x}")
            });
            complete::give_up(cpu, block);
        }
    }
}

/// `HwResetBus`, which completes every request of the bus.
pub(super) fn reset_bus(cpu: &Cpu, path: u8) {
    let (extension, routine) = {
        let state = cpu.state();
        let adapter = &state.port.adapter;
        (adapter.extension, adapter.initialization.reset_bus)
    };
    cpu.acquire(LockId::StartIo(cpu.adapter()), 0);
    let arguments = [extension, u64::from(path), 0, 0, 0, 0];
    let result = cpu.call(Callback::ResetBus, routine, arguments) as u8 != 0;
    cpu.check(&rules::RESET_BUS, result, || {
        "HwResetBus returned FALSE".to_owned()
    });
    cpu.release(LockId::StartIo(cpu.adapter()));
}

fn reset_unit(unit: UnitAddress) -> Spec {
    Spec {
        token: RECOVERY_TOKEN,
        unit,
        what: Function::Plain(function::RESET_LOGICAL_UNIT),
        data: Data::None,
        buffer_offset: 0,
        pages_apart: false,
        srb: SrbKind::Storage,
        timeout_s: 0,
        flags: 0,
        retries: 0,
    }
}

/// Queues that rested go on.
pub(super) fn resume_due(core: &Core, state: &mut State) {
    state.port.queues.paused = false;
    for unit in state.port.queues.units.values_mut() {
        unit.paused = false;
    }
    pump(core, state);
}

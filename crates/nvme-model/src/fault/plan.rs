//! Which faults of a plan happen now.

use nvme_spec::command::{AdminOpcode, Command};

use super::{Behaviour, CommandMatch, Fault, Field, Injected, Moment, Panic, Target};
use crate::profile::Death;

/// A fault, and how often it happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FiredFault {
    /// The fault as it was written.
    pub spec: String,
    /// How often it happened.
    pub fired: u64,
}

/// A fault and what became of it so far.
struct Planned {
    fault: Fault,
    matches: u64,
    fired: u64,
    /// From when on it can happen; `None` while its moment has not come.
    from_ns: Option<u64>,
    /// A register is absent until then.
    absent_until_ns: Option<u64>,
}

/// What a register read gets instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RegisterAnswer {
    /// All ones.
    Absent,
    /// This, where the register begins at this offset and has this many bytes.
    Value { base: u32, value: u64 },
}

/// What happens at a moment, or to an interrupt.
pub(crate) type Happening = (Target, Behaviour);

/// The faults of a controller.
pub(crate) struct Faults {
    planned: Vec<Planned>,
    started: bool,
}

impl Faults {
    pub(crate) fn new(faults: &[Fault]) -> Self {
        let planned = faults.iter().map(|fault| Planned {
            fault: fault.clone(),
            matches: 0,
            fired: 0,
            from_ns: None,
            absent_until_ns: None,
        });
        Self {
            planned: planned.collect(),
            started: false,
        }
    }

    /// How often each happened.
    pub(crate) fn fired(&self) -> Vec<FiredFault> {
        let told = |planned: &Planned| FiredFault {
            spec: planned.fault.spec.clone(),
            fired: planned.fired,
        };
        self.planned.iter().map(told).collect()
    }

    /// Times count from the first access on.
    pub(crate) fn start(&mut self, now_ns: u64) {
        if !std::mem::replace(&mut self.started, true) {
            for planned in &mut self.planned {
                let when = planned.fault.when;
                if when.at.is_none() {
                    planned.from_ns = Some(now_ns.saturating_add(when.after_ns.unwrap_or(0)));
                }
            }
        }
    }

    /// Something has just been done: what happens at once.
    pub(crate) fn moment(&mut self, moment: Moment, now_ns: u64) -> Vec<Happening> {
        self.start(now_ns);
        for planned in &mut self.planned {
            let when = planned.fault.when;
            if when.at == Some(moment) && !planned.is_over() {
                planned.matches = 0;
                planned.from_ns = Some(now_ns.saturating_add(when.after_ns.unwrap_or(0)));
            }
        }
        self.due(now_ns)
    }

    /// When [`Faults::due`] next has something.
    pub(crate) fn due_ns(&self) -> Option<u64> {
        self.planned
            .iter()
            .filter(|planned| planned.fault.is_immediate())
            .filter_map(|planned| planned.from_ns)
            .min()
    }

    /// What happens by itself by now.
    pub(crate) fn due(&mut self, now_ns: u64) -> Vec<Happening> {
        let due = self.planned.iter_mut().filter(|planned| {
            planned.fault.is_immediate() && planned.from_ns.is_some_and(|from| from <= now_ns)
        });
        due.map(|planned| {
            planned.from_ns = None;
            planned.fired += 1;
            planned.happening()
        })
        .collect()
    }

    /// A command was fetched: what happens to it.
    pub(crate) fn command(&mut self, queue: u16, command: &Command, now_ns: u64) -> Injected {
        let mut injected = Injected::default();
        for planned in &mut self.planned {
            if planned.fault.target.is_command(queue, command) && planned.happens(now_ns) {
                injected.add(planned.fault.behaviour);
            }
        }
        injected
    }

    /// A register is read: what it reads as instead, and what else happens.
    pub(crate) fn register(
        &mut self,
        offset: u64,
        bytes: u8,
        now_ns: u64,
    ) -> (Option<RegisterAnswer>, Option<(Death, Panic)>) {
        self.start(now_ns);
        let (mut answer, mut death) = (None, None);
        for planned in &mut self.planned {
            let Target::Register(register) = planned.fault.target else {
                continue;
            };
            if !overlaps(register, offset, bytes) {
                continue;
            }
            let behaviour = planned.fault.behaviour;
            match behaviour {
                Behaviour::Absent(ns) if planned.is_absent(ns, now_ns) => {
                    answer = Some(RegisterAnswer::Absent);
                }
                Behaviour::Value(value) if planned.happens(now_ns) => {
                    let base = register.map_or(offset as u32, |(base, _)| base);
                    answer = answer.or(Some(RegisterAnswer::Value { base, value }));
                }
                Behaviour::Die(kind, panic) if planned.happens(now_ns) => {
                    death = Some((kind, panic));
                }
                _ => {}
            }
        }
        (answer, death)
    }

    /// Whether registers read as all ones at this time.
    pub(crate) fn hide_registers(&self, now_ns: u64) -> bool {
        let mut until = self
            .planned
            .iter()
            .filter_map(|planned| planned.absent_until_ns);
        until.any(|until| now_ns < until)
    }

    /// An interrupt is about to be sent: what happens to it.
    pub(crate) fn interrupt(&mut self, now_ns: u64) -> Vec<Behaviour> {
        let of_interrupts = self.planned.iter_mut().filter(|planned| {
            planned.fault.target == Target::Interrupt && !planned.fault.is_immediate()
        });
        of_interrupts
            .filter_map(|planned| planned.happens(now_ns).then_some(planned.fault.behaviour))
            .collect()
    }

    /// Namespaces that are not there before they are added.
    pub(crate) fn added_later(&self) -> impl Iterator<Item = u32> {
        let faults = self.planned.iter().map(|planned| &planned.fault);
        faults.filter_map(Fault::adds_namespace)
    }
}

impl Planned {
    fn happening(&self) -> Happening {
        (self.fault.target.clone(), self.fault.behaviour)
    }

    /// It happens no more.
    fn is_over(&self) -> bool {
        let when = self.fault.when;
        self.fired > 0 && (when.once || when.nth.is_some() && when.at.is_none())
    }

    /// It is met by what it matches: whether it happens.
    fn happens(&mut self, now_ns: u64) -> bool {
        if self.fault.is_immediate() {
            return false;
        }
        let when = self.fault.when;
        // Matches count whether or not its time has come, unless they count from a moment on.
        if when.at.is_none() {
            self.matches += 1;
        }
        if self.is_over() || self.from_ns.is_none_or(|from| now_ns < from) {
            return false;
        }
        if when.at.is_some() {
            self.matches += 1;
        }
        let now = match (when.nth, when.every) {
            (Some(nth), _) => self.matches == nth,
            (None, Some(every)) => self.matches.is_multiple_of(every),
            (None, None) => true,
        };
        if now {
            self.fired += 1;
            if when.at.is_some() && when.every.is_none() {
                self.from_ns = None;
            }
        }
        now
    }

    /// The register is not there: it went away for `ns` at this read, or before.
    fn is_absent(&mut self, ns: u64, now_ns: u64) -> bool {
        if self.absent_until_ns.is_some_and(|until| now_ns < until) {
            return true;
        }
        // At a moment, the time counts from there.
        let from = self.from_ns.filter(|_| self.fault.when.at.is_some());
        if !self.happens(now_ns) {
            return false;
        }
        let until = from.unwrap_or(now_ns).saturating_add(ns);
        self.absent_until_ns = Some(until);
        now_ns < until
    }
}

/// Whether a read of `bytes` at `offset` touches the register; all do where none is named.
fn overlaps(register: Option<(u32, u32)>, offset: u64, bytes: u8) -> bool {
    register.is_none_or(|(base, length)| {
        let (base, length) = (u64::from(base), u64::from(length));
        offset < base + length && base < offset.saturating_add(u64::from(bytes))
    })
}

impl Target {
    fn is_command(&self, queue: u16, command: &Command) -> bool {
        match self {
            Self::Any => true,
            Self::Command(wanted) => wanted.matches(queue, command),
            _ => false,
        }
    }
}

impl CommandMatch {
    fn matches(&self, queue: u16, command: &Command) -> bool {
        self.admin.is_none_or(|admin| admin == (queue == 0))
            && self
                .opcode
                .is_none_or(|opcode| opcode == command.cdw0.opcode())
            && self
                .fields
                .iter()
                .all(|(field, value)| field.of(queue, command) == Some(*value))
    }

    /// Whether a command that matches so far can have the field.
    pub(super) fn may_have(&self, field: Field) -> bool {
        let opcodes = field.opcodes();
        opcodes.is_empty()
            || self.admin != Some(false)
                && self
                    .opcode
                    .is_none_or(|opcode| opcodes.contains(&AdminOpcode(opcode)))
    }
}

impl Field {
    /// The admin commands that have it; none where every command has.
    fn opcodes(self) -> &'static [AdminOpcode] {
        match self {
            Self::Cns => &[AdminOpcode::IDENTIFY],
            Self::Fid => &[AdminOpcode::GET_FEATURES, AdminOpcode::SET_FEATURES],
            Self::Lid => &[AdminOpcode::GET_LOG_PAGE],
            Self::Nsid | Self::Dword(_) => &[],
        }
    }

    /// Its value in a command that has it.
    fn of(self, queue: u16, command: &Command) -> Option<u32> {
        let opcodes = self.opcodes();
        let opcode = AdminOpcode(command.cdw0.opcode());
        if !opcodes.is_empty() && (queue != 0 || !opcodes.contains(&opcode)) {
            return None;
        }
        Some(match self {
            Self::Nsid => command.nsid,
            Self::Cns | Self::Fid | Self::Lid => command.cdw10 & 0xFF,
            Self::Dword(11) => command.cdw11,
            Self::Dword(12) => command.cdw12,
            Self::Dword(13) => command.cdw13,
            Self::Dword(14) => command.cdw14,
            Self::Dword(15) => command.cdw15,
            Self::Dword(_) => command.cdw10,
        })
    }
}

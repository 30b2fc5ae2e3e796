//! What a fault makes unavoidable, however good the driver is.

use nvme_spec::command::{AdminOpcode, NvmOpcode};

use super::{Behaviour, CommandMatch, EntryField, Fault, Field, Moment, NamespaceChange, Target};
use crate::profile::Death;

/// Registers may be silent for so long without a loss.
const SILENCE_NS: u64 = 100_000_000;
/// A command may take so much longer without a loss.
const DELAY_NS: u64 = 5_000_000_000;
/// Firmware may be in panic for so long without a loss: the time that a reset may take is longer (CAP.TO).
const PANIC_NS: u64 = 5_000_000_000;

/// What may be lost, and must be told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Losses {
    /// The disk is refused, or given up: with an event.
    pub disk: bool,
    /// Requests fail.
    pub requests: bool,
    /// A read returns other data than were written, and no status shows it.
    pub data: bool,
}

impl Losses {
    const NONE: Self = Self {
        disk: false,
        requests: false,
        data: false,
    };
    const DISK: Self = Self {
        disk: true,
        requests: true,
        data: false,
    };

    /// What is lost to either.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            disk: self.disk || other.disk,
            requests: self.requests || other.requests,
            data: self.data || other.data,
        }
    }
}

impl Fault {
    /// What the fault makes unavoidable where it happens.
    #[must_use]
    pub fn losses(&self) -> Losses {
        let once = self.when.nth.is_some() || self.when.once;
        let optional = self.target.is_optional();
        let needed = !optional && self.target.may_be(true, &NEEDED);
        let unanswered = if needed || !once && !optional {
            Losses::DISK
        } else {
            Losses::NONE
        };
        match self.behaviour {
            Behaviour::Status(_) => Losses {
                requests: !optional,
                disk: needed,
                data: false,
            },
            Behaviour::Delay(ns) if ns >= DELAY_NS => unanswered,
            Behaviour::Data(_) => Losses {
                data: self.target.may_be(false, &[NvmOpcode::READ.0]),
                ..if needed { Losses::DISK } else { Losses::NONE }
            },
            // The identifier may be that of another command.
            Behaviour::Entry(EntryField::Cid, _) => Losses {
                data: true,
                ..unanswered
            },
            Behaviour::Entry(EntryField::Status, _) => Losses {
                requests: true,
                ..unanswered
            },
            Behaviour::Never | Behaviour::Lost | Behaviour::Entry(..) => unanswered,
            Behaviour::Value(_) if !once => Losses::DISK,
            Behaviour::Absent(ns) if ns > SILENCE_NS => Losses::DISK,
            Behaviour::Namespace(NamespaceChange::Delete) => Losses::DISK,
            // What the namespace held is gone with it.
            Behaviour::Namespace(NamespaceChange::Create(_) | NamespaceChange::Format(_)) => {
                Losses {
                    data: true,
                    ..Losses::DISK
                }
            }
            Behaviour::Namespace(NamespaceChange::Resize(_) | NamespaceChange::Protect)
            | Behaviour::ReadOnly => Losses {
                requests: true,
                ..Losses::NONE
            },
            Behaviour::Die(death, panic) => self.losses_of_death(death, panic.ns, once),
            _ => Losses::NONE,
        }
    }

    fn losses_of_death(&self, death: Death, panic_ns: Option<u64>, once: bool) -> Losses {
        let again = match self.when.at {
            // Each attempt to bring it up ends so.
            Some(Moment::Enable | Moment::Reset) => true,
            Some(_) => false,
            None => self.when.after_ns.is_none(),
        };
        match death {
            Death::Gone => Losses::DISK,
            Death::Panic if panic_ns.is_none_or(|ns| ns > PANIC_NS) => Losses::DISK,
            _ if again && !once => Losses::DISK,
            _ => Losses::NONE,
        }
    }
}

/// Commands without which there is no disk.
const NEEDED: [u8; 3] = [
    AdminOpcode::IDENTIFY.0,
    AdminOpcode::CREATE_COMPLETION_QUEUE.0,
    AdminOpcode::CREATE_SUBMISSION_QUEUE.0,
];

/// The namespace list and the descriptors (CNS).
const OPTIONAL_CNS: [u32; 2] = [2, 3];

impl Target {
    /// Whether a disk is possible without any of the commands that are meant.
    fn is_optional(&self) -> bool {
        let Self::Command(CommandMatch {
            admin: Some(true),
            opcode: Some(opcode),
            fields,
        }) = self
        else {
            return false;
        };
        let of_identify = fields
            .iter()
            .any(|(field, value)| *field == Field::Cns && OPTIONAL_CNS.contains(value));
        !NEEDED.contains(opcode) || of_identify
    }

    /// Whether a command of these is among those that are meant.
    fn may_be(&self, admin: bool, opcodes: &[u8]) -> bool {
        match self {
            Self::Any => true,
            Self::Command(CommandMatch {
                admin: queue,
                opcode,
                ..
            }) => {
                queue.is_none_or(|queue| queue == admin)
                    && opcode.is_none_or(|opcode| opcodes.contains(&opcode))
            }
            _ => false,
        }
    }
}

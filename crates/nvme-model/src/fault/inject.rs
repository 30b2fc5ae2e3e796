//! What faults do to one command: its data and its completion.

use nvme_spec::completion::Completion;
use nvme_spec::completion::StatusField;
use nvme_spec::status::Status;

use super::{Behaviour, Content, EntryField, Panic};
use crate::bus::{Access, Bus, BusFault};
use crate::profile::Death;
use crate::rule::Rule;

/// A command that is not completed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Silence {
    /// It is carried out.
    Never,
    /// It is not.
    Lost,
}

/// What happens to a command.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Injected {
    /// It takes so much longer.
    pub(crate) delay_ns: u64,
    /// It ends with this status, and is not carried out.
    pub(crate) status: Option<Status>,
    /// It is not completed.
    pub(crate) silence: Option<Silence>,
    /// The controller dies of it.
    pub(crate) death: Option<(Death, Panic)>,
    /// What it returns.
    data: Option<Content>,
    /// It is completed twice.
    pub(crate) twice: bool,
    /// Damage to its completion.
    entry: Option<(EntryField, u16)>,
}

impl Injected {
    pub(super) fn add(&mut self, behaviour: Behaviour) {
        match behaviour {
            Behaviour::Status(status) => self.status = Some(status),
            Behaviour::Never => self.silence = Some(Silence::Never),
            Behaviour::Lost => self.silence = Some(Silence::Lost),
            Behaviour::Delay(ns) => self.delay_ns = self.delay_ns.saturating_add(ns),
            Behaviour::Data(content) => self.data = Some(content),
            Behaviour::Twice => self.twice = true,
            Behaviour::Entry(field, value) => self.entry = Some((field, value)),
            Behaviour::Die(death, panic) => self.death = Some((death, panic)),
            _ => {}
        }
    }

    /// The same for the second completion.
    pub(crate) fn once(self) -> Self {
        Self {
            twice: false,
            ..self
        }
    }

    /// Damages a completion, as far as the command is to have a damaged one.
    pub(crate) fn damage(self, mut entry: Completion) -> Completion {
        match self.entry {
            None => {}
            Some((EntryField::Cid, value)) => entry.cid = value,
            Some((EntryField::SqHead, value)) => entry.sq_head = value,
            Some((EntryField::SqId, value)) => entry.sq_id = value,
            Some((EntryField::Phase, value)) => {
                entry.status = entry.status.with_phase(value & 1 != 0);
            }
            Some((EntryField::Status, value)) => {
                let phase = entry.status.phase();
                entry.status = StatusField::from_bits(value << 1).with_phase(phase);
            }
        }
        entry
    }

    /// The machine as the command reaches it: its data are changed on the way to host memory.
    pub(crate) fn bus(self, bus: &mut dyn Bus) -> DataBus<'_> {
        DataBus {
            bus,
            content: self.data,
        }
    }
}

/// A bus that writes other data than it is given.
pub(crate) struct DataBus<'a> {
    bus: &'a mut dyn Bus,
    content: Option<Content>,
}

impl Bus for DataBus<'_> {
    fn read(&mut self, from: u64, into: &mut [u8], why: Access) -> Result<(), BusFault> {
        self.bus.read(from, into, why)
    }

    fn write(&mut self, to: u64, data: &[u8], why: Access) -> Result<(), BusFault> {
        let content = self.content.filter(|_| matches!(why, Access::Data { .. }));
        let data = match content {
            None => return self.bus.write(to, data, why),
            Some(Content::Same) => return Ok(()),
            Some(Content::Zeros) => vec![0; data.len()],
            Some(Content::Ones) => vec![0xFF; data.len()],
            Some(Content::Noise) => noise(to, data.len()),
        };
        self.bus.write(to, &data, why)
    }

    fn interrupt(&mut self, message: u16) {
        self.bus.interrupt(message);
    }

    fn line(&mut self, asserted: bool) {
        self.bus.line(asserted);
    }

    fn line_unexplained(&mut self, unexplained: bool) {
        self.bus.line_unexplained(unexplained);
    }

    fn judge(&mut self, rule: Rule, held: bool, what: &dyn Fn() -> String) {
        self.bus.judge(rule, held, what);
    }

    fn note(&mut self, what: String) {
        self.bus.note(what);
    }
}

/// Bytes without a pattern, the same for the same address (`SplitMix64`).
fn noise(seed: u64, bytes: usize) -> Vec<u8> {
    let mut state = seed;
    let words = std::iter::from_fn(|| {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut word = state;
        word = (word ^ word >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        word = (word ^ word >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        Some((word ^ word >> 31).to_le_bytes())
    });
    words.flatten().take(bytes).collect()
}

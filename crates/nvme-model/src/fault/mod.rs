//! Faults: what a controller does wrong, when, and to which commands, register reads, interrupts or namespaces.
//!
//! A fault is a matcher, a behaviour and a moment, written `MATCH:BEHAVIOUR[:WHEN[,WHEN]]`. [`Fault`] is read from that text;
//! [`GRAMMAR`] is what can be written, with an example for each.

mod grammar;
mod inject;
mod loss;
mod parse;
mod plan;
mod registers;
mod text;

pub use grammar::{GRAMMAR, GrammarEntry};
pub use loss::Losses;
pub use parse::FaultError;
pub use plan::FiredFault;
pub use registers::RegisterFaults;

pub(crate) use inject::{Injected, Silence};
pub(crate) use plan::{Faults, RegisterAnswer};

use crate::profile::Death;
use nvme_spec::status::Status;

/// A fault of the controller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    spec: String,
    pub(crate) target: Target,
    pub(crate) behaviour: Behaviour,
    pub(crate) when: When,
}

impl Fault {
    /// The fault as it was written.
    #[must_use]
    pub fn spec(&self) -> &str {
        &self.spec
    }

    /// Whether the fault waits for a moment of the adapter's life that only a port driver can tell.
    #[must_use]
    pub fn needs_port_driver(&self) -> bool {
        self.when.at.is_some_and(Moment::is_of_port_driver)
    }

    /// The namespace that it adds, which is not there before.
    #[must_use]
    pub fn adds_namespace(&self) -> Option<u32> {
        self.namespace()
            .filter(|_| self.behaviour == Behaviour::Namespace(NamespaceChange::Add))
    }

    /// Whether the fault is one of what registers read as, which [`RegisterFaults`] plays in front of any controller.
    #[must_use]
    pub fn is_of_registers(&self) -> bool {
        matches!(self.behaviour, Behaviour::Value(_) | Behaviour::Absent(_))
            && self.when.at != Some(Moment::Lend)
    }

    /// The namespace that it happens to.
    pub(crate) fn namespace(&self) -> Option<u32> {
        match self.target {
            Target::Namespace(nsid) => Some(nsid),
            _ => None,
        }
    }

    /// Whether the fault needs the INTx line: `Some(false)` where it needs messages instead, `None` where it does not matter.
    #[must_use]
    pub fn needs_line(&self) -> Option<bool> {
        match self.behaviour {
            Behaviour::Held => Some(true),
            Behaviour::Stray => Some(false),
            _ => None,
        }
    }

    /// Whether the fault happens at its moment, and not to what comes next.
    fn is_immediate(&self) -> bool {
        let moment = self.when.at.is_some() || self.when.after_ns.is_some();
        match self.behaviour {
            Behaviour::Namespace(_) | Behaviour::ReadOnly => true,
            Behaviour::Die(..) => self.target == Target::Any && moment,
            Behaviour::Stray => self.when.at.is_some() || self.when.only_after(),
            _ => false,
        }
    }
}

/// What a fault happens to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// Every command.
    Any,
    /// Commands that all of this is true of.
    Command(CommandMatch),
    /// Reads of every register, or of the one that begins at this offset with this many bytes.
    Register(Option<(u32, u32)>),
    /// Interrupts: messages that are sent, or the line when it goes up.
    Interrupt,
    /// The namespace of this identifier.
    Namespace(u32),
}

/// Which commands are meant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct CommandMatch {
    /// Admin commands, or I/O commands; `None` for both.
    pub(crate) admin: Option<bool>,
    pub(crate) opcode: Option<u8>,
    pub(crate) fields: Vec<(Field, u32)>,
}

/// A field of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    Nsid,
    /// The low byte of dword 10 of Identify.
    Cns,
    /// The low byte of dword 10 of Get Features and Set Features.
    Fid,
    /// The low byte of dword 10 of Get Log Page.
    Lid,
    /// Dwords 10 to 15.
    Dword(u8),
}

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Behaviour {
    Status(Status),
    Never,
    Lost,
    Delay(u64),
    Data(Content),
    Twice,
    Entry(EntryField, u16),
    Value(u64),
    Absent(u64),
    Drop,
    Stray,
    Held,
    Namespace(NamespaceChange),
    /// All media become read-only.
    ReadOnly,
    Die(Death, Panic),
}

/// What becomes of a namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NamespaceChange {
    Add,
    Delete,
    /// It has so many bytes.
    Resize(u64),
    /// It is another one, of so many bytes.
    Create(u64),
    /// It has blocks of so many bytes, and nothing in them.
    Format(u32),
    /// It is write protected.
    Protect,
}

/// How a firmware that panicked looks, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Panic {
    /// What CSTS reads as.
    pub(crate) csts: u32,
    /// After this long it looks at CC again; `None`: when the power was lost.
    pub(crate) ns: Option<u64>,
}

impl Default for Panic {
    fn default() -> Self {
        Self {
            csts: 2, // CFS = 1, RDY = 0
            ns: None,
        }
    }
}

/// What the data of a command become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    Zeros,
    Ones,
    Noise,
    /// What the memory held before.
    Same,
}

/// A field of a completion queue entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EntryField {
    Cid,
    SqHead,
    SqId,
    Phase,
    Status,
}

/// When it happens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct When {
    pub(crate) nth: Option<u64>,
    pub(crate) every: Option<u64>,
    pub(crate) after_ns: Option<u64>,
    pub(crate) at: Option<Moment>,
    pub(crate) once: bool,
}

impl When {
    /// Nothing but a time is asked for.
    fn only_after(self) -> bool {
        self.after_ns.is_some() && self.nth.is_none() && self.every.is_none()
    }
}

/// A moment of an adapter's life: it has just been done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// The adapter was found: `HwFindAdapter` has returned.
    Find,
    /// `HwInitialize` has returned.
    Initialize,
    /// The adapter is started: passive initialisation, where there is any, has returned.
    Start,
    /// CC.EN was set.
    Enable,
    /// Host memory was lent.
    Lend,
    /// CC.EN was cleared.
    Reset,
    /// The device came back to D0.
    D0,
    /// The call that stops the adapter has returned.
    Stop,
    /// What a stop left to DPCs has been done.
    Rest,
}

impl Moment {
    fn is_of_port_driver(self) -> bool {
        matches!(
            self,
            Self::Find | Self::Initialize | Self::Start | Self::Stop | Self::Rest
        )
    }
}

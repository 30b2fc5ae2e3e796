//! What the state machine knows of the memory that was lent last: whether the controller may use it.

use nvme_spec::status::Status;

use crate::hmb::{Detached, Plan, Ranges};

/// The present or last lending. Lendings are numbered from 1, so that a late answer or an old proof is not taken for this one's.
#[derive(Debug, Default)]
pub(super) struct Lending {
    number: u32,
    state: State,
    /// The lending whose memory, size and list the controller saw last, and gave up by command.
    returnable: Option<u32>,
    /// Memory is returned in this lending (MR = 1).
    returned: bool,
    pages: u32,
    descriptors: u16,
}

/// Where the memory of a lending is.
#[derive(Debug, Default)]
enum State {
    /// The controller does not use it, and the proof was taken; or nothing was lent yet.
    #[default]
    Over,
    /// The controller may use it.
    Lent(Enable),
    /// The controller does not use it: the proof can be taken.
    Detached,
}

/// What became of the enabling command.
#[derive(Debug)]
enum Enable {
    /// The controller was not given it.
    NotSent,
    /// It was not answered: it may be executed at any moment, before or after a disabling one.
    Outstanding,
    /// It succeeded.
    Accepted,
    /// It failed, but may have been executed.
    Unclear,
}

impl Lending {
    /// Begins the next lending. `kept` says that the descriptor list and the memory's contents are unchanged.
    pub(super) fn open<R: Ranges>(&mut self, plan: &Plan<R>, kept: bool) -> u32 {
        let same = self.pages == plan.pages() && self.descriptors == plan.descriptors();
        let again = self.returnable.is_some() && self.returnable == plan.last_lending();
        self.number = self.number.wrapping_add(1);
        self.state = State::Lent(Enable::NotSent);
        self.returnable = None;
        self.returned = kept && same && again;
        self.pages = plan.pages();
        self.descriptors = plan.descriptors();
        self.number
    }

    /// The lending that a disabling command ends which is sent now. None while the enabling one is outstanding: of two
    /// commands that are outstanding together the controller may execute either first, whichever it answers first.
    pub(super) const fn to_end(&self) -> Option<u32> {
        match self.state {
            State::Lent(Enable::Outstanding) => None,
            _ => Some(self.number),
        }
    }

    pub(super) const fn is_open(&self) -> bool {
        matches!(self.state, State::Lent(_))
    }

    pub(super) const fn is_return(&self) -> bool {
        self.returned
    }

    pub(super) const fn pages(&self) -> u32 {
        self.pages
    }

    pub(super) const fn descriptors(&self) -> u16 {
        self.descriptors
    }

    /// The enabling command is about to be given to the controller.
    pub(super) fn enable_sent(&mut self) {
        self.state = State::Lent(Enable::Outstanding);
    }

    /// The enabling command was answered, in time or late. A status that says that it was rejected is no proof: firmware that
    /// took the memory may say so too. There is no other lending before the answer, or the controller stopped.
    pub(super) fn enable_answered(&mut self, status: Status) {
        self.state = if status.is_success() {
            State::Lent(Enable::Accepted)
        } else {
            State::Lent(Enable::Unclear)
        };
    }

    /// The disabling command that ends a lending was answered, in time or late. One of an earlier lending says nothing: it
    /// may have been executed before this one's memory was enabled.
    pub(super) fn disable_answered(&mut self, ends: Option<u32>, status: Status) {
        if ends != Some(self.number) || !status.is_success() {
            return;
        }
        match self.state {
            State::Lent(Enable::Accepted) => {
                self.returnable = ends;
                self.state = State::Detached;
            }
            State::Lent(Enable::NotSent | Enable::Unclear) => self.state = State::Detached,
            State::Lent(Enable::Outstanding) | State::Over | State::Detached => {}
        }
    }

    /// The controller was reset (RDY = 0 was seen) or has gone: no command is outstanding, no memory in use.
    /// What is still lent was not given up in order: what the controller left there is not to be relied on later.
    pub(super) fn stopped(&mut self) {
        if self.is_open() {
            self.state = State::Detached;
        }
    }

    pub(super) fn take_proof(&mut self) -> Option<Detached> {
        if !matches!(self.state, State::Detached) {
            return None;
        }
        self.state = State::Over;
        Some(Detached::new(self.number))
    }
}

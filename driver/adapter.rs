//! One adapter: everything that lives in its device extension.

use core::sync::atomic::{AtomicBool, AtomicU16, Ordering};

use crate::state::State;
use crate::storport::{Dpc, Guarded, HmbStore, Published, RegisterWindow};
use crate::units::Units;

/// An adapter. Made once, in place, by the first `HwFindAdapter`; a rebalance keeps it.
pub(crate) struct Adapter {
    /// What changes while the adapter runs.
    pub(crate) state: Guarded<State>,
    /// The logical units.
    pub(crate) units: Published<Units>,
    /// The registers.
    pub(crate) registers: Published<Option<RegisterWindow>>,
    /// Where interrupts leave their work.
    pub(crate) dpc: Dpc,
    /// The ranges of the Host Memory Buffer.
    pub(crate) hmb_store: HmbStore,
    dpc_initialized: AtomicBool,
    messages: AtomicU16,
}

impl Adapter {
    /// A new adapter. A constant: it is copied from the image, because it is far larger than a kernel stack.
    #[expect(
        clippy::declare_interior_mutable_const,
        reason = "a value to copy from, never used in place"
    )]
    pub(crate) const EMPTY: Self = Self {
        state: Guarded::new(State::EMPTY),
        units: Published::new(Units::EMPTY),
        registers: Published::new(None),
        dpc: Dpc::new(),
        hmb_store: HmbStore::new(),
        dpc_initialized: AtomicBool::new(false),
        messages: AtomicU16::new(0),
    };

    /// True the first time: a DPC object is initialised once.
    pub(crate) fn dpc_needs_initialization(&self) -> bool {
        !self.dpc_initialized.swap(true, Ordering::AcqRel)
    }

    /// How many interrupt messages there are; 0 for a line interrupt.
    pub(crate) fn messages(&self) -> u16 {
        self.messages.load(Ordering::Relaxed)
    }

    pub(crate) fn set_messages(&self, messages: u16) {
        self.messages.store(messages, Ordering::Relaxed);
    }
}

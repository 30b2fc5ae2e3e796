//! One adapter: everything that lives in its device extension.

use core::sync::atomic::{AtomicBool, AtomicU16, AtomicU32, Ordering};

use nvme::quirks::Quirks;
use sync::Lock;

use crate::control::mask::Mask;
use crate::control::power::Owed;
use crate::control::state::State;
use crate::io::Io;
use crate::storport::{
    Dpc, HmbStore, Lookout, Port, Published, RegisterWindow, Srb, SrbList, SrbStatus, Targets,
};

/// An adapter. Made once, in place, by the first `HwFindAdapter`; a rebalance keeps it.
pub(crate) struct Adapter {
    /// The data plane.
    pub(crate) io: Io,
    /// The control plane. Its lock is never waited for: see [`Call`](crate::control::call::Call).
    pub(crate) state: Lock<State>,
    /// Requests that are the control plane's.
    pub(crate) asked: Lock<SrbList>,
    /// The registers.
    pub(crate) registers: Published<Option<RegisterWindow>>,
    /// Where interrupts leave the control plane's work.
    pub(crate) dpc: Dpc,
    /// Where a line interrupt looks for completions of admin commands.
    pub(crate) admin_lookout: Lookout,
    /// The interrupt mask.
    pub(crate) mask: Mask,
    /// The ranges of the Host Memory Buffer.
    pub(crate) hmb_store: HmbStore,
    dpc_initialized: AtomicBool,
    messages: AtomicU16,
    quirks: AtomicU32,
    starting: AtomicBool,
    /// Where the port driver notes the processors of messages.
    pub(crate) targets: Targets,
    /// What the port driver has asked for and was not done.
    pub(crate) owed: Owed,
}

impl Adapter {
    /// A new adapter. A constant: it is copied from the image, because it is far larger than a kernel stack.
    #[expect(
        clippy::declare_interior_mutable_const,
        reason = "a value to copy from, never used in place"
    )]
    pub(crate) const EMPTY: Self = Self {
        io: Io::EMPTY,
        state: Lock::new(State::EMPTY),
        asked: Lock::new(SrbList::new()),
        registers: Published::new(None),
        dpc: Dpc::new(),
        admin_lookout: Lookout::new(),
        mask: Mask::new(),
        hmb_store: HmbStore::new(),
        dpc_initialized: AtomicBool::new(false),
        messages: AtomicU16::new(0),
        quirks: AtomicU32::new(0),
        starting: AtomicBool::new(false),
        targets: Targets::new(),
        owed: Owed::nothing(),
    };

    /// Whether the DPC object was initialised, which is done once. Before that it cannot be issued.
    pub(crate) fn dpc_is_initialized(&self) -> bool {
        self.dpc_initialized.load(Ordering::Acquire)
    }

    pub(crate) fn set_dpc_initialized(&self) {
        self.dpc_initialized.store(true, Ordering::Release);
    }

    /// How many interrupt messages there are; 0 for a line interrupt.
    pub(crate) fn messages(&self) -> u16 {
        self.messages.load(Ordering::Relaxed)
    }

    /// Whether messages of their own tell of requests: those from 1 on, beside that of admin commands.
    pub(crate) fn io_has_own_messages(&self) -> bool {
        self.messages() > 1
    }

    /// Has the DPCs run that look at the pairs of a bit mask. True when one of them was not about to anyway.
    pub(crate) fn look_again(&self, port: Port, pairs: u64) -> bool {
        if pairs == 0 {
            return false;
        }
        if !self.io_has_own_messages() {
            return self.dpc.issue(port);
        }
        let of_mask = |index: usize| pairs >> index & 1 == 1;
        let each = self.io.pairs().iter().enumerate();
        let idle = each.filter(|(index, pair)| of_mask(*index) && pair.dpc.issue_for(port, *index));
        idle.count() > 0
    }

    /// How many I/O queue pairs are of use: one for each message that tells of requests, as far as there are rings.
    pub(crate) fn wanted_pairs(&self) -> u16 {
        let placed = self.io.pairs().len() as u16;
        self.messages().saturating_sub(1).min(placed).max(1)
    }

    /// Leaves a request to the control plane. `DISPATCH_LEVEL`.
    pub(crate) fn ask(&self, port: Port, srb: Srb) {
        self.asked.lock().push(srb, SrbStatus::SUCCESS);
        self.dpc.issue(port);
    }

    pub(crate) fn set_messages(&self, messages: u16) {
        self.messages.store(messages, Ordering::Relaxed);
    }

    /// What has to be done differently with this device.
    pub(crate) fn quirks(&self) -> Quirks {
        Quirks::from_bits(self.quirks.load(Ordering::Relaxed))
    }

    pub(crate) fn set_quirks(&self, quirks: Quirks) {
        self.quirks.store(quirks.bits(), Ordering::Relaxed);
    }

    /// Whether passive initialisation is under way: it polls at `PASSIVE_LEVEL` and may take no lock, so that DPC and timer leave
    /// the state to it.
    pub(crate) fn is_starting(&self) -> bool {
        self.starting.load(Ordering::Acquire)
    }

    pub(crate) fn set_starting(&self, starting: bool) {
        self.starting.store(starting, Ordering::Release);
    }
}

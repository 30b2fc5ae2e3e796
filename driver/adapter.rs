//! One adapter: everything that lives in its device extension.

use core::sync::atomic::{AtomicBool, AtomicU16, AtomicU32, Ordering};

use nvme::quirks::Quirks;

use crate::control::mask::Mask;
use crate::control::power::Owed;
use crate::control::state::State;
use crate::io::units::Units;
use crate::storport::{Dpc, Guarded, HmbStore, Lookout, Published, RegisterWindow};

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
    /// Where those leave it that tell of requests alone.
    pub(crate) request_dpc: Dpc,
    /// Where a line interrupt looks for completions of admin commands.
    pub(crate) admin_lookout: Lookout,
    /// Where a line interrupt looks for completions of requests.
    pub(crate) io_lookout: Lookout,
    /// The interrupt mask.
    pub(crate) mask: Mask,
    /// The ranges of the Host Memory Buffer.
    pub(crate) hmb_store: HmbStore,
    dpc_initialized: AtomicBool,
    messages: AtomicU16,
    quirks: AtomicU32,
    starting: AtomicBool,
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
        state: Guarded::new(State::EMPTY),
        units: Published::new(Units::EMPTY),
        registers: Published::new(None),
        dpc: Dpc::new(),
        request_dpc: Dpc::new(),
        admin_lookout: Lookout::new(),
        io_lookout: Lookout::new(),
        mask: Mask::new(),
        hmb_store: HmbStore::new(),
        dpc_initialized: AtomicBool::new(false),
        messages: AtomicU16::new(0),
        quirks: AtomicU32::new(0),
        starting: AtomicBool::new(false),
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

    /// Whether a message of its own tells of requests: message 1, beside that of admin commands.
    pub(crate) fn io_has_own_message(&self) -> bool {
        self.messages() > 1
    }

    /// The DPC that completes requests.
    pub(crate) fn io_dpc(&self) -> &Dpc {
        if self.io_has_own_message() {
            &self.request_dpc
        } else {
            &self.dpc
        }
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

//! Interrupts: the MSI-X table with its masks and pending bits, plain MSI, and the INTx line.

use crate::bus::Bus;
use crate::pci::ConfigSpace;

/// Vector control: the vector is masked.
const MASKED: u32 = 1;
const VECTOR_CONTROL: usize = 3;

/// An MSI-X vector: address, address, data and control, and whether a message waits for the mask to be lifted.
#[derive(Clone, Copy)]
struct Vector {
    entry: [u32; 4],
    pending: bool,
}

/// As it comes out of a reset: masked.
const RESET: Vector = Vector {
    entry: [0, 0, 0, MASKED],
    pending: false,
};

/// The line.
#[derive(Clone, Copy, Default)]
struct Level {
    asserted: bool,
    /// It is asserted, and nothing that a host can see is why.
    unexplained: bool,
}

/// Interrupts, by message or by line.
pub(crate) struct Interrupts {
    vectors: Vec<Vector>,
    line: Level,
    /// The line is up although nothing waits.
    held: bool,
    /// The line is down although something waits.
    muted: bool,
    /// Vectors that INTMS holds back. With MSI-X enabled the register must not be used, and nothing says what a mask does that was
    /// set before: it holds messages back all the same.
    held_back: u32,
}

impl Interrupts {
    /// So many messages, all masked in the MSI-X table.
    pub(crate) fn new(messages: u16) -> Self {
        Self {
            vectors: vec![RESET; usize::from(messages)],
            line: Level::default(),
            held: false,
            muted: false,
            held_back: 0,
        }
    }

    /// The table comes out of a reset.
    pub(crate) fn reset(&mut self) {
        self.vectors.fill(RESET);
    }

    /// Messages that were not sent yet never are.
    pub(crate) fn forget(&mut self) {
        self.held = false;
        self.muted = false;
        self.held_back = 0;
        self.vectors
            .iter_mut()
            .for_each(|vector| vector.pending = false);
    }

    /// Reads a dword of the MSI-X table.
    pub(crate) fn read_table(&self, offset: u64) -> u32 {
        let dword = (offset / 4) as usize;
        self.vectors
            .get(dword / 4)
            .map_or(0, |vector| vector.entry[dword % 4])
    }

    /// Writes a dword of the MSI-X table; what was pending goes out when a mask is lifted.
    pub(crate) fn write_table(
        &mut self,
        offset: u64,
        value: u32,
        config: &ConfigSpace,
        bus: &mut dyn Bus,
    ) {
        let dword = (offset / 4) as usize;
        let Some(vector) = self.vectors.get_mut(dword / 4) else {
            return;
        };
        vector.entry[dword % 4] = match dword % 4 {
            0 => value & !3,
            VECTOR_CONTROL => value & MASKED,
            _ => value,
        };
        self.release(config, bus);
    }

    /// Masks a vector or lifts its mask, as a write of its vector control does.
    pub(crate) fn mask(
        &mut self,
        vector: u16,
        masked: bool,
        config: &ConfigSpace,
        bus: &mut dyn Bus,
    ) {
        if let Some(vector) = self.vectors.get_mut(usize::from(vector)) {
            vector.entry[VECTOR_CONTROL] = u32::from(masked);
        }
        self.release(config, bus);
    }

    /// Reads a dword of the pending bit array.
    pub(crate) fn read_pending(&self, offset: u64) -> u32 {
        let first = (offset / 4 * 32) as usize;
        let bits = self.vectors.iter().skip(first).take(32).enumerate();
        bits.fold(0, |word, (bit, vector)| {
            word | u32::from(vector.pending) << bit
        })
    }

    /// INTMS comes with every bit set.
    pub(crate) fn mask_all(&mut self) {
        self.held_back = u32::MAX;
    }

    /// The mask of INTMS has become this one; what was pending goes out when it is lifted.
    pub(crate) fn hold_back(&mut self, mask: u32, config: &ConfigSpace, bus: &mut dyn Bus) {
        self.held_back = mask;
        self.release(config, bus);
    }

    /// A completion was posted for this vector: sends its message, or keeps it until it may go out. With plain MSI several
    /// vectors share a message where there are fewer.
    pub(crate) fn raise(&mut self, vector: u16, config: &ConfigSpace, bus: &mut dyn Bus) {
        if !config.uses_messages() {
            return;
        }
        let vector = config.msi_messages().map_or(vector, |count| vector % count);
        if let Some(vector) = self.vectors.get_mut(usize::from(vector)) {
            vector.pending = true;
        }
        self.release(config, bus);
    }

    /// Sends each pending message that may go out.
    pub(crate) fn release(&mut self, config: &ConfigSpace, bus: &mut dyn Bus) {
        if !config.uses_messages() || config.masks_all_messages() || !config.masters_bus() {
            return;
        }
        let by_table = config.msi_messages().is_none();
        for (number, vector) in (0_u16..).zip(&mut self.vectors) {
            let in_table = by_table && vector.entry[VECTOR_CONTROL] & MASKED != 0;
            let held_back = self.held_back >> (number % 32) & 1 != 0;
            if vector.pending && !in_table && !held_back {
                vector.pending = false;
                bus.interrupt(number);
            }
        }
    }

    /// Each message comes, with nothing posted.
    pub(crate) fn stray_all(&mut self, config: &ConfigSpace, bus: &mut dyn Bus) {
        for vector in 0..self.vectors.len() {
            self.raise(vector as u16, config, bus);
        }
    }

    /// The line stays up from now on, until a reset, unless it is masked.
    pub(crate) fn hold_line(&mut self) {
        self.held = true;
    }

    /// The line shows only what waits.
    pub(crate) fn let_line_go(&mut self) {
        self.held = false;
    }

    /// The line does not show what waits now, or shows it again.
    pub(crate) fn mute_line(&mut self, muted: bool) {
        self.muted = muted;
    }

    /// What the line shows where `waits` says whether an interrupt waits that is not in `mask`.
    pub(crate) fn line_shows(&self, waits: bool, mask: u32) -> bool {
        waits && !self.muted || self.held && mask & 1 == 0
    }

    /// Whether a host can tell why the line is up: a completion waits, or the controller has `stopped`.
    pub(crate) fn line_is_explained(&self, waits: bool, stopped: bool) -> bool {
        waits && !self.muted || stopped
    }

    /// The line follows `wanted`, as far as configuration space lets it.
    pub(crate) fn drive_line(
        &mut self,
        wanted: bool,
        explained: bool,
        config: &mut ConfigSpace,
        bus: &mut dyn Bus,
    ) {
        config.show_line(wanted && !config.uses_messages());
        let asserted = wanted && config.line_allowed();
        let level = Level {
            asserted,
            unexplained: asserted && !explained,
        };
        let before = std::mem::replace(&mut self.line, level);
        if level.unexplained != before.unexplained {
            bus.line_unexplained(level.unexplained);
        }
        if level.asserted != before.asserted {
            bus.line(level.asserted);
        }
    }
}

//! Another device on the adapter's interrupt line.

use crate::machine::Neighbour;

/// After how many register writes of the miniport a device breaks that is to.
const WORKS: u32 = 200;

/// What the other device on the line does, and what becomes of its interrupts.
#[derive(Debug, Default)]
pub(super) struct SharedLine {
    /// For how many interrupts it asserts the line.
    asserted: u32,
    /// For how many register writes of the miniport it has worked so far.
    worked: u32,
    /// The adapter has raised the line since its interrupt routine was called.
    raised: bool,
    /// How many of its interrupts were claimed in a row by the adapter's routine.
    taken: u32,
}

impl SharedLine {
    /// Whether it asserts the line.
    pub(super) fn is_asserted(&self) -> bool {
        self.asserted > 0
    }

    /// It asserts the line no longer.
    pub(super) fn fall_silent(&mut self) {
        self.asserted = 0;
        self.taken = 0;
    }

    /// It may assert the line now; `chance` is whether a working one does.
    pub(super) fn act(&mut self, neighbour: Neighbour, chance: bool) {
        let breaks_now = self.worked == WORKS;
        self.worked = self.worked.saturating_add(1);
        self.asserted = match neighbour {
            Neighbour::None => return,
            Neighbour::Broken(interrupts) if breaks_now => interrupts,
            _ if chance && self.asserted == 0 => 1,
            _ => return,
        };
    }

    /// The adapter's interrupt routine is called.
    pub(super) fn begin(&mut self) {
        self.raised = false;
    }

    /// The adapter has raised the line.
    pub(super) fn adapter_raised(&mut self) {
        self.raised = true;
    }

    /// The adapter's interrupt routine has returned, and the other device's is called where it has not `claimed` the interrupt.
    /// `asserted` says that the adapter asserted the line before its routine ran. How many of the other device's interrupts were
    /// claimed in a row by now; none, where it has not interrupted.
    pub(super) fn end(&mut self, claimed: bool, asserted: bool) -> Option<u32> {
        if self.asserted == 0 {
            return None;
        }
        if claimed && !asserted && !self.raised {
            self.taken += 1;
        } else {
            self.taken = 0;
        }
        if !claimed {
            self.asserted -= 1;
        }
        Some(self.taken)
    }
}

//! Faults of registers, in front of a controller that is not this crate's.

use super::{Fault, Faults, FiredFault, Moment, RegisterAnswer};
use crate::controller::Width;

/// What registers read as that they do not hold.
pub struct RegisterFaults(Faults);

impl RegisterFaults {
    /// These faults, as far as they are faults of registers.
    #[must_use]
    pub fn new(faults: &[Fault]) -> Self {
        let mine: Vec<_> = faults
            .iter()
            .filter(|fault| fault.is_of_registers())
            .cloned()
            .collect();
        Self(Faults::new(&mine))
    }

    /// Something has just been done with the adapter.
    pub fn moment(&mut self, moment: Moment, now_ns: u64) {
        // What happens by itself is not among faults of registers.
        let _ = self.0.moment(moment, now_ns);
    }

    /// What a read gets that would have got something else.
    pub fn read(&mut self, offset: u64, width: Width, now_ns: u64) -> Option<u64> {
        let (answer, _) = self.0.register(offset, width.bytes(), now_ns);
        Some(answer?.at(offset) & width.mask())
    }

    /// Whether registers read as all ones at this time.
    #[must_use]
    pub fn hide_registers(&self, now_ns: u64) -> bool {
        self.0.hide_registers(now_ns)
    }

    /// How often each happened.
    #[must_use]
    pub fn fired(&self) -> Vec<FiredFault> {
        self.0.fired()
    }
}

impl RegisterAnswer {
    /// What a read at this offset gets.
    pub(crate) fn at(self, offset: u64) -> u64 {
        match self {
            Self::Absent => u64::MAX,
            Self::Value { base, value } => {
                let into = offset.saturating_sub(u64::from(base)).min(7);
                value >> (8 * into)
            }
        }
    }
}

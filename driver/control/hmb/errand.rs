//! What the port driver is asked for the Host Memory Buffer: memory, and to take memory back. Both take long, need no more of the
//! adapter than what is in the errand, and go best at `PASSIVE_LEVEL`; so they are run outside the state and its lock.

use core::sync::atomic::{AtomicU64, Ordering};

use nvme::hmb::{Downgrade, Granted, Needs, NotWanted, Policy, Wanted};

use super::told;
use crate::control::call::Call;
use crate::storport::{HmbRanges, PortError};

/// What all adapters of the driver hold together, in bytes, with what they are asking for.
static HELD_BYTES: AtomicU64 = AtomicU64::new(0);

/// An errand.
pub(crate) enum Errand {
    /// Memory is asked for. Its size is counted as held.
    Ask(Wanted),
    /// Memory that no controller uses is given back.
    Free(Granted<HmbRanges>),
}

/// What an errand came to.
pub(crate) enum Outcome {
    /// There is memory.
    Granted(Granted<HmbRanges>),
    /// There is none.
    NotGranted(PortError),
    /// The memory was given back, or is lost.
    Freed,
}

impl Errand {
    /// Decides how much to ask for, and counts that as held: adapters that start at once keep to the total too.
    pub(super) fn ask(
        needs: &Needs,
        policy: &Policy,
        downgrade: Option<&Downgrade>,
        used_bytes: u64,
    ) -> Result<Wanted, NotWanted> {
        let most_bytes = downgrade.map_or(u64::MAX, |limit| limit.limit_bytes);
        let mut held_bytes = HELD_BYTES.load(Ordering::Acquire);
        loop {
            let wanted =
                Wanted::decide(needs, policy, held_bytes, used_bytes)?.at_most(most_bytes)?;
            match HELD_BYTES.compare_exchange_weak(
                held_bytes,
                held_bytes.saturating_add(wanted.preferred_bytes()),
                Ordering::AcqRel,
                Ordering::Acquire,
            ) {
                Ok(_) => return Ok(wanted),
                Err(now) => held_bytes = now,
            }
        }
    }

    /// Runs the errand. IRQL <= `DISPATCH_LEVEL`, no lock held.
    pub(crate) fn run(self, call: Call<'_>) -> Outcome {
        match self {
            Self::Ask(wanted) => {
                let counted_bytes = wanted.preferred_bytes();
                let store = &call.adapter.hmb_store;
                let answer = call.port.allocate_host_memory_buffer(&wanted, store);
                let outcome = match answer {
                    Ok(ranges) => Outcome::Granted(wanted.granted(ranges)),
                    Err(error) => Outcome::NotGranted(error),
                };
                let granted_bytes = match &outcome {
                    Outcome::Granted(granted) => granted.bytes(),
                    Outcome::NotGranted(_) | Outcome::Freed => 0,
                };
                HELD_BYTES.fetch_add(granted_bytes, Ordering::AcqRel);
                HELD_BYTES.fetch_sub(counted_bytes, Ordering::AcqRel);
                outcome
            }
            Self::Free(granted) => {
                free(call, granted);
                Outcome::Freed
            }
        }
    }
}

/// What was counted as held is not asked for after all.
pub(super) fn forgo(wanted: &Wanted) {
    HELD_BYTES.fetch_sub(wanted.preferred_bytes(), Ordering::AcqRel);
}

impl Outcome {
    /// The state cannot be had to take the outcome: what was granted goes back.
    pub(crate) fn abandon(self, call: Call<'_>) {
        if let Self::Granted(granted) = self {
            free(call, granted);
        }
    }
}

/// Gives memory back to the port driver. A free that it refuses is not repeated.
fn free(call: Call<'_>, granted: Granted<HmbRanges>) {
    let bytes = granted.bytes();
    let count = granted.count() as u64;
    HELD_BYTES.fetch_sub(bytes, Ordering::AcqRel);
    match call.port.free_host_memory_buffer(granted.into_ranges()) {
        Ok(()) => told::freed(call, bytes, count),
        Err(PortError(status)) => told::free_failed(call, bytes, status),
    }
}

//! A level-triggered interrupt line that stays asserted although nothing shows why.
//!
//! No register of a controller tells whether it drives its line, and a line may be shared with other devices: an interrupt that no
//! completion and no failure explains may be anybody's, and has to be refused. Where such interrupts follow each other too
//! closely, [`LineWatch`] has the controller's interrupt masked (INTMS) without claiming anything. A masked controller drives no
//! line: where interrupts go on, another device sends them, and the mask is lifted; where they cease, twice in a row, it was the
//! controller's line, which stays masked, and is tried again after 1 s, 2 s and so on up to 64 s.
//!
//! The interrupt routine calls [`unexplained`](LineWatch::unexplained) and [`while_masked`](LineWatch::while_masked), one call at
//! a time; [`visit`](LineWatch::visit) is called below it, also one at a time, and the two may run at once.

use core::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};

use crate::Instant;

/// Nothing is masked.
const WATCHING: u8 = 0;
/// Masked, to see whether the interrupts go on.
const PROBING: u8 = 1;
/// Masked, because the line is the controller's.
const HELD: u8 = 2;

/// So many unexplained interrupts in a window lead to a probe, at first.
const LIMIT: u32 = 256;
/// By what the limit grows when they were another device's, and up to where.
const LIMIT_GROWTH: u32 = 8;
const LIMIT_MOST: u32 = LIMIT * LIMIT_GROWTH * LIMIT_GROWTH * LIMIT_GROWTH;
/// How long a window of as many interrupts may be, for each of them: 25,600 a second.
const WINDOW_NS: u64 = 39_062;

/// How long a probe lasts at least, in microseconds.
const PROBE_US: u64 = 1_000;
/// How many interrupts may still come then: they were on their way when the mask was set.
const LATE_MOST: u32 = 2;
/// So many interrupts under the mask are another device's, however short the probe was.
const OTHERS: u32 = 16;

/// So many probes in a row have to find the line the controller's.
const PROOFS: u8 = 2;
/// After how long without a mask a probe counts as the first one, in microseconds.
const CALM_US: u64 = 100_000;
/// How long the mask stays at first, and how often that is doubled.
const HOLD_US: u64 = 1_000_000;
const HOLD_DOUBLED: u8 = 6;

/// What [`LineWatch::visit`] wants.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LineVisit {
    /// Nothing: no mask is set for the line's sake.
    Quiet,
    /// The mask stays; visit again after so many microseconds.
    Masked(u64),
    /// The line is the controller's: the mask stays. Visit again after so many microseconds.
    Held(u64),
    /// The mask is to be lifted.
    Unmask,
}

/// Watches the interrupts of a line that nothing explains.
pub struct LineWatch {
    phase: AtomicU8,
    /// Unexplained interrupts in this window, or interrupts during the probe.
    count: AtomicU32,
    limit: AtomicU32,
    /// When the window, the probe or the hold began.
    since_ns: AtomicU64,
    /// How many probes in a row have found the line the controller's.
    proofs: AtomicU8,
    /// When the mask was lifted last.
    lifted_ns: AtomicU64,
}

impl Default for LineWatch {
    fn default() -> Self {
        Self::new()
    }
}

impl LineWatch {
    /// Nothing was seen yet.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            phase: AtomicU8::new(WATCHING),
            count: AtomicU32::new(0),
            limit: AtomicU32::new(LIMIT),
            since_ns: AtomicU64::new(0),
            proofs: AtomicU8::new(0),
            lifted_ns: AtomicU64::new(0),
        }
    }

    /// The mask was set or lifted for another reason: what was seen before says nothing any more.
    pub fn start_anew(&self) {
        self.count.store(0, Ordering::Relaxed);
        self.proofs.store(0, Ordering::Relaxed);
        self.phase.store(WATCHING, Ordering::Release);
    }

    /// Whether the controller is masked for the line's sake.
    pub fn masks(&self) -> bool {
        self.phase.load(Ordering::Acquire) != WATCHING
    }

    /// An interrupt came that nothing explains, and the controller is not masked. True: it is to be masked now.
    pub fn unexplained(&self, now: impl FnOnce() -> Instant) -> bool {
        if self.masks() {
            // A reset has taken the mask away.
            return true;
        }
        let before = self.count.load(Ordering::Relaxed);
        let limit = self.limit.load(Ordering::Relaxed);
        let count = before.saturating_add(1);
        self.count.store(count, Ordering::Relaxed);
        if before == 0 {
            self.since_ns.store(now().as_ns(), Ordering::Relaxed);
            return false;
        }
        if count < limit {
            return false;
        }
        self.count.store(0, Ordering::Relaxed);
        let now = now();
        let began = self.since_ns.swap(now.as_ns(), Ordering::Relaxed);
        let lasted_ns = now.as_ns().saturating_sub(began);
        if lasted_ns > WINDOW_NS.saturating_mul(u64::from(limit)) {
            return false;
        }
        let lifted = Instant::from_ns(self.lifted_ns.load(Ordering::Relaxed));
        if now.us_since(lifted) > CALM_US {
            self.proofs.store(0, Ordering::Relaxed);
        }
        self.phase.store(PROBING, Ordering::Release);
        true
    }

    /// An interrupt came although the controller is masked. True: the mask is to be lifted, the interrupts are another device's.
    pub fn while_masked(&self, now: impl FnOnce() -> Instant) -> bool {
        if self.phase.load(Ordering::Acquire) != PROBING {
            return false;
        }
        let count = self.count.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        count >= OTHERS && self.is_of_others(now())
    }

    /// What is to be done with the mask, looked at from below the interrupt routine.
    pub fn visit(&self, now: impl FnOnce() -> Instant) -> LineVisit {
        let phase = self.phase.load(Ordering::Acquire);
        if phase == WATCHING {
            return LineVisit::Quiet;
        }
        let now = now();
        let since = Instant::from_ns(self.since_ns.load(Ordering::Relaxed));
        let lasted_us = now.us_since(since);
        let proofs = self.proofs.load(Ordering::Relaxed);
        if phase == HELD {
            let hold_us = HOLD_US << proofs.saturating_sub(PROOFS).min(HOLD_DOUBLED);
            return match hold_us.saturating_sub(lasted_us) {
                0 => self.lift(HELD, now),
                left_us => LineVisit::Masked(left_us),
            };
        }
        let left_us = PROBE_US.saturating_sub(lasted_us);
        if left_us > 0 {
            return LineVisit::Masked(left_us);
        }
        if self.count.load(Ordering::Relaxed) > LATE_MOST {
            return if self.is_of_others(now) {
                LineVisit::Unmask
            } else {
                LineVisit::Quiet
            };
        }
        let proofs = proofs.saturating_add(1);
        self.proofs.store(proofs, Ordering::Relaxed);
        if proofs < PROOFS {
            return self.lift(PROBING, now);
        }
        self.since_ns.store(now.as_ns(), Ordering::Relaxed);
        if self.change(PROBING, HELD) {
            LineVisit::Held(HOLD_US)
        } else {
            LineVisit::Quiet
        }
    }

    /// The probe ends with another device: the next one has to be worth more. True: the mask is to be lifted.
    fn is_of_others(&self, now: Instant) -> bool {
        self.proofs.store(0, Ordering::Relaxed);
        let limit = self.limit.load(Ordering::Relaxed);
        let limit = limit.saturating_mul(LIMIT_GROWTH).min(LIMIT_MOST);
        self.limit.store(limit, Ordering::Relaxed);
        self.lift(PROBING, now) == LineVisit::Unmask
    }

    fn lift(&self, from: u8, now: Instant) -> LineVisit {
        self.lifted_ns.store(now.as_ns(), Ordering::Relaxed);
        self.count.store(0, Ordering::Relaxed);
        if self.change(from, WATCHING) {
            LineVisit::Unmask
        } else {
            LineVisit::Quiet
        }
    }

    /// False where the interrupt routine and a visit came to an end at once, and this is the later one.
    fn change(&self, from: u8, to: u8) -> bool {
        self.phase
            .compare_exchange(from, to, Ordering::AcqRel, Ordering::Relaxed)
            .is_ok()
    }
}

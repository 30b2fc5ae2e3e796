//! The Host Memory Buffer of an adapter: asked for, lent, taken back, freed, and told of.

mod errand;
mod told;

use core::mem;

use nvme::Instant;
use nvme::hmb::{Downgrade, Granted, Lent, Limit, Policy, Probation, Ranges, Symptom, Unusable};
use nvme::lifecycle::{Contents, Controller, Failure, Inventory};

use crate::control::call::Call;
use crate::control::downgrade;
use crate::control::state::Life;
use crate::storport::{DmaBlock, HmbRanges, Irql, Port, PortError};

pub(crate) use errand::{Errand, Outcome};
use told::{Terms, Why};

/// The Host Memory Buffer of one adapter.
pub(crate) struct Hmb {
    memory: Memory,
    errand: Pending,
    /// What was asked for, in bytes.
    asked_bytes: u64,
    /// What made that size.
    limit: Limit,
    /// The controller or the port driver said no: nothing more is asked for until the adapter starts anew.
    declined: bool,
    /// Whether the memory is as the controller left it.
    pub(crate) contents: Contents,
    /// It was told that the memory is retained.
    retained: bool,
    /// When to ask again, where the port driver had no memory.
    retry: Option<Retry>,
    /// The most that the controller is lent, after it died on more.
    pub(crate) downgrade: Option<Downgrade>,
    probation: Probation,
}

/// An allocation that was refused, to be tried again.
#[derive(Clone, Copy)]
struct Retry {
    at: Instant,
    /// How long was waited, in microseconds.
    pause_us: u32,
}

/// How long the first wait for memory is, in microseconds; each is twice as long as the one before.
const FIRST_PAUSE_US: u32 = 60_000_000;
/// How long the longest wait for memory is, in microseconds.
const LONGEST_PAUSE_US: u32 = 3_600_000_000;

/// The longest time that a timer is set for, in microseconds. Nothing documents what the port driver makes of more than 2^31.
const LONGEST_TIMER_US: u32 = 60_000_000;

/// Whose the memory is.
enum Memory {
    /// There is none, or an [`Errand`] has it.
    None,
    /// The adapter's: it may be freed.
    Granted(Granted<HmbRanges>),
    /// The controller's.
    Lent(Lent<HmbRanges>),
}

/// What the port driver is to be asked for.
enum Pending {
    /// Nothing.
    None,
    /// An errand, which nobody was told of.
    Due(Errand),
    /// An errand, which a work item will run.
    Sent(Errand),
    /// The errand is being run.
    Away,
}

/// How lending goes on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Lending {
    /// The controller is being told of the memory.
    Begun,
    /// When the errand is over.
    Errand,
    /// The controller runs without.
    Without,
}

impl Hmb {
    pub(crate) const NONE: Self = Self {
        memory: Memory::None,
        errand: Pending::None,
        asked_bytes: 0,
        limit: Limit::Preferred,
        declined: false,
        contents: Contents::Kept,
        retained: false,
        retry: None,
        downgrade: None,
        probation: Probation::NONE,
    };

    /// Whether the controller may use the memory.
    pub(crate) const fn is_lent(&self) -> bool {
        matches!(self.memory, Memory::Lent(_))
    }

    /// Whether there is memory, or an errand for it.
    pub(crate) const fn is_none(&self) -> bool {
        matches!(self.memory, Memory::None) && !self.has_errand()
    }

    /// Whether the port driver is being asked for something, or is to be.
    pub(crate) const fn has_errand(&self) -> bool {
        !matches!(self.errand, Pending::None)
    }

    /// Whether there is an errand that nobody was told of.
    pub(crate) const fn is_unsent(&self) -> bool {
        matches!(self.errand, Pending::Due(_))
    }

    /// Has the errand run by a work item. False where none can be had. IRQL <= `DISPATCH_LEVEL`.
    pub(crate) fn send_errand(&mut self, port: Port) -> bool {
        let sent = port.queue_errands().is_ok();
        if sent {
            self.errand = match mem::replace(&mut self.errand, Pending::None) {
                Pending::Due(errand) => Pending::Sent(errand),
                other => other,
            };
        }
        sent
    }

    /// The errand, to be run outside the state. What it comes to is handed to [`errand_is_over`](Self::errand_is_over).
    pub(crate) fn take_errand(&mut self) -> Option<Errand> {
        match mem::replace(&mut self.errand, Pending::Away) {
            Pending::Due(errand) | Pending::Sent(errand) => Some(errand),
            nothing @ Pending::None => {
                self.errand = nothing;
                None
            }
            Pending::Away => None,
        }
    }

    /// The adapter comes to rest: memory that is not asked for yet is not needed any more.
    pub(crate) fn ask_for_nothing(&mut self) {
        self.errand = match mem::replace(&mut self.errand, Pending::None) {
            Pending::Due(Errand::Ask(wanted)) | Pending::Sent(Errand::Ask(wanted)) => {
                errand::forgo(&wanted);
                Pending::None
            }
            other => other,
        };
    }

    /// The adapter starts anew: what was declined before may be had now.
    pub(crate) const fn start_anew(&mut self) {
        self.declined = false;
        self.retry = None;
    }

    /// In how many microseconds to look whether memory is to be asked for again; `None` when it is not.
    pub(crate) fn retry_after_us(&self, port: Port) -> Option<u32> {
        let retry = self.retry?;
        let left_us = retry.at.us_since(port.now());
        let after_us = u32::try_from(left_us).unwrap_or(LONGEST_TIMER_US);
        Some(after_us.min(LONGEST_TIMER_US))
    }

    /// The port driver has no memory now: it is asked again later, after growing pauses.
    fn postpone(&mut self, port: Port) {
        let pause_us = self.retry.map_or(FIRST_PAUSE_US, |retry| {
            retry.pause_us.saturating_mul(2).min(LONGEST_PAUSE_US)
        });
        let at = port.now().after_us(u64::from(pause_us));
        self.retry = Some(Retry { at, pause_us });
    }

    /// Begins to lend memory; where there is none, or too much, the port driver is asked first.
    pub(crate) fn lend(
        &mut self,
        call: Call<'_>,
        controller: &mut Controller<DmaBlock>,
        inventory: &Inventory,
        policy: &Policy,
    ) -> Lending {
        let Some(needs) = controller.info().map(|info| info.hmb) else {
            return Lending::Without;
        };
        if self.declined {
            self.release(call, Life::Running);
            return Lending::Without;
        }
        if self.has_errand() {
            return Lending::Errand;
        }
        let limit_bytes = self.downgrade.map_or(u64::MAX, |limit| limit.limit_bytes);
        let granted = match mem::replace(&mut self.memory, Memory::None) {
            Memory::Granted(granted) if granted.bytes() > limit_bytes => {
                self.errand = Pending::Due(Errand::Free(granted));
                return Lending::Errand;
            }
            Memory::Granted(granted) => granted,
            Memory::None => {
                let used_bytes = inventory.namespaces.used_bytes();
                return match Errand::ask(&needs, policy, self.downgrade.as_ref(), used_bytes) {
                    Ok(wanted) => {
                        self.asked_bytes = wanted.preferred_bytes();
                        self.limit = wanted.limit();
                        self.errand = Pending::Due(Errand::Ask(wanted));
                        Lending::Errand
                    }
                    Err(reason) => {
                        self.not_lent(call, controller, (reason.into(), 0), 0);
                        Lending::Without
                    }
                };
            }
            lent @ Memory::Lent(_) => {
                self.memory = lent;
                return Lending::Without;
            }
        };
        let plan = match granted.plan(&needs) {
            Ok(plan) => plan,
            Err((granted, Unusable::BelowMinimum { offered_bytes })) => {
                let granted_bytes = granted.bytes();
                self.not_lent(
                    call,
                    controller,
                    (Why::Unusable, offered_bytes),
                    granted_bytes,
                );
                self.memory = Memory::Granted(granted);
                self.release(call, Life::Running);
                return Lending::Without;
            }
        };
        match controller.lend(plan, self.contents, call.port.now()) {
            Ok(lent) => {
                self.contents = Contents::Kept;
                self.memory = Memory::Lent(lent);
                Lending::Begun
            }
            Err(plan) => {
                self.memory = Memory::Granted(plan.into_granted());
                Lending::Without
            }
        }
    }

    /// What an errand came to. True when lending can go on.
    pub(crate) fn errand_is_over(
        &mut self,
        call: Call<'_>,
        controller: &Controller<DmaBlock>,
        outcome: Outcome,
    ) -> bool {
        self.errand = Pending::None;
        match outcome {
            Outcome::Granted(granted) => {
                self.retry = None;
                self.memory = Memory::Granted(granted);
                true
            }
            Outcome::NotGranted(error) => {
                let later = error == PortError::INSUFFICIENT_RESOURCES;
                if !later || self.retry.is_none() {
                    let status = u64::from(error.0);
                    self.not_lent(call, controller, (Why::NotGranted, status), 0);
                }
                if later {
                    self.declined = false;
                    self.postpone(call.port);
                }
                false
            }
            Outcome::Freed => true,
        }
    }

    /// Takes the memory back if the controller has given proof that it does not use it.
    pub(crate) fn settle(&mut self, call: Call<'_>, controller: &mut Controller<DmaBlock>) {
        let Some(proof) = controller.detached() else {
            return;
        };
        self.memory = match mem::replace(&mut self.memory, Memory::None) {
            Memory::Lent(lent) => match lent.reclaim(proof) {
                Ok(granted) => {
                    told::taken_back(call, granted.ranges());
                    Memory::Granted(granted)
                }
                Err(lent) => Memory::Lent(lent),
            },
            other => other,
        };
    }

    /// Has the memory freed where the adapter has no more use for it. What the controller may still use is retained, and told
    /// once. At DIRQL both are left to the DPC: where none comes, a restart finds the memory as it was.
    pub(crate) fn release(&mut self, call: Call<'_>, life: Life) {
        let over = matches!(life, Life::Stopped | Life::Dead);
        if call.irql == Irql::Device || !(over || self.declined) {
            return;
        }
        match mem::replace(&mut self.memory, Memory::None) {
            Memory::None => {}
            Memory::Granted(granted) if self.has_errand() => {
                self.memory = Memory::Granted(granted);
            }
            Memory::Granted(granted) => self.errand = Pending::Due(Errand::Free(granted)),
            Memory::Lent(lent) => {
                if over && !mem::replace(&mut self.retained, true) {
                    told::retained(call, lent.ranges());
                }
                self.memory = Memory::Lent(lent);
            }
        }
    }

    /// The controller has answered requests, for the last time then.
    pub(crate) fn answered(&mut self, at: Instant) {
        self.probation.answered(at);
    }

    /// The controller stopped working. If the memory that it was lent is to blame, it gets less from now on.
    pub(crate) fn suspect(
        &mut self,
        call: Call<'_>,
        controller: Option<&Controller<DmaBlock>>,
        symptom: Symptom,
    ) {
        let (Memory::Lent(lent), Some(info)) =
            (&self.memory, controller.and_then(Controller::info))
        else {
            return;
        };
        if !self.probation.ends_with(symptom, call.port.now()) {
            return;
        }
        let lent_bytes = lent.offered_bytes();
        let downgrade = Downgrade::after(
            self.downgrade.as_ref(),
            lent_bytes,
            info.hmb.minimum_bytes,
            info.firmware.0,
        );
        self.downgrade = Some(downgrade);
        if call.irql == Irql::Device {
            return;
        }
        downgrade::remember(call);
        told::downgraded(call, lent_bytes, &downgrade);
    }

    /// The controller accepted the memory.
    pub(crate) fn enabled(&mut self, call: Call<'_>, controller: Option<&Controller<DmaBlock>>) {
        self.probation.begin(call.port.now());
        call.adapter.io.listen(call.irql);
        let (Memory::Lent(lent), Some(controller)) = (&self.memory, controller) else {
            return;
        };
        let needs = controller.info().map(|info| info.hmb).unwrap_or_default();
        let terms = Terms {
            asked_bytes: self.asked_bytes,
            limit: self.limit,
            offered: (lent.offered_bytes(), lent.descriptors()),
            returned: controller.memory_returned(),
        };
        told::lent(call, &needs, lent.ranges(), &terms);
    }

    /// The controller did not take the memory.
    pub(crate) fn not_enabled(
        &mut self,
        call: Call<'_>,
        controller: &Controller<DmaBlock>,
        failure: Failure,
    ) {
        let reason = match failure {
            Failure::Refused(_, status) => (Why::Refused, u64::from(status.0)),
            _ => (Why::NoAnswer, 0),
        };
        let granted_bytes = match &self.memory {
            Memory::None => 0,
            Memory::Granted(granted) => granted.bytes(),
            Memory::Lent(lent) => lent.ranges().bytes(),
        };
        self.not_lent(call, controller, reason, granted_bytes);
        self.release(call, Life::Running);
    }

    /// Tells why the controller runs without a buffer, and asks for none until the adapter starts anew.
    fn not_lent(
        &mut self,
        call: Call<'_>,
        controller: &Controller<DmaBlock>,
        reason: (Why, u64),
        granted_bytes: u64,
    ) {
        self.declined = true;
        self.retry = None;
        let needs = controller.info().map(|info| info.hmb).unwrap_or_default();
        told::not_lent(call, &needs, reason, self.asked_bytes, granted_bytes);
    }
}

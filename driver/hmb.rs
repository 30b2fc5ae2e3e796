//! The Host Memory Buffer of an adapter: asked for, lent, taken back, freed, and told of.

use core::mem;
use core::sync::atomic::{AtomicU64, Ordering};

use nvme::Instant;
use nvme::hmb::{
    Downgrade, Granted, Lent, Limit, Needs, NotWanted, Policy, Probation, Ranges, Symptom,
    Unusable, Wanted,
};
use nvme::lifecycle::{Contents, Controller, Failure, Inventory};

use crate::call::Call;
use crate::downgrade;
use crate::state::Life;
use crate::storport::{DmaBlock, Event, HmbRanges, Irql, Level, Parameters, Port, PortError, text};

/// What all adapters of the driver hold together, in bytes.
static HELD_BYTES: AtomicU64 = AtomicU64::new(0);

/// Event numbers, as documented.
mod event_id {
    pub(super) const LENT: u32 = 100;
    pub(super) const NOT_LENT: u32 = 101;
    pub(super) const TAKEN_BACK: u32 = 102;
    pub(super) const FREED: u32 = 103;
    pub(super) const RETAINED: u32 = 104;
    pub(super) const FREE_FAILED: u32 = 105;
    pub(super) const DOWNGRADED: u32 = 106;
}

/// Why no memory was lent, as the event tells it.
#[derive(Clone, Copy)]
enum Why {
    /// The controller wants none.
    NotRequested = 1,
    /// Turned off by policy.
    Off = 2,
    /// The controller's minimum is above its preferred size.
    Contradictory = 3,
    /// The controller's minimum is more than the policy honours.
    MinimumTooLarge = 4,
    /// All adapters together hold as much as they may.
    TotalExceeded = 5,
    /// The port driver granted nothing.
    NotGranted = 6,
    /// What was granted does not fit the controller.
    Unusable = 7,
    /// The controller refused it.
    Refused = 8,
    /// The controller did not answer.
    NoAnswer = 9,
    /// The controller died on what it was lent before.
    Downgraded = 10,
}

impl From<NotWanted> for Why {
    fn from(reason: NotWanted) -> Self {
        match reason {
            NotWanted::NotRequested => Self::NotRequested,
            NotWanted::Off => Self::Off,
            NotWanted::Contradictory => Self::Contradictory,
            NotWanted::MinimumTooLarge => Self::MinimumTooLarge,
            NotWanted::TotalExceeded => Self::TotalExceeded,
            NotWanted::Downgraded => Self::Downgraded,
        }
    }
}

/// The Host Memory Buffer of one adapter.
pub(crate) struct Hmb {
    memory: Memory,
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
    /// There is none.
    None,
    /// The adapter's: it may be freed.
    Granted(Granted<HmbRanges>),
    /// The controller's.
    Lent(Lent<HmbRanges>),
}

impl Hmb {
    pub(crate) const NONE: Self = Self {
        memory: Memory::None,
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

    /// Whether there is memory that may be freed.
    pub(crate) const fn is_granted(&self) -> bool {
        matches!(self.memory, Memory::Granted(_))
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

    /// Begins to lend memory, asked for where there is none. False when the controller is to run without.
    /// IRQL <= `DISPATCH_LEVEL`.
    pub(crate) fn lend(
        &mut self,
        call: Call<'_>,
        controller: &mut Controller<DmaBlock>,
        inventory: &Inventory,
        policy: &Policy,
    ) -> bool {
        let Some(needs) = controller.info().map(|info| info.hmb) else {
            return false;
        };
        if self.declined {
            self.release(call, Life::Running);
            return false;
        }
        self.free_excess(call);
        let granted = match mem::replace(&mut self.memory, Memory::None) {
            Memory::Granted(granted) => granted,
            Memory::None => match self.ask(call, &needs, policy, inventory.namespaces.used_bytes())
            {
                Some(granted) => granted,
                None => return false,
            },
            lent @ Memory::Lent(_) => {
                self.memory = lent;
                return false;
            }
        };
        let plan = match granted.plan(&needs) {
            Ok(plan) => plan,
            Err((granted, Unusable::BelowMinimum { offered_bytes })) => {
                self.not_lent(call, &needs, Why::Unusable, offered_bytes, granted.bytes());
                self.memory = Memory::Granted(granted);
                self.release(call, Life::Running);
                return false;
            }
        };
        match controller.lend(plan, self.contents, call.port.now()) {
            Ok(lent) => {
                self.contents = Contents::Kept;
                self.memory = Memory::Lent(lent);
                true
            }
            Err(plan) => {
                self.memory = Memory::Granted(plan.into_granted());
                false
            }
        }
    }

    /// Asks the port driver for memory.
    fn ask(
        &mut self,
        call: Call<'_>,
        needs: &Needs,
        policy: &Policy,
        used_bytes: u64,
    ) -> Option<Granted<HmbRanges>> {
        let held_bytes = HELD_BYTES.load(Ordering::Acquire);
        let most_bytes = self.downgrade.map_or(u64::MAX, |limit| limit.limit_bytes);
        let wanted = match Wanted::decide(needs, policy, held_bytes, used_bytes)
            .and_then(|wanted| wanted.at_most(most_bytes))
        {
            Ok(wanted) => wanted,
            Err(reason) => {
                self.not_lent(call, needs, reason.into(), 0, 0);
                return None;
            }
        };
        self.asked_bytes = wanted.preferred_bytes();
        self.limit = wanted.limit();
        match call
            .port
            .allocate_host_memory_buffer(&wanted, &call.adapter.hmb_store)
        {
            Ok(ranges) => {
                self.retry = None;
                let granted = wanted.granted(ranges);
                HELD_BYTES.fetch_add(granted.bytes(), Ordering::AcqRel);
                Some(granted)
            }
            Err(error) => {
                let later = error == PortError::INSUFFICIENT_RESOURCES;
                if !later || self.retry.is_none() {
                    self.not_lent(call, needs, Why::NotGranted, u64::from(error.0), 0);
                }
                if later {
                    self.declined = false;
                    self.postpone(call.port);
                }
                None
            }
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
                    taken_back(call, &granted);
                    Memory::Granted(granted)
                }
                Err(lent) => Memory::Lent(lent),
            },
            other => other,
        };
    }

    /// Frees the memory where the adapter has no more use for it and the IRQL allows it. What the controller may still
    /// use is retained, and told once.
    pub(crate) fn release(&mut self, call: Call<'_>, life: Life) {
        let over = matches!(life, Life::Stopped | Life::Dead);
        if call.irql == Irql::Device || !(over || self.declined) {
            return;
        }
        match mem::replace(&mut self.memory, Memory::None) {
            Memory::None => {}
            Memory::Granted(granted) => free(call.port, granted),
            Memory::Lent(lent) => {
                if over && !mem::replace(&mut self.retained, true) {
                    // Ranges that the controller was not offered are kept with the others: a grant is freed as a whole.
                    let bytes = lent.ranges().bytes();
                    let ranges = lent.ranges().count() as u64;
                    call.port.log(&Event {
                        id: event_id::RETAINED,
                        level: Level::Error,
                        text: text!("HMB retained: no proof that the device stopped"),
                        parameters: Parameters::Two(&[
                            (text!("Bytes"), bytes),
                            (text!("Ranges"), ranges),
                        ]),
                    });
                }
                self.memory = Memory::Lent(lent);
            }
        }
    }

    /// The controller has answered requests.
    pub(crate) fn answered(&mut self, port: Port) {
        self.probation.answer(|| port.now());
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
        downgrade::remember(call.port);
        call.port.log(&Event {
            id: event_id::DOWNGRADED,
            level: Level::Warning,
            text: text!("HMB downgraded: the device failed soon after lending"),
            parameters: Parameters::Two(&[
                (text!("LentBytes"), lent_bytes),
                (text!("LimitBytes"), downgrade.limit_bytes),
            ]),
        });
    }

    /// Frees memory that is more than the controller is lent after a downgrade.
    fn free_excess(&mut self, call: Call<'_>) {
        let limit_bytes = self.downgrade.map_or(u64::MAX, |limit| limit.limit_bytes);
        self.memory = match mem::replace(&mut self.memory, Memory::None) {
            Memory::Granted(granted) if granted.bytes() > limit_bytes => {
                free(call.port, granted);
                Memory::None
            }
            other => other,
        };
    }

    /// The controller accepted the memory.
    pub(crate) fn enabled(&mut self, call: Call<'_>, controller: Option<&Controller<DmaBlock>>) {
        self.probation.begin(call.port.now());
        let (Memory::Lent(lent), Some(controller)) = (&self.memory, controller) else {
            return;
        };
        let needs = controller.info().map(|info| info.hmb).unwrap_or_default();
        let ranges = lent.ranges();
        call.port.log(&Event {
            id: event_id::LENT,
            level: Level::Information,
            text: text!("HMB lent"),
            parameters: Parameters::Eight(&[
                (text!("AskedBytes"), self.asked_bytes),
                (text!("GrantedBytes"), ranges.bytes()),
                (text!("LentBytes"), lent.offered_bytes()),
                (text!("Ranges"), u64::from(lent.descriptors())),
                (text!("MinimumBytes"), needs.minimum_bytes),
                (text!("PreferredBytes"), needs.preferred_bytes),
                (text!("LimitedBy"), limit_code(self.limit)),
                (
                    text!("MemoryReturned"),
                    u64::from(controller.memory_returned()),
                ),
            ]),
        });
    }

    /// The controller did not take the memory.
    pub(crate) fn not_enabled(
        &mut self,
        call: Call<'_>,
        controller: Option<&Controller<DmaBlock>>,
        failure: Failure,
    ) {
        let needs = controller
            .and_then(Controller::info)
            .map(|info| info.hmb)
            .unwrap_or_default();
        let (why, status) = match failure {
            Failure::Refused(_, status) => (Why::Refused, u64::from(status.0)),
            _ => (Why::NoAnswer, 0),
        };
        let granted = match &self.memory {
            Memory::None => 0,
            Memory::Granted(granted) => granted.bytes(),
            Memory::Lent(lent) => lent.ranges().bytes(),
        };
        self.not_lent(call, &needs, why, status, granted);
        self.release(call, Life::Running);
    }

    /// Tells why the controller runs without a buffer, and asks for none until the adapter starts anew.
    fn not_lent(
        &mut self,
        call: Call<'_>,
        needs: &Needs,
        why: Why,
        status: u64,
        granted_bytes: u64,
    ) {
        self.declined = true;
        self.retry = None;
        let level = match why {
            Why::NotRequested | Why::Off => Level::Information,
            _ => Level::Warning,
        };
        call.port.log(&Event {
            id: event_id::NOT_LENT,
            level,
            text: text!("HMB not lent"),
            parameters: Parameters::Eight(&[
                (text!("Why"), why as u64),
                (text!("Status"), status),
                (text!("AskedBytes"), self.asked_bytes),
                (text!("GrantedBytes"), granted_bytes),
                (text!("MinimumBytes"), needs.minimum_bytes),
                (text!("PreferredBytes"), needs.preferred_bytes),
                (text!("MinimumRangeBytes"), needs.minimum_descriptor_bytes),
                (text!("MaximumRanges"), u64::from(needs.max_descriptors)),
            ]),
        });
    }
}

/// Gives memory back to the port driver.
fn free(port: Port, granted: Granted<HmbRanges>) {
    let bytes = granted.bytes();
    let count = granted.count() as u64;
    HELD_BYTES.fetch_sub(bytes, Ordering::AcqRel);
    let event = match port.free_host_memory_buffer(granted.into_ranges()) {
        Ok(()) => Event {
            id: event_id::FREED,
            level: Level::Information,
            text: text!("HMB freed"),
            parameters: Parameters::Two(&[(text!("Bytes"), bytes), (text!("Ranges"), count)]),
        },
        Err(PortError(status)) => Event {
            id: event_id::FREE_FAILED,
            level: Level::Error,
            text: text!("HMB free failed: the port driver refused it"),
            parameters: Parameters::Two(&[
                (text!("Bytes"), bytes),
                (text!("Status"), u64::from(status)),
            ]),
        },
    };
    port.log(&event);
}

/// Tells that the controller does not use the memory any more.
fn taken_back(call: Call<'_>, granted: &Granted<HmbRanges>) {
    call.log(&Event {
        id: event_id::TAKEN_BACK,
        level: Level::Information,
        text: text!("HMB taken back"),
        parameters: Parameters::Two(&[
            (text!("Bytes"), granted.bytes()),
            (text!("Ranges"), granted.count() as u64),
        ]),
    });
}

/// What made the size that was asked for, as the event tells it.
const fn limit_code(limit: Limit) -> u64 {
    match limit {
        Limit::Preferred => 0,
        Limit::Maximum => 1,
        Limit::MinimumHonoured => 2,
        Limit::Total => 3,
        Limit::Downgraded => 4,
    }
}

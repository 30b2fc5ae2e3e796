//! The events of the Host Memory Buffer: one for each outcome.

use nvme::hmb::{Downgrade, Limit, Needs, NotWanted, Ranges};

use crate::control::call::Call;
use crate::storport::{Event, HmbRanges, Level, Parameters, text};

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
pub(super) enum Why {
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

/// How the memory was had and lent.
pub(super) struct Terms {
    /// What was asked for, in bytes.
    pub(super) asked_bytes: u64,
    /// What made that size.
    pub(super) limit: Limit,
    /// What the controller was offered, in bytes and descriptors.
    pub(super) offered: (u64, u16),
    /// It was told that the memory is as it left it.
    pub(super) returned: bool,
}

/// The controller accepted the memory.
pub(super) fn lent(call: Call<'_>, needs: &Needs, granted: &HmbRanges, terms: &Terms) {
    let (lent_bytes, descriptors) = terms.offered;
    call.log(&Event {
        id: event_id::LENT,
        level: Level::Information,
        text: text!("HMB lent"),
        parameters: Parameters::Eight(&[
            (text!("AskedBytes"), terms.asked_bytes),
            (text!("GrantedBytes"), granted.bytes()),
            (text!("LentBytes"), lent_bytes),
            (text!("Ranges"), u64::from(descriptors)),
            (text!("MinimumBytes"), needs.minimum_bytes),
            (text!("PreferredBytes"), needs.preferred_bytes),
            (text!("LimitedBy"), limit_code(terms.limit)),
            (text!("MemoryReturned"), u64::from(terms.returned)),
        ]),
    });
}

/// Why the controller runs without a buffer: the reason, a status, and the bytes that were asked for and granted.
pub(super) fn not_lent(
    call: Call<'_>,
    needs: &Needs,
    (why, status): (Why, u64),
    asked_bytes: u64,
    granted_bytes: u64,
) {
    let level = match why {
        Why::NotRequested | Why::Off => Level::Information,
        _ => Level::Warning,
    };
    call.log(&Event {
        id: event_id::NOT_LENT,
        level,
        text: text!("HMB not lent"),
        parameters: Parameters::Eight(&[
            (text!("Why"), why as u64),
            (text!("Status"), status),
            (text!("AskedBytes"), asked_bytes),
            (text!("GrantedBytes"), granted_bytes),
            (text!("MinimumBytes"), needs.minimum_bytes),
            (text!("PreferredBytes"), needs.preferred_bytes),
            (text!("MinimumRangeBytes"), needs.minimum_descriptor_bytes),
            (text!("MaximumRanges"), u64::from(needs.max_descriptors)),
        ]),
    });
}

/// The controller does not use the memory any more.
pub(super) fn taken_back(call: Call<'_>, granted: &HmbRanges) {
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

/// The memory is the system's again.
pub(super) fn freed(call: Call<'_>, bytes: u64, ranges: u64) {
    call.log(&Event {
        id: event_id::FREED,
        level: Level::Information,
        text: text!("HMB freed"),
        parameters: Parameters::Two(&[(text!("Bytes"), bytes), (text!("Ranges"), ranges)]),
    });
}

/// The port driver did not take the memory.
pub(super) fn free_failed(call: Call<'_>, bytes: u64, status: u32) {
    call.log(&Event {
        id: event_id::FREE_FAILED,
        level: Level::Error,
        text: text!("HMB free failed: the port driver refused it"),
        parameters: Parameters::Two(&[
            (text!("Bytes"), bytes),
            (text!("Status"), u64::from(status)),
        ]),
    });
}

/// The controller may use the memory for good. Ranges that it was not offered are kept with the others: a grant is freed as a
/// whole.
pub(super) fn retained(call: Call<'_>, granted: &HmbRanges) {
    call.log(&Event {
        id: event_id::RETAINED,
        level: Level::Error,
        text: text!("HMB retained: no proof that the device stopped"),
        parameters: Parameters::Two(&[
            (text!("Bytes"), granted.bytes()),
            (text!("Ranges"), granted.count() as u64),
        ]),
    });
}

/// The controller gets less from now on.
pub(super) fn downgraded(call: Call<'_>, lent_bytes: u64, downgrade: &Downgrade) {
    call.log(&Event {
        id: event_id::DOWNGRADED,
        level: Level::Warning,
        text: text!("HMB downgraded: the device failed soon after lending"),
        parameters: Parameters::Two(&[
            (text!("LentBytes"), lent_bytes),
            (text!("LimitBytes"), downgrade.limit_bytes),
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

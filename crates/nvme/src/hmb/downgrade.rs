//! Controllers that stop working soon after they were lent memory: they get less of it, then none, and that is remembered.

use crate::Instant;

use super::{PAGE_MASK, UNIT_BYTES};

/// Bytes of a firmware revision in Identify Controller.
const FIRMWARE_BYTES: usize = 8;
/// How a remembered downgrade begins.
const SIGNATURE: [u8; 4] = *b"HMBD";

/// What a controller is lent at most, after it died on more. It is a fault of the firmware, and forgotten with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Downgrade {
    /// FR of Identify Controller.
    pub firmware: [u8; FIRMWARE_BYTES],
    /// The most to lend, in bytes, a multiple of the page size; 0: none.
    pub limit_bytes: u64,
}

impl Downgrade {
    /// Bytes of a record.
    pub const RECORD_BYTES: usize = 16;

    /// After a controller died on `lent_bytes`: half of it, but no less than its minimum, and the second time none.
    #[must_use]
    pub fn after(
        previous: Option<&Self>,
        lent_bytes: u64,
        minimum_bytes: u64,
        firmware: [u8; FIRMWARE_BYTES],
    ) -> Self {
        let smaller = ((lent_bytes / 2) & !PAGE_MASK).max(minimum_bytes);
        let limit_bytes = if previous.is_some() || smaller >= lent_bytes {
            0
        } else {
            smaller
        };
        Self {
            firmware,
            limit_bytes,
        }
    }

    /// The record to keep: a signature, the limit in units of 4 KiB (little-endian), the firmware revision.
    #[must_use]
    pub fn to_record(&self) -> [u8; Self::RECORD_BYTES] {
        let units = u32::try_from(self.limit_bytes / UNIT_BYTES).unwrap_or(u32::MAX);
        let mut record = [0; Self::RECORD_BYTES];
        let bytes = SIGNATURE.into_iter().chain(units.to_le_bytes());
        for (to, from) in record.iter_mut().zip(bytes.chain(self.firmware)) {
            *to = from;
        }
        record
    }

    /// What a record says, if it is one and speaks of this firmware.
    #[must_use]
    pub fn from_record(
        record: &[u8; Self::RECORD_BYTES],
        firmware: [u8; FIRMWARE_BYTES],
    ) -> Option<Self> {
        let (signature, rest) = record.split_first_chunk::<4>()?;
        let (units, revision) = rest.split_first_chunk::<4>()?;
        (*signature == SIGNATURE && *revision == firmware).then(|| Self {
            firmware,
            limit_bytes: u64::from(u32::from_le_bytes(*units)).saturating_mul(UNIT_BYTES),
        })
    }
}

/// How a controller was seen not to work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Symptom {
    /// It says that it has failed, or does what no working controller does.
    Dead,
    /// It was to be reset while it had requests. If it has answered none for a while, they did not come back; else somebody
    /// just asked for it.
    Silent,
}

/// At which answers of a controller the clock is looked at: the first ones, and then one of so many. That is often enough, and costs
/// little.
#[derive(Clone, Copy, Debug)]
pub struct Sampling {
    answers: Option<u32>,
}

impl Sampling {
    const SAMPLE: u32 = 64;

    /// At none.
    pub const OFF: Self = Self { answers: None };

    /// Begins anew.
    pub const fn begin(&mut self) {
        self.answers = Some(0);
    }

    /// The controller has answered: whether the clock is to be looked at.
    pub const fn answer(&mut self) -> bool {
        let Some(answers) = self.answers else {
            return false;
        };
        self.answers = Some(answers.wrapping_add(1));
        answers < Self::SAMPLE || answers.is_multiple_of(Self::SAMPLE)
    }
}

/// For a minute after it was lent, memory is suspected when the controller stops working.
#[derive(Clone, Copy, Debug, Default)]
pub struct Probation {
    since: Option<Instant>,
    /// When it answered last, as far as that was looked at.
    answered: Option<Instant>,
    /// How often in a row it was silent soon after it was lent memory.
    silences: u8,
}

impl Probation {
    /// How long it lasts, in microseconds.
    pub const US: u64 = 60_000_000;
    /// How long a controller has to be silent, in microseconds.
    pub const SILENCE_US: u64 = 1_000_000;
    /// So many silences in a row are no accident.
    const SILENCES: u8 = 2;

    /// No suspicion.
    pub const NONE: Self = Self {
        since: None,
        answered: None,
        silences: 0,
    };

    /// The controller was lent memory.
    pub const fn begin(&mut self, now: Instant) {
        self.since = Some(now);
        self.answered = None;
    }

    /// The controller has answered requests, for the last time then.
    pub fn answered(&mut self, at: Instant) {
        self.answered = Some(self.answered.map_or(at, |before| before.max(at)));
    }

    /// Ends it with a symptom. True when the memory is to blame.
    pub fn ends_with(&mut self, symptom: Symptom, now: Instant) -> bool {
        let Some(since) = self.since.take() else {
            return false;
        };
        let soon = now.us_since(since) < Self::US;
        let heard = self.answered.unwrap_or(since);
        let silent = symptom == Symptom::Silent && now.us_since(heard) >= Self::SILENCE_US;
        self.silences = if silent && soon {
            self.silences.saturating_add(1)
        } else {
            0
        };
        let blamed = soon && (symptom == Symptom::Dead || self.silences >= Self::SILENCES);
        if blamed {
            self.silences = 0;
        }
        blamed
    }
}

//! Events that wait to be taken, and the log pages that they name.

use nvme_spec::log::LogPageId;

use super::{Event, MAX_EVENT_REQUESTS};
use crate::Instant;

/// How many events can wait.
const CAPACITY: usize = 8;

/// A ring of events; when it is full, the newest is lost and counted.
#[derive(Debug, Default)]
pub(super) struct Events {
    ring: [Option<Event>; CAPACITY],
    first: usize,
    count: usize,
    lost: u32,
}

impl Events {
    pub(super) fn push(&mut self, event: Event) {
        let place = self.first.wrapping_add(self.count) % CAPACITY;
        match self.ring.get_mut(place) {
            Some(entry) if self.count < CAPACITY => {
                *entry = Some(event);
                self.count = self.count.wrapping_add(1);
            }
            _ => self.lost = self.lost.saturating_add(1),
        }
    }

    pub(super) fn take(&mut self) -> Option<Event> {
        let event = self.ring.get_mut(self.first)?.take()?;
        self.first = self.first.wrapping_add(1) % CAPACITY;
        self.count = self.count.wrapping_sub(1);
        Some(event)
    }

    pub(super) const fn lost(&self) -> u32 {
        self.lost
    }
}

/// What events and log pages have told.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// Namespaces have changed since they were identified.
    pub(super) namespaces_changed: bool,
    /// The media are read-only, as the controller's health says.
    pub(super) read_only: bool,
}

/// The shortest and the longest pause before a log page is read again because of an event, in microseconds.
const PAUSES_US: (u64, u64) = (1_000_000, 64_000_000);

/// When a log page was read last because of an event, and for how long it is not read again.
#[derive(Clone, Copy, Debug, Default)]
struct Pace {
    page: LogPageId,
    last: Instant,
    pause_us: u64,
}

impl Pace {
    const fn due(&self) -> Instant {
        self.last.after_us(self.pause_us)
    }

    /// The page is read now. The pauses grow as long as its events keep coming.
    fn read(&mut self, page: LogPageId, now: Instant) {
        let (shortest, longest) = PAUSES_US;
        let quiet = self.page != page || now.us_since(self.last) > self.pause_us.saturating_mul(2);
        self.pause_us = if quiet {
            shortest
        } else {
            self.pause_us.saturating_mul(2).clamp(shortest, longest)
        };
        self.page = page;
        self.last = now;
    }
}

/// The log page of an event that names none.
const NO_PAGE: LogPageId = LogPageId(0);

/// A log page that events have named, and how many event requests they have answered.
#[derive(Clone, Copy, Debug)]
struct Named {
    page: LogPageId,
    requests: u8,
}

/// Log pages that are to be read because an event named them: until its page was read, a controller reports no event of
/// that type again (Base 5.2). One that has something to report at once would be read without end: each page has its pauses,
/// and so have events that name no page. The requests that events answered are sent again when the page was read, not before:
/// a controller that reports the same without end has nothing to answer meanwhile.
#[derive(Debug, Default)]
pub(super) struct EventLogs {
    /// One for each request that the controller can hold.
    wanted: [Option<Named>; MAX_EVENT_REQUESTS as usize],
    /// The page that is being read, and when it has to be answered.
    reading: Option<(Named, Instant)>,
    paces: [Pace; MAX_EVENT_REQUESTS as usize],
}

impl EventLogs {
    /// An event named this page.
    pub(super) fn want(&mut self, page: LogPageId) {
        let mut wanted = self.wanted.iter_mut().flatten();
        if let Some(known) = wanted.find(|named| named.page == page) {
            known.requests = known.requests.saturating_add(1);
        } else if let Some(free) = self.wanted.iter_mut().find(|named| named.is_none()) {
            *free = Some(Named { page, requests: 1 });
        }
    }

    /// The page to read now, one at a time, to be answered by `deadline`.
    pub(super) fn next(&mut self, now: Instant, deadline: Instant) -> Option<LogPageId> {
        for wanted in &mut self.wanted {
            let Some(named) = *wanted else { continue };
            if named.page != NO_PAGE && self.reading.is_some() {
                continue;
            }
            if let Some(pace) = pace_of(&mut self.paces, named.page)
                && now >= pace.due()
            {
                pace.read(named.page, now);
                *wanted = None;
                if named.page != NO_PAGE {
                    self.reading = Some((named, deadline));
                    return Some(named.page);
                }
            }
        }
        None
    }

    /// When something is to be done next: a page that has to wait is to be read, or one has to be answered.
    pub(super) fn deferred(&mut self) -> Option<Instant> {
        let Self {
            wanted,
            reading,
            paces,
        } = self;
        let deadline = reading.map(|(_, deadline)| deadline);
        let waiting = wanted
            .iter()
            .flatten()
            .filter(|named| deadline.is_none() || named.page == NO_PAGE);
        waiting
            .filter_map(|named| Some(pace_of(paces, named.page)?.due()))
            .chain(deadline)
            .min()
    }

    /// The page was read, or is not going to be: which one.
    pub(super) fn read(&mut self) -> Option<LogPageId> {
        self.reading.take().map(|(named, _)| named.page)
    }

    /// Whether a page is being read.
    pub(super) const fn is_reading(&self) -> bool {
        self.reading.is_some()
    }

    /// The page that was not answered in time.
    pub(super) fn overdue(&self, now: Instant) -> Option<LogPageId> {
        let (named, deadline) = self.reading?;
        (now >= deadline).then_some(named.page)
    }

    /// How many event requests are not to be sent again yet.
    pub(super) fn held_requests(&self) -> u8 {
        let reading = self.reading.map(|(named, _)| named);
        let named = self.wanted.iter().flatten().chain(&reading);
        named.fold(0, |sum, named| sum.saturating_add(named.requests))
    }
}

/// The pace of a page: its own, or the one that is over first.
fn pace_of(paces: &mut [Pace], page: LogPageId) -> Option<&mut Pace> {
    let own = paces.iter().position(|pace| pace.page == page);
    match own {
        Some(at) => paces.get_mut(at),
        None => paces.iter_mut().min_by_key(|pace| pace.due()),
    }
}

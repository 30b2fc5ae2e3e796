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

/// The shortest and the longest pause before a log page is read again because of an event, in microseconds.
const PAUSES_US: (u64, u64) = (1_000_000, 64_000_000);

/// When a log page was read last because of an event, and how long it is not read again.
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

/// Log pages that are to be read because an event named them: until its page was read, a controller reports no event of
/// that type again (Base 5.2). One that has something to report at once would be read without end: each page has its pauses.
#[derive(Debug, Default)]
pub(super) struct EventLogs {
    /// One for each request that the controller can hold.
    wanted: [Option<LogPageId>; MAX_EVENT_REQUESTS as usize],
    /// One is being read.
    reading: bool,
    paces: [Pace; MAX_EVENT_REQUESTS as usize],
}

impl EventLogs {
    /// An event named this page; 0 is none.
    pub(super) fn want(&mut self, page: LogPageId) {
        if page == LogPageId(0) || self.wanted.contains(&Some(page)) {
            return;
        }
        if let Some(free) = self.wanted.iter_mut().find(|page| page.is_none()) {
            *free = Some(page);
        }
    }

    /// The page to read now, one at a time.
    pub(super) fn next(&mut self, now: Instant) -> Option<LogPageId> {
        if self.reading {
            return None;
        }
        for wanted in &mut self.wanted {
            let Some(page) = *wanted else { continue };
            if let Some(pace) = pace_of(&mut self.paces, page)
                && now >= pace.due()
            {
                pace.read(page, now);
                *wanted = None;
                self.reading = true;
                return Some(page);
            }
        }
        None
    }

    /// When the first page is to be read that has to wait.
    pub(super) fn deferred(&mut self) -> Option<Instant> {
        if self.reading {
            return None;
        }
        let Self { wanted, paces, .. } = self;
        let pages = wanted.iter().flatten();
        pages
            .filter_map(|page| Some(pace_of(paces, *page)?.due()))
            .min()
    }

    /// The page was read.
    pub(super) const fn read(&mut self) {
        self.reading = false;
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

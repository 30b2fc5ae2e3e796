//! Events that wait to be taken, and the log pages that they name.

use nvme_spec::log::LogPageId;

use super::{Event, MAX_EVENT_REQUESTS};

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

/// Log pages that are to be read because an event named them: until its page was read, a controller reports no event of
/// that type again (Base 5.2).
#[derive(Debug, Default)]
pub(super) struct EventLogs {
    /// One for each request that the controller can hold.
    wanted: [Option<LogPageId>; MAX_EVENT_REQUESTS as usize],
    /// One is being read.
    reading: bool,
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
    pub(super) fn next(&mut self) -> Option<LogPageId> {
        if self.reading {
            return None;
        }
        let page = self.wanted.iter_mut().find_map(Option::take)?;
        self.reading = true;
        Some(page)
    }

    /// The page was read.
    pub(super) const fn read(&mut self) {
        self.reading = false;
    }
}

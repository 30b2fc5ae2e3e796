//! Events that wait to be taken.

use super::Event;

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

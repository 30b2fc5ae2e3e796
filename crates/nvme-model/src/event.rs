//! Asynchronous events: kept until a request waits for them, masked until their log page is read.

use std::collections::{BTreeSet, VecDeque};

use nvme_spec::async_event::{AsyncEvent, AsyncEventDw0, AsyncEventType};
use nvme_spec::log::LogPageId;
use nvme_spec::status::Status;

use crate::controller::Controller;
use crate::queue::{End, Stage};

/// Events that wait; more are dropped.
const PENDING_MAX: usize = 64;
/// How long it takes to report an event.
const REPORT_NS: u64 = 1_000;

/// Events that were not reported yet, and the types that are masked.
#[derive(Default)]
pub(crate) struct Events {
    pending: VecDeque<(AsyncEvent, LogPageId)>,
    /// Log pages that clear an event that was reported: until one is read, events of its type are not reported again.
    masked: BTreeSet<(AsyncEventType, LogPageId)>,
}

/// The type of an event.
fn type_of(event: AsyncEvent) -> AsyncEventType {
    AsyncEventType((event.0 >> 8) as u8)
}

impl Events {
    /// The log page was read: the types that it clears can be reported again.
    pub(crate) fn clear(&mut self, page: LogPageId) {
        self.masked.retain(|(_, clears)| *clears != page);
    }

    /// The next event that may be reported, which is then masked.
    fn take(&mut self) -> Option<(AsyncEvent, LogPageId)> {
        let allowed = |(event, _): &(AsyncEvent, LogPageId)| {
            !self
                .masked
                .iter()
                .any(|(masked, _)| *masked == type_of(*event))
        };
        let index = self.pending.iter().position(allowed)?;
        let (event, page) = self.pending.remove(index)?;
        self.masked.insert((type_of(event), page));
        Some((event, page))
    }
}

impl Controller {
    /// Something happened that the host may have asked to hear of.
    pub(crate) fn raise(&mut self, event: AsyncEvent, page: LogPageId, now_ns: u64) {
        let known = self.events.pending.contains(&(event, page));
        if !known && self.events.pending.len() < PENDING_MAX {
            self.events.pending.push_back((event, page));
        }
        self.deliver_events(now_ns);
    }

    /// Completes requests that are held for as many events as there are.
    pub(crate) fn deliver_events(&mut self, now_ns: u64) {
        let Self {
            outstanding,
            events,
            ..
        } = self;
        let held = outstanding
            .iter_mut()
            .filter(|command| matches!(command.stage, Stage::Held));
        for (request, (event, page)) in held.zip(std::iter::from_fn(|| events.take())) {
            let dw0 = AsyncEventDw0::new()
                .with_event_type(type_of(event))
                .with_info(event.0 as u8)
                .with_log_page(page);
            let end = End {
                status: Status::SUCCESS,
                do_not_retry: false,
                more: false,
                dw0: dw0.into_bits(),
            };
            request.stage = Stage::Complete(Some(now_ns.saturating_add(REPORT_NS)), end);
        }
    }
}

//! A request's way out: the DPC of a queue pair.

use crate::adapter::Adapter;
use crate::storport::{Port, SrbList};

/// When to come back to a pair or a state that could not be had, in microseconds.
pub(crate) const BUSY_US: u32 = 1000;

/// The DPC of the message of pair `index`: drains its completion queue, and looks at nothing else. What has to be done besides is
/// control's.
pub(crate) fn deferred(adapter: &Adapter, port: Port, index: usize) {
    let (Some(pair), units) = (adapter.io.pairs().get(index), adapter.io.units.get()) else {
        return;
    };
    let mut done = SrbList::new();
    let Some(mut shared) = pair.lock_briefly() else {
        // Passive initialisation has it, which looks for itself when it ends; or it is in great demand.
        port.tick_after(BUSY_US);
        return;
    };
    let found = shared.drain(units, &mut done);
    drop(shared);
    done.complete(port);
    if found.more {
        pair.dpc.issue_for(port, index);
    }
    if found.sampled {
        let now = port.now();
        if let Some(mut shared) = pair.lock_briefly() {
            shared.answered_at(now);
        }
    }
    if found.broken {
        adapter.dpc.issue(port);
    }
}

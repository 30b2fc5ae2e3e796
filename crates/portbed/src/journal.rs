//! What happened, in order: the source of the timeline and of the report's events.

use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;

/// Who an event is about.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Who {
    /// The test bed itself.
    Bed,
    /// The port driver that the test bed plays.
    Port,
    /// The miniport: what it logged through the port driver.
    Driver,
    /// The controller.
    Controller,
    /// The disk on top: partitions, file systems, files.
    Disk,
}

/// One thing that happened.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Event {
    /// Virtual time since the machine was made, in nanoseconds.
    pub t_ns: u64,
    /// Whom it is about.
    pub who: Who,
    /// What happened, one line.
    pub what: String,
}

type Listener = Box<dyn Fn(&Event) + Send>;

/// A shared, append-only list of events. Clones share the list.
#[derive(Clone, Default)]
pub struct Journal {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    events: Vec<Event>,
    listener: Option<Listener>,
}

impl Journal {
    /// Calls `listener` for every later event, as it happens.
    pub fn listen(&self, listener: impl Fn(&Event) + Send + 'static) {
        self.lock().listener = Some(Box::new(listener));
    }

    /// Adds an event.
    pub fn note(&self, t_ns: u64, who: Who, what: impl Into<String>) {
        let event = Event {
            t_ns,
            who,
            what: what.into(),
        };
        let mut inner = self.lock();
        if let Some(listener) = &inner.listener {
            listener(&event);
        }
        inner.events.push(event);
    }

    /// Every event so far.
    #[must_use]
    pub fn events(&self) -> Vec<Event> {
        self.lock().events.clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

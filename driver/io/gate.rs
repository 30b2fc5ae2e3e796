//! What becomes of a request that comes to a queue pair, as the control plane says.

use crate::storport::SrbStatus;

/// Whether requests go to the controller.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Gate {
    /// They do.
    Open,
    /// They are held. What the controller has ends as ever.
    Paused,
    /// They are held, and the queue pair is left alone: the controller is not running.
    Closed,
    /// They go to the first pair: the controller has fewer pairs than there were.
    Elsewhere,
    /// They come back with this status, and the queue pair is left alone.
    Refusing(SrbStatus),
}

impl Gate {
    /// Whether completions are taken.
    pub(crate) const fn drains(self) -> bool {
        matches!(self, Self::Open | Self::Paused)
    }
}

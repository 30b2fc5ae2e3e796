//! What went wrong in a run, and what of it a fault of the controller made unavoidable.

use nvme_model::Losses;

/// What kind of failure it is.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Kind {
    /// Data differ.
    #[default]
    Data,
    /// A request failed.
    Request,
    /// The disk was refused, or is not there.
    Disk,
    /// Anything else, which nothing excuses.
    Other,
}

/// Something that went wrong.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Its kind.
    pub kind: Kind,
    /// One line.
    pub what: String,
}

impl Failure {
    /// Whether it is among what is lost anyway. A disk must not go without a word of the driver.
    pub fn is_excused(&self, losses: Losses, told: bool) -> bool {
        match self.kind {
            Kind::Data => losses.data,
            Kind::Request => losses.requests || losses.disk && told,
            Kind::Disk => losses.disk && told,
            Kind::Other => false,
        }
    }
}

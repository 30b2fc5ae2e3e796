//! The data plane: what a request touches on its way to the controller and back.

pub(crate) mod pair;
pub(crate) mod request;
pub(crate) mod units;

//! The control plane: what takes the adapter from one state to the next. Bring-up, power, plug and play, reset, Host Memory Buffer.

pub(crate) mod call;
pub(crate) mod downgrade;
pub(crate) mod find;
mod hmb;
pub(crate) mod interrupt;
mod lending;
pub(crate) mod mask;
mod namespaces;
mod naming;
mod plug_and_play;
mod policy;
pub(crate) mod power;
pub(crate) mod recovery;
mod report;
mod returned;
pub(crate) mod start;
pub(crate) mod state;

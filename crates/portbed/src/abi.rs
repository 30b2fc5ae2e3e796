//! The structures and constants of `storport.h` that the port driver exchanges with a miniport, written from measured
//! facts. Pointers are addresses, enumerations are numbers: nothing that a miniport fills in is trusted to be valid.

pub(crate) mod callback;
pub(crate) mod configuration;
pub(crate) mod function;
pub(crate) mod initialization;
pub(crate) mod interrupt;
pub(crate) mod mdl;
pub(crate) mod notification;
pub(crate) mod pofx;
pub(crate) mod power;
pub(crate) mod srb;
pub(crate) mod status;
#[cfg(test)]
mod tests;

//! The controller model, driven as a host drives a device: by registers, queues and interrupts.

mod admin;
mod bring_up;
mod death;
mod events;
mod faults;
mod features;
mod hmb;
mod host;
mod hostile;
mod interrupts;
mod io;
mod media;
mod prp;
mod queues;

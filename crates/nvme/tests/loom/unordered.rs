//! The sources of the queue pair, without the order of memory and doorbells.

pub use nvme::{DmaMemory, PAGE_BYTES, Registers};

pub mod order {
    pub fn before_doorbell() {}
    pub fn after_phase_tag() {}
}
#[path = "../../src/pair.rs"]
pub mod pair;
#[path = "../../src/queue.rs"]
pub mod queue;
#[path = "../../src/slots.rs"]
pub mod slots;
pub mod lifecycle {
    pub use nvme::lifecycle::{Impossible, QueueMemory};
}

//! The sources of the queue pair, as they are.

pub use nvme::{DmaMemory, PAGE_BYTES, Registers};

#[path = "../../../sync/src/order.rs"]
pub mod order;
#[path = "../../src/pair.rs"]
pub mod pair;
#[path = "../../src/queue.rs"]
pub mod queue;
#[path = "../../src/slots.rs"]
pub mod slots;
pub mod lifecycle {
    pub use nvme::lifecycle::{Impossible, QueueMemory};
}

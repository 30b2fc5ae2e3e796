//! Memory of the host that driver and controller share.

use std::cell::RefCell;
use std::rc::Rc;

use nvme::DmaMemory;
use zerocopy::{FromBytes, IntoBytes};

/// Where the shared memory begins for the controller.
pub const BASE: u64 = 0x4_0000_0000;
pub(super) const PAGE: usize = 4096;

/// Memory that driver and controller share.
#[derive(Clone, Debug)]
pub struct Memory {
    bytes: Rc<RefCell<Vec<u8>>>,
    start: usize,
    len: usize,
}

impl Memory {
    pub fn pages(count: usize) -> Self {
        let bytes = Rc::new(RefCell::new(vec![0xA5; count * PAGE]));
        Self {
            bytes,
            start: 0,
            len: count * PAGE,
        }
    }

    pub fn part(&self, start: usize, len: usize) -> Self {
        Self {
            bytes: Rc::clone(&self.bytes),
            start: self.start + start,
            len,
        }
    }

    pub fn page(&self, index: usize) -> Self {
        self.part(index * PAGE, PAGE)
    }

    /// Reads what is at a device address.
    pub fn get<T: FromBytes + IntoBytes>(&self, address: u64) -> T {
        let mut value = T::new_zeroed();
        self.read(
            usize::try_from(address - BASE).unwrap(),
            value.as_mut_bytes(),
        );
        value
    }

    /// Writes to a device address.
    pub fn put(&self, address: u64, bytes: &[u8]) {
        self.write(usize::try_from(address - BASE).unwrap(), bytes);
    }
}

impl DmaMemory for Memory {
    fn address(&self) -> u64 {
        BASE + self.start as u64
    }

    fn len(&self) -> usize {
        self.len
    }

    fn read(&self, offset: usize, into: &mut [u8]) {
        let bytes = self.bytes.borrow();
        for (index, byte) in into.iter_mut().enumerate() {
            let at = offset + index;
            *byte = if at < self.len {
                bytes[self.start + at]
            } else {
                0
            };
        }
    }

    fn write(&self, offset: usize, from: &[u8]) {
        let mut bytes = self.bytes.borrow_mut();
        for (index, byte) in from.iter().enumerate() {
            if offset + index < self.len {
                bytes[self.start + offset + index] = *byte;
            }
        }
    }
}

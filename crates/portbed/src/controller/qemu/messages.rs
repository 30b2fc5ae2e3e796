//! MSI-X messages: each is written to a word of its own in the guest's memory, which is looked at.

use std::io;
use std::ops::Range;

use crate::memory::{PAGE_BYTES, PhysicalMemory};
use crate::pages::Pages;

/// The page of the words: the test bed gives nothing below 16 MiB to anybody.
const PAGE_ADDRESS: u64 = 1 << 20;

/// Bytes of an entry of the message table.
const ENTRY_BYTES: u64 = 16;

/// The words, and where in BAR0 the message table lies.
#[derive(Debug)]
pub(super) struct Messages {
    words: Pages,
    table: Range<u64>,
}

impl Messages {
    /// Words in `memory` for a function without a message table.
    pub(super) fn new(memory: &PhysicalMemory) -> io::Result<Self> {
        let words = Pages::reserve(PAGE_BYTES)?;
        words.map(0, PAGE_BYTES, memory.file(), PAGE_ADDRESS)?;
        Ok(Self { words, table: 0..0 })
    }

    /// The message table lies at `offset` of BAR0.
    pub(super) fn set_table(&mut self, offset: u64, vectors: u64) {
        let vectors = vectors.min(PAGE_BYTES / 4);
        self.table = offset..offset + vectors * ENTRY_BYTES;
    }

    /// What is written in place of a word that system software writes into the message table: the address of the
    /// message's own word instead of a processor's, and 1 instead of a vector.
    pub(super) fn redirect(&self, offset: u64, value: u64) -> u64 {
        if !self.table.contains(&offset) {
            return value;
        }
        let vector = (offset - self.table.start) / ENTRY_BYTES;
        match (offset - self.table.start) % ENTRY_BYTES {
            0 => PAGE_ADDRESS + vector * 4,
            4 => 0,
            8 => 1,
            _ => value,
        }
    }

    /// Takes the messages that have arrived.
    pub(super) fn take(&self) -> io::Result<Vec<u16>> {
        let vectors = (self.table.end - self.table.start) / ENTRY_BYTES;
        let mut words = vec![0; vectors as usize * 4];
        self.words.read(0, &mut words)?;
        let mut arrived = Vec::new();
        for (vector, word) in (0_u16..).zip(words.chunks_exact(4)) {
            if word != [0; 4] {
                // Cleared before it is told: a message that comes in between says nothing new.
                self.words.write(u64::from(vector) * 4, &[0; 4])?;
                arrived.push(vector);
            }
        }
        Ok(arrived)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_found_where_the_table_sends_it_and_only_once() {
        let memory = PhysicalMemory::new(64 << 20, 1).unwrap();
        let mut messages = Messages::new(&memory).unwrap();
        messages.set_table(0x2000, 3);
        let entry = [0x2020, 0x2024, 0x2028, 0x202C];
        let written = entry.map(|offset| messages.redirect(offset, 0xFEE0_0000));
        assert_eq!(&written[1..], &[0, 1, 0xFEE0_0000]);
        let file_offset = written[0] - PAGE_ADDRESS;
        messages.words.write(file_offset, &[1, 0, 0, 0]).unwrap();
        assert_eq!(messages.take().unwrap(), [2]);
        assert_eq!(messages.take().unwrap(), [0; 0]);
        assert_eq!(messages.redirect(0x1FFC, 7), 7);
        assert_eq!(messages.redirect(0x2030, 7), 7);
    }
}

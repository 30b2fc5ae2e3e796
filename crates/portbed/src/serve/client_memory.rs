//! Memory of the client, as it was mapped for the device.
//!
//! It is read and written through the file that it lies in, not through a mapping of it: a client that makes the file
//! shorter gets failed transfers, and not this process killed.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;

use nvme_model::BusFault;
use rustix::io::Errno;

use super::message::{DmaMap, DmaUnmap};

/// The most mappings that a client can have.
pub const MOST_MAPPINGS: usize = 512;

const READABLE: u32 = 1;
const WRITABLE: u32 = 2;
const WITH_DIRTY_PAGES: u32 = 2;
const ALL: u32 = 4;

/// What a client has mapped.
#[derive(Default)]
pub struct ClientMemory {
    mappings: BTreeMap<u64, Mapping>,
}

struct Mapping {
    bytes: u64,
    offset: u64,
    readable: bool,
    writable: bool,
    /// Without a file, the client would have to be asked for each byte.
    file: Option<File>,
}

impl ClientMemory {
    /// Lets the device use memory that lies in a file.
    pub fn map(&mut self, map: &DmaMap, file: Option<OwnedFd>) -> Result<(), Errno> {
        let end = map.address.checked_add(map.bytes).ok_or(Errno::INVAL)?;
        let end_in_file = map.offset.checked_add(map.bytes).ok_or(Errno::INVAL)?;
        if map.bytes == 0 || map.flags & !(READABLE | WRITABLE) != 0 {
            return Err(Errno::INVAL);
        }
        if self.overlaps(map.address, end) {
            return Err(Errno::EXIST);
        }
        if self.mappings.len() >= MOST_MAPPINGS {
            return Err(Errno::NOSPC);
        }
        let file = file.map(File::from);
        if let Some(file) = &file {
            let metadata = file.metadata().map_err(|_| Errno::BADF)?;
            if !metadata.is_file() || metadata.len() < end_in_file {
                return Err(Errno::INVAL);
            }
        }
        let mapping = Mapping {
            bytes: map.bytes,
            offset: map.offset,
            readable: map.flags & READABLE != 0,
            writable: map.flags & WRITABLE != 0,
            file,
        };
        self.mappings.insert(map.address, mapping);
        Ok(())
    }

    /// Takes whole mappings back.
    pub fn unmap(&mut self, unmap: &DmaUnmap) -> Result<(), Errno> {
        match unmap.flags {
            0 => {}
            ALL if unmap.address == 0 && unmap.bytes == 0 => {
                self.mappings.clear();
                return Ok(());
            }
            WITH_DIRTY_PAGES => return Err(Errno::OPNOTSUPP),
            _ => return Err(Errno::INVAL),
        }
        let end = unmap.address.checked_add(unmap.bytes).ok_or(Errno::INVAL)?;
        let within = |address: u64, mapping: &Mapping| {
            address >= unmap.address && address + mapping.bytes <= end
        };
        let mut touched = self
            .mappings
            .iter()
            .filter(|(address, mapping)| {
                **address < end && **address + mapping.bytes > unmap.address
            })
            .peekable();
        if touched.peek().is_none() {
            return Err(Errno::NOENT);
        }
        if touched.any(|(address, mapping)| !within(*address, mapping)) {
            return Err(Errno::INVAL);
        }
        self.mappings
            .retain(|address, mapping| !within(*address, mapping));
        Ok(())
    }

    fn overlaps(&self, start: u64, end: u64) -> bool {
        self.mappings
            .range(..end)
            .next_back()
            .is_some_and(|(address, mapping)| address + mapping.bytes > start)
    }

    /// Reads memory.
    pub fn read(&self, from: u64, into: &mut [u8]) -> Result<(), BusFault> {
        self.walk(from, into.len(), |mapping, offset, part| {
            mapping.readable && mapping.on_file(|file| file.read_exact_at(&mut into[part], offset))
        })
    }

    /// Writes memory.
    pub fn write(&self, to: u64, data: &[u8]) -> Result<(), BusFault> {
        self.walk(to, data.len(), |mapping, offset, part| {
            mapping.writable && mapping.on_file(|file| file.write_all_at(&data[part], offset))
        })
    }

    /// Calls `each` with every mapping that `bytes` bytes at `start` lie in, an offset in its file, and the part of the
    /// bytes; stops where there is none, or where it fails.
    fn walk(
        &self,
        start: u64,
        bytes: usize,
        mut each: impl FnMut(&Mapping, u64, std::ops::Range<usize>) -> bool,
    ) -> Result<(), BusFault> {
        let mut done = 0;
        while done < bytes {
            let address = start
                .checked_add(done as u64)
                .ok_or(BusFault { address: start })?;
            let fault = BusFault { address };
            let (base, mapping) = self.mappings.range(..=address).next_back().ok_or(fault)?;
            let within = address - base;
            let left = mapping.bytes.checked_sub(within).filter(|left| *left > 0);
            let left = usize::try_from(left.ok_or(fault)?).unwrap_or(usize::MAX);
            let end = done.saturating_add(left).min(bytes);
            if !each(mapping, mapping.offset + within, done..end) {
                return Err(fault);
            }
            done = end;
        }
        Ok(())
    }
}

impl Mapping {
    fn on_file(&self, act: impl FnOnce(&File) -> std::io::Result<()>) -> bool {
        self.file.as_ref().is_some_and(|file| act(file).is_ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(bytes: u64) -> OwnedFd {
        let file = tempfile::tempfile().unwrap();
        file.set_len(bytes).unwrap();
        file.into()
    }

    fn at(address: u64, bytes: u64, flags: u32) -> DmaMap {
        DmaMap {
            argsz: 32,
            flags,
            offset: 0,
            address,
            bytes,
        }
    }

    fn away(address: u64, bytes: u64, flags: u32) -> DmaUnmap {
        DmaUnmap {
            argsz: 24,
            flags,
            address,
            bytes,
        }
    }

    #[test]
    fn a_transfer_spans_mappings_but_no_gap() {
        let mut memory = ClientMemory::default();
        let shared = file(0x3000);
        let mut first = at(0x1000, 0x1000, 3);
        first.offset = 0x2000;
        memory.map(&first, Some(shared)).unwrap();
        memory
            .map(&at(0x2000, 0x1000, 3), Some(file(0x1000)))
            .unwrap();
        let data: Vec<u8> = (0..=255).cycle().take(0x800).collect();
        memory.write(0x1C00, &data).unwrap();
        let mut found = vec![0; 0x800];
        memory.read(0x1C00, &mut found).unwrap();
        assert_eq!(found, data);
        let fault = memory.read(0x2C00, &mut found).unwrap_err();
        assert_eq!(fault.address, 0x3000);
        assert!(memory.read(0xFFF, &mut found[..2]).is_err());
        assert!(memory.read(u64::MAX, &mut found).is_err());
    }

    #[test]
    fn memory_is_used_only_as_it_was_mapped() {
        let mut memory = ClientMemory::default();
        memory
            .map(&at(0x1000, 0x1000, 1), Some(file(0x1000)))
            .unwrap();
        memory
            .map(&at(0x2000, 0x1000, 2), Some(file(0x1000)))
            .unwrap();
        memory.map(&at(0x3000, 0x1000, 3), None).unwrap();
        let mut word = [0; 4];
        assert!(memory.read(0x1000, &mut word).is_ok() && memory.write(0x1000, &word).is_err());
        assert!(memory.write(0x2000, &word).is_ok() && memory.read(0x2000, &mut word).is_err());
        assert!(memory.read(0x3000, &mut word).is_err() && memory.write(0x3000, &word).is_err());
    }

    #[test]
    fn a_file_that_shrinks_fails_transfers_and_nothing_else() {
        let mut memory = ClientMemory::default();
        let shared = file(0x2000);
        let client = File::from(shared.try_clone().unwrap());
        memory.map(&at(0, 0x2000, 3), Some(shared)).unwrap();
        client.set_len(0x1000).unwrap();
        let mut word = [0; 4];
        assert!(memory.read(0x1000, &mut word).is_err());
        assert!(memory.read(0, &mut word).is_ok());
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let mut memory = ClientMemory::default();
        let mut map = |map: DmaMap, bytes| memory.map(&map, Some(file(bytes)));
        assert_eq!(map(at(0, 0, 3), 1), Err(Errno::INVAL));
        assert_eq!(map(at(u64::MAX, 2, 3), 2), Err(Errno::INVAL));
        assert_eq!(map(at(0, 0x1000, 8), 0x1000), Err(Errno::INVAL));
        assert_eq!(map(at(0, 0x1000, 3), 0xFFF), Err(Errno::INVAL));
        let mut beyond = at(0, 0x1000, 3);
        beyond.offset = u64::MAX;
        assert_eq!(map(beyond, 0x1000), Err(Errno::INVAL));
        assert_eq!(map(at(0x1000, 0x2000, 3), 0x2000), Ok(()));
        assert_eq!(map(at(0x2FFF, 0x1000, 3), 0x1000), Err(Errno::EXIST));
        assert_eq!(map(at(0, 0x1001, 3), 0x1001), Err(Errno::EXIST));
        assert_eq!(map(at(0x3000, 0x1000, 3), 0x1000), Ok(()));
        for page in 2..MOST_MAPPINGS as u64 {
            assert_eq!(map(at(page << 20, 1, 3), 1), Ok(()));
        }
        assert_eq!(map(at(0, 1, 3), 1), Err(Errno::NOSPC));
        let (pipe, _) = std::io::pipe().unwrap();
        let mut memory = ClientMemory::default();
        assert_eq!(
            memory.map(&at(0, 1, 3), Some(pipe.into())),
            Err(Errno::INVAL)
        );
    }

    #[test]
    fn whole_mappings_are_taken_back() {
        let mut memory = ClientMemory::default();
        for page in [1, 2, 4] {
            memory
                .map(&at(page << 12, 0x1000, 3), Some(file(0x1000)))
                .unwrap();
        }
        assert_eq!(memory.unmap(&away(0x1000, 0x800, 0)), Err(Errno::INVAL));
        assert_eq!(memory.unmap(&away(0x8000, 0x1000, 0)), Err(Errno::NOENT));
        assert_eq!(memory.unmap(&away(0x1000, u64::MAX, 0)), Err(Errno::INVAL));
        assert_eq!(
            memory.unmap(&away(0x1000, 0x1000, 2)),
            Err(Errno::OPNOTSUPP)
        );
        assert_eq!(memory.unmap(&away(0x1000, 0x2000, 0)), Ok(()));
        let mut word = [0; 4];
        assert!(memory.read(0x1000, &mut word).is_err() && memory.read(0x2000, &mut word).is_err());
        assert!(memory.read(0x4000, &mut word).is_ok());
        assert_eq!(memory.unmap(&away(0, 0, 4)), Ok(()));
        assert!(memory.read(0x4000, &mut word).is_err());
    }
}

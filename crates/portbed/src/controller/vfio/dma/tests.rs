use super::*;
use crate::memory::{PhysicalMemory, Request};

/// Tables that remember what they were told, and have room for so many bytes.
#[derive(Debug)]
struct Remembered {
    mapped: Mutex<BTreeMap<u64, (u64, bool)>>,
    room_bytes: u64,
}

impl Remembered {
    fn all(&self) -> Vec<(u64, u64, bool)> {
        let mapped = self.mapped.lock().unwrap();
        let each = mapped.iter();
        each.map(|(&iova, &(bytes, writable))| (iova, bytes, writable))
            .collect()
    }
}

impl Tables for Remembered {
    unsafe fn map(&self, iova: u64, bytes: u64, _: u64, writable: bool) -> io::Result<()> {
        if bytes > self.room_bytes {
            return Err(io::Error::from_raw_os_error(libc::ENOMEM));
        }
        self.mapped.lock().unwrap().insert(iova, (bytes, writable));
        Ok(())
    }

    fn unmap(&self, iova: u64, bytes: u64) -> io::Result<()> {
        let known = self.mapped.lock().unwrap().remove(&iova);
        if known.is_some_and(|(mapped, _)| mapped == bytes) {
            Ok(())
        } else {
            Err(io::ErrorKind::NotFound.into())
        }
    }
}

struct Bench {
    memory: PhysicalMemory,
    tables: Arc<Remembered>,
    journal: Journal,
    dma: Arc<Dma>,
    gate: Gate,
}

fn bench(room_bytes: u64) -> Bench {
    let memory = PhysicalMemory::new(64 << 20, 1).unwrap();
    let arena = Arena::new(&memory, 64 << 20).unwrap();
    let tables = Arc::new(Remembered {
        mapped: Mutex::default(),
        room_bytes,
    });
    let journal = Journal::default();
    let notes = Notes::new(journal.clone());
    let dma = Arc::new(Dma::new(Arc::clone(&tables) as _, arena, notes));
    Bench {
        memory,
        tables,
        journal,
        gate: Gate(Arc::clone(&dma)),
        dma,
    }
}

impl Bench {
    /// The last thing that was told.
    fn told(&self) -> String {
        let events = self.journal.events();
        events
            .last()
            .map(|event| event.what.clone())
            .unwrap_or_default()
    }

    /// Host memory of `bytes`, granted.
    fn granted(&mut self, bytes: u64) -> u64 {
        let request = Request::new(bytes, "host memory buffer").aligned(PAGE_BYTES);
        let start = self.memory.alloc_controller_only(request).unwrap();
        self.gate.map(start, bytes, DmaUse::Hmb);
        start
    }
}

#[test]
fn a_range_is_mapped_by_the_pages_that_it_touches() {
    assert_eq!(whole_pages(0x1000, 0x1000), (0x1000, 0x1000));
    assert_eq!(whole_pages(0x1FFF, 2), (0x1000, 0x2000));
    assert_eq!(whole_pages(0x1010, 0x10), (0x1000, 0x1000));
}

#[test]
fn memory_is_mapped_as_long_as_it_is_allowed_and_not_writable_where_it_is_only_read() {
    let mut bench = bench(u64::MAX);
    bench.gate.map(0x100_0010, 0x20, DmaUse::Read);
    bench.gate.map(0x100_2000, 0x1800, DmaUse::Write);
    bench.gate.map(0x100_5000, 0x1000, DmaUse::Adapter);
    let all = [
        (0x100_0000, 0x1000, false),
        (0x100_2000, 0x2000, true),
        (0x100_5000, 0x1000, true),
    ];
    assert_eq!(bench.tables.all(), all);
    bench.gate.unmap(0x100_2000);
    bench.gate.unmap(0x100_0010);
    assert_eq!(bench.tables.all(), all[2..]);
    bench.dma.take_back();
    assert_eq!(bench.tables.all(), []);
    // What was taken back is not taken back again.
    bench.gate.unmap(0x100_5000);
    assert_eq!(bench.dma.failure(), None);
}

#[test]
fn what_cannot_be_locked_is_told_with_what_to_do() {
    let mut bench = bench(PAGE_BYTES);
    bench.gate.map(0x100_0000, 2 * PAGE_BYTES, DmaUse::Adapter);
    assert!(bench.dma.failure().unwrap().contains("ulimit -l"));
}

#[test]
fn what_the_device_left_in_host_memory_is_told_when_it_is_taken_back() {
    let mut bench = bench(u64::MAX);
    let start = bench.granted(4 << 20);
    let told = bench.told();
    assert!(told.contains("4096 KiB locked and mapped"), "{told}");
    let before = told.rsplit_once(' ').unwrap().1.to_owned();
    bench
        .memory
        .write(start + 7 * PAGE_BYTES, &[5; 5000])
        .unwrap();
    bench.gate.unmap(start);
    let told = bench.told();
    assert!(told.contains("left 2 of 1024 pages changed"), "{told}");
    assert!(told.contains(&format!("before {before}")), "{told}");
    assert!(!told.ends_with(&before), "{told}");
}

#[test]
fn a_device_that_writes_to_host_memory_while_it_sleeps_is_told() {
    let mut bench = bench(u64::MAX);
    let start = bench.granted(2 << 20);
    bench.memory.write(start, &[1]).unwrap();
    bench.dma.fall_asleep();
    bench.dma.wake();
    assert!(bench.told().contains("unchanged while the device slept"));
    bench.dma.fall_asleep();
    bench.memory.write(start + 5, &[1]).unwrap();
    bench.dma.wake();
    let told = bench.told();
    assert!(
        told.contains("1 of 512 pages changed while the device slept"),
        "{told}"
    );
}

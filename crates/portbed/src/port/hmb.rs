//! The host memory buffer: granted, watched, taken back.

use super::call::Call;
use crate::abi::callback;
use crate::abi::configuration::AccessRange;
use crate::abi::status;
use crate::controller::DmaUse;
use crate::journal::Who;
use crate::machine::{DispatchFree, DispatchGrant, Grant};
use crate::memory::{PAGE_BYTES, Request};
use crate::rules::port as rules;
use crate::schedule::irql::DISPATCH;
use crate::schedule::{Core, Cpu, State};
use crate::thunk::Arguments;

/// `RangeLength` is a ULONG: a range is shorter than 4 GiB.
const LONGEST_RANGE_BYTES: u64 = (4 << 30) - PAGE_BYTES;
/// How long the search for contiguous memory takes, where the caller can be put to sleep: others ask meanwhile.
const SEARCH_NS: u64 = 10_000_000;
/// What a range has at most where contiguous memory is scarce.
const SHORT_RANGE_BYTES: u64 = 128 << 10;
/// An array longer than this is not believed.
const MOST_RANGES: u32 = 1 << 16;

/// Every grant of the run, and what became of it.
#[derive(Default)]
pub(crate) struct HmbLedger {
    /// What is granted at this moment: (physical address, bytes).
    pub(crate) granted: Vec<(u64, u64)>,
    pub(crate) granted_bytes: u64,
    pub(crate) ranges: u64,
    pub(crate) freed: u64,
    pub(crate) freed_bytes: u64,
    /// Calls at `DISPATCH_LEVEL`: those that were granted memory, and those that give it back.
    pub(crate) granted_at_dispatch: u64,
    pub(crate) freed_at_dispatch: u64,
    /// What the miniport declared as retained.
    pub(crate) declared_bytes: u64,
    /// Of what was left over: declared, safe but left to the port driver, and neither.
    pub(crate) retained_bytes: u64,
    pub(crate) left_to_port_bytes: u64,
    pub(crate) outstanding_bytes: u64,
    /// How often an allocation was refused because it came too early.
    refused: u32,
}

impl HmbLedger {
    /// Whether an allocation is to be refused, as the first `times` are; counts it.
    fn refuse_until(&mut self, times: u32) -> bool {
        let refuse = self.refused < times;
        self.refused += u32::from(refuse);
        refuse
    }

    /// The miniport gave up what it was granted: it is freed, or the port driver is left with it. How many bytes that were.
    fn give_back(&mut self, freed: bool) -> u64 {
        let bytes = self.held_bytes();
        self.granted.clear();
        if freed {
            self.freed += 1;
            self.freed_bytes += bytes;
        } else {
            self.left_to_port_bytes += bytes;
        }
        bytes
    }

    /// Counts what was not freed as lost: the memory is never used again.
    pub(super) fn forget(&mut self) {
        self.granted.clear();
        self.declared_bytes = 0;
    }

    /// Bytes granted at this moment.
    pub(crate) fn held_bytes(&self) -> u64 {
        self.granted.iter().map(|&(_, bytes)| bytes).sum()
    }
}

/// What a miniport asks for.
struct Asked {
    minimum: u64,
    preferred: u64,
    utilization: u64,
    alignment: u32,
    lowest: u64,
    highest: u64,
    boundary: u64,
    ranges_at: u64,
    count_at: u64,
}

impl Asked {
    fn read(arguments: &mut Arguments) -> Self {
        Self {
            minimum: arguments.next_u64(),
            preferred: arguments.next_u64(),
            utilization: arguments.next_u64(),
            alignment: arguments.next_u32(),
            lowest: arguments.next_u64(),
            highest: arguments.next_u64(),
            boundary: arguments.next_u64(),
            ranges_at: arguments.next_u64(),
            count_at: arguments.next_u64(),
        }
    }

    /// Where contiguous memory is scarce: how much of `bytes` comes of the short ranges that the array has room for, and of how
    /// many. What the miniport needs at least comes all the same.
    fn scarce(&self, bytes: u64, count: u32) -> (u64, u32) {
        let ranges = u64::from(count) * SHORT_RANGE_BYTES;
        let least = self.minimum.max(PAGE_BYTES);
        let bytes = bytes.min(self.preferred / 2).min(ranges).max(least);
        let bytes = bytes.next_multiple_of(PAGE_BYTES);
        (bytes, bytes.div_ceil(SHORT_RANGE_BYTES) as u32)
    }

    /// Judges the arguments; whether the port driver accepts them, given room for `count` ranges.
    fn judge(&self, cpu: &Cpu, count: u32) -> bool {
        let pages =
            self.minimum.is_multiple_of(PAGE_BYTES) && self.preferred.is_multiple_of(PAGE_BYTES);
        let sizes = pages && self.minimum <= self.preferred && self.preferred > 0;
        cpu.check(&rules::HMB_SIZES, sizes, || {
            format!(
                "minimum {:#x}, preferred {:#x} bytes",
                self.minimum, self.preferred
            )
        });
        cpu.check(&rules::HMB_BOUNDARY, self.boundary == 0, || {
            format!("boundary {:#x}", self.boundary)
        });
        let window =
            self.lowest < self.highest && (self.alignment == 0 || self.alignment.is_power_of_two());
        cpu.check(&rules::HMB_WINDOW, window, || {
            format!(
                "from {:#x} to {:#x}, alignment {:#x}",
                self.lowest, self.highest, self.alignment
            )
        });
        let array = self.ranges_at != 0 && self.count_at != 0 && (1..=MOST_RANGES).contains(&count);
        cpu.check(&rules::HMB_ARRAY, array, || {
            format!("{count} ranges at {:#x}", self.ranges_at)
        });
        sizes && window && array && self.boundary == 0
    }
}

/// `StorPortAllocateHostMemoryBuffer`.
pub(super) fn allocate(call: &Call, arguments: &mut Arguments) -> u32 {
    let cpu = call.cpu();
    let asked = Asked::read(arguments);
    let counted = call.needs_place::<u32>(asked.count_at, "number of ranges");
    let count = if counted {
        callback::read(asked.count_at)
    } else {
        0
    };
    let grant = cpu.core().options.grant;
    note(
        cpu,
        format!(
            "host memory asked for: minimum {} KiB, preferred {} KiB, in at most {count} ranges, {} MiB in use on the device",
            asked.minimum >> 10,
            asked.preferred >> 10,
            asked.utilization >> 20
        ),
    );
    if grant == Grant::NotImplemented {
        note(cpu, "host memory: the call is not implemented".to_owned());
        return status::NOT_IMPLEMENTED;
    }
    let room = count.min(MOST_RANGES) as usize * size_of::<AccessRange>();
    let placed = asked.ranges_at == 0 || call.needs_room(asked.ranges_at, room, "array of ranges");
    let valid = asked.judge(cpu, count) && placed;
    let already = cpu.state().port.hmb.held_bytes();
    cpu.check(&rules::HMB_ONCE, already == 0, || {
        format!("{already:#x} bytes are granted already")
    });
    if !valid || grant == Grant::Invalid {
        note(cpu, "host memory refused: invalid parameter".to_owned());
        return status::INVALID_PARAMETER;
    }
    let at_dispatch = cpu.irql() >= DISPATCH;
    let limit = cpu.core().options.dispatch_grant;
    let limit = if at_dispatch {
        limit
    } else {
        DispatchGrant::Ok
    };
    let bytes = match grant {
        _ if limit == DispatchGrant::Refuse => 0,
        Grant::Later(times) if cpu.state().port.hmb.refuse_until(times) => 0,
        Grant::Preferred | Grant::Ranges(_) | Grant::Later(_) => asked.preferred,
        Grant::Minimum => {
            if asked.minimum == 0 {
                PAGE_BYTES
            } else {
                asked.minimum
            }
        }
        Grant::Half => (asked.preferred / 2).next_multiple_of(PAGE_BYTES),
        Grant::Refuse | Grant::NotImplemented | Grant::Invalid => 0,
    };
    let at_least = if let Grant::Ranges(ranges) = grant {
        ranges
    } else {
        1
    };
    let (bytes, at_least) = if limit == DispatchGrant::Small && bytes > 0 {
        asked.scarce(bytes, count)
    } else {
        (bytes, at_least)
    };
    let parts = split(cpu, bytes, at_least.min(count), count);
    if !at_dispatch {
        cpu.sleep(SEARCH_NS);
    }
    let granted = reserve(cpu, &parts, asked.highest);
    if granted.is_empty() {
        note(
            cpu,
            "host memory refused: insufficient resources".to_owned(),
        );
        return status::INSUFFICIENT_RESOURCES;
    }
    for (index, &(start, bytes)) in (0_u64..).zip(&granted) {
        // Only four bytes of padding follow the flag; the port driver promises nothing about them.
        let range = AccessRange {
            start,
            length: bytes as u32,
            in_memory: 1,
            gap_0: [0; 3],
        };
        callback::write(
            asked.ranges_at + index * size_of::<AccessRange>() as u64,
            range,
        );
    }
    callback::write(asked.count_at, granted.len() as u32);
    adopt(cpu, granted);
    cpu.state().port.hmb.granted_at_dispatch += u64::from(at_dispatch);
    status::SUCCESS
}

fn adopt(cpu: &Cpu, granted: Vec<(u64, u64)>) {
    let bytes: u64 = granted.iter().map(|&(_, bytes)| bytes).sum();
    let ranges = granted.len();
    {
        let mut state = cpu.state();
        for &(start, bytes) in &granted {
            state.port.dma.allow(start, bytes, DmaUse::Hmb);
        }
        let ledger = &mut state.port.hmb;
        ledger.granted_bytes += bytes;
        ledger.ranges += ranges as u64;
        ledger.granted.extend(granted);
    }
    note(
        cpu,
        format!(
            "host memory granted: {} KiB in {ranges} ranges",
            bytes >> 10
        ),
    );
}

/// Cuts `bytes` into at least `at_least` and at most `at_most` parts of whole pages, each shorter than 4 GiB.
fn split(cpu: &Cpu, bytes: u64, at_least: u32, at_most: u32) -> Vec<u64> {
    let pages = bytes / PAGE_BYTES;
    if pages == 0 {
        return Vec::new();
    }
    let longest = LONGEST_RANGE_BYTES / PAGE_BYTES;
    let least = pages.div_ceil(longest).max(u64::from(at_least)).min(pages);
    let parts = least.min(u64::from(at_most));
    let mut state = cpu.state();
    let mut left = pages;
    (0..parts)
        .map(|index| {
            let others = parts - index - 1;
            let even = left / (others + 1);
            // Parts differ, so that nothing relies on equal ones.
            let spread = if others == 0 {
                0
            } else {
                state.random.u64(..=even / 4)
            };
            let part = if others == 0 {
                left
            } else {
                (even - spread).max(1)
            }
            .min(longest);
            left -= part;
            part * PAGE_BYTES
        })
        .collect()
}

fn reserve(cpu: &Cpu, parts: &[u64], highest: u64) -> Vec<(u64, u64)> {
    let memory = &cpu.core().memory;
    let mut granted = Vec::new();
    for &bytes in parts {
        let request = Request::new(bytes, "host memory buffer")
            .aligned(PAGE_BYTES)
            .up_to(highest);
        let Some(start) = memory.alloc_controller_only(request) else {
            for (start, _) in granted.drain(..) {
                let _ = memory.free_controller_only(start);
            }
            return granted;
        };
        granted.push((start, bytes));
    }
    granted
}

/// `StorPortFreeHostMemoryBuffer`.
pub(super) fn free(call: &Call, arguments: &mut Arguments) -> u32 {
    let cpu = call.cpu();
    let (ranges_at, count) = (arguments.next_u64(), arguments.next_u32());
    let bytes = count.min(MOST_RANGES) as usize * size_of::<AccessRange>();
    let named: Vec<(u64, u64)> = if call.needs_bytes(ranges_at, bytes, "array of ranges") {
        (0..u64::from(count.min(MOST_RANGES)))
            .map(|index| {
                callback::read::<AccessRange>(ranges_at + index * size_of::<AccessRange>() as u64)
            })
            .map(|range| (range.start, u64::from(range.length)))
            .collect()
    } else {
        Vec::new()
    };
    let (granted, lent) = {
        let state = cpu.state();
        (state.port.hmb.granted.clone(), state.controller.hmb().lent)
    };
    let exact = !granted.is_empty() && named == granted;
    cpu.check(&rules::HMB_FREE_RANGES, exact, || {
        format!(
            "{} ranges are freed, {} are granted: {named:x?}",
            named.len(),
            granted.len()
        )
    });
    let safe = !overlap(&lent, &named);
    cpu.check(&rules::HMB_FREE_LENT, safe, || {
        format!(
            "the controller may still use {} of the ranges that are freed",
            lent.len()
        )
    });
    if !exact {
        note(
            cpu,
            "host memory not freed: these ranges are not granted".to_owned(),
        );
        return status::UNSUCCESSFUL;
    }
    for (start, _) in granted {
        cpu.state().port.dma.forbid(start);
        let _ = cpu.core().memory.free_controller_only(start);
    }
    let at_dispatch = cpu.irql() >= DISPATCH;
    let refused = at_dispatch && cpu.core().options.dispatch_free == DispatchFree::Refuse;
    let takes_back = cpu.core().options.takes_back && !refused;
    cpu.state().port.hmb.freed_at_dispatch += u64::from(at_dispatch);
    let bytes = cpu.state().port.hmb.give_back(takes_back);
    let what = if takes_back { "freed" } else { "not freed" };
    note(cpu, format!("host memory {what}: {} KiB", bytes >> 10));
    if takes_back {
        status::SUCCESS
    } else {
        status::UNSUCCESSFUL
    }
}

/// Whether any of `a` overlaps any of `b`.
pub(super) fn overlap(a: &[(u64, u64)], b: &[(u64, u64)]) -> bool {
    a.iter().any(|&(start, bytes)| {
        b.iter()
            .any(|&(other, others)| start < other + others && other < start + bytes)
    })
}

/// The controller has read a list of descriptors: judges what it was lent.
pub(crate) fn judge_lent(core: &Core, state: &State) {
    let granted = &state.port.hmb.granted;
    let lent = state.controller.hmb().lent;
    let inside = lent.iter().all(|&(start, bytes)| {
        granted
            .iter()
            .any(|&(base, length)| start >= base && start + bytes <= base + length)
    });
    core.judge.check(
        &rules::HMB_LENT_GRANTED,
        inside,
        || "controller".to_owned(),
        || format!("lent: {lent:x?}, granted: {granted:x?}"),
    );
}

fn note(cpu: &Cpu, what: String) {
    let now_ns = cpu.state().now_ns;
    cpu.core().journal.note(now_ns, Who::Port, what);
}

#[cfg(test)]
mod tests {
    use super::overlap;

    #[test]
    fn ranges_that_touch_do_not_overlap() {
        assert!(!overlap(
            &[(0x1000, 0x1000)],
            &[(0x2000, 0x1000), (0, 0x1000)]
        ));
        assert!(overlap(&[(0x1000, 0x1000)], &[(0x1FFF, 1)]));
        assert!(!overlap(&[], &[(0, 1)]));
    }
}

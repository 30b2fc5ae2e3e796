//! The Host Memory Buffer (5.27.1.10, Identify 5.17.2.1): memory of the host that the controller borrows. States are types:
//!
//! [`Wanted`] (what to ask the port driver for) -> [`Granted`] (its ranges, unknown to the controller) -> [`Plan`]
//! (the descriptor list fits the controller) -> [`Lent`] (the controller may use it at any moment) -> with the proof
//! [`Detached`] [`Granted`] again -> freed with [`Granted::into_ranges`].
//!
//! A state is neither copied nor cloned, and each step consumes it: what is lent cannot be freed, what is freed cannot be lent.
//! The ranges themselves stay in memory of the adapter, exactly as the port driver wrote them; the states hold the
//! owner's token `R`, which is what is needed to free them.

use nvme_spec::feature::HostMemoryBufferDescriptor;
use zerocopy::IntoBytes;

use crate::{DmaMemory, PAGE_BYTES};

mod downgrade;

pub use downgrade::{Downgrade, Probation, Sampling, Symptom};

/// The unit of HMPRE, HMMIN and HMMINDS in bytes, whatever CC.MPS says.
pub const UNIT_BYTES: u64 = 4096;
/// The most ranges this driver takes: their descriptors fill one page.
pub const MAX_RANGES: u16 = PAGE_BYTES as u16 / size_of::<HostMemoryBufferDescriptor>() as u16;
/// Bytes of a megabyte, as policy values count them.
const MEGABYTE: u64 = 1 << 20;
const PAGE_MASK: u64 = PAGE_BYTES as u64 - 1;
const PAGE_SHIFT: u32 = PAGE_BYTES.trailing_zeros();

/// What the controller says about its Host Memory Buffer in Identify Controller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Preferred size (HMPRE) in bytes; 0 when the controller wants none.
    pub preferred_bytes: u64,
    /// Minimum size (HMMIN) in bytes; 0 when any size is of use.
    pub minimum_bytes: u64,
    /// Minimum size of one descriptor (HMMINDS) in bytes; 0 when there is none.
    pub minimum_descriptor_bytes: u64,
    /// Maximum number of descriptors (HMMAXD); 0 when there is none.
    pub max_descriptors: u16,
}

impl Needs {
    /// The most ranges of memory that can be of use.
    #[must_use]
    pub const fn max_ranges(&self) -> u16 {
        if self.max_descriptors == 0 || self.max_descriptors > MAX_RANGES {
            MAX_RANGES
        } else {
            self.max_descriptors
        }
    }
}

/// How much memory the machine's owner is ready to lend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The most to lend to one controller, in megabytes; 0 turns the buffer off.
    pub maximum_megabytes: u32,
    /// A controller whose minimum exceeds the maximum still gets its minimum, up to so many megabytes.
    pub honour_minimum_up_to_megabytes: u32,
    /// The most to lend to all adapters together, in megabytes.
    pub total_megabytes: u32,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            maximum_megabytes: 64,
            honour_minimum_up_to_megabytes: 256,
            total_megabytes: 512,
        }
    }
}

/// What made the size that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// Nothing: it is what the controller prefers.
    Preferred,
    /// [`Policy::maximum_megabytes`].
    Maximum,
    /// The controller's minimum, which is above the maximum and was honoured.
    MinimumHonoured,
    /// [`Policy::total_megabytes`].
    Total,
    /// A [`Downgrade`].
    Downgraded,
}

/// Why no memory is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotWanted {
    /// The controller wants none: HMPRE is 0.
    NotRequested,
    /// The policy turns it off.
    Off,
    /// The controller's minimum is above its preferred size.
    Contradictory,
    /// The controller's minimum is more than the policy honours.
    MinimumTooLarge,
    /// What all adapters together may lend is used up.
    TotalExceeded,
    /// The controller died on what it was lent before, and what it could still be lent is of no use to it.
    Downgraded,
}

/// What to ask the port driver for.
#[must_use = "nothing is asked for until the port driver is called"]
#[derive(Debug, PartialEq, Eq)]
pub struct Wanted {
    minimum_bytes: u64,
    preferred_bytes: u64,
    utilization_bytes: u64,
    max_ranges: u16,
    limit: Limit,
}

impl Wanted {
    /// Decides how much to ask for. `used_by_others_bytes` is what all other adapters of this driver hold,
    /// `utilization_bytes` what is allocated on the device (see [`crate::identify::Namespaces::used_bytes`]).
    pub fn decide(
        needs: &Needs,
        policy: &Policy,
        used_by_others_bytes: u64,
        utilization_bytes: u64,
    ) -> Result<Self, NotWanted> {
        if needs.preferred_bytes == 0 {
            return Err(NotWanted::NotRequested);
        }
        if policy.maximum_megabytes == 0 {
            return Err(NotWanted::Off);
        }
        if needs.minimum_bytes > needs.preferred_bytes {
            return Err(NotWanted::Contradictory);
        }
        let maximum = megabytes(policy.maximum_megabytes);
        let (size, limit) = if needs.minimum_bytes > maximum {
            if needs.minimum_bytes > megabytes(policy.honour_minimum_up_to_megabytes) {
                return Err(NotWanted::MinimumTooLarge);
            }
            (needs.minimum_bytes, Limit::MinimumHonoured)
        } else if needs.preferred_bytes > maximum {
            (maximum, Limit::Maximum)
        } else {
            (needs.preferred_bytes, Limit::Preferred)
        };
        let room =
            megabytes(policy.total_megabytes).saturating_sub(used_by_others_bytes) & !PAGE_MASK;
        if room == 0 || room < needs.minimum_bytes {
            return Err(NotWanted::TotalExceeded);
        }
        Ok(Self {
            minimum_bytes: needs.minimum_bytes,
            preferred_bytes: size.min(room),
            utilization_bytes,
            max_ranges: needs.max_ranges(),
            limit: if size > room { Limit::Total } else { limit },
        })
    }

    /// Asks for at most `limit_bytes`, for a controller with a [`Downgrade`].
    pub fn at_most(self, limit_bytes: u64) -> Result<Self, NotWanted> {
        if limit_bytes == 0 || limit_bytes < self.minimum_bytes {
            return Err(NotWanted::Downgraded);
        }
        if self.preferred_bytes <= limit_bytes {
            return Ok(self);
        }
        Ok(Self {
            preferred_bytes: limit_bytes,
            limit: Limit::Downgraded,
            ..self
        })
    }

    /// The least that is of use, in bytes, a multiple of the page size; 0 when any size is.
    #[must_use]
    pub const fn minimum_bytes(&self) -> u64 {
        self.minimum_bytes
    }

    /// What is asked for, in bytes, a multiple of the page size.
    #[must_use]
    pub const fn preferred_bytes(&self) -> u64 {
        self.preferred_bytes
    }

    /// What is allocated on the device, in bytes.
    #[must_use]
    pub const fn utilization_bytes(&self) -> u64 {
        self.utilization_bytes
    }

    /// The most ranges that are of use: the length of the array that the port driver may fill.
    #[must_use]
    pub const fn max_ranges(&self) -> u16 {
        self.max_ranges
    }

    /// Alignment of each range in bytes.
    #[must_use]
    pub const fn alignment_bytes(&self) -> u32 {
        PAGE_BYTES
    }

    /// What made the size.
    #[must_use]
    pub const fn limit(&self) -> Limit {
        self.limit
    }

    /// The port driver granted `ranges`.
    pub fn granted<R: Ranges>(self, ranges: R) -> Granted<R> {
        Granted {
            ranges,
            lending: None,
        }
    }
}

const fn megabytes(count: u32) -> u64 {
    (count as u64).saturating_mul(MEGABYTE)
}

/// A range of physical memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// Device address of the first byte.
    pub address: u64,
    /// Length in bytes.
    pub bytes: u64,
}

/// The ranges that the port driver granted, wherever they are kept, and the right to free them.
pub trait Ranges {
    /// The range at `index`, as it was granted; `None` after the last.
    fn range(&self, index: usize) -> Option<Range>;

    /// Bytes granted, usable or not.
    fn bytes(&self) -> u64 {
        self.each()
            .fold(0, |sum, range| sum.saturating_add(range.bytes))
    }

    /// Number of ranges granted.
    fn count(&self) -> usize {
        self.each().count()
    }

    /// The ranges one after the other.
    fn each(&self) -> impl Iterator<Item = Range> {
        (0..usize::from(u16::MAX)).map_while(|index| self.range(index))
    }
}

/// Memory that the port driver granted and no controller knows of: it may be freed.
#[must_use = "granted memory has to be lent or freed"]
#[derive(Debug)]
pub struct Granted<R> {
    ranges: R,
    /// The lending it came back from, when it has been lent before.
    lending: Option<u32>,
}

/// Why a grant cannot be lent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unusable {
    /// What can be offered is less than the controller's minimum: the bytes that could be.
    BelowMinimum {
        /// Bytes in ranges that the controller would take.
        offered_bytes: u64,
    },
}

impl<R: Ranges> Granted<R> {
    /// Bytes granted, usable or not.
    pub fn bytes(&self) -> u64 {
        self.ranges.bytes()
    }

    /// Number of ranges granted.
    pub fn count(&self) -> usize {
        self.ranges.count()
    }

    /// Chooses what the controller is offered: whole pages of ranges of at least HMMINDS, at most HMMAXD of them.
    /// Ranges that continue each other are offered as one; what is not offered is kept for the free.
    pub fn plan(self, needs: &Needs) -> Result<Plan<R>, (Self, Unusable)> {
        let mut pages = 0u32;
        let mut descriptors = 0u16;
        for descriptor in Descriptors::new(&self.ranges, needs) {
            pages = pages.saturating_add(descriptor.bsize);
            descriptors = descriptors.saturating_add(1);
        }
        let offered_bytes = u64::from(pages).saturating_mul(u64::from(PAGE_BYTES));
        if pages == 0 || offered_bytes < needs.minimum_bytes {
            return Err((self, Unusable::BelowMinimum { offered_bytes }));
        }
        Ok(Plan {
            granted: self,
            needs: *needs,
            pages,
            descriptors,
        })
    }

    /// Gives the memory up, to be freed with the ranges as they were granted.
    pub fn into_ranges(self) -> R {
        self.ranges
    }

    /// The ranges as they were granted.
    pub const fn ranges(&self) -> &R {
        &self.ranges
    }
}

/// Granted memory and the descriptor list that fits the controller. It is lent by
/// [`Controller::lend`](crate::lifecycle::Controller::lend).
#[must_use = "a plan has to be lent or given up"]
#[derive(Debug)]
pub struct Plan<R> {
    granted: Granted<R>,
    needs: Needs,
    pages: u32,
    descriptors: u16,
}

impl<R: Ranges> Plan<R> {
    /// Bytes that the controller is offered.
    pub const fn offered_bytes(&self) -> u64 {
        (self.pages as u64).saturating_mul(PAGE_BYTES as u64)
    }

    /// Size in memory pages, as the command tells it (HSIZE).
    pub const fn pages(&self) -> u32 {
        self.pages
    }

    /// Number of descriptors (HMDLEC).
    pub const fn descriptors(&self) -> u16 {
        self.descriptors
    }

    /// Gives the plan up: the controller knows of nothing.
    pub fn into_granted(self) -> Granted<R> {
        self.granted
    }

    /// The lending that the memory came back from, when it has been lent before.
    pub(crate) const fn last_lending(&self) -> Option<u32> {
        self.granted.lending
    }

    /// Writes the descriptor list and says whether it was there already, entry by entry.
    pub(crate) fn write_list(&self, list: &impl DmaMemory) -> bool {
        let mut unchanged = true;
        let offsets = (0usize..).step_by(size_of::<HostMemoryBufferDescriptor>());
        for (offset, descriptor) in offsets.zip(Descriptors::new(&self.granted.ranges, &self.needs))
        {
            let mut before = [0; size_of::<HostMemoryBufferDescriptor>()];
            list.read(offset, &mut before);
            if before != descriptor.as_bytes() {
                unchanged = false;
                list.write(offset, descriptor.as_bytes());
            }
        }
        unchanged
    }

    /// Gives the memory to the controller, as lending number `lending`.
    pub(crate) fn lend(self, lending: u32) -> Lent<R> {
        Lent {
            offered_bytes: self.offered_bytes(),
            descriptors: self.descriptors,
            granted: self.granted,
            lending,
        }
    }
}

/// Memory that the controller may read and write at any moment: nothing here can free it.
#[must_use = "lent memory has to be taken back before it can be freed"]
#[derive(Debug)]
pub struct Lent<R> {
    granted: Granted<R>,
    lending: u32,
    offered_bytes: u64,
    descriptors: u16,
}

impl<R: Ranges> Lent<R> {
    /// Takes the memory back, with proof that the controller does not use it. A proof for an earlier lending is none:
    /// the memory stays lent.
    pub fn reclaim(self, Detached { lending }: Detached) -> Result<Granted<R>, Self> {
        if lending != self.lending {
            return Err(self);
        }
        Ok(Granted {
            ranges: self.granted.ranges,
            lending: Some(self.lending),
        })
    }

    /// Bytes that the controller was offered.
    pub const fn offered_bytes(&self) -> u64 {
        self.offered_bytes
    }

    /// Number of descriptors that the controller was given.
    pub const fn descriptors(&self) -> u16 {
        self.descriptors
    }

    /// The ranges as they were granted, to report them.
    pub const fn ranges(&self) -> &R {
        &self.granted.ranges
    }
}

/// Proof that the controller does not use the memory of one lending. Only the lifecycle makes it, once for each lending:
/// a disable completed, RDY = 0 was seen after a reset, or the controller was removed.
/// A command that timed out is no proof.
#[must_use = "without the proof the memory stays lent"]
#[derive(Debug, PartialEq, Eq)]
pub struct Detached {
    lending: u32,
}

impl Detached {
    pub(crate) const fn new(lending: u32) -> Self {
        Self { lending }
    }
}

/// The descriptors of the ranges that the controller takes.
struct Descriptors<'a, R> {
    ranges: &'a R,
    index: usize,
    left: u16,
    minimum_bytes: u64,
}

impl<'a, R: Ranges> Descriptors<'a, R> {
    fn new(ranges: &'a R, needs: &Needs) -> Self {
        Self {
            ranges,
            index: 0,
            left: needs.max_ranges(),
            minimum_bytes: needs.minimum_descriptor_bytes.max(u64::from(PAGE_BYTES)),
        }
    }

    /// The next range, together with those that continue it: its start and end.
    fn run(&mut self) -> Option<(u64, u64)> {
        let first = self.ranges.range(self.index)?;
        let start = first.address;
        let mut end = start.saturating_add(first.bytes);
        self.index = self.index.wrapping_add(1);
        while let Some(next) = self.ranges.range(self.index)
            && next.address == end
        {
            end = end.saturating_add(next.bytes);
            self.index = self.index.wrapping_add(1);
        }
        Some((start, end))
    }
}

impl<R: Ranges> Iterator for Descriptors<'_, R> {
    type Item = HostMemoryBufferDescriptor;

    fn next(&mut self) -> Option<HostMemoryBufferDescriptor> {
        self.left = self.left.checked_sub(1)?;
        loop {
            let (start, end) = self.run()?;
            let badd = start.checked_next_multiple_of(u64::from(PAGE_BYTES));
            let usable = badd.and_then(|badd| Some((badd, (end & !PAGE_MASK).checked_sub(badd)?)));
            let Some((badd, bytes)) = usable else {
                continue;
            };
            if bytes >= self.minimum_bytes
                && let Ok(bsize) = u32::try_from(bytes >> PAGE_SHIFT)
            {
                return Some(HostMemoryBufferDescriptor {
                    badd,
                    bsize,
                    reserved: 0,
                });
            }
        }
    }
}

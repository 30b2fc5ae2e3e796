//! The Host Memory Buffer (NVMe Base, Host Memory Buffer): checks what the host lends, uses it, and notices when somebody
//! else did.
//!
//! Every lent page carries a pattern that is a function of its place and of how often it was used. At each I/O command a
//! few pages are checked and written anew; when the memory is returned, or lent again with MR = 1, all of them are checked.

use nvme_spec::feature::{
    HOST_MEMORY_DESCRIPTOR_LIST_ALIGNMENT, HostMemoryBufferAttributes, HostMemoryBufferDescriptor,
};
use nvme_spec::status::Status;
use zerocopy::{FromZeros, IntoBytes};

use crate::bus::{Access, Bus};
use crate::controller::HmbCounters;
use crate::profile::Profile;
use crate::rule::Rule;

/// Pages that an I/O command uses.
const PAGES_PER_COMMAND: usize = 2;
/// Pages that are used at most: of more, evenly spread ones.
const PAGES_USED: u64 = 1 << 16;

/// What a host asks for when it sets EHM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Offer {
    /// HSIZE: pages in all.
    pub(crate) pages: u32,
    /// Address of the descriptor list.
    pub(crate) list: u64,
    /// Entries of the descriptor list.
    pub(crate) entries: u32,
    /// MR: the memory is what the controller last saw.
    pub(crate) returned: bool,
    /// The memory page size.
    pub(crate) page_bytes: u64,
}

/// Memory that the controller uses, or used last.
struct Lent {
    offer: Offer,
    descriptors: Vec<HostMemoryBufferDescriptor>,
    /// Address of each page that the controller has a use for, and how often the page was written.
    pages: Vec<(u64, u32)>,
    /// The next page to use.
    cursor: usize,
}

/// The Host Memory Buffer of a controller.
pub(crate) struct HostMemory {
    preferred_bytes: u64,
    minimum_bytes: u64,
    entry_bytes: u64,
    entries: u16,
    lent: Option<Lent>,
    last: Option<Lent>,
    /// What is lent is not used, because the controller is shut down.
    rests: bool,
    counters: HmbCounters,
}

impl HostMemory {
    /// Nothing is lent yet.
    pub(crate) fn new(profile: &Profile) -> Self {
        Self {
            preferred_bytes: profile.hmpre_bytes,
            minimum_bytes: profile.hmmin_bytes,
            entry_bytes: profile.hmminds_bytes,
            entries: profile.hmmaxd,
            lent: None,
            last: None,
            rests: false,
            counters: HmbCounters::default(),
        }
    }

    /// How often memory was lent.
    pub(crate) fn times_enabled(&self) -> u64 {
        self.counters.enabled
    }

    /// The controller has a use for host memory.
    pub(crate) fn wanted(&self) -> bool {
        self.preferred_bytes > 0
    }

    /// Memory is lent.
    pub(crate) fn is_enabled(&self) -> bool {
        self.lent.is_some()
    }

    /// How much is lent.
    pub(crate) fn lent_bytes(&self) -> u64 {
        self.lent.as_ref().map_or(0, |lent| {
            u64::from(lent.offer.pages) * lent.offer.page_bytes
        })
    }

    /// What became of it so far.
    pub(crate) fn counters(&self) -> HmbCounters {
        let mut counters = self.counters.clone();
        if let Some(lent) = &self.lent {
            counters.ranges = lent.ranges();
            counters.lent_bytes = self.lent_bytes();
        }
        counters
    }

    /// The data of Get Features.
    pub(crate) fn attributes(&self) -> HostMemoryBufferAttributes {
        let mut attributes = HostMemoryBufferAttributes::new_zeroed();
        if let Some(Lent { offer, .. }) = &self.lent {
            attributes.hsize = offer.pages;
            attributes.hmdlal = offer.list as u32;
            attributes.hmdlau = (offer.list >> 32) as u32;
            attributes.hmdlec = offer.entries;
        }
        attributes
    }

    /// Takes memory into use.
    pub(crate) fn enable(&mut self, offer: Offer, bus: &mut dyn Bus) -> Result<(), Status> {
        let sequence = self.lent.is_none();
        bus.judge(Rule::HmbSequence, sequence, &|| {
            "EHM is set while the Host Memory Buffer is enabled".to_owned()
        });
        if !sequence {
            return Err(Status::COMMAND_SEQUENCE_ERROR);
        }
        let descriptors = self.accept(offer, bus)?;
        let lent = self.take_over(offer, descriptors, bus);
        self.counters.enabled += 1;
        self.counters.memory_returned += u64::from(offer.returned);
        bus.note(format!(
            "Host Memory Buffer enabled: {} KiB in {} ranges, MR = {}",
            (u64::from(offer.pages) * offer.page_bytes) >> 10,
            lent.descriptors.len(),
            u8::from(offer.returned),
        ));
        self.lent = Some(lent);
        Ok(())
    }

    /// The memory in use: as it was left where MR says so and it is true, written anew otherwise.
    fn take_over(
        &mut self,
        offer: Offer,
        descriptors: Vec<HostMemoryBufferDescriptor>,
        bus: &mut dyn Bus,
    ) -> Lent {
        let last = self.last.take();
        if offer.returned {
            let same = last.filter(|last| last.is_same(offer, &descriptors));
            bus.judge(Rule::HmbMemoryReturn, same.is_some(), &|| {
                "MR = 1 with another size or list than the controller last saw".to_owned()
            });
            if let Some(last) = same
                && last.check_all(Rule::HmbMemoryReturn, "when it is lent again", bus)
            {
                return last;
            }
        }
        Lent::new(offer, descriptors, self.preferred_bytes, bus)
    }

    /// Checks what is offered; the descriptors if it can be used.
    fn accept(
        &self,
        offer: Offer,
        bus: &mut dyn Bus,
    ) -> Result<Vec<HostMemoryBufferDescriptor>, Status> {
        let aligned = offer
            .list
            .is_multiple_of(HOST_MEMORY_DESCRIPTOR_LIST_ALIGNMENT);
        bus.judge(Rule::HmbListAddress, aligned, &|| {
            format!("the descriptor list is at {:#x}", offer.list)
        });
        let most = if self.entries == 0 {
            u16::MAX
        } else {
            self.entries
        };
        let counted = (1..=u32::from(most)).contains(&offer.entries);
        bus.judge(Rule::HmbEntryCount, counted, &|| {
            format!("{} descriptor entries, at most {most}", offer.entries)
        });
        let bytes = u64::from(offer.pages) * offer.page_bytes;
        let enough = offer.pages > 0 && bytes >= self.minimum_bytes;
        bus.judge(Rule::HmbMinimum, enough, &|| {
            format!(
                "{bytes} bytes are lent, the minimum is {}",
                self.minimum_bytes
            )
        });
        if !(aligned && counted && enough) {
            return Err(Status::INVALID_FIELD);
        }
        let descriptors = read_list(offer, bus).ok_or(Status::DATA_TRANSFER_ERROR)?;
        if self.judge_entries(offer, &descriptors, bus) {
            Ok(descriptors)
        } else {
            Err(Status::INVALID_FIELD)
        }
    }

    fn judge_entries(
        &self,
        offer: Offer,
        descriptors: &[HostMemoryBufferDescriptor],
        bus: &mut dyn Bus,
    ) -> bool {
        let page = offer.page_bytes;
        let least = self.entry_bytes.max(1);
        let small = find(descriptors, |entry| u64::from(entry.bsize) * page < least);
        bus.judge(Rule::HmbEntrySize, small.is_none(), &|| {
            format!("{}, the least is {least} bytes", describe(small, page))
        });
        let odd = find(descriptors, |entry| {
            !entry.badd.is_multiple_of(page) || entry.reserved != 0
        });
        bus.judge(Rule::HmbEntryAddress, odd.is_none(), &|| {
            describe(odd, page)
        });
        let distinct = are_distinct(descriptors, page);
        bus.judge(Rule::HmbEntriesDistinct, distinct, &|| {
            "descriptor entries overlap or wrap".to_owned()
        });
        let sum: u64 = descriptors.iter().map(|entry| u64::from(entry.bsize)).sum();
        let summed = sum == u64::from(offer.pages);
        bus.judge(Rule::HmbSize, summed, &|| {
            format!("HSIZE is {} pages, the entries have {sum}", offer.pages)
        });
        small.is_none() && odd.is_none() && distinct && summed
    }

    /// The host takes the memory back by command.
    pub(crate) fn disable(&mut self, bus: &mut dyn Bus) {
        if let Some(lent) = self.lent.take() {
            lent.check_list(bus);
            lent.check_all(Rule::HmbUntouched, "at disable", bus);
            self.counters.disabled += 1;
            bus.note("Host Memory Buffer disabled".to_owned());
            self.last = Some(lent);
        }
    }

    /// The controller is shut down: it uses the memory no more, whatever the host does with it from now on.
    pub(crate) fn rest(&mut self, bus: &mut dyn Bus) {
        if let Some(lent) = &self.lent {
            lent.check_list(bus);
            lent.check_all(Rule::HmbUntouched, "at shutdown", bus);
            self.rests = true;
        }
    }

    /// A reset of the controller takes the memory out of use.
    pub(crate) fn reset(&mut self, bus: &mut dyn Bus) {
        let rested = std::mem::take(&mut self.rests);
        if let Some(lent) = self.lent.take() {
            if !rested {
                lent.check_list(bus);
                lent.check_all(Rule::HmbUntouched, "at reset", bus);
            }
            bus.note("Host Memory Buffer dropped by a reset".to_owned());
            self.last = Some(lent);
        }
    }

    /// The controller lost power or is gone: it remembers what it used, and no longer reaches it.
    pub(crate) fn lose(&mut self) {
        self.rests = false;
        if let Some(lent) = self.lent.take() {
            self.last = Some(lent);
        }
    }

    /// Uses a few pages, as an I/O command does.
    pub(crate) fn work(&mut self, bus: &mut dyn Bus) {
        if let Some(lent) = &mut self.lent {
            for _ in 0..PAGES_PER_COMMAND.min(lent.pages.len()) {
                lent.work(bus);
            }
        }
    }
}

impl Lent {
    /// Takes memory into use: every page gets its pattern. The controller has no use for more than it prefers.
    fn new(
        offer: Offer,
        descriptors: Vec<HostMemoryBufferDescriptor>,
        useful_bytes: u64,
        bus: &mut dyn Bus,
    ) -> Self {
        let useful = useful_bytes.div_ceil(offer.page_bytes);
        let each = useful.min(offer.pages.into()).div_ceil(PAGES_USED).max(1);
        let pages = descriptors
            .iter()
            .flat_map(|entry| {
                (0..u64::from(entry.bsize)).map(|page| entry.badd + page * offer.page_bytes)
            })
            .take(useful as usize)
            .step_by(each as usize)
            .map(|address| (address, 0))
            .collect();
        let lent = Self {
            offer,
            descriptors,
            pages,
            cursor: 0,
        };
        let mut failed = None;
        for index in 0..lent.pages.len() {
            if !lent.fill(index, bus) {
                failed = failed.or(Some(index));
            }
        }
        lent.judge_page(Rule::HmbUntouched, failed, "at enable", bus);
        lent
    }

    fn ranges(&self) -> Vec<(u64, u64)> {
        self.descriptors
            .iter()
            .map(|entry| (entry.badd, u64::from(entry.bsize) * self.offer.page_bytes))
            .collect()
    }

    /// The offer is of this memory.
    fn is_same(&self, offer: Offer, descriptors: &[HostMemoryBufferDescriptor]) -> bool {
        let before = Offer {
            returned: offer.returned,
            ..self.offer
        };
        before == offer && self.descriptors == descriptors
    }

    /// What the page contains.
    fn pattern(&self, index: usize) -> Vec<u8> {
        let (address, writes) = self.pages[index];
        let mut state = address ^ u64::from(writes) << 48 ^ 0x9E37_79B9_7F4A_7C15 | 1;
        let mut page = Vec::with_capacity(self.offer.page_bytes as usize);
        for _ in 0..self.offer.page_bytes / 8 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            page.extend_from_slice(&state.to_le_bytes());
        }
        page
    }

    fn fill(&self, index: usize, bus: &mut dyn Bus) -> bool {
        let (address, _) = self.pages[index];
        bus.write(address, &self.pattern(index), Access::Hmb)
            .is_ok()
    }

    fn holds(&self, index: usize, bus: &mut dyn Bus) -> bool {
        let (address, _) = self.pages[index];
        let mut found = vec![0; self.offer.page_bytes as usize];
        bus.read(address, &mut found, Access::Hmb).is_ok() && found == self.pattern(index)
    }

    /// Checks the next page and writes it anew.
    fn work(&mut self, bus: &mut dyn Bus) {
        let index = self.cursor;
        self.cursor = (index + 1) % self.pages.len();
        let held = self.holds(index, bus);
        self.pages[index].1 = self.pages[index].1.wrapping_add(1);
        let failed = (!held || !self.fill(index, bus)).then_some(index);
        self.judge_page(Rule::HmbUntouched, failed, "during an I/O command", bus);
    }

    fn check_all(&self, rule: Rule, when: &str, bus: &mut dyn Bus) -> bool {
        let failed = (0..self.pages.len()).find(|index| !self.holds(*index, bus));
        self.judge_page(rule, failed, when, bus);
        failed.is_none()
    }

    fn judge_page(&self, rule: Rule, failed: Option<usize>, when: &str, bus: &mut dyn Bus) {
        bus.judge(rule, failed.is_none(), &|| {
            let address = failed
                .and_then(|index| self.pages.get(index))
                .map_or(0, |page| page.0);
            format!("the page at {address:#x} is not as the controller left it, {when}")
        });
    }

    /// The descriptor list is still what it was.
    fn check_list(&self, bus: &mut dyn Bus) {
        let kept = read_list(self.offer, bus).is_some_and(|now| now == self.descriptors);
        bus.judge(Rule::HmbListKept, kept, &|| {
            format!(
                "the descriptor list at {:#x} is not what was lent",
                self.offer.list
            )
        });
    }
}

fn read_list(offer: Offer, bus: &mut dyn Bus) -> Option<Vec<HostMemoryBufferDescriptor>> {
    let mut list = vec![HostMemoryBufferDescriptor::default(); offer.entries as usize];
    bus.read(offer.list, list.as_mut_bytes(), Access::HmbDescriptors)
        .ok()?;
    Some(list)
}

fn find(
    descriptors: &[HostMemoryBufferDescriptor],
    wrong: impl Fn(&HostMemoryBufferDescriptor) -> bool,
) -> Option<(usize, HostMemoryBufferDescriptor)> {
    descriptors
        .iter()
        .copied()
        .enumerate()
        .find(|(_, entry)| wrong(entry))
}

fn describe(found: Option<(usize, HostMemoryBufferDescriptor)>, page_bytes: u64) -> String {
    found.map_or_else(String::new, |(index, entry)| {
        let bytes = u64::from(entry.bsize) * page_bytes;
        format!(
            "descriptor entry {index} is {bytes} bytes at {:#x}",
            entry.badd
        )
    })
}

/// No two entries overlap, and none passes the end of the address space.
fn are_distinct(descriptors: &[HostMemoryBufferDescriptor], page_bytes: u64) -> bool {
    let mut ranges = Vec::with_capacity(descriptors.len());
    for entry in descriptors {
        match entry.badd.checked_add(u64::from(entry.bsize) * page_bytes) {
            Some(end) => ranges.push((entry.badd, end)),
            None => return false,
        }
    }
    ranges.sort_unstable();
    ranges.windows(2).all(|pair| pair[0].1 <= pair[1].0)
}

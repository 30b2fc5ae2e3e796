//! Which controller the model is: sizes, limits, and how it answers when asked to use or return host memory.

mod choices;
mod error;
mod keys;
#[cfg(test)]
mod tests;
mod value;

pub use choices::{
    Allocation, Answer, Dataset, Deallocated, Death, Dies, Handover, Identifiers, IntxLine, Ranges,
    Temperature, Verify,
};
pub use error::{ProfileError, Refusal};
pub use keys::{Key, NamedProfile};
pub(crate) use value::{death, size};

use keys::{KEYS, NAMED};
use value::{
    allocation, answer, dataset, deallocated, dies, function, handover, identifier, late_timeout,
    line, milliseconds, pages, power_of_two, preferred, printable, ranges, reset, temperature,
    verify, version,
};

use crate::fault::Fault;
use crate::media::{Media, MemoryMedia};
use crate::pci::{DEVICE_ID, VENDOR_ID};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// What the model is. [`Profile::default`] is a controller with a Host Memory Buffer and a namespace of 1 GiB.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// Model number, as Identify Controller tells it.
    pub model: String,
    /// Firmware revision, as Identify Controller tells it.
    pub firmware: String,
    /// Firmware revision from the next time on that it loses its power: one that does not die. Empty for no change.
    pub update: String,
    /// PCI vendor and device.
    pub pci: (u16, u16),
    /// Serial number, as Identify Controller tells it.
    pub serial: String,
    /// Identifiers of every namespace; `None` where each has its own.
    pub identifiers: Identifiers,
    /// The number of the controller in a subsystem that has several and shares its namespaces; 0 for one by itself.
    pub path: u16,
    /// Specification revision as in the register VS, for example `0x0001_0400`.
    pub version: u32,
    /// Size of each namespace that [`Profile::memory`] makes.
    pub capacity_bytes: u64,
    /// Logical block size.
    pub block_bytes: u32,
    /// Number of namespaces that [`Profile::memory`] makes.
    pub namespaces: u32,
    /// Largest transfer, 0 for no limit.
    pub mdts_bytes: u64,
    /// See [`Verify`].
    pub verify: Verify,
    /// The Write Zeroes command, in the same way.
    pub write_zeroes: Verify,
    /// See [`Dataset`].
    pub dataset: Dataset,
    /// See [`Deallocated`].
    pub deallocated: Deallocated,
    /// See [`Ranges`].
    pub ranges: Ranges,
    /// NOIOB, in blocks.
    pub boundary_blocks: u16,
    /// NPWG, NPWA, NPDG, NPDA and NOWS, in blocks; `None` where they are not told.
    pub preferred_blocks: Option<[u32; 5]>,
    /// Largest I/O queue, in entries.
    pub queue_entries: u32,
    /// So many I/O completions are posted together.
    pub group: u16,
    /// I/O submission queues, and completion queues unless [`Profile::completion_queues`] says how many.
    pub queues: u16,
    /// I/O completion queues; 0 for as many as submission queues.
    pub completion_queues: u16,
    /// See [`Allocation`].
    pub allocates: Allocation,
    /// MSI-X messages, 0 for none.
    pub messages: u16,
    /// Messages of plain MSI, a power of two up to 32; 0 for none.
    pub msi: u16,
    /// See [`Handover`].
    pub handover: Handover,
    /// See [`IntxLine`].
    pub intx: IntxLine,
    /// Distance of two doorbells.
    pub doorbell_bytes: u32,
    /// Smallest memory page.
    pub page_min_bytes: u64,
    /// Largest memory page.
    pub page_max_bytes: u64,
    /// Preferred size of the Host Memory Buffer, 0 for none.
    pub hmpre_bytes: u64,
    /// Least size of the Host Memory Buffer.
    pub hmmin_bytes: u64,
    /// Least size of a descriptor entry, 0 for no limit.
    pub hmminds_bytes: u64,
    /// Most descriptor entries, 0 for no limit.
    pub hmmaxd: u16,
    /// Answer to an enable of the Host Memory Buffer.
    pub enable: Answer,
    /// Answer to a disable of the Host Memory Buffer.
    pub disable: Answer,
    /// How long a late answer takes.
    pub late_ns: u64,
    /// How long the controller takes to become ready or not ready.
    pub ready_ns: u64,
    /// CAP.TO.
    pub timeout_ns: u64,
    /// CRTO.CRWMT; 0 is what CAP.TO says.
    pub crto_ns: u64,
    /// CAP.TO is one unit until CC is written.
    pub late_timeout: bool,
    /// CSTS.RDY follows CC.EN = 0; otherwise it stays 1, with whatever memory is in use.
    pub resets: bool,
    /// When it dies.
    pub dies: Dies,
    /// How it dies.
    pub death: Death,
    /// A volatile write cache is present.
    pub write_cache: bool,
    /// Most Asynchronous Event Requests outstanding.
    pub event_requests: u16,
    /// See [`Temperature`].
    pub temperature: Temperature,
    /// What is wrong with it. No key sets these.
    pub faults: Vec<Fault>,
}

impl Default for Profile {
    fn default() -> Self {
        Self {
            model: "Software NVMe".to_owned(),
            firmware: "1.0".to_owned(),
            update: String::new(),
            pci: (VENDOR_ID, DEVICE_ID),
            serial: "SW0000000001".to_owned(),
            identifiers: Identifiers::default(),
            path: 0,
            version: 0x0001_0400,
            capacity_bytes: GIB,
            block_bytes: 512,
            namespaces: 1,
            mdts_bytes: 512 * KIB,
            verify: Verify::default(),
            write_zeroes: Verify::default(),
            dataset: Dataset::default(),
            deallocated: Deallocated::default(),
            ranges: Ranges::default(),
            boundary_blocks: 0,
            preferred_blocks: None,
            queue_entries: 1024,
            group: 1,
            queues: 16,
            completion_queues: 0,
            allocates: Allocation::default(),
            messages: 17,
            msi: 0,
            handover: Handover::default(),
            intx: IntxLine::default(),
            doorbell_bytes: 4,
            page_min_bytes: 4 * KIB,
            page_max_bytes: 64 * KIB,
            hmpre_bytes: 64 * MIB,
            hmmin_bytes: 16 * MIB,
            hmminds_bytes: 0,
            hmmaxd: 0,
            enable: Answer::Prompt,
            disable: Answer::Prompt,
            late_ns: 20_000_000_000,
            ready_ns: 5_000_000,
            timeout_ns: 7_500_000_000,
            crto_ns: 0,
            late_timeout: false,
            resets: true,
            dies: Dies::Never,
            death: Death::Fatal,
            write_cache: true,
            event_requests: 4,
            temperature: Temperature::default(),
            faults: Vec::new(),
        }
    }
}

impl Profile {
    /// Every key that [`Profile::set`] takes.
    #[must_use]
    pub fn keys() -> &'static [Key] {
        KEYS
    }

    /// Every named profile.
    #[must_use]
    pub fn names() -> &'static [NamedProfile] {
        NAMED
    }

    /// The profile called `name`.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let named = NAMED.iter().find(|named| named.name == name)?;
        let mut profile = Self::default();
        for (key, value) in named.settings {
            profile.set(key, value).ok()?;
        }
        Some(profile)
    }

    /// Changes one setting. Whether the settings go together is for [`Profile::check`] to say.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), ProfileError> {
        let key = KEYS
            .iter()
            .find(|key| key.name == name)
            .ok_or_else(|| ProfileError::UnknownKey(name.to_owned()))?;
        self.assign(key.name, value)
            .ok_or_else(|| ProfileError::BadValue {
                key: key.name,
                value: value.to_owned(),
                meaning: key.meaning,
            })
    }

    fn assign(&mut self, name: &str, value: &str) -> Option<()> {
        match name {
            "model" => self.model = printable(value, 1..=40)?,
            "firmware" => self.firmware = printable(value, 1..=8)?,
            "update" => self.update = printable(value, 0..=8)?,
            "pci" => self.pci = function(value)?,
            "serial" => self.serial = printable(value, 0..=20)?,
            "nguid" => self.identifiers.nguid = identifier(value)?,
            "eui64" => self.identifiers.eui64 = identifier(value)?,
            "uuid" => self.identifiers.uuid = identifier(value)?,
            "path" => self.path = size(value, 0..=0xFFEF)? as u16,
            "version" => self.version = version(value)?,
            "capacity" => self.capacity_bytes = size(value, 512..=1 << 50)?,
            "block" => self.block_bytes = power_of_two(value, 512, 4096)? as u32,
            "namespaces" => self.namespaces = size(value, 0..=1024)? as u32,
            "mdts" if value == "0" => self.mdts_bytes = 0,
            "mdts" => self.mdts_bytes = power_of_two(value, 4 * KIB, GIB)?,
            "verify" => self.verify = verify(value)?,
            "zeroes" => self.write_zeroes = verify(value)?,
            "dsm" => self.dataset = dataset(value)?,
            "ranges" => self.ranges = ranges(value)?,
            "dlfeat" => self.deallocated = deallocated(value)?,
            "noiob" => self.boundary_blocks = size(value, 0..=0xFFFF)? as u16,
            "preferred" => self.preferred_blocks = preferred(value)?,
            "mqes" => self.queue_entries = size(value, 1..=65536)? as u32,
            "group" => self.group = size(value, 1..=256)? as u16,
            "queues" => self.queues = size(value, 1..=1024)? as u16,
            "cqs" => self.completion_queues = size(value, 0..=1024)? as u16,
            "allocates" => self.allocates = allocation(value)?,
            "messages" => self.messages = size(value, 0..=2048)? as u16,
            "msi" if value == "0" => self.msi = 0,
            "msi" => self.msi = power_of_two(value, 1, 32)? as u16,
            "handover" => self.handover = handover(value)?,
            "intx" => self.intx = line(value)?,
            "dstrd" => self.doorbell_bytes = power_of_two(value, 4, 4096)? as u32,
            "mpsmin" => self.page_min_bytes = power_of_two(value, 4 * KIB, 128 * MIB)?,
            "mpsmax" => self.page_max_bytes = power_of_two(value, 4 * KIB, 128 * MIB)?,
            "hmpre" => self.hmpre_bytes = pages(value)?,
            "hmmin" => self.hmmin_bytes = pages(value)?,
            "hmminds" => self.hmminds_bytes = pages(value)?,
            "hmmaxd" => self.hmmaxd = size(value, 0..=0xFFFF)? as u16,
            "enable" => self.enable = answer(value, "refused")?,
            "disable" => self.disable = answer(value, "fails")?,
            "late" => self.late_ns = milliseconds(value)?,
            "ready" => self.ready_ns = milliseconds(value)?,
            "timeout" => {
                self.timeout_ns = milliseconds(value)
                    .filter(|ns| ns % 500_000_000 == 0 && *ns <= 127_500_000_000)?;
            }
            "crto" => {
                self.crto_ns = milliseconds(value)
                    .filter(|ns| ns % 500_000_000 == 0 && *ns <= 0xFFFF * 500_000_000)?;
            }
            "cap" => self.late_timeout = late_timeout(value)?,
            "reset" => self.resets = reset(value)?,
            "dies" => self.dies = dies(value)?,
            "death" => self.death = death(value)?,
            "temperature" => self.temperature = temperature(value)?,
            "vwc" => self.write_cache = size(value, 0..=1)? == 1,
            "aerl" => self.event_requests = size(value, 1..=256)? as u16,
            _ => return None,
        }
        Some(())
    }

    /// Whether such a controller can be.
    pub fn check(&self) -> Result<(), ProfileError> {
        let refusals = [
            (!self.is_in_range(), Refusal::Range),
            (
                !self
                    .capacity_bytes
                    .is_multiple_of(u64::from(self.block_bytes)),
                Refusal::Capacity,
            ),
            (
                self.mdts_bytes != 0 && self.mdts_bytes < 2 * self.page_min_bytes
                    || [self.verify, self.write_zeroes]
                        .into_iter()
                        .filter_map(Verify::limit_bytes)
                        .any(|bytes| bytes < 2 * self.page_min_bytes),
                Refusal::TransferBelowPages,
            ),
            (self.page_min_bytes > self.page_max_bytes, Refusal::Pages),
            (self.doorbells_bytes() > MIB, Refusal::Doorbells),
            (!self.has_namespaces_of_faults(), Refusal::FaultNamespace),
        ];
        match refusals.into_iter().find(|(refused, _)| *refused) {
            Some((_, why)) => Err(ProfileError::Impossible(why)),
            None => Ok(()),
        }
    }

    /// Namespaces that faults name are among its own.
    fn has_namespaces_of_faults(&self) -> bool {
        let mut named = self.faults.iter().filter_map(Fault::namespace);
        named.all(|nsid| nsid <= self.namespaces)
    }

    /// Each field by itself is what [`Profile::set`] lets it be.
    fn is_in_range(&self) -> bool {
        let page = |bytes: u64| bytes.is_power_of_two() && (4 * KIB..=128 * MIB).contains(&bytes);
        let host_memory = |bytes: u64| bytes.is_multiple_of(4 * KIB) && bytes <= 16 * GIB;
        self.block_bytes.is_power_of_two()
            && (512..=4096).contains(&self.block_bytes)
            && self.namespaces <= 1024
            && (self.mdts_bytes == 0 || self.mdts_bytes.is_power_of_two())
            && [self.verify, self.write_zeroes]
                .into_iter()
                .filter_map(Verify::limit_bytes)
                .all(u64::is_power_of_two)
            && (1..=65536).contains(&self.queue_entries)
            && (1..=1024).contains(&self.queues)
            && self.completion_queues <= 1024
            && self.messages <= 2048
            && (self.msi == 0 || self.msi.is_power_of_two() && self.msi <= 32)
            && self.doorbell_bytes.is_power_of_two()
            && (4..=4096).contains(&self.doorbell_bytes)
            && page(self.page_min_bytes)
            && page(self.page_max_bytes)
            && host_memory(self.hmpre_bytes)
            && host_memory(self.hmmin_bytes)
            && host_memory(self.hmminds_bytes)
            && (1..=256).contains(&self.event_requests)
            && self.timeout_ns <= 127_500_000_000
    }

    /// Empty media in memory for each namespace.
    #[must_use]
    pub fn memory(&self) -> Vec<Box<dyn Media>> {
        (0..self.namespaces)
            .map(|_| Box::new(MemoryMedia::new(self.capacity_bytes)) as Box<dyn Media>)
            .collect()
    }

    /// How many I/O queues of a kind there are.
    pub(crate) fn queues_of(&self, completion: bool) -> u16 {
        if completion && self.completion_queues != 0 {
            self.completion_queues
        } else {
            self.queues
        }
    }

    /// The length of the doorbell registers: a tail and a head for each queue pair and the admin queues.
    pub(crate) fn doorbells_bytes(&self) -> u64 {
        let pairs = self.queues_of(true).max(self.queues_of(false));
        (u64::from(pairs) + 1) * 2 * u64::from(self.doorbell_bytes)
    }
}

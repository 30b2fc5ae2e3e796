//! The driver's logic and the software controller in one machine, in virtual time.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use nvme::hmb::{Granted, Lent, Policy, Range, Ranges, Wanted};
use nvme::lifecycle::{
    AdminMemory, Contents, Controller, Goal, Inventory, Progress, QueueMemory, Settings,
};
use nvme::queue::{CompletionQueue, SubmissionQueue};
use nvme::{DmaMemory, Instant, Registers, prp};
use nvme_model::{Access, Bus, BusFault, Profile, Rule, Width};
use nvme_spec::command::{Command, CommandDword0, NvmOpcode};
use nvme_spec::status::Status;

const PAGE: u64 = 4096;
/// Where memory begins that driver and controller share.
const SHARED: u64 = 0x1000_0000;
/// Where memory begins that only the controller sees.
const LENDABLE: u64 = 0x1_0000_0000;

/// The machine: sparse memory, and the controller's judgement.
#[derive(Default)]
pub struct Machine {
    pages: BTreeMap<u64, Box<[u8; 4096]>>,
    broken: Vec<(Rule, String)>,
    checked: usize,
    reachable: Vec<(u64, u64)>,
}

impl Machine {
    /// Visits the memory from `address` on, page by page: each piece and where it is in the transfer.
    fn each(&mut self, address: u64, bytes: usize, mut visit: impl FnMut(&mut [u8], usize)) {
        let mut done = 0;
        while done < bytes {
            let at = address + done as u64;
            let start = (at % PAGE) as usize;
            let end = (start + bytes - done).min(4096);
            let page = self
                .pages
                .entry(at / PAGE)
                .or_insert_with(|| Box::new([0; 4096]));
            visit(&mut page[start..end], done);
            done += end - start;
        }
    }

    fn copy_out(&mut self, from: u64, into: &mut [u8]) {
        self.each(from, into.len(), |piece, at| {
            into[at..at + piece.len()].copy_from_slice(piece);
        });
    }

    fn copy_in(&mut self, to: u64, data: &[u8]) {
        self.each(to, data.len(), |piece, at| {
            piece.copy_from_slice(&data[at..at + piece.len()]);
        });
    }

    fn check(&self, address: u64, bytes: usize) -> Result<(), BusFault> {
        let end = address + bytes as u64;
        let inside = |&(start, length): &(u64, u64)| address >= start && end <= start + length;
        if self.reachable.iter().any(inside) {
            Ok(())
        } else {
            Err(BusFault { address })
        }
    }
}

impl Bus for Machine {
    fn read(&mut self, from: u64, into: &mut [u8], _: Access) -> Result<(), BusFault> {
        self.check(from, into.len())?;
        self.copy_out(from, into);
        Ok(())
    }

    fn write(&mut self, to: u64, data: &[u8], _: Access) -> Result<(), BusFault> {
        self.check(to, data.len())?;
        self.copy_in(to, data);
        Ok(())
    }

    fn interrupt(&mut self, _: u16) {}

    fn line(&mut self, _: bool) {}

    fn judge(&mut self, rule: Rule, held: bool, what: &dyn Fn() -> String) {
        self.checked += 1;
        if !held {
            self.broken.push((rule, what()));
        }
    }

    fn note(&mut self, _: String) {}
}

/// The controller in its machine, and the time.
pub struct Device {
    pub controller: nvme_model::Controller,
    pub machine: Machine,
    pub now_ns: u64,
}

#[derive(Clone)]
pub struct Shared(pub Rc<RefCell<Device>>);

impl Registers for Shared {
    fn read32(&self, offset: u32) -> u32 {
        let Device {
            controller,
            machine,
            now_ns,
        } = &mut *self.0.borrow_mut();
        controller.read(offset.into(), Width::Four, *now_ns, machine) as u32
    }

    fn write32(&self, offset: u32, value: u32) {
        let Device {
            controller,
            machine,
            now_ns,
        } = &mut *self.0.borrow_mut();
        controller.write(offset.into(), Width::Four, value.into(), *now_ns, machine);
    }

    fn read64(&self, offset: u32) -> u64 {
        let Device {
            controller,
            machine,
            now_ns,
        } = &mut *self.0.borrow_mut();
        controller.read(offset.into(), Width::Eight, *now_ns, machine)
    }

    fn write64(&self, offset: u32, value: u64) {
        let Device {
            controller,
            machine,
            now_ns,
        } = &mut *self.0.borrow_mut();
        controller.write(offset.into(), Width::Eight, value, *now_ns, machine);
    }
}

/// A part of the memory that both share.
pub struct Block {
    device: Shared,
    address: u64,
    bytes: usize,
}

impl DmaMemory for Block {
    fn address(&self) -> u64 {
        self.address
    }

    fn len(&self) -> usize {
        self.bytes
    }

    fn read(&self, offset: usize, into: &mut [u8]) {
        let machine = &mut self.device.0.borrow_mut().machine;
        machine.copy_out(self.address + offset as u64, into);
    }

    fn write(&self, offset: usize, from: &[u8]) {
        let machine = &mut self.device.0.borrow_mut().machine;
        machine.copy_in(self.address + offset as u64, from);
    }
}

/// Granted memory: the machine lets the controller reach it until it is freed.
#[derive(Debug)]
pub struct Grant(Vec<Range>);

impl Ranges for Grant {
    fn range(&self, index: usize) -> Option<Range> {
        self.0.get(index).copied()
    }
}

pub struct Host {
    pub device: Shared,
    pub controller: Controller<Block>,
    pub inventory: Box<Inventory>,
    submission: SubmissionQueue<Block>,
    completion: CompletionQueue<Block>,
    next_cid: u16,
}

impl Host {
    /// A controller that wants little memory, changed so.
    fn new(settings: &[(&str, &str)]) -> Self {
        let mut profile = Profile::named("hmb").unwrap();
        for (key, value) in [("hmpre", "4M"), ("hmmin", "1M")].iter().chain(settings) {
            profile.set(key, value).unwrap();
        }
        profile.check().unwrap();
        let machine = Machine {
            reachable: vec![(SHARED, 64 * PAGE)],
            ..Machine::default()
        };
        let controller = nvme_model::Controller::new(&profile, profile.memory());
        let device = Shared(Rc::new(RefCell::new(Device {
            controller,
            machine,
            now_ns: 0,
        })));
        let page = |index: u64| Block {
            device: device.clone(),
            address: SHARED + index * PAGE,
            bytes: 4096,
        };
        let memory = AdminMemory {
            submission: page(0),
            completion: page(1),
            data: page(2),
            hmb_list: page(3),
        };
        let mut inventory = Box::new(Inventory::new());
        inventory.queues[0] = QueueMemory {
            submission_address: SHARED + 4 * PAGE,
            completion_address: SHARED + 5 * PAGE,
            submission_entries: 8,
            completion_entries: 8,
            vector: 0,
        };
        Self {
            controller: Controller::new(memory, Settings::default()).unwrap(),
            inventory,
            submission: SubmissionQueue::new(page(4), 1, 8, 0).unwrap(),
            completion: CompletionQueue::new(page(5), 1, 8, 0).unwrap(),
            device,
            next_cid: 0,
        }
    }

    pub fn started(settings: &[(&str, &str)]) -> Self {
        let mut host = Self::new(settings);
        assert_eq!(host.reach(Goal::Identify), Progress::Done);
        host.start();
        host
    }

    pub fn start(&mut self) {
        let dstrd = self.controller.capabilities().dstrd();
        self.submission.reset(dstrd);
        self.completion.reset(dstrd);
        assert_eq!(self.reach(Goal::Start { pairs: 1 }), Progress::Done);
        assert_eq!(self.controller.pairs(), 1);
    }

    fn now(&self) -> Instant {
        Instant::from_ns(self.device.0.borrow().now_ns)
    }

    /// Lets time pass; the controller does what is due.
    pub fn pass(&self, us: u64) {
        let Device {
            controller,
            machine,
            now_ns,
        } = &mut *self.device.0.borrow_mut();
        *now_ns += us * 1000;
        controller.run(*now_ns, machine);
    }

    pub fn settle(&mut self) -> Progress {
        for _ in 0..1_000_000 {
            let now = self.now();
            match self.controller.step(&self.device, &mut self.inventory, now) {
                Progress::Again { after_us } => self.pass(after_us.into()),
                end => return end,
            }
        }
        panic!("an endless goal");
    }

    pub fn reach(&mut self, goal: Goal) -> Progress {
        self.controller
            .begin(goal, self.now())
            .expect("a goal that can be begun now");
        self.settle()
    }

    /// Asks for memory as the policy says, and gets it in ranges of `range_bytes`.
    pub fn grant(&mut self, range_bytes: u64) -> Granted<Grant> {
        let needs = self.controller.info().unwrap().hmb;
        let used_bytes = self.inventory.namespaces.used_bytes();
        let wanted = Wanted::decide(&needs, &Policy::default(), 0, used_bytes).unwrap();
        let mut ranges = Vec::new();
        let mut left = wanted.preferred_bytes();
        while left > 0 && ranges.len() < usize::from(wanted.max_ranges()) {
            let bytes = left.min(range_bytes);
            ranges.push(Range {
                address: LENDABLE + ranges.len() as u64 * 2 * range_bytes,
                bytes,
            });
            left -= bytes;
        }
        let machine = &mut self.device.0.borrow_mut().machine;
        machine
            .reachable
            .extend(ranges.iter().map(|range| (range.address, range.bytes)));
        wanted.granted(Grant(ranges))
    }

    pub fn lend(&mut self, granted: Granted<Grant>, contents: Contents) -> (Lent<Grant>, Progress) {
        let needs = self.controller.info().unwrap().hmb;
        let plan = granted.plan(&needs).unwrap();
        let lent = self.controller.lend(plan, contents, self.now()).unwrap();
        let progress = self.settle();
        (lent, progress)
    }

    pub fn reclaim(&mut self, lent: Lent<Grant>) -> Granted<Grant> {
        let proof = self.controller.detached().expect("proof");
        lent.reclaim(proof).expect("proof of this lending")
    }

    /// Frees the memory: the controller must not reach it any more.
    pub fn free(&mut self, granted: Granted<Grant>) {
        let freed = granted.into_ranges().0;
        let machine = &mut self.device.0.borrow_mut().machine;
        machine
            .reachable
            .retain(|&(start, _)| freed.iter().all(|range| range.address != start));
    }

    /// Reads or writes 20 KiB at a block, from memory that starts in the middle of a page, and waits for it.
    fn transfer(&mut self, opcode: NvmOpcode, block: u32) {
        const BYTES: u32 = 20 << 10;
        let data = prp::Segment {
            address: SHARED + 16 * PAGE + 512,
            bytes: BYTES,
        };
        let mut entries = [0u64; 8];
        let list = prp::ListMemory {
            entries: &mut entries,
            page_offset: 0,
            address: |index| Some(SHARED + 6 * PAGE + 8 * index as u64),
        };
        let pointer = prp::build(&[data], |&data| data, BYTES, list).unwrap();
        self.next_cid += 1;
        let command = Command {
            cdw0: CommandDword0::new()
                .with_opcode(opcode.0)
                .with_cid(self.next_cid),
            nsid: 1,
            prp1: pointer.prp1,
            prp2: pointer.prp2,
            cdw10: block,
            cdw12: BYTES / 512 - 1,
            ..Command::default()
        };
        let block = Block {
            device: self.device.clone(),
            address: SHARED + 6 * PAGE,
            bytes: 4096,
        };
        for (index, entry) in entries.iter().enumerate() {
            block.write(index * 8, &entry.to_le_bytes());
        }
        self.submission.write(&command, self.next_cid).unwrap();
        self.submission.commit(&self.device);
        for _ in 0..100_000 {
            self.pass(10);
            if let Some(completion) = self.completion.next() {
                assert_eq!(completion.cid, self.next_cid);
                assert_eq!(Status::from(completion.status), Status::SUCCESS);
                self.submission.advance_head(completion.sq_head).unwrap();
                self.completion.commit(&self.device);
                return;
            }
        }
        panic!("no completion");
    }

    /// Writes a pattern, reads it back over another one.
    pub fn verify_data(&mut self, seed: u8) {
        let data = Block {
            device: self.device.clone(),
            address: SHARED + 16 * PAGE + 512,
            bytes: 20 << 10,
        };
        let pattern: Vec<u8> = (0..data.len())
            .map(|index| (index as u8).wrapping_mul(7) ^ seed)
            .collect();
        data.write(0, &pattern);
        self.transfer(NvmOpcode::WRITE, 40 * u32::from(seed));
        data.write(0, &vec![0; data.len()]);
        self.transfer(NvmOpcode::READ, 40 * u32::from(seed));
        let mut read = vec![0; data.len()];
        data.read(0, &mut read);
        assert!(read == pattern, "data differs");
    }

    pub fn hmb(&self) -> nvme_model::HmbCounters {
        self.device.0.borrow().controller.hmb()
    }

    pub fn assert_clean(&self) {
        let machine = &self.device.0.borrow().machine;
        assert!(machine.broken.is_empty(), "{:#?}", machine.broken);
        assert!(machine.checked > 100);
    }
}

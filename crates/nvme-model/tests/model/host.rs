//! A small host: memory, and a driver of the simplest kind.

use nvme_model::{Access, Bus, BusFault, Controller, Profile, Rule, Width};
use nvme_spec::command::{AdminOpcode, Command, CommandDword0, CreateQueueCdw10, NvmOpcode};
use nvme_spec::completion::Completion;
use nvme_spec::registers::{self, ControllerConfiguration};
use nvme_spec::status::Status;
use zerocopy::{FromBytes, IntoBytes};

/// Where memory begins: nothing is at address 0.
pub const BASE: u64 = 0x10_0000;
pub const PAGE: u64 = 4096;
const MILLISECOND: u64 = 1_000_000;

/// The machine around the controller.
pub struct Machine {
    pub memory: Vec<u8>,
    pub judged: Vec<(Rule, bool, String)>,
    pub messages: Vec<u16>,
    pub line: bool,
    pub notes: Vec<String>,
    pub accesses: Vec<(Access, u64, usize)>,
}

impl Machine {
    fn range(&self, at: u64, bytes: usize) -> Result<std::ops::Range<usize>, BusFault> {
        let start = at.checked_sub(BASE).ok_or(BusFault { address: at })?;
        let start = usize::try_from(start).expect("64-bit");
        match start.checked_add(bytes) {
            Some(end) if end <= self.memory.len() => Ok(start..end),
            _ => Err(BusFault { address: at }),
        }
    }

    pub fn get(&self, at: u64, bytes: usize) -> &[u8] {
        &self.memory[self.range(at, bytes).expect("within memory")]
    }

    pub fn put(&mut self, at: u64, data: &[u8]) {
        let range = self.range(at, data.len()).expect("within memory");
        self.memory[range].copy_from_slice(data);
    }
}

impl Bus for Machine {
    fn read(&mut self, from: u64, into: &mut [u8], why: Access) -> Result<(), BusFault> {
        self.accesses.push((why, from, into.len()));
        into.copy_from_slice(&self.memory[self.range(from, into.len())?]);
        Ok(())
    }

    fn write(&mut self, to: u64, data: &[u8], why: Access) -> Result<(), BusFault> {
        self.accesses.push((why, to, data.len()));
        let range = self.range(to, data.len())?;
        self.memory[range].copy_from_slice(data);
        Ok(())
    }

    fn interrupt(&mut self, message: u16) {
        self.messages.push(message);
    }

    fn line(&mut self, asserted: bool) {
        assert_ne!(
            self.line, asserted,
            "the line is told to change to what it is"
        );
        self.line = asserted;
    }

    fn judge(&mut self, rule: Rule, held: bool, what: &dyn Fn() -> String) {
        self.judged.push((rule, held, what()));
    }

    fn note(&mut self, what: String) {
        self.notes.push(what);
    }
}

/// A queue pair as the host keeps it.
pub struct Pair {
    pub id: u16,
    pub submission: u64,
    pub completion: u64,
    pub entries: u32,
    pub tail: u32,
    pub head: u32,
    pub phase: bool,
}

impl Pair {
    pub fn new(id: u16, submission: u64, completion: u64, entries: u32) -> Self {
        Self {
            id,
            submission,
            completion,
            entries,
            tail: 0,
            head: 0,
            phase: true,
        }
    }
}

/// The host and the controller that it drives.
pub struct Host {
    pub machine: Machine,
    pub controller: Controller,
    pub now_ns: u64,
    pub admin: Pair,
    pub cid: u16,
    free: u64,
}

/// A profile with these differences from a small default.
pub fn profile(settings: &[(&str, &str)]) -> Profile {
    let mut profile = Profile::default();
    for (key, value) in [("capacity", "1M")].iter().chain(settings) {
        profile.set(key, value).expect("a setting");
    }
    profile.check().expect("a possible profile");
    profile
}

/// A command of which only the opcode is set.
pub fn admin(opcode: AdminOpcode) -> Command {
    Command {
        cdw0: CommandDword0::new().with_opcode(opcode.0),
        ..Command::default()
    }
}

/// A command of which opcode and namespace are set.
pub fn nvm(opcode: NvmOpcode, nsid: u32) -> Command {
    Command {
        cdw0: CommandDword0::new().with_opcode(opcode.0),
        nsid,
        ..Command::default()
    }
}

/// The status of a completion.
pub fn status(completion: &Completion) -> Status {
    completion.status.into()
}

impl Host {
    /// A controller that nobody touched.
    pub fn cold(settings: &[(&str, &str)]) -> Self {
        let profile = profile(settings);
        let media = profile.memory();
        Self {
            machine: Machine {
                memory: vec![0; 16 << 20],
                judged: Vec::new(),
                messages: Vec::new(),
                line: false,
                notes: Vec::new(),
                accesses: Vec::new(),
            },
            controller: Controller::new(&profile, media),
            now_ns: 0,
            admin: Pair::new(0, 0, 0, 0),
            cid: 0,
            free: BASE,
        }
    }

    /// A controller that is ready, with admin queues of 16 entries.
    pub fn ready(settings: &[(&str, &str)]) -> Self {
        let mut host = Self::cold(settings);
        host.bring_up();
        host
    }

    /// Sets up the admin queues, enables the controller, and waits until it is ready.
    pub fn bring_up(&mut self) {
        let (submission, completion) = (self.alloc(PAGE), self.alloc(PAGE));
        self.admin = Pair::new(0, submission, completion, 16);
        self.set(registers::AQA, 15 << 16 | 15);
        self.set64(registers::ASQ, submission);
        self.set64(registers::ACQ, completion);
        self.set(registers::CC, Self::enabled().into_bits());
        self.pass(10 * MILLISECOND);
        assert!(
            self.get(registers::CSTS) & 1 == 1,
            "the controller is ready"
        );
    }

    /// Notifies the controller of a normal shutdown.
    pub fn notify_shutdown(&mut self) {
        let cc = self.get(registers::CC);
        self.set(registers::CC, cc | 1 << 14);
    }

    /// Shuts the controller down, and waits until it has.
    pub fn shut_down(&mut self) {
        self.notify_shutdown();
        self.settle();
    }

    /// CC as [`Host::bring_up`] writes it.
    pub fn enabled() -> ControllerConfiguration {
        ControllerConfiguration::new()
            .with_en(true)
            .with_iosqes(6)
            .with_iocqes(4)
    }

    /// Pages that nobody uses yet, all zero.
    pub fn alloc(&mut self, bytes: u64) -> u64 {
        let at = self.free;
        self.free += bytes.next_multiple_of(PAGE);
        at
    }

    pub fn get(&mut self, register: u32) -> u32 {
        let Self {
            machine,
            controller,
            now_ns,
            ..
        } = self;
        controller.read(u64::from(register), Width::Four, *now_ns, machine) as u32
    }

    pub fn set(&mut self, register: u32, value: u32) {
        let Self {
            machine,
            controller,
            now_ns,
            ..
        } = self;
        controller.write(
            u64::from(register),
            Width::Four,
            u64::from(value),
            *now_ns,
            machine,
        );
    }

    pub fn set64(&mut self, register: u32, value: u64) {
        let Self {
            machine,
            controller,
            now_ns,
            ..
        } = self;
        controller.write(u64::from(register), Width::Eight, value, *now_ns, machine);
    }

    /// Lets time pass.
    pub fn pass(&mut self, ns: u64) {
        self.now_ns += ns;
        self.controller.run(self.now_ns, &mut self.machine);
    }

    /// Lets the controller do all that it has to do, except what takes longer than a second.
    pub fn settle(&mut self) {
        let end = self.now_ns + 1000 * MILLISECOND;
        while let Some(at) = self.controller.next_event_ns().filter(|at| *at <= end) {
            self.now_ns = at.max(self.now_ns);
            self.controller.run(self.now_ns, &mut self.machine);
        }
    }

    /// Writes a command into a queue without ringing; its identifier is chosen here.
    pub fn write(&mut self, pair: &mut Pair, mut command: Command) -> u16 {
        self.cid += 1;
        command.cdw0.set_cid(self.cid);
        let slot = pair.submission + u64::from(pair.tail) * 64;
        self.machine.put(slot, command.as_bytes());
        pair.tail = (pair.tail + 1) % pair.entries;
        self.cid
    }

    /// Rings the tail doorbell.
    pub fn commit(&mut self, pair: &Pair) {
        self.set(registers::submission_tail_doorbell(pair.id, 0), pair.tail);
    }

    /// The next completion, if one was posted. Its entry is consumed, the doorbell is not rung.
    pub fn poll(&mut self, pair: &mut Pair) -> Option<Completion> {
        let slot = pair.completion + u64::from(pair.head) * 16;
        let entry = Completion::read_from_bytes(self.machine.get(slot, 16)).expect("16 bytes");
        if entry.status.phase() != pair.phase {
            return None;
        }
        pair.head = (pair.head + 1) % pair.entries;
        pair.phase ^= pair.head == 0;
        Some(entry)
    }

    /// Rings the head doorbell.
    pub fn release(&mut self, pair: &Pair) {
        self.set(registers::completion_head_doorbell(pair.id, 0), pair.head);
    }

    /// Carries out one command, if it completes within a second.
    pub fn attempt(&mut self, pair: &mut Pair, command: Command) -> Option<Completion> {
        let cid = self.write(pair, command);
        self.commit(pair);
        self.settle();
        let completion = self.poll(pair)?;
        self.release(pair);
        assert_eq!(completion.cid, cid);
        assert_eq!(completion.sq_id, pair.id);
        Some(completion)
    }

    /// Carries out one command.
    pub fn execute(&mut self, pair: &mut Pair, command: Command) -> Completion {
        self.attempt(pair, command).expect("a completion")
    }

    /// Carries out one admin command.
    pub fn admin(&mut self, command: Command) -> Completion {
        self.attempt_admin(command).expect("a completion")
    }

    /// Carries out one admin command, if it completes within a second.
    pub fn attempt_admin(&mut self, command: Command) -> Option<Completion> {
        let mut pair = std::mem::replace(&mut self.admin, Pair::new(0, 0, 0, 0));
        let completion = self.attempt(&mut pair, command);
        self.admin = pair;
        completion
    }

    /// Carries out an admin command that succeeds; dword 0 of its completion.
    pub fn admin_ok(&mut self, command: Command) -> u32 {
        let completion = self.admin(command);
        assert_eq!(status(&completion), Status::SUCCESS, "{command:?}");
        completion.dw0
    }

    /// Negotiates queues and creates a pair.
    pub fn io_queues(&mut self, id: u16, entries: u32) -> Pair {
        let mut number = admin(AdminOpcode::SET_FEATURES);
        (number.cdw10, number.cdw11) = (7, 0x000F_000F);
        if id == 1 {
            self.admin_ok(number);
        }
        let pair = Pair::new(
            id,
            self.alloc(u64::from(entries) * 64),
            self.alloc(u64::from(entries) * 16),
            entries,
        );
        let size = CreateQueueCdw10::new()
            .with_qid(id)
            .with_qsize_z((entries - 1) as u16);
        let mut create = admin(AdminOpcode::CREATE_COMPLETION_QUEUE);
        (create.prp1, create.cdw10, create.cdw11) = (pair.completion, size.into_bits(), 0b11);
        self.admin_ok(create);
        let mut create = admin(AdminOpcode::CREATE_SUBMISSION_QUEUE);
        (create.prp1, create.cdw10) = (pair.submission, size.into_bits());
        create.cdw11 = u32::from(id) << 16 | 1;
        self.admin_ok(create);
        pair
    }

    /// Reads an admin command's data.
    pub fn admin_data<T: FromBytes>(&mut self, mut command: Command) -> T {
        command.prp1 = self.alloc(PAGE);
        self.admin_ok(command);
        T::read_from_bytes(self.machine.get(command.prp1, size_of::<T>())).expect("its size")
    }

    /// The rules that were broken since the last call.
    pub fn broken(&mut self) -> Vec<Rule> {
        let judged = std::mem::take(&mut self.machine.judged);
        judged
            .into_iter()
            .filter(|(_, held, _)| !held)
            .map(|(rule, ..)| rule)
            .collect()
    }

    /// Nothing was broken so far.
    pub fn assert_clean(&mut self) {
        let broken: Vec<_> = self
            .machine
            .judged
            .iter()
            .filter(|(_, held, _)| !held)
            .collect();
        assert!(broken.is_empty(), "{broken:?}");
    }
}

//! Whatever a host does, the controller goes on: it never panics, and it comes back after a reset.

use nvme_model::{Power, Width};
use nvme_spec::command::{AdminOpcode, Command, NvmOpcode};
use nvme_spec::feature::HostMemoryBufferDescriptor;
use nvme_spec::registers::{CC, CSTS};
use proptest::prelude::*;
use zerocopy::{FromBytes, IntoBytes};

use crate::host::{BASE, Host, Pair, admin};

/// Where descriptor lists and lent memory are: below the end of memory, which lent memory may pass.
const LIST: u64 = BASE + (14 << 20);
const LENT: u64 = BASE + (15 << 20);

/// Something that a host does.
#[derive(Clone, Debug)]
enum Act {
    Read(u64, u8),
    Write(u64, u8, u64),
    ConfigWrite(u16, u8, u32),
    Admin(Vec<u8>),
    Io(Vec<u8>),
    /// HMB: flags, HSIZE, how many entries, and the entries.
    Lend(u32, u32, u32, Vec<(u64, u32)>),
    Pass(u64),
    Power(u8),
}

fn width(bytes: u8) -> Width {
    match bytes {
        4 => Width::Four,
        8 => Width::Eight,
        _ => Width::Other(bytes),
    }
}

/// Register space with the doorbells, mostly.
fn offset() -> impl Strategy<Value = u64> {
    prop_oneof![
        4 => (0..0x20_u64).prop_map(|dword| dword * 4),
        4 => (0..40_u64).prop_map(|dword| 0x1000 + dword * 4),
        2 => 0x2000..0x4000_u64,
        1 => any::<u64>(),
    ]
}

/// A command whose fields are often near to what makes sense.
fn entry(opcodes: Vec<u8>) -> impl Strategy<Value = Vec<u8>> {
    let address = prop_oneof![
        4 => (0..4096_u64).prop_map(|page| BASE + page * 4096),
        1 => any::<u64>(),
    ];
    let small = || prop_oneof![3 => 0..0x20_u32, 1 => any::<u32>(), 1 => (0..0x20_u32).prop_map(|high| high << 16 | 1)];
    (
        prop_oneof![4 => prop::sample::select(opcodes), 1 => any::<u8>()],
        any::<u32>().prop_map(|bits| if bits % 4 == 0 { bits & 0xFF00 } else { 0 }),
        prop_oneof![3 => 0..3_u32, 1 => any::<u32>()],
        address.clone(),
        address,
        prop::array::uniform6(small()),
    )
        .prop_map(|(opcode, flags, nsid, prp1, prp2, dwords)| {
            let mut command = Command {
                nsid,
                prp1,
                prp2,
                ..Command::default()
            };
            command.cdw0 = (u32::from(opcode) | flags).into();
            [
                command.cdw10,
                command.cdw11,
                command.cdw12,
                command.cdw13,
                command.cdw14,
                command.cdw15,
            ] = dwords;
            command.as_bytes().to_vec()
        })
}

/// A descriptor list that often can be used, and then often with MR = 1.
fn lend() -> impl Strategy<Value = Act> {
    let address = prop_oneof![
        8 => (0..256_u64).prop_map(|page| LENT + page * 4096),
        1 => any::<u64>(),
    ];
    let pages = prop_oneof![8 => 1..64_u32, 1 => any::<u32>()];
    (
        0..4_u32,
        prop::collection::vec((address, pages), 1..4),
        any::<u8>(),
        any::<u32>(),
    )
        .prop_map(|(flags, entries, luck, other)| {
            let sum = entries
                .iter()
                .fold(0, |sum: u32, entry| sum.wrapping_add(entry.1));
            let size = if luck % 4 == 0 { other } else { sum };
            let count = if luck % 8 == 1 {
                other
            } else {
                entries.len() as u32
            };
            Act::Lend(flags, size, count, entries)
        })
}

fn act() -> impl Strategy<Value = Act> {
    let bytes = || prop_oneof![8 => Just(4), 4 => Just(8), 1 => any::<u8>()];
    let value = prop_oneof![
        4 => 0..0x40_u64,
        2 => prop::sample::select(vec![0x0046_0000_u64, 0x0046_0001, 0x0046_4001, 0x0046_8001]),
        1 => any::<u64>(),
    ];
    let admin: Vec<u8> = (0..0x0E).collect();
    prop_oneof![
        2 => (offset(), bytes()).prop_map(|(at, bytes)| Act::Read(at, bytes)),
        6 => (offset(), bytes(), value).prop_map(|(at, bytes, value)| Act::Write(at, bytes, value)),
        1 => (any::<u16>(), any::<u8>(), any::<u32>()).prop_map(|(at, bytes, value)| Act::ConfigWrite(at % 300, bytes, value)),
        8 => entry(admin).prop_map(Act::Admin),
        8 => entry(vec![0, 1, 2, 5, 8, 9]).prop_map(Act::Io),
        4 => lend(),
        3 => (0..100_000_000_u64).prop_map(Act::Pass),
        1 => (0..3_u8).prop_map(Act::Power),
    ]
}

fn perform(host: &mut Host, pair: &mut Pair, act: Act) {
    let now = host.now_ns;
    match act {
        Act::Read(at, bytes) => {
            host.controller
                .read(at, width(bytes), now, &mut host.machine);
        }
        Act::Write(at, bytes, value) => {
            host.controller
                .write(at, width(bytes), value, now, &mut host.machine);
        }
        Act::ConfigWrite(at, bytes, value) => {
            let _ = host.controller.config_read(at, bytes);
            host.controller
                .config_write(at, bytes, value, now, &mut host.machine);
        }
        Act::Admin(entry) => {
            let command = Command::read_from_bytes(&entry).expect("64 bytes");
            host.attempt_garbage(command);
        }
        Act::Io(entry) => {
            let command = Command::read_from_bytes(&entry).expect("64 bytes");
            host.write(pair, command);
            host.commit(pair);
        }
        Act::Lend(flags, size, count, entries) => {
            for (at, (badd, bsize)) in (LIST..).step_by(16).zip(entries) {
                let entry = HostMemoryBufferDescriptor {
                    badd,
                    bsize,
                    reserved: 0,
                };
                host.machine.put(at, entry.as_bytes());
            }
            host.attempt_garbage(Command {
                cdw10: 0x0D,
                cdw11: flags,
                cdw12: size,
                cdw13: LIST as u32,
                cdw15: count,
                ..admin(AdminOpcode::SET_FEATURES)
            });
        }
        Act::Pass(ns) => host.pass(ns),
        Act::Power(state) => {
            let state = [Power::D0, Power::D3Hot, Power::D3Cold][usize::from(state)];
            host.controller.power(state, now, &mut host.machine);
        }
    }
}

impl Host {
    /// Submits an admin command and lets the controller do with it what it does.
    fn attempt_garbage(&mut self, command: Command) {
        let mut pair = std::mem::replace(&mut self.admin, Pair::new(0, 0, 0, 0));
        self.write(&mut pair, command);
        self.commit(&pair);
        self.pass(100_000);
        while self.poll(&mut pair).is_some() {}
        self.release(&pair);
        self.admin = pair;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn nothing_makes_it_panic(acts in prop::collection::vec(act(), 1..80)) {
        let mut host = Host::ready(&[("hmpre", "256K"), ("hmmin", "64K"), ("mdts", "64K"), ("namespaces", "2")]);
        let mut pair = host.io_queues(1, 8);
        for act in acts {
            perform(&mut host, &mut pair, act);
        }
        host.settle();

        host.controller.power(Power::D3Cold, host.now_ns, &mut host.machine);
        host.controller.power(Power::D0, host.now_ns, &mut host.machine);
        let (machine, now) = (&mut host.machine, host.now_ns);
        host.controller.config_write(0x52, 2, 0, now, machine);
        host.controller.config_write(4, 2, 6, now, machine);
        host.bring_up();
        let mut identify = admin(AdminOpcode::IDENTIFY);
        (identify.cdw10, identify.prp1) = (1, BASE);
        host.admin_ok(identify);
    }
}

#[test]
fn a_reset_in_the_middle_of_commands_ends_them() {
    let mut host = Host::ready(&[]);
    let mut pair = host.io_queues(1, 8);
    for _ in 0..5 {
        host.write(&mut pair, crate::host::nvm(NvmOpcode::FLUSH, 1));
    }
    host.commit(&pair);
    host.pass(2_000);
    host.set(CC, 0);
    host.machine.accesses.clear();
    host.settle();
    assert!(
        !host.machine.accesses.is_empty(),
        "commands are carried out until CSTS.RDY = 0"
    );
    host.pass(60_000_000_000);
    assert_eq!(host.get(CSTS), 0);
    host.machine.accesses.clear();
    host.settle();
    assert!(
        host.machine.accesses.is_empty(),
        "nothing is posted after CSTS.RDY = 0"
    );
    assert!(!host.machine.line);
    host.assert_clean();
}

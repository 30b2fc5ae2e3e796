//! Faults: which command, register read, interrupt or namespace they happen to, when, and what they do.

use nvme_model::{Controller, Fault, GRAMMAR, Moment, Power, Rule};
use nvme_spec::command::{AdminOpcode, Command, NvmOpcode};
use nvme_spec::identify::{IdentifyNamespace, NamespaceList};
use nvme_spec::log::{ChangedNamespaces, SmartHealthInformation};
use nvme_spec::registers::{CAP, CC, CSTS};
use nvme_spec::status::Status;

use crate::host::{Host, Pair, admin, nvm, profile, status};

const MILLISECOND: u64 = 1_000_000;
const ONES: u32 = u32::MAX;

/// A controller with these settings and faults, out of reset.
fn cold(settings: &[(&str, &str)], faults: &[&str]) -> Host {
    let mut host = Host::cold(settings);
    let mut profile = profile(settings);
    profile.faults = faults.iter().map(|spec| spec.parse().unwrap()).collect();
    profile.check().unwrap();
    host.controller = Controller::new(&profile, profile.memory());
    host
}

/// The same, enabled, with an I/O queue.
fn ready(settings: &[(&str, &str)], faults: &[&str]) -> (Host, Pair) {
    let mut host = cold(settings, faults);
    host.bring_up();
    let pair = host.io_queues(1, 16);
    (host, pair)
}

fn fired(host: &Host) -> Vec<u64> {
    let faults = host.controller.faults();
    faults.iter().map(|fault| fault.fired).collect()
}

fn flush() -> Command {
    nvm(NvmOpcode::FLUSH, 1)
}

/// How so many flushes end; `None` where one was not answered.
fn flushes(host: &mut Host, pair: &mut Pair, count: usize) -> Vec<Option<Status>> {
    (0..count)
        .map(|_| host.attempt(pair, flush()).as_ref().map(status))
        .collect()
}

/// Writes the first block, full of `byte`.
fn write_block(host: &mut Host, pair: &mut Pair, byte: u8) -> Status {
    let mut write = nvm(NvmOpcode::WRITE, 1);
    write.prp1 = host.alloc(4096);
    host.machine.put(write.prp1, &[byte; 4096]);
    status(&host.execute(pair, write))
}

/// A read of the first block into a page that is full of 0x55: what the page holds then.
fn read_block(host: &mut Host, pair: &mut Pair) -> Vec<u8> {
    let mut command = nvm(NvmOpcode::READ, 1);
    command.prp1 = host.alloc(4096);
    host.machine.put(command.prp1, &[0x55; 512]);
    host.execute(pair, command);
    host.machine.get(command.prp1, 512).to_vec()
}

#[test]
fn the_nth_match_is_counted_across_resets_and_happens_once() {
    let (mut host, mut pair) = ready(&[], &["flush:status=0/06:nth=3"]);
    let good = Some(Status::SUCCESS);
    assert_eq!(flushes(&mut host, &mut pair, 2), [good; 2]);
    host.set(CC, 0);
    host.settle();
    host.bring_up();
    pair = host.io_queues(1, 16);
    let third = Some(Status::INTERNAL_ERROR);
    assert_eq!(flushes(&mut host, &mut pair, 3), [third, good, good]);
    assert_eq!(fired(&host), [1]);
}

#[test]
fn every_nth_from_a_time_on_and_once_are_what_they_say() {
    let faults = [
        "flush:status=0/06:every=2",
        "io:status=0/07:after=5s",
        "flush:status=2/81:after=1s,once",
    ];
    let (mut host, mut pair) = ready(&[], &faults);
    let good = Some(Status::SUCCESS);
    let bad = Some(Status::INTERNAL_ERROR);
    assert_eq!(flushes(&mut host, &mut pair, 4), [good, bad, good, bad]);
    host.pass(1000 * MILLISECOND);
    let media = Some(Status::UNRECOVERED_READ_ERROR);
    assert_eq!(flushes(&mut host, &mut pair, 3), [media, bad, good]);
    host.pass(5000 * MILLISECOND);
    assert_eq!(flushes(&mut host, &mut pair, 1), [Some(Status(7))]);
    assert_eq!(fired(&host), [4, 1, 1]);
}

#[test]
fn a_command_is_matched_by_queue_opcode_and_fields() {
    let faults = [
        "identify.cns=1.nsid=0:delay=1ms",
        "admin.fid=7:delay=1ms",
        "set-features.cdw11=0x000f000f:delay=1ms",
        "io:delay=1ms",
        "identify.cns=0.nsid=2:delay=1ms",
        "any.nsid=1:delay=1ms",
    ];
    let (mut host, mut pair) = ready(&[], &faults);
    assert_eq!(fired(&host), [0, 1, 1, 0, 0, 0]);
    let mut identify = admin(AdminOpcode::IDENTIFY);
    (identify.cdw10, identify.prp1) = (1, host.alloc(4096));
    host.admin_ok(identify);
    flushes(&mut host, &mut pair, 1);
    assert_eq!(fired(&host), [1, 1, 1, 1, 0, 1]);
}

#[test]
fn a_command_is_carried_out_without_an_answer_or_lost_altogether() {
    let (mut host, mut pair) = ready(&[], &["write:never:nth=1", "write:lost:nth=2"]);
    let mut write = nvm(NvmOpcode::WRITE, 1);
    for (byte, lba) in [(0x11, 0), (0x22, 1)] {
        write.prp1 = host.alloc(4096);
        write.cdw10 = lba;
        host.machine.put(write.prp1, &[byte; 512]);
        assert!(host.attempt(&mut pair, write).is_none());
    }
    assert_eq!(read_block(&mut host, &mut pair), [0x11; 512]);
    let mut read = nvm(NvmOpcode::READ, 1);
    (read.prp1, read.cdw10) = (host.alloc(4096), 1);
    host.execute(&mut pair, read);
    assert_eq!(host.machine.get(read.prp1, 512), [0; 512]);
}

#[test]
fn data_are_replaced_or_left_out() {
    let contents = ["zeros", "ones", "same", "noise"];
    let faults = contents.map(|content| format!("read:data={content}:once"));
    let expected: [Option<u8>; 4] = [Some(0), Some(0xFF), Some(0x55), None];
    for (fault, byte) in faults.iter().zip(expected) {
        let (mut host, mut pair) = ready(&[], &[fault]);
        let mut write = nvm(NvmOpcode::WRITE, 1);
        write.prp1 = host.alloc(4096);
        host.machine.put(write.prp1, &[0x77; 512]);
        host.execute(&mut pair, write);
        let damaged = read_block(&mut host, &mut pair);
        match byte {
            Some(byte) => assert_eq!(damaged, [byte; 512], "{fault}"),
            None => assert!(damaged.windows(2).any(|pair| pair[0] != pair[1])),
        }
        assert_eq!(read_block(&mut host, &mut pair), [0x77; 512], "{fault}");
    }
}

#[test]
fn completions_are_damaged_and_doubled() {
    for (fault, expected) in [
        ("cid=0xabcd", (0xABCD, 1, true)),
        ("sqid=9", (0, 9, true)),
        ("phase=0", (0, 1, false)),
    ] {
        let (mut host, mut pair) = ready(&[], &[&format!("flush:entry.{fault}:once")]);
        let cid = host.write(&mut pair, flush());
        host.commit(&pair);
        host.settle();
        let entry = host.machine.get(pair.completion, 16);
        let told = u16::from_le_bytes([entry[12], entry[13]]);
        let (wanted, sqid, phase) = expected;
        assert_eq!(told, if wanted == 0 { cid } else { wanted }, "{fault}");
        assert_eq!(u16::from_le_bytes([entry[10], entry[11]]), sqid, "{fault}");
        assert_eq!(entry[14] & 1 == 1, phase, "{fault}");
    }
    let (mut host, mut pair) = ready(&[], &["flush:twice:nth=1"]);
    host.execute(&mut pair, flush());
    let second = host.poll(&mut pair).expect("a second completion");
    assert_eq!(second.cid, host.cid);
    assert!(host.poll(&mut pair).is_none());
}

#[test]
fn a_register_reads_as_something_else_or_is_away_for_a_time() {
    let faults = [
        "register.csts:absent=2ms:nth=2",
        "register.cap:value=0x1122334455667788",
    ];
    let mut host = cold(&[], &faults);
    assert_eq!(host.get(CSTS), 0);
    assert_eq!(host.get(CSTS), ONES);
    host.pass(MILLISECOND);
    assert_eq!(host.get(CSTS), ONES);
    assert_eq!(host.get(CC), 0, "only the one that is named");
    host.pass(MILLISECOND);
    assert_eq!(host.get(CSTS), 0);
    assert_eq!(host.get(CAP), 0x5566_7788);
    assert_eq!(host.get(CAP + 4), 0x1122_3344);
    assert_eq!(fired(&host), [1, 2]);
}

#[test]
fn registers_are_away_after_each_reset_and_after_d0() {
    let mut host = cold(
        &[],
        &[
            "register:absent=3ms:at=reset",
            "register.csts:absent=4ms:at=d0",
        ],
    );
    host.bring_up();
    for _ in 0..2 {
        host.set(CC, 0);
        assert_eq!(host.get(CSTS), ONES);
        host.pass(3 * MILLISECOND);
        assert_eq!(host.get(CSTS), 1);
        host.settle();
        host.bring_up();
    }
    host.set(CC, 0);
    host.settle();
    for to in [Power::D3Hot, Power::D0] {
        host.controller.power(to, host.now_ns, &mut host.machine);
    }
    assert_eq!(host.get(CSTS), ONES);
    host.pass(4 * MILLISECOND);
    assert_eq!(host.get(CSTS), 0);
}

#[test]
fn messages_are_left_out_and_come_for_nothing() {
    let (mut host, mut pair) = ready(&[], &["interrupt:drop:nth=5", "interrupt:stray:at=stop"]);
    crate::interrupts::enable_messages(&mut host);
    host.machine.messages.clear();
    for _ in 0..2 {
        host.execute(&mut pair, flush());
    }
    assert_eq!(
        host.machine.messages.len(),
        1,
        "the second of them was left out"
    );
    host.machine.messages.clear();
    host.controller
        .moment(Moment::Stop, host.now_ns, &mut host.machine);
    assert_eq!(host.machine.messages.len(), 17, "each of them");
}

#[test]
fn a_line_stays_down_or_up() {
    let (mut host, mut pair) = ready(&[("messages", "0")], &["interrupt:drop:nth=4"]);
    host.write(&mut pair, flush());
    host.commit(&pair);
    host.settle();
    assert!(host.poll(&mut pair).is_some());
    assert!(
        !host.machine.line,
        "the completion is there, the interrupt is not"
    );
    let (mut host, mut pair) = ready(&[("messages", "0")], &["interrupt:held:nth=4"]);
    host.execute(&mut pair, flush());
    assert!(host.machine.line, "although its completion was consumed");
    host.set(CC, 0);
    host.settle();
    assert!(!host.machine.line);
}

#[test]
fn namespaces_come_and_go_and_change_their_size() {
    let faults = [
        "namespace.2:add:at=start",
        "namespace.1:resize=256K:at=start",
        "namespace.1:delete:at=stop",
    ];
    let (mut host, _) = ready(&[("namespaces", "2")], &faults);
    let list = |host: &mut Host| {
        let mut identify = admin(AdminOpcode::IDENTIFY);
        identify.cdw10 = 2;
        let list: NamespaceList = host.admin_data(identify);
        list.0
            .into_iter()
            .take_while(|nsid| *nsid != 0)
            .collect::<Vec<_>>()
    };
    assert_eq!(list(&mut host), [1]);
    let mut configure = admin(AdminOpcode::SET_FEATURES);
    (configure.cdw10, configure.cdw11) = (0x0B, 0x100);
    host.admin_ok(configure);
    let mut pair = std::mem::replace(&mut host.admin, Pair::new(0, 0, 0, 0));
    host.write(&mut pair, admin(AdminOpcode::ASYNC_EVENT_REQUEST));
    host.commit(&pair);
    host.settle();
    host.controller
        .moment(Moment::Start, host.now_ns, &mut host.machine);
    host.settle();
    let event = host.poll(&mut pair).expect("an event");
    assert_eq!(event.dw0, 4 << 16 | 2);
    host.admin = pair;
    assert_eq!(list(&mut host), [1, 2]);
    let mut identify = admin(AdminOpcode::IDENTIFY);
    identify.nsid = 1;
    let namespace: IdentifyNamespace = host.admin_data(identify);
    assert_eq!(namespace.nsze, 512);
    let mut changed = admin(AdminOpcode::GET_LOG_PAGE);
    changed.cdw10 = 1023 << 16 | 4;
    for expected in [[1, 2], [0, 0]] {
        let log: ChangedNamespaces = host.admin_data(changed);
        assert_eq!(log.0[..2], expected);
    }
    host.controller
        .moment(Moment::Stop, host.now_ns, &mut host.machine);
    assert_eq!(list(&mut host), [2]);
}

#[test]
fn another_namespace_takes_the_place_of_one_with_nothing_in_it() {
    for (fault, blocks, shift, renamed) in [
        ("namespace.1:create=256K:at=start", 512, 9, true),
        ("namespace.1:format=4K:at=start", 2048, 12, false),
    ] {
        let (mut host, mut pair) = ready(&[("capacity", "8388608")], &[fault]);
        let mut identify = admin(AdminOpcode::IDENTIFY);
        identify.nsid = 1;
        let before: IdentifyNamespace = host.admin_data(identify);
        let written = write_block(&mut host, &mut pair, 7);
        assert_eq!(written, Status::SUCCESS);
        host.controller
            .moment(Moment::Start, host.now_ns, &mut host.machine);
        let after: IdentifyNamespace = host.admin_data(identify);
        assert_eq!((after.nsze, after.lbaf[0].lbads()), (blocks, shift));
        assert_eq!(before.nguid != after.nguid, renamed);
        assert_eq!(before.eui64 != after.eui64, renamed);
        if shift == 9 {
            assert!(
                read_block(&mut host, &mut pair)
                    .iter()
                    .all(|byte| *byte == 0)
            );
        }
    }
}

#[test]
fn nobody_is_blamed_for_a_namespace_that_changed_a_moment_ago() {
    let faults = ["namespace.1:delete:at=start"];
    let (mut host, mut pair) = ready(&[], &faults);
    host.controller
        .moment(Moment::Start, host.now_ns, &mut host.machine);
    let gone = Status::INVALID_NAMESPACE_OR_FORMAT;
    assert_eq!(write_block(&mut host, &mut pair, 0), gone);
    let mut identify = admin(AdminOpcode::IDENTIFY);
    identify.cdw10 = 2;
    let _: NamespaceList = host.admin_data(identify);
    assert_eq!(write_block(&mut host, &mut pair, 0), gone);
    host.assert_clean();
    // By now it is known.
    host.pass(200_000_000);
    assert_eq!(write_block(&mut host, &mut pair, 0), gone);
    assert_eq!(host.broken(), [Rule::NamespaceUsed]);
}

#[test]
fn what_cannot_be_written_says_so_and_refuses_writes() {
    for (fault, warning, protected) in [
        ("any:read-only:at=start", 8, false),
        ("namespace.1:protect:at=start", 0, true),
    ] {
        let (mut host, mut pair) = ready(&[], &[fault]);
        assert_eq!(write_block(&mut host, &mut pair, 0), Status::SUCCESS);
        host.controller
            .moment(Moment::Start, host.now_ns, &mut host.machine);
        let refused = Status::NAMESPACE_WRITE_PROTECTED;
        assert_eq!(write_block(&mut host, &mut pair, 0), refused);
        let mut health = admin(AdminOpcode::GET_LOG_PAGE);
        (health.nsid, health.cdw10) = (u32::MAX, 127 << 16 | 2);
        let health: SmartHealthInformation = host.admin_data(health);
        assert_eq!(u8::from(health.critical_warning), warning);
        let mut identify = admin(AdminOpcode::IDENTIFY);
        identify.nsid = 1;
        let namespace: IdentifyNamespace = host.admin_data(identify);
        assert_eq!(namespace.nsattr.write_protected(), protected);
    }
}

#[test]
fn a_controller_dies_of_a_command_at_a_moment_or_of_a_register_read() {
    let (mut host, mut pair) = ready(&[], &["flush:die=fatal:nth=2"]);
    assert_eq!(
        flushes(&mut host, &mut pair, 2),
        [Some(Status::SUCCESS), None]
    );
    assert_eq!(host.get(CSTS) & 2, 2);
    let (mut host, _) = ready(&[], &["any:die=gone:at=rest"]);
    assert_eq!(host.get(CSTS), 1);
    host.controller
        .moment(Moment::Rest, host.now_ns, &mut host.machine);
    assert_eq!(host.get(CSTS), ONES);
    let mut host = cold(&[], &["register.csts:die=gone:nth=2"]);
    assert_eq!(
        (host.get(CSTS), host.get(CSTS), host.get(CC)),
        (0, ONES, ONES)
    );
}

#[test]
fn a_firmware_that_panics_for_a_time_restarts_and_does_what_cc_says() {
    let (mut host, mut pair) = ready(&[], &["flush:panic=0x3,5s:nth=1"]);
    assert!(host.attempt(&mut pair, flush()).is_none());
    assert_eq!(host.get(CSTS), 3);
    host.set(CC, 0);
    assert_eq!(host.get(CSTS), 3, "CC is ignored");
    host.pass(5000 * MILLISECOND);
    assert_eq!(host.get(CSTS), 0);
    host.bring_up();
    pair = host.io_queues(1, 16);
    assert_eq!(flushes(&mut host, &mut pair, 1), [Some(Status::SUCCESS)]);
}

#[test]
fn every_example_of_the_grammar_is_a_fault_and_nonsense_is_refused_with_its_reason() {
    for entry in GRAMMAR {
        let fault: Result<Fault, _> = entry.example.parse();
        assert_eq!(
            fault.as_ref().map(Fault::spec),
            Ok(entry.example),
            "{entry:?}"
        );
    }
    for (nonsense, told) in [
        ("read", "MATCH:BEHAVIOUR"),
        ("reed:never", "nothing matches"),
        ("read:nevre", "no behaviour"),
        ("read:never:sometimes", "no moment"),
        ("read:never:nth=0", "no moment"),
        ("read:never:nth=1,nth=2", "twice"),
        ("read:never:nth=1,every=2", "exclude"),
        ("read:status=0/0", "no behaviour"),
        ("read:status=8/00", "no behaviour"),
        ("read:delay=5", "no behaviour"),
        ("read:delay=2h", "no behaviour"),
        ("read.cns=1:never", "has no cns"),
        ("identify.fid=1:never", "has no fid"),
        ("register:never", "commands only"),
        ("register.csts:drop", "interrupts only"),
        ("register.foo:value=1", "no register"),
        ("write:data=zeros", "return data"),
        ("read:absent=1ms", "registers only"),
        ("namespace.1:delete", "at a moment"),
        ("namespace.0:delete:at=stop", "nothing matches"),
        ("namespace.1:die=gone:at=stop", "commands, registers"),
        ("interrupt:add:at=stop", "namespaces only"),
        ("any:panic=2,3,4", "no behaviour"),
    ] {
        let error = nonsense.parse::<Fault>().unwrap_err().to_string();
        assert!(error.contains(told), "{error}");
        assert!(!error.contains('\n'));
    }
    let mut profile = profile(&[]);
    profile.faults = vec!["namespace.2:add:at=start".parse().unwrap()];
    assert!(profile.check().is_err(), "there is one namespace");
}

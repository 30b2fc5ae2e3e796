//! Commands that a controller can be used without: refused, answered with nonsense, or never answered.

mod device;

use device::{Answer, Device, Host, failed, identify, well_behaved};
use nvme::identify::Usability;
use nvme::lifecycle::{Failure, Goal, Impossible, Progress};
use nvme_spec::command::{AdminOpcode, Command};
use nvme_spec::completion::Completion;
use nvme_spec::status::Status;

/// The optional commands: opcode, and the low byte of dword 10.
const OPTIONAL: [(AdminOpcode, u8); 6] = [
    (AdminOpcode::IDENTIFY, 2),
    (AdminOpcode::IDENTIFY, 3),
    (AdminOpcode::SET_FEATURES, 7),
    (AdminOpcode::GET_FEATURES, 6),
    (AdminOpcode::GET_LOG_PAGE, 2),
    (AdminOpcode::SET_FEATURES, 11),
];

fn is(command: &Command, (opcode, selector): (AdminOpcode, u8)) -> bool {
    AdminOpcode(command.cdw0.opcode()) == opcode && command.cdw10 as u8 == selector
}

/// A controller with namespaces 1 and 3 that answers one command in another way.
fn host(which: (AdminOpcode, u8), answer: impl Fn() -> Answer + 'static) -> Host {
    let host = Host::new(Device::new());
    host.device.answer(move |command| {
        if is(command, which) {
            answer()
        } else if command.cdw0.opcode() == AdminOpcode::IDENTIFY.0 {
            identify(command, &[1, 3])
        } else {
            well_behaved(command)
        }
    });
    host
}

/// Reaches both goals of a start, with a reset after each failure, as a driver does. Gives the failures.
fn start(host: &mut Host) -> Vec<Failure> {
    let mut failures = Vec::new();
    while failures.len() < 3 {
        let mut end = host.reach(Goal::Identify);
        if end == Progress::Done {
            end = host.reach(Goal::Start { pairs: 4 });
        }
        match end {
            Progress::Done => break,
            other => failures.push(failed(other)),
        }
    }
    let nsids = usable(host);
    assert_eq!(nsids, [1, 3]);
    failures
}

/// The namespaces that can be used.
fn usable(host: &Host) -> Vec<u32> {
    let usable = host
        .namespaces()
        .iter()
        .filter(|it| it.usability == Usability::Usable);
    usable.map(|it| it.nsid).collect()
}

fn sent(host: &Host, which: (AdminOpcode, u8)) -> usize {
    let commands = host.device.commands.borrow();
    commands.iter().filter(|command| is(command, which)).count()
}

#[test]
fn a_refusal_is_done_without() {
    for which in OPTIONAL {
        let mut host = host(which, || Answer::Fail(Status::INVALID_FIELD));
        assert_eq!(start(&mut host), [], "{which:?}");
        assert!(sent(&host, which) > 0, "{which:?}");
    }
    let mut host = host(OPTIONAL[2], || Answer::Fail(Status::INVALID_FIELD));
    start(&mut host);
    assert_eq!(host.controller.pairs(), 1, "which every controller has");
}

#[test]
fn nonsense_is_done_without() {
    let nonsense: [fn() -> Answer; 4] = [
        || Answer::Data(vec![0xFF; 4096]),
        || Answer::Data(vec![0; 4096]),
        || {
            Answer::Data(
                [3u32, 1, 0]
                    .iter()
                    .flat_map(|nsid| nsid.to_le_bytes())
                    .collect(),
            )
        },
        // What is in the page is of an earlier command.
        || Answer::Success(u32::MAX),
    ];
    for which in OPTIONAL {
        for answer in nonsense {
            let data = matches!(answer(), Answer::Data(_));
            if data && which.0 != AdminOpcode::IDENTIFY {
                continue;
            }
            assert_eq!(start(&mut host(which, answer)), [], "{which:?}");
        }
    }
}

#[test]
fn silence_costs_a_reset_and_the_command_is_left_out_from_then_on() {
    for which in OPTIONAL {
        let mut host = host(which, || Answer::Never);
        assert_eq!(start(&mut host), [Failure::TimedOut(which.0)], "{which:?}");
        assert_eq!(sent(&host, which), 1, "{which:?}");
    }
}

#[test]
fn a_damaged_completion_costs_a_reset_and_the_command_is_left_out_from_then_on() {
    type Damage = fn(&mut Completion);
    let damages: [(Damage, Impossible); 3] = [
        (|entry| entry.sq_id = 7, Impossible::QueueId),
        (|entry| entry.cid = 0xFFFF, Impossible::CommandId),
        (|entry| entry.sq_head = 0xFFFF, Impossible::Head),
    ];
    for which in OPTIONAL {
        for (damage, impossible) in damages {
            let mut host = host(which, move || Answer::Entry(damage));
            let failures = start(&mut host);
            assert_eq!(failures, [Failure::Impossible(impossible)], "{which:?}");
            assert_eq!(sent(&host, which), 1, "{which:?}");
        }
    }
}

#[test]
fn a_namespace_that_is_never_identified_costs_no_other() {
    let timed_out = Failure::TimedOut(AdminOpcode::IDENTIFY);
    let mut host = Host::new(Device::new());
    host.device.answer(|command| match command.cdw10 as u8 {
        0 if command.nsid == 2 => Answer::Never,
        _ if command.cdw0.opcode() == AdminOpcode::IDENTIFY.0 => identify(command, &[1, 2, 3]),
        _ => well_behaved(command),
    });
    let mut failures = Vec::new();
    for _ in 0..2 {
        failures.push(failed(host.reach(Goal::Identify)));
    }
    assert_eq!(failures, [timed_out; 2], "once is no proof");
    assert_eq!(host.reach(Goal::Identify), Progress::Done);
    assert_eq!(usable(&host), [1, 3]);
}

#[test]
fn the_list_is_read_once_from_the_lowest_identifier_on() {
    let mut host = host((AdminOpcode::IDENTIFY, 0xFF), || Answer::Never);
    start(&mut host);
    let commands = host.device.commands.borrow();
    let lists: Vec<u32> = commands
        .iter()
        .filter(|command| is(command, OPTIONAL[0]))
        .map(|command| command.nsid)
        .collect();
    assert_eq!(lists, [0]);
}

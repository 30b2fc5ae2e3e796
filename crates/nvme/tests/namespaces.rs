//! The namespaces, identified again while the controller runs.

mod device;

use device::{Answer, Device, Host, failed, identify, last, well_behaved};
use nvme::identify::Usability;
use nvme::lifecycle::{Failure, Goal, NotNow, Progress};
use nvme_spec::command::{AdminOpcode, Command};
use nvme_spec::identify::Cns;
use nvme_spec::status::Status;

/// A controller with these namespaces.
fn with(active: &'static [u32]) -> impl FnMut(&Command) -> Answer {
    move |command| match AdminOpcode(command.cdw0.opcode()) {
        AdminOpcode::IDENTIFY => identify(command, active),
        _ => well_behaved(command),
    }
}

fn nsids(host: &Host) -> Vec<u32> {
    let namespaces = host.namespaces().iter();
    namespaces.map(|namespace| namespace.nsid).collect()
}

fn event(host: &mut Host) {
    let request = last(&host.device, AdminOpcode::ASYNC_EVENT_REQUEST);
    host.device
        .complete(request.cdw0.cid(), 0x0004_0002, Status::SUCCESS);
    assert_eq!(host.step(), Progress::Done);
    assert_eq!(host.step(), Progress::Done);
}

#[test]
fn namespaces_are_found_again_with_the_queues_as_they_are() {
    let mut host = Host::started();
    assert_eq!(nsids(&host), [1]);
    host.device.answer(with(&[2, 5]));
    assert!(!host.controller.namespaces_changed());
    event(&mut host);
    assert!(host.controller.namespaces_changed());
    assert_eq!(host.reach(Goal::FindNamespaces), Progress::Done);
    assert!(!host.controller.namespaces_changed());
    assert_eq!(nsids(&host), [2, 5]);
    assert_eq!(host.controller.pairs(), 1);
    assert_eq!(
        host.device
            .opcodes(0)
            .iter()
            .filter(|&&it| it == AdminOpcode::CREATE_SUBMISSION_QUEUE)
            .count(),
        1
    );
    // None is left.
    host.device.answer(with(&[]));
    assert_eq!(host.reach(Goal::FindNamespaces), Progress::Done);
    assert_eq!(nsids(&host), [0; 0]);
}

#[test]
fn namespaces_are_found_only_where_the_controller_runs_and_has_nothing_else_to_do() {
    let mut host = Host::new(Device::new());
    let begin = |host: &mut Host| {
        host.controller
            .begin(Goal::FindNamespaces, host.device.now())
    };
    assert_eq!(begin(&mut host), Err(NotNow));
    assert_eq!(host.reach(Goal::Identify), Progress::Done);
    assert_eq!(begin(&mut host), Ok(()));
    assert_eq!(begin(&mut host), Err(NotNow));
}

#[test]
fn data_page_has_one_user_at_a_time() {
    // The log page of an event is being read: nothing is identified until it was answered.
    let mut host = Host::started();
    host.device
        .answer(|command| match AdminOpcode(command.cdw0.opcode()) {
            AdminOpcode::GET_LOG_PAGE => Answer::Never,
            _ => well_behaved(command),
        });
    event(&mut host);
    let identified = |host: &Host| {
        let opcodes = host.device.opcodes(0);
        opcodes
            .iter()
            .filter(|&&it| it == AdminOpcode::IDENTIFY)
            .count()
    };
    let before = identified(&host);
    host.controller
        .begin(Goal::FindNamespaces, host.device.now())
        .unwrap();
    for _ in 0..10 {
        assert!(matches!(host.step(), Progress::Again { .. }));
    }
    assert_eq!(identified(&host), before);
    let read = last(&host.device, AdminOpcode::GET_LOG_PAGE);
    host.device.complete(read.cdw0.cid(), 0, Status::SUCCESS);
    assert_eq!(host.settle(), Progress::Done);
    assert!(identified(&host) > before);
    // Something is being identified: no log page is read until it was answered.
    host.device
        .answer(|command| match AdminOpcode(command.cdw0.opcode()) {
            AdminOpcode::IDENTIFY => Answer::Never,
            _ => well_behaved(command),
        });
    let logs = |host: &Host| {
        let opcodes = host.device.opcodes(0);
        opcodes
            .iter()
            .filter(|&&it| it == AdminOpcode::GET_LOG_PAGE)
            .count()
    };
    let before = logs(&host);
    host.controller
        .begin(Goal::FindNamespaces, host.device.now())
        .unwrap();
    assert!(matches!(host.step(), Progress::Again { .. }));
    let request = last(&host.device, AdminOpcode::ASYNC_EVENT_REQUEST);
    host.device
        .complete(request.cdw0.cid(), 0x0001_0000, Status::SUCCESS);
    for _ in 0..10 {
        assert!(matches!(host.step(), Progress::Again { .. }));
    }
    assert_eq!(logs(&host), before);
}

#[test]
fn a_namespace_that_is_listed_and_not_identified_is_known_to_be_unknown() {
    for answer in [
        Answer::Fail(Status::INTERNAL_ERROR),
        Answer::Data(vec![0; 4096]),
    ] {
        let mut host = Host::started();
        host.device.answer(move |command| {
            let identifies = command.cdw0.opcode() == AdminOpcode::IDENTIFY.0;
            match Cns(command.cdw10 as u8) {
                Cns::NAMESPACE if identifies && command.nsid == 2 => answer.clone(),
                _ => with(&[1, 2])(command),
            }
        });
        assert_eq!(host.reach(Goal::FindNamespaces), Progress::Done);
        assert_eq!(nsids(&host), [1, 2]);
        assert!(host.namespaces()[0].is_known());
        assert_eq!(host.namespaces()[1].usability, Usability::Impossible);
        assert!(!host.namespaces()[1].is_known());
    }
}

#[test]
fn identify_that_is_never_answered_ends_the_search_as_at_a_start() {
    let mut host = Host::started();
    host.device
        .answer(|command| match AdminOpcode(command.cdw0.opcode()) {
            AdminOpcode::IDENTIFY if Cns(command.cdw10 as u8) == Cns::ACTIVE_NAMESPACES => {
                Answer::Never
            }
            _ => well_behaved(command),
        });
    let timed_out = Failure::TimedOut(AdminOpcode::IDENTIFY);
    assert_eq!(failed(host.reach(Goal::FindNamespaces)), timed_out);
    assert_eq!(host.reach(Goal::Reset), Progress::Done);
    assert_eq!(host.reach(Goal::FindNamespaces), Progress::Done);
    assert_eq!(nsids(&host), [1]);
}

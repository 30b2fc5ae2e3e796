//! Orderly, abrupt and unanswered shutdowns.

mod device;

use device::{Answer, Device, Host, configurations, failed, well_behaved};
use nvme::lifecycle::{Failure, Goal, Progress, Shutdown};
use nvme_spec::command::{AdminOpcode, Command};
use nvme_spec::registers::ShutdownNotification;
use nvme_spec::status::Status;
use zerocopy::IntoBytes;

#[test]
fn a_normal_shutdown_deletes_queues_then_notifies_then_disables() {
    let mut host = Host::new(Device::new());
    assert_eq!(host.reach(Goal::Identify), Progress::Done);
    assert_eq!(host.reach(Goal::Start { pairs: 2 }), Progress::Done);
    let from = host.device.commands.borrow().len();
    let before = configurations(&host.device).len();
    assert_eq!(host.reach(Goal::Shutdown(Shutdown::Normal)), Progress::Done);
    let commands = host.device.commands.borrow()[from..].to_vec();
    let deleted: Vec<_> = commands
        .iter()
        .map(|command| (AdminOpcode(command.cdw0.opcode()), command.cdw10))
        .collect();
    let (submission, completion) = (
        AdminOpcode::DELETE_SUBMISSION_QUEUE,
        AdminOpcode::DELETE_COMPLETION_QUEUE,
    );
    assert_eq!(
        deleted,
        [
            (submission, 2),
            (submission, 1),
            (completion, 2),
            (completion, 1)
        ]
    );
    let written = configurations(&host.device)[before..].to_vec();
    assert_eq!(written[0].shn(), ShutdownNotification::NORMAL);
    assert!(written[0].en());
    assert!(!written[1].en());
    assert!(!host.controller.is_idle());
}

#[test]
fn a_deletion_that_fails_is_the_last_one_and_the_shutdown_goes_on() {
    let (submission, completion) = (
        AdminOpcode::DELETE_SUBMISSION_QUEUE,
        AdminOpcode::DELETE_COMPLETION_QUEUE,
    );
    let order = [
        (submission, 2),
        (submission, 1),
        (completion, 2),
        (completion, 1),
    ];
    let deletion = |command: &Command| (AdminOpcode(command.cdw0.opcode()), command.cdw10);
    for (index, refused) in order.into_iter().enumerate() {
        let mut host = Host::new(Device::new());
        assert_eq!(host.reach(Goal::Identify), Progress::Done);
        assert_eq!(host.reach(Goal::Start { pairs: 2 }), Progress::Done);
        host.device.answer(move |command| {
            if deletion(command) == refused {
                Answer::Fail(Status::INTERNAL_ERROR)
            } else {
                well_behaved(command)
            }
        });
        let from = host.device.commands.borrow().len();
        let before = configurations(&host.device).len();
        assert_eq!(host.reach(Goal::Shutdown(Shutdown::Normal)), Progress::Done);
        let sent: Vec<_> = host.device.commands.borrow()[from..]
            .iter()
            .map(deletion)
            .collect();
        assert_eq!(sent, order[..=index]);
        let written = configurations(&host.device)[before..].to_vec();
        assert_eq!(written[0].shn(), ShutdownNotification::NORMAL);
        assert!(!written[1].en());
        assert_eq!(host.controller.pairs(), 0);
    }
}

#[test]
fn an_abrupt_shutdown_only_notifies() {
    let mut host = Host::started();
    let from = host.device.commands.borrow().len();
    let before = configurations(&host.device).len();
    assert_eq!(host.reach(Goal::Shutdown(Shutdown::Abrupt)), Progress::Done);
    assert_eq!(host.device.opcodes(from), []);
    assert_eq!(
        configurations(&host.device)[before].shn(),
        ShutdownNotification::ABRUPT
    );
}

#[test]
fn a_shutdown_is_given_what_the_controller_asks_for_up_to_a_limit() {
    let waited = |rtd3e_us: u32| {
        let mut host = Host::new(Device::new());
        host.device
            .answer(move |command| match AdminOpcode(command.cdw0.opcode()) {
                AdminOpcode::IDENTIFY if command.cdw10 == 1 => {
                    let mut data = device::controller();
                    data.rtd3e_us = rtd3e_us;
                    Answer::Data(data.as_bytes().to_vec())
                }
                _ => well_behaved(command),
            });
        assert_eq!(host.reach(Goal::Identify), Progress::Done);
        host.device.shutdown_us.set(None);
        let begun = host.device.now_us.get();
        assert_eq!(
            failed(host.reach(Goal::Shutdown(Shutdown::Normal))),
            Failure::NotShutDown
        );
        (host.device.now_us.get() - begun) / 100_000
    };
    assert_eq!(waited(0), 10);
    assert_eq!(waited(3_000_000), 30);
    assert_eq!(waited(60_000_000), 100);
}

#[test]
fn a_shutdown_goes_on_without_answers_and_after_a_fatal_status() {
    let mut host = Host::started();
    host.device.answer(|_| Answer::Never);
    assert_eq!(host.reach(Goal::Shutdown(Shutdown::Normal)), Progress::Done);
    let mut host = Host::started();
    host.device.fatal.set(true);
    assert_eq!(host.reach(Goal::Shutdown(Shutdown::Normal)), Progress::Done);
    let mut host = Host::new(Device::new());
    assert_eq!(host.reach(Goal::Shutdown(Shutdown::Normal)), Progress::Done);
}

#[test]
fn a_controller_can_be_brought_up_again_and_again() {
    let mut host = Host::new(Device::new());
    for _ in 0..40 {
        assert_eq!(host.reach(Goal::Identify), Progress::Done);
        assert_eq!(host.reach(Goal::Start { pairs: 1 }), Progress::Done);
        assert_eq!(host.reach(Goal::Shutdown(Shutdown::Normal)), Progress::Done);
    }
}

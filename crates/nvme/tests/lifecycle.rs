//! Bring-up, queues, events, reset and shutdown against a scripted controller in virtual time.

mod device;

use device::{Answer, Device, Host, identify, last, well_behaved};
use nvme::identify::Usability;
use nvme::lifecycle::{
    Event, Failure, Goal, Impossible, NotNow, Progress, Shutdown, Unsupported, WriteCache,
};
use nvme_spec::async_event::AsyncEvent;
use nvme_spec::command::AdminOpcode;
use nvme_spec::completion::Completion;
use nvme_spec::identify::LbaFormat;
use nvme_spec::registers::{AQA, ASQ, CC, ControllerConfiguration, ShutdownNotification, Version};
use nvme_spec::status::Status;
use proptest::prelude::*;
use zerocopy::IntoBytes;

const SECOND_US: u64 = 1_000_000;

fn failed(progress: Progress) -> Failure {
    match progress {
        Progress::Failed(failure) => failure,
        other => panic!("{other:?}"),
    }
}

/// Values written to CC, in order.
fn configurations(device: &Device) -> Vec<ControllerConfiguration> {
    let writes = device.writes.borrow();
    writes
        .iter()
        .filter(|write| write.0 == CC)
        .map(|write| (write.1 as u32).into())
        .collect()
}

#[test]
fn identifies_controller_and_namespaces() {
    let mut host = Host::new(Device::new());
    host.device
        .answer(|command| match AdminOpcode(command.cdw0.opcode()) {
            AdminOpcode::IDENTIFY => identify(command, &[1, 3, 7]),
            _ => well_behaved(command),
        });
    assert_eq!(host.reach(Goal::Identify), Progress::Done);
    let info = host.controller.info().unwrap();
    assert_eq!(info.model.trimmed(), b"MODEL");
    assert_eq!(info.max_transfer_bytes, 128 << 10);
    let nsids: Vec<u32> = host
        .namespaces()
        .iter()
        .map(|namespace| namespace.nsid)
        .collect();
    assert_eq!(nsids, [1, 3, 7]);
    assert_eq!(host.namespaces()[2].uuid, [7; 16]);
    assert_eq!(host.inventory.namespaces.used_bytes(), 3 * (512 << 20));
    assert_eq!(host.controller.max_queue_entries(), 256);
}

#[test]
fn admin_queues_are_set_before_the_controller_is_enabled() {
    let mut host = Host::new(Device::new());
    assert_eq!(host.reach(Goal::Identify), Progress::Done);
    let writes = host.device.writes.borrow();
    assert_eq!(writes.iter().position(|write| write.0 == AQA), Some(0));
    assert!(writes.contains(&(AQA, 0x001F_001F)));
    assert!(writes.contains(&(ASQ, device::BASE)));
    drop(writes);
    let written = configurations(&host.device);
    let expected = ControllerConfiguration::new().with_iosqes(6).with_iocqes(4);
    assert_eq!(written, [expected, expected.with_en(true)]);
}

#[test]
fn a_running_controller_is_stopped_first() {
    let mut host = Host::started();
    let before = configurations(&host.device).len();
    assert_eq!(host.reach(Goal::Reset), Progress::Done);
    let written = configurations(&host.device);
    assert!(!written[before].en());
    assert!(written.last().unwrap().en());
    assert_eq!(host.controller.pairs(), 0);
    assert!(host.controller.is_idle());
}

#[test]
fn ready_is_waited_for_as_long_as_the_controller_says() {
    for (to, limit_us) in [(0, SECOND_US / 2), (1, SECOND_US / 2), (6, 3 * SECOND_US)] {
        let mut host = Host::new(Device::new());
        let capabilities = host.device.capabilities.get().with_to(to);
        host.device.capabilities.set(capabilities);
        host.device.ready_us.set(None);
        assert_eq!(failed(host.reach(Goal::Identify)), Failure::NotReady);
        let waited = host.device.now_us.get();
        assert!(
            (limit_us..limit_us + 20_000).contains(&waited),
            "{waited} us for TO {to}"
        );
        // A little less than the limit is in time.
        host.device.ready_us.set(Some(limit_us - 20_000));
        assert_eq!(host.reach(Goal::Identify), Progress::Done);
    }
}

#[test]
fn a_controller_that_stays_ready_is_given_up() {
    let mut host = Host::started();
    host.device.stop_us.set(None);
    assert_eq!(failed(host.reach(Goal::Reset)), Failure::StillReady);
}

#[test]
fn a_fatal_status_is_noticed() {
    let mut host = Host::new(Device::new());
    host.device.ready_us.set(None);
    host.controller
        .begin(Goal::Identify, host.device.now())
        .unwrap();
    while host.device.writes.borrow().len() < 5 {
        let _ = host.step();
    }
    host.device.fatal.set(true);
    assert_eq!(failed(host.settle()), Failure::Fatal);

    let mut host = Host::started();
    host.device.fatal.set(true);
    assert_eq!(failed(host.step()), Failure::Fatal);
    // A reset gets it out of that.
    assert_eq!(host.reach(Goal::Reset), Progress::Done);
}

#[test]
fn a_removed_controller_is_noticed_in_every_state() {
    let mut steps = 0;
    loop {
        let mut host = Host::new(Device::new());
        host.controller
            .begin(Goal::Identify, host.device.now())
            .unwrap();
        let mut done = false;
        for _ in 0..steps {
            if let Progress::Again { after_us } = host.step() {
                host.device
                    .now_us
                    .set(host.device.now_us.get() + u64::from(after_us));
            } else {
                done = true;
            }
        }
        host.device.removed.set(true);
        assert_eq!(failed(host.step()), Failure::Removed, "after {steps} steps");
        assert!(host.controller.confirm_removal(&host.device));
        if done {
            break;
        }
        steps += 1;
    }
    assert!(steps > 10);
}

#[test]
fn controllers_that_cannot_be_used_are_told_apart() {
    let unsupported = |change: fn(&Device)| {
        let mut host = Host::new(Device::new());
        change(&host.device);
        failed(host.reach(Goal::Identify))
    };
    let page_size = unsupported(|device| {
        device
            .capabilities
            .set(device.capabilities.get().with_mpsmin(1));
    });
    assert_eq!(page_size, Failure::Unsupported(Unsupported::PageSize));
    let command_set = unsupported(|device| {
        device
            .capabilities
            .set(device.capabilities.get().with_css_nvm(false));
    });
    assert_eq!(command_set, Failure::Unsupported(Unsupported::CommandSet));
    let entry_sizes = unsupported(|device| {
        device.answer(|_| {
            let mut data = device::controller();
            data.sqes.set_required(7);
            Answer::Data(data.as_bytes().to_vec())
        });
    });
    assert_eq!(entry_sizes, Failure::Unsupported(Unsupported::EntrySizes));
}

#[test]
fn namespaces_that_cannot_be_presented_are_reported() {
    let mut host = Host::new(Device::new());
    host.device.answer(|command| match command.cdw10 {
        0 if command.nsid == 2 => {
            let mut data = device::namespace();
            data.lbaf[0] = LbaFormat::new().with_lbads(9).with_ms(8);
            Answer::Data(data.as_bytes().to_vec())
        }
        _ => identify(command, &[1, 2]),
    });
    assert_eq!(host.reach(Goal::Identify), Progress::Done);
    let usability: Vec<_> = host
        .namespaces()
        .iter()
        .map(|namespace| namespace.usability)
        .collect();
    assert_eq!(usability, [Usability::Usable, Usability::Metadata]);
}

#[test]
fn more_namespaces_than_there_is_room_for() {
    let mut host = Host::new(Device::new());
    let all: Vec<u32> = (1..=100).collect();
    host.device.answer(move |command| identify(command, &all));
    assert_eq!(host.reach(Goal::Identify), Progress::Done);
    assert_eq!(host.namespaces().len(), 64);
    assert!(host.inventory.namespaces.more());
}

#[test]
fn an_endless_or_disordered_namespace_list_ends() {
    // Every namespace of the list turns out to be inactive.
    let mut host = Host::new(Device::new());
    host.device.answer(|command| match command.cdw10 {
        2 => Answer::Data((command.nsid + 1).to_le_bytes().to_vec()),
        0 => Answer::Data(vec![0; 4096]),
        _ => identify(command, &[]),
    });
    assert_eq!(host.reach(Goal::Identify), Progress::Done);
    assert_eq!(host.namespaces(), []);

    let mut host = Host::new(Device::new());
    host.device.answer(|command| match command.cdw10 {
        2 => Answer::Data(2u32.to_le_bytes().to_vec()),
        _ => identify(command, &[2]),
    });
    let impossible = Failure::Impossible(Impossible::NamespaceList);
    assert_eq!(failed(host.reach(Goal::Identify)), impossible);
}

#[test]
fn old_controllers_are_asked_namespace_by_namespace() {
    let mut host = Host::new(Device::new());
    host.device.version.set(Version::new().with_mjr(1));
    host.device.answer(|command| match command.cdw10 {
        0 | 1 => identify(command, &[2, 4]),
        _ => Answer::Fail(Status::INVALID_FIELD),
    });
    assert_eq!(host.reach(Goal::Identify), Progress::Done);
    let nsids: Vec<u32> = host
        .namespaces()
        .iter()
        .map(|namespace| namespace.nsid)
        .collect();
    assert_eq!(nsids, [2, 4]);
    assert_eq!(host.namespaces()[0].eui64, [7; 8]);
    // Identify Controller, and one for each of NN.
    assert_eq!(host.device.commands.borrow().len(), 9);
}

#[test]
fn queue_pairs_are_created_completion_queue_first() {
    let mut host = Host::new(Device::new());
    assert_eq!(host.reach(Goal::Identify), Progress::Done);
    let from = host.device.commands.borrow().len();
    assert_eq!(host.reach(Goal::Start { pairs: 2 }), Progress::Done);
    assert_eq!(host.controller.pairs(), 2);
    let expected = [
        AdminOpcode::SET_FEATURES,
        AdminOpcode::CREATE_COMPLETION_QUEUE,
        AdminOpcode::CREATE_SUBMISSION_QUEUE,
        AdminOpcode::CREATE_COMPLETION_QUEUE,
        AdminOpcode::CREATE_SUBMISSION_QUEUE,
        AdminOpcode::GET_FEATURES,
        AdminOpcode::SET_FEATURES,
        AdminOpcode::ASYNC_EVENT_REQUEST,
        AdminOpcode::ASYNC_EVENT_REQUEST,
        AdminOpcode::ASYNC_EVENT_REQUEST,
        AdminOpcode::ASYNC_EVENT_REQUEST,
    ];
    assert_eq!(host.device.opcodes(from), expected);
    let completion = last(&host.device, AdminOpcode::CREATE_COMPLETION_QUEUE);
    assert_eq!(
        (completion.cdw10, completion.cdw11),
        (63 << 16 | 2, 1 << 16 | 3)
    );
    assert_eq!(completion.prp1, host.inventory.queues[1].completion_address);
    let submission = last(&host.device, AdminOpcode::CREATE_SUBMISSION_QUEUE);
    assert_eq!(
        (submission.cdw10, submission.cdw11),
        (63 << 16 | 2, 2 << 16 | 1)
    );
    assert_eq!(submission.prp1, host.inventory.queues[1].submission_address);
}

#[test]
fn fewer_queues_than_asked_for_are_taken() {
    let mut host = Host::new(Device::new());
    assert_eq!(host.reach(Goal::Identify), Progress::Done);
    // 8 completion, 4 submission queues.
    assert_eq!(host.reach(Goal::Start { pairs: 6 }), Progress::Done);
    assert_eq!(host.controller.pairs(), 4);
}

#[test]
fn queue_memory_is_checked() {
    let start = |change: fn(&mut nvme::lifecycle::QueueMemory)| {
        let mut host = Host::new(Device::new());
        assert_eq!(host.reach(Goal::Identify), Progress::Done);
        change(&mut host.inventory.queues[0]);
        host.reach(Goal::Start { pairs: 1 })
    };
    assert_eq!(
        failed(start(|queue| queue.submission_entries = 257)),
        Failure::QueueMemory
    );
    assert_eq!(
        failed(start(|queue| queue.completion_entries = 1)),
        Failure::QueueMemory
    );
    assert_eq!(
        failed(start(|queue| queue.completion_address = 0)),
        Failure::QueueMemory
    );
    assert_eq!(
        failed(start(|queue| queue.submission_address += 64)),
        Failure::QueueMemory
    );
    assert_eq!(
        start(|queue| queue.submission_entries = 256),
        Progress::Done
    );
}

#[test]
fn goals_that_need_an_enabled_controller_are_refused_without() {
    let mut host = Host::new(Device::new());
    assert_eq!(
        host.controller
            .begin(Goal::Start { pairs: 1 }, host.device.now()),
        Err(NotNow)
    );
    assert_eq!(
        host.controller.begin(Goal::DisableHmb, host.device.now()),
        Err(NotNow)
    );
    let mut host = Host::started();
    assert_eq!(
        host.controller
            .begin(Goal::Start { pairs: 1 }, host.device.now()),
        Err(NotNow)
    );
}

#[test]
fn the_write_cache_is_as_the_controller_says() {
    let cache = |answer: Answer, present: bool| {
        let mut host = Host::new(Device::new());
        host.device
            .answer(move |command| match AdminOpcode(command.cdw0.opcode()) {
                AdminOpcode::GET_FEATURES => answer.clone(),
                AdminOpcode::IDENTIFY if command.cdw10 == 1 => {
                    let mut data = device::controller();
                    data.vwc.set_present(present);
                    Answer::Data(data.as_bytes().to_vec())
                }
                _ => well_behaved(command),
            });
        assert_eq!(host.reach(Goal::Identify), Progress::Done);
        assert_eq!(host.reach(Goal::Start { pairs: 1 }), Progress::Done);
        host.controller.write_cache()
    };
    assert_eq!(cache(Answer::Success(1), true), WriteCache::Enabled);
    assert_eq!(cache(Answer::Success(0), true), WriteCache::Disabled);
    assert_eq!(
        cache(Answer::Fail(Status::INVALID_FIELD), true),
        WriteCache::Enabled
    );
    assert_eq!(cache(Answer::Success(1), false), WriteCache::Absent);
}

#[test]
fn events_are_taken_and_their_requests_renewed() {
    let mut host = Host::started();
    let requests = |host: &Host| {
        let opcodes = host.device.opcodes(0);
        opcodes
            .iter()
            .filter(|&&opcode| opcode == AdminOpcode::ASYNC_EVENT_REQUEST)
            .count()
    };
    assert_eq!(requests(&host), 4);
    let request = last(&host.device, AdminOpcode::ASYNC_EVENT_REQUEST);
    host.device
        .complete(request.cdw0.cid(), 0x0004_0002, Status::SUCCESS);
    assert_eq!(host.step(), Progress::Done);
    let Some(Event::Async(event)) = host.controller.take_event() else {
        panic!("an event");
    };
    assert_eq!(event.event(), AsyncEvent::NAMESPACE_CHANGED);
    assert_eq!(host.controller.take_event(), None);
    assert_eq!(requests(&host), 5);
    // One that is refused is not renewed.
    let request = last(&host.device, AdminOpcode::ASYNC_EVENT_REQUEST);
    host.device.complete(
        request.cdw0.cid(),
        0,
        Status::ASYNC_EVENT_REQUEST_LIMIT_EXCEEDED,
    );
    assert_eq!(host.step(), Progress::Done);
    assert_eq!(requests(&host), 5);
}

#[test]
fn events_that_nobody_takes_are_counted() {
    let mut host = Host::started();
    for _ in 0..11 {
        let request = last(&host.device, AdminOpcode::ASYNC_EVENT_REQUEST);
        host.device.complete(request.cdw0.cid(), 0, Status::SUCCESS);
        assert_eq!(host.step(), Progress::Done);
    }
    assert_eq!(
        std::iter::from_fn(|| host.controller.take_event()).count(),
        8
    );
    assert_eq!(host.controller.events_lost(), 3);
}

#[test]
fn a_command_without_an_answer_times_out_and_its_late_answer_is_known() {
    let mut host = Host::new(Device::new());
    host.device
        .answer(|command| match AdminOpcode(command.cdw0.opcode()) {
            AdminOpcode::CREATE_COMPLETION_QUEUE => Answer::Never,
            _ => well_behaved(command),
        });
    assert_eq!(host.reach(Goal::Identify), Progress::Done);
    let begun = host.device.now_us.get();
    let timed_out = Failure::TimedOut(AdminOpcode::CREATE_COMPLETION_QUEUE);
    assert_eq!(failed(host.reach(Goal::Start { pairs: 1 })), timed_out);
    let waited = host.device.now_us.get() - begun;
    assert!(
        (10 * SECOND_US..11 * SECOND_US).contains(&waited),
        "{waited} us"
    );
    let late = last(&host.device, AdminOpcode::CREATE_COMPLETION_QUEUE);
    host.device
        .complete(late.cdw0.cid(), 0, Status::INTERNAL_ERROR);
    assert_eq!(host.step(), Progress::Done);
    let event = Event::Late(AdminOpcode::CREATE_COMPLETION_QUEUE, Status::INTERNAL_ERROR);
    assert_eq!(host.controller.take_event(), Some(event));
    // A second answer is not.
    host.device.complete(late.cdw0.cid(), 0, Status::SUCCESS);
    assert_eq!(
        failed(host.step()),
        Failure::Impossible(Impossible::CommandId)
    );
}

#[test]
fn an_answer_from_before_a_reset_is_not_taken_for_a_new_one() {
    let mut host = Host::started();
    host.device.answer(|_| Answer::Never);
    assert_eq!(
        host.controller.begin(Goal::DisableHmb, host.device.now()),
        Ok(())
    );
    assert!(matches!(host.step(), Progress::Again { .. }));
    let old = last(&host.device, AdminOpcode::SET_FEATURES).cdw0.cid();
    assert_eq!(host.reach(Goal::Reset), Progress::Done);
    host.device.complete(old, 0, Status::SUCCESS);
    assert_eq!(
        failed(host.step()),
        Failure::Impossible(Impossible::CommandId)
    );
}

#[test]
fn impossible_completions_are_told_apart() {
    let after = |change: fn(&mut Completion)| {
        let mut host = Host::started();
        let cid = last(&host.device, AdminOpcode::ASYNC_EVENT_REQUEST)
            .cdw0
            .cid();
        let sq_head = host.device.commands.borrow().len() as u16 % 32;
        let mut completion = Completion {
            cid,
            sq_head,
            ..Completion::default()
        };
        change(&mut completion);
        host.device.post(completion);
        host.step()
    };
    assert_eq!(after(|_| {}), Progress::Done);
    let impossible = |change| match failed(after(change)) {
        Failure::Impossible(what) => what,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        impossible(|completion| completion.sq_id = 1),
        Impossible::QueueId
    );
    assert_eq!(
        impossible(|completion| completion.sq_head = 32),
        Impossible::Head
    );
    assert_eq!(
        impossible(|completion| completion.sq_head += 1),
        Impossible::Head
    );
    assert_eq!(
        impossible(|completion| completion.cid = 0x000F),
        Impossible::CommandId
    );
    assert_eq!(
        impossible(|completion| completion.cid = 0xFFFF),
        Impossible::CommandId
    );
}

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

/// One thing that a hostile controller does, or its driver.
#[derive(Clone, Debug)]
enum Hostility {
    Post {
        dw0: u32,
        sq_head: u16,
        sq_id: u16,
        cid: u16,
        status: u16,
    },
    Complete {
        nth: usize,
        status: u16,
    },
    Begin(u8),
    Steps(u8),
    Remove(bool),
    Fatal,
    Overwrite {
        offset: u16,
        bytes: Vec<u8>,
    },
}

fn hostility() -> impl Strategy<Value = Hostility> {
    prop_oneof![
        (any::<u32>(), 0u16..40, 0u16..3, any::<u16>(), any::<u16>()).prop_map(
            |(dw0, sq_head, sq_id, cid, status)| Hostility::Post {
                dw0,
                sq_head,
                sq_id,
                cid,
                status
            }
        ),
        (any::<usize>(), prop_oneof![Just(0), any::<u16>()])
            .prop_map(|(nth, status)| Hostility::Complete { nth, status }),
        any::<u8>().prop_map(Hostility::Begin),
        any::<u8>().prop_map(Hostility::Steps),
        any::<bool>().prop_map(Hostility::Remove),
        Just(Hostility::Fatal),
        (any::<u16>(), prop::collection::vec(any::<u8>(), 1..64))
            .prop_map(|(offset, bytes)| Hostility::Overwrite { offset, bytes }),
    ]
}

fn goal(choice: u8) -> Goal {
    match choice % 6 {
        0 => Goal::Identify,
        1 => Goal::Reset,
        2 => Goal::Start {
            pairs: u16::from(choice / 6),
        },
        3 => Goal::DisableHmb,
        4 => Goal::Disable,
        _ => Goal::Shutdown(if choice > 127 {
            Shutdown::Abrupt
        } else {
            Shutdown::Normal
        }),
    }
}

impl Host {
    fn suffer(&mut self, what: Hostility) {
        match what {
            Hostility::Post {
                dw0,
                sq_head,
                sq_id,
                cid,
                status,
            } => {
                let status = status.into();
                self.device.post(Completion {
                    dw0,
                    dw1: 0,
                    sq_head,
                    sq_id,
                    cid,
                    status,
                });
            }
            Hostility::Complete { nth, status } => {
                let commands = self.device.commands.borrow();
                let cid = commands
                    .get(nth % commands.len().max(1))
                    .map(|command| command.cdw0.cid());
                drop(commands);
                self.device
                    .complete(cid.unwrap_or(0), 0, Status(status & 0x7FF));
            }
            Hostility::Begin(choice) => {
                let _ = self.controller.begin(goal(choice), self.device.now());
            }
            Hostility::Steps(count) => {
                for _ in 0..count {
                    if let Progress::Again { after_us } = self.step() {
                        self.device
                            .now_us
                            .set(self.device.now_us.get() + u64::from(after_us));
                    }
                }
            }
            Hostility::Remove(removed) => self.device.removed.set(removed),
            Hostility::Fatal => self.device.fatal.set(true),
            Hostility::Overwrite { offset, bytes } => {
                let offset = usize::from(offset);
                nvme::DmaMemory::write(&self.device.memory, offset, &bytes);
            }
        }
        while self.controller.take_event().is_some() {}
    }
}

proptest! {
    /// Whatever the controller posts, answers and writes: nothing panics, every goal ends, and an honest controller can be
    /// brought up afterwards.
    #[test]
    fn a_hostile_controller_is_survived(what in prop::collection::vec(hostility(), 1..60), mute in any::<bool>()) {
        let mut host = Host::started();
        if mute {
            host.device.answer(|_| Answer::Never);
        }
        for what in what {
            host.suffer(what);
        }
        let _ = host.settle();
        host.device.removed.set(false);
        host.device.fatal.set(false);
        host.device.answer(well_behaved);
        prop_assert_eq!(host.reach(Goal::Identify), Progress::Done);
        prop_assert_eq!(host.reach(Goal::Start { pairs: 1 }), Progress::Done);
        prop_assert_eq!(host.namespaces().len(), 1);
    }
}

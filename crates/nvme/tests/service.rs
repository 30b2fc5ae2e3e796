//! I/O queues, the write cache, events, and answers that come late or cannot be true.

mod device;

use device::{Answer, Device, Host, failed, last, well_behaved};
use nvme::lifecycle::{Event, Failure, Goal, Impossible, NotNow, Progress, WriteCache};
use nvme_spec::async_event::AsyncEvent;
use nvme_spec::command::AdminOpcode;
use nvme_spec::completion::Completion;
use nvme_spec::status::Status;
use zerocopy::IntoBytes;

const SECOND_US: u64 = 1_000_000;

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
        AdminOpcode::GET_LOG_PAGE,
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
fn a_completion_queue_without_its_submission_queue_is_there_until_a_reset() {
    let mut host = Host::new(Device::new());
    host.device
        .answer(|command| match AdminOpcode(command.cdw0.opcode()) {
            AdminOpcode::CREATE_SUBMISSION_QUEUE => Answer::Fail(Status::INTERNAL_ERROR),
            _ => well_behaved(command),
        });
    let goal = Goal::Start { pairs: 1 };
    let refused = Failure::Refused(AdminOpcode::CREATE_SUBMISSION_QUEUE, Status::INTERNAL_ERROR);
    assert_eq!(host.reach(Goal::Identify), Progress::Done);
    assert_eq!(failed(host.reach(goal)), refused);
    assert_eq!(host.controller.begin(goal, host.device.now()), Err(NotNow));
    host.device.answer(well_behaved);
    assert_eq!(host.reach(Goal::Reset), Progress::Done);
    assert_eq!(host.reach(goal), Progress::Done);
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
    // Its log page is read before the next one can be reported.
    assert_eq!(requests(&host), 4);
    assert_eq!(host.step(), Progress::Done);
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

/// The log pages read so far, with the dwords that were asked for.
fn logs_read(host: &Host) -> Vec<(u32, u32)> {
    let commands = host.device.commands.borrow();
    let reads = commands
        .iter()
        .filter(|command| AdminOpcode(command.cdw0.opcode()) == AdminOpcode::GET_LOG_PAGE);
    reads
        .map(|read| {
            assert_eq!(
                (read.nsid, read.cdw10 >> 8 & 0xFF),
                (u32::MAX, 0),
                "RAE = 0"
            );
            (read.cdw10 & 0xFF, (read.cdw10 >> 16) + 1)
        })
        .collect()
}

/// Completes the event request that was sent `back` before the last one with an event of type `kind` that names `page`.
fn report(host: &mut Host, back: usize, kind: u32, page: u32) {
    let request = {
        let commands = host.device.commands.borrow();
        let mut requests = commands
            .iter()
            .rev()
            .filter(|command| command.cdw0.opcode() == AdminOpcode::ASYNC_EVENT_REQUEST.0);
        *requests.nth(back).expect("a request")
    };
    let event = page << 16 | kind;
    host.device
        .complete(request.cdw0.cid(), event, Status::SUCCESS);
    assert_eq!(host.step(), Progress::Done);
}

#[test]
fn the_log_page_of_an_event_is_read_so_that_the_next_one_can_come() {
    let mut host = Host::started();
    host.device
        .answer(|command| match AdminOpcode(command.cdw0.opcode()) {
            AdminOpcode::GET_LOG_PAGE => Answer::Never,
            _ => well_behaved(command),
        });
    // At the start the health is read.
    host.device
        .commands
        .borrow_mut()
        .retain(|command| command.cdw0.opcode() != 2);
    report(&mut host, 3, 1, 2);
    assert_eq!(logs_read(&host), [(2, 128)]);
    // One page is read at a time, and each once.
    report(&mut host, 2, 0, 1);
    report(&mut host, 1, 0, 1);
    report(&mut host, 0, 2, 4);
    assert_eq!(logs_read(&host), [(2, 128)]);
    let mut answer = |status| {
        let read = last(&host.device, AdminOpcode::GET_LOG_PAGE);
        host.device.complete(read.cdw0.cid(), 0, status);
        assert_eq!(host.step(), Progress::Done);
        logs_read(&host)
    };
    assert_eq!(answer(Status::SUCCESS), [(2, 128), (1, 16)]);
    assert_eq!(answer(Status::INVALID_FIELD).last(), Some(&(4, 1024)));
    assert_eq!(answer(Status::SUCCESS).len(), 3);
    // An event that names no page.
    report(&mut host, 0, 7, 0);
    assert_eq!(logs_read(&host).len(), 3);
    let events = std::iter::from_fn(|| host.controller.take_event());
    assert!(
        events
            .map(|event| matches!(event, Event::Async(_)))
            .eq([true; 5])
    );
    // A page that was read a moment ago waits.
    report(&mut host, 0, 1, 2);
    assert_eq!(logs_read(&host).len(), 3);
    let due = host.controller.deferred().expect("a page waits");
    assert!(due.us_since(host.device.now()) > 500_000);
    host.device.now_us.set(host.device.now_us.get() + 1_000_000);
    assert_eq!(host.step(), Progress::Done);
    // Now it has to be answered.
    let due = host.controller.deferred().expect("a deadline");
    assert_eq!(due.us_since(host.device.now()), 10_000_000);
    // What was being read is forgotten with the reset.
    assert_eq!(logs_read(&host).len(), 4);
    host.device.answer(well_behaved);
    assert_eq!(host.reach(Goal::Reset), Progress::Done);
    assert_eq!(host.reach(Goal::Start { pairs: 1 }), Progress::Done);
    report(&mut host, 0, 0, 1);
    assert_eq!(logs_read(&host).last(), Some(&(1, 16)));
}

#[test]
fn a_log_page_that_is_never_given_costs_a_reset_and_is_not_asked_for_again() {
    let mut host = Host::started();
    host.device
        .answer(|command| match AdminOpcode(command.cdw0.opcode()) {
            AdminOpcode::GET_LOG_PAGE if command.cdw10 as u8 == 4 => Answer::Never,
            _ => well_behaved(command),
        });
    report(&mut host, 0, 2, 4);
    let due = host.controller.deferred().expect("a deadline");
    host.device.now_us.set(due.us_since(device::at_us(0)));
    let timed_out = Failure::TimedOut(AdminOpcode::GET_LOG_PAGE);
    assert_eq!(failed(host.step()), timed_out);
    assert!(!host.controller.namespaces_changed());
    assert_eq!(host.reach(Goal::Reset), Progress::Done);
    assert_eq!(host.reach(Goal::Start { pairs: 1 }), Progress::Done);
    let read = logs_read(&host).len();
    // The event is acted on all the same.
    report(&mut host, 0, 2, 4);
    assert_eq!(logs_read(&host).len(), read);
    assert!(host.controller.namespaces_changed());
}

/// Reports the same event with every request that the controller holds, for ten minutes: how many there were.
fn events_in_ten_minutes(kind: u32, page: u32) -> usize {
    let mut host = Host::started();
    let mut answered = 0;
    for _ in 0..6000 {
        for _ in 0..100 {
            let requests: Vec<_> = {
                let commands = host.device.commands.borrow();
                let all = commands.iter();
                all.filter(|command| command.cdw0.opcode() == AdminOpcode::ASYNC_EVENT_REQUEST.0)
                    .map(|command| command.cdw0.cid())
                    .collect()
            };
            for cid in &requests[answered..] {
                host.device
                    .complete(*cid, page << 16 | kind, Status::SUCCESS);
            }
            answered = requests.len();
            assert_eq!(host.step(), Progress::Done);
        }
        host.device
            .now_us
            .set(host.device.now_us.get() + SECOND_US / 10);
    }
    answered
}

#[test]
fn events_that_come_without_end_are_taken_ever_more_seldom() {
    // With and without a log page; the second controller does not care whether its page is read.
    for page in [0, 2] {
        let events = events_in_ten_minutes(1, page);
        assert!((20..=80).contains(&events), "{events} events, page {page}");
    }
}

#[test]
fn media_that_became_read_only_are_known_at_the_start_and_by_the_event() {
    let health = |read_only: bool| {
        move |command: &nvme_spec::command::Command| match AdminOpcode(command.cdw0.opcode()) {
            AdminOpcode::GET_LOG_PAGE => Answer::Data(vec![u8::from(read_only) << 3, 0, 0, 0]),
            _ => well_behaved(command),
        }
    };
    let mut host = Host::new(Device::new());
    host.device.answer(health(true));
    assert_eq!(host.reach(Goal::Identify), Progress::Done);
    assert!(!host.controller.is_read_only());
    assert_eq!(host.reach(Goal::Start { pairs: 1 }), Progress::Done);
    assert!(host.controller.is_read_only());
    let mut host = Host::started();
    assert!(!host.controller.is_read_only());
    host.device.answer(health(true));
    report(&mut host, 0, 1, 2);
    assert_eq!(host.step(), Progress::Done);
    assert!(host.controller.is_read_only());
    // Another log page is not mistaken for it.
    let mut host = Host::started();
    host.device.answer(health(true));
    report(&mut host, 0, 0, 1);
    assert_eq!(host.step(), Progress::Done);
    assert!(!host.controller.is_read_only());
}

#[test]
fn events_that_nobody_takes_are_counted() {
    let mut host = Host::started();
    for _ in 0..11 {
        let request = last(&host.device, AdminOpcode::ASYNC_EVENT_REQUEST);
        host.device.complete(request.cdw0.cid(), 0, Status::SUCCESS);
        assert_eq!(host.step(), Progress::Done);
        host.device
            .now_us
            .set(host.device.now_us.get() + 200 * SECOND_US);
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
    let repeat = |host: &mut Host| {
        host.device.complete(late.cdw0.cid(), 0, Status::SUCCESS);
        host.step()
    };
    is_borne_seven_times(&mut host, repeat);
}

#[test]
fn slow_answers_do_not_add_up_without_limit() {
    let mut host = Host::new(Device::new());
    assert_eq!(host.reach(Goal::Identify), Progress::Done);
    host.device.answer(|_| Answer::Never);
    let goal = Goal::Start { pairs: 4 };
    let begun = host.device.now_us.get();
    host.controller.begin(goal, host.device.now()).unwrap();
    let end = loop {
        let sent = host.device.commands.borrow().len();
        match host.step() {
            Progress::Again { .. } => {}
            end => break end,
        }
        // Each answer comes just in time.
        host.device
            .now_us
            .set(host.device.now_us.get() + 9 * SECOND_US / 2);
        let command = host.device.commands.borrow().get(sent).copied();
        if let Some(command) = command {
            host.device
                .complete(command.cdw0.cid(), 0x0007_0007, Status::SUCCESS);
        }
    };
    assert!(matches!(failed(end), Failure::TimedOut(_)));
    let waited = host.device.now_us.get() - begun;
    assert!(
        (30 * SECOND_US..45 * SECOND_US).contains(&waited),
        "{waited} us"
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
    let repeat = |host: &mut Host| {
        host.device.complete(old, 0, Status::SUCCESS);
        host.step()
    };
    is_borne_seven_times(&mut host, repeat);
}

/// As on every queue pair: a completion that belongs to no outstanding command changes nothing; a controller that posts nothing else is
/// broken.
fn is_borne_seven_times(host: &mut Host, mut post: impl FnMut(&mut Host) -> Progress) {
    for _ in 0..7 {
        assert_eq!(post(host), Progress::Done);
        assert_eq!(host.controller.take_event(), None);
    }
    assert_eq!(
        failed(post(host)),
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

//! Creating, using and deleting queues.

use nvme_model::Rule;
use nvme_spec::command::{AdminOpcode, Command, NvmOpcode};
use nvme_spec::registers::{completion_head_doorbell, submission_tail_doorbell};
use nvme_spec::status::Status;

use crate::host::{Host, PAGE, Pair, admin, nvm, status};

fn create_completion(id: u16, size: u16, base: u64, flags: u32) -> Command {
    Command {
        prp1: base,
        cdw10: u32::from(size) << 16 | u32::from(id),
        cdw11: flags,
        ..admin(AdminOpcode::CREATE_COMPLETION_QUEUE)
    }
}

fn create_submission(id: u16, size: u16, base: u64, target: u16) -> Command {
    Command {
        prp1: base,
        cdw10: u32::from(size) << 16 | u32::from(id),
        cdw11: u32::from(target) << 16 | 1,
        ..admin(AdminOpcode::CREATE_SUBMISSION_QUEUE)
    }
}

fn delete(opcode: AdminOpcode, id: u16) -> Command {
    Command {
        cdw10: u32::from(id),
        ..admin(opcode)
    }
}

/// A host whose number of queues is negotiated.
fn negotiated() -> Host {
    let mut host = Host::ready(&[("queues", "4"), ("mqes", "64")]);
    let mut number = admin(AdminOpcode::SET_FEATURES);
    (number.cdw10, number.cdw11) = (7, 0x0003_0003);
    assert_eq!(host.admin_ok(number), 0x0003_0003);
    host
}

#[test]
fn completion_queues_are_created_with_valid_arguments_only() {
    let base = 0x20_0000;
    for (command, expected) in [
        (
            create_completion(0, 7, base, 1),
            Status::INVALID_QUEUE_IDENTIFIER,
        ),
        (
            create_completion(5, 7, base, 1),
            Status::INVALID_QUEUE_IDENTIFIER,
        ),
        (create_completion(1, 0, base, 1), Status::INVALID_QUEUE_SIZE),
        (
            create_completion(1, 64, base, 1),
            Status::INVALID_QUEUE_SIZE,
        ),
        (create_completion(1, 7, base, 0), Status::INVALID_FIELD),
        (
            create_completion(1, 7, base + 16, 1),
            Status::PRP_OFFSET_INVALID,
        ),
        (
            create_completion(1, 7, base, 1 << 16 | 3),
            Status::INVALID_INTERRUPT_VECTOR,
        ),
    ] {
        let mut host = negotiated();
        let completion = host.admin(command);
        assert_eq!(status(&completion), expected, "{command:?}");
        assert!(host.broken().contains(&Rule::QueueCreation));
    }
    let mut host = negotiated();
    host.admin_ok(create_completion(1, 63, base, 1));
    host.assert_clean();
    let again = host.admin(create_completion(1, 7, base, 1));
    assert_eq!(status(&again), Status::INVALID_QUEUE_IDENTIFIER);
}

#[test]
fn submission_queues_need_a_completion_queue() {
    let base = 0x20_0000;
    for (command, expected) in [
        (
            create_submission(1, 7, base, 2),
            Status::COMPLETION_QUEUE_INVALID,
        ),
        (
            create_submission(1, 7, base, 0),
            Status::COMPLETION_QUEUE_INVALID,
        ),
        (
            create_submission(1, 7, base, 9),
            Status::INVALID_QUEUE_IDENTIFIER,
        ),
        (
            create_submission(0, 7, base, 1),
            Status::INVALID_QUEUE_IDENTIFIER,
        ),
        (create_submission(1, 0, base, 1), Status::INVALID_QUEUE_SIZE),
        (
            create_submission(1, 7, base + 4, 1),
            Status::PRP_OFFSET_INVALID,
        ),
    ] {
        let mut host = negotiated();
        host.admin_ok(create_completion(1, 7, base + PAGE, 1));
        assert_eq!(status(&host.admin(command)), expected, "{command:?}");
        assert!(host.broken().contains(&Rule::QueueCreation));
    }
}

#[test]
fn entry_sizes_are_set_in_cc_before_queues_are_created() {
    let mut host = negotiated();
    host.set(nvme_spec::registers::CC, 1);
    let completion = host.admin(create_completion(1, 7, 0x20_0000, 1));
    assert_eq!(status(&completion), Status::INVALID_QUEUE_SIZE);
    assert_eq!(host.broken(), [Rule::QueueCreation]);
}

#[test]
fn the_number_of_queues_comes_first_and_counts() {
    let mut host = Host::ready(&[]);
    host.admin_ok(create_completion(1, 7, 0x20_0000, 1));
    assert_eq!(host.broken(), [Rule::QueueCount]);
    let mut number = admin(AdminOpcode::SET_FEATURES);
    (number.cdw10, number.cdw11) = (7, 0);
    assert_eq!(status(&host.admin(number)), Status::COMMAND_SEQUENCE_ERROR);
    assert_eq!(host.broken(), [Rule::QueueCount]);

    let mut host = Host::ready(&[]);
    assert_eq!(host.admin_ok(number), 0);
    let second = host.admin(create_completion(2, 7, 0x20_0000, 1));
    assert_eq!(status(&second), Status::INVALID_QUEUE_IDENTIFIER);
    assert_eq!(host.broken(), [Rule::QueueCount, Rule::QueueCreation]);
}

#[test]
fn a_completion_queue_outlives_its_submission_queues() {
    let mut host = negotiated();
    host.io_queues(1, 8);
    let early = host.admin(delete(AdminOpcode::DELETE_COMPLETION_QUEUE, 1));
    assert_eq!(status(&early), Status::INVALID_QUEUE_DELETION);
    assert_eq!(host.broken(), [Rule::QueueDeletion]);
    host.admin_ok(delete(AdminOpcode::DELETE_SUBMISSION_QUEUE, 1));
    host.admin_ok(delete(AdminOpcode::DELETE_COMPLETION_QUEUE, 1));
    host.assert_clean();
    for opcode in [
        AdminOpcode::DELETE_SUBMISSION_QUEUE,
        AdminOpcode::DELETE_COMPLETION_QUEUE,
    ] {
        for id in [0, 1, 99] {
            assert_eq!(
                status(&host.admin(delete(opcode, id))),
                Status::INVALID_QUEUE_IDENTIFIER
            );
            assert_eq!(host.broken(), [Rule::QueueDeletion]);
        }
    }
}

#[test]
fn deleting_a_submission_queue_aborts_its_commands() {
    let mut host = negotiated();
    let mut pair = host.io_queues(1, 8);
    let cid = host.write(&mut pair, nvm(NvmOpcode::FLUSH, 1));
    host.commit(&pair);
    host.admin_ok(delete(AdminOpcode::DELETE_SUBMISSION_QUEUE, 1));
    let completion = host.poll(&mut pair).expect("a completion");
    assert_eq!(
        (completion.cid, status(&completion)),
        (cid, Status::ABORTED_SQ_DELETION)
    );
    assert_eq!(host.poll(&mut pair), None);
}

#[test]
fn queues_wrap_with_their_phase() {
    let mut host = negotiated();
    let mut pair = host.io_queues(1, 5);
    for round in 0..23 {
        let completion = host.execute(&mut pair, nvm(NvmOpcode::FLUSH, 1));
        assert_eq!(status(&completion), Status::SUCCESS, "{round}");
        assert_eq!(u32::from(completion.sq_head), pair.tail);
    }
    host.assert_clean();
}

#[test]
fn a_full_completion_queue_holds_completions_back() {
    let mut host = negotiated();
    let mut pair = host.io_queues(1, 4);
    for _ in 0..3 {
        host.write(&mut pair, nvm(NvmOpcode::FLUSH, 1));
    }
    host.commit(&pair);
    host.settle();
    for _ in 0..3 {
        host.write(&mut pair, nvm(NvmOpcode::FLUSH, 1));
    }
    host.commit(&pair);
    host.settle();
    let mut seen = 0;
    while host.poll(&mut pair).is_some() {
        seen += 1;
    }
    assert_eq!(seen, 3, "a queue of four entries holds three");
    host.release(&pair);
    host.settle();
    while host.poll(&mut pair).is_some() {
        seen += 1;
    }
    assert_eq!(seen, 6);
    host.assert_clean();
}

#[test]
fn a_queue_holds_as_many_entries_as_it_has() {
    let mut host = negotiated();
    let pair = host.io_queues(1, 4);
    host.set(submission_tail_doorbell(1, 0), 4);
    assert_eq!(host.broken(), [Rule::DoorbellRange]);
    host.set(submission_tail_doorbell(1, 0), 0);
    assert_eq!(host.broken(), [Rule::DoorbellRange], "the same value again");
    host.set(completion_head_doorbell(1, 0), 1);
    assert_eq!(host.broken(), [Rule::CompletionConsumed]);
    host.set(submission_tail_doorbell(1, 0), 3);
    host.set(submission_tail_doorbell(1, 0), 1);
    assert_eq!(host.broken(), [Rule::SubmissionRoom]);
    assert_eq!(pair.tail, 0);
    host.set(submission_tail_doorbell(3, 0), 1);
    assert_eq!(host.broken(), [Rule::DoorbellQueue]);
    host.get(submission_tail_doorbell(1, 0));
    assert_eq!(host.broken(), [Rule::DoorbellWriteOnly]);
}

#[test]
fn an_entry_is_not_reused_before_its_head_was_reported() {
    let mut host = negotiated();
    let mut pair = host.io_queues(1, 4);
    for _ in 0..3 {
        host.write(&mut pair, nvm(NvmOpcode::FLUSH, 1));
    }
    host.commit(&pair);
    host.pass(20_000); // all are fetched, none is completed
    host.write(&mut pair, nvm(NvmOpcode::FLUSH, 1));
    host.commit(&pair);
    assert_eq!(host.broken(), [Rule::SubmissionRoom]);
}

#[test]
fn an_identifier_is_used_once_at_a_time() {
    let mut host = negotiated();
    let mut pair = host.io_queues(1, 8);
    host.write(&mut pair, nvm(NvmOpcode::FLUSH, 1));
    host.cid -= 1;
    host.write(&mut pair, nvm(NvmOpcode::FLUSH, 1));
    host.commit(&pair);
    host.settle();
    assert_eq!(host.broken(), [Rule::CommandIdentifier]);
    let first = host.poll(&mut pair).expect("a completion");
    assert_eq!(status(&first), Status::COMMAND_ID_CONFLICT);
    assert_eq!(
        status(&host.poll(&mut pair).expect("another")),
        Status::SUCCESS
    );
}

#[test]
fn several_submission_queues_share_a_completion_queue() {
    let mut host = negotiated();
    let mut first = host.io_queues(1, 8);
    let base = host.alloc(PAGE);
    host.admin_ok(create_submission(2, 7, base, 1));
    let mut second = Pair::new(2, base, 0, 8);
    host.write(&mut first, nvm(NvmOpcode::FLUSH, 1));
    host.write(&mut second, nvm(NvmOpcode::FLUSH, 1));
    host.commit(&second);
    host.commit(&first);
    host.settle();
    let mut from =
        [host.poll(&mut first), host.poll(&mut first)].map(|entry| entry.expect("done").sq_id);
    from.sort_unstable();
    assert_eq!(from, [1, 2]);
    host.assert_clean();
}

#[test]
fn a_queue_in_unreachable_memory_is_fatal() {
    let mut host = negotiated();
    host.admin_ok(create_completion(1, 7, 0x20_0000, 1));
    host.admin_ok(create_submission(1, 7, 0x8000_0000, 1));
    host.set(submission_tail_doorbell(1, 0), 1);
    host.settle();
    assert_eq!(host.get(nvme_spec::registers::CSTS) & 2, 2);
    assert_eq!(host.controller.next_event_ns(), None);
}

#[test]
fn shutdown_with_commands_outstanding_is_told() {
    let mut host = negotiated();
    let mut pair = host.io_queues(1, 8);
    host.write(&mut pair, nvm(NvmOpcode::FLUSH, 1));
    host.commit(&pair);
    host.pass(2_000);
    host.notify_shutdown();
    assert_eq!(host.broken(), [Rule::ShutdownQuiet]);
}

#[test]
fn submission_and_completion_queues_may_differ_in_number() {
    let ask = |settings: &[(&str, &str)], wanted: u32| {
        let mut host = Host::ready(settings);
        let mut number = admin(AdminOpcode::SET_FEATURES);
        (number.cdw10, number.cdw11) = (7, wanted);
        let set = host.admin_ok(number);
        let mut get = admin(AdminOpcode::GET_FEATURES);
        get.cdw10 = 7;
        assert_eq!(host.admin_ok(get), set);
        (host, set)
    };
    // NCQR in the upper half, NSQR in the lower one.
    let few_completions = [("queues", "4"), ("cqs", "2")];
    let (mut host, set) = ask(&few_completions, 0x0007_0007);
    assert_eq!(set, 0x0001_0003);
    let base = 0x20_0000;
    host.admin_ok(create_completion(2, 7, base, 1));
    for id in 1..=4 {
        let place = base + u64::from(id) * PAGE;
        host.admin_ok(create_submission(id, 7, place, 2));
    }
    host.assert_clean();
    let third = host.admin(create_completion(3, 7, base + 8 * PAGE, 1));
    assert_eq!(status(&third), Status::INVALID_QUEUE_IDENTIFIER);
    let (_, set) = ask(&[("queues", "1"), ("cqs", "64")], 0x0007_0007);
    assert_eq!(set, 0x0007_0000);
    // What is allocated may be larger than what was asked for.
    let (_, set) = ask(&[("queues", "9"), ("cqs", "3"), ("allocates", "all")], 0);
    assert_eq!(set, 0x0002_0008);
}

#[test]
fn a_queue_has_memory_of_its_own() {
    let base = 0x20_0000;
    for (id, place, overlaps) in [(2, base, true), (2, base + PAGE, false)] {
        let mut host = negotiated();
        host.admin_ok(create_completion(1, 63, base, 1));
        host.admin_ok(create_completion(id, 63, place, 1));
        let broken = host.broken().contains(&Rule::QueueOverlap);
        assert_eq!(broken, overlaps, "{place:#x}");
    }
}

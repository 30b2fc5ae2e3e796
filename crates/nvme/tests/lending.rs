//! The Host Memory Buffer between driver and a scripted controller: what is proof that memory is not in use, and what is not.

mod device;

use device::{Answer, Host, last, well_behaved};
use nvme::hmb::{Granted, Lent, Needs, Policy, Range, Ranges, Wanted};
use nvme::lifecycle::{Contents, Event, Failure, Goal, NotNow, Progress, Shutdown};
use nvme_spec::command::{AdminOpcode, Command};
use nvme_spec::feature::HostMemoryBufferDescriptor;
use nvme_spec::status::Status;
use proptest::prelude::*;

const MIB: u64 = 1 << 20;

/// Ranges as a port driver might grant them.
#[derive(Debug, PartialEq, Eq)]
struct Grant(Vec<Range>);

impl Ranges for Grant {
    fn range(&self, index: usize) -> Option<Range> {
        self.0.get(index).copied()
    }
}

fn grant(ranges: &[(u64, u64)]) -> Granted<Grant> {
    let needs = Needs {
        preferred_bytes: 64 * MIB,
        minimum_bytes: 16 * MIB,
        ..Needs::default()
    };
    let wanted = Wanted::decide(&needs, &Policy::default(), 0, 0).unwrap();
    let ranges = ranges
        .iter()
        .map(|&(address, bytes)| Range { address, bytes })
        .collect();
    wanted.granted(Grant(ranges))
}

const RANGES: [(u64, u64); 2] = [(0x1_0000_0000, 40 * MIB), (0x2_0000_0000, 24 * MIB)];

/// Lends, without a step.
fn lend(host: &mut Host, granted: Granted<Grant>, contents: Contents) -> Lent<Grant> {
    let needs = host.controller.info().unwrap().hmb;
    let plan = granted.plan(&needs).unwrap();
    host.controller
        .lend(plan, contents, host.device.now())
        .unwrap()
}

/// A started controller that was lent memory and accepted it.
fn enabled() -> (Host, Lent<Grant>) {
    let mut host = Host::started();
    let lent = lend(&mut host, grant(&RANGES), Contents::Kept);
    assert_eq!(host.settle(), Progress::Done);
    (host, lent)
}

/// Makes the controller answer Set Features of the buffer so: `enable` with EHM, `disable` without.
fn answer(host: &Host, enable: Answer, disable: Answer) {
    host.device.answer(move |command| match is_hmb(command) {
        true if command.cdw11 & 1 == 1 => enable.clone(),
        true => disable.clone(),
        false => well_behaved(command),
    });
}

fn is_hmb(command: &Command) -> bool {
    command.cdw0.opcode() == AdminOpcode::SET_FEATURES.0 && command.cdw10 & 0xFF == 0x0D
}

/// Takes the memory back and checks that it is what was granted.
fn reclaim(host: &mut Host, lent: Lent<Grant>) -> Granted<Grant> {
    let proof = host.controller.detached().expect("proof");
    assert_eq!(host.controller.detached(), None);
    lent.reclaim(proof).expect("proof of this lending")
}

#[test]
fn the_command_and_the_list_say_what_is_lent() {
    let (host, lent) = enabled();
    let command = last(&host.device, AdminOpcode::SET_FEATURES);
    assert_eq!((command.cdw10, command.cdw11), (0x0D, 1));
    assert_eq!(u64::from(command.cdw12) * 4096, 64 * MIB);
    assert_eq!(command.cdw15, 2);
    let list = u64::from(command.cdw13) | u64::from(command.cdw14) << 32;
    assert_eq!(list, device::BASE + 3 * 4096);
    for (index, (badd, bytes)) in (0u64..).zip(RANGES) {
        let entry: HostMemoryBufferDescriptor = host.device.memory.get(list + 16 * index);
        let bsize = u32::try_from(bytes / 4096).unwrap();
        assert_eq!(
            entry,
            HostMemoryBufferDescriptor {
                badd,
                bsize,
                reserved: 0
            }
        );
    }
    assert_eq!((lent.offered_bytes(), lent.descriptors()), (64 * MIB, 2));
    assert!(!host.controller.memory_returned());
}

#[test]
fn memory_is_lent_before_the_command_is_sent() {
    let mut host = Host::started();
    let sent = host.device.commands.borrow().len();
    let _lent = lend(&mut host, grant(&RANGES), Contents::Kept);
    assert_eq!(host.device.commands.borrow().len(), sent);
    assert_eq!(host.controller.detached(), None);
}

#[test]
fn a_completed_disable_is_proof() {
    let (mut host, lent) = enabled();
    assert_eq!(host.controller.detached(), None);
    assert_eq!(host.reach(Goal::DisableHmb), Progress::Done);
    assert_eq!(last(&host.device, AdminOpcode::SET_FEATURES).cdw11, 0);
    let granted = reclaim(&mut host, lent);
    assert_eq!(granted.into_ranges().0.len(), 2);
}

#[test]
fn a_failed_or_unanswered_disable_is_no_proof_but_a_reset_is() {
    for (disable, failure) in [
        (
            Answer::Fail(Status::INTERNAL_ERROR),
            Failure::Refused(AdminOpcode::SET_FEATURES, Status::INTERNAL_ERROR),
        ),
        (Answer::Never, Failure::TimedOut(AdminOpcode::SET_FEATURES)),
    ] {
        let (mut host, lent) = enabled();
        answer(&host, Answer::Success(0), disable);
        assert_eq!(host.reach(Goal::DisableHmb), Progress::Failed(failure));
        assert_eq!(host.controller.detached(), None);
        assert_eq!(host.reach(Goal::Disable), Progress::Done);
        let _granted = reclaim(&mut host, lent);
    }
}

#[test]
fn a_late_disable_is_proof_when_it_comes() {
    let (mut host, lent) = enabled();
    answer(&host, Answer::Success(0), Answer::Never);
    assert!(matches!(
        host.reach(Goal::DisableHmb),
        Progress::Failed(Failure::TimedOut(_))
    ));
    let cid = last(&host.device, AdminOpcode::SET_FEATURES).cdw0.cid();
    host.device.complete(cid, 0, Status::SUCCESS);
    assert_eq!(host.step(), Progress::Done);
    let late = Event::Late(AdminOpcode::SET_FEATURES, Status::SUCCESS);
    assert_eq!(host.controller.take_event(), Some(late));
    let _granted = reclaim(&mut host, lent);
}

#[test]
fn a_disable_of_an_earlier_lending_is_no_proof_for_this_one() {
    let (mut host, lent) = enabled();
    answer(&host, Answer::Success(0), Answer::Never);
    let _ = host.reach(Goal::DisableHmb);
    let old = last(&host.device, AdminOpcode::SET_FEATURES).cdw0.cid();
    answer(&host, Answer::Success(0), Answer::Success(0));
    assert_eq!(host.reach(Goal::DisableHmb), Progress::Done);
    let granted = reclaim(&mut host, lent);
    let lent = lend(&mut host, granted, Contents::Kept);
    assert_eq!(host.settle(), Progress::Done);
    // It was executed long ago; only its answer is late.
    host.device.complete(old, 0, Status::SUCCESS);
    assert_eq!(host.step(), Progress::Done);
    assert_eq!(host.controller.detached(), None);
    drop(lent);
}

/// What a controller may fail an enabling command with, whether or not it has executed it.
const REFUSALS: [Status; 8] = [
    Status::INVALID_FIELD,
    Status::INVALID_OPCODE,
    Status::FEATURE_NOT_CHANGEABLE,
    Status::INTERNAL_ERROR,
    Status::ABORT_REQUESTED,
    Status::DATA_TRANSFER_ERROR,
    Status::COMMAND_SEQUENCE_ERROR,
    Status(0x7C0),
];

/// Lends to a controller that refuses it with `status`, and answers the disabling command that follows so.
fn refused(status: Status, disable: Answer) -> (Host, Lent<Grant>, Progress) {
    let mut host = Host::started();
    answer(&host, Answer::Fail(status), disable);
    let lent = lend(&mut host, grant(&RANGES), Contents::Kept);
    let from = host.device.commands.borrow().len();
    let end = host.settle();
    let sent: Vec<u32> = host.device.commands.borrow()[from..]
        .iter()
        .map(|command| command.cdw11)
        .collect();
    assert_eq!(sent, [1, 0], "one to enable, one to disable");
    (host, lent, end)
}

#[test]
fn a_refused_enable_is_followed_by_a_disable_whose_success_is_proof() {
    for status in REFUSALS {
        let (mut host, lent, end) = refused(status, Answer::Success(0));
        let failure = Failure::Refused(AdminOpcode::SET_FEATURES, status);
        assert_eq!(end, Progress::Failed(failure));
        let granted = reclaim(&mut host, lent);
        // The controller runs on, and the next lending is a new one to it.
        answer(&host, Answer::Success(0), Answer::Success(0));
        let _lent = lend(&mut host, granted, Contents::Kept);
        assert_eq!(host.settle(), Progress::Done);
        assert!(!host.controller.memory_returned());
    }
}

#[test]
fn a_refused_enable_is_no_proof_where_the_disable_fails_too() {
    for status in REFUSALS {
        let refusal = Failure::Refused(AdminOpcode::SET_FEATURES, status);
        let silence = Failure::TimedOut(AdminOpcode::SET_FEATURES);
        for (disable, failure) in [(Answer::Fail(status), refusal), (Answer::Never, silence)] {
            let (mut host, lent, end) = refused(status, disable);
            assert_eq!(end, Progress::Failed(failure));
            assert_eq!(host.controller.detached(), None);
            assert_eq!(host.reach(Goal::Reset), Progress::Done);
            let _granted = reclaim(&mut host, lent);
        }
    }
}

#[test]
fn an_enable_without_an_answer_is_no_proof_and_no_disable_makes_it_one() {
    let mut host = Host::started();
    answer(&host, Answer::Never, Answer::Success(0));
    let lent = lend(&mut host, grant(&RANGES), Contents::Kept);
    assert_eq!(
        host.settle(),
        Progress::Failed(Failure::TimedOut(AdminOpcode::SET_FEATURES))
    );
    let cid = last(&host.device, AdminOpcode::SET_FEATURES).cdw0.cid();
    assert_eq!(host.controller.detached(), None);
    // The disable may have been executed before the enable will be.
    assert_eq!(host.reach(Goal::DisableHmb), Progress::Done);
    assert_eq!(host.controller.detached(), None);
    // The late answer says that the memory was taken; a disable after that is proof.
    host.device.complete(cid, 0, Status::SUCCESS);
    assert_eq!(host.step(), Progress::Done);
    assert_eq!(host.controller.detached(), None);
    assert_eq!(host.reach(Goal::DisableHmb), Progress::Done);
    let _granted = reclaim(&mut host, lent);
}

#[test]
fn an_enable_that_is_refused_late_is_no_proof_but_a_disable_after_it_is() {
    let mut host = Host::started();
    answer(&host, Answer::Never, Answer::Success(0));
    let lent = lend(&mut host, grant(&RANGES), Contents::Kept);
    let _ = host.settle();
    let cid = last(&host.device, AdminOpcode::SET_FEATURES).cdw0.cid();
    host.device.complete(cid, 0, Status::INVALID_FIELD);
    assert_eq!(host.step(), Progress::Done);
    assert_eq!(host.controller.detached(), None);
    assert_eq!(host.reach(Goal::DisableHmb), Progress::Done);
    let _granted = reclaim(&mut host, lent);
}

#[test]
fn a_buffer_can_be_taken_back_while_it_is_being_enabled() {
    let mut host = Host::started();
    answer(&host, Answer::Never, Answer::Success(0));
    let lent = lend(&mut host, grant(&RANGES), Contents::Kept);
    assert!(matches!(host.step(), Progress::Again { .. }));
    assert_eq!(host.reach(Goal::DisableHmb), Progress::Done);
    assert_eq!(host.controller.detached(), None);
    assert_eq!(host.reach(Goal::Shutdown(Shutdown::Normal)), Progress::Done);
    let _granted = reclaim(&mut host, lent);
}

#[test]
fn removal_is_proof_only_when_registers_agree() {
    let (mut host, lent) = enabled();
    assert!(!host.controller.confirm_removal(&host.device));
    assert_eq!(host.controller.detached(), None);
    host.device.removed.set(true);
    // All ones alone can be a link that is down.
    assert_eq!(host.settle(), Progress::Failed(Failure::Removed));
    assert!(!host.controller.confirm_removal(&host.device));
    assert_eq!(host.controller.detached(), None);
    host.controller.announce_removal();
    assert!(host.controller.confirm_removal(&host.device));
    let _granted = reclaim(&mut host, lent);
}

#[test]
fn a_controller_that_stays_ready_is_no_proof() {
    let (mut host, lent) = enabled();
    host.device.stop_us.set(None);
    assert_eq!(
        host.reach(Goal::Disable),
        Progress::Failed(Failure::StillReady)
    );
    assert_eq!(host.controller.detached(), None);
    // It was told to stop: it takes no command any more.
    let disable = host.controller.begin(Goal::DisableHmb, host.device.now());
    assert_eq!(disable, Err(NotNow));
    drop(lent);
}

#[test]
fn a_shutdown_that_was_not_acknowledged_still_ends_with_proof() {
    let (mut host, lent) = enabled();
    host.device.shutdown_us.set(None);
    let shutdown = Goal::Shutdown(Shutdown::Normal);
    assert_eq!(host.reach(shutdown), Progress::Failed(Failure::NotShutDown));
    let _granted = reclaim(&mut host, lent);
}

#[test]
fn nothing_is_lent_twice_or_to_a_controller_that_is_not_enabled() {
    let (mut host, lent) = enabled();
    let needs = host.controller.info().unwrap().hmb;
    let plan = grant(&[(0x8_0000_0000, 32 * MIB)]).plan(&needs).unwrap();
    let plan = host
        .controller
        .lend(plan, Contents::Kept, host.device.now())
        .unwrap_err();
    assert_eq!(host.reach(Goal::Disable), Progress::Done);
    let _granted = reclaim(&mut host, lent);
    let plan = host
        .controller
        .lend(plan, Contents::Kept, host.device.now())
        .unwrap_err();
    assert_eq!(plan.into_granted().bytes(), 32 * MIB);
    assert_eq!(
        host.controller.begin(Goal::DisableHmb, host.device.now()),
        Err(NotNow)
    );
}

#[test]
fn a_proof_of_another_lending_is_none() {
    let (mut host, lent) = enabled();
    assert_eq!(host.reach(Goal::DisableHmb), Progress::Done);
    let stale = host.controller.detached().unwrap();
    drop(lent);
    let lent = lend(&mut host, grant(&RANGES), Contents::Kept);
    assert_eq!(host.settle(), Progress::Done);
    let lent = lent.reclaim(stale).unwrap_err();
    assert_eq!(host.reach(Goal::DisableHmb), Progress::Done);
    let _granted = reclaim(&mut host, lent);
}

/// Lends, takes back by `back`, and lends what `again` makes of it: whether the memory was returned (MR = 1).
fn returned(
    back: fn(&mut Host),
    again: fn(Granted<Grant>) -> Granted<Grant>,
    contents: Contents,
) -> bool {
    let (mut host, lent) = enabled();
    back(&mut host);
    let granted = again(reclaim(&mut host, lent));
    if !host.controller.is_idle() {
        assert_eq!(host.reach(Goal::Reset), Progress::Done);
        assert_eq!(host.reach(Goal::Start { pairs: 1 }), Progress::Done);
    }
    let _lent = lend(&mut host, granted, contents);
    assert_eq!(host.settle(), Progress::Done);
    let cdw11 = last(&host.device, AdminOpcode::SET_FEATURES).cdw11;
    assert_eq!(cdw11 & 2 == 2, host.controller.memory_returned());
    cdw11 & 2 == 2
}

fn power_cycle(host: &mut Host) {
    assert_eq!(host.reach(Goal::DisableHmb), Progress::Done);
    assert_eq!(host.reach(Goal::Shutdown(Shutdown::Normal)), Progress::Done);
}

#[test]
fn the_same_memory_is_returned_after_a_power_cycle() {
    assert!(returned(power_cycle, |granted| granted, Contents::Kept));
}

#[test]
fn memory_with_other_contents_is_not_returned() {
    assert!(!returned(power_cycle, |granted| granted, Contents::Lost));
}

#[test]
fn a_fresh_grant_is_not_returned_even_at_the_same_place() {
    assert!(!returned(power_cycle, |_| grant(&RANGES), Contents::Kept));
}

#[test]
fn memory_that_was_not_given_up_in_order_is_not_returned() {
    let reset = |host: &mut Host| assert_eq!(host.reach(Goal::Reset), Progress::Done);
    assert!(!returned(reset, |granted| granted, Contents::Kept));
}

#[test]
fn memory_is_not_returned_when_the_list_is_not_as_it_was() {
    let meddle = |host: &mut Host| {
        power_cycle(host);
        host.device
            .memory
            .put(device::BASE + 3 * 4096 + 24, &[0xFF]);
    };
    assert!(!returned(meddle, |granted| granted, Contents::Kept));
}

/// One thing that happens to a lending.
#[derive(Clone, Copy, Debug)]
enum Step {
    Lend,
    Disable,
    Reset,
    Shutdown,
    /// How the controller answers from now on.
    Answer {
        enable: u8,
        disable: u8,
    },
    /// Answers a command that was left without.
    Late {
        nth: usize,
        status: u16,
    },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        Just(Step::Lend),
        Just(Step::Disable),
        Just(Step::Reset),
        Just(Step::Shutdown),
        (0u8..5, 0u8..5).prop_map(|(enable, disable)| Step::Answer { enable, disable }),
        (0usize..4, prop_oneof![Just(0), Just(2), Just(6)])
            .prop_map(|(nth, status)| Step::Late { nth, status }),
    ]
}

fn answers(choice: u8) -> Answer {
    match choice {
        0 | 1 => Answer::Success(0),
        2 | 3 => Answer::Fail(Status::INVALID_FIELD),
        _ => Answer::Never,
    }
}

proptest! {
    /// Against a controller that keeps book of whether it uses the memory, in the worst order of execution: an unanswered
    /// enable is executed the moment that it answers with success, or never. While the book says that the memory is in use,
    /// or may yet be, there is never a proof.
    #[test]
    fn there_is_no_proof_while_the_controller_may_use_the_memory(steps in prop::collection::vec(step(), 1..40)) {
        let mut host = Host::started();
        let mut granted = Some(grant(&RANGES));
        let mut lent = None;
        // What the controller does: the buffer is enabled; commands that it has not answered.
        let mut enabled = false;
        let mut held: Vec<Command> = Vec::new();
        let (mut enable, mut disable) = (0, 0);
        for step in steps {
            let sent = host.device.commands.borrow().len();
            match step {
                Step::Lend => {
                    if host.controller.is_idle() && let Some(memory) = granted.take() {
                        lent = Some(lend(&mut host, memory, Contents::Kept));
                        let _ = host.settle();
                    }
                }
                Step::Disable => {
                    if host.controller.begin(Goal::DisableHmb, host.device.now()).is_ok() {
                        let _ = host.settle();
                    }
                }
                Step::Reset => {
                    prop_assert_eq!(host.reach(Goal::Reset), Progress::Done);
                    enabled = false;
                    held.clear();
                }
                Step::Shutdown => {
                    let _ = host.reach(Goal::Shutdown(Shutdown::Normal));
                    enabled = false;
                    held.clear();
                }
                Step::Answer { enable: to_enable, disable: to_disable } => {
                    (enable, disable) = (to_enable, to_disable);
                    answer(&host, answers(enable), answers(disable));
                }
                Step::Late { nth, status } => {
                    if !held.is_empty() {
                        let command = held.remove(nth % held.len());
                        if status == 0 {
                            enabled = command.cdw11 & 1 == 1;
                        }
                        host.device.complete(command.cdw0.cid(), 0, Status(status));
                        let _ = host.step();
                    }
                }
            }
            for command in host.device.commands.borrow()[sent..].iter().filter(|command| is_hmb(command)) {
                let choice = if command.cdw11 & 1 == 1 { enable } else { disable };
                match choice {
                    // 3: it is executed, and the answer says that it is not.
                    0 | 1 | 3 => enabled = command.cdw11 & 1 == 1,
                    2 => {}
                    _ => held.push(*command),
                }
            }
            while host.controller.take_event().is_some() {}
            if let Some(proof) = host.controller.detached() {
                prop_assert!(!enabled, "a proof while the buffer is enabled");
                let pending = held.iter().any(|command| command.cdw11 & 1 == 1);
                prop_assert!(!pending, "a proof while it may yet be enabled");
                let memory: Lent<Grant> = lent.take().expect("memory that was lent");
                granted = Some(memory.reclaim(proof).expect("the proof of this lending"));
            }
        }
        let _ = host.reach(Goal::Disable);
        if let (Some(memory), Some(proof)) = (lent.take(), host.controller.detached()) {
            granted = memory.reclaim(proof).ok();
        }
        prop_assert_eq!(granted.map(|granted| granted.count()), Some(2));
    }
}

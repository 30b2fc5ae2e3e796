//! Commands of the Host Memory Buffer that are refused, answered late, or never.

use super::*;

/// A controller that answers an enable so, and what it is to be lent.
fn with_answer(answer: &str) -> (Host, Loan) {
    let mut host = Host::ready(&[SMALL, &[("enable", answer)]].concat());
    let loan = Loan::new(&mut host, &[16]);
    (host, loan)
}

#[test]
fn an_enable_that_is_refused_takes_nothing() {
    let (mut host, loan) = with_answer("refused");
    let completion = lend(&mut host, &loan, EHM);
    assert_eq!(status(&completion), Status::INVALID_FIELD);
    assert_eq!(host.machine.get(loan.entries[0].0, 4096), [0; 4096]);
    assert_eq!(host.controller.hmb().enabled, 0);
}

#[test]
fn an_enable_that_is_never_answered_takes_the_memory() {
    let (mut host, loan) = with_answer("never");
    let mut pair = host.io_queues(1, 8);
    let command = loan.enable(&mut host, EHM);
    assert_eq!(host.attempt_admin(command), None);
    assert_eq!(host.controller.next_event_ns(), None);
    assert_eq!(host.controller.hmb().lent_bytes, 16 * PAGE);
    assert!(is_used(&mut host, &mut pair));
    let mut abort = admin(AdminOpcode::ABORT);
    abort.cdw10 = u32::from(host.cid - 1) << 16;
    assert_eq!(host.admin_ok(abort), 1, "it cannot be aborted");
}

#[test]
fn a_late_enable_takes_the_memory_at_once() {
    let (mut host, loan) = with_answer("late");
    let command = loan.enable(&mut host, EHM);
    assert_eq!(host.attempt_admin(command), None);
    assert_eq!(host.controller.hmb().lent_bytes, 16 * PAGE);
    let due = host
        .controller
        .next_event_ns()
        .expect("a completion is on its way");
    assert!(due - host.now_ns >= 18_000_000_000);
    host.now_ns = due;
    host.settle();
    assert_eq!(host.machine.get(host.admin.completion + 14, 2)[1], 0);
    assert_eq!(
        host.machine.get(host.admin.completion + 14, 2)[0],
        1,
        "success, phase 1"
    );
}

#[test]
fn a_disable_that_fails_or_is_never_answered_keeps_the_memory() {
    for (answer, expected) in [("fails", Some(Status::INTERNAL_ERROR)), ("never", None)] {
        let (mut host, _) = lent(&[SMALL, &[("disable", answer)]].concat(), &[16]);
        let completion = host.attempt_admin(disable());
        assert_eq!(completion.as_ref().map(status), expected);
        let counters = host.controller.hmb();
        assert_eq!((counters.disabled, counters.lent_bytes), (0, 16 * PAGE));
        host.set(CC, 0);
        assert_eq!(host.controller.hmb().lent_bytes, 16 * PAGE);
        host.settle();
        assert_eq!(
            host.controller.hmb().lent_bytes,
            0,
            "RDY = 0 says that it is not used"
        );
        host.assert_clean();
    }
}

#[test]
fn a_late_disable_keeps_the_memory_until_it_is_answered() {
    let (mut host, _) = lent(&[SMALL, &[("disable", "late")]].concat(), &[16]);
    assert_eq!(host.attempt_admin(disable()), None);
    assert_eq!(host.controller.hmb().lent_bytes, 16 * PAGE);
    host.pass(20_000_000_000);
    assert_eq!(host.controller.hmb().lent_bytes, 0);
    host.assert_clean();
}

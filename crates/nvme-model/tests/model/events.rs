//! Asynchronous events.

use nvme_model::Rule;
use nvme_spec::async_event::{AsyncEvent, AsyncEventDw0};
use nvme_spec::command::{AdminOpcode, Command};
use nvme_spec::completion::Completion;
use nvme_spec::log::LogPageId;
use nvme_spec::registers::submission_tail_doorbell;
use nvme_spec::status::Status;

use crate::host::{Host, Pair, admin, status};

/// Takes whatever the admin queue has.
fn poll(host: &mut Host) -> Option<Completion> {
    let mut pair = std::mem::replace(&mut host.admin, Pair::new(0, 0, 0, 0));
    let completion = host.poll(&mut pair);
    if completion.is_some() {
        host.release(&pair);
    }
    host.admin = pair;
    completion
}

fn request(host: &mut Host) {
    assert_eq!(
        host.attempt_admin(admin(AdminOpcode::ASYNC_EVENT_REQUEST)),
        None,
        "it is held"
    );
}

fn event(completion: &Completion) -> (AsyncEvent, LogPageId) {
    let dw0 = AsyncEventDw0::from_bits(completion.dw0);
    (dw0.event(), dw0.log_page())
}

#[test]
fn requests_are_held_up_to_the_limit() {
    let mut host = Host::ready(&[("aerl", "2")]);
    request(&mut host);
    request(&mut host);
    host.assert_clean();
    let third = host.admin(admin(AdminOpcode::ASYNC_EVENT_REQUEST));
    assert_eq!(status(&third), Status::ASYNC_EVENT_REQUEST_LIMIT_EXCEEDED);
    assert_eq!(host.broken(), [Rule::EventRequestLimit]);
}

#[test]
fn a_bad_doorbell_is_an_event_that_is_masked_until_its_page_is_read() {
    let mut host = Host::ready(&[]);
    request(&mut host);
    request(&mut host);
    host.set(submission_tail_doorbell(5, 0), 1);
    host.settle();
    let first = poll(&mut host).expect("an event");
    assert_eq!(
        event(&first),
        (AsyncEvent::INVALID_DOORBELL, LogPageId::ERROR_INFORMATION)
    );
    host.set(submission_tail_doorbell(0, 0), 16);
    host.settle();
    assert_eq!(poll(&mut host), None, "events of this type are masked");
    let mut page = admin(AdminOpcode::GET_LOG_PAGE);
    page.prp1 = host.alloc(4096);
    page.cdw10 = 15 << 16 | 1 << 15 | 1;
    host.admin_ok(page);
    host.settle();
    assert_eq!(
        poll(&mut host),
        None,
        "the page was read, but the event is retained"
    );
    page.cdw10 = 15 << 16 | 1;
    host.admin_ok(page);
    let second = poll(&mut host).expect("an event");
    assert_eq!(event(&second).0, AsyncEvent::INVALID_DOORBELL_VALUE);
}

#[test]
fn an_event_waits_for_a_request() {
    let mut host = Host::ready(&[]);
    host.set(submission_tail_doorbell(5, 0), 1);
    host.settle();
    let completion = host.admin(admin(AdminOpcode::ASYNC_EVENT_REQUEST));
    assert_eq!(event(&completion).0, AsyncEvent::INVALID_DOORBELL);
}

#[test]
fn a_temperature_beyond_the_threshold_is_an_event_when_it_is_asked_for() {
    let threshold = |kelvins| Command {
        cdw10: 4,
        cdw11: kelvins,
        ..admin(AdminOpcode::SET_FEATURES)
    };
    let mut host = Host::ready(&[]);
    request(&mut host);
    host.admin_ok(threshold(300));
    host.admin_ok(threshold(350));
    assert_eq!(poll(&mut host), None);
    let mut configure = admin(AdminOpcode::SET_FEATURES);
    (configure.cdw10, configure.cdw11) = (0xB, 2);
    host.admin_ok(configure);
    host.admin_ok(threshold(300));
    host.settle();
    let completion = poll(&mut host).expect("an event");
    assert_eq!(
        event(&completion),
        (AsyncEvent::TEMPERATURE, LogPageId::SMART_HEALTH)
    );
    host.assert_clean();
}

#[test]
fn a_held_request_can_be_aborted() {
    let mut host = Host::ready(&[]);
    request(&mut host);
    let mut abort = admin(AdminOpcode::ABORT);
    abort.cdw10 = u32::from(host.cid) << 16;
    assert_eq!(host.admin_ok(abort), 0);
    let aborted = poll(&mut host).expect("a completion");
    assert_eq!(status(&aborted), Status::ABORT_REQUESTED);
}

//! The state machine against the software controller of `nvme-model`, in virtual time: a whole life with data, and every way
//! that the Host Memory Buffer can go. The controller judges what it sees; nothing may be held against the driver.

mod host;

use host::{Device, Host};
use nvme::Registers;
use nvme::lifecycle::{Contents, Failure, Goal, Progress, Shutdown};
use nvme_model::Power;
use nvme_spec::command::AdminOpcode;
use nvme_spec::registers::CC;

const MIB: u64 = 1 << 20;

#[test]
fn a_whole_life() {
    let mut host = Host::started(&[]);
    assert_eq!(host.inventory.namespaces.as_slice().len(), 1);
    let granted = host.grant(MIB);
    let (lent, progress) = host.lend(granted, Contents::Kept);
    assert_eq!(progress, Progress::Done);
    host.verify_data(1);
    assert_eq!(host.hmb().lent_bytes, 4 * MIB);
    assert_eq!(host.reach(Goal::DisableHmb), Progress::Done);
    host.verify_data(2);
    let granted = host.reclaim(lent);
    host.free(granted);
    host.verify_data(3);
    assert_eq!(host.reach(Goal::Shutdown(Shutdown::Normal)), Progress::Done);
    assert_eq!((host.hmb().enabled, host.hmb().disabled), (1, 1));
    host.assert_clean();
}

#[test]
fn memory_is_returned_after_sleep_and_not_after_hibernation() {
    for (contents, returned) in [(Contents::Kept, 1), (Contents::Lost, 0)] {
        for power in [Power::D3Hot, Power::D3Cold] {
            let mut host = Host::started(&[]);
            let granted = host.grant(MIB);
            let (lent, _) = host.lend(granted, Contents::Kept);
            host.verify_data(1);
            assert_eq!(host.reach(Goal::DisableHmb), Progress::Done);
            let granted = host.reclaim(lent);
            assert_eq!(host.reach(Goal::Shutdown(Shutdown::Normal)), Progress::Done);
            {
                let Device {
                    controller,
                    machine,
                    now_ns,
                } = &mut *host.device.0.borrow_mut();
                controller.power(power, *now_ns, machine);
                controller.power(Power::D0, *now_ns, machine);
            }
            assert_eq!(host.reach(Goal::Reset), Progress::Done);
            host.start();
            let (lent, progress) = host.lend(granted, contents);
            assert_eq!(progress, Progress::Done);
            host.verify_data(2);
            assert_eq!(host.hmb().memory_returned, returned);
            assert_eq!(host.reach(Goal::DisableHmb), Progress::Done);
            let granted = host.reclaim(lent);
            host.free(granted);
            assert_eq!(host.reach(Goal::Shutdown(Shutdown::Normal)), Progress::Done);
            host.assert_clean();
        }
    }
}

#[test]
fn strict_limits_are_kept() {
    let mut host = Host::started(&[("hmminds", "1M"), ("hmmaxd", "4")]);
    let granted = host.grant(MIB);
    let (lent, progress) = host.lend(granted, Contents::Kept);
    assert_eq!(progress, Progress::Done);
    assert_eq!(lent.descriptors(), 4);
    host.verify_data(1);
    assert_eq!(host.reach(Goal::DisableHmb), Progress::Done);
    host.assert_clean();
}

#[test]
fn a_refused_enable_gives_the_memory_back() {
    let mut host = Host::started(&[("enable", "refused")]);
    let granted = host.grant(4 * MIB);
    let (lent, progress) = host.lend(granted, Contents::Kept);
    assert!(matches!(
        progress,
        Progress::Failed(Failure::Refused(AdminOpcode::SET_FEATURES, _))
    ));
    let granted = host.reclaim(lent);
    host.free(granted);
    // It runs on without.
    host.verify_data(1);
    host.assert_clean();
}

#[test]
fn an_enable_that_is_never_answered_needs_a_reset() {
    let mut host = Host::started(&[("enable", "never")]);
    let granted = host.grant(4 * MIB);
    let (lent, progress) = host.lend(granted, Contents::Kept);
    assert_eq!(
        progress,
        Progress::Failed(Failure::TimedOut(AdminOpcode::SET_FEATURES))
    );
    assert_eq!(host.controller.detached(), None);
    assert_eq!(host.reach(Goal::Reset), Progress::Done);
    let granted = host.reclaim(lent);
    host.free(granted);
    host.start();
    host.verify_data(1);
}

#[test]
fn a_late_enable_is_recognised() {
    let mut host = Host::started(&[("enable", "late")]);
    let granted = host.grant(4 * MIB);
    let (lent, progress) = host.lend(granted, Contents::Kept);
    assert_eq!(
        progress,
        Progress::Failed(Failure::TimedOut(AdminOpcode::SET_FEATURES))
    );
    // The answer comes ten seconds after the deadline.
    host.pass(11_000_000);
    assert_eq!(host.settle(), Progress::Done);
    assert_eq!(host.controller.detached(), None);
    host.verify_data(1);
    assert_eq!(host.reach(Goal::DisableHmb), Progress::Done);
    let granted = host.reclaim(lent);
    host.free(granted);
    host.verify_data(2);
    assert_eq!(host.reach(Goal::Shutdown(Shutdown::Normal)), Progress::Done);
    host.assert_clean();
}

#[test]
fn a_disable_that_fails_or_is_never_answered_needs_a_reset() {
    for disable in ["fails", "never", "late"] {
        let mut host = Host::started(&[("disable", disable)]);
        let granted = host.grant(4 * MIB);
        let (lent, progress) = host.lend(granted, Contents::Kept);
        assert_eq!(progress, Progress::Done);
        assert!(matches!(host.reach(Goal::DisableHmb), Progress::Failed(_)));
        assert_eq!(host.controller.detached(), None);
        host.verify_data(1);
        let _ = host.reach(Goal::Shutdown(Shutdown::Normal));
        let granted = host.reclaim(lent);
        host.free(granted);
        host.pass(60_000_000);
    }
}

#[test]
fn other_geometries_work() {
    for settings in [
        [("dstrd", "64"), ("version", "2.0")],
        [("messages", "0"), ("vwc", "0")],
        [("ready", "7000"), ("aerl", "1")],
        [("mqes", "8"), ("queues", "1")],
    ] {
        let mut host = Host::started(&settings);
        host.verify_data(1);
        assert_eq!(host.reach(Goal::Shutdown(Shutdown::Normal)), Progress::Done);
        host.assert_clean();
    }
}

#[test]
fn a_removed_controller_ends_everything() {
    let mut host = Host::started(&[]);
    let granted = host.grant(4 * MIB);
    let (lent, _) = host.lend(granted, Contents::Kept);
    {
        let Device {
            controller,
            machine,
            ..
        } = &mut *host.device.0.borrow_mut();
        controller.remove(machine);
    }
    assert_eq!(host.device.read32(CC), u32::MAX);
    assert_eq!(
        host.reach(Goal::Shutdown(Shutdown::Normal)),
        Progress::Failed(Failure::Removed)
    );
    host.controller.announce_removal();
    assert!(host.controller.confirm_removal(&host.device));
    let granted = host.reclaim(lent);
    host.free(granted);
}

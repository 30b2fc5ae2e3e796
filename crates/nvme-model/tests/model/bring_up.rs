//! Registers, enable, reset, shutdown, power.

use nvme_model::{Power, Rule, Width};
use nvme_spec::registers::{
    self, ACQ, AQA, ASQ, CAP, CC, CSTS, Capabilities, ControllerStatus, ShutdownStatus, VS,
};

use crate::host::Host;

fn csts(host: &mut Host) -> ControllerStatus {
    ControllerStatus::from_bits(host.get(CSTS))
}

fn cap(host: &mut Host) -> Capabilities {
    let (low, high) = (host.get(CAP), host.get(CAP + 4));
    Capabilities::from_bits(u64::from(high) << 32 | u64::from(low))
}

#[test]
fn capabilities_follow_the_profile() {
    let mut host = Host::cold(&[
        ("mqes", "256"),
        ("timeout", "1500"),
        ("dstrd", "16"),
        ("mpsmax", "8K"),
    ]);
    let cap = cap(&mut host);
    assert_eq!(cap.mqes_z(), 255);
    assert_eq!(cap.to(), 3);
    assert_eq!(cap.dstrd(), 2);
    assert_eq!((cap.mpsmin(), cap.mpsmax()), (0, 1));
    assert!(cap.cqr() && cap.css_nvm());
    assert_eq!(host.get(VS), 0x0001_0400);
    host.assert_clean();
}

#[test]
fn ready_follows_enable_after_the_delay() {
    let mut host = Host::cold(&[("ready", "100")]);
    host.set(AQA, 1 << 16 | 1);
    host.set64(ASQ, 0x10_0000);
    host.set64(ACQ, 0x10_1000);
    host.set(CC, 0x0046_0001);
    host.pass(99_000_000);
    assert!(!csts(&mut host).rdy());
    host.pass(1_000_000);
    assert!(csts(&mut host).rdy());
    host.set(CC, 0x0046_0000);
    assert!(csts(&mut host).rdy());
    host.pass(100_000_000);
    assert!(!csts(&mut host).rdy());
    assert_eq!(
        host.get(AQA),
        1 << 16 | 1,
        "AQA survives a controller reset"
    );
    host.assert_clean();
}

#[test]
fn enabling_while_ready_and_clearing_before_ready_are_told() {
    let mut host = Host::ready(&[]);
    host.set(CC, 0x0046_0000);
    host.set(CC, 0x0046_0001);
    assert_eq!(host.broken(), [Rule::EnableTransition]);
    host.set(CC, 0x0046_0000);
    assert_eq!(host.broken(), [Rule::EnableTransition]);
}

#[test]
fn clearing_enable_after_the_timeout_is_allowed() {
    let mut host = Host::cold(&[("ready", "60000"), ("timeout", "500")]);
    host.set(AQA, 1 << 16 | 1);
    host.set64(ASQ, 0x10_0000);
    host.set64(ACQ, 0x10_1000);
    host.set(CC, 0x0046_0001);
    host.pass(500_000_000);
    host.set(CC, 0x0046_0000);
    host.assert_clean();
}

#[test]
fn a_configuration_that_cap_does_not_offer_is_fatal() {
    for (cc, aqa, rule) in [
        (0x0046_0281, 0x1_0001, Rule::ConfigurationSupported), // a page of 128 KiB
        (0x0046_0011, 0x1_0001, Rule::ConfigurationSupported), // another command set
        (0x0046_0801, 0x1_0001, Rule::ConfigurationSupported), // weighted round robin
        (0x0046_0001, 0, Rule::AdminQueues),
    ] {
        let mut host = Host::cold(&[]);
        host.set(AQA, aqa);
        host.set64(ASQ, 0x10_0000);
        host.set64(ACQ, 0x10_1000);
        host.set(CC, cc);
        host.settle();
        assert_eq!(host.broken(), [rule], "{cc:#x}");
        assert!(csts(&mut host).cfs() && !csts(&mut host).rdy());
        host.set(CC, 0);
        host.settle();
        assert!(!csts(&mut host).cfs(), "a reset clears the fatal status");
        host.assert_clean();
    }
}

#[test]
fn admin_queue_bases_are_aligned_to_the_page_that_cc_selects() {
    let mut host = Host::cold(&[]);
    host.set(AQA, 1 << 16 | 1);
    host.set64(ASQ, 0x10_1000);
    host.set64(ACQ, 0x10_2000);
    host.set(CC, 0x0046_0081);
    host.settle();
    assert_eq!(host.broken(), [Rule::AdminQueues]);
}

#[test]
fn widths_and_alignments_are_judged() {
    for (offset, width, held) in [
        (0x00, Width::Eight, true),
        (0x04, Width::Four, true),
        (0x14, Width::Four, true),
        (0x08, Width::Eight, false),
        (0x04, Width::Eight, false),
        (0x14, Width::Other(2), false),
        (0x15, Width::Other(1), false),
        (0x16, Width::Four, false),
        (0x28, Width::Eight, true),
    ] {
        let mut host = Host::cold(&[]);
        let Host {
            controller,
            machine,
            ..
        } = &mut host;
        controller.read(offset, width, 0, machine);
        let broken = host.broken();
        assert_eq!(broken.is_empty(), held, "{offset:#x} {width:?} {broken:?}");
    }
}

#[test]
fn a_wide_read_is_two_halves() {
    let mut host = Host::cold(&[]);
    let cap = cap(&mut host).into_bits();
    let Host {
        controller,
        machine,
        ..
    } = &mut host;
    assert_eq!(controller.read(0, Width::Eight, 0, machine), cap);
    assert_eq!(
        controller.read(1, Width::Other(2), 0, machine),
        cap >> 8 & 0xFFFF
    );
}

#[test]
fn writes_that_must_not_be_are_judged() {
    for (register, value, rule) in [
        (CAP, 1, Rule::RegisterWritable),
        (VS, 1, Rule::RegisterWritable),
        (CSTS, 1, Rule::RegisterWritable),
        (0x40, 1, Rule::RegisterWritable),
        (CC, 0x0100_0000, Rule::ReservedBits),
        (CC, 2, Rule::ReservedBits),
        (AQA, 0x1000, Rule::ReservedBits),
        (ASQ, 0x800, Rule::ReservedBits),
    ] {
        let mut host = Host::cold(&[]);
        host.set(register, value);
        assert_eq!(host.broken(), [rule], "{register:#x}");
        assert_ne!(host.get(register), value);
    }
}

#[test]
fn admin_queue_registers_and_page_size_stay_while_enabled() {
    let mut host = Host::ready(&[]);
    let asq = host.get(ASQ);
    host.set(ASQ, 0x5000);
    assert_eq!(host.broken(), [Rule::ConfigurationKept]);
    assert_eq!(host.get(ASQ), asq);
    let cc = host.get(CC);
    host.set(CC, cc | 1 << 7);
    assert_eq!(host.broken(), [Rule::ConfigurationKept]);
    assert_eq!(host.get(CC), cc);
    host.set(CC, cc);
    host.assert_clean();
}

#[test]
fn a_normal_shutdown_completes() {
    let mut host = Host::ready(&[("ready", "8")]);
    host.notify_shutdown();
    assert_eq!(csts(&mut host).shst(), ShutdownStatus::IN_PROGRESS);
    host.pass(8_000_000);
    assert_eq!(csts(&mut host).shst(), ShutdownStatus::COMPLETE);
    host.assert_clean();
    host.set(registers::DOORBELLS, 1);
    assert_eq!(host.broken(), [Rule::ReadyForCommands]);
    host.set(CC, 0);
    host.settle();
    assert_eq!(csts(&mut host).into_bits(), 0);
    host.bring_up();
    host.assert_clean();
}

#[test]
fn doorbells_before_ready_are_told_and_ignored() {
    let mut host = Host::cold(&[]);
    host.set(registers::DOORBELLS, 1);
    assert_eq!(host.broken(), [Rule::ReadyForCommands]);
    assert_eq!(host.controller.next_event_ns(), None);
}

#[test]
fn power_off_without_shutdown_is_told() {
    let mut host = Host::ready(&[]);
    host.controller
        .power(Power::D3Cold, host.now_ns, &mut host.machine);
    assert_eq!(host.broken(), [Rule::ShutdownBeforePowerOff]);
    assert_eq!(host.get(CSTS), u32::MAX);
    assert_eq!(host.controller.config_read(0, 4), u32::MAX);
    host.controller
        .power(Power::D0, host.now_ns, &mut host.machine);
    assert_eq!(host.get(CSTS), 0);
    assert_eq!(host.get(AQA), 0);
    host.bring_up();
    host.assert_clean();
}

#[test]
fn d3hot_by_configuration_space_keeps_the_controller() {
    let mut host = Host::ready(&[]);
    host.shut_down();
    let Host {
        controller,
        machine,
        ..
    } = &mut host;
    controller.config_write(0x44, 2, 3, 0, machine);
    assert_eq!(controller.config_read(0, 2), 0xFEED);
    assert_eq!(host.get(CSTS), u32::MAX);
    let Host {
        controller,
        machine,
        ..
    } = &mut host;
    controller.config_write(0x44, 2, 0, 0, machine);
    assert_eq!(csts(&mut host).shst(), ShutdownStatus::COMPLETE);
    host.assert_clean();
}

#[test]
fn a_removed_controller_reads_all_ones_for_ever() {
    let mut host = Host::ready(&[]);
    host.set(registers::DOORBELLS, 1);
    host.controller.remove(&mut host.machine);
    assert_eq!(host.get(CSTS), u32::MAX);
    assert_eq!(host.controller.config_read(0, 2), 0xFFFF);
    assert_eq!(host.controller.next_event_ns(), None);
    host.controller.power(Power::D0, 0, &mut host.machine);
    host.set(CC, 1);
    assert_eq!(host.get(CC), u32::MAX);
    host.assert_clean();
}

#[test]
fn a_function_level_reset_clears_everything() {
    let mut host = Host::ready(&[]);
    let Host {
        controller,
        machine,
        ..
    } = &mut host;
    controller.config_write(0x78, 2, 0x8000, 0, machine);
    assert_eq!(host.get(CSTS), u32::MAX, "memory decoding is off");
    let Host {
        controller,
        machine,
        ..
    } = &mut host;
    controller.config_write(4, 2, 6, 0, machine);
    assert_eq!(host.get(CC), 0);
    assert_eq!(host.get(AQA), 0);
}

#[test]
fn a_function_level_reset_wakes_it() {
    let mut host = Host::cold(&[]);
    let Host {
        controller,
        machine,
        ..
    } = &mut host;
    controller.config_write(0x44, 2, 3, 0, machine);
    controller.config_write(0x78, 2, 0x8000, 0, machine);
    controller.config_write(4, 2, 6, 0, machine);
    assert_eq!(host.get(VS), 0x0001_0400);
}

#[test]
fn without_bus_mastering_nothing_is_fetched() {
    let mut host = Host::ready(&[]);
    let Host {
        controller,
        machine,
        ..
    } = &mut host;
    controller.config_write(4, 2, 2, 0, machine);
    host.machine.accesses.clear();
    host.set(registers::DOORBELLS, 1);
    host.settle();
    assert!(host.machine.accesses.is_empty());
    let Host {
        controller,
        machine,
        ..
    } = &mut host;
    controller.config_write(4, 2, 6, 0, machine);
    host.settle();
    assert!(!host.machine.accesses.is_empty());
}

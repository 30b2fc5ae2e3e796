//! Controllers that die, that do not come to rest, and that are cured by new firmware.

use nvme_model::Power;
use nvme_spec::command::{AdminOpcode, NvmOpcode};
use nvme_spec::identify::IdentifyController;
use nvme_spec::registers::{CC, CSTS};
use nvme_spec::status::Status;

use crate::host::{Host, Pair, admin, nvm, status};

const RDY: u32 = 1;
const CFS: u32 = 2;

/// Whether a flush succeeds.
fn works(host: &mut Host, pair: &mut Pair) -> bool {
    host.attempt(pair, nvm(NvmOpcode::FLUSH, 1))
        .is_some_and(|completion| status(&completion) == Status::SUCCESS)
}

/// Carries out flushes until one is not answered: how many were.
fn flushes_until_dead(host: &mut Host, pair: &mut Pair) -> u32 {
    (0..100).take_while(|_| works(host, pair)).count() as u32
}

/// A controller that was lent 16 pages of 4 KiB, with an I/O queue.
fn lent(settings: &[(&str, &str)]) -> (Host, Pair) {
    let small = [("hmpre", "256K"), ("hmmin", "64K")];
    let mut host = Host::ready(&[&small, settings].concat());
    let pair = host.io_queues(1, 64);
    crate::hmb::lend_pages(&mut host, 16);
    (host, pair)
}

#[test]
fn too_much_memory_is_fatal_each_time_and_a_reset_cures_it() {
    let (mut host, mut pair) = lent(&[("dies", "lent:60K")]);
    for _ in 0..2 {
        assert_eq!(flushes_until_dead(&mut host, &mut pair), 2);
        assert_eq!(host.get(CSTS) & CFS, CFS);
        assert_eq!(host.controller.hmb().lent_bytes, 64 << 10, "it is no reset");
        host.set(CC, 0);
        host.settle();
        assert_eq!(host.controller.hmb().lent_bytes, 0);
        host.bring_up();
        pair = host.io_queues(1, 64);
        crate::hmb::lend_pages(&mut host, 16);
    }
}

#[test]
fn no_more_memory_than_it_survives_is_harmless() {
    let (mut host, mut pair) = lent(&[("dies", "lent:64K")]);
    assert_eq!(flushes_until_dead(&mut host, &mut pair), 100);
    host.assert_clean();
}

#[test]
fn a_silent_controller_looks_alive_and_answers_nothing_until_a_reset() {
    let (mut host, mut pair) = lent(&[("dies", "lent:0"), ("death", "silent")]);
    assert_eq!(flushes_until_dead(&mut host, &mut pair), 2);
    assert_eq!(host.get(CSTS) & (RDY | CFS), RDY);
    let identify = admin(AdminOpcode::GET_FEATURES);
    assert!(host.attempt_admin(identify).is_none());
    host.set(CC, 0);
    host.settle();
    host.bring_up();
    let mut pair = host.io_queues(1, 8);
    assert!(works(&mut host, &mut pair));
}

#[test]
fn a_link_that_is_down_reads_as_ones_and_proves_nothing() {
    let (mut host, mut pair) = lent(&[("dies", "lent:0"), ("death", "gone")]);
    assert_eq!(flushes_until_dead(&mut host, &mut pair), 2);
    assert_eq!(host.get(CSTS), u32::MAX);
    assert_eq!(host.controller.config_read(0, 4), u32::MAX);
    host.set(CC, 0);
    host.settle();
    assert_eq!(host.controller.hmb().lent_bytes, 64 << 10);
    host.controller.remove(&mut host.machine);
    assert_eq!(host.controller.hmb().lent_bytes, 0);
}

#[test]
fn a_command_can_be_the_last_one() {
    // Number of Queues, two creations, one flush.
    let mut host = Host::ready(&[("dies", "command:5")]);
    let mut pair = host.io_queues(1, 64);
    assert_eq!(flushes_until_dead(&mut host, &mut pair), 1);
    host.set(CC, 0);
    host.settle();
    host.bring_up();
    let mut pair = host.io_queues(1, 64);
    assert_eq!(flushes_until_dead(&mut host, &mut pair), 100, "once");
}

#[test]
fn a_controller_that_does_not_reset_keeps_the_memory() {
    let (mut host, _) = lent(&[("reset", "never")]);
    host.set(CC, 0);
    host.pass(60_000_000_000);
    assert_eq!(host.get(CSTS) & RDY, RDY);
    assert_eq!(host.controller.hmb().lent_bytes, 64 << 10);
}

#[test]
fn new_firmware_runs_after_a_loss_of_power_and_does_not_die() {
    let settings = [("dies", "lent:0"), ("firmware", "A1"), ("update", "B2")];
    let (mut host, mut pair) = lent(&settings);
    let revision = |host: &mut Host| {
        let mut identify = admin(AdminOpcode::IDENTIFY);
        identify.cdw10 = 1;
        let data: IdentifyController = host.admin_data(identify);
        data.fr.trimmed().to_vec()
    };
    assert_eq!(revision(&mut host), b"A1");
    assert_eq!(flushes_until_dead(&mut host, &mut pair), 2);
    for power in [Power::D3Cold, Power::D0] {
        host.controller.power(power, host.now_ns, &mut host.machine);
    }
    host.bring_up();
    let mut pair = host.io_queues(1, 64);
    crate::hmb::lend_pages(&mut host, 16);
    assert_eq!(revision(&mut host), b"B2");
    assert_eq!(flushes_until_dead(&mut host, &mut pair), 100);
}

#[test]
fn firmware_that_panicked_ignores_cc_and_keeps_the_memory() {
    let (mut host, mut pair) = lent(&[("dies", "lent:0"), ("death", "panic")]);
    assert_eq!(flushes_until_dead(&mut host, &mut pair), 2);
    assert_eq!(host.get(CSTS), CFS);
    for configuration in [0, 0x0046_0001, 0] {
        host.set(CC, configuration);
        host.pass(60_000_000_000);
        assert_eq!(host.get(CSTS), CFS);
        assert_eq!(host.controller.hmb().lent_bytes, 64 << 10);
    }
    for power in [Power::D3Cold, Power::D0] {
        host.controller.power(power, host.now_ns, &mut host.machine);
    }
    host.bring_up();
    assert_eq!(host.controller.hmb().lent_bytes, 0);
}

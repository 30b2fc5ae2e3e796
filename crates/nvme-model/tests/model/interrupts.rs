//! MSI-X messages and the INTx line.

use nvme_model::Rule;
use nvme_spec::command::{AdminOpcode, Command, NvmOpcode};
use nvme_spec::registers::{INTMC, INTMS};

use crate::host::{Host, admin, nvm};

const MSIX_CONTROL: u16 = 0x52;
const MSIX_ENABLE: u32 = 0x8000;
const MSIX_MASK_ALL: u32 = 0x4000;

fn config_write(host: &mut Host, offset: u16, bytes: u8, value: u32) {
    let Host {
        controller,
        machine,
        now_ns,
        ..
    } = host;
    controller.config_write(offset, bytes, value, *now_ns, machine);
}

/// The vector control dword of a vector.
fn vector_control(host: &Host, vector: u32) -> u32 {
    host.controller.config_read(0x54, 4) + vector * 16 + 12
}

fn pending(host: &mut Host) -> u32 {
    let offset = host.controller.config_read(0x58, 4);
    host.get(offset)
}

/// Enables MSI-X with every vector unmasked.
pub fn enable_messages(host: &mut Host) {
    for vector in 0..17 {
        let control = vector_control(host, vector);
        host.set(control, 0);
    }
    config_write(host, MSIX_CONTROL, 2, MSIX_ENABLE);
}

fn identify() -> Command {
    let mut command = admin(AdminOpcode::IDENTIFY);
    (command.cdw10, command.prp1) = (1, 0x20_0000);
    command
}

#[test]
fn the_line_is_high_while_completions_wait() {
    let mut host = Host::ready(&[("messages", "0")]);
    let mut pair = host.io_queues(1, 8);
    assert!(!host.machine.line, "every completion was consumed");
    host.write(&mut pair, nvm(NvmOpcode::FLUSH, 1));
    host.commit(&pair);
    host.settle();
    assert!(host.machine.line);
    host.set(INTMS, 1);
    assert!(!host.machine.line);
    assert_eq!(host.get(INTMC), 1);
    host.set(INTMC, 1);
    assert!(host.machine.line);
    assert_eq!(host.controller.config_read(6, 2) & 8, 8, "interrupt status");
    host.poll(&mut pair).expect("a completion");
    host.release(&pair);
    assert!(!host.machine.line);
    assert!(host.machine.messages.is_empty());
    host.assert_clean();
}

#[test]
fn the_line_stays_low_when_it_is_disabled() {
    let mut host = Host::ready(&[]);
    config_write(&mut host, 4, 2, 0x406);
    let mut pair = std::mem::replace(&mut host.admin, crate::host::Pair::new(0, 0, 0, 0));
    host.write(&mut pair, identify());
    host.commit(&pair);
    host.settle();
    assert!(!host.machine.line);
    config_write(&mut host, 4, 2, 6);
    assert!(host.machine.line);
    host.set(nvme_spec::registers::CC, 0);
    host.pass(60_000_000_000);
    assert!(!host.machine.line, "a reset takes the completions away");
}

#[test]
fn messages_go_to_the_vector_of_the_queue() {
    let mut host = Host::ready(&[]);
    config_write(&mut host, MSIX_CONTROL, 2, MSIX_ENABLE);
    for vector in 0..3 {
        let control = vector_control(&host, vector);
        host.set(control, 0);
    }
    host.admin_ok(identify());
    assert_eq!(host.machine.messages, [0]);
    let mut pair = host.io_queues(1, 8);
    host.machine.messages.clear();
    host.execute(&mut pair, nvm(NvmOpcode::FLUSH, 1));
    assert_eq!(
        host.machine.messages,
        [0],
        "the queue was created with vector 0"
    );
    let (submission, completion) = (host.alloc(4096), host.alloc(4096));
    let mut create = admin(AdminOpcode::CREATE_COMPLETION_QUEUE);
    (create.prp1, create.cdw10, create.cdw11) = (completion, 7 << 16 | 2, 2 << 16 | 3);
    host.admin_ok(create);
    let mut create = admin(AdminOpcode::CREATE_SUBMISSION_QUEUE);
    (create.prp1, create.cdw10, create.cdw11) = (submission, 7 << 16 | 2, 2 << 16 | 1);
    host.admin_ok(create);
    host.machine.messages.clear();
    let mut pair = crate::host::Pair::new(2, submission, completion, 8);
    host.execute(&mut pair, nvm(NvmOpcode::FLUSH, 1));
    assert_eq!(host.machine.messages, [2]);
    assert!(!host.machine.line);
    host.assert_clean();
}

#[test]
fn a_masked_vector_is_pending_until_it_is_unmasked() {
    let mut host = Host::ready(&[]);
    config_write(&mut host, MSIX_CONTROL, 2, MSIX_ENABLE);
    host.admin_ok(identify());
    host.admin_ok(identify());
    assert!(
        host.machine.messages.is_empty(),
        "vectors come out of reset masked"
    );
    assert_eq!(pending(&mut host), 1);
    let control = vector_control(&host, 0);
    host.set(control, 0);
    assert_eq!(host.machine.messages, [0], "one message for both");
    assert_eq!(pending(&mut host), 0);
    config_write(&mut host, MSIX_CONTROL, 2, MSIX_ENABLE | MSIX_MASK_ALL);
    host.admin_ok(identify());
    assert_eq!(host.machine.messages, [0]);
    config_write(&mut host, MSIX_CONTROL, 2, MSIX_ENABLE);
    assert_eq!(host.machine.messages, [0, 0]);
    host.assert_clean();
}

#[test]
fn the_table_keeps_what_is_written() {
    let mut host = Host::cold(&[("messages", "2")]);
    let control = vector_control(&host, 1);
    assert_eq!(host.get(control), 1);
    host.set(control - 12, 0xFEE0_0003);
    host.set(control - 4, 0x41);
    host.set(control, 0xFFFF_FFFE);
    assert_eq!(host.get(control - 12), 0xFEE0_0000);
    assert_eq!(host.get(control - 4), 0x41);
    assert_eq!(host.get(control), 0);
    host.assert_clean();
}

#[test]
fn masks_are_left_alone_with_messages() {
    let mut host = Host::ready(&[]);
    config_write(&mut host, MSIX_CONTROL, 2, MSIX_ENABLE);
    host.set(INTMS, 1);
    assert_eq!(host.broken(), [Rule::MaskWithMsix]);
    assert_eq!(host.get(INTMS), 0);
}

#[test]
fn a_queue_without_interrupts_is_quiet() {
    let mut host = Host::ready(&[("messages", "0")]);
    let mut pair = host.io_queues(1, 8);
    let completion = host.alloc(4096);
    let mut create = admin(AdminOpcode::CREATE_COMPLETION_QUEUE);
    (create.prp1, create.cdw10, create.cdw11) = (completion, 7 << 16 | 2, 1);
    host.admin_ok(create);
    let submission = host.alloc(4096);
    let mut create = admin(AdminOpcode::CREATE_SUBMISSION_QUEUE);
    (create.prp1, create.cdw10, create.cdw11) = (submission, 7 << 16 | 2, 2 << 16 | 1);
    host.admin_ok(create);
    let mut quiet = crate::host::Pair::new(2, submission, completion, 8);
    host.write(&mut quiet, nvm(NvmOpcode::FLUSH, 1));
    host.commit(&quiet);
    host.settle();
    assert!(!host.machine.line);
    host.write(&mut pair, nvm(NvmOpcode::FLUSH, 1));
    host.commit(&pair);
    host.settle();
    assert!(host.machine.line);
}

#[test]
fn a_machine_that_keeps_the_table_itself_masks_messages() {
    let mut host = Host::ready(&[]);
    let mask = |host: &mut Host, message, masked| {
        host.controller
            .mask_message(message, masked, &mut host.machine);
    };
    config_write(&mut host, MSIX_CONTROL, 2, MSIX_ENABLE);
    mask(&mut host, 0, false);
    host.admin_ok(identify());
    assert_eq!(host.machine.messages, [0]);
    mask(&mut host, 0, true);
    host.admin_ok(identify());
    assert_eq!(host.machine.messages, [0]);
    assert_eq!(pending(&mut host), 1);
    mask(&mut host, u16::MAX, false);
    assert_eq!(host.machine.messages, [0], "there is no such message");
    mask(&mut host, 0, false);
    assert_eq!(host.machine.messages, [0, 0]);
    host.assert_clean();
}

#[test]
fn completions_of_a_group_come_at_once_with_one_message() {
    for (group, messages) in [("1", 6), ("2", 3), ("4", 2), ("6", 1), ("64", 1)] {
        let mut host = Host::ready(&[("group", group)]);
        enable_messages(&mut host);
        let mut pair = host.io_queues(1, 16);
        host.machine.messages.clear();
        for _ in 0..6 {
            host.write(&mut pair, nvm(NvmOpcode::FLUSH, 1));
        }
        host.commit(&pair);
        host.settle();
        assert_eq!(host.machine.messages.len(), messages, "groups of {group}");
        let posted = (0..6).filter(|_| host.poll(&mut pair).is_some());
        assert_eq!(posted.count(), 6, "groups of {group}");
    }
}

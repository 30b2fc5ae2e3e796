//! Identify, log pages, abort.

use nvme_model::Rule;
use nvme_spec::command::{AdminOpcode, Command, NvmOpcode};
use nvme_spec::identify::{
    IdentifyController, IdentifyNamespace, NamespaceIdType, NamespaceList, namespace_id_descriptors,
};
use nvme_spec::log::{
    CommandEffects, ErrorInformation, FirmwareSlotInformation, SmartHealthInformation,
};
use nvme_spec::status::Status;

use crate::host::{Host, admin, nvm, status};

fn identify(cns: u32, nsid: u32) -> Command {
    Command {
        nsid,
        cdw10: cns,
        ..admin(AdminOpcode::IDENTIFY)
    }
}

fn log_page(id: u32, bytes: u32) -> Command {
    Command {
        cdw10: (bytes / 4 - 1) << 16 | id,
        ..admin(AdminOpcode::GET_LOG_PAGE)
    }
}

#[test]
fn identify_controller_tells_the_profile() {
    let mut host = Host::ready(&[
        ("mdts", "128K"),
        ("hmpre", "32M"),
        ("hmmin", "8M"),
        ("hmminds", "64K"),
        ("hmmaxd", "8"),
        ("aerl", "3"),
        ("namespaces", "2"),
        ("vwc", "0"),
        ("model", "Drive of a test"),
    ]);
    let data: IdentifyController = host.admin_data(identify(1, 0));
    assert_eq!(data.mn.trimmed(), b"Drive of a test");
    assert_eq!(data.mdts, 5);
    assert_eq!(
        (data.hmpre, data.hmmin, data.hmminds, data.hmmaxd),
        (8192, 2048, 16, 8)
    );
    assert_eq!(data.aerl_z, 2);
    assert_eq!(data.nn, 2);
    assert_eq!((data.sqes.into_bits(), data.cqes.into_bits()), (0x66, 0x44));
    assert!(!data.vwc.present());
    assert!(data.oncs.dataset_management() && data.oncs.write_zeroes() && data.oncs.compare());
    host.assert_clean();
}

#[test]
fn identify_namespace_tells_size_and_format() {
    let mut host = Host::ready(&[("block", "4096"), ("namespaces", "2")]);
    let data: IdentifyNamespace = host.admin_data(identify(0, 2));
    assert_eq!((data.nsze, data.ncap, data.nuse), (256, 256, 256));
    assert_eq!(
        data.lbaf[usize::from(data.flbas.index(data.nlbaf_z))].lbads(),
        12
    );
    let first: IdentifyNamespace = host.admin_data(identify(0, 1));
    assert_ne!(first.eui64, data.eui64);
    assert_ne!(first.nguid, data.nguid);
}

#[test]
fn namespaces_that_are_not_active_are_invalid() {
    for (cns, nsid) in [(0, 0), (0, 2), (0, u32::MAX), (3, 2)] {
        let mut host = Host::ready(&[]);
        let mut command = identify(cns, nsid);
        command.prp1 = host.alloc(4096);
        let completion = host.admin(command);
        assert_eq!(status(&completion), Status::INVALID_NAMESPACE_OR_FORMAT);
        assert!(completion.status.do_not_retry());
        assert_eq!(host.broken(), [Rule::NamespaceUsed]);
    }
}

#[test]
fn the_active_list_begins_above_the_nsid() {
    let mut host = Host::ready(&[("namespaces", "5")]);
    let list: NamespaceList = host.admin_data(identify(2, 0));
    assert_eq!(list.identifiers().collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    let list: NamespaceList = host.admin_data(identify(2, 3));
    assert_eq!(list.identifiers().collect::<Vec<_>>(), [4, 5]);
    let completion = host.admin(identify(2, u32::MAX));
    assert_eq!(status(&completion), Status::INVALID_NAMESPACE_OR_FORMAT);
    host.assert_clean();
}

#[test]
fn namespaces_have_identification_descriptors() {
    let mut host = Host::ready(&[]);
    let namespace: IdentifyNamespace = host.admin_data(identify(0, 1));
    let data: [u8; 4096] = host.admin_data(identify(3, 1));
    let found: Vec<_> = namespace_id_descriptors(&data).collect();
    assert_eq!(found[0], (NamespaceIdType::EUI64, &namespace.eui64[..]));
    assert_eq!(found[1], (NamespaceIdType::NGUID, &namespace.nguid[..]));
    assert_eq!((found[2].0, found[2].1.len()), (NamespaceIdType::UUID, 16));
    assert_eq!(found.len(), 3);
}

#[test]
fn unknown_requests_are_refused() {
    let mut host = Host::ready(&[]);
    assert_eq!(
        status(&host.admin(identify(0x42, 0))),
        Status::INVALID_FIELD
    );
    assert_eq!(
        status(&host.admin(log_page(0x42, 4))),
        Status::INVALID_LOG_PAGE
    );
    host.assert_clean();
    let unknown = host.admin(admin(AdminOpcode::FORMAT_NVM));
    assert_eq!(status(&unknown), Status::INVALID_OPCODE);
    assert_eq!(host.broken(), [Rule::CommandSupported]);
}

#[test]
fn reserved_fields_are_judged() {
    let changes: [fn(&mut Command); 5] = [
        |command| command.cdw2 = 1,
        |command| command.cdw3 = 1,
        |command| command.cdw15 = 1,
        |command| command.cdw10 |= 0x100,
        |command| command.cdw0 = (command.cdw0.into_bits() | 0x800).into(),
    ];
    for change in changes {
        let mut host = Host::ready(&[]);
        let mut command = identify(1, 0);
        command.prp1 = host.alloc(4096);
        change(&mut command);
        host.admin_ok(command);
        assert_eq!(host.broken(), [Rule::CommandReserved]);
    }
}

#[test]
fn errors_are_logged_newest_first() {
    let mut host = Host::ready(&[]);
    let first = host.admin(identify(0, 7));
    assert!(first.status.more());
    let second = host.admin(admin(AdminOpcode::FORMAT_NVM));
    let log: [ErrorInformation; 3] = host.admin_data(log_page(1, 192));
    assert_eq!(log.map(|entry| entry.error_count), [2, 1, 0]);
    assert_eq!((log[0].cid, log[1].cid), (second.cid, first.cid));
    assert_eq!(
        Status::from(log[1].status),
        Status::INVALID_NAMESPACE_OR_FORMAT
    );
    assert_eq!((log[1].nsid, log[1].parameter_error.byte()), (7, 4));
    let health: SmartHealthInformation = host.admin_data(log_page(2, 512));
    assert_eq!(health.error_log_entries.get(), 2);
}

#[test]
fn health_counts_data() {
    let mut host = Host::ready(&[]);
    let mut pair = host.io_queues(1, 8);
    let mut write = nvm(NvmOpcode::WRITE, 1);
    write.prp1 = host.alloc(4096);
    write.cdw12 = 7;
    host.execute(&mut pair, write);
    let health: SmartHealthInformation = host.admin_data(log_page(2, 512));
    assert_eq!(health.data_units_written.get(), 1);
    assert_eq!(health.host_write_commands.get(), 1);
    assert_eq!(health.host_read_commands.get(), 0);
    assert_eq!(health.critical_warning.into_bits(), 0);
}

#[test]
fn log_pages_are_read_in_parts() {
    let mut host = Host::ready(&[]);
    let whole: FirmwareSlotInformation = host.admin_data(log_page(3, 512));
    assert_eq!(
        (whole.afi.active_slot(), whole.frs[0].trimmed()),
        (1, &b"1.0"[..])
    );
    let part: [u8; 8] = host.admin_data(Command {
        cdw12: 8,
        ..log_page(3, 8)
    });
    assert_eq!(part, whole.frs[0].0);
    for offset in [2, 516] {
        let completion = host.admin(Command {
            cdw12: offset,
            ..log_page(3, 8)
        });
        assert_eq!(status(&completion), Status::INVALID_FIELD);
    }
    let effects: CommandEffects = host.admin_data(log_page(5, 4096));
    assert!(effects.acs[6].csupp() && !effects.acs[0x80].csupp());
    assert!(effects.iocs[1].lbcc() && !effects.iocs[2].lbcc() && effects.iocs[2].csupp());
    let changed: [u32; 4] = host.admin_data(log_page(4, 16));
    assert_eq!(changed, [0; 4]);
    host.assert_clean();
}

#[test]
fn a_log_page_larger_than_mdts_is_refused() {
    let mut host = Host::ready(&[("mdts", "8K")]);
    assert_eq!(
        status(&host.admin(log_page(1, 8196))),
        Status::INVALID_FIELD
    );
    assert_eq!(host.broken(), [Rule::TransferLimit]);
}

fn abort(queue: u16, cid: u16) -> Command {
    Command {
        cdw10: u32::from(cid) << 16 | u32::from(queue),
        ..admin(AdminOpcode::ABORT)
    }
}

#[test]
fn abort_ends_a_command_that_was_not_carried_out() {
    let mut host = Host::ready(&[]);
    let mut pair = host.io_queues(1, 8);
    let cid = host.write(&mut pair, nvm(NvmOpcode::FLUSH, 1));
    host.commit(&pair);
    assert_eq!(host.admin_ok(abort(1, cid)), 0);
    let completion = host.poll(&mut pair).expect("a completion");
    assert_eq!(
        (completion.cid, status(&completion)),
        (cid, Status::ABORT_REQUESTED)
    );
    assert_eq!(host.admin_ok(abort(1, cid)), 1, "nothing is left to abort");
    host.assert_clean();
}

#[test]
fn more_aborts_than_acl_are_refused() {
    let mut host = Host::ready(&[]);
    let mut pair = std::mem::replace(&mut host.admin, crate::host::Pair::new(0, 0, 0, 0));
    for _ in 0..5 {
        host.write(&mut pair, abort(1, 1));
    }
    host.commit(&pair);
    host.settle();
    assert_eq!(host.broken(), [Rule::AbortLimit]);
    let first = host.poll(&mut pair).expect("a completion");
    assert_eq!(status(&first), Status::ABORT_COMMAND_LIMIT_EXCEEDED);
}

//! Set Features and Get Features.

use nvme_model::Rule;
use nvme_spec::command::{AdminOpcode, Command};
use nvme_spec::status::Status;

use crate::host::{Host, admin, status};

fn set(id: u32, value: u32) -> Command {
    Command {
        cdw10: id,
        cdw11: value,
        ..admin(AdminOpcode::SET_FEATURES)
    }
}

fn get(id: u32) -> Command {
    Command {
        cdw10: id,
        ..admin(AdminOpcode::GET_FEATURES)
    }
}

#[test]
fn values_are_kept_until_a_reset() {
    for (id, value, default) in [
        (0x01, 0x0102_0303, 0),
        (0x02, 0x21, 0),
        (0x06, 0, 1),
        (0x08, 0x0A03, 0),
        (0x0A, 1, 0),
        (0x0B, 0x1F, 0),
    ] {
        let mut host = Host::ready(&[]);
        assert_eq!(host.admin_ok(get(id)), default, "{id:#x}");
        host.admin_ok(set(id, value));
        assert_eq!(host.admin_ok(get(id)), value);
        assert_eq!(
            host.admin_ok(get(id | 1 << 8)),
            default,
            "the default value"
        );
        assert_eq!(
            host.admin_ok(get(id | 3 << 8)),
            4,
            "it can be changed, not saved"
        );
        host.set(nvme_spec::registers::CC, 0);
        host.settle();
        host.bring_up();
        assert_eq!(host.admin_ok(get(id)), default);
        host.assert_clean();
    }
}

#[test]
fn nothing_can_be_saved() {
    let mut host = Host::ready(&[]);
    let completion = host.admin(set(1 << 31 | 6, 0));
    assert_eq!(status(&completion), Status::FEATURE_NOT_SAVEABLE);
    assert_eq!(host.admin_ok(get(6)), 1);
}

#[test]
fn features_that_are_not_there_are_invalid() {
    for (settings, id) in [
        (&[][..], 0x7F),
        (&[("vwc", "0")], 0x06),
        (&[("hmpre", "0"), ("hmmin", "0")], 0x0D),
    ] {
        let mut host = Host::ready(settings);
        assert_eq!(status(&host.admin(get(id))), Status::INVALID_FIELD);
        assert_eq!(status(&host.admin(set(id, 0))), Status::INVALID_FIELD);
    }
}

#[test]
fn values_outside_their_range_are_invalid() {
    let mut host = Host::ready(&[("messages", "4")]);
    for command in [
        set(2, 3),
        set(9, 4),
        set(4, 2 << 16),
        set(4, 2 << 20),
        set(7, 0xFFFF),
        set(7, 0xFFFF_0000),
        get(9),
    ] {
        let command = if command.cdw10 == 9 {
            Command {
                cdw11: 4,
                ..command
            }
        } else {
            command
        };
        assert_eq!(
            status(&host.admin(command)),
            Status::INVALID_FIELD,
            "{command:?}"
        );
    }
}

#[test]
fn no_more_queues_are_granted_than_there_are() {
    let mut host = Host::ready(&[("queues", "4")]);
    assert_eq!(host.admin_ok(get(7)), 0x0003_0003);
    assert_eq!(host.admin_ok(set(7, 0x0001_0063)), 0x0001_0003);
    assert_eq!(host.admin_ok(get(7)), 0x0001_0003);
}

#[test]
fn vectors_are_configured_one_by_one() {
    let mut host = Host::ready(&[]);
    host.admin_ok(set(9, 1 << 16 | 2));
    assert_eq!(host.admin_ok(Command { cdw11: 2, ..get(9) }), 1 << 16 | 2);
    assert_eq!(host.admin_ok(Command { cdw11: 1, ..get(9) }), 1);
}

#[test]
fn thresholds_are_kept_by_sensor_and_side() {
    let mut host = Host::ready(&[]);
    assert_eq!(host.admin_ok(get(4)), 343);
    host.admin_ok(set(4, 350));
    host.admin_ok(set(4, 1 << 20 | 0x104));
    assert_eq!(host.admin_ok(get(4)), 350);
    assert_eq!(
        host.admin_ok(Command {
            cdw11: 1 << 20,
            ..get(4)
        }),
        0x104
    );
    host.assert_clean();
}

#[test]
fn scope_is_checked() {
    let mut host = Host::ready(&[("namespaces", "2")]);
    let wrong = host.admin(Command {
        nsid: 1,
        ..set(1, 0)
    });
    assert_eq!(status(&wrong), Status::FEATURE_NOT_NAMESPACE_SPECIFIC);
    host.admin_ok(Command {
        nsid: 2,
        ..set(5, 7)
    });
    assert_eq!(host.admin_ok(Command { nsid: 2, ..get(5) }), 7);
    assert_eq!(host.admin_ok(Command { nsid: 1, ..get(5) }), 0);
    host.admin_ok(Command {
        nsid: u32::MAX,
        ..set(5, 9)
    });
    assert_eq!(host.admin_ok(Command { nsid: 1, ..get(5) }), 9);
    host.assert_clean();
    let none = host.admin(Command {
        nsid: 3,
        ..set(5, 7)
    });
    assert_eq!(status(&none), Status::INVALID_NAMESPACE_OR_FORMAT);
    assert_eq!(host.broken(), [Rule::NamespaceUsed]);
}

//! Reset, enable and Identify against a scripted controller in virtual time.

mod device;

use device::{Answer, Device, Host, configurations, failed, identify, well_behaved};
use nvme::identify::Usability;
use nvme::lifecycle::{Failure, Goal, Progress, Unsupported};
use nvme_spec::command::AdminOpcode;
use nvme_spec::identify::LbaFormat;
use nvme_spec::registers::{AQA, ASQ, ControllerConfiguration, Version};
use nvme_spec::status::Status;
use zerocopy::IntoBytes;

const SECOND_US: u64 = 1_000_000;

#[test]
fn identifies_controller_and_namespaces() {
    let mut host = Host::new(Device::new());
    host.device
        .answer(|command| match AdminOpcode(command.cdw0.opcode()) {
            AdminOpcode::IDENTIFY => identify(command, &[1, 3, 7]),
            _ => well_behaved(command),
        });
    assert_eq!(host.reach(Goal::Identify), Progress::Done);
    let info = host.controller.info().unwrap();
    assert_eq!(info.model.trimmed(), b"MODEL");
    assert_eq!(info.max_transfer_bytes, 128 << 10);
    let nsids: Vec<u32> = host
        .namespaces()
        .iter()
        .map(|namespace| namespace.nsid)
        .collect();
    assert_eq!(nsids, [1, 3, 7]);
    assert_eq!(host.namespaces()[2].uuid, [7; 16]);
    assert_eq!(host.inventory.namespaces.used_bytes(), 3 * (512 << 20));
    assert_eq!(host.controller.max_queue_entries(), 256);
}

#[test]
fn admin_queues_are_set_before_the_controller_is_enabled() {
    let mut host = Host::new(Device::new());
    assert_eq!(host.reach(Goal::Identify), Progress::Done);
    let writes = host.device.writes.borrow();
    assert_eq!(writes.iter().position(|write| write.0 == AQA), Some(0));
    assert!(writes.contains(&(AQA, 0x001F_001F)));
    assert!(writes.contains(&(ASQ, device::BASE)));
    drop(writes);
    let written = configurations(&host.device);
    let expected = ControllerConfiguration::new().with_iosqes(6).with_iocqes(4);
    assert_eq!(written, [expected, expected.with_en(true)]);
}

#[test]
fn a_running_controller_is_stopped_first() {
    let mut host = Host::started();
    let before = configurations(&host.device).len();
    assert_eq!(host.reach(Goal::Reset), Progress::Done);
    let written = configurations(&host.device);
    assert!(!written[before].en());
    assert!(written.last().unwrap().en());
    assert_eq!(host.controller.pairs(), 0);
    assert!(host.controller.is_idle());
}

#[test]
fn ready_is_waited_for_as_long_as_the_controller_says() {
    for (to, limit_us) in [(0, SECOND_US / 2), (1, SECOND_US / 2), (6, 3 * SECOND_US)] {
        let mut host = Host::new(Device::new());
        let capabilities = host.device.capabilities.get().with_to(to);
        host.device.capabilities.set(capabilities);
        host.device.ready_us.set(None);
        assert_eq!(failed(host.reach(Goal::Identify)), Failure::NotReady);
        let waited = host.device.now_us.get();
        assert!(
            (limit_us..limit_us + 20_000).contains(&waited),
            "{waited} us for TO {to}"
        );
        // A little less than the limit is in time.
        host.device.ready_us.set(Some(limit_us - 20_000));
        assert_eq!(host.reach(Goal::Identify), Progress::Done);
    }
}

#[test]
fn a_controller_that_stays_ready_is_given_up() {
    let mut host = Host::started();
    host.device.stop_us.set(None);
    assert_eq!(failed(host.reach(Goal::Reset)), Failure::StillReady);
}

#[test]
fn a_fatal_status_is_noticed() {
    let mut host = Host::new(Device::new());
    host.device.ready_us.set(None);
    host.controller
        .begin(Goal::Identify, host.device.now())
        .unwrap();
    while host.device.writes.borrow().len() < 5 {
        let _ = host.step();
    }
    host.device.fatal.set(true);
    assert_eq!(failed(host.settle()), Failure::Fatal);

    let mut host = Host::started();
    host.device.fatal.set(true);
    assert_eq!(failed(host.step()), Failure::Fatal);
    // A reset gets it out of that.
    assert_eq!(host.reach(Goal::Reset), Progress::Done);
}

#[test]
fn a_controller_that_is_silent_for_a_while_is_not_taken_for_gone() {
    let silences_us = [
        (Goal::Identify, 900_000),
        (Goal::Reset, 900_000),
        (Goal::Disable, 900_000),
    ];
    for (goal, us) in silences_us {
        let mut host = Host::started();
        host.controller.begin(goal, host.device.now()).unwrap();
        host.device.removed.set(true);
        let until = host.device.now_us.get() + us;
        while host.device.now_us.get() < until {
            let Progress::Again { after_us } = host.step() else {
                panic!("{goal:?}: it was given up");
            };
            let now_us = host.device.now_us.get();
            host.device.now_us.set(now_us + u64::from(after_us.max(1)));
        }
        host.device.removed.set(false);
        assert_eq!(host.settle(), Progress::Done, "{goal:?}");
    }
}

#[test]
fn a_removed_controller_is_noticed_in_every_state() {
    let mut steps = 0;
    loop {
        let mut host = Host::new(Device::new());
        host.controller
            .begin(Goal::Identify, host.device.now())
            .unwrap();
        let mut done = false;
        for _ in 0..steps {
            if let Progress::Again { after_us } = host.step() {
                host.device
                    .now_us
                    .set(host.device.now_us.get() + u64::from(after_us));
            } else {
                done = true;
            }
        }
        host.device.removed.set(true);
        let waits = matches!(host.step(), Progress::Again { .. });
        assert!(waits, "after {steps} steps: one read decides nothing");
        host.controller.announce_removal();
        assert!(!host.controller.confirm_removal(&host.device));
        assert_eq!(
            failed(host.settle()),
            Failure::Removed,
            "after {steps} steps"
        );
        assert!(host.controller.confirm_removal(&host.device));
        if done {
            break;
        }
        steps += 1;
    }
    assert!(steps > 10);
}

#[test]
fn controllers_that_cannot_be_used_are_told_apart() {
    let unsupported = |change: fn(&Device)| {
        let mut host = Host::new(Device::new());
        change(&host.device);
        failed(host.reach(Goal::Identify))
    };
    let page_size = unsupported(|device| {
        device
            .capabilities
            .set(device.capabilities.get().with_mpsmin(1));
    });
    assert_eq!(page_size, Failure::Unsupported(Unsupported::PageSize));
    let command_set = unsupported(|device| {
        device
            .capabilities
            .set(device.capabilities.get().with_css_nvm(false));
    });
    assert_eq!(command_set, Failure::Unsupported(Unsupported::CommandSet));
    let entry_sizes = unsupported(|device| {
        device.answer(|_| {
            let mut data = device::controller();
            data.sqes.set_required(7);
            Answer::Data(data.as_bytes().to_vec())
        });
    });
    assert_eq!(entry_sizes, Failure::Unsupported(Unsupported::EntrySizes));
}

#[test]
fn a_controller_is_not_refused_for_what_one_read_says() {
    // CAP is read at the beginning, and again once CC is set.
    for read in 0..2 {
        let mut host = Host::new(Device::new());
        host.device.odd_capabilities.set(Some((read, 0)));
        assert_eq!(host.reach(Goal::Identify), Progress::Done, "{read}");
        assert_eq!(
            host.controller.capabilities(),
            host.device.capabilities.get()
        );
    }
}

#[test]
fn namespaces_that_cannot_be_presented_are_reported() {
    let mut host = Host::new(Device::new());
    host.device.answer(|command| match command.cdw10 {
        0 if command.nsid == 2 => {
            let mut data = device::namespace();
            data.lbaf[0] = LbaFormat::new().with_lbads(9).with_ms(8);
            Answer::Data(data.as_bytes().to_vec())
        }
        _ => identify(command, &[1, 2]),
    });
    assert_eq!(host.reach(Goal::Identify), Progress::Done);
    let usability: Vec<_> = host
        .namespaces()
        .iter()
        .map(|namespace| namespace.usability)
        .collect();
    assert_eq!(usability, [Usability::Usable, Usability::Metadata]);
}

#[test]
fn more_namespaces_than_there_is_room_for() {
    let mut host = Host::new(Device::new());
    let all: Vec<u32> = (1..=100).collect();
    host.device.answer(move |command| identify(command, &all));
    assert_eq!(host.reach(Goal::Identify), Progress::Done);
    assert_eq!(host.namespaces().len(), 64);
    assert!(host.inventory.namespaces.more());
}

#[test]
fn an_endless_or_disordered_namespace_list_ends() {
    // Every namespace of the list turns out to be inactive.
    let mut host = Host::new(Device::new());
    host.device.answer(|command| match command.cdw10 {
        2 => Answer::Data((command.nsid + 1).to_le_bytes().to_vec()),
        0 => Answer::Data(vec![0; 4096]),
        _ => identify(command, &[]),
    });
    assert_eq!(host.reach(Goal::Identify), Progress::Done);
    let [namespace] = host.namespaces() else {
        panic!("one is listed");
    };
    assert_eq!(namespace.usability, Usability::Impossible);

    let mut host = Host::new(Device::new());
    host.device.answer(|command| match command.cdw10 {
        2 => Answer::Data(
            [2u32, 1]
                .iter()
                .flat_map(|nsid| nsid.to_le_bytes())
                .collect(),
        ),
        _ => identify(command, &[2]),
    });
    // Then there is no list, and every identifier up to NN is looked at.
    assert_eq!(host.reach(Goal::Identify), Progress::Done);
    assert_eq!(host.namespaces().len(), 1);
}

#[test]
fn old_controllers_are_asked_namespace_by_namespace() {
    let mut host = Host::new(Device::new());
    host.device.version.set(Version::new().with_mjr(1));
    host.device.answer(|command| match command.cdw10 {
        0 | 1 => identify(command, &[2, 4]),
        _ => Answer::Fail(Status::INVALID_FIELD),
    });
    assert_eq!(host.reach(Goal::Identify), Progress::Done);
    let nsids: Vec<u32> = host
        .namespaces()
        .iter()
        .map(|namespace| namespace.nsid)
        .collect();
    assert_eq!(nsids, [2, 4]);
    assert_eq!(host.namespaces()[0].eui64, [7; 8]);
    // Identify Controller, and one for each of NN.
    assert_eq!(host.device.commands.borrow().len(), 9);
}

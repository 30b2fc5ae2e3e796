//! A controller that does whatever it likes: nothing panics, every goal ends.

mod device;

use device::{Answer, Host, well_behaved};
use nvme::lifecycle::{Goal, Progress, Shutdown};
use nvme_spec::completion::Completion;
use nvme_spec::status::Status;
use proptest::prelude::*;

/// One thing that a hostile controller does, or its driver.
#[derive(Clone, Debug)]
enum Hostility {
    Post {
        dw0: u32,
        sq_head: u16,
        sq_id: u16,
        cid: u16,
        status: u16,
    },
    Complete {
        nth: usize,
        status: u16,
    },
    Begin(u8),
    Steps(u8),
    Remove(bool),
    Fatal,
    Overwrite {
        offset: u16,
        bytes: Vec<u8>,
    },
}

fn hostility() -> impl Strategy<Value = Hostility> {
    prop_oneof![
        (any::<u32>(), 0u16..40, 0u16..3, any::<u16>(), any::<u16>()).prop_map(
            |(dw0, sq_head, sq_id, cid, status)| Hostility::Post {
                dw0,
                sq_head,
                sq_id,
                cid,
                status
            }
        ),
        (any::<usize>(), prop_oneof![Just(0), any::<u16>()])
            .prop_map(|(nth, status)| Hostility::Complete { nth, status }),
        any::<u8>().prop_map(Hostility::Begin),
        any::<u8>().prop_map(Hostility::Steps),
        any::<bool>().prop_map(Hostility::Remove),
        Just(Hostility::Fatal),
        (any::<u16>(), prop::collection::vec(any::<u8>(), 1..64))
            .prop_map(|(offset, bytes)| Hostility::Overwrite { offset, bytes }),
    ]
}

fn goal(choice: u8) -> Goal {
    match choice % 7 {
        0 => Goal::Identify,
        1 => Goal::Reset,
        2 => Goal::Start {
            pairs: u16::from(choice / 7),
        },
        3 => Goal::DisableHmb,
        4 => Goal::Disable,
        5 => Goal::FindNamespaces,
        _ => Goal::Shutdown(if choice > 127 {
            Shutdown::Abrupt
        } else {
            Shutdown::Normal
        }),
    }
}

impl Host {
    fn suffer(&mut self, what: Hostility) {
        match what {
            Hostility::Post {
                dw0,
                sq_head,
                sq_id,
                cid,
                status,
            } => {
                let status = status.into();
                self.device.post(Completion {
                    dw0,
                    dw1: 0,
                    sq_head,
                    sq_id,
                    cid,
                    status,
                });
            }
            Hostility::Complete { nth, status } => {
                let commands = self.device.commands.borrow();
                let cid = commands
                    .get(nth % commands.len().max(1))
                    .map(|command| command.cdw0.cid());
                drop(commands);
                self.device
                    .complete(cid.unwrap_or(0), 0, Status(status & 0x7FF));
            }
            Hostility::Begin(choice) => {
                let _ = self.controller.begin(goal(choice), self.device.now());
            }
            Hostility::Steps(count) => {
                for _ in 0..count {
                    if let Progress::Again { after_us } = self.step() {
                        self.device
                            .now_us
                            .set(self.device.now_us.get() + u64::from(after_us));
                    }
                }
            }
            Hostility::Remove(removed) => self.device.removed.set(removed),
            Hostility::Fatal => self.device.fatal.set(true),
            Hostility::Overwrite { offset, bytes } => {
                let offset = usize::from(offset);
                nvme::DmaMemory::write(&self.device.memory, offset, &bytes);
            }
        }
        while self.controller.take_event().is_some() {}
    }
}

proptest! {
    /// Whatever the controller posts, answers and writes: nothing panics, every goal ends, and an honest controller can be
    /// brought up afterwards.
    #[test]
    fn a_hostile_controller_is_survived(what in prop::collection::vec(hostility(), 1..60), mute in any::<bool>()) {
        let mut host = Host::started();
        if mute {
            host.device.answer(|_| Answer::Never);
        }
        for what in what {
            host.suffer(what);
        }
        let _ = host.settle();
        host.device.removed.set(false);
        host.device.fatal.set(false);
        host.device.answer(well_behaved);
        prop_assert_eq!(host.reach(Goal::Identify), Progress::Done);
        prop_assert_eq!(host.reach(Goal::Start { pairs: 1 }), Progress::Done);
        prop_assert_eq!(host.namespaces().len(), 1);
    }
}

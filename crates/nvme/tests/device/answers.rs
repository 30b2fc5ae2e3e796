//! What a plain controller answers.

use nvme_spec::command::{AdminOpcode, Command};
use nvme_spec::identify::{Cns, IdentifyController, IdentifyNamespace, LbaFormat, QueueEntrySize};
use nvme_spec::status::Status;
use nvme_spec::text::Ascii;
use zerocopy::{FromZeros, IntoBytes};

use super::Answer;
use super::memory::PAGE;

/// Answers as a plain controller with one namespace does.
pub fn well_behaved(command: &Command) -> Answer {
    match AdminOpcode(command.cdw0.opcode()) {
        AdminOpcode::IDENTIFY => identify(command, &[1]),
        AdminOpcode::ASYNC_EVENT_REQUEST => Answer::Never,
        AdminOpcode::SET_FEATURES if command.cdw10 == 0x07 => Answer::Success(0x0007_0003),
        _ => Answer::Success(0),
    }
}

/// Answers Identify with [`controller`] and, for each of `active`, [`namespace`].
pub fn identify(command: &Command, active: &[u32]) -> Answer {
    match Cns(command.cdw10 as u8) {
        Cns::CONTROLLER => Answer::Data(controller().as_bytes().to_vec()),
        Cns::ACTIVE_NAMESPACES => {
            let above = active.iter().filter(|&&nsid| nsid > command.nsid);
            let mut data: Vec<u8> = above.flat_map(|nsid| nsid.to_le_bytes()).collect();
            data.resize(PAGE, 0);
            Answer::Data(data)
        }
        Cns::NAMESPACE if active.contains(&command.nsid) => {
            Answer::Data(namespace().as_bytes().to_vec())
        }
        Cns::NAMESPACE => Answer::Data(vec![0; PAGE]),
        Cns::NAMESPACE_DESCRIPTORS => {
            let mut data = vec![3, 16, 0, 0];
            data.extend([command.nsid as u8; 16]);
            data.resize(PAGE, 0);
            Answer::Data(data)
        }
        _ => Answer::Fail(Status::INVALID_FIELD),
    }
}

/// Identify Controller data.
pub fn controller() -> Box<IdentifyController> {
    let mut data = Box::new(IdentifyController::new_zeroed());
    data.vid = 0x1234;
    data.sn = Ascii::padded("SERIAL");
    data.mn = Ascii::padded("MODEL");
    data.fr = Ascii::padded("1.0");
    data.mdts = 5;
    data.aerl_z = 3;
    data.sqes = QueueEntrySize::new().with_required(6).with_maximum(6);
    data.cqes = QueueEntrySize::new().with_required(4).with_maximum(4);
    data.nn = 8;
    data.vwc.set_present(true);
    data.hmpre = 16384;
    data.hmmin = 4096;
    data.rtd3e_us = 2_000_000;
    data
}

/// Identify Namespace data: 1 GiB of 512-byte blocks, half of them in use.
pub fn namespace() -> Box<IdentifyNamespace> {
    let mut data = Box::new(IdentifyNamespace::new_zeroed());
    data.nsze = 1 << 21;
    data.ncap = 1 << 21;
    data.nuse = 1 << 20;
    data.eui64 = [7; 8];
    data.lbaf[0] = LbaFormat::new().with_lbads(9);
    data
}

//! What a client asks, and what it is answered.

use serde_json::{Value, json};
use zerocopy::IntoBytes;

use rustix::io::Errno;

use super::client_memory::MOST_MAPPINGS;
use super::connection::{MOST_DESCRIPTORS, Message};
use super::device::{Device, REGIONS};
use super::interrupts::KINDS;
use super::message::{
    Command, DeviceInfo, DmaMap, DmaUnmap, InterruptInfo, MOST_DATA_BYTES, ProtocolError,
    RegionAccess, RegionInfo, SetInterrupts, Version, leading, whole,
};

/// The highest minor version that is spoken here.
const MINOR: u16 = 1;

/// What the device is: it can be reset, and it is a PCI device.
const RESETTABLE_PCI: u32 = 3;

/// The state of the talk with one client.
#[derive(Default)]
pub struct Session {
    agreed: bool,
}

/// What a command ended with: the body of the reply, or why it was not obeyed.
type Answer = Result<Vec<u8>, Errno>;

impl Session {
    /// Obeys a message; the whole reply, if one is wanted.
    pub fn obey(
        &mut self,
        message: Message,
        device: &mut Device,
    ) -> Result<Option<Vec<u8>>, ProtocolError> {
        let header = message.header;
        let command = Command::from(header.command);
        let answer = match (command, self.agreed) {
            (Command::Version, true) => return Err(ProtocolError::SecondVersion),
            (Command::Version, false) => {
                self.agreed = true;
                Ok(version(&message.body)?)
            }
            (_, false) => return Err(ProtocolError::NoVersion(command)),
            (_, true) => answer(command, message, device)?,
        };
        Ok(match answer {
            Ok(body) => header.reply(&body),
            Err(why) => header.refusal(why),
        })
    }
}

/// Agrees on a version.
fn version(body: &[u8]) -> Result<Vec<u8>, ProtocolError> {
    let (theirs, capabilities) = leading::<Version>(Command::Version, body)?;
    if theirs.major != 0 {
        return Err(ProtocolError::Version(theirs));
    }
    if !capabilities.is_empty() {
        // None of them matters here: no message of the device brings data or descriptors of its own.
        capabilities
            .split_last()
            .filter(|(last, _)| **last == 0)
            .and_then(|(_, text)| serde_json::from_slice::<Value>(text).ok())
            .ok_or(ProtocolError::Capabilities)?;
    }
    let ours = Version {
        major: 0,
        minor: theirs.minor.min(MINOR),
    };
    let capabilities = json!({ "capabilities": {
        "max_msg_fds": MOST_DESCRIPTORS,
        "max_data_xfer_size": MOST_DATA_BYTES,
        "max_dma_maps": MOST_MAPPINGS,
    } });
    Ok([ours.as_bytes(), capabilities.to_string().as_bytes(), &[0]].concat())
}

fn answer(
    command: Command,
    message: Message,
    device: &mut Device,
) -> Result<Answer, ProtocolError> {
    let Message {
        body,
        mut descriptors,
        ..
    } = message;
    Ok(match command {
        Command::DmaMap if descriptors.len() > 1 => return Err(ProtocolError::Descriptors),
        Command::DmaMap => {
            let map = whole::<DmaMap>(command, &body)?;
            let mapped = device.machine.memory.map(&map, descriptors.pop());
            mapped.map(|()| Vec::new())
        }
        Command::DmaUnmap => {
            let unmap = whole::<DmaUnmap>(command, &body)?;
            let unmapped = device.machine.memory.unmap(&unmap);
            unmapped.map(|()| unmap.as_bytes().to_vec())
        }
        Command::DeviceInfo => {
            whole::<DeviceInfo>(command, &body)?;
            let info = DeviceInfo {
                argsz: size_of::<DeviceInfo>() as u32,
                flags: RESETTABLE_PCI,
                regions: REGIONS,
                interrupts: KINDS,
            };
            Ok(info.as_bytes().to_vec())
        }
        Command::RegionInfo => {
            let RegionInfo { index, .. } = whole(command, &body)?;
            told(device.region(index))
        }
        Command::InterruptInfo => {
            let InterruptInfo { index, .. } = whole(command, &body)?;
            told(device.machine.interrupts.info(index))
        }
        Command::SetInterrupts => {
            let (request, bytes) = leading::<SetInterrupts>(command, &body)?;
            let interrupts = &mut device.machine.interrupts;
            let changed = interrupts.set(&request, bytes, descriptors);
            changed.map(|change| {
                device.interrupts_changed(change);
                Vec::new()
            })
        }
        Command::RegionRead => read(&whole(command, &body)?, device),
        Command::RegionWrite => {
            let (access, data) = leading::<RegionAccess>(command, &body)?;
            if data.len() != access.count as usize {
                return Err(ProtocolError::Body {
                    command,
                    bytes: body.len(),
                });
            }
            let written = device.write(access.region, access.offset, data);
            written.map(|()| access.as_bytes().to_vec())
        }
        Command::Reset => {
            whole::<()>(command, &body)?;
            device.reset();
            Ok(Vec::new())
        }
        Command::Version | Command::Other(_) => Err(Errno::OPNOTSUPP),
    })
}

fn told(info: Option<impl IntoBytes + zerocopy::Immutable>) -> Answer {
    let info = info.ok_or(Errno::INVAL)?;
    Ok(info.as_bytes().to_vec())
}

fn read(access: &RegionAccess, device: &mut Device) -> Answer {
    let bytes = access.count as usize;
    if bytes > MOST_DATA_BYTES {
        return Err(Errno::INVAL);
    }
    let mut data = vec![0; bytes];
    device.read(access.region, access.offset, &mut data)?;
    Ok([access.as_bytes(), &data].concat())
}

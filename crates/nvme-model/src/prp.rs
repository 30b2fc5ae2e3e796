//! Physical Region Pages: where the data of a command lies in host memory (NVMe Base, Physical Region Page Entry and List).

use nvme_spec::command::Command;
use nvme_spec::status::Status;

use crate::bus::{Access, Bus};
use crate::failure::{Failure, Request, ensure};
use crate::rule::Rule;

/// Size of an entry.
const ENTRY_BYTES: u64 = 8;
/// Where PRP1 and PRP2 are in a command.
const PRP1_BYTE: u8 = 24;
const PRP2_BYTE: u8 = 32;

/// A part of the data that lies within one memory page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    /// Its bus address.
    pub(crate) address: u64,
    /// Its length.
    pub(crate) bytes: u64,
}

/// Follows the PRP entries of a command for `bytes` bytes of data.
///
/// Nothing is read that the command does not need: a list ends with the entry of the last page.
pub(crate) fn segments(
    request: Request<'_>,
    bytes: u64,
    page_bytes: u64,
    bus: &mut dyn Bus,
) -> Result<Vec<Segment>, Failure> {
    let command = request.command;
    if command.cdw0.psdt() != 0 {
        return Err(Failure::field(Status::INVALID_FIELD, 1));
    }
    check(command.prp1, 4, PRP1_BYTE, bus)?;
    let first = (page_bytes - command.prp1 % page_bytes).min(bytes);
    let mut segments = vec![Segment {
        address: command.prp1,
        bytes: first,
    }];
    let rest = bytes - first;
    if rest == 0 {
        return Ok(segments);
    }
    if rest <= page_bytes {
        check(command.prp2, page_bytes, PRP2_BYTE, bus)?;
        segments.push(Segment {
            address: command.prp2,
            bytes: rest,
        });
        return Ok(segments);
    }
    check(command.prp2, ENTRY_BYTES, PRP2_BYTE, bus)?;
    follow_list(request, rest, page_bytes, &mut segments, bus)?;
    Ok(segments)
}

/// Where the `bytes` bytes of a command's data lie, for a controller that is not this one: bus address and length of each
/// part. What the PRP entries break is judged; `None` where a controller has to refuse the command.
pub fn data_parts(
    command: &Command,
    queue: u16,
    bytes: u64,
    page_bytes: u64,
    bus: &mut dyn Bus,
) -> Option<Vec<(u64, u64)>> {
    let request = Request { queue, command };
    let segments = segments(request, bytes, page_bytes, bus).ok()?;
    let parts = segments.iter();
    Some(parts.map(|part| (part.address, part.bytes)).collect())
}

/// Follows the list at PRP2 and the lists that it is chained to.
fn follow_list(
    request: Request<'_>,
    mut rest: u64,
    page_bytes: u64,
    segments: &mut Vec<Segment>,
    bus: &mut dyn Bus,
) -> Result<(), Failure> {
    let mut list = request.command.prp2;
    while rest > 0 {
        let room = (page_bytes - list % page_bytes) / ENTRY_BYTES;
        let pages = rest.div_ceil(page_bytes);
        let mut entries = read_list(request, list, pages.min(room), bus)?;
        if pages > room {
            list = entries.pop().unwrap_or(0);
            check(list, page_bytes, PRP2_BYTE, bus)?;
        }
        for address in entries {
            check(address, page_bytes, PRP2_BYTE, bus)?;
            let bytes = rest.min(page_bytes);
            segments.push(Segment { address, bytes });
            rest -= bytes;
        }
    }
    Ok(())
}

fn read_list(
    request: Request<'_>,
    at: u64,
    entries: u64,
    bus: &mut dyn Bus,
) -> Result<Vec<u64>, Failure> {
    let mut bytes = vec![0; (entries * ENTRY_BYTES) as usize];
    let why = Access::PrpList {
        queue: request.queue,
        cid: request.cid(),
    };
    bus.read(at, &mut bytes, why)
        .map_err(|_| Failure::transient(Status::DATA_TRANSFER_ERROR))?;
    let (entries, _) = bytes.as_chunks();
    Ok(entries
        .iter()
        .map(|entry| u64::from_le_bytes(*entry))
        .collect())
}

/// An entry is aligned as its place demands.
fn check(entry: u64, alignment: u64, byte: u8, bus: &mut dyn Bus) -> Result<(), Failure> {
    let aligned = entry.is_multiple_of(alignment);
    bus.judge(Rule::PrpOffset, aligned, &|| {
        format!("PRP entry {entry:#x} is not aligned to {alignment} bytes")
    });
    ensure(aligned, Failure::field(Status::PRP_OFFSET_INVALID, byte))
}

/// Reads the data of a command from host memory.
pub(crate) fn gather(
    request: Request<'_>,
    segments: &[Segment],
    bus: &mut dyn Bus,
) -> Result<Vec<u8>, Failure> {
    let bytes: u64 = segments.iter().map(|segment| segment.bytes).sum();
    let mut data = vec![0; bytes as usize];
    let mut rest = data.as_mut_slice();
    for segment in segments {
        let (part, next) = rest.split_at_mut(segment.bytes as usize);
        bus.read(segment.address, part, data_of(request))
            .map_err(|_| Failure::transient(Status::DATA_TRANSFER_ERROR))?;
        rest = next;
    }
    Ok(data)
}

/// Writes the data of a command to host memory. `data` is as long as the segments.
pub(crate) fn scatter(
    request: Request<'_>,
    segments: &[Segment],
    data: &[u8],
    bus: &mut dyn Bus,
) -> Result<(), Failure> {
    let mut rest = data;
    for segment in segments {
        let (part, next) = rest.split_at(segment.bytes as usize);
        bus.write(segment.address, part, data_of(request))
            .map_err(|_| Failure::transient(Status::DATA_TRANSFER_ERROR))?;
        rest = next;
    }
    Ok(())
}

fn data_of(request: Request<'_>) -> Access {
    Access::Data {
        queue: request.queue,
        cid: request.cid(),
    }
}

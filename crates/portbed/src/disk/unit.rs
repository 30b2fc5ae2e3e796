//! A logical unit of the machine as a block transport: every transfer is one SCSI request.

use std::collections::HashMap;
use std::{fmt, io};

use fastrand::Rng;

use super::retry::{RETRIES, pause_ns};
use super::{BlockTransport, TransportError};
use crate::machine::{Completed, Cost, Data, LogicalUnit, Machine, Request, SrbKind, Token};

/// Operation codes (SBC-4).
const READ_10: u8 = 0x28;
const WRITE_10: u8 = 0x2A;
const SYNCHRONIZE_CACHE_10: u8 = 0x35;
const READ_16: u8 = 0x88;
const WRITE_16: u8 = 0x8A;
const SYNCHRONIZE_CACHE_16: u8 = 0x91;

/// Buffers start at offsets in a page that are multiples of this.
const BUFFER_ALIGNMENT: usize = 4;

/// What a request has read, or why it failed.
pub type Outcome = Result<Vec<u8>, TransportError>;

/// The form of requests.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Form {
    /// It changes from request to request.
    #[default]
    Varied,
    /// All alike, as those that costs are compared by: a 10-byte CDB in a `STORAGE_REQUEST_BLOCK`, and a buffer that starts a page
    /// and of which no page follows another.
    Uniform,
}

/// Sends requests to a logical unit. Unless they are to be alike, the form of the command descriptor block, the request block that carries it and the
/// alignment of the buffer change from request to request, as a seed decides.
pub struct Unit<'m> {
    machine: &'m mut Machine,
    logical: &'m LogicalUnit,
    rng: Rng,
    form: Form,
    begun: HashMap<Token, Begun>,
    retried: u64,
}

/// A request that was sent: what its caller calls it, what it is, and how often it was sent again.
struct Begun {
    token: Token,
    command: Command,
    data: Data,
    retries: u32,
}

impl<'m> Unit<'m> {
    /// Requests to `logical` of the machine.
    pub fn new(machine: &'m mut Machine, logical: &'m LogicalUnit, seed: u64) -> Self {
        Self {
            machine,
            logical,
            rng: Rng::with_seed(seed),
            form: Form::Varied,
            begun: HashMap::new(),
            retried: 0,
        }
    }

    /// What form requests have from now on.
    pub fn set_form(&mut self, form: Form) {
        self.form = form;
    }

    /// How many requests were sent again.
    #[must_use]
    pub fn retried(&self) -> u64 {
        self.retried
    }

    /// Sends a read and does not wait for it.
    pub fn begin_read(&mut self, lba: u64, bytes: usize) -> Result<Token, TransportError> {
        self.begin(
            Command {
                kind: Kind::Read,
                lba,
                blocks: self.blocks(bytes),
            },
            Data::In(bytes),
        )
    }

    /// Sends a write and does not wait for it.
    pub fn begin_write(&mut self, lba: u64, data: &[u8]) -> Result<Token, TransportError> {
        self.begin(
            Command {
                kind: Kind::Write,
                lba,
                blocks: self.blocks(data.len()),
            },
            Data::Out(data.into()),
        )
    }

    /// Waits for any request that was begun, and gives what it read; nothing when there is none.
    pub fn wait(&mut self) -> io::Result<Option<(Token, Outcome)>> {
        while let Some((token, completed)) = self.machine.wait_any().map_err(io::Error::other)? {
            let Some(begun) = self.begun.remove(&token) else {
                continue;
            };
            match pause_ns(&completed) {
                Some(ns) if begun.retries < RETRIES => {
                    self.rest(ns)?;
                    self.begin_again(begun)?;
                }
                _ => return Ok(Some((begun.token, begun.command.outcome(completed)))),
            }
        }
        Ok(None)
    }

    /// What all requests have cost so far.
    #[must_use]
    pub fn cost(&self) -> Cost {
        self.machine.cost()
    }

    /// Begins or ends the count of instructions.
    pub fn count_instructions(&self, on: bool) {
        self.machine.count_instructions(on);
    }

    /// Virtual time, in nanoseconds.
    #[must_use]
    pub fn now_ns(&self) -> u64 {
        self.machine.now_ns()
    }

    fn begin(&mut self, command: Command, data: Data) -> Result<Token, TransportError> {
        let token = self.submit(&command, data.clone())?;
        let begun = Begun {
            token,
            command,
            data,
            retries: 0,
        };
        self.begun.insert(token, begun);
        Ok(token)
    }

    /// Sends a request again that its caller still knows by its first token.
    fn begin_again(&mut self, begun: Begun) -> Result<(), TransportError> {
        let token = self.submit(&begun.command, begun.data.clone())?;
        let begun = Begun {
            retries: begun.retries + 1,
            ..begun
        };
        self.begun.insert(token, begun);
        self.retried += 1;
        Ok(())
    }

    fn submit(&mut self, command: &Command, data: Data) -> Result<Token, TransportError> {
        let request = self.request(command, data);
        self.machine
            .submit(request)
            .map_err(|error| command.failed(error.to_string()))
    }

    fn send(&mut self, command: &Command, data: &Data) -> Outcome {
        let mut retries = 0;
        loop {
            let request = self.request(command, data.clone());
            let completed = self
                .machine
                .execute(request)
                .map_err(|error| command.failed(error.to_string()))?;
            match pause_ns(&completed) {
                Some(ns) if retries < RETRIES => {
                    let rested = self.rest(ns);
                    rested.map_err(|error| command.failed(error.to_string()))?;
                    retries += 1;
                    self.retried += 1;
                }
                _ => return command.outcome(completed),
            }
        }
    }

    /// Lets time pass before a request is sent again.
    fn rest(&mut self, ns: u64) -> io::Result<()> {
        self.machine.pass(ns).map_err(io::Error::other)
    }

    fn request(&mut self, command: &Command, data: Data) -> Request {
        if self.form == Form::Uniform {
            return Request {
                unit: self.logical.address,
                cdb: command.cdb(true),
                data,
                pages_apart: true,
                ..Request::default()
            };
        }
        Request {
            unit: self.logical.address,
            cdb: command.cdb(self.rng.bool()),
            data,
            buffer_offset: self.buffer_offset(),
            srb: if self.rng.bool() {
                SrbKind::Storage
            } else {
                SrbKind::Scsi
            },
            ..Request::default()
        }
    }

    /// Half of the buffers start at a page, as those of a cache manager do; the rest anywhere.
    fn buffer_offset(&mut self) -> usize {
        if self.rng.bool() {
            0
        } else {
            self.rng.usize(..4096 / BUFFER_ALIGNMENT) * BUFFER_ALIGNMENT
        }
    }

    fn blocks(&self, bytes: usize) -> u32 {
        (bytes / self.logical.block_bytes as usize) as u32
    }
}

impl BlockTransport for Unit<'_> {
    fn max_transfer_bytes(&self) -> usize {
        let block = self.logical.block_bytes as usize;
        (self.logical.max_transfer_bytes as usize / block).max(1) * block
    }

    fn read(&mut self, lba: u64, into: &mut [u8]) -> Result<(), TransportError> {
        let command = Command {
            kind: Kind::Read,
            lba,
            blocks: self.blocks(into.len()),
        };
        let data = self.send(&command, &Data::In(into.len()))?;
        if data.len() != into.len() {
            return Err(command.failed(format!(
                "{} of {} bytes were transferred",
                data.len(),
                into.len()
            )));
        }
        into.copy_from_slice(&data);
        Ok(())
    }

    fn write(&mut self, lba: u64, from: &[u8]) -> Result<(), TransportError> {
        let command = Command {
            kind: Kind::Write,
            lba,
            blocks: self.blocks(from.len()),
        };
        self.send(&command, &Data::Out(from.to_vec())).map(drop)
    }

    fn flush(&mut self) -> Result<(), TransportError> {
        self.send(
            &Command {
                kind: Kind::Flush,
                lba: 0,
                blocks: 0,
            },
            &Data::None,
        )
        .map(drop)
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    Read,
    Write,
    Flush,
}

/// What is asked for, before its form is chosen.
struct Command {
    kind: Kind,
    lba: u64,
    blocks: u32,
}

impl Command {
    /// The command descriptor block: 10 bytes if that is wanted and enough, else 16.
    fn cdb(&self, short: bool) -> Vec<u8> {
        match (u32::try_from(self.lba), u16::try_from(self.blocks)) {
            (Ok(lba), Ok(blocks)) if short => self.short(lba, blocks).into(),
            _ => self.long().into(),
        }
    }

    /// What a request has given, or why not.
    fn outcome(&self, completed: Completed) -> Outcome {
        if completed.succeeded() {
            return Ok(completed.data);
        }
        let sense = completed.sense.as_deref().and_then(sense_code);
        let sense = sense.map_or("no sense data".to_owned(), |(key, asc, ascq)| {
            format!("sense {key:X}h/{asc:02X}h/{ascq:02X}h")
        });
        let (srb, scsi) = (completed.srb_status, completed.scsi_status);
        Err(self.failed(format!(
            "SRB status {srb:02X}h, SCSI status {scsi:02X}h, {sense}"
        )))
    }

    fn failed(&self, why: String) -> TransportError {
        TransportError {
            request: self.to_string(),
            why,
        }
    }

    fn short(&self, lba: u32, blocks: u16) -> [u8; 10] {
        let mut cdb = [0; 10];
        cdb[0] = match self.kind {
            Kind::Read => READ_10,
            Kind::Write => WRITE_10,
            Kind::Flush => SYNCHRONIZE_CACHE_10,
        };
        cdb[2..6].copy_from_slice(&lba.to_be_bytes());
        cdb[7..9].copy_from_slice(&blocks.to_be_bytes());
        cdb
    }

    fn long(&self) -> [u8; 16] {
        let mut cdb = [0; 16];
        cdb[0] = match self.kind {
            Kind::Read => READ_16,
            Kind::Write => WRITE_16,
            Kind::Flush => SYNCHRONIZE_CACHE_16,
        };
        cdb[2..10].copy_from_slice(&self.lba.to_be_bytes());
        cdb[10..14].copy_from_slice(&self.blocks.to_be_bytes());
        cdb
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, lba, blocks } = self;
        match kind {
            Kind::Read => write!(f, "READ of {blocks} blocks at {lba}"),
            Kind::Write => write!(f, "WRITE of {blocks} blocks at {lba}"),
            Kind::Flush => f.write_str("SYNCHRONIZE CACHE"),
        }
    }
}

/// Sense key, additional sense code and its qualifier, of fixed or descriptor sense data (SPC-5, 4.4).
pub(super) fn sense_code(sense: &[u8]) -> Option<(u8, u8, u8)> {
    let (key, code, qualifier) = match sense.first()? & 0x7F {
        0x70 | 0x71 => (2, 12, 13),
        0x72 | 0x73 => (1, 2, 3),
        _ => return None,
    };
    Some((
        sense.get(key)? & 0x0F,
        *sense.get(code)?,
        *sense.get(qualifier)?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_takes_the_short_form_only_where_it_fits() {
        let read = |lba, blocks, short| {
            Command {
                kind: Kind::Read,
                lba,
                blocks,
            }
            .cdb(short)
        };
        assert_eq!(
            read(0x0102_0304, 0x0506, true),
            [0x28, 0, 1, 2, 3, 4, 0, 5, 6, 0]
        );
        assert_eq!(
            read(1, 2, false),
            [0x88, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0]
        );
        assert_eq!(
            read(1 << 32, 2, true),
            [0x88, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0]
        );
        assert_eq!(read(0, 0x1_0000, true).len(), 16);
        assert_eq!(
            Command {
                kind: Kind::Write,
                lba: 0,
                blocks: 1
            }
            .cdb(true)[0],
            0x2A
        );
        assert_eq!(
            Command {
                kind: Kind::Write,
                lba: 0,
                blocks: 1
            }
            .cdb(false)[0],
            0x8A
        );
        assert_eq!(
            Command {
                kind: Kind::Flush,
                lba: 0,
                blocks: 0
            }
            .cdb(false)[0],
            0x91
        );
    }

    #[test]
    fn sense_data_are_read_in_both_formats() {
        let mut fixed = [0; 18];
        (fixed[0], fixed[2], fixed[12], fixed[13]) = (0x70, 5, 0x20, 1);
        assert_eq!(sense_code(&fixed), Some((5, 0x20, 1)));
        assert_eq!(
            sense_code(&[0x72, 3, 0x11, 0, 0, 0, 0, 0]),
            Some((3, 0x11, 0))
        );
        assert_eq!(sense_code(&[0x70, 0]), None);
        assert_eq!(sense_code(&[]), None);
    }
}

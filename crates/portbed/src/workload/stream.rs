//! A stream of equal requests, several of them outstanding at a time, and how fast it went.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::time::{Duration, Instant};

use fastrand::Rng;

use crate::disk::{BlockTransport, Disk, Form, Outcome, Unit};
use crate::machine::{Cost, Instructions, Token};

/// Requests go to the first bytes of a disk, this many.
const SPAN_BYTES: u64 = 64 << 20;

/// What is asked for, in which order.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Pattern {
    /// Reads.
    pub reads: bool,
    /// Writes. With reads, every other request, at random.
    pub writes: bool,
    /// Anywhere, instead of one after the other.
    pub random: bool,
}

/// A stream of requests.
#[derive(Clone, Copy, Debug)]
pub struct Stream {
    /// What is asked for.
    pub pattern: Pattern,
    /// Bytes in a request.
    pub bytes: u32,
    /// Requests outstanding at a time.
    pub depth: u32,
    /// Requests in all.
    pub requests: u64,
    /// What form they have.
    pub form: Form,
    /// How many of them, the first, are sent while instructions are counted.
    pub counted: u64,
    /// So many of the functions that cost the most are told.
    pub hottest: usize,
}

/// How fast a stream went.
#[derive(Clone, Copy, Debug)]
pub struct Throughput {
    stream: Stream,
    real: Duration,
    virtual_ns: u64,
    cost: Cost,
}

/// A request on its way.
struct Outstanding {
    slot: u64,
    written: Option<Vec<u8>>,
}

impl Stream {
    /// Sends the requests and verifies their data. What is going to be read is written first where `fill` allows.
    pub fn run(
        &self,
        disk: &mut Disk,
        unit: &mut Unit<'_>,
        fill: bool,
        seed: u64,
    ) -> io::Result<Throughput> {
        let geometry = disk.geometry();
        let most = unit.max_transfer_bytes();
        if self.bytes as usize > most {
            return Err(io::Error::other(format!(
                "the driver takes transfers of at most {most} bytes"
            )));
        }
        let mut rng = Rng::with_seed(seed);
        let slots = geometry.bytes().min(SPAN_BYTES) / u64::from(self.bytes);
        unit.set_form(self.form);
        if fill && self.pattern.reads {
            self.fill(slots, disk, unit, &mut rng)?;
        }
        let (before, started, started_ns) = (unit.cost(), Instant::now(), unit.now_ns());
        let counted = self.counted.min(self.requests);
        unit.count_instructions(counted > 0);
        let sent = self.send(counted, slots, disk, unit, &mut rng);
        unit.count_instructions(false);
        sent?;
        self.send(self.requests - counted, slots, disk, unit, &mut rng)?;
        let (real, virtual_ns) = (started.elapsed(), unit.now_ns() - started_ns);
        Ok(Throughput {
            stream: *self,
            real,
            virtual_ns,
            cost: unit.cost() - before,
        })
    }

    fn fill(
        &self,
        slots: u64,
        disk: &mut Disk,
        unit: &mut Unit<'_>,
        rng: &mut Rng,
    ) -> io::Result<()> {
        let mut data = vec![0; self.bytes as usize];
        for slot in 0..slots {
            rng.fill(&mut data);
            disk.write(unit, self.lba(disk, slot), &data)?;
        }
        Ok(())
    }

    /// Sends so many requests and waits for all of them.
    fn send(
        &self,
        requests: u64,
        slots: u64,
        disk: &mut Disk,
        unit: &mut Unit<'_>,
        rng: &mut Rng,
    ) -> io::Result<()> {
        let depth = u64::from(self.depth).min(slots) as usize;
        let mut outstanding: HashMap<Token, Outstanding> = HashMap::new();
        let mut failure = None;
        let mut sent = 0;
        let mut next = 0;
        // What is outstanding when a request fails still changes the disk: nothing more is sent, and the rest awaited.
        while failure.is_none() && sent < requests || !outstanding.is_empty() {
            while failure.is_none() && outstanding.len() < depth && sent < requests {
                // Two requests to the same blocks at the same time have no defined order.
                let busy = |slot| outstanding.values().any(|request| request.slot == slot);
                while busy(next) {
                    next = self.after(next, slots, rng);
                }
                match self.begin(next, disk, unit, rng) {
                    Ok((token, request)) => _ = outstanding.insert(token, request),
                    Err(error) => failure = Some(error),
                }
                sent += 1;
                next = self.after(next, slots, rng);
            }
            if outstanding.is_empty() {
                break;
            }
            let waited = unit.wait().and_then(|ended| {
                ended.ok_or_else(|| {
                    io::Error::other(format!("{} requests never came back", outstanding.len()))
                })
            });
            let ended = match waited {
                Ok((token, outcome)) => outstanding
                    .remove(&token)
                    .map_or(Ok(()), |request| self.end(&request, outcome, disk)),
                Err(error) => {
                    for (_, request) in outstanding.drain() {
                        self.doubt(&request, disk);
                    }
                    Err(error)
                }
            };
            failure = failure.or(ended.err());
        }
        failure.map_or(Ok(()), Err)
    }

    /// Takes note of how a request has ended.
    fn end(&self, request: &Outstanding, outcome: Outcome, disk: &mut Disk) -> io::Result<()> {
        let lba = self.lba(disk, request.slot);
        match (outcome, &request.written) {
            (Ok(_), Some(data)) => disk.wrote(lba, data),
            (Ok(read), None) => disk.got(lba, &read),
            (Err(error), _) => {
                disk.failed();
                self.doubt(request, disk);
                Err(error.into())
            }
        }
    }

    /// Takes note that it is not known whether a request was carried out.
    fn doubt(&self, request: &Outstanding, disk: &mut Disk) {
        if let Some(data) = &request.written {
            disk.may_have_written(self.lba(disk, request.slot), data);
        }
    }

    fn begin(
        &self,
        slot: u64,
        disk: &mut Disk,
        unit: &mut Unit<'_>,
        rng: &mut Rng,
    ) -> io::Result<(Token, Outstanding)> {
        let lba = self.lba(disk, slot);
        let Pattern { reads, writes, .. } = self.pattern;
        if writes && (!reads || rng.bool()) {
            let mut data = vec![0; self.bytes as usize];
            rng.fill(&mut data);
            let token = unit.begin_write(lba, &data)?;
            return Ok((
                token,
                Outstanding {
                    slot,
                    written: Some(data),
                },
            ));
        }
        Ok((
            unit.begin_read(lba, self.bytes as usize)?,
            Outstanding {
                slot,
                written: None,
            },
        ))
    }

    fn after(&self, slot: u64, slots: u64, rng: &mut Rng) -> u64 {
        if self.pattern.random {
            rng.u64(..slots)
        } else {
            (slot + 1) % slots
        }
    }

    fn lba(&self, disk: &Disk, slot: u64) -> u64 {
        slot * u64::from(self.bytes / disk.geometry().block_bytes)
    }
}

impl Throughput {
    /// What the requests have cost.
    #[must_use]
    pub fn cost(&self) -> Cost {
        self.cost
    }
}

impl fmt::Display for Throughput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Stream {
            requests,
            bytes,
            depth,
            ..
        } = self.stream;
        // Averages and rates for people: the last digits do not matter.
        #[allow(clippy::cast_precision_loss)]
        let (requests_f, each) = (requests as f64, |sum: u64| {
            sum as f64 / self.cost.requests.max(1) as f64
        });
        let rate = |seconds: f64| requests_f / seconds.max(1e-9);
        let real = rate(self.real.as_secs_f64());
        write!(
            f,
            "{requests} requests of {bytes} bytes, depth {depth}: {real:.0} a second here ({:.1} MB/s), {:.0} a second of \
             virtual time; ",
            real * f64::from(bytes) / 1e6,
            rate(Duration::from_nanos(self.virtual_ns).as_secs_f64()),
        )?;
        let Instructions {
            requests: counted,
            build,
            start,
            interrupt,
            dpc,
        } = self.cost.instructions;
        if counted > 0 {
            #[allow(clippy::cast_precision_loss)]
            let each = |sum: u64| sum as f64 / counted as f64;
            write!(
                f,
                "{:.1} instructions (build {:.1}, start {:.1}, interrupt {:.1}, DPC {:.1}), ",
                each(build + start + interrupt + dpc),
                each(build),
                each(start),
                each(interrupt),
                each(dpc),
            )?;
        }
        // Registers that are mapped straight tell of no access, and no request goes without one.
        if self.cost.mmio_writes > 0 {
            write!(
                f,
                "{:.2} register writes, {:.2} register reads, ",
                each(self.cost.mmio_writes),
                each(self.cost.mmio_reads),
            )?;
        }
        write!(
            f,
            "{:.2} port driver calls a request",
            each(self.cost.port_calls)
        )
    }
}

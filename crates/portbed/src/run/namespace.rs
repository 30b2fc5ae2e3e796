//! A namespace in the main job, from the file behind it to the file system on top.

use std::io;

use super::CannotRun;
use super::failure::{Failure, Kind};
use super::storage::{Device, Storage};
use crate::controller::NvmeClient;
use crate::disk::{Disk, Geometry, Shadow, Unit};
use crate::machine::Cost;
use crate::report::Io;
use crate::timeline::Bytes;
use crate::workload::{self, Content, Stream, Tools};

/// Of a device no more than this is read where nothing was written: nothing is known of it, and all that is read is kept.
const DEVICE_BYTES: u64 = 256 << 20;

/// A namespace, and what is known of it.
pub struct Namespace {
    storage: Storage,
    disk: Disk,
    content: Option<Content>,
    verify_bytes: u64,
    seed: u64,
    told: usize,
    failed: bool,
    cost: Option<Cost>,
}

/// What a step has found: what it tells, and what is wrong.
#[derive(Debug, Default)]
pub struct Findings {
    /// For the timeline, a line each.
    pub said: Vec<String>,
    /// What went wrong.
    pub wrong: Vec<Failure>,
}

impl Findings {
    fn add(&mut self, kind: Kind, what: impl Into<String>) {
        let what = what.into();
        self.wrong.push(Failure { kind, what });
    }
}

impl Namespace {
    /// A namespace that holds what is in `storage`. Never written blocks are read up to `verify_bytes`.
    pub fn new(
        storage: Storage,
        block_bytes: u32,
        verify_bytes: u64,
        seed: u64,
    ) -> io::Result<Self> {
        let (shadow, verify_bytes) = match &storage {
            Storage::File(backing) => (backing.shadow(block_bytes)?, verify_bytes),
            Storage::Device(device) => (
                Shadow::unknown(device.namespace.geometry),
                verify_bytes.min(DEVICE_BYTES),
            ),
        };
        let disk = Disk::new(shadow, seed);
        Ok(Self {
            storage,
            disk,
            content: None,
            verify_bytes,
            seed,
            told: 0,
            failed: false,
            cost: None,
        })
    }

    /// The size that the logical unit must have.
    pub fn geometry(&self) -> Geometry {
        self.disk.geometry()
    }

    /// Requests and data so far.
    pub fn io(&self) -> Io {
        self.disk.io()
    }

    /// What the requests of a stream have cost, where there was one.
    pub fn cost(&self) -> Option<Cost> {
        self.cost
    }

    /// A seed that was not used before.
    pub fn next_seed(&mut self) -> u64 {
        self.seed = self
            .seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        self.seed
    }

    /// Whether a request has failed, after which nothing more is asked.
    pub fn has_failed(&self) -> bool {
        self.failed
    }

    /// Judges a step, before which so many requests had failed. One that a request failed in is a failed one, also where the
    /// file system on top went on without it. One that failed although every request succeeded could make no sense of what it
    /// read: where data differ, that is why.
    pub fn judge_step(&mut self, step: io::Result<Findings>, failed_before: u64) -> Findings {
        let Io {
            failed,
            mismatched_bytes,
            ..
        } = self.disk.io();
        let failed = failed - failed_before;
        let misled = failed == 0 && mismatched_bytes > 0;
        let mut found = match step {
            Ok(found) if failed == 0 => return found,
            Ok(mut found) => {
                let what = format!("the file system went on after requests that failed: {failed}");
                found.add(Kind::Request, what);
                found
            }
            Err(error) => {
                let mut found = Findings::default();
                let kind = if misled { Kind::Data } else { Kind::Request };
                found.add(kind, error.to_string());
                found
            }
        };
        self.failed |= !misled;
        found.wrong.extend(self.new_differences());
        found
    }

    /// Partitions, formats and fills a blank disk, and flushes it. One that holds something is left alone.
    pub fn fill(&mut self, unit: &mut Unit<'_>) -> io::Result<Findings> {
        match &self.storage {
            Storage::File(backing) if backing.is_preserved() => {
                return Ok(self.findings(
                    "the image is not blank: it is read, and nothing is written to it".to_owned(),
                ));
            }
            Storage::Device(Device {
                writable: false, ..
            }) => {
                let read = self.disk.verify(unit, self.verify_bytes)?;
                return Ok(self.findings(format!(
                    "nothing is written: {} of the disk read for the first time",
                    Bytes(read)
                )));
            }
            _ => {}
        }
        let seed = self.next_seed();
        let content = workload::fill(&mut self.disk, unit, seed)?;
        let size = Bytes(content.part_bytes.end - content.part_bytes.start);
        let (directories, files) = (content.tree.directories.len(), content.tree.files.len());
        let (fat, bytes) = (content.fat, Bytes(content.tree.bytes()));
        self.content = Some(content);
        let Io {
            requests,
            written_bytes,
            ..
        } = self.disk.io();
        Ok(self.findings(format!(
            "a {fat} volume of {size} made and filled: {directories} directories, {files} files, {bytes}; {} written, \
             {requests} requests, flushed",
            Bytes(written_bytes)
        )))
    }

    /// Reads the partition table, every directory and every file through the driver, with nothing cached.
    pub fn read_back(&mut self, unit: &mut Unit<'_>) -> io::Result<Findings> {
        let Some(content) = &self.content else {
            return Ok(Findings::default());
        };
        let reading = workload::read_back(&mut self.disk, unit, content)?;
        let mut found = self.findings(format!(
            "read back: {} files, {}",
            reading.files,
            Bytes(reading.bytes)
        ));
        for what in reading.wrong {
            found.add(Kind::Data, what);
        }
        Ok(found)
    }

    /// Reads every block through the driver.
    pub fn verify(&mut self, unit: &mut Unit<'_>) -> io::Result<Findings> {
        if let Storage::Device(Device {
            writable: false, ..
        }) = self.storage
        {
            let read = self.disk.verify(unit, 0)?;
            return Ok(self.findings(format!(
                "{} read again through the driver and compared with the first time",
                Bytes(read)
            )));
        }
        let read = self.disk.verify(unit, self.verify_bytes)?;
        let part = if read == self.geometry().bytes() {
            "every block"
        } else {
            "what was written, and a sample of the rest,"
        };
        Ok(self.findings(format!(
            "{part} read through the driver and compared: {}",
            Bytes(read)
        )))
    }

    /// Sends a stream of requests.
    pub fn stream(&mut self, unit: &mut Unit<'_>, stream: &Stream) -> io::Result<Findings> {
        let seed = self.next_seed();
        let throughput = stream.run(&mut self.disk, unit, self.storage.is_writable(), seed)?;
        self.cost = Some(throughput.cost());
        self.disk.flush(unit)?;
        Ok(self.findings(throughput.to_string()))
    }

    /// Reads what is known of the device without the driver, and compares it.
    pub fn check_device(&mut self, client: &mut NvmeClient) -> io::Result<Findings> {
        let Storage::Device(Device { namespace, .. }) = self.storage else {
            return Ok(Findings::default());
        };
        let compared = self
            .disk
            .verify_known(|lba, into| client.read(namespace, lba, into))?;
        Ok(self.findings(format!(
            "from outside: {} read without the driver and compared",
            Bytes(compared)
        )))
    }

    /// Requests were sent again.
    pub fn retried(&mut self, number: u64) {
        self.disk.retried(number);
    }

    /// Compares the file behind the namespace with the shadow copy, and has the volume checked.
    pub fn check_file(&mut self, tools: &Tools) -> Result<Findings, CannotRun> {
        let Storage::File(backing) = &self.storage else {
            return Ok(Findings::default());
        };
        backing.release()?;
        if backing.is_preserved() {
            let mut found = Findings::default();
            if backing.was_disturbed()? {
                found.add(Kind::Data, "the image has changed, and must not have");
            } else {
                let said = "from outside: the image has not changed";
                found.said.push(said.to_owned());
            }
            return Ok(found);
        }
        self.disk.verify_outside(backing)?;
        // After a request that failed a volume is as it may be; what each block holds was compared.
        let content = self.content.as_ref().filter(|_| !self.failed);
        let checked = content.map(|content| workload::check_outside(backing, content, tools));
        let mut found = self.findings(format!(
            "from outside: {} of the disk file compared with the shadow copy",
            Bytes(self.geometry().bytes())
        ));
        if let Some(wrong) = checked.transpose()? {
            if wrong.is_empty() {
                found.said.push(
                    "from outside: fsck.fat, mdir and mcopy find what was written".to_owned(),
                );
            }
            for what in wrong {
                found.add(Kind::Data, what);
            }
        }
        Ok(found)
    }

    /// What to say, with the differences that were not told yet.
    fn findings(&mut self, said: String) -> Findings {
        Findings {
            said: vec![said],
            wrong: self.new_differences(),
        }
    }

    /// The differences that were not told yet.
    fn new_differences(&mut self) -> Vec<Failure> {
        let new = self.disk.differences().get(self.told..).unwrap_or_default();
        let wrong = new.iter().map(|difference| Failure {
            kind: Kind::Data,
            what: difference.to_string(),
        });
        let wrong = wrong.collect();
        self.told = self.disk.differences().len();
        wrong
    }
}

//! The I/O commands of the NVM Command Set.

use nvme_spec::command::{
    DATASET_RANGES_MAX, DatasetManagementCdw10, DatasetManagementCdw11, DatasetRange, NSID_ALL,
    NvmOpcode, ReadWriteCdw12,
};
use nvme_spec::status::Status;
use zerocopy::FromBytes;

use crate::bus::Bus;
use crate::command::{self, NVM};
use crate::controller::Controller;
use crate::failure::{Failure, Outcome, Request, Verdict, ensure};
use crate::namespace::Namespace;
use crate::profile::{Dataset, Ranges, Verify};
use crate::prp;
use crate::rule::Rule;

/// Where NSID and dwords 10 and 12 are in a command.
const NSID_BYTE: u8 = 4;
const CDW10_BYTE: u8 = 40;
const CDW12_BYTE: u8 = 48;

/// Blocks that a command names.
#[derive(Clone, Copy)]
struct Blocks {
    lba: u64,
    count: u64,
}

impl Blocks {
    fn of(request: Request<'_>) -> Self {
        let command = request.command;
        Self {
            lba: u64::from(command.cdw11) << 32 | u64::from(command.cdw10),
            count: u64::from(ReadWriteCdw12::from_bits(command.cdw12).nlb_z()) + 1,
        }
    }
}

impl Controller {
    /// Carries out an I/O command.
    pub(crate) fn nvm(&mut self, request: Request<'_>, bus: &mut dyn Bus) -> Verdict {
        if command::look_up(NVM, request, bus).is_none() {
            return Err(Failure::field(Status::INVALID_OPCODE, 0));
        }
        if request.command.cdw0.fuse() != 0 {
            return Err(Failure::field(Status::INVALID_FIELD, 1));
        }
        self.hmb.work(bus);
        match NvmOpcode(request.command.cdw0.opcode()) {
            NvmOpcode::FLUSH => self.flush(request, bus),
            NvmOpcode::WRITE => self.write_blocks(request, bus),
            NvmOpcode::READ => self.read_blocks(request, bus),
            NvmOpcode::COMPARE => self.compare(request, bus),
            NvmOpcode::VERIFY => self.verify(request, bus),
            NvmOpcode::WRITE_ZEROES => self.write_zeroes(request, bus),
            _ => self.manage_dataset(request, bus),
        }
    }

    /// The namespace of the command.
    fn namespace(
        &mut self,
        request: Request<'_>,
        bus: &mut dyn Bus,
    ) -> Result<&mut Namespace, Failure> {
        let nsid = request.command.nsid;
        let now_ns = self.now_ns;
        let found = self
            .namespaces
            .iter_mut()
            .find(|namespace| namespace.nsid == nsid);
        let excused = found
            .as_ref()
            .is_some_and(|namespace| namespace.surprise.excuses(now_ns));
        let found = found.filter(|namespace| namespace.active);
        if found.is_none() && excused {
            return Err(Failure::field(
                Status::INVALID_NAMESPACE_OR_FORMAT,
                NSID_BYTE,
            ));
        }
        judge_namespace(nsid, found.is_some(), bus)?;
        found.ok_or_else(|| Status::INVALID_NAMESPACE_OR_FORMAT.into())
    }

    /// The blocks of the command, which exist, and their size in bytes.
    fn blocks(
        &mut self,
        request: Request<'_>,
        bus: &mut dyn Bus,
    ) -> Result<(Blocks, u64), Failure> {
        let now_ns = self.now_ns;
        let namespace = self.namespace(request, bus)?;
        let blocks = Blocks::of(request);
        check_range(namespace, blocks, now_ns, bus)?;
        Ok((blocks, blocks.count * u64::from(namespace.block_bytes)))
    }

    /// Where the data of the command is, after the checks that come before any transfer.
    fn data(
        &mut self,
        request: Request<'_>,
        bytes: u64,
        bus: &mut dyn Bus,
    ) -> Result<Vec<prp::Segment>, Failure> {
        self.check_transfer(bytes, CDW12_BYTE, bus)?;
        prp::segments(request, bytes, self.registers.page_bytes(), bus)
    }

    /// A transfer is not larger than MDTS.
    pub(crate) fn check_transfer(
        &self,
        bytes: u64,
        byte: u8,
        bus: &mut dyn Bus,
    ) -> Result<(), Failure> {
        let most = self.profile.mdts_bytes;
        let fits = most == 0 || bytes <= most;
        bus.judge(Rule::TransferLimit, fits, &|| {
            format!("{bytes} bytes, the limit is {most}")
        });
        ensure(fits, Failure::field(Status::INVALID_FIELD, byte))
    }

    fn read_blocks(&mut self, request: Request<'_>, bus: &mut dyn Bus) -> Verdict {
        let (blocks, bytes) = self.blocks(request, bus)?;
        let segments = self.data(request, bytes, bus)?;
        let data = self
            .namespace(request, bus)?
            .read(blocks.lba, blocks.count)
            .map_err(|_| Failure::from(Status::UNRECOVERED_READ_ERROR).at_block(blocks.lba))?;
        prp::scatter(request, &segments, &data, bus)?;
        self.logs.commands[0] += 1;
        self.logs.units[0] += bytes.div_ceil(512);
        Ok(Outcome::Done(0))
    }

    fn write_blocks(&mut self, request: Request<'_>, bus: &mut dyn Bus) -> Verdict {
        let (blocks, bytes) = self.blocks(request, bus)?;
        self.check_writable(request, bus)?;
        let segments = self.data(request, bytes, bus)?;
        let data = prp::gather(request, &segments, bus)?;
        let through = self.writes_through(request);
        self.namespace(request, bus)?
            .write(blocks.lba, &data)
            .map_err(|_| write_fault(blocks.lba))?;
        self.logs.commands[1] += 1;
        self.logs.units[1] += bytes.div_ceil(512);
        self.finish_write(request, through, blocks.lba, bus)
    }

    /// The namespace can be written.
    fn check_writable(&mut self, request: Request<'_>, bus: &mut dyn Bus) -> Result<(), Failure> {
        let read_only = self.logs.media_read_only;
        let protected = self.namespace(request, bus)?.write_protected;
        ensure(
            !read_only && !protected,
            Status::NAMESPACE_WRITE_PROTECTED.into(),
        )
    }

    /// The command is durable when it completes: forced, or there is no cache in use.
    fn writes_through(&self, request: Request<'_>) -> bool {
        ReadWriteCdw12::from_bits(request.command.cdw12).fua() || !self.features.write_cache()
    }

    fn finish_write(
        &mut self,
        request: Request<'_>,
        through: bool,
        lba: u64,
        bus: &mut dyn Bus,
    ) -> Verdict {
        if through {
            self.namespace(request, bus)?
                .flush()
                .map_err(|_| write_fault(lba))?;
        }
        Ok(Outcome::Done(0))
    }

    fn compare(&mut self, request: Request<'_>, bus: &mut dyn Bus) -> Verdict {
        let (blocks, bytes) = self.blocks(request, bus)?;
        let segments = self.data(request, bytes, bus)?;
        let data = prp::gather(request, &segments, bus)?;
        let stored = self
            .namespace(request, bus)?
            .read(blocks.lba, blocks.count)
            .map_err(|_| Failure::from(Status::UNRECOVERED_READ_ERROR).at_block(blocks.lba))?;
        self.logs.commands[0] += 1;
        match data
            .iter()
            .zip(&stored)
            .position(|(sent, stored)| sent != stored)
        {
            None => Ok(Outcome::Done(0)),
            Some(at) => {
                let lba = blocks.lba + at as u64 * blocks.count / bytes;
                Err(Failure::from(Status::COMPARE_FAILURE).at_block(lba))
            }
        }
    }

    /// Nothing is transferred, so that MDTS does not count: VSL does (NVM 3.2.5).
    fn verify(&mut self, request: Request<'_>, bus: &mut dyn Bus) -> Verdict {
        let blocks = self.untransferred(request, self.profile.verify, bus)?;
        self.namespace(request, bus)?
            .read(blocks.lba, blocks.count)
            .map_err(|_| Failure::from(Status::UNRECOVERED_READ_ERROR).at_block(blocks.lba))?;
        Ok(Outcome::Done(0))
    }

    /// The blocks of a command that has a size limit of its own.
    fn untransferred(
        &mut self,
        request: Request<'_>,
        command: Verify,
        bus: &mut dyn Bus,
    ) -> Result<Blocks, Failure> {
        if command == Verify::Absent {
            return Err(Failure::field(Status::INVALID_OPCODE, 0));
        }
        let (blocks, bytes) = self.blocks(request, bus)?;
        let most = command.limit_bytes().unwrap_or(u64::MAX);
        let fits = bytes <= most;
        bus.judge(Rule::TransferLimit, fits, &|| {
            format!("a command for {bytes} bytes, the limit is {most}")
        });
        ensure(fits, Failure::field(Status::INVALID_FIELD, CDW12_BYTE))?;
        Ok(blocks)
    }

    /// The ranges of a Dataset Management command are within DMRL, DMRSL and DMSL (NVM 3.2.3).
    fn check_dataset(&self, ranges: &[Blocks], bus: &mut dyn Bus) -> Result<(), Failure> {
        let (most_ranges, most_range_blocks, most_blocks) = self.profile.dataset.limits();
        let within = |value: u64, most: u64| most == 0 || value <= most;
        let longest = ranges.iter().map(|range| range.count).max().unwrap_or(0);
        let blocks = ranges.iter().map(|range| range.count).sum();
        let fits = within(ranges.len() as u64, most_ranges.into())
            && within(longest, most_range_blocks.into())
            && within(blocks, most_blocks);
        bus.judge(Rule::TransferLimit, fits, &|| {
            format!(
                "{} ranges of at most {longest}, together {blocks} blocks; the limits are {most_ranges}, {most_range_blocks} and {most_blocks}",
                ranges.len()
            )
        });
        ensure(fits, Status::COMMAND_SIZE_LIMIT_EXCEEDED.into())
    }

    fn write_zeroes(&mut self, request: Request<'_>, bus: &mut dyn Bus) -> Verdict {
        let blocks = self.untransferred(request, self.profile.write_zeroes, bus)?;
        self.check_writable(request, bus)?;
        let through = self.writes_through(request);
        self.namespace(request, bus)?
            .zero(blocks.lba, blocks.count)
            .map_err(|_| write_fault(blocks.lba))?;
        self.finish_write(request, through, blocks.lba, bus)
    }

    fn flush(&mut self, request: Request<'_>, bus: &mut dyn Bus) -> Verdict {
        if request.command.nsid == NSID_ALL {
            judge_namespace(NSID_ALL, true, bus)?;
            for namespace in &mut self.namespaces {
                namespace.flush().map_err(|_| write_fault(0))?;
            }
            return Ok(Outcome::Done(0));
        }
        self.namespace(request, bus)?
            .flush()
            .map_err(|_| write_fault(0))?;
        Ok(Outcome::Done(0))
    }

    fn manage_dataset(&mut self, request: Request<'_>, bus: &mut dyn Bus) -> Verdict {
        let command = request.command;
        if self.profile.dataset == Dataset::Absent {
            return Err(Failure::field(Status::INVALID_OPCODE, 0));
        }
        self.namespace(request, bus)?;
        let ranges = u64::from(DatasetManagementCdw10::from_bits(command.cdw10).nr_z()) + 1;
        let bytes = ranges * size_of::<DatasetRange>() as u64;
        let segments = self.data(request, bytes, bus)?;
        let data = prp::gather(request, &segments, bus)?;
        if self.profile.ranges == Ranges::All {
            let bytes = (DATASET_RANGES_MAX * size_of::<DatasetRange>()) as u64;
            let segments = self.data(request, bytes, bus)?;
            prp::gather(request, &segments, bus)?;
        }
        if !DatasetManagementCdw11::from_bits(command.cdw11).ad() {
            return Ok(Outcome::Done(0));
        }
        self.check_writable(request, bus)?;
        let ranges: Vec<_> = data
            .chunks_exact(size_of::<DatasetRange>())
            .filter_map(|bytes| DatasetRange::read_from_bytes(bytes).ok())
            .map(|range| Blocks {
                lba: range.starting_lba,
                count: u64::from(range.length_blocks),
            })
            .collect();
        self.check_dataset(&ranges, bus)?;
        let now_ns = self.now_ns;
        let deallocated = self.profile.deallocated;
        let namespace = self.namespace(request, bus)?;
        for range in &ranges {
            check_range(namespace, *range, now_ns, bus)?;
        }
        for range in &ranges {
            namespace
                .deallocate(range.lba, range.count, deallocated)
                .map_err(|_| write_fault(range.lba))?;
        }
        Ok(Outcome::Done(0))
    }
}

fn write_fault(lba: u64) -> Failure {
    Failure::from(Status::WRITE_FAULT).at_block(lba)
}

/// The command names a namespace that is active.
pub(crate) fn judge_namespace(nsid: u32, active: bool, bus: &mut dyn Bus) -> Result<(), Failure> {
    bus.judge(Rule::NamespaceUsed, active, &|| {
        format!("NSID {nsid:#x} is not active")
    });
    ensure(
        active,
        Failure::field(Status::INVALID_NAMESPACE_OR_FORMAT, NSID_BYTE),
    )
}

fn check_range(
    namespace: &Namespace,
    blocks: Blocks,
    now_ns: u64,
    bus: &mut dyn Bus,
) -> Result<(), Failure> {
    let within = namespace.contains(blocks.lba, blocks.count);
    let excused = namespace.surprise.excuses(now_ns);
    bus.judge(Rule::BlockRange, within || excused, &|| {
        let Blocks { lba, count } = blocks;
        format!(
            "{count} blocks at {lba}, namespace {} has {}",
            namespace.nsid, namespace.blocks
        )
    });
    ensure(
        within,
        Failure::field(Status::LBA_OUT_OF_RANGE, CDW10_BYTE).at_block(blocks.lba),
    )
}

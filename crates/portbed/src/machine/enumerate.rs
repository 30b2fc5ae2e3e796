//! Enumeration: what the port driver and a disk class driver ask before they use a disk.

use super::{Completed, Data, LogicalUnit, Machine, MachineError, Request, SrbKind, UnitAddress};

/// Allocation length of most commands here.
const SHORT: u8 = 255;
/// Peripheral qualifier and type of a connected disk.
const DISK: u8 = 0;

/// Every logical unit that is a disk.
pub(super) fn units(machine: &mut Machine) -> Result<Vec<LogicalUnit>, MachineError> {
    let adapter = machine.adapter;
    let (buses, targets, most_units) = machine.core.state_of(adapter).port.adapter.limits();
    let mut found = Vec::new();
    for path in 0..buses {
        for target in 0..targets {
            for lun in report_luns(machine, path, target, most_units)? {
                let address = UnitAddress {
                    adapter,
                    path,
                    target,
                    lun,
                };
                if let Some(unit) = look_at(machine, address)? {
                    found.push(unit);
                }
            }
        }
    }
    if found.is_empty() {
        return Err(MachineError::Enumerate(
            "there is no logical unit".to_owned(),
        ));
    }
    Ok(found)
}

fn ask(
    machine: &mut Machine,
    unit: UnitAddress,
    cdb: Vec<u8>,
    bytes: usize,
) -> Result<Completed, MachineError> {
    let data = if bytes == 0 {
        Data::None
    } else {
        Data::In(bytes)
    };
    // Class drivers use the newer request block; every other question comes in the older one.
    let srb = if cdb.len().is_multiple_of(4) {
        SrbKind::Scsi
    } else {
        SrbKind::Storage
    };
    machine.execute(Request {
        unit,
        cdb,
        data,
        srb,
        ..Request::default()
    })
}

/// The logical units of a target, from REPORT LUNS to its first one.
fn report_luns(
    machine: &mut Machine,
    path: u8,
    target: u8,
    most: u8,
) -> Result<Vec<u8>, MachineError> {
    let mut cdb = vec![0; 12];
    cdb[0] = 0xA0;
    cdb[8..10].copy_from_slice(&4096_u16.to_be_bytes());
    let answer = ask(
        machine,
        UnitAddress {
            adapter: machine.adapter,
            path,
            target,
            lun: 0,
        },
        cdb,
        4096,
    )?;
    if !answer.succeeded() {
        // A target that does not know the command may have unit 0 all the same.
        return Ok(vec![0]);
    }
    let listed = be32(&answer.data, 0) as usize / 8;
    let entries = answer
        .data
        .get(8..)
        .unwrap_or_default()
        .chunks_exact(8)
        .take(listed);
    // Peripheral addressing: the second byte of an entry is the unit.
    Ok(entries
        .map(|entry| entry[1])
        .filter(|&lun| lun < most)
        .collect())
}

/// Asks one unit what a class driver wants to know.
fn look_at(
    machine: &mut Machine,
    address: UnitAddress,
) -> Result<Option<LogicalUnit>, MachineError> {
    let inquiry = ask(
        machine,
        address,
        vec![0x12, 0, 0, 0, SHORT, 0],
        usize::from(SHORT),
    )?;
    if !inquiry.succeeded() || inquiry.data.first() != Some(&DISK) {
        return Ok(None);
    }
    let mut unit = LogicalUnit {
        address,
        vendor: text(&inquiry.data, 8, 8),
        product: text(&inquiry.data, 16, 16),
        revision: text(&inquiry.data, 32, 4),
        max_transfer_bytes: machine.max_transfer_bytes(),
        ..LogicalUnit::default()
    };
    let mut limit_blocks = 0;
    let pages = product_data(machine, address, 0)?;
    for page in pages
        .get(4..)
        .unwrap_or_default()
        .iter()
        .copied()
        .filter(|&page| page != 0)
    {
        let content = product_data(machine, address, page)?;
        match page {
            0x80 => unit.serial = text(&content, 4, content.len().saturating_sub(4)),
            0xB0 => limit_blocks = be32(&content, 8),
            _ => {}
        }
    }
    for _ in 0..3 {
        // The first command after power-on may come back with a unit attention.
        if ask(machine, address, vec![0; 6], 0)?.succeeded() {
            break;
        }
    }
    capacity(machine, &mut unit)?;
    if limit_blocks > 0 {
        unit.max_transfer_bytes = unit
            .max_transfer_bytes
            .min(limit_blocks.saturating_mul(unit.block_bytes));
    }
    unit.max_transfer_bytes -= unit.max_transfer_bytes % unit.block_bytes;
    unit.write_cache = write_cache(machine, address)?;
    Ok(Some(unit))
}

fn product_data(
    machine: &mut Machine,
    unit: UnitAddress,
    page: u8,
) -> Result<Vec<u8>, MachineError> {
    Ok(ask(
        machine,
        unit,
        vec![0x12, 1, page, 0, SHORT, 0],
        usize::from(SHORT),
    )?
    .data)
}

/// READ CAPACITY, in both sizes.
fn capacity(machine: &mut Machine, unit: &mut LogicalUnit) -> Result<(), MachineError> {
    let short = ask(
        machine,
        unit.address,
        vec![0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        8,
    )?;
    let mut cdb = vec![0; 16];
    cdb[0] = 0x9E;
    cdb[1] = 0x10;
    cdb[13] = 32;
    let long = ask(machine, unit.address, cdb, 32)?;
    if long.succeeded() && long.data.len() >= 12 {
        let last = u64::from(be32(&long.data, 0)) << 32 | u64::from(be32(&long.data, 4));
        unit.blocks = last.saturating_add(1);
        unit.block_bytes = be32(&long.data, 8);
    } else if short.succeeded() && short.data.len() >= 8 {
        unit.blocks = u64::from(be32(&short.data, 0)) + 1;
        unit.block_bytes = be32(&short.data, 4);
    } else {
        return Err(MachineError::Enumerate(format!(
            "READ CAPACITY failed with SRB status {:#04x}",
            long.srb_status
        )));
    }
    let agree =
        !short.succeeded() || short.data.len() < 8 || be32(&short.data, 4) == unit.block_bytes;
    let sane = (512..=65536).contains(&unit.block_bytes) && unit.block_bytes.is_power_of_two();
    if agree && sane {
        Ok(())
    } else {
        Err(MachineError::Enumerate(format!(
            "blocks of {} bytes",
            unit.block_bytes
        )))
    }
}

/// Whether the caching mode page says that the write cache is on, asked in both sizes.
fn write_cache(machine: &mut Machine, unit: UnitAddress) -> Result<bool, MachineError> {
    let short = ask(machine, unit, vec![0x1A, 8, 8, 0, 192, 0], 192)?;
    let long = ask(machine, unit, vec![0x5A, 8, 8, 0, 0, 0, 0, 0, 192, 0], 192)?;
    let cached = |answer: &Completed, header: usize| {
        answer.succeeded()
            && answer
                .data
                .get(header + 2)
                .is_some_and(|flags| flags & 4 != 0)
    };
    Ok(cached(&short, 4) || cached(&long, 8))
}

fn be32(data: &[u8], offset: usize) -> u32 {
    let bytes = data
        .get(offset..offset + 4)
        .and_then(|bytes| bytes.try_into().ok());
    bytes.map_or(0, u32::from_be_bytes)
}

fn text(data: &[u8], offset: usize, bytes: usize) -> String {
    let field = data.get(offset..).unwrap_or_default();
    let field = &field[..bytes.min(field.len())];
    String::from_utf8_lossy(field)
        .trim_matches(['\0', ' '])
        .to_owned()
}

//! The same seeded sequence of requests to the model and to QEMU: what differs, differs for a reason that is listed here.

mod sequence;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Range;
use std::path::Path;
use std::process::Command;

use portbed::machine::{Data, LogicalUnit, Request};

use crate::bed::Bed;
use sequence::{Sequence, Step};

/// Names the file that a process of the differential test writes its transcript to.
const TRANSCRIPT: &str = "DIFFERENTIAL_TRANSCRIPT";
/// Names the profile that it runs on.
const PROFILE: &str = "DIFFERENTIAL_PROFILE";
/// Requests in a sequence.
const STEPS: usize = 10_000;

/// What differs between the two in the answers to a command, and why.
struct Difference {
    /// Whether the command is the one.
    command: fn(&[u8]) -> bool,
    /// The bytes that differ; without them, all the data and their length.
    bytes: Option<Range<usize>>,
    reason: &'static str,
}

fn is_inquiry(cdb: &[u8]) -> bool {
    cdb[0] == 0x12 && cdb[1] & 1 == 0
}

fn is_page(cdb: &[u8], page: u8) -> bool {
    cdb[0] == 0x12 && cdb[1] & 1 == 1 && cdb[2] == page
}

/// Everything that may differ.
const DIFFERENCES: [Difference; 5] = [
    Difference {
        command: is_inquiry,
        bytes: Some(16..36),
        reason: "the model number and the firmware revision are the device's own",
    },
    Difference {
        command: |cdb| is_page(cdb, 0x80),
        bytes: None,
        reason: "the serial number is the device's own, and as long as the identifiers that it is made of",
    },
    Difference {
        command: |cdb| is_page(cdb, 0x83),
        bytes: None,
        reason: "the identifiers are the namespace's own: QEMU's has no EUI-64 and no NGUID",
    },
    Difference {
        command: |cdb| is_page(cdb, 0xB0),
        bytes: Some(6..36),
        reason: "QEMU's namespace tells which transfers and deallocations it prefers",
    },
    Difference {
        command: |cdb| is_page(cdb, 0xB2),
        bytes: Some(5..6),
        reason: "QEMU's namespace does not deallocate by Write Zeroes",
    },
];

/// An answer as it is compared: statuses, sense data, data.
fn answer(bed: &mut Bed, unit: &LogicalUnit, step: &Step) -> String {
    let completed = bed
        .machine
        .execute(Request {
            unit: unit.address,
            cdb: step.cdb.clone(),
            data: step.data.clone(),
            srb: step.srb,
            buffer_offset: step.buffer_offset,
            ..Request::default()
        })
        .expect("the driver runs on");
    let sense = completed.sense.as_deref().map(hex);
    format!(
        "srb {:02x} scsi {:02x} sense {} transferred {} data {}",
        completed.srb_status,
        completed.scsi_status,
        sense.unwrap_or_default(),
        completed.transferred,
        digest(&completed.data)
    )
}

/// Data as they are, or what is left of them when they are long.
fn digest(data: &[u8]) -> String {
    if data.len() <= 512 {
        return hex(data);
    }
    let mut hasher = DefaultHasher::new();
    data.hash(&mut hasher);
    format!("#{:016x}", hasher.finish())
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// The part of the test that runs in a process of its own: a request and its answer in each line.
fn transcribe(profile: &str, to: &Path) {
    let (mut bed, _backings) = if let Some(properties) = profile.strip_prefix("qemu:") {
        crate::on_qemu(properties, crate::qemu().expect("QEMU"))
    } else {
        (Bed::new(profile), Vec::new())
    };
    bed.machine.start_adapter().expect("the adapter starts");
    let units = bed.machine.enumerate().expect("the disks answer");
    let mut transcript = String::new();
    for step in Sequence::new(&units[0]).take(STEPS) {
        let answer = answer(&mut bed, &units[0], &step);
        let asked = match &step.data {
            Data::None => "none".to_owned(),
            Data::In(bytes) => format!("in {bytes}"),
            Data::Out(bytes) => format!("out {}", bytes.len()),
        };
        let _ = writeln!(transcript, "{}|{asked}|{answer}", hex(&step.cdb));
    }
    bed.finish();
    fs::write(to, transcript).expect("a transcript");
}

/// Runs [`transcribe`] in another process, and gives the lines.
fn transcript(profile: &str) -> Vec<String> {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let program = std::env::current_exe().expect("this test");
    let output = Command::new(program)
        .args(["--exact", "differential::in_a_process", "--ignored"])
        .env(TRANSCRIPT, file.path())
        .env(PROFILE, profile)
        .output()
        .expect("a process");
    assert!(
        output.status.success(),
        "{profile}: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    let text = fs::read_to_string(file.path()).expect("a transcript");
    text.lines().map(str::to_owned).collect()
}

/// A line without what may differ; the reasons for what does go to `used`.
fn comparable(line: &str, other: &str, used: &mut BTreeSet<&'static str>) -> String {
    let cdb: Vec<u8> = (0..line.find('|').unwrap_or(0) / 2)
        .map(|at| u8::from_str_radix(&line[2 * at..2 * at + 2], 16).expect("a transcript"))
        .collect();
    let data = line.rfind(' ').expect("a transcript") + 1;
    let transferred = line.find(" transferred").expect("a transcript");
    let mut line = line.to_owned();
    let differences = DIFFERENCES.iter();
    for difference in differences.filter(|difference| (difference.command)(&cdb)) {
        let range = match &difference.bytes {
            Some(bytes) => data + bytes.start * 2..data + bytes.end * 2,
            None => transferred..line.len(),
        };
        let range = range.start.min(line.len())..range.end.min(line.len());
        if other.get(range.clone()) != Some(&line[range.clone()]) {
            used.insert(difference.reason);
        }
        line.replace_range(range, "");
    }
    line
}

fn compare(model: &str, qemu: &str) {
    if crate::qemu().is_none() {
        return;
    }
    let (model, qemu) = (transcript(model), transcript(qemu));
    assert_eq!((model.len(), qemu.len()), (STEPS, STEPS));
    let succeeded = qemu.iter().filter(|line| line.contains("|srb 01 "));
    assert!(succeeded.count() > STEPS / 3, "too little was done");
    let mut used = BTreeSet::new();
    let mut told = String::new();
    for (step, (model, qemu)) in model.iter().zip(&qemu).enumerate() {
        let compared =
            [(model, qemu), (qemu, model)].map(|(line, other)| comparable(line, other, &mut used));
        if compared[0] != compared[1] {
            let _ = writeln!(told, "{step}: model {model:.400}");
            let _ = writeln!(told, "{step}: QEMU  {qemu:.400}");
        }
    }
    assert!(told.is_empty(), "not a listed difference:\n{told}");
    for difference in &DIFFERENCES {
        let reason = difference.reason;
        assert!(used.contains(reason), "no difference any more: {reason}");
    }
}

#[test]
fn model_and_qemu_answer_alike_in_blocks_of_512() {
    compare("plain,capacity=64M,mdts=512K", "qemu:capacity=64M");
}

#[test]
fn model_and_qemu_answer_alike_in_blocks_of_4096() {
    compare(
        "plain,capacity=64M,mdts=64K,block=4096",
        "qemu:capacity=64M,mdts=4,logical_block_size=4096",
    );
}

#[test]
#[ignore = "a part of the tests that compare"]
fn in_a_process() {
    if let (Some(to), Ok(profile)) = (std::env::var_os(TRANSCRIPT), std::env::var(PROFILE)) {
        transcribe(&profile, Path::new(&to));
    }
}

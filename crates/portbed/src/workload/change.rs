//! What happens to a volume: a list of changes, and the tree of directories and files that they lead to.

use std::collections::{BTreeMap, BTreeSet};

use fastrand::Rng;

/// One change. Paths use `/` and start without one; a directory exists before something is put into it.
#[derive(Clone, Debug)]
pub enum Change {
    /// A new directory.
    MakeDirectory(String),
    /// A new file with these contents.
    Create(String, Vec<u8>),
    /// Bytes written over others, from an offset on.
    Overwrite(String, usize, Vec<u8>),
    /// Bytes added at the end.
    Append(String, Vec<u8>),
    /// The file cut to a length.
    Truncate(String, usize),
    /// A file with another name, perhaps in another directory.
    Rename(String, String),
    /// A file that is gone.
    Remove(String),
}

/// Directories and files with their contents.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Tree {
    /// Paths of the directories.
    pub directories: BTreeSet<String>,
    /// Paths of the files, and what they hold.
    pub files: BTreeMap<String, Vec<u8>>,
}

impl Tree {
    /// Does to the tree what `change` says.
    pub fn apply(&mut self, change: &Change) {
        match change {
            Change::MakeDirectory(path) => {
                self.directories.insert(path.clone());
            }
            Change::Create(path, data) => {
                self.files.insert(path.clone(), data.clone());
            }
            Change::Overwrite(path, at, data) => {
                self.file(path)[*at..*at + data.len()].copy_from_slice(data);
            }
            Change::Append(path, data) => self.file(path).extend_from_slice(data),
            Change::Truncate(path, len) => self.file(path).truncate(*len),
            Change::Rename(from, to) => {
                let data = std::mem::take(self.file(from));
                self.files.remove(from);
                self.files.insert(to.clone(), data);
            }
            Change::Remove(path) => {
                self.files.remove(path);
            }
        }
    }

    /// All bytes in files.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.files.values().map(|data| data.len() as u64).sum()
    }

    fn file(&mut self, path: &str) -> &mut Vec<u8> {
        self.files.entry(path.to_owned()).or_default()
    }
}

/// The large file is this large where there is room, and a bit more, so that its size is odd.
const LARGE_BYTES: u64 = 48 << 20;

/// Many small files are this many where there is room.
const SMALL_FILES: u64 = 200;

/// Lengths at which file systems and drivers change their mind.
const EDGE_LENGTHS: [usize; 12] = [
    0, 1, 511, 512, 513, 4095, 4096, 4097, 8191, 8193, 65_535, 65_537,
];

const DIRECTORIES: [&str; 6] = [
    "LOGS",
    "Documents",
    "Documents/Quarterly reports of the year",
    "many",
    "many/more",
    "many/more/at the bottom",
];

const LARGE: &str = "Documents/a large file.bin";

/// Plans what happens to an empty volume of `bytes` bytes.
pub fn plan(bytes: u64, rng: &mut Rng) -> Vec<Change> {
    let mut changes: Vec<Change> = DIRECTORIES
        .into_iter()
        .map(|path| Change::MakeDirectory(path.into()))
        .collect();
    let large = LARGE_BYTES.min(bytes / 4) as usize + rng.usize(1..4096);
    changes.push(Change::Create(LARGE.into(), data(large, rng)));
    for (number, len) in EDGE_LENGTHS.into_iter().enumerate() {
        changes.push(Change::Create(
            format!("LOGS/EDGE{number}.DAT"),
            data(len, rng),
        ));
    }
    let medium = (1536 << 10).min(bytes / 64) as usize;
    for number in 0..6 {
        let len = rng.usize(medium / 3..medium);
        changes.push(Change::Create(medium_path(number), data(len, rng)));
    }
    let small = SMALL_FILES.min(bytes >> 17);
    for number in 0..small {
        let len = rng.usize(..24_000);
        changes.push(Change::Create(small_path(number), data(len, rng)));
    }
    rework(&mut changes, large, small, rng);
    changes
}

/// Changes some of the files, and puts new ones where old ones were.
fn rework(changes: &mut Vec<Change>, large: usize, small: u64, rng: &mut Rng) {
    for _ in 0..4 {
        let len = rng.usize(1..large / 16);
        changes.push(Change::Overwrite(
            LARGE.into(),
            rng.usize(..large - len),
            data(len, rng),
        ));
    }
    changes.push(Change::Append(medium_path(0), data(12_345, rng)));
    changes.push(Change::Truncate(medium_path(1), 10_001));
    changes.push(Change::Remove(medium_path(2)));
    changes.push(Change::Rename(
        medium_path(3),
        "many/a file that was moved.bin".into(),
    ));
    for number in (0..small).step_by(7) {
        changes.push(Change::Remove(small_path(number)));
    }
    for number in (1..small).step_by(7) {
        changes.push(Change::Rename(
            small_path(number),
            format!("many/more/renamed {number}.txt"),
        ));
    }
    for number in (2..small).step_by(7) {
        let len = rng.usize(1..3000);
        changes.push(Change::Append(small_path(number), data(len, rng)));
    }
    for number in 0..small / 10 {
        let len = rng.usize(..50_000);
        changes.push(Change::Create(
            format!("many/more/at the bottom/late {number}.dat"),
            data(len, rng),
        ));
    }
}

fn medium_path(number: u64) -> String {
    format!("Documents/Quarterly reports of the year/report {number}.pdf")
}

fn small_path(number: u64) -> String {
    format!("many/small file number {number:03}.txt")
}

fn data(len: usize, rng: &mut Rng) -> Vec<u8> {
    let mut data = vec![0; len];
    rng.fill(&mut data);
    data
}

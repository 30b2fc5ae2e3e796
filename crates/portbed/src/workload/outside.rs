//! The volume checked from outside, by tools that know nothing of the driver: `fsck.fat` and mtools.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use thiserror::Error;

use super::{Content, Tree};
use crate::disk::Backing;

/// The image is the standard input of a tool, which opens it by this name.
const IMAGE: &str = "/proc/self/fd/0";

/// Where the tools are.
#[derive(Clone, Debug)]
pub struct Tools {
    /// `fsck.fat` of dosfstools.
    pub fsck_fat: PathBuf,
    /// `mdir` of mtools.
    pub mdir: PathBuf,
    /// `mcopy` of mtools.
    pub mcopy: PathBuf,
}

/// Why a check could not be made.
#[derive(Debug, Error)]
pub enum OutsideError {
    /// The image could not be read.
    #[error("the disk image cannot be checked: {0}")]
    Image(#[from] io::Error),
    /// A tool could not be run.
    #[error("{} cannot be run: {why}", tool.display())]
    Tool {
        /// The tool.
        tool: PathBuf,
        /// What the system said.
        why: io::Error,
    },
}

/// Has `fsck.fat` check the volume, `mdir` list it, and `mcopy` read the largest file and the first one. Gives what is
/// wrong, a line each.
pub fn check_outside(
    backing: &Backing,
    content: &Content,
    tools: &Tools,
) -> Result<Vec<String>, OutsideError> {
    let mut wrong = Vec::new();
    let part = backing.extract(content.part_bytes.clone())?;
    let fsck = run(&tools.fsck_fat, &["-n", "-v", IMAGE], part)?;
    if !fsck.status.success() {
        wrong.push(format!("fsck.fat: {}", complaint(&fsck)));
    }
    let image = format!("{IMAGE}@@{}", content.part_bytes.start);
    let mdir = run(
        &tools.mdir,
        &["-i", &image, "-b", "-/", "-a", "::"],
        backing.handle()?,
    )?;
    if !mdir.status.success() {
        wrong.push(format!("mdir: {}", complaint(&mdir)));
    } else if listed(&mdir.stdout) != expected(&content.tree) {
        wrong.push("mdir does not list what was written".to_owned());
    }
    let files = &content.tree.files;
    let largest = files.iter().max_by_key(|(_, data)| data.len());
    for (path, data) in largest.into_iter().chain(files.first_key_value()) {
        let copy = run(
            &tools.mcopy,
            &["-i", &image, &format!("::/{path}"), "-"],
            backing.handle()?,
        )?;
        if !copy.status.success() {
            wrong.push(format!("mcopy '{path}': {}", complaint(&copy)));
        } else if copy.stdout != *data {
            wrong.push(format!(
                "mcopy finds other data in '{path}' than was written"
            ));
        }
    }
    Ok(wrong)
}

fn run(
    tool: &PathBuf,
    arguments: &[impl AsRef<OsStr>],
    image: File,
) -> Result<Output, OutsideError> {
    Command::new(tool)
        .args(arguments)
        // mtools otherwise refuses a volume whose size is no multiple of an invented track.
        .env("MTOOLS_SKIP_CHECK", "1")
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::from(image))
        .output()
        .map_err(|why| OutsideError::Tool {
            tool: tool.clone(),
            why,
        })
}

/// The last line that a failed tool wrote.
fn complaint(output: &Output) -> String {
    let text = [&output.stdout[..], &output.stderr[..]].concat();
    let text = String::from_utf8_lossy(&text);
    let line = text
        .lines()
        .map(str::trim)
        .rfind(|line| !line.is_empty())
        .unwrap_or("no output");
    format!("{line} ({})", output.status)
}

/// The paths that `mdir -b` printed, each as `::/path`; directories end in a slash.
fn listed(output: &[u8]) -> BTreeSet<String> {
    let text = String::from_utf8_lossy(output);
    text.lines()
        .filter_map(|line| line.strip_prefix("::/"))
        .map(str::to_owned)
        .collect()
}

fn expected(tree: &Tree) -> BTreeSet<String> {
    let directories = tree.directories.iter().map(|path| format!("{path}/"));
    directories.chain(tree.files.keys().cloned()).collect()
}

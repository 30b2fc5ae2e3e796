//! How a command ends.

use std::ffi::OsString;
use std::fs::File;
use std::io::{Read, Seek};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// More than any of these runs takes, on a machine with other work.
const LIMIT: Duration = Duration::from_mins(2);
/// How much of the output is told.
const TOLD: usize = 400;

/// What a command said, and how it ended; no status if it had to be stopped.
pub struct Ending {
    status: Option<ExitStatus>,
    said: String,
    complaint: String,
}

/// Runs `portbed` with these arguments.
pub fn of(arguments: &[OsString]) -> Ending {
    let folder = tempfile::tempdir().unwrap();
    let [mut said, mut complaint] = [(); 2].map(|()| tempfile::tempfile().unwrap());
    let mut child = Command::new(env!("CARGO_BIN_EXE_portbed"))
        .args(arguments)
        .current_dir(&folder)
        .env("TMPDIR", folder.path())
        .stdin(Stdio::null())
        .stdout(said.try_clone().unwrap())
        .stderr(complaint.try_clone().unwrap())
        .spawn()
        .unwrap();
    let began = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break Some(status);
        }
        if began.elapsed() > LIMIT {
            child.kill().unwrap();
            child.wait().unwrap();
            break None;
        }
        thread::sleep(Duration::from_millis(5));
    };
    Ending {
        status,
        said: text(&mut said),
        complaint: without_progress(&text(&mut complaint)),
    }
}

/// Runs at the same time build the driver one after the other, and say so.
fn without_progress(complaint: &str) -> String {
    let lines = complaint.split_inclusive('\n');
    lines
        .filter(|line| line.trim_end() != "waiting for another process that builds the driver")
        .collect()
}

fn text(file: &mut File) -> String {
    let mut bytes = Vec::new();
    file.rewind().unwrap();
    file.read_to_end(&mut bytes).unwrap();
    String::from_utf8_lossy(&bytes).into_owned()
}

impl Ending {
    /// Refused: status 2, and one line on standard error.
    pub fn refused(&self) -> Result<(), String> {
        match self.status.and_then(|status| status.code()) {
            Some(2) => self.documented(),
            _ => Err(format!("not refused: {}", self.told())),
        }
    }

    /// Refused, or a verdict with the exit status that goes with it, and the command that replays what failed.
    pub fn documented(&self) -> Result<(), String> {
        let status = self.status.ok_or_else(|| self.wrong("never ended"))?;
        let code = match (status.code(), status.signal()) {
            (Some(code), _) => code,
            (_, signal) => return Err(self.wrong(&format!("signal {signal:?}"))),
        };
        let last = self.said.lines().next_back().unwrap_or_default();
        let replay = || {
            let mut lines = self.said.lines();
            lines.any(|line| line.trim_start().starts_with("replay "))
        };
        let documented = match code {
            0 => last.starts_with("PASS") && self.complaint.is_empty(),
            1 => last.starts_with("FAIL") && replay() && self.complaint.is_empty(),
            2 => self.complaint.starts_with("portbed: ") && self.complaint.lines().count() == 1,
            _ => false,
        };
        if documented {
            Ok(())
        } else {
            Err(self.wrong(&format!("exit status {code}")))
        }
    }

    fn wrong(&self, what: &str) -> String {
        format!("{what}: {}", self.told())
    }

    fn told(&self) -> String {
        let all = format!("{}{}", self.said, self.complaint);
        let skipped = all.chars().count().saturating_sub(TOLD);
        all.chars().skip(skipped).collect()
    }
}

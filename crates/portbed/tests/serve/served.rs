//! The command, in a folder of its own.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// A device that is served.
pub struct Served {
    child: Child,
    transcript: BufReader<ChildStdout>,
    folder: TempDir,
}

/// How it ended.
#[derive(Debug)]
pub struct Ended {
    pub status: Option<i32>,
    pub transcript: String,
    /// What is left in the folder.
    pub left: Vec<PathBuf>,
}

impl Served {
    /// Serves a device of this profile, with a disk of 1 MiB.
    pub fn new(profile: &str, options: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let profile = format!("{profile},capacity=1M");
        let mut child = Command::new(env!("CARGO_BIN_EXE_portbed"))
            .args(["serve", "--socket", "socket", "--profile", &profile])
            .args(options)
            .current_dir(&folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut transcript = BufReader::new(child.stdout.take().unwrap());
        let mut first = String::new();
        transcript.read_line(&mut first).unwrap();
        assert!(first.contains("listening on socket"), "{first}");
        Self {
            child,
            transcript,
            folder,
        }
    }

    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("socket")
    }

    pub fn connect(&self) -> UnixStream {
        UnixStream::connect(self.socket()).unwrap()
    }

    /// Asks it to end.
    pub fn terminate(&self) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, Signal::TERM).unwrap();
    }

    /// Waits until it has ended.
    pub fn end(mut self) -> Ended {
        let mut transcript = String::new();
        self.transcript.read_to_string(&mut transcript).unwrap();
        let status = self.child.wait().unwrap().code();
        let left = std::fs::read_dir(&self.folder).unwrap();
        Ended {
            status,
            transcript,
            left: left.map(|entry| entry.unwrap().path()).collect(),
        }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // One that has ended already cannot be killed, and needs not.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Ended {
    /// It ended well, and says this.
    #[track_caller]
    pub fn held(&self, said: &[&str]) {
        assert_eq!(self.status, Some(0), "{}", self.transcript);
        self.says(said);
    }

    /// Something was wrong, and it says this.
    #[track_caller]
    pub fn failed(&self, said: &[&str]) {
        assert_eq!(self.status, Some(1), "{}", self.transcript);
        self.says(said);
    }

    #[track_caller]
    fn says(&self, said: &[&str]) {
        for what in said {
            assert!(
                self.transcript.contains(what),
                "{what}: {}",
                self.transcript
            );
        }
        assert!(self.left.is_empty(), "{:?}", self.left);
    }
}

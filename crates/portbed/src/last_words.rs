//! What a process says that ends by itself, in the middle of a run: the verdict and the command for the same run.
//!
//! Such an end is told from signal handlers, so that nothing here allocates or locks.

use std::fmt::{self, Write};
use std::sync::OnceLock;

/// The line that names the command.
static REPLAY: OnceLock<String> = OnceLock::new();

/// From now on an end is a verdict, told with `replay`. The first call decides.
pub(crate) fn prepare(replay: &str) {
    let _ = REPLAY.set(format!("  replay      {replay}\n"));
}

/// Whether an end is a verdict.
pub(crate) fn are_prepared() -> bool {
    REPLAY.get().is_some()
}

/// Ends the process at once, with exit status 1.
pub(crate) fn end(why: fmt::Arguments<'_>) -> ! {
    let mut line = Line::default();
    // What is too long is cut.
    let _ = writeln!(line, "FAIL  {why}");
    say(b"\n");
    say(REPLAY.get().map_or(b"", |replay| replay.as_bytes()));
    say(&line.bytes[..line.used]);
    // SAFETY: the call ends the process.
    unsafe { libc::syscall(libc::SYS_exit_group, 1) };
    unreachable!("the process has ended")
}

/// Writes to the standard output. The functions of the C library use memory of the thread, which may be overwritten.
fn say(mut bytes: &[u8]) {
    while !bytes.is_empty() {
        let (at, length) = (bytes.as_ptr(), bytes.len());
        // SAFETY: the bytes are those of the slice.
        let written = unsafe { libc::syscall(libc::SYS_write, libc::STDOUT_FILENO, at, length) };
        match usize::try_from(written) {
            Ok(written) if written > 0 => bytes = &bytes[written..],
            // Nobody listens.
            _ => return,
        }
    }
}

/// A line of limited length.
struct Line {
    bytes: [u8; 512],
    used: usize,
}

impl Default for Line {
    fn default() -> Self {
        Self {
            bytes: [0; 512],
            used: 0,
        }
    }
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = &mut self.bytes[self.used..];
        let bytes = text.len().min(room.len());
        room[..bytes].copy_from_slice(&text.as_bytes()[..bytes]);
        self.used += bytes;
        if bytes == text.len() {
            Ok(())
        } else {
            Err(fmt::Error)
        }
    }
}

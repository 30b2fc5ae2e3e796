//! The qtest protocol: a line for a command, a line for its answer, and lines about interrupt pins in between.

use std::collections::BTreeSet;
use std::fmt::Arguments;
use std::io::{self, Error, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};

/// How long an answer may take. QEMU answers in microseconds.
const PATIENCE: Duration = Duration::from_secs(10);

/// The longest line that makes sense.
const LINE_BYTES: usize = 4096;

/// A connection to QEMU.
#[derive(Debug)]
pub(super) struct Qtest {
    stream: UnixStream,
    received: Vec<u8>,
    raised: BTreeSet<u32>,
}

impl Qtest {
    /// Speaks over `stream`.
    pub(super) fn new(stream: UnixStream) -> io::Result<Self> {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self {
            stream,
            received: Vec::new(),
            raised: BTreeSet::new(),
        })
    }

    /// Sends a command and gives the number that it answers, 0 where it answers none.
    pub(super) fn ask(&mut self, command: Arguments<'_>) -> io::Result<u64> {
        let line = format!("{command}\n");
        self.stream.write_all(line.as_bytes()).map_err(explain)?;
        loop {
            while let Some(line) = self.take_line() {
                if let Some(answer) = self.hear(&line)? {
                    return Ok(answer);
                }
            }
            let mut buffer = [0; 512];
            match self.stream.read(&mut buffer).map_err(explain)? {
                0 => return Err(Error::other("it has gone")),
                bytes => self.received.extend_from_slice(&buffer[..bytes]),
            }
            if self.received.len() > LINE_BYTES {
                return Err(Error::other("it answers nonsense"));
            }
        }
    }

    /// Whether an interrupt pin that is watched is raised.
    pub(super) fn raised(&self) -> bool {
        !self.raised.is_empty()
    }

    /// Takes note of what QEMU has told unasked.
    pub(super) fn listen(&mut self) -> io::Result<()> {
        let mut buffer = [0; 512];
        match recv(&self.stream, buffer.as_mut_slice(), RecvFlags::DONTWAIT) {
            Ok((0, _)) => return Err(Error::other("it has gone")),
            Ok((bytes, _)) => self.received.extend_from_slice(&buffer[..bytes]),
            Err(Errno::AGAIN) => {}
            Err(error) => return Err(error.into()),
        }
        // Something may be left that came together with the last answer.
        while let Some(line) = self.take_line() {
            self.hear(&line)?;
        }
        Ok(())
    }

    fn take_line(&mut self) -> Option<String> {
        let end = self.received.iter().position(|&byte| byte == b'\n')?;
        let line: Vec<u8> = self.received.drain(..=end).collect();
        Some(String::from_utf8_lossy(&line).trim().to_owned())
    }

    /// The number in an answer; none in a line about a pin.
    fn hear(&mut self, line: &str) -> io::Result<Option<u64>> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let pin = |text: &str| text.parse::<u32>().ok();
        match *words.as_slice() {
            ["OK"] => return Ok(Some(0)),
            ["OK", number] => {
                let digits = number.trim_start_matches("0x");
                if let Ok(number) = u64::from_str_radix(digits, 16) {
                    return Ok(Some(number));
                }
            }
            ["IRQ", "raise", number] => {
                self.raised.extend(pin(number));
                return Ok(None);
            }
            ["IRQ", "lower", number] => {
                if let Some(number) = pin(number) {
                    self.raised.remove(&number);
                }
                return Ok(None);
            }
            _ => {}
        }
        Err(Error::other(format!("it answers '{line}'")))
    }
}

/// Says what a time-out of the socket means.
fn explain(error: Error) -> Error {
    match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => Error::new(
            ErrorKind::TimedOut,
            format!("it has not answered for {} seconds", PATIENCE.as_secs()),
        ),
        ErrorKind::BrokenPipe | ErrorKind::ConnectionReset => Error::other("it has gone"),
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> (Qtest, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        (Qtest::new(ours).unwrap(), theirs)
    }

    #[test]
    fn an_answer_may_come_after_lines_about_pins_and_in_pieces() {
        let (mut qtest, mut qemu) = pair();
        qemu.write_all(b"IRQ raise 20\nIRQ raise 21\nIRQ lower 20\nOK 0x0000")
            .unwrap();
        let mut rest = qemu.try_clone().unwrap();
        let later = std::thread::spawn(move || rest.write_all(b"12ab\n").unwrap());
        assert_eq!(qtest.ask(format_args!("readl {:#x}", 16)).unwrap(), 0x12_ab);
        later.join().unwrap();
        assert!(qtest.raised());
        let mut asked = [0; 11];
        qemu.read_exact(&mut asked).unwrap();
        assert_eq!(&asked, b"readl 0x10\n");
    }

    #[test]
    fn pins_are_heard_of_without_asking() {
        let (mut qtest, mut qemu) = pair();
        qtest.listen().unwrap();
        assert!(!qtest.raised());
        qemu.write_all(b"IRQ raise 3\n").unwrap();
        qtest.listen().unwrap();
        assert!(qtest.raised());
        qemu.write_all(b"OK\nIRQ lower 3\n").unwrap();
        qtest.ask(format_args!("x")).unwrap();
        qtest.listen().unwrap();
        assert!(!qtest.raised());
    }

    #[test]
    fn a_refusal_nonsense_and_silence_are_errors() {
        for said in ["FAIL Unknown command 'x'\n", "OK 0xzz\n", "\n"] {
            let (mut qtest, mut qemu) = pair();
            qemu.write_all(said.as_bytes()).unwrap();
            let error = qtest.ask(format_args!("x")).unwrap_err();
            assert!(error.to_string().contains(said.trim()), "{error}");
        }
        let (mut qtest, qemu) = pair();
        drop(qemu);
        let error = qtest.ask(format_args!("x")).unwrap_err();
        assert!(error.to_string().contains("gone"), "{error}");
        assert!(qtest.listen().is_err());
    }
}

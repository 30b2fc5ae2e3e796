//! The transcript: a line for each event, plain in a pipe, coloured on a terminal.

use std::fmt::{self, Display};
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use anstyle::{AnsiColor, Style};

use crate::journal::{Event, Journal, Who};

const FAINT: Style = Style::new().dimmed();
const BOLD: Style = Style::new().bold();
const GOOD: Style = AnsiColor::Green.on_default().bold();
const BAD: Style = AnsiColor::Red.on_default().bold();

/// Writes the transcript. A reader that goes away ends the transcript, not the run.
#[derive(Clone)]
pub struct Timeline {
    out: Arc<Mutex<Option<Box<dyn Write + Send>>>>,
}

impl Timeline {
    /// A transcript on standard output, coloured as the terminal and `NO_COLOR` ask.
    #[must_use]
    pub fn stdout() -> Self {
        Self::new(anstream::stdout())
    }

    /// A transcript on any stream.
    #[must_use]
    pub fn new(out: impl Write + Send + 'static) -> Self {
        Self {
            out: Arc::new(Mutex::new(Some(Box::new(out)))),
        }
    }

    /// Writes every event of `journal`: those there are, and every later one as it happens.
    pub fn follow(&self, journal: &Journal) {
        for event in journal.events() {
            self.event(&event);
        }
        let timeline = self.clone();
        journal.listen(move |event| timeline.event(event));
    }

    /// One event: its time, whom it is about, what happened.
    pub fn event(&self, event: &Event) {
        let (name, style) = actor(event.who);
        let time = Milliseconds(event.t_ns);
        self.line(format_args!(
            "{FAINT}{time}{FAINT:#}  {style}{name:<10}{style:#}  {}",
            Plain(&event.what)
        ));
    }

    /// A heading above what follows.
    pub fn heading(&self, text: &str) {
        self.line(format_args!("{BOLD}{}{BOLD:#}", Plain(text)));
    }

    /// A line of a table: a name and what belongs to it.
    pub fn entry(&self, name: &str, value: impl Display) {
        self.line(format_args!("  {name:<11} {}", Plain(value)));
    }

    /// A line that says something is wrong.
    pub fn wrong(&self, name: &str, value: impl Display) {
        self.line(format_args!("  {BAD}{name:<11}{BAD:#} {}", Plain(value)));
    }

    /// The last line.
    pub fn verdict(&self, pass: bool, why: &str) {
        let (style, word) = if pass { (GOOD, "PASS") } else { (BAD, "FAIL") };
        self.line(format_args!("{style}{word}{style:#}  {}", Plain(why)));
    }

    fn line(&self, line: fmt::Arguments<'_>) {
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(stream) = out.as_mut()
            && write(stream, line).is_err()
        {
            *out = None;
        }
    }
}

/// What is shown, with control characters as `\u{1b}`: names of files and arguments may have some, and a terminal would obey them.
pub struct Plain<T>(pub T);

impl<T: Display> Display for Plain<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write as _;

        write!(Filter(f), "{}", self.0)
    }
}

struct Filter<'a, 'b>(&'a mut fmt::Formatter<'b>);

impl fmt::Write for Filter<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.chars().try_for_each(|character| match character {
            '\n' | '\t' => self.0.write_char(character),
            control if control.is_control() => write!(self.0, "{}", control.escape_unicode()),
            other => self.0.write_char(other),
        })
    }
}

fn write(stream: &mut impl Write, line: fmt::Arguments<'_>) -> io::Result<()> {
    // One write a line: what a crash leaves behind ends with a whole line.
    stream.write_all(format!("{line}\n").as_bytes())?;
    stream.flush()
}

fn actor(who: Who) -> (&'static str, Style) {
    match who {
        Who::Bed => ("bed", FAINT),
        Who::Port => ("port", AnsiColor::Blue.on_default()),
        Who::Driver => ("driver", AnsiColor::Cyan.on_default()),
        Who::Controller => ("controller", AnsiColor::Yellow.on_default()),
        Who::Disk => ("disk", AnsiColor::Green.on_default()),
    }
}

/// A time in nanoseconds, shown in milliseconds in a column.
struct Milliseconds(u64);

impl Display for Milliseconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:>8}.{:03} ms",
            self.0 / 1_000_000,
            self.0 / 1_000 % 1_000
        )
    }
}

/// A number of bytes in the largest binary unit that keeps it readable: `64 MiB`, `1.5 KiB`, `17 B`.
#[derive(Clone, Copy, Debug)]
pub struct Bytes(pub u64);

impl Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [(&str, u32); 4] = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)];
        let Some((unit, shift)) = UNITS.into_iter().find(|(_, shift)| self.0 >> shift != 0) else {
            return write!(f, "{} B", self.0);
        };
        let tenths = ((self.0 & ((1 << shift) - 1)) * 10) >> shift;
        match tenths {
            0 => write!(f, "{} {unit}", self.0 >> shift),
            _ => write!(f, "{}.{tenths} {unit}", self.0 >> shift),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Seek, SeekFrom};

    use anstream::AutoStream;

    use super::*;

    struct Closed;

    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn an_event_is_one_plain_line_where_there_is_no_terminal() {
        let mut file = tempfile::tempfile().unwrap();
        let journal = Journal::default();
        journal.note(0, Who::Bed, "before");
        Timeline::new(AutoStream::auto(file.try_clone().unwrap())).follow(&journal);
        journal.note(12_345_678, Who::Driver, "HMB lent");
        let mut text = String::new();
        file.seek(SeekFrom::Start(0)).unwrap();
        file.read_to_string(&mut text).unwrap();
        assert_eq!(
            text,
            "       0.000 ms  bed         before\n      12.345 ms  driver      HMB lent\n"
        );
    }

    #[test]
    fn a_reader_that_went_away_is_no_error() {
        let timeline = Timeline::new(Closed);
        timeline.heading("one");
        timeline.verdict(true, "two");
    }

    #[test]
    fn bytes_are_shown_in_binary_units() {
        let shown = |bytes| Bytes(bytes).to_string();
        assert_eq!(shown(17), "17 B");
        assert_eq!(shown(1536), "1.5 KiB");
        assert_eq!(shown(64 << 20), "64 MiB");
        assert_eq!(shown(1 << 30), "1 GiB");
        assert_eq!(shown((1 << 30) + 1), "1 GiB");
        assert_eq!(shown(u64::MAX), "16777215.9 TiB");
    }

    #[test]
    fn control_characters_are_shown_and_lines_stay() {
        let shown = Plain("a\u{1b}[1m\u{7f}\u{9b}\tb\n\u{e4}").to_string();
        assert_eq!(shown, "a\\u{1b}[1m\\u{7f}\\u{9b}\tb\n\u{e4}");
    }
}

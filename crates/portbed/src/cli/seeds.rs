//! Seeds: the command that replays a run, and a sweep over several of them.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};

use crate::timeline::Timeline;

/// Options whose value says where to find something, or which seed to take, and not what is run.
const LEFT_OUT: [&str; 3] = ["--seed", "--seeds", "--report"];

/// The arguments of the same run with `seed`, the program first.
pub fn with_seed(arguments: &[OsString], seed: u64) -> Vec<OsString> {
    let mut kept = Vec::new();
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let text = argument.to_string_lossy();
        let (name, joined) = match text.split_once('=') {
            Some((name, _)) => (name, true),
            None => (text.as_ref(), false),
        };
        if !LEFT_OUT.contains(&name) {
            kept.push(argument.clone());
        } else if !joined {
            rest.next();
        }
    }
    kept.extend(["--seed".into(), seed.to_string().into()]);
    kept
}

/// A command line that a shell takes as these arguments.
pub fn command_line(arguments: &[OsString]) -> String {
    let words: Vec<String> = arguments.iter().map(|argument| quoted(argument)).collect();
    words.join(" ")
}

fn quoted(argument: &OsStr) -> String {
    let word = match argument.to_str() {
        Some(word) if !word.contains(char::is_control) => word,
        _ => return quoted_bytes(argument.as_bytes()),
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./,=:+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// In the form that bash and others have for bytes that are no text.
fn quoted_bytes(bytes: &[u8]) -> String {
    let quoted = bytes.iter().map(|byte| match byte {
        b'\'' | b'\\' => format!("\\{}", char::from(*byte)),
        b' '..=b'~' => char::from(*byte).to_string(),
        // Three digits, so that a digit that follows is not taken for one more.
        _ => format!("\\{byte:03o}"),
    });
    format!("$'{}'", quoted.collect::<String>())
}

/// How a sweep ended.
pub enum Sweep {
    /// Every run passed.
    Pass,
    /// Some did not.
    Fail,
    /// One could not run, and said why.
    CannotRun(String),
}

/// Runs the command once for each of `count` seeds from `first` on, each in a process of its own, because a driver that
/// faults cannot be unwound. Of a run that fails the end is shown, with the command that replays it.
pub fn sweep(
    arguments: &[OsString],
    first: u64,
    count: u32,
    timeline: &Timeline,
) -> io::Result<Sweep> {
    let program = std::env::current_exe()?;
    let mut failed = Vec::new();
    // After the highest seed comes 0.
    for seed in (0..count).map(|index| first.wrapping_add(index.into())) {
        let again = with_seed(arguments, seed);
        let output = Command::new(&program)
            .args(again.iter().skip(1))
            .stdin(Stdio::null())
            .output()?;
        let said = String::from_utf8_lossy(&output.stdout);
        if output.status.success() {
            timeline.entry(&format!("seed {seed}"), "held");
            continue;
        }
        if let Some(why) = super::refusal(&output) {
            return Ok(Sweep::CannotRun(why));
        }
        failed.push(seed);
        timeline.wrong(&format!("seed {seed}"), command_line(&again));
        let end = said.rsplit_once("Summary\n").map_or(&*said, |(_, end)| end);
        for line in end.lines().filter(|line| !line.is_empty()) {
            timeline.wrong("", line.trim());
        }
        if let Some(signal) = output.status.signal() {
            timeline.wrong("", format_args!("ended by signal {signal}"));
        }
        for line in String::from_utf8_lossy(&output.stderr).lines().take(5) {
            timeline.wrong("", line.trim());
        }
    }
    let what = match failed.as_slice() {
        [] => format!("every one of {count} seeds held"),
        [seed] => format!("seed {seed} of {count}"),
        seeds => format!("seeds {seeds:?} of {count}"),
    };
    timeline.verdict(failed.is_empty(), &what);
    Ok(if failed.is_empty() {
        Sweep::Pass
    } else {
        Sweep::Fail
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replayed(arguments: &[&str]) -> String {
        let arguments: Vec<OsString> = arguments.iter().map(OsString::from).collect();
        command_line(&with_seed(&arguments, 7))
    }

    #[test]
    fn a_run_is_replayed_with_its_seed_and_without_its_report() {
        assert_eq!(replayed(&["portbed"]), "portbed --seed 7");
        assert_eq!(
            replayed(&[
                "a b/portbed",
                "io",
                "--seed",
                "1",
                "--qd",
                "4",
                "--report=x",
                "--seeds",
                "3"
            ]),
            "'a b/portbed' io --qd 4 --seed 7"
        );
        assert_eq!(
            replayed(&["p", "run", "--seed=1", "--profile", "it's", "--report", "r"]),
            r"p run --profile 'it'\''s' --seed 7"
        );
        assert_eq!(
            replayed(&["p", "--driver", "\u{1b}[1m'\\\u{e4}"]),
            r"p --driver $'\033[1m\'\\\303\244' --seed 7"
        );
    }
}

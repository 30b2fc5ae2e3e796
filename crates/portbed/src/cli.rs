//! The command line: `portbed run | io | bench | serve | rules | profiles`.
//!
//! Exit status 0: all held; 1: a rule was broken, data differed, or something leaked; 2: it could not run, and one line
//! on standard error says why.

mod bench;
mod list;
mod options;
pub mod profile;
mod seeds;
mod serve;

use std::ffi::OsString;
use std::fmt::Display;
use std::io::{self, Write};
use std::process::{ExitCode, Output};

use clap::{Parser, Subcommand};

use crate::report::Verdict;
use crate::run::{self, Work};
use crate::timeline::{Plain, Timeline};
use bench::BenchOptions;
use options::{RunOptions, StreamOptions};
use seeds::Sweep;
use serve::ServeOptions;

/// Executes a Storport miniport image on Linux, holds it to the rules that a miniport must obey, and verifies its I/O.
#[derive(Debug, Parser)]
#[command(
    name = "portbed",
    version,
    args_conflicts_with_subcommands = true,
    disable_help_subcommand = true
)]
#[command(
    after_help = "Without a command: run. Exit status 0: all held; 1: a rule was broken, data differed, or \
    something leaked; 2: it could not run."
)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    run: RunOptions,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The main job: find, initialise, HMB, enumerate, verified I/O, power cycle, stop, removal.
    Run(RunOptions),
    /// A stream of requests, with its throughput and the cost of a request.
    Io(StreamOptions),
    /// What a request costs, image beside image.
    Bench(BenchOptions),
    /// The model as a PCI device for others, over vfio-user.
    Serve(ServeOptions),
    /// List the rules that a miniport is held to.
    Rules,
    /// List the controllers that the model can be, and every key of --profile.
    Profiles,
}

/// Runs the command line and gives the exit status.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let given: Vec<OsString> = arguments.into_iter().collect();
    let arguments = match Arguments::try_parse_from(&given) {
        Ok(arguments) => arguments,
        Err(error) if error.use_stderr() => return refuse(one_line(&error)),
        // Help and version are answers.
        Err(answer) => return print(&answer.render().ansi().to_string()),
    };
    match arguments.command {
        None => run(&given, &arguments.run, Work::MainJob),
        Some(Command::Run(options)) => run(&given, &options, Work::MainJob),
        Some(Command::Io(options)) => run(&given, options.run(), Work::Stream(options.stream())),
        Some(Command::Bench(options)) => match options.run() {
            Ok((table, verdict)) => {
                print(&table);
                conclude(Ok(verdict))
            }
            Err(why) => refuse(why),
        },
        Some(Command::Serve(options)) => conclude(options.serve()),
        Some(Command::Rules) => print(&list::rules()),
        Some(Command::Profiles) => print(&list::profiles()),
    }
}

fn run(given: &[OsString], options: &RunOptions, work: Work) -> ExitCode {
    let timeline = Timeline::stdout();
    let (first, count) = options.seeds();
    if let Some(count) = count {
        return match seeds::sweep(given, first, count, &timeline) {
            Ok(Sweep::Pass) => ExitCode::SUCCESS,
            Ok(Sweep::Fail) => ExitCode::from(1),
            Ok(Sweep::CannotRun(why)) => refuse(why),
            Err(why) => refuse(why),
        };
    }
    let replay = seeds::command_line(&seeds::with_seed(given, first));
    let verdict = options
        .setup(work, replay)
        .map_err(|why| why.to_string())
        .and_then(|setup| run::run(&setup, &timeline).map_err(|why| why.to_string()));
    conclude(verdict)
}

/// The exit status of a verdict, or of having none.
fn conclude(verdict: Result<Verdict, String>) -> ExitCode {
    match verdict {
        Ok(Verdict::Pass) => ExitCode::SUCCESS,
        Ok(Verdict::Fail) => ExitCode::from(1),
        Err(why) => refuse(why),
    }
}

/// How much of a line is shown that says why nothing could be done, in characters: it may quote an argument of any length.
const LONGEST_LINE: usize = 1000;

/// Says in one line why nothing could be done.
fn refuse(why: impl Display) -> ExitCode {
    let why = why.to_string();
    let line = why.lines().map(str::trim).collect::<Vec<_>>().join(" ");
    let shown: String = line.chars().take(LONGEST_LINE).collect();
    let rest = if shown == line { "" } else { "..." };
    // Where nobody listens any more there is nobody to tell.
    let _ = writeln!(io::stderr(), "portbed: {}{rest}", Plain(shown));
    ExitCode::from(2)
}

/// Why a `portbed` that was run could do nothing, as [`refuse`] of that process said it; `None` where it could.
fn refusal(output: &Output) -> Option<String> {
    let why = String::from_utf8_lossy(&output.stderr);
    let why = why.trim().trim_start_matches("portbed: ");
    (output.status.code() == Some(2)).then(|| why.to_owned())
}

/// Prints an answer. A reader that has seen enough is no error.
fn print(text: &str) -> ExitCode {
    match anstream::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => refuse(error),
        _ => ExitCode::SUCCESS,
    }
}

/// What is wrong with the arguments, and what was perhaps meant, without the usage.
fn one_line(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let told: Vec<&str> = lines
        .take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more"))
        .collect();
    let told = told.join(" ");
    told.strip_prefix("error: ").unwrap_or(&told).to_owned()
}

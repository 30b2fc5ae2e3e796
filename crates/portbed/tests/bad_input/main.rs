//! Bad input: command lines that nobody should write, and images in which something was changed. Each ends with a verdict
//! or one line that says why it could not run, and an exit status of the documented set: none by a signal, a panic or never.
//!
//! `cargo test` tries a share of it; `scripts/bad-input` tries more, from any seed.
#![cfg(target_os = "linux")]

mod ending;
mod lines;
mod mutation;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use ending::Ending;
use mutation::Mutated;

/// How many command lines are drawn, how many images are changed, and the first seed: set by `scripts/bad-input`.
const SHARE: &str = "BAD_INPUT";

struct Share {
    lines: u64,
    images: u64,
    first: u64,
}

fn share() -> Share {
    let given = std::env::var(SHARE).unwrap_or_else(|_| "40,40,1".to_owned());
    let numbers: Vec<u64> = given.split(',').flat_map(str::parse).collect();
    let [lines, images, first] = numbers[..] else {
        panic!("{SHARE}={given} is not LINES,IMAGES,SEED");
    };
    Share {
        lines,
        images,
        first,
    }
}

/// Where images stay that did not end well.
fn kept(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bad-input");
    fs::create_dir_all(&folder).unwrap();
    folder.join(name)
}

/// Tries `one` with each seed of the share, some at a time: what did not end well.
fn each(first: u64, count: u64, one: impl Fn(u64) -> Result<(), String> + Sync) -> Vec<String> {
    let next = AtomicU64::new(0);
    let wrong = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    if index >= count {
                        break;
                    }
                    if let Err(why) = one(first.wrapping_add(index)) {
                        println!("{why}");
                        wrong.lock().unwrap().push(why);
                    }
                }
            });
        }
    });
    wrong.into_inner().unwrap()
}

#[test]
fn what_nobody_should_write_is_refused_in_one_line() {
    let lines = lines::refused();
    let wrong = each(0, lines.len() as u64, |index| {
        let line = &lines[index as usize];
        ending::of(line)
            .refused()
            .map_err(|why| format!("{line:?}: {why}"))
    });
    assert!(wrong.is_empty(), "{} of {} lines", wrong.len(), lines.len());
}

#[test]
fn a_key_with_any_value_is_refused_or_runs_to_a_verdict() {
    let share = share();
    let keys = lines::keys();
    let wrong = each(share.first, share.lines, |seed| {
        let line = lines::drawn(&keys, seed);
        ending::of(&line)
            .documented()
            .map_err(|why| format!("seed {seed}: {line:?}: {why}"))
    });
    assert!(wrong.is_empty(), "{} of {} lines", wrong.len(), share.lines);
}

#[test]
fn an_image_in_which_something_was_changed_is_refused_or_runs_to_a_verdict() {
    let share = share();
    let driver = wdk_linux::image().expect("the image builds").sys;
    let breaker = wdk_linux::breaker().expect("the image builds");
    let in_c = wdk_linux::smallest().expect("the image builds");
    let images = [driver, breaker, in_c].map(|path| fs::read(path).unwrap());
    let wrong = each(share.first, share.images, |seed| {
        let Mutated { what, bytes } = mutation::of(&images, seed);
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), &bytes).unwrap();
        let ending: Ending = ending::of(&lines::io_with(file.path(), seed));
        ending.documented().map_err(|why| {
            let kept = kept(&format!("{seed}.sys"));
            fs::write(&kept, &bytes).unwrap();
            format!("seed {seed}: {what}: {why}\n    {}", kept.display())
        })
    });
    assert!(
        wrong.is_empty(),
        "{} of {} images",
        wrong.len(),
        share.images
    );
}

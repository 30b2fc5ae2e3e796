//! Contiguous memory, as the options of the port driver let a miniport have it.

use super::miniport::{self, BOUNDARY, BYTES, Habit, WINDOW};
use super::*;
use crate::abi::status as stor;

fn answers(value: &str) -> Vec<u32> {
    let mut port = PortOptions::default();
    port.set("dma-memory", value).unwrap();
    let (mut machine, _) = started_in(1, port, Habit::DmaMemory as u32);
    let seen = miniport::seen(machine.extension()).dma;
    for it in &seen {
        assert_eq!(it.va == 0, it.answer != stor::SUCCESS, "{it:x?}");
    }
    machine.stop_and_remove().unwrap();
    assert_eq!(machine.rules().violations(), []);
    seen.iter().map(|it| it.answer).collect()
}

#[test]
fn memory_lies_in_its_window_and_does_not_cross_its_boundary() {
    let (machine, _) = started_in(1, PortOptions::default(), Habit::DmaMemory as u32);
    let seen = miniport::seen(machine.extension()).dma;
    assert_eq!(seen.len(), 4);
    for it in seen {
        let (first, last) = (it.pa, it.pa + BYTES - 1);
        assert!(WINDOW.contains(&first) && WINDOW.contains(&last), "{it:x?}");
        assert_eq!(first / BOUNDARY, last / BOUNDARY, "{it:x?}");
    }
}

#[test]
fn memory_is_refused_as_the_options_say() {
    let (ok, refused) = (stor::SUCCESS, stor::INSUFFICIENT_RESOURCES);
    assert_eq!(answers("ok"), [ok; 4]);
    assert_eq!(answers("refuse"), [refused; 4]);
    assert_eq!(answers("notimplemented"), [stor::NOT_IMPLEMENTED; 4]);
    assert_eq!(answers("nth:2"), [ok, refused, ok, ok]);
    assert_eq!(answers("limit:45"), [ok, ok, refused, refused]);
}

#[test]
fn memory_that_no_moment_is_left_to_free_is_no_leak() {
    let broken_at = |stop, pnp| {
        let port = PortOptions {
            stop,
            pnp,
            ..PortOptions::default()
        };
        broken(&life(2, port, Fault::DmaKept).unwrap().0)
    };
    assert_eq!(broken_at(Stop::DirqlNoDpc, false), Vec::<&str>::new());
    for (stop, pnp) in [(Stop::DirqlNoDpc, true), (Stop::Dirql, false)] {
        assert_eq!(broken_at(stop, pnp), ["leak-dma-memory"], "{stop:?}, {pnp}");
    }
}

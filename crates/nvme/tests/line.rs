//! An interrupt line that stays asserted: whose it is, and what becomes of the mask.

use nvme::Instant;
use nvme::line::{LineVisit, LineWatch};

const LIMIT: u32 = 256;
const SECOND_US: u64 = 1_000_000;

/// A watch, and a machine around it whose clock goes on with each interrupt.
struct Line {
    watch: LineWatch,
    now: Instant,
}

impl Line {
    fn new() -> Self {
        Self {
            watch: LineWatch::new(),
            now: Instant::from_ns(5_000_000_000),
        }
    }

    fn pass(&mut self, us: u64) {
        self.now = self.now.after_us(us);
    }

    /// Interrupts that nothing explains, one every `every_us`: after how many the mask is wanted.
    fn storm(&mut self, most: u32, every_us: u64) -> Option<u32> {
        (1..=most).find(|_| {
            self.pass(every_us);
            self.watch.unexplained(|| self.now)
        })
    }

    /// Interrupts under the mask: after how many it is to be lifted.
    fn under_the_mask(&mut self, most: u32) -> Option<u32> {
        (1..=most).find(|_| {
            self.pass(1);
            self.watch.while_masked(|| self.now)
        })
    }

    fn visit_after(&mut self, us: u64) -> LineVisit {
        self.pass(us);
        self.watch.visit(|| self.now)
    }

    /// A line of the controller's that stays up, until it is known for that.
    fn held() -> Self {
        let mut line = Self::new();
        assert_eq!(line.storm(10_000, 2), Some(LIMIT));
        assert_eq!(line.visit_after(1_000), LineVisit::Unmask);
        assert_eq!(line.storm(10_000, 2), Some(LIMIT));
        assert_eq!(line.visit_after(1_000), LineVisit::Held(SECOND_US));
        assert!(line.watch.masks());
        line
    }
}

#[test]
fn a_line_that_falls_silent_under_the_mask_twice_is_the_controllers() {
    let mut line = Line::held();
    assert_eq!(line.visit_after(0), LineVisit::Masked(SECOND_US));
    assert_eq!(
        line.visit_after(400_000),
        LineVisit::Masked(SECOND_US - 400_000)
    );
}

#[test]
fn a_probe_takes_its_time_and_forgives_interrupts_that_were_on_their_way() {
    let mut line = Line::new();
    line.storm(10_000, 2);
    assert_eq!(line.under_the_mask(2), None);
    assert_eq!(line.visit_after(98), LineVisit::Masked(900));
    assert_eq!(line.visit_after(900), LineVisit::Unmask);
    assert_eq!(line.storm(10_000, 2), Some(LIMIT));
    assert_eq!(line.visit_after(1_000), LineVisit::Held(SECOND_US));
}

#[test]
fn a_held_line_is_tried_again_ever_more_seldom() {
    let mut line = Line::held();
    for doubled in [0, 1, 2, 3, 4, 5, 6, 6, 6] {
        let hold_us = SECOND_US << doubled;
        assert_eq!(line.visit_after(hold_us - 1), LineVisit::Masked(1));
        assert_eq!(line.visit_after(1), LineVisit::Unmask);
        assert!(!line.watch.masks());
        assert_eq!(line.storm(10_000, 2), Some(LIMIT));
        assert_eq!(line.visit_after(1_000), LineVisit::Held(SECOND_US));
    }
}

#[test]
fn one_that_was_let_go_needs_two_proofs_again() {
    let mut line = Line::held();
    assert_eq!(line.visit_after(SECOND_US), LineVisit::Unmask);
    line.pass(10 * SECOND_US);
    assert_eq!(line.storm(10_000, 2), Some(LIMIT));
    assert_eq!(line.visit_after(1_000), LineVisit::Unmask);
}

#[test]
fn interrupts_that_go_on_are_another_devices_and_it_is_asked_ever_more_seldom() {
    let mut line = Line::new();
    for limit in [256, 2048, 16_384, 131_072, 131_072] {
        assert_eq!(line.storm(1_000_000, 2), Some(limit));
        assert_eq!(line.under_the_mask(100), Some(16));
        assert!(!line.watch.masks());
        assert_eq!(line.visit_after(2_000), LineVisit::Quiet);
    }
}

#[test]
fn a_slower_device_is_known_at_the_end_of_the_probe() {
    let mut line = Line::new();
    line.storm(10_000, 2);
    assert_eq!(line.under_the_mask(3), None);
    assert_eq!(line.visit_after(1_000), LineVisit::Unmask);
    assert_eq!(line.storm(10_000, 2), Some(LIMIT * 8));
}

#[test]
fn interrupts_of_a_busy_neighbour_are_no_storm() {
    let mut line = Line::new();
    assert_eq!(line.storm(100_000, 50), None);
    assert_eq!(line.visit_after(0), LineVisit::Quiet);
}

#[test]
fn a_mask_that_a_reset_has_taken_away_is_wanted_again() {
    let mut line = Line::held();
    assert!(line.watch.unexplained(|| line.now));
    line.watch.start_anew();
    assert!(!line.watch.unexplained(|| line.now));
    assert_eq!(line.visit_after(0), LineVisit::Quiet);
}

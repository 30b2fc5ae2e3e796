//! Random controllers, port drivers and policies, each for a whole life from start to removal: whatever they are, what is lent
//! is what the controller can use, and every byte that was granted is accounted for.

use std::env;
use std::process::Command;

use portbed::machine::{LogicalUnit, MachineError, PowerAction};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::Config;
use rusty_fork::ChildWrapper;

use crate::bed::Bed;
use crate::lending::{SECOND_NS, assert_balanced, read};

/// Lives that are led; each takes a process of its own.
const CASES: u32 = 64;
/// How a process is told which life to lead.
const PROFILE: &str = "FERROSTOR_TEST_PROFILE";

/// Pages of 4 KiB, few or many.
fn pages(most: u64) -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), 1..16_u64, 1..most].prop_map(|pages| pages * 4096)
}

/// What the controller wants, and what the machine's owner allows.
fn sizes() -> impl Strategy<Value = String> {
    let wants = (
        pages(24_000),
        pages(12_000),
        pages(2_000),
        prop_oneof![Just(0), 1..6_u32, 1..400_u32],
    );
    let allows = (0..80_u32, 0..80_u32, 0..160_u32);
    (wants, allows).prop_map(|((hmpre, hmmin, hmminds, hmmaxd), (maximum, honour, total))| {
        format!(
            "hmb,hmpre={hmpre},hmmin={hmmin},hmminds={hmminds},hmmaxd={hmmaxd},\
             reg.HmbMaximumMegabytes={maximum},reg.HmbHonourMinimumUpToMegabytes={honour},reg.HmbTotalMegabytes={total}"
        )
    })
}

/// What the controller answers, and when it dies.
fn controller() -> impl Strategy<Value = String> {
    let enable = select(vec!["ok", "ok", "ok", "refused", "never", "late"]);
    let disable = select(vec!["ok", "ok", "fails", "never", "late"]);
    let reset = select(vec!["ok", "ok", "ok", "never"]);
    let dies = prop_oneof![
        3 => Just("never".to_owned()),
        1 => pages(16_000).prop_map(|bytes| format!("lent:{bytes}")),
        1 => (1..60_u32).prop_map(|number| format!("command:{number}")),
    ];
    let death = select(vec!["fatal", "silent", "gone"]);
    (enable, disable, reset, dies, death, 100..30_000_u32).prop_map(
        |(enable, disable, reset, dies, death, late)| {
            format!("enable={enable},disable={disable},reset={reset},dies={dies},death={death},late={late}")
        },
    )
}

/// What the port driver grants, and how it stops the adapter.
fn port() -> impl Strategy<Value = String> {
    let grant = prop_oneof![
        select(vec![
            "preferred",
            "minimum",
            "half",
            "refuse",
            "invalid",
            "notimplemented"
        ])
        .prop_map(str::to_owned),
        (1..300_u32).prop_map(|count| format!("ranges:{count}")),
        (1..3_u32).prop_map(|times| format!("later:{times}")),
    ];
    let free = select(vec!["ok", "ok", "ok", "unsuccessful"]);
    let pnp = select(vec!["on", "off"]);
    let interrupts = select(vec!["messages", "message", "line"]);
    (grant, free, pnp, interrupts).prop_map(|(grant, free, pnp, interrupts)| {
        format!("grant={grant},free={free},pnp={pnp},interrupts={interrupts}")
    })
}

/// Leads the life of this profile.
fn live(profile: &str) {
    let mut bed = Bed::new(profile);
    let started = bed.machine.start_adapter();
    let units = match started {
        Ok(()) => bed.machine.enumerate().unwrap_or_else(|error| {
            assert!(matches!(error, MachineError::Enumerate(_)), "{error}");
            Vec::new()
        }),
        Err(error) => {
            assert!(matches!(error, MachineError::Start(_)), "{error}");
            return judge(bed);
        }
    };
    use_disk(&mut bed, &units);
    bed.machine
        .power_down(PowerAction::Sleep)
        .expect("the adapter powers down");
    bed.machine.power_up().expect("the adapter powers up");
    use_disk(&mut bed, &units);
    bed.machine.reset_bus().expect("the bus is reset");
    bed.machine.pass(300 * SECOND_NS).expect("time passes");
    use_disk(&mut bed, &units);
    bed.machine.stop_and_remove().expect("the adapter stops");
    judge(bed);
}

/// Reads a little; whether that works is not the question.
fn use_disk(bed: &mut Bed, units: &[LogicalUnit]) {
    for unit in units {
        for block in 0..4 {
            bed.machine
                .execute(read(unit, block * 128))
                .expect("it runs on");
        }
    }
}

fn judge(mut bed: Bed) {
    let leaks = bed.machine.unload().expect("the driver unloads");
    assert_eq!(leaks, Vec::<String>::new());
    let violations = bed.machine.rules().violations();
    assert!(violations.is_empty(), "{violations:#?}");
    let report = bed.machine.hmb();
    assert_eq!(report.outstanding_bytes, 0);
    assert_balanced(&report);
}

/// Leads a life in a process of its own: whether it went well.
fn lives_well(profile: &str) -> bool {
    fn body() {
        live(&env::var(PROFILE).expect("a profile"));
    }
    fn supervise(child: &mut ChildWrapper, _: &mut std::fs::File) -> bool {
        child.wait().expect("a child").success()
    }
    rusty_fork::fork(
        rusty_fork::rusty_fork_test_name!(lives_from_start_to_removal_keep_to_every_limit),
        rusty_fork::rusty_fork_id!(),
        |command: &mut Command| {
            command.env(PROFILE, profile);
        },
        supervise,
        body,
    )
    .expect("a process")
}

/// Lives that went wrong once.
const LESSONS: [&str; 3] = [
    // The flush before D3 is given up when the controller dies of it, and was still the miniport's at D3.
    "plain,dies=command:19,death=fatal,late=100",
    // The power went before a controller that had been disabled by force was still.
    "hmb,disable=never",
    // Of a controller that cannot be stopped nothing can be asked when the power goes.
    "hmb,disable=fails,reset=never",
];

#[test]
fn lives_that_went_wrong_once_go_well() {
    for profile in LESSONS {
        assert!(lives_well(profile), "cargo run -- run --profile {profile}");
    }
}

proptest! {
    #![proptest_config(Config { cases: CASES, failure_persistence: None, ..Config::default() })]

    #[test]
    fn lives_from_start_to_removal_keep_to_every_limit(sizes in sizes(), controller in controller(), port in port()) {
        let profile = format!("{sizes},{controller},{port}");
        prop_assert!(lives_well(&profile), "cargo run -- run --profile {profile}");
    }
}

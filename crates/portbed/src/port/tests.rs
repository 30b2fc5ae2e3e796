//! The port driver against a small miniport that lives in this process, on a small device.

mod device;
mod dma;
mod miniport;
mod performance;

use std::collections::{BTreeMap, BTreeSet};

use self::device::Device;
use self::miniport::{Fault, Habit};
use crate::abi::srb::status;
use crate::journal::{Journal, Who};
use crate::machine::{
    Clock, Completed, Data, Grant, Interrupts, Machine, MachineError, MachineOptions, PortOptions,
    PowerAction, Request, SrbKind, Stop, UnitAddress,
};

fn machine(seed: u64, port: PortOptions, way: u32) -> (Machine, Journal) {
    machine_on(Clock::default(), seed, port, way)
}

fn machine_on(clock: Clock, seed: u64, port: PortOptions, way: u32) -> (Machine, Journal) {
    let journal = Journal::default();
    let options = MachineOptions {
        cpus: 2,
        clock,
        seed,
        port,
        registry: BTreeMap::from([("Fault".to_owned(), way)]),
        controllers: vec![Box::new(Device::default())],
        journal: journal.clone(),
    };
    (Machine::new(options).unwrap(), journal)
}

fn started(seed: u64, port: PortOptions, fault: Fault) -> (Machine, Journal) {
    started_in(seed, port, fault as u32)
}

/// As [`started`], in whichever way the number of a fault or of a habit says.
fn started_in(seed: u64, port: PortOptions, way: u32) -> (Machine, Journal) {
    let (mut machine, journal) = machine(seed, port, way);
    machine.load_entry(miniport::driver_entry).unwrap();
    machine.start_adapter().unwrap();
    (machine, journal)
}

fn read(block: u32, bytes: usize, srb: SrbKind) -> Request {
    let mut cdb = vec![0x28, 0, 0, 0, 0, 0, 0, 0, (bytes / 512) as u8, 0];
    cdb[2..6].copy_from_slice(&block.to_be_bytes());
    Request {
        cdb,
        data: Data::In(bytes),
        srb,
        buffer_offset: 520,
        ..Request::default()
    }
}

/// Everything from the adapter's start to its removal, with some reads in between.
fn life(
    seed: u64,
    port: PortOptions,
    fault: Fault,
) -> Result<(Machine, Journal, Vec<String>), MachineError> {
    life_in(seed, port, fault as u32)
}

fn life_in(
    seed: u64,
    port: PortOptions,
    way: u32,
) -> Result<(Machine, Journal, Vec<String>), MachineError> {
    let (mut machine, journal) = started_in(seed, port, way);
    machine.enumerate()?;
    for round in 0..6 {
        let srb = if round % 2 == 0 {
            SrbKind::Scsi
        } else {
            SrbKind::Storage
        };
        machine.submit(read(round, 4096, srb))?;
    }
    machine.drain()?;
    machine.power_down(PowerAction::None)?;
    machine.power_up()?;
    machine.stop_and_remove()?;
    let leaks = machine.unload()?;
    Ok((machine, journal, leaks))
}

fn broken(machine: &Machine) -> Vec<&'static str> {
    let mut rules: Vec<_> = machine
        .rules()
        .violations()
        .iter()
        .map(|violation| violation.rule)
        .collect();
    rules.dedup();
    rules
}

#[test]
fn a_miniport_that_obeys_breaks_no_rule() {
    for seed in 0..8 {
        let (machine, _, leaks) = life(seed, PortOptions::default(), Fault::None).unwrap();
        assert_eq!(machine.rules().violations(), [], "seed {seed}");
        assert!(leaks.is_empty());
        assert!(
            machine.rules().checked() >= 70,
            "{} rules",
            machine.rules().checked()
        );
        let hmb = machine.hmb();
        assert_eq!(
            (hmb.granted_bytes, hmb.freed, hmb.outstanding_bytes),
            (1 << 20, 1, 0)
        );
    }
}

#[test]
fn what_a_miniport_may_do_breaks_no_rule() {
    for habit in Habit::ALL {
        for seed in 3..7 {
            let (machine, _, leaks) = life_in(seed, PortOptions::default(), habit as u32).unwrap();
            assert_eq!(machine.rules().violations(), [], "{habit:?}");
            assert!(leaks.is_empty(), "{habit:?}");
        }
    }
}

#[test]
fn transfers_have_no_more_breaks_than_the_adapter_takes() {
    let longest = |habit: Habit| {
        let (machine, _) = started_in(1, PortOptions::default(), habit as u32);
        machine.max_transfer_bytes()
    };
    assert_eq!(longest(Habit::ExactBreaks), 64 << 10);
    assert_eq!(longest(Habit::ScarceBreaks), 17 * 4096);
}

#[test]
fn what_is_kept_does_not_grow_with_the_number_of_requests() {
    let (mut machine, journal) = started_in(1, PortOptions::default(), 0);
    let mut kept_after = |requests: u32| {
        for block in 0..requests {
            machine
                .execute(read(block % 64, 4096, SrbKind::Scsi))
                .unwrap();
        }
        (
            machine.allocations(),
            journal.events().len(),
            machine.rules().violations().len(),
        )
    };
    let once = kept_after(400);
    assert_eq!(kept_after(400), once);
    assert_eq!(kept_after(800), once);
}

#[test]
fn what_is_done_after_the_completion_is_part_of_the_cost() {
    let writes = |way| {
        let (mut machine, _) = started_in(1, PortOptions::default(), way);
        let before = machine.cost();
        for block in 0..8 {
            machine.execute(read(block, 512, SrbKind::Scsi)).unwrap();
            machine.drain().unwrap();
        }
        let cost = machine.cost();
        assert_eq!(cost.requests - before.requests, 8);
        cost.mmio_writes - before.mmio_writes
    };
    assert_eq!(writes(Habit::RegisterAfterCompletion as u32) - writes(0), 8);
}

#[test]
fn tags_stay_below_the_number_of_outstanding_requests() {
    let (mut machine, _) = started_in(1, PortOptions::default(), Habit::TagTable as u32);
    for round in 0..300 {
        let srb = [SrbKind::Scsi, SrbKind::Storage][round % 2];
        machine.submit(read(round as u32, 512, srb)).unwrap();
    }
    assert_eq!(machine.drain().unwrap().len(), 300);
}

#[test]
fn what_is_not_implemented_is_told_once() {
    for (habit, told) in [
        (Habit::BusReader, "StorPortGetBusData of bus data type 5"),
        (
            Habit::ManyCalls,
            "StorPortGetD3ColdSupport (extended function 67) is not implemented",
        ),
    ] {
        let (_, journal) = started_in(1, PortOptions::default(), habit as u32);
        let events = journal.events();
        let told = events.iter().filter(|event| event.what.contains(told));
        assert_eq!(told.count(), 1, "{habit:?}");
    }
}

#[test]
fn overruns_are_told_where_they_show_first_and_name_the_memory() {
    let overruns = |machine: &Machine| {
        let all = machine.rules().violations().into_iter();
        let overruns = all.filter(|violation| violation.rule == "memory-overrun");
        overruns.map(|it| (it.place, it.what)).collect::<Vec<_>>()
    };
    let (machine, ..) = life(1, PortOptions::default(), Fault::SenseBehindItsEnd).unwrap();
    let [(place, what)] = &overruns(&machine)[..] else {
        panic!("{:?}", overruns(&machine));
    };
    assert_eq!(place, "HwDpcRoutine");
    assert!(
        what.ends_with(", sense buffer: something was written 0 bytes behind them"),
        "{what}"
    );

    let (mut machine, _) = started(1, PortOptions::default(), Fault::OverrunAtTheEnd);
    machine.enumerate().unwrap();
    machine.submit(read(1, 512, SrbKind::Scsi)).unwrap();
    assert!(machine.stop_and_remove().is_err(), "the DPC never ends");
    let told = overruns(&machine);
    assert!(
        told.iter()
            .any(|(_, what)| what.contains("pool of HwPassiveInitialize, tag bnch")),
        "{told:?}"
    );
}

#[test]
fn the_same_seed_gives_the_same_run_and_another_one_a_different_run() {
    let events = |seed| {
        let (machine, journal, _) = life(seed, PortOptions::default(), Fault::None).unwrap();
        (journal.events(), machine.now_ns())
    };
    assert_eq!(events(3), events(3));
    assert_ne!(events(3).1, events(4).1);
}

#[test]
fn data_of_every_transfer_are_those_of_the_device() {
    let (mut machine, _) = started(1, PortOptions::default(), Fault::None);
    let units = machine.enumerate().unwrap();
    assert_eq!(units.len(), 1);
    assert_eq!((units[0].blocks, units[0].block_bytes), (2048, 512));
    assert_eq!(
        (units[0].vendor.as_str(), units[0].product.as_str()),
        ("Bench", "Device")
    );
    for (block, srb) in [(1, SrbKind::Scsi), (2, SrbKind::Storage)] {
        let completed = machine.execute(read(block, 8192, srb)).unwrap();
        assert_eq!(completed.srb_status, status::SUCCESS);
        assert_eq!(completed.data, vec![device::pattern(block); 8192]);
    }
}

#[test]
fn a_command_that_is_refused_brings_its_sense_data() {
    let (mut machine, _) = started(1, PortOptions::default(), Fault::None);
    let Completed {
        srb_status,
        scsi_status,
        sense,
        ..
    } = machine
        .execute(Request {
            cdb: vec![0xC0; 10],
            ..Request::default()
        })
        .unwrap();
    assert_eq!((srb_status, scsi_status), (status::ERROR, 2));
    assert_eq!(sense.unwrap()[..3], [0x70, 0, 5]);
}

#[test]
fn units_that_are_not_there_are_not_enumerated() {
    let (mut machine, _) = started(1, PortOptions::default(), Fault::None);
    let unit = UnitAddress {
        lun: 1,
        ..UnitAddress::default()
    };
    let completed = machine
        .execute(Request {
            unit,
            cdb: vec![0; 6],
            ..Request::default()
        })
        .unwrap();
    assert_eq!(completed.srb_status, status::NO_DEVICE);
}

#[test]
fn line_and_message_interrupts_both_work() {
    for interrupts in [Interrupts::Line, Interrupts::OneMessage] {
        let port = PortOptions {
            interrupts,
            ..PortOptions::default()
        };
        let (machine, _, _) = life(5, port, Fault::None).unwrap();
        assert_eq!(machine.rules().violations(), []);
    }
}

#[test]
fn an_early_message_comes_before_the_adapter_is_initialised() {
    // Which processor initialises the adapter depends on the seed; the device here leaves no message pending by itself.
    for seed in 0..8 {
        for clock in [Clock::default(), Clock::Threaded] {
            let port = PortOptions {
                interrupts: Interrupts::Early,
                ..PortOptions::default()
            };
            let rules = |way| {
                let (mut machine, _) = machine_on(clock, seed, port.clone(), way);
                machine.load_entry(miniport::driver_entry).unwrap();
                machine.start_adapter().unwrap();
                broken(&machine)
            };
            assert_eq!(rules(0), ["dpc-initialized"], "seed {seed}, {clock:?}");
            assert_eq!(rules(Habit::CautiousMessage as u32), [""; 0]);
        }
    }
}

#[test]
fn grants_are_as_the_options_say() {
    let granted = |grant| {
        let (machine, _) = started(
            1,
            PortOptions {
                grant,
                ..PortOptions::default()
            },
            Fault::None,
        );
        (machine.hmb().granted_bytes, machine.hmb().ranges)
    };
    assert_eq!(granted(Grant::Preferred), (1 << 20, 1));
    assert_eq!(granted(Grant::Minimum), (256 << 10, 1));
    assert_eq!(granted(Grant::Half), (512 << 10, 1));
    assert_eq!(granted(Grant::Refuse), (0, 0));
    assert_eq!(granted(Grant::NotImplemented), (0, 0));
    assert_eq!(granted(Grant::Ranges(5)), (1 << 20, 5));
    assert_eq!(granted(Grant::Ranges(500)), (1 << 20, 8));
}

#[test]
fn memory_without_a_dpc_to_free_it_is_left_to_the_port_driver() {
    let port = |stop| PortOptions {
        stop,
        pnp: false,
        ..PortOptions::default()
    };
    let (machine, _, _) = life(2, port(Stop::Dirql), Fault::None).unwrap();
    assert_eq!(
        (machine.hmb().freed, machine.hmb().left_to_port_bytes),
        (1, 0)
    );
    assert_eq!(machine.rules().violations(), []);
    let (machine, _, _) = life(2, port(Stop::DirqlNoDpc), Fault::None).unwrap();
    assert_eq!(
        (machine.hmb().freed, machine.hmb().left_to_port_bytes),
        (0, 1 << 20)
    );
    assert_eq!(machine.rules().violations(), []);
}

#[test]
fn a_timer_routine_that_runs_at_the_stop_comes_to_its_end_first() {
    for stop in [Stop::Passive, Stop::Dirql, Stop::DirqlNoDpc] {
        for seed in 0..16 {
            let port = PortOptions {
                stop,
                ..PortOptions::default()
            };
            let (machine, _, leaks) = life_in(seed, port, Habit::LongTimer as u32).unwrap();
            assert_eq!(machine.rules().violations(), [], "{stop:?}, seed {seed}");
            assert!(leaks.is_empty(), "{leaks:?}");
        }
    }
}

#[test]
fn a_request_that_never_comes_back_is_recovered_by_resets() {
    let (mut machine, journal) = started(1, PortOptions::default(), Fault::None);
    let lost = Request {
        cdb: vec![miniport::LOSE_UNTIL_RESET; 6],
        timeout_s: 3,
        ..Request::default()
    };
    let completed = machine.execute(lost).unwrap();
    assert_eq!(completed.srb_status, status::BUS_RESET);
    assert!(machine.now_ns() >= 13_000_000_000);
    assert!(
        journal
            .events()
            .iter()
            .any(|event| event.what.contains("the bus is reset"))
    );
    assert_eq!(machine.rules().violations(), []);
}

#[test]
fn a_busy_request_is_sent_again_in_the_same_block() {
    let (mut machine, _) = started(1, PortOptions::default(), Fault::None);
    let completed = machine
        .execute(Request {
            cdb: vec![miniport::BUSY_ONCE; 6],
            ..Request::default()
        })
        .unwrap();
    assert!(completed.succeeded());
    assert!(machine.now_ns() >= 250_000_000);
    assert_eq!(machine.rules().violations(), []);
}

#[test]
fn events_of_the_miniport_are_noted_with_their_parameters() {
    let (_, journal) = started(1, PortOptions::default(), Fault::None);
    let told = journal
        .events()
        .into_iter()
        .find(|event| event.who == Who::Driver)
        .unwrap();
    assert_eq!(told.what, "adapter ready, Channels=1, Bytes=4096");
}

#[test]
fn surprise_removal_ends_without_the_device() {
    let (mut machine, _) = started(1, PortOptions::default(), Fault::None);
    machine.enumerate().unwrap();
    machine.surprise_remove().unwrap();
    machine.unload().unwrap();
    assert_eq!(machine.rules().violations(), []);
    assert_eq!(machine.hmb().freed, 1);
}

#[test]
fn an_adapter_that_is_not_there_is_told() {
    let (mut machine, _) = machine(1, PortOptions::default(), Fault::NotFound as u32);
    machine.load_entry(miniport::driver_entry).unwrap();
    assert!(matches!(
        machine.start_adapter(),
        Err(MachineError::Start(_))
    ));
}

#[test]
fn each_fault_breaks_its_rule() {
    let mut missed = Vec::new();
    for &(fault, rule) in miniport::FAULTS {
        let rules = match life(7, PortOptions::default(), fault) {
            Ok((machine, _, _)) => broken(&machine),
            Err(MachineError::Fatal { rule, .. }) => vec![rule],
            Err(error) => panic!("{fault:?}: {error}"),
        };
        if !rules.contains(&rule) {
            missed.push(format!("{fault:?} broke {rules:?} instead of {rule}"));
        }
    }
    assert!(missed.is_empty(), "{missed:#?}");
}

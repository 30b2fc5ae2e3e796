//! The Host Memory Buffer.

mod answers;

use nvme_model::{Access, Power, Rule};
use nvme_spec::command::{AdminOpcode, Command, NvmOpcode};
use nvme_spec::completion::Completion;
use nvme_spec::feature::{HostMemoryBufferAttributes, HostMemoryBufferDescriptor};
use nvme_spec::registers::CC;
use nvme_spec::status::Status;
use zerocopy::IntoBytes;

use crate::host::{BASE, Host, PAGE, Pair, admin, nvm, status};

/// A controller that wants 256 KiB and needs 64 KiB.
const SMALL: &[(&str, &str)] = &[("hmpre", "256K"), ("hmmin", "64K")];
const EHM: u32 = 1;
const MR: u32 = 2;

/// What a host lends.
#[derive(Clone)]
struct Loan {
    list: u64,
    entries: Vec<(u64, u32)>,
    pages: u32,
    count: u32,
}

impl Loan {
    /// Ranges of so many pages each, with a gap after each.
    fn new(host: &mut Host, ranges: &[u32]) -> Self {
        let list = host.alloc(PAGE);
        let mut entries = Vec::new();
        for pages in ranges {
            entries.push((host.alloc(u64::from(*pages) * PAGE), *pages));
            host.alloc(PAGE);
        }
        Self {
            list,
            entries,
            pages: ranges.iter().sum(),
            count: ranges.len() as u32,
        }
    }

    /// Writes the list; the command that lends the memory.
    fn enable(&self, host: &mut Host, flags: u32) -> Command {
        for (index, (badd, bsize)) in (0..).zip(&self.entries) {
            let entry = HostMemoryBufferDescriptor {
                badd: *badd,
                bsize: *bsize,
                reserved: 0,
            };
            let at = (self.list & !15) + index * 16;
            host.machine.put(at, entry.as_bytes());
        }
        Command {
            cdw10: 0x0D,
            cdw11: flags,
            cdw12: self.pages,
            cdw13: self.list as u32,
            cdw14: (self.list >> 32) as u32,
            cdw15: self.count,
            ..admin(AdminOpcode::SET_FEATURES)
        }
    }
}

fn disable() -> Command {
    Command {
        cdw10: 0x0D,
        ..admin(AdminOpcode::SET_FEATURES)
    }
}

/// Lends, and gives what came of it.
fn lend(host: &mut Host, loan: &Loan, flags: u32) -> Completion {
    let command = loan.enable(host, flags);
    host.admin(command)
}

fn lend_ok(host: &mut Host, loan: &Loan, flags: u32) {
    let completion = lend(host, loan, flags);
    assert_eq!(status(&completion), Status::SUCCESS);
}

/// A controller of these settings that was lent ranges of so many pages.
fn lent(settings: &[(&str, &str)], ranges: &[u32]) -> (Host, Loan) {
    let mut host = Host::ready(settings);
    let loan = Loan::new(&mut host, ranges);
    lend_ok(&mut host, &loan, EHM);
    (host, loan)
}

/// Whether I/O commands make the controller use the memory.
fn is_used(host: &mut Host, pair: &mut Pair) -> bool {
    host.machine.accesses.clear();
    for _ in 0..20 {
        host.execute(pair, nvm(NvmOpcode::FLUSH, 1));
    }
    let mut accesses = host.machine.accesses.iter();
    accesses.any(|(why, ..)| *why == Access::Hmb)
}

/// Lends so many pages in one range.
pub fn lend_pages(host: &mut Host, pages: u32) {
    let loan = Loan::new(host, &[pages]);
    lend_ok(host, &loan, EHM);
}

fn scribble(host: &mut Host, at: u64) {
    host.machine.memory[(at - BASE) as usize] ^= 0xFF;
}

#[test]
fn memory_is_lent_used_and_returned() {
    let (mut host, loan) = lent(SMALL, &[16, 8]);
    let mut pair = host.io_queues(1, 8);
    let counters = host.controller.hmb();
    assert_eq!((counters.enabled, counters.lent_bytes), (1, 24 * PAGE));
    assert_eq!(
        counters.ranges,
        [
            (loan.entries[0].0, 16 * PAGE),
            (loan.entries[1].0, 8 * PAGE)
        ]
    );
    for (base, pages) in &loan.entries {
        for page in 0..u64::from(*pages) {
            assert_ne!(
                host.machine.get(base + page * PAGE, 8),
                [0; 8],
                "every page has a pattern"
            );
        }
    }
    assert!(is_used(&mut host, &mut pair));
    host.admin_ok(disable());
    assert!(!is_used(&mut host, &mut pair));
    let counters = host.controller.hmb();
    assert_eq!(
        (
            counters.disabled,
            counters.lent_bytes,
            counters.memory_returned
        ),
        (1, 0, 0)
    );
    host.assert_clean();
}

#[test]
fn no_more_is_used_than_is_preferred() {
    let (mut host, loan) = lent(SMALL, &[100]);
    let base = loan.entries[0].0;
    assert_ne!(host.machine.get(base + 63 * PAGE, 8), [0; 8]);
    assert_eq!(host.machine.get(base + 64 * PAGE, 8), [0; 8]);
    assert_eq!(host.controller.hmb().lent_bytes, 100 * PAGE);
    host.assert_clean();
}

#[test]
fn get_features_tells_what_is_lent() {
    let (mut host, loan) = lent(SMALL, &[16]);
    let mut get = admin(AdminOpcode::GET_FEATURES);
    get.cdw10 = 0x0D;
    let data: HostMemoryBufferAttributes = host.admin_data(get);
    assert_eq!((data.hsize, data.hmdlec), (16, 1));
    assert_eq!(
        u64::from(data.hmdlau) << 32 | u64::from(data.hmdlal),
        loan.list
    );
    get.prp1 = host.alloc(PAGE);
    assert_eq!(host.admin_ok(get), 1);
    host.admin_ok(disable());
    assert_eq!(host.admin_ok(get), 0);
    assert_eq!(host.machine.get(get.prp1, 16), [0; 16]);
    host.assert_clean();
}

#[test]
fn enabling_twice_is_a_sequence_error() {
    let (mut host, loan) = lent(SMALL, &[16]);
    let again = lend(&mut host, &loan, EHM);
    assert_eq!(status(&again), Status::COMMAND_SEQUENCE_ERROR);
    assert_eq!(host.broken(), [Rule::HmbSequence]);
    host.admin_ok(disable());
    host.assert_clean();
}

/// A fault in what is lent, and the rule that it breaks.
type Fault = (fn(&mut Loan), Rule);

#[test]
fn a_list_that_cannot_be_used_is_refused() {
    let faults: &[Fault] = &[
        (|loan| loan.list += 8, Rule::HmbListAddress),
        (|loan| loan.count = 0, Rule::HmbEntryCount),
        (|loan| loan.count = 5, Rule::HmbEntryCount),
        (|loan| loan.pages = 15, Rule::HmbMinimum),
        (|loan| loan.pages = 0, Rule::HmbMinimum),
        (|loan| loan.pages = 31, Rule::HmbSize),
        (|loan| loan.pages = 33, Rule::HmbSize),
        (|loan| loan.entries[0].0 += 512, Rule::HmbEntryAddress),
        (
            |loan| loan.entries[1] = loan.entries[0],
            Rule::HmbEntriesDistinct,
        ),
        (
            |loan| loan.entries[1].0 = loan.entries[0].0 + PAGE,
            Rule::HmbEntriesDistinct,
        ),
        (|loan| loan.entries[1].0 = !0xFFF, Rule::HmbEntriesDistinct),
        (
            |loan| (loan.entries[1].1, loan.pages) = (3, 19),
            Rule::HmbEntrySize,
        ),
    ];
    for (index, (fault, rule)) in faults.iter().enumerate() {
        let mut host = Host::ready(&[SMALL, &[("hmminds", "16K"), ("hmmaxd", "4")]].concat());
        let mut loan = Loan::new(&mut host, &[16, 16]);
        fault(&mut loan);
        let completion = lend(&mut host, &loan, EHM);
        assert_eq!(status(&completion), Status::INVALID_FIELD, "{index}");
        assert_eq!(host.broken(), [*rule], "{index}");
        assert_eq!(host.controller.hmb().lent_bytes, 0);
    }
}

#[test]
fn empty_entries_and_unreachable_lists_are_refused() {
    let mut host = Host::ready(SMALL);
    let mut loan = Loan::new(&mut host, &[16, 16]);
    (loan.entries[1].1, loan.pages) = (0, 16);
    assert_eq!(status(&lend(&mut host, &loan, EHM)), Status::INVALID_FIELD);
    assert_eq!(host.broken(), [Rule::HmbEntrySize]);
    let mut command = Loan::new(&mut host, &[16]).enable(&mut host, EHM);
    command.cdw13 = 0;
    assert_eq!(status(&host.admin(command)), Status::DATA_TRANSFER_ERROR);
}

#[test]
fn pages_are_as_large_as_cc_says() {
    let mut host = Host::cold(SMALL);
    let at = host.alloc(16 * PAGE).next_multiple_of(8192);
    host.set(nvme_spec::registers::AQA, 15 << 16 | 15);
    host.set64(nvme_spec::registers::ASQ, at);
    host.set64(nvme_spec::registers::ACQ, at + 8192);
    host.set(CC, Host::enabled().with_mps(1).into_bits());
    host.settle();
    host.admin = Pair::new(0, at, at + 8192, 16);
    let mut loan = Loan::new(&mut host, &[32]);
    loan.entries[0].0 = loan.entries[0].0.next_multiple_of(8192);
    (loan.entries[0].1, loan.pages) = (8, 8);
    lend_ok(&mut host, &loan, EHM);
    assert_eq!(host.controller.hmb().lent_bytes, 8 * 8192);
    host.admin_ok(disable());
    host.assert_clean();
    loan.entries[0].0 += 4096;
    assert_eq!(status(&lend(&mut host, &loan, EHM)), Status::INVALID_FIELD);
    assert_eq!(host.broken(), [Rule::HmbEntryAddress]);
}

#[test]
fn a_page_that_the_host_writes_is_found_at_disable() {
    let (mut host, loan) = lent(SMALL, &[16]);
    scribble(&mut host, loan.entries[0].0 + 9 * PAGE + 100);
    host.admin_ok(disable());
    assert_eq!(host.broken(), [Rule::HmbUntouched]);
}

#[test]
fn a_page_that_the_host_writes_is_found_at_an_io() {
    let (mut host, loan) = lent(SMALL, &[16]);
    let mut pair = host.io_queues(1, 8);
    scribble(&mut host, loan.entries[0].0 + 15 * PAGE);
    for _ in 0..8 {
        host.execute(&mut pair, nvm(NvmOpcode::FLUSH, 1));
    }
    assert_eq!(host.broken(), [Rule::HmbUntouched]);
}

#[test]
fn memory_is_in_use_until_a_reset_completes() {
    let (mut host, loan) = lent(SMALL, &[16]);
    host.set(CC, 0);
    scribble(&mut host, loan.entries[0].0);
    host.settle();
    assert_eq!(host.broken(), [Rule::HmbUntouched]);
}

#[test]
fn a_list_that_the_host_changes_is_found() {
    let (mut host, loan) = lent(SMALL, &[16]);
    scribble(&mut host, loan.list + 12);
    host.admin_ok(disable());
    assert_eq!(host.broken(), [Rule::HmbListKept]);
}

#[test]
fn memory_comes_back_after_a_disable_or_a_reset() {
    let (mut host, loan) = lent(SMALL, &[16, 16]);
    host.admin_ok(disable());
    lend_ok(&mut host, &loan, EHM | MR);
    host.set(CC, 0);
    host.settle();
    assert_eq!(host.controller.hmb().lent_bytes, 0);
    host.bring_up();
    lend_ok(&mut host, &loan, EHM | MR);
    let counters = host.controller.hmb();
    assert_eq!(
        (
            counters.enabled,
            counters.disabled,
            counters.memory_returned
        ),
        (3, 1, 2)
    );
    host.assert_clean();
}

#[test]
fn memory_comes_back_after_d3() {
    let (mut host, loan) = lent(SMALL, &[16]);
    host.admin_ok(disable());
    host.shut_down();
    for power in [Power::D3Cold, Power::D0] {
        host.controller.power(power, host.now_ns, &mut host.machine);
    }
    host.bring_up();
    lend_ok(&mut host, &loan, EHM | MR);
    host.assert_clean();
}

#[test]
fn memory_that_is_enabled_at_power_off_is_told() {
    let (mut host, _) = lent(SMALL, &[16]);
    host.shut_down();
    host.controller
        .power(Power::D3Cold, host.now_ns, &mut host.machine);
    assert_eq!(host.broken(), [Rule::HmbBeforePowerOff]);
    assert_eq!(host.controller.hmb().lent_bytes, 0);
}

#[test]
fn memory_is_the_hosts_again_once_the_controller_is_shut_down() {
    let mut host = Host::ready(SMALL);
    let loan = Loan::new(&mut host, &[16]);
    lend_ok(&mut host, &loan, EHM);
    host.shut_down();
    host.machine.put(loan.list, &[0; 16]);
    host.machine.put(loan.entries[0].0, &[0; 4096]);
    host.set(CC, 0);
    host.settle();
    host.assert_clean();
    // Before that it is not.
    host.bring_up();
    let loan = Loan::new(&mut host, &[16]);
    lend_ok(&mut host, &loan, EHM);
    host.machine.put(loan.entries[0].0, &[0; 4096]);
    host.shut_down();
    assert_eq!(host.broken(), [Rule::HmbUntouched]);
}

#[test]
fn memory_may_stay_lent_when_a_machine_is_switched_off_after_a_shutdown() {
    let mut host = Host::ready(SMALL);
    let loan = Loan::new(&mut host, &[16]);
    lend_ok(&mut host, &loan, EHM);
    host.shut_down();
    host.controller.switch_off(&mut host.machine);
    host.assert_clean();
    assert_eq!(host.controller.hmb().lent_bytes, 0);
    host.controller
        .power(Power::D0, host.now_ns, &mut host.machine);
    host.bring_up();
    host.controller.switch_off(&mut host.machine);
    assert_eq!(host.broken(), [Rule::ShutdownBeforePowerOff]);
}

#[test]
fn a_promise_that_is_not_kept_is_told() {
    let changes: &[fn(&mut Host, &mut Loan)] = &[
        |host, loan| scribble(host, loan.entries[0].0 + 5 * PAGE),
        |_, loan| loan.entries.swap(0, 1),
        |_, loan| (loan.entries[1].1, loan.pages) = (15, 31),
        |host, loan| loan.list = host.alloc(PAGE),
        |_, loan| (loan.count, loan.pages) = (1, 16),
    ];
    for (index, change) in changes.iter().enumerate() {
        let (mut host, mut loan) = lent(SMALL, &[16, 16]);
        host.admin_ok(disable());
        host.assert_clean();
        change(&mut host, &mut loan);
        lend_ok(&mut host, &loan, EHM | MR);
        assert_eq!(host.broken(), [Rule::HmbMemoryReturn], "{index}");
        host.admin_ok(disable());
        host.assert_clean();
    }
}

#[test]
fn nothing_was_lent_before_the_first_enable() {
    let mut host = Host::ready(SMALL);
    let loan = Loan::new(&mut host, &[16]);
    lend_ok(&mut host, &loan, EHM | MR);
    assert_eq!(host.broken(), [Rule::HmbMemoryReturn]);
}

#[test]
fn without_mr_the_contents_may_change() {
    let (mut host, loan) = lent(SMALL, &[16]);
    host.admin_ok(disable());
    scribble(&mut host, loan.entries[0].0);
    lend_ok(&mut host, &loan, EHM);
    host.admin_ok(disable());
    host.assert_clean();
}

#[test]
fn a_controller_that_wants_none_takes_none() {
    let mut host = Host::ready(&[("hmpre", "0"), ("hmmin", "0")]);
    let loan = Loan::new(&mut host, &[16]);
    assert_eq!(status(&lend(&mut host, &loan, EHM)), Status::INVALID_FIELD);
    assert_eq!(host.broken(), [Rule::HmbWanted]);
}

#[test]
fn disabling_what_is_not_enabled_is_no_error() {
    let mut host = Host::ready(SMALL);
    host.admin_ok(disable());
    assert_eq!(host.controller.hmb().disabled, 0);
    host.assert_clean();
}

#[test]
fn memory_that_is_gone_while_lent_is_told() {
    let mut host = Host::ready(SMALL);
    let mut pair = host.io_queues(1, 8);
    let loan = Loan::new(&mut host, &[16]);
    lend_ok(&mut host, &loan, EHM);
    host.machine
        .memory
        .truncate((loan.entries[0].0 - BASE) as usize);
    host.execute(&mut pair, nvm(NvmOpcode::FLUSH, 1));
    assert_eq!(host.broken(), [Rule::HmbUntouched, Rule::HmbUntouched]);
}

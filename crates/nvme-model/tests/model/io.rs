//! The commands of the NVM Command Set.

use nvme_model::{Access, Rule};
use nvme_spec::command::{Command, NvmOpcode};
use nvme_spec::status::Status;

use crate::host::{Host, PAGE, Pair, nvm, status};

/// A command on `blocks` blocks from `lba` on, with one page of data.
fn blocks(opcode: NvmOpcode, lba: u64, blocks: u32, prp1: u64) -> Command {
    Command {
        prp1,
        cdw10: lba as u32,
        cdw11: (lba >> 32) as u32,
        cdw12: blocks - 1,
        ..nvm(opcode, 1)
    }
}

fn with_io(settings: &[(&str, &str)]) -> (Host, Pair) {
    let mut host = Host::ready(settings);
    let pair = host.io_queues(1, 8);
    (host, pair)
}

fn content(seed: u8, bytes: usize) -> Vec<u8> {
    (0..bytes).map(|at| (at / 7) as u8 ^ seed).collect()
}

#[test]
fn what_is_written_is_read() {
    for block in ["512", "4096"] {
        let (mut host, mut pair) = with_io(&[("block", block)]);
        let (from, to) = (host.alloc(PAGE), host.alloc(PAGE));
        let count = 4096 / block.parse::<u32>().expect("a number");
        let data = content(3, 4096);
        host.machine.put(from, &data);
        let end = (1 << 20) / 4096 * u64::from(count) - u64::from(count);
        for lba in [0, 9, end] {
            let written = host.execute(&mut pair, blocks(NvmOpcode::WRITE, lba, count, from));
            assert_eq!(status(&written), Status::SUCCESS);
            let read = host.execute(&mut pair, blocks(NvmOpcode::READ, lba, count, to));
            assert_eq!(status(&read), Status::SUCCESS);
            assert_eq!(host.machine.get(to, 4096), data);
            host.machine.put(to, &[0; 4096]);
        }
        host.assert_clean();
    }
}

#[test]
fn the_wire_names_the_queue_and_command_of_each_transfer() {
    let (mut host, mut pair) = with_io(&[]);
    let page = host.alloc(PAGE);
    host.machine.accesses.clear();
    let read = host.execute(&mut pair, blocks(NvmOpcode::READ, 0, 8, page));
    let expected = [
        (Access::SubmissionEntry { queue: 1 }, pair.submission, 64),
        (
            Access::Data {
                queue: 1,
                cid: read.cid,
            },
            page,
            4096,
        ),
        (Access::CompletionEntry { queue: 1 }, pair.completion, 16),
    ];
    assert_eq!(host.machine.accesses, expected);
}

#[test]
fn blocks_beyond_the_namespace_are_out_of_range() {
    for (lba, count) in [(2048, 1), (2047, 2), (u64::MAX, 1), (u64::MAX, 8)] {
        for opcode in [
            NvmOpcode::READ,
            NvmOpcode::WRITE,
            NvmOpcode::COMPARE,
            NvmOpcode::WRITE_ZEROES,
        ] {
            let (mut host, mut pair) = with_io(&[]);
            let page = if opcode == NvmOpcode::WRITE_ZEROES {
                0
            } else {
                host.alloc(PAGE)
            };
            let completion = host.execute(&mut pair, blocks(opcode, lba, count, page));
            assert_eq!(status(&completion), Status::LBA_OUT_OF_RANGE);
            assert!(completion.status.do_not_retry());
            assert_eq!(host.broken(), [Rule::BlockRange]);
        }
    }
}

#[test]
fn namespaces_that_do_not_exist_are_invalid() {
    for nsid in [0, 2, u32::MAX] {
        let (mut host, mut pair) = with_io(&[]);
        let command = Command {
            nsid,
            ..blocks(NvmOpcode::READ, 0, 1, 0x10_0000)
        };
        let completion = host.execute(&mut pair, command);
        assert_eq!(status(&completion), Status::INVALID_NAMESPACE_OR_FORMAT);
        assert_eq!(host.broken(), [Rule::NamespaceUsed]);
    }
}

#[test]
fn namespaces_do_not_share_blocks() {
    let (mut host, mut pair) = with_io(&[("namespaces", "2")]);
    let page = host.alloc(PAGE);
    host.machine.put(page, &content(1, 512));
    host.execute(&mut pair, blocks(NvmOpcode::WRITE, 5, 1, page));
    let read = Command {
        nsid: 2,
        ..blocks(NvmOpcode::READ, 5, 1, page)
    };
    host.execute(&mut pair, read);
    assert_eq!(host.machine.get(page, 512), [0; 512]);
}

#[test]
fn a_transfer_larger_than_mdts_is_refused() {
    let (mut host, mut pair) = with_io(&[("mdts", "8K")]);
    let (first, second) = (host.alloc(PAGE), host.alloc(PAGE));
    let fits = Command {
        prp2: second,
        ..blocks(NvmOpcode::READ, 0, 16, first)
    };
    assert_eq!(status(&host.execute(&mut pair, fits)), Status::SUCCESS);
    host.assert_clean();
    let large = Command { cdw12: 16, ..fits };
    assert_eq!(
        status(&host.execute(&mut pair, large)),
        Status::INVALID_FIELD
    );
    assert_eq!(host.broken(), [Rule::TransferLimit]);
}

#[test]
fn unreachable_memory_is_a_transfer_error_that_may_be_retried() {
    let (mut host, mut pair) = with_io(&[]);
    let completion = host.execute(&mut pair, blocks(NvmOpcode::WRITE, 0, 1, 0x1000));
    assert_eq!(status(&completion), Status::DATA_TRANSFER_ERROR);
    assert!(!completion.status.do_not_retry());
}

#[test]
fn compare_tells_equal_from_different() {
    let (mut host, mut pair) = with_io(&[]);
    let page = host.alloc(PAGE);
    host.machine.put(page, &content(9, 1024));
    host.execute(&mut pair, blocks(NvmOpcode::WRITE, 4, 2, page));
    let same = host.execute(&mut pair, blocks(NvmOpcode::COMPARE, 4, 2, page));
    assert_eq!(status(&same), Status::SUCCESS);
    host.machine.memory[(page - crate::host::BASE) as usize + 700] ^= 1;
    let different = host.execute(&mut pair, blocks(NvmOpcode::COMPARE, 4, 2, page));
    assert_eq!(status(&different), Status::COMPARE_FAILURE);
    host.assert_clean();
}

#[test]
fn write_zeroes_zeroes_its_blocks_only() {
    let (mut host, mut pair) = with_io(&[]);
    let page = host.alloc(PAGE);
    host.machine.put(page, &[7; 4096]);
    host.execute(&mut pair, blocks(NvmOpcode::WRITE, 0, 8, page));
    let zeroed = host.execute(&mut pair, blocks(NvmOpcode::WRITE_ZEROES, 2, 3, 0));
    assert_eq!(status(&zeroed), Status::SUCCESS);
    host.execute(&mut pair, blocks(NvmOpcode::READ, 0, 8, page));
    let expected: Vec<u8> = [[7; 1024].as_slice(), &[0; 1536], &[7; 1536]].concat();
    assert_eq!(host.machine.get(page, 4096), expected);
    host.assert_clean();
}

fn range(lba: u64, count: u32) -> [u8; 16] {
    let mut range = [0; 16];
    range[4..8].copy_from_slice(&count.to_le_bytes());
    range[8..].copy_from_slice(&lba.to_le_bytes());
    range
}

#[test]
fn deallocated_blocks_read_as_zero() {
    let (mut host, mut pair) = with_io(&[]);
    let page = host.alloc(PAGE);
    host.machine.put(page, &[7; 4096]);
    host.execute(&mut pair, blocks(NvmOpcode::WRITE, 0, 8, page));
    let list = host.alloc(PAGE);
    host.machine.put(list, &[range(1, 2), range(6, 1)].concat());
    let trim = Command {
        prp1: list,
        cdw10: 1,
        cdw11: 4,
        ..nvm(NvmOpcode::DATASET_MANAGEMENT, 1)
    };
    assert_eq!(status(&host.execute(&mut pair, trim)), Status::SUCCESS);
    host.execute(&mut pair, blocks(NvmOpcode::READ, 0, 8, page));
    let zero: Vec<_> = host
        .machine
        .get(page, 4096)
        .chunks(512)
        .map(|block| block == [0; 512])
        .collect();
    assert_eq!(zero, [false, true, true, false, false, false, true, false]);
    host.assert_clean();
}

#[test]
fn a_range_beyond_the_namespace_deallocates_nothing() {
    let (mut host, mut pair) = with_io(&[]);
    let page = host.alloc(PAGE);
    host.machine.put(page, &[7; 512]);
    host.execute(&mut pair, blocks(NvmOpcode::WRITE, 0, 1, page));
    host.machine
        .put(page, &[range(0, 1), range(2047, 2)].concat());
    let trim = Command {
        prp1: page,
        cdw10: 1,
        cdw11: 4,
        ..nvm(NvmOpcode::DATASET_MANAGEMENT, 1)
    };
    assert_eq!(
        status(&host.execute(&mut pair, trim)),
        Status::LBA_OUT_OF_RANGE
    );
    assert_eq!(host.broken(), [Rule::BlockRange]);
    host.execute(&mut pair, blocks(NvmOpcode::READ, 0, 1, page));
    assert_eq!(host.machine.get(page, 512), [7; 512]);
}

#[test]
fn flush_takes_one_namespace_or_all() {
    let (mut host, mut pair) = with_io(&[("namespaces", "2")]);
    for nsid in [1, 2, u32::MAX] {
        let flushed = host.execute(&mut pair, nvm(NvmOpcode::FLUSH, nsid));
        assert_eq!(status(&flushed), Status::SUCCESS);
    }
    host.assert_clean();
    let flushed = host.execute(&mut pair, nvm(NvmOpcode::FLUSH, 3));
    assert_eq!(status(&flushed), Status::INVALID_NAMESPACE_OR_FORMAT);
}

#[test]
fn fused_commands_and_sgls_are_refused() {
    let (mut host, mut pair) = with_io(&[]);
    let mut fused = blocks(NvmOpcode::READ, 0, 1, 0x10_0000);
    fused.cdw0.set_fuse(1);
    assert_eq!(
        status(&host.execute(&mut pair, fused)),
        Status::INVALID_FIELD
    );
    let mut sgl = blocks(NvmOpcode::READ, 0, 1, 0x10_0000);
    sgl.cdw0.set_psdt(1);
    assert_eq!(status(&host.execute(&mut pair, sgl)), Status::INVALID_FIELD);
}

#[test]
fn commands_overtake_one_another() {
    let (mut host, mut pair) = with_io(&[]);
    let page = host.alloc(PAGE);
    let slow = host.write(&mut pair, blocks(NvmOpcode::READ, 0, 8, page));
    let quick = host.write(&mut pair, blocks(NvmOpcode::WRITE, 0, 1, page));
    host.commit(&pair);
    host.settle();
    let order = [host.poll(&mut pair), host.poll(&mut pair)].map(|entry| entry.expect("done").cid);
    assert_eq!(order, [quick, slow]);
}

#[test]
fn admin_opcodes_are_not_io_commands() {
    let (mut host, mut pair) = with_io(&[]);
    let completion = host.execute(&mut pair, nvm(NvmOpcode(0x7F), 1));
    assert_eq!(status(&completion), Status::INVALID_OPCODE);
    assert_eq!(host.broken(), [Rule::CommandSupported]);
}

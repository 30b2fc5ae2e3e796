//! The device, used as it is meant to be.

use std::os::unix::fs::{FileExt, MetadataExt};
use std::time::{Duration, Instant};

use nvme_spec::command::{AdminOpcode, Command, NvmOpcode};
use nvme_spec::registers;
use nvme_spec::status::Status;
use zerocopy::IntoBytes;

use crate::host::{BAR, BASE, BYTES, CONFIG, Host, LINE, MSIX, Target, UNMASK, admin, nvm};
use crate::served::Served;

fn identify(host: &mut Host) -> Command {
    let mut command = admin(AdminOpcode::IDENTIFY);
    (command.cdw10, command.prp1) = (1, host.alloc(4096));
    command
}

#[test]
fn a_client_finds_an_nvme_controller() {
    let served = Served::new("messages=5", &["--once"]);
    let mut host = Host::new(&served.socket());
    assert_eq!(host.config(8, 4) >> 8, 0x01_08_02);
    let mut whole = [0; 4096];
    host.client.region_read(CONFIG, 0, &mut whole).unwrap();
    assert_eq!(host.config(0, 4).to_le_bytes(), whole[..4]);
    host.client
        .region_write(CONFIG, 0x10, &u64::MAX.to_le_bytes())
        .unwrap();
    let mask = u64::from(host.config(0x14, 4)) << 32 | u64::from(host.config(0x10, 4) & !0xF);
    let sizes: Vec<_> = (0..9)
        .map(|index| host.client.region(index).unwrap().size)
        .collect();
    assert_eq!(sizes, [!mask + 1, 0, 0, 0, 0, 0, 0, 4096, 0]);
    let counts = [0, 1, 2, 3, 4].map(|kind| host.client.get_irq_info(kind).unwrap().count);
    assert_eq!(counts, [1, 0, 5, 0, 0]);
    assert_eq!(host.get(registers::VS), 0x0001_0400);
    drop(host);
    served
        .end()
        .held(&["has left", "HMB         never lent", "PASS"]);
}

#[test]
fn blocks_are_written_and_read_with_messages() {
    let served = Served::new("messages=3", &["--once"]);
    let mut host = Host::ready(&served.socket());
    let targets = [Target::new(), Target::new()];
    host.direct(MSIX, 0, &[&targets[0]]);
    host.direct(MSIX, 2, &[&targets[1]]);
    let command = identify(&mut host);
    host.admin_ok(command);
    targets[0].wait();
    assert_eq!(host.look(command.prp1 + 24, 13), b"Software NVMe");
    let mut pair = host.io_queues(2);
    targets[0].wait();
    // Two pages, the second of them elsewhere.
    let data: Vec<u8> = (0_u32..2048).flat_map(u32::to_le_bytes).collect();
    let (first, _, second) = (host.alloc(4096), host.alloc(4096), host.alloc(4096));
    host.put(first, &data[..4096]);
    host.put(second, &data[4096..]);
    let mut write = nvm(NvmOpcode::WRITE);
    (write.prp1, write.prp2, write.cdw10, write.cdw12) = (first, second, 8, 15);
    host.send(&mut pair, write);
    targets[1].wait();
    assert_eq!(
        Status::from(host.complete(&mut pair).status),
        Status::SUCCESS
    );
    let into = host.alloc(8192);
    let mut read = nvm(NvmOpcode::READ);
    (read.prp1, read.prp2, read.cdw10, read.cdw12) = (into, into + 4096, 8, 15);
    host.send(&mut pair, read);
    targets[1].wait();
    assert_eq!(
        Status::from(host.complete(&mut pair).status),
        Status::SUCCESS
    );
    assert_eq!(host.look(into, 8192), data);
    assert_eq!(
        targets[0].take(),
        0,
        "the I/O queue has a vector of its own"
    );
    host.shut_down();
    drop(host);
    served.end().held(&["normal shutdown", " 0 broken", "PASS"]);
}

#[test]
fn the_line_is_raised_again_until_the_completion_is_taken() {
    let served = Served::new("messages=0", &["--once"]);
    let mut host = Host::ready(&served.socket());
    let target = Target::new();
    host.direct(LINE, 0, &[&target]);
    let mut pair = host.io_queues(0);
    let unmask = |host: &mut Host| host.client.set_irqs(LINE, UNMASK, 0, 1, &[]).unwrap();
    // What the admin commands raised.
    target.wait();
    unmask(&mut host);
    assert_eq!(target.take(), 0);
    host.send(&mut pair, nvm(NvmOpcode::FLUSH));
    target.wait();
    assert_eq!(host.config(6, 2) & 8, 8, "interrupt status");
    unmask(&mut host);
    assert_eq!(target.take(), 1, "the completion was not taken");
    host.complete(&mut pair);
    unmask(&mut host);
    assert_eq!(target.take(), 0);
    host.shut_down();
    drop(host);
    served.end().held(&["PASS"]);
}

#[test]
fn memory_is_lent_taken_back_and_lent_again() {
    const EHM: u32 = 1;
    const MR: u32 = 2;
    let served = Served::new("hmpre=1M,hmmin=512K", &["--once"]);
    let mut host = Host::ready(&served.socket());
    let list = host.alloc(4096);
    let ranges = [host.alloc(512 << 10), host.alloc(512 << 10)];
    for (index, range) in ranges.iter().enumerate() {
        host.put(list + 16 * index as u64, &range.to_le_bytes());
        host.put(list + 16 * index as u64 + 8, &128_u32.to_le_bytes());
    }
    let set = |host: &mut Host, flags, pages| {
        let mut command = admin(AdminOpcode::SET_FEATURES);
        (command.cdw10, command.cdw11) = (0x0D, flags);
        if flags & EHM != 0 {
            (command.cdw12, command.cdw15) = (pages, 2);
            (command.cdw13, command.cdw14) = (list as u32, (list >> 32) as u32);
        }
        host.admin(command)
    };
    assert_eq!(set(&mut host, EHM, 256), Status::SUCCESS);
    let lent = host.look(ranges[1], 512 << 10);
    assert!(
        lent.chunks(4096)
            .all(|page| page.iter().any(|byte| *byte != 0)),
        "the controller uses what it is lent"
    );
    assert_eq!(set(&mut host, 0, 0), Status::SUCCESS);
    assert_eq!(set(&mut host, EHM | MR, 256), Status::SUCCESS);
    host.set(registers::CC, 0);
    host.await_status(1, 0);
    drop(host);
    served.end().held(&[
        "Host Memory Buffer enabled: 1024 KiB in 2 ranges, MR = 1",
        "enabled: 2, with its contents kept (MR = 1): 1, disabled: 1; last lent 1 MiB in ranges: 2; lent now 0 B",
        "PASS",
    ]);
}

#[test]
fn memory_that_was_not_mapped_is_not_reached_and_that_is_told() {
    let served = Served::new("plain", &["--once"]);
    let mut host = Host::ready(&served.socket());
    let mut pair = host.io_queues(0);
    let mut read = nvm(NvmOpcode::READ);
    (read.prp1, read.cdw12) = (BASE + BYTES - 4096, 7);
    assert_eq!(host.execute(&mut pair, read), Status::SUCCESS);
    read.prp1 = BASE + BYTES;
    assert_eq!(host.execute(&mut pair, read), Status::DATA_TRANSFER_ERROR);
    // What is taken back is out of reach as well.
    host.client.dma_unmap(BASE, BYTES).unwrap();
    let memory = std::os::fd::AsRawFd::as_raw_fd(&host.memory);
    host.client.dma_map(0, BASE, BYTES / 2, memory).unwrap();
    read.prp1 = BASE + BYTES - 4096;
    assert_eq!(host.execute(&mut pair, read), Status::DATA_TRANSFER_ERROR);
    host.shut_down();
    drop(host);
    let told = format!(
        "dma-target: the controller writes 4096 bytes at {:#x}",
        BASE + BYTES
    );
    served.end().failed(&[&told, "FAIL"]);
}

#[test]
fn a_reset_takes_the_controller_down_and_leaves_interrupts_where_they_go() {
    let served = Served::new("messages=1", &["--once"]);
    let mut host = Host::ready(&served.socket());
    let target = Target::new();
    host.direct(MSIX, 0, &[&target]);
    host.client.reset().unwrap();
    let mut register = [0; 4];
    host.client.region_read(BAR, 0x1C, &mut register).unwrap();
    assert_eq!(register, [0xFF; 4], "memory is not decoded after a reset");
    host.client.region_write(CONFIG, 4, &[6, 0]).unwrap();
    assert_eq!(host.get(registers::CC), 0);
    // The control of MSI-X, which comes out of a reset as well.
    assert_eq!(host.config(0x50, 1), 0x11);
    host.client.region_write(CONFIG, 0x52, &[0, 0x80]).unwrap();
    host.bring_up();
    let command = identify(&mut host);
    host.admin_ok(command);
    target.wait();
    host.shut_down();
    drop(host);
    served.end().held(&["function level reset", "PASS"]);
}

#[test]
fn clients_come_one_after_another_until_it_is_asked_to_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("disk.img");
    std::fs::write(&path, vec![0x5A; 1 << 20]).unwrap();
    let served = Served::new("plain", &["--disk", path.to_str().unwrap()]);
    for value in [1_u8, 2] {
        let mut host = Host::ready(&served.socket());
        let mut pair = host.io_queues(0);
        let buffer = host.alloc(4096);
        let mut read = nvm(NvmOpcode::READ);
        (read.prp1, read.cdw10) = (buffer, 7);
        assert_eq!(host.execute(&mut pair, read), Status::SUCCESS);
        let before = if value == 1 { 0x5A } else { 1 };
        assert_eq!(host.look(buffer, 512), [before; 512]);
        host.put(buffer, &[value; 512]);
        let mut write = nvm(NvmOpcode::WRITE);
        (write.prp1, write.cdw10) = (buffer, 7);
        assert_eq!(host.execute(&mut pair, write), Status::SUCCESS);
        host.shut_down();
    }
    let _third = Host::new(&served.socket());
    served.terminate();
    let said = [
        "client 2 has left",
        "client 3 is sent away: asked to end",
        "PASS",
    ];
    served.end().held(&said);
    let disk = std::fs::File::open(path).unwrap();
    let mut block = [0; 512];
    disk.read_exact_at(&mut block, 7 * 512).unwrap();
    assert_eq!(block, [2; 512]);
    disk.read_exact_at(&mut block, 8 * 512).unwrap();
    assert_eq!(block, [0x5A; 512]);
}

#[test]
fn a_device_that_nobody_uses_ends_when_it_is_asked_to() {
    let served = Served::new("plain", &["--once"]);
    served.terminate();
    served.end().held(&["clients     0", "PASS"]);
}

#[test]
fn the_socket_is_for_its_owner_alone() {
    let served = Served::new("plain", &["--once"]);
    let mode = std::fs::metadata(served.socket()).unwrap().mode();
    assert_eq!(mode & 0o777, 0o600);
    served.terminate();
    served.end().held(&["PASS"]);
}

/// Every entry of a queue of 65536 reads half of the disk: together seconds of work, for one doorbell.
#[test]
fn one_doorbell_does_not_keep_the_device_from_ending() {
    const ENTRIES: u32 = 65536;
    const READ_BYTES: u64 = 512 << 10;
    let served = Served::new("plain,mqes=65536,mdts=512K", &["--once"]);
    let mut host = Host::ready(&served.socket());
    let mut number = admin(AdminOpcode::SET_FEATURES);
    number.cdw10 = 7;
    host.admin_ok(number);
    let [completion, submission] = [16, 64].map(|bytes| host.alloc(u64::from(ENTRIES) * bytes));
    let mut create = admin(AdminOpcode::CREATE_COMPLETION_QUEUE);
    (create.prp1, create.cdw10, create.cdw11) = (completion, (ENTRIES - 1) << 16 | 1, 1);
    host.admin_ok(create);
    let mut create = admin(AdminOpcode::CREATE_SUBMISSION_QUEUE);
    (create.prp1, create.cdw10, create.cdw11) = (submission, (ENTRIES - 1) << 16 | 1, 1 << 16 | 1);
    host.admin_ok(create);
    let (list, data) = (host.alloc(4096), host.alloc(READ_BYTES));
    for page in 1..READ_BYTES / 4096 {
        host.put(list + 8 * (page - 1), &(data + 4096 * page).to_le_bytes());
    }
    let mut read = nvm(NvmOpcode::READ);
    (read.prp1, read.prp2, read.cdw12) = (data, list, (READ_BYTES / 512) as u32 - 1);
    for entry in 0..ENTRIES - 1 {
        read.cdw0.set_cid(entry as u16);
        host.put(submission + 64 * u64::from(entry), read.as_bytes());
    }
    host.set(registers::submission_tail_doorbell(1, 0), ENTRIES - 1);
    std::thread::sleep(Duration::from_millis(200));
    let began = Instant::now();
    served.terminate();
    served.end();
    assert!(
        began.elapsed() < Duration::from_secs(1),
        "{:?}",
        began.elapsed()
    );
}

#[test]
fn a_client_that_leaves_a_running_controller_is_told() {
    let served = Served::new("plain", &["--once"]);
    drop(Host::ready(&served.socket()));
    served
        .end()
        .failed(&["nvme-shutdown-before-power-off", "FAIL"]);
}

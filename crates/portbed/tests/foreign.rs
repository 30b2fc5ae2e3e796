//! Miniports that portbed has never seen: each gets a clear verdict, whatever is wrong with it.

#[path = "../../../tests/seeded/breaker/src/faults.rs"]
#[allow(dead_code, reason = "one table for all tests of the breaker")]
mod faults;
mod pe;

use std::fs;
use std::path::Path;
use std::process::Command;

use faults::Fault;
use serde_json::Value;
use tempfile::TempDir;

/// What came of a run of `driver`: the exit status, what was said, and the report.
struct Run {
    status: Option<i32>,
    said: String,
    complaint: String,
    report: Option<Value>,
}

fn run(driver: &Path, keys: &str) -> Run {
    let folder = TempDir::new().unwrap();
    let report = folder.path().join("report.json");
    let output = Command::new(env!("CARGO_BIN_EXE_portbed"))
        .args(["run", "--profile"])
        .arg(format!("plain,capacity=16M{keys}"))
        .arg("--driver")
        .arg(driver)
        .arg("--report")
        .arg(&report)
        .output()
        .unwrap();
    Run {
        status: output.status.code(),
        said: String::from_utf8_lossy(&output.stdout).into_owned(),
        complaint: String::from_utf8_lossy(&output.stderr).into_owned(),
        report: fs::read(report)
            .ok()
            .map(|text| serde_json::from_slice(&text).unwrap()),
    }
}

/// A run of the breaker miniport with one fault.
fn broken(fault: Fault) -> Run {
    let image = wdk_linux::breaker().expect("the image builds");
    run(&image, &format!(",reg.Fault={}", fault as u32))
}

/// The rule, with the place where it was broken, is told and in the report, and the verdict is that it failed.
#[track_caller]
fn names(fault: Fault, rule: &str) {
    let run = broken(fault);
    assert_eq!(run.status, Some(1), "{}{}", run.said, run.complaint);
    let told = run.said.lines().find(|line| {
        line.trim_start().starts_with("broken") && line.contains(&format!(" {rule} in "))
    });
    assert!(told.is_some(), "{rule}: {}", run.said);
    assert!(
        run.said.lines().any(|line| line.starts_with("FAIL")),
        "{}",
        run.said
    );
    let report = run.report.expect("a report");
    assert_eq!(report["result"], "fail");
    let violations = report["rules"]["violations"].as_array().unwrap();
    assert!(violations.iter().any(|violation| violation["rule"] == rule));
}

#[test]
fn every_import_that_is_missing_is_named() {
    let folder = TempDir::new().unwrap();
    let driver = folder.path().join("net.sys");
    let imports = [
        ("storport.sys", "StorPortInitialize"),
        ("storport.sys", "StorPortNoSuchCall"),
        ("ndis.sys", "NdisAllocateMdl"),
    ];
    fs::write(&driver, pe::driver_of(pe::AMD64, &imports)).unwrap();
    let run = run(&driver, "");
    assert_eq!(run.status, Some(2), "{}", run.complaint);
    assert_eq!(run.complaint.lines().count(), 1, "{}", run.complaint);
    let told = "net.sys imports what is not implemented: ndis.sys!NdisAllocateMdl, storport.sys!StorPortNoSuchCall\n";
    assert!(run.complaint.ends_with(told), "{}", run.complaint);
}

#[test]
fn an_entry_that_registers_nothing_has_failed() {
    let folder = TempDir::new().unwrap();
    let driver = folder.path().join("idle.sys");
    fs::write(
        &driver,
        pe::driver(pe::AMD64, "storport.sys", "StorPortInitialize"),
    )
    .unwrap();
    let run = run(&driver, "");
    assert_eq!(run.status, Some(1), "{}{}", run.said, run.complaint);
    assert!(run.said.contains("DriverEntry"), "{}", run.said);
}

#[test]
fn what_windows_refuses_an_image_for_is_told() {
    let folder = TempDir::new().unwrap();
    let driver = folder.path().join("refused.sys");
    let mut image = pe::driver(pe::AMD64, "storport.sys", "StorPortInitialize");
    fs::write(&driver, &image).unwrap();
    let told = |what: &str| {
        let run = run(&driver, "");
        let refused = |line: &&str| line.contains("of Windows refuses it: ") && line.contains(what);
        run.said.lines().filter(refused).count()
    };
    assert_eq!(told("the checksum is 0x00000000"), 1);
    assert_eq!(told("the section .text is writable and executable"), 1);
    assert_eq!(
        told("the image base") + told("alignment") + told("headers' size"),
        0
    );
    // ImageBase, FileAlignment, SizeOfHeaders.
    for (place, value, what) in [
        (88 + 24, 0x1001_u32, "the image base 0x100001001"),
        (88 + 36, 0x300, "the file's alignment is 768"),
        (88 + 60, 0x100, "the headers' size of 256 bytes"),
    ] {
        image[place..place + 4].copy_from_slice(&value.to_le_bytes());
        fs::write(&driver, &image).unwrap();
        assert_eq!(told(what), 1, "{what}");
    }
}

#[test]
fn an_import_that_is_not_offered_matters_only_when_it_is_called() {
    let folder = TempDir::new().unwrap();
    let driver = folder.path().join("more.sys");
    let imports = [
        ("ntoskrnl.exe", "RtlInitUnicodeString"),
        ("ntoskrnl.exe", "KeSetEvent"),
    ];
    let mut image = pe::driver_of(pe::AMD64, &imports);
    fs::write(&driver, &image).unwrap();
    let idle = run(&driver, "");
    assert_eq!(idle.status, Some(1), "{}{}", idle.said, idle.complaint);
    assert!(idle.said.contains("entry-status"), "{}", idle.said);
    assert!(!idle.said.contains("RtlInitUnicodeString"), "{}", idle.said);
    for (index, name, broken) in [(0, "RtlInitUnicodeString", false), (1, "KeSetEvent", true)] {
        pe::call_import(&mut image, index);
        fs::write(&driver, &image).unwrap();
        let run = run(&driver, "");
        assert_eq!(run.status, Some(1), "{}{}", run.said, run.complaint);
        let told = format!("ntoskrnl.exe!{name} is called, which portbed does not implement");
        assert!(run.said.contains(&told), "{}", run.said);
        assert_eq!(
            run.said.contains("call-prohibited in"),
            broken,
            "{}",
            run.said
        );
    }
}

/// Entries that run astray, in machine code, and what is said of each.
const ASTRAY: [(&str, &[u8], &str); 6] = [
    // xor eax, eax; jmp rax
    (
        "null",
        &[0x31, 0xC0, 0xFF, 0xE0],
        "a jump to 0x0, where no code is",
    ),
    // call itself
    (
        "recursion",
        &[0xE8, 0xFB, 0xFF, 0xFF, 0xFF],
        "where its stack has ended",
    ),
    // xor esp, esp; push rax
    ("no stack", &[0x31, 0xE4, 0x50], "where its stack has ended"),
    // mov rsp, 0x8000_0000_0000_0000; push rax
    (
        "no address",
        &[0x48, 0xBC, 0, 0, 0, 0, 0, 0, 0, 0x80, 0x50],
        "reads 0x8000000000000000",
    ),
    // mov rdi, rsp; mov ecx, 64; xor eax, eax; rep stosb; ret
    (
        "return address",
        &[
            0x48, 0x89, 0xE7, 0xB9, 64, 0, 0, 0, 0x31, 0xC0, 0xF3, 0xAA, 0xC3,
        ],
        "a jump to 0x0, where no code is",
    ),
    // ud2
    ("undefined", &[0x0F, 0x0B], "Undefined"),
];

#[test]
fn code_that_runs_astray_has_a_verdict_and_is_replayed() {
    let folder = TempDir::new().unwrap();
    for (name, code, told) in ASTRAY {
        let driver = folder.path().join("astray.sys");
        fs::write(&driver, pe::driver_with(code)).unwrap();
        let run = run(&driver, "");
        assert_eq!(run.status, Some(1), "{name}: {}{}", run.said, run.complaint);
        let broken = "memory-access in DriverEntry: ";
        let lines: Vec<&str> = run.said.lines().map(str::trim).collect();
        assert!(
            lines
                .iter()
                .any(|line| line.contains(broken) && line.contains(told)),
            "{name}: {}",
            run.said
        );
        assert!(lines.iter().any(|line| line.starts_with("FAIL")), "{name}");
        assert!(
            lines.iter().any(|line| line.starts_with("replay ")),
            "{name}"
        );
    }
}

#[test]
fn alignment_is_not_checked_in_kernel_mode() {
    // pushfq; or dword [rsp], AC; popfq; mov eax, [rsp + 1]; xor eax, eax; ret
    let code = [
        0x9C, 0x81, 0x0C, 0x24, 0, 0, 4, 0, 0x9D, 0x8B, 0x44, 0x24, 1, 0x31, 0xC0, 0xC3,
    ];
    let folder = TempDir::new().unwrap();
    let driver = folder.path().join("unaligned.sys");
    fs::write(&driver, pe::driver_with(&code)).unwrap();
    let run = run(&driver, "");
    assert_eq!(run.status, Some(1), "{}{}", run.said, run.complaint);
    assert!(!run.said.contains("memory-access"), "{}", run.said);
    assert!(run.said.contains("entry-status"), "{}", run.said);
}

#[test]
fn memory_of_the_test_bed_that_a_driver_overwrites_ends_with_a_verdict() {
    // The frames of the callers, and the memory of the thread: mov rdi, rsp; mov ecx, 4096; xor eax, eax; rep stosb; ret
    let code = [
        0x48, 0x89, 0xE7, 0xB9, 0, 0x10, 0, 0, 0x31, 0xC0, 0xF3, 0xAA, 0xC3,
    ];
    let folder = TempDir::new().unwrap();
    let driver = folder.path().join("overwrites.sys");
    fs::write(&driver, pe::driver_with(&code)).unwrap();
    let run = run(&driver, "");
    assert_eq!(run.status, Some(1), "{}{}", run.said, run.complaint);
    assert!(
        run.said.lines().any(|line| line.starts_with("FAIL")),
        "{}{}",
        run.said,
        run.complaint
    );
    assert!(run.said.contains("replay "), "{}", run.said);
}

/// The system reads what the C library registers for each thread in its memory, and kills the process if it is no good.
#[test]
fn restartable_sequences_of_the_thread_that_a_driver_overwrites_do_no_harm() {
    // SAFETY: the name ends in a zero byte.
    let found = unsafe { libc::dlsym(libc::RTLD_DEFAULT, c"__rseq_offset".as_ptr()) };
    // SAFETY: the pointer is null or that of a constant.
    let Some(&offset) = (unsafe { found.cast::<isize>().as_ref() }) else {
        return;
    };
    // mov rax, fs:[0]; mov qword [rax + offset of rseq_cs], 0x41424344
    let mut code = vec![0x64, 0x48, 0x8B, 0x04, 0x25, 0, 0, 0, 0, 0x48, 0xC7, 0x80];
    code.extend((i32::try_from(offset).unwrap() + 8).to_le_bytes());
    code.extend(0x4142_4344_i32.to_le_bytes());
    // mov ecx, 1 << 30; dec ecx; jnz: until the system has interrupted it; xor eax, eax; ret
    code.extend([
        0xB9, 0, 0, 0, 0x40, 0xFF, 0xC9, 0x75, 0xFC, 0x31, 0xC0, 0xC3,
    ]);
    let folder = TempDir::new().unwrap();
    let driver = folder.path().join("sequences.sys");
    fs::write(&driver, pe::driver_with(&code)).unwrap();
    let run = run(&driver, "");
    assert_eq!(run.status, Some(1), "{}{}", run.said, run.complaint);
    assert!(run.said.contains("entry-status"), "{}", run.said);
}

#[test]
fn a_command_that_a_miniport_does_not_know_is_no_broken_rule_but_a_failed_request() {
    // The breaker knows WRITE (10) only.
    let run = broken(Fault::None);
    assert_eq!(run.status, Some(1), "{}{}", run.said, run.complaint);
    let told = "WRITE of 1 blocks at 0 failed: SRB status 04h, SCSI status 02h, sense 5h/20h/00h";
    assert!(run.said.contains(told), "{}", run.said);
    let report = run.report.expect("a report");
    assert_eq!(report["result"], "fail");
    assert_eq!(report["io"]["failed"], 1);
    assert_eq!(report["rules"]["violations"], Value::Array(Vec::new()));
    assert!(report["rules"]["checked"].as_u64() >= Some(50));
}

#[test]
fn a_rule_that_is_broken_is_named() {
    names(Fault::OddAlignment, "find-adapter-alignment");
    names(Fault::IrqlKept, "callback-irql");
}

/// DMA that was not allowed is told either way. Without an IOMMU it reaches the memory, and nothing follows from it.
#[test]
fn dma_that_was_not_allowed_is_carried_out_where_there_is_no_iommu() {
    let image = wdk_linux::breaker().expect("the image builds");
    let rules = |iommu: &str| -> Vec<String> {
        let fault = Fault::IdentifyIntoPool as u32;
        let run = run(&image, &format!(",iommu={iommu},reg.Fault={fault}"));
        let report = run.report.expect("a report");
        let violations = report["rules"]["violations"].as_array().unwrap();
        let rule = |violation: &Value| violation["rule"].as_str().unwrap().to_owned();
        violations.iter().map(rule).collect()
    };
    assert_eq!(rules("off"), ["physical-address", "dma-target"]);
    let kept_out = ["physical-address", "dma-target", "initialize-result"];
    assert_eq!(rules("on"), kept_out);
}

#[test]
fn a_miniport_that_touches_what_is_not_its_own_is_stopped_and_the_rule_named() {
    names(Fault::NullRead, "memory-access");
}

#[test]
fn a_miniport_that_never_comes_back_is_stopped_and_the_rule_named() {
    names(Fault::EndlessDpc, "no-progress");
}

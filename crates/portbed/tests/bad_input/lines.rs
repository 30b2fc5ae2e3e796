//! Command lines that nobody should write.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;
use std::process::Command;

/// What a key may be given: nothing, too much, too little, other numbers, other units, words, control characters.
const VALUES: &[&str] = &[
    "",
    "0",
    "1",
    "-1",
    "+1",
    "3",
    "0x10",
    "0x",
    "1.5",
    "1e9",
    "4K",
    "4k",
    "K",
    "9E",
    "255",
    "65535",
    "65536",
    "4294967295",
    "4294967296",
    "18446744073709551615",
    "18446744073709551616",
    "18014398509481984K",
    "99999999999999999999999999999999999999999999",
    "never",
    "ok",
    "on",
    "none",
    "early",
    "lent:",
    "lent:x",
    "command:",
    "command:0",
    "ranges:0",
    "ranges:4294967295",
    "later:0",
    "later:18446744073709551615",
    "=",
    "==",
    ":",
    "\u{1b}[31m",
    "\u{9b}1m",
    "\n",
    "ä",
    "\u{202e}",
    " 1",
    "1 ",
];

/// Options with values that each is refused for, whatever else is said.
const OPTIONS: &[(&str, &[&str])] = &[
    (
        "--cpus",
        &[
            "",
            "0",
            "129",
            "-1",
            "x",
            "1.5",
            "18446744073709551616",
            "0x2",
        ],
    ),
    ("--seed", &["", "-1", "x", "1.5", "18446744073709551616"]),
    ("--seeds", &["", "0", "-1", "x", "18446744073709551616"]),
    ("--clock", &["", "wall", "THREADED", "threaded,threaded"]),
    ("--preempt", &["", "0", "-1", "x", "18446744073709551616"]),
    (
        "--controller",
        &[
            "",
            "nvme",
            "vfio",
            "vfio:",
            "vfio:x",
            "vfio:0000:00:00.9",
            "qemu:",
        ],
    ),
    (
        "--driver",
        &["", "/", "/dev/null", "/dev/zero", "\u{1b}[31m", "a\nb"],
    ),
    ("--disk", &["", "/", "/dev/null", "/dev/zero", "\u{1b}[31m"]),
    (
        "--report",
        &["", "/", "/dev/full", "/proc/1/x", "missing/x"],
    ),
    ("--qemu", &["", "/bin/true", "/"]),
    (
        "--profile",
        &[
            "",
            ",",
            "=",
            "=1",
            "plain,",
            ",plain",
            "plain,plain=1",
            "nothing",
            "hmpre",
            "hmpre=",
            "hmpre=1M,hmpre=1M",
            "plain,hmpre==1M",
            "hmmin=8M,hmpre=4M",
            "block=513",
            "block=8192",
            "block=0",
            "capacity=0",
            "capacity=1000",
            "capacity=18446744073709551615",
            "namespaces=0",
            "namespaces=1025",
            "mdts=1",
            "mdts=3K",
            "mqes=0",
            "mqes=65537",
            "queues=0",
            "messages=2049",
            "msi=3",
            "dstrd=5",
            "mpsmin=1",
            "mpsmin=64K,mpsmax=4K",
            "version=9.9",
            "version=",
            "timeout=1",
            "crto=7",
            "dies=early",
            "dies=lent:",
            "dies=command:",
            "death=late",
            "aerl=0",
            "aerl=257",
            "vwc=2",
            "cqs=1025",
            "allocates=some",
            "grant=all",
            "grant=ranges:",
            "stop=now",
            "pnp=maybe",
            "power=off",
            "removal=maybe",
            "interrupts=none",
            "irqlquery=2",
            "affinity=last",
            "dma-memory=nth:0",
            "nodes=65",
            "group-size=0",
            "perf=dpc+",
            "perf=channels+all",
            "perf-version=0",
            "perf-version=9",
            "perf-set=no",
            "perf-channels=0",
            "perf-params=mine",
            "reg.=1",
            "reg.A=",
            "reg.A=-1",
            "reg.A=4294967296",
            "reg.A=1,reg.A=2",
            "qemu:mdts=5",
            "model=\u{1b}[31m",
            "serial=012345678901234567890",
            "firmware=123456789",
        ],
    ),
    (
        "--fault",
        &[
            "",
            ":",
            "::",
            "any",
            "any:",
            ":never",
            "read:never:",
            "read:never:nth=",
            "read:never:nth=0",
            "read:never:nth=x",
            "read:never:nth=1,",
            "read:never:every=0",
            "read:never:at=",
            "read:never:at=noon",
            "read:status=",
            "read:status=9",
            "read:status=9/",
            "read:status=8/00",
            "read:status=0/100",
            "read:delay=5",
            "read:delay=5h",
            "read:delay=-5us",
            "read:delay=99999999999999999999s",
            "read:data=",
            "read:data=more",
            "write:data=zeros",
            "read:entry.",
            "read:entry.x=1",
            "read:entry.cid=",
            "read:entry.cid=65536",
            "reed:never",
            "read.:never",
            "read.x=1:never",
            "read.nsid=:never",
            "read.nsid=4294967296:never",
            "register.nothing:value=0",
            "register.csts:value=",
            "register:absent=",
            "register:never",
            "interrupt:delay=1us",
            "any:die=",
            "any:die=old",
            "any:panic=,1s",
            "any:panic=0,",
            "namespace.0:resize=4M",
            "namespace.x:resize=4M",
            "namespace.1:resize=1",
        ],
    ),
];

/// Lines that are refused for more than the value of an option.
const WHOLE: &[&[&str]] = &[
    &["faults"],
    &["run", "extra"],
    &["run", "run"],
    &["--no-such-option"],
    &["-x"],
    &["-"],
    &["--driver"],
    &["run", "--seed", "1", "--seed", "2"],
    &["io", "--bs", "0"],
    &["io", "--bs", "100"],
    &["io", "--bs", "18446744073709551615"],
    &["io", "--bs", "1M", "--profile", "mdts=64K"],
    &["io", "--qd", "0"],
    &["io", "--qd", "x"],
    &["io", "--ios", "0"],
    &["io", "--ios", "-1"],
    &["io", "--rw", "trim"],
    &["io", "--rw", ""],
    &["serve"],
    &["serve", "--socket", ""],
    &["serve", "--socket", "missing/socket"],
    &["serve", "--socket", "/"],
    &["serve", "--socket", "s", "--profile", "grant=half"],
    &["serve", "--socket", "s", "--profile", "reg.A=1"],
    &["serve", "--socket", "s", "--fault", "read"],
    &["serve", "--socket", "s", "--disk", "/dev/zero"],
    &["rules", "extra"],
    &["profiles", "--profile", "hmb"],
    &["run", "--clock", "threaded", "--preempt", "4"],
    &["run", "--seeds", "2", "--report", "x"],
    &["run", "--qemu", "/bin/true"],
    &["--controller", "qemu", "--profile", "4k"],
    &["--controller", "qemu", "--qemu", "/bin/true"],
];

/// Every line that has to be refused.
pub fn refused() -> Vec<Vec<OsString>> {
    let owned = |line: &[&str]| line.iter().map(Into::into).collect();
    let options = OPTIONS.iter().flat_map(|&(option, values)| {
        let line = move |value: &&str| owned(&["run", option, value]);
        values.iter().map(line)
    });
    let mut lines: Vec<Vec<OsString>> = options
        .chain(WHOLE.iter().map(|line| owned(line)))
        .collect();
    for option in OPTIONS.iter().map(|&(option, _)| option) {
        let odd = OsString::from_vec(b"missing/\xFF\xFE=".to_vec());
        lines.push(vec!["run".into(), option.into(), odd]);
        lines.push(vec!["run".into(), option.into(), "x".repeat(5000).into()]);
    }
    lines
}

/// Every key of `--profile`, as it is listed.
pub fn keys() -> Vec<String> {
    let listed = Command::new(env!("CARGO_BIN_EXE_portbed"))
        .arg("profiles")
        .output();
    let listed = String::from_utf8(listed.unwrap().stdout).unwrap();
    let device = listed.split_once("\nThe device").unwrap().1;
    let keys = device.split_once("\nThe registry").unwrap().0;
    let key = |line: &str| Some(line.strip_prefix("  ")?.split(' ').next()?.to_owned());
    keys.lines()
        .filter_map(key)
        .filter(|key| !key.is_empty())
        .collect()
}

/// A short run in which a key has a value that it need not understand.
pub fn drawn(keys: &[String], seed: u64) -> Vec<OsString> {
    let mut random = fastrand::Rng::with_seed(seed);
    let key = &keys[random.usize(..keys.len())];
    let value = VALUES[random.usize(..VALUES.len())];
    let others = if key == "capacity" {
        ""
    } else {
        ",capacity=8M"
    };
    let mut line: Vec<OsString> = ["io", "--ios", "4", "--profile"].map(Into::into).into();
    line.push(format!("hmb{others},{key}={value}").into());
    line
}

/// A short run of an image.
pub fn io_with(driver: &Path, seed: u64) -> Vec<OsString> {
    let profile = if seed.is_multiple_of(3) {
        "hmb,hmpre=1M,hmmin=64K"
    } else {
        "plain"
    };
    let mut line: Vec<OsString> = ["io", "--ios", "8", "--qd", "2", "--profile"]
        .map(Into::into)
        .into();
    line.push(format!("{profile},capacity=8M").into());
    line.push("--driver".into());
    line.push(driver.into());
    line
}

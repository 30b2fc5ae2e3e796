//! Fetching packages: for real, by several processes at once, and what is said when it cannot be done.
//!
//! Where the machine's own apt cannot be made to fail, shell scripts stand in for it, for a process of its own.
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;
use wdk_linux::packages;

/// A line in the output of [`fetch`] begins with it.
const ANSWER: &str = "fetched: ";

#[test]
#[ignore = "run by the other tests, in a process of its own, with an apt of its own"]
fn fetch() {
    match packages::unpacked("tools", &["tool"]) {
        Ok(root) => println!("\n{ANSWER}{}", root.display()),
        Err(error) => println!("\n{ANSWER}{error}"),
    }
}

/// A machine: programs on PATH, and a cache folder.
struct Machine {
    folder: TempDir,
}

impl Machine {
    /// One that is online: two packages, of which the first depends on the second. Each call of its tools is noted in `log`.
    fn online() -> Self {
        let machine = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        let log = machine.path("log");
        machine.program(
            "apt-cache",
            "printf 'tool\\n  Depends: tool-data\\n  Depends: libc6\\ntool-data\\n'",
        );
        machine.program(
            "apt-get",
            &format!(
                "case \"$*\" in
                *--print-uris*) printf \"'http://x/%s' %s 3 SHA256:0\\n\" tool.deb tool.deb data.deb data.deb ;;
                *' download tool tool-data') echo download >> '{log}'; sleep 0.2; echo A > tool.deb; echo B > data.deb ;;
                *) exit 1 ;;
                esac"
            ),
        );
        machine.program(
            "dpkg-deb",
            "[ \"$1\" = --extract ] && mkdir -p \"$3/usr\" && cp \"$2\" \"$3/usr\"",
        );
        machine
    }

    /// One without any program.
    fn bare() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("bin")).unwrap();
        Self { folder }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn program(&self, name: &str, script: &str) {
        let place = self.folder.path().join("bin").join(name);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        let script = format!("#!/bin/sh\nPATH=/usr/bin:/bin\n{script}\n");
        fs::write(&place, script).unwrap();
        fs::set_permissions(&place, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Has a process of its own fetch.
    fn start(&self) -> Child {
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "fetch", "--ignored", "--nocapture"])
            .env("PATH", self.path("bin"))
            .env("XDG_CACHE_HOME", self.path("cache"))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    }

    /// What the fetch returned: a folder or an error, which is one line.
    fn fetch(&self) -> String {
        answer(self.start())
    }
}

fn answer(process: Child) -> String {
    let output = process.wait_with_output().unwrap();
    let output = String::from_utf8(output.stdout).unwrap();
    let (_, answer) = output.split_once(ANSWER).unwrap();
    let (answer, rest) = answer.split_once('\n').unwrap();
    assert!(
        rest.starts_with("test fetch") || rest.starts_with("ok"),
        "more than one line: {output}"
    );
    answer.to_owned()
}

#[test]
fn tools_run_from_the_unpacked_folder() {
    let root = packages::unpacked("disk-tools", &["dosfstools", "mtools"])
        .unwrap_or_else(|error| panic!("{error}"));
    let folder = tempfile::tempdir().unwrap();
    let run = |program: &str, arguments: &[&str]| {
        let mut command = Command::new(root.join(program));
        let output = command
            .args(arguments)
            .current_dir(&folder)
            .output()
            .unwrap();
        assert!(output.status.success(), "{program}: {output:?}");
        output.stdout
    };
    let volume = fs::File::create(folder.path().join("volume")).unwrap();
    volume.set_len(4 << 20).unwrap();
    fs::write(folder.path().join("file"), "contents").unwrap();
    run("sbin/mkfs.fat", &["volume"]);
    run("usr/bin/mcopy", &["-i", "volume", "file", "::copy"]);
    run("sbin/fsck.fat", &["-n", "volume"]);
    assert_eq!(
        run("usr/bin/mtype", &["-i", "volume", "::copy"]),
        b"contents"
    );
}

#[test]
fn processes_that_ask_at_once_fetch_once() {
    let machine = Machine::online();
    let processes: Vec<Child> = (0..3).map(|_| machine.start()).collect();
    let root = machine.path("cache/ferrostor/packages/tools");
    for process in processes {
        assert_eq!(answer(process), root);
    }
    assert_eq!(
        fs::read_to_string(machine.path("log")).unwrap(),
        "download\n"
    );
    let unpacked = |name| fs::read_to_string(Path::new(&root).join("usr").join(name)).unwrap();
    assert_eq!(
        (unpacked("tool.deb"), unpacked("data.deb")),
        ("A\n".to_owned(), "B\n".to_owned())
    );
}

#[test]
fn what_is_there_needs_neither_apt_nor_a_network() {
    let machine = Machine::online();
    let root = machine.fetch();
    fs::remove_dir_all(machine.path("bin")).unwrap();
    assert_eq!(machine.fetch(), root);
}

#[test]
fn a_machine_that_is_not_debian_is_told_what_is_missing() {
    assert_eq!(
        Machine::bare().fetch(),
        "apt-cache is not on this machine: the image is built with packages of Debian 12 (bookworm), fetched with apt-get and \
         unpacked with dpkg-deb; run this on Debian 12, or build on Windows with the WDK"
    );
}

#[test]
fn offline_is_one_line_with_what_to_do() {
    let machine = Machine::bare();
    machine.program("apt-cache", "echo 'E: No packages found' >&2; exit 100");
    machine.program(
        "apt-get",
        "echo 'rm: cannot remove a file of a hook' >&2
        echo 'W: Failed to fetch http://deb.example/InRelease  Temporary failure resolving deb.example' >&2
        echo 'W: Some index files failed to download.' >&2",
    );
    assert_eq!(
        machine.fetch(),
        "apt-get cannot fetch tool: Failed to fetch http://deb.example/InRelease  Temporary failure resolving deb.example; check \
         that this machine is online and that its apt sources include Debian 12 (bookworm) and bookworm-security"
    );
}

#[test]
fn a_full_disk_is_one_line_and_leaves_nothing_that_is_taken_for_whole() {
    let machine = Machine::online();
    machine.program(
        "dpkg-deb",
        "mkdir -p \"$3/usr\"
        echo 'dpkg-deb (subprocess): cannot copy archive member: failed to write (No space left on device)' >&2
        echo 'dpkg-deb: error: <decompress> subprocess was killed' >&2
        exit 2",
    );
    let line = machine.fetch();
    assert!(line.contains("No space left on device"), "{line}");
    assert!(line.contains("; make room"), "{line}");

    let online = Machine::online();
    fs::copy(online.path("bin/dpkg-deb"), machine.path("bin/dpkg-deb")).unwrap();
    assert_eq!(
        machine.fetch(),
        machine.path("cache/ferrostor/packages/tools")
    );
}

#[test]
fn a_cache_folder_that_cannot_be_made_is_one_line() {
    let machine = Machine::online();
    fs::write(machine.path("cache"), "a file").unwrap();
    let line = machine.fetch();
    assert!(line.starts_with("cannot create the folder "), "{line}");
}

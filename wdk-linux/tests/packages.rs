//! Fetching packages: for real, by several processes at once, and what is said when it cannot be done.
//!
//! Where the machine's own apt cannot be made to fail, shell scripts stand in for it, for a process of its own.
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;
use wdk_linux::packages;

/// The SHA-256 of the two package files, which are "A" and "B" and the end of the line.
const TOOL: &str = "06f961b802bc46ee168555f066d28f4f0e9afdf3f88174c1ee6f9de004fc30a0";
const DATA: &str = "c0cde77fa8fef97d476c10aad3d2d54fcc2f336140d073651c2dcccf1e379fd6";

/// A line in the output of [`fetch`] begins with it.
const ANSWER: &str = "fetched: ";

/// The environment variable with the packages that [`fetch`] fetches.
const WANTED: &str = "PACKAGES_TO_FETCH";

#[test]
#[ignore = "run by the other tests, in a process of its own, with an apt of its own"]
fn fetch() {
    let wanted = std::env::var(WANTED).unwrap_or_default();
    let wanted: Vec<&str> = wanted.split_whitespace().collect();
    match packages::unpacked("tools", &wanted) {
        Ok(root) => println!("\n{ANSWER}{}", root.display()),
        Err(error) => println!("\n{ANSWER}{error}"),
    }
}

/// A machine: programs on PATH, and a cache folder.
struct Machine {
    folder: TempDir,
}

impl Machine {
    /// One that is online: two packages, of which the first depends on the second. What its tools download is noted in `log`.
    fn online() -> Self {
        let machine = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        let log = machine.path("log");
        machine.program(
            "apt-cache",
            "case \"$*\" in
            *' pkgnames '*) printf 'tool-9-dev\\ntool-10-dev\\ntool-x-dev\\ntool-11\\n' ;;
            *) printf 'tool\\n  Depends: tool-data\\n  Depends: libc6\\ntool-data\\n' ;;
            esac",
        );
        machine.program(
            "apt-get",
            &format!(
                "print() {{ [ -e \"$2\" ] || printf \"'http://x/%s' %s 2 SHA256:%s\\n\" \"$2\" \"$2\" \"$3\"; }}
                case \"$*\" in
                *--print-uris*)
                    print . tool_1_amd64.deb {TOOL}
                    print . tool-data_1_all.deb {DATA} ;;
                *' download '*)
                    log=
                    for word in \"$@\"; do
                        case $word in
                        tool) echo A > tool_1_amd64.deb; log=\"$log tool\" ;;
                        tool-data) echo B > tool-data_1_all.deb; log=\"$log tool-data\" ;;
                        esac
                    done
                    echo \"download$log\" >> '{log}'
                    sleep 0.2 ;;
                *' update') ;;
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
        self.command("tool").spawn().unwrap()
    }

    /// A process of its own that fetches packages.
    fn command(&self, packages: &str) -> Command {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--exact", "fetch", "--ignored", "--nocapture"])
            .env("PATH", self.path("bin"))
            .env("XDG_CACHE_HOME", self.path("cache"))
            .env(WANTED, packages)
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        command
    }

    /// The root is there, with what is in both packages and nothing else.
    fn assert_whole(&self) {
        let usr = self.path("cache/ferrostor/unpacked/tools/usr");
        let mut found: Vec<(String, String)> = fs::read_dir(usr)
            .unwrap()
            .map(|entry| {
                let path = entry.unwrap().path();
                let name = path.file_name().unwrap().to_str().unwrap().to_owned();
                (name, fs::read_to_string(path).unwrap())
            })
            .collect();
        found.sort();
        let expected = [("tool-data_1_all.deb", "B\n"), ("tool_1_amd64.deb", "A\n")];
        assert_eq!(
            found,
            expected.map(|(name, text)| (name.to_owned(), text.to_owned()))
        );
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
    let root = machine.path("cache/ferrostor/unpacked/tools");
    for process in processes {
        assert_eq!(answer(process), root);
    }
    assert_eq!(
        fs::read_to_string(machine.path("log")).unwrap(),
        "download tool-data tool\n"
    );
    machine.assert_whole();
}

/// What a run that was interrupted, a machine that lost its power, or a full disk may leave: where, and what; `None` is a folder.
const DEBRIS: &[&[(&str, Option<&str>)]] = &[
    &[],
    // Interrupted while fetching.
    &[("archives/tools/tool_1_amd64.deb", Some("A\n"))],
    &[("archives/tools/tool_1_amd64.deb", Some("A"))],
    &[("archives/tools/tool-data_1_all.deb", Some(""))],
    &[("archives/tools/tool_1_amd64.deb.partial", Some("A"))],
    &[("apt/lists/partial/deb.example_InRelease", Some("half"))],
    // Interrupted while unpacking.
    &[
        ("archives/tools/tool_1_amd64.deb", Some("A\n")),
        ("archives/tools/tool-data_1_all.deb", Some("B\n")),
        (
            "unpacked/tools.unfinished/usr/tool_1_amd64.deb",
            Some("A\n"),
        ),
    ],
    // Interrupted before the root was put in place, or while it replaced another.
    &[
        (
            "unpacked/tools.unfinished/usr/tool_1_amd64.deb",
            Some("old"),
        ),
        ("unpacked/tools.unfinished/PACKAGES", Some("tool\n")),
    ],
    &[("unpacked/tools/usr/tool_1_amd64.deb", Some("old"))],
    &[("unpacked/tools/PACKAGES", Some(""))],
    &[
        ("unpacked/tools/PACKAGES", Some("other\n")),
        ("unpacked/tools/usr/stranger", Some("old")),
    ],
    // Power was lost before the contents were on the disk.
    &[
        ("archives/tools/tool_1_amd64.deb", Some("\0\0")),
        ("archives/tools/tool-data_1_all.deb", Some("\0\0")),
    ],
    // Something else altogether.
    &[("archives/tools/tool_1_amd64.deb", None)],
    &[("unpacked/tools", Some("a file"))],
    &[("unpacked/tools.unfinished", Some("a file"))],
    &[("apt/empty/tool_1_amd64.deb", Some("A\n"))],
    &[("apt/empty", Some("a file"))],
    // What an earlier version took for whole.
    &[("packages/tools/PACKAGES", Some("tool\n"))],
];

#[test]
fn debris_is_never_taken_for_whole() {
    for debris in DEBRIS {
        let machine = Machine::online();
        for (name, contents) in *debris {
            let path = Path::new(&machine.path("cache/ferrostor")).join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            match contents {
                Some(contents) => fs::write(&path, contents).unwrap(),
                None => fs::create_dir(&path).unwrap(),
            }
        }
        let root = machine.path("cache/ferrostor/unpacked/tools");
        assert_eq!(machine.fetch(), root, "{debris:?}");
        machine.assert_whole();
        // There it stays, and is found.
        fs::remove_dir_all(machine.path("bin")).unwrap();
        assert_eq!(machine.fetch(), root, "{debris:?}");
    }
}

#[test]
fn a_file_that_is_whole_is_not_fetched_again() {
    let machine = Machine::online();
    let archives = machine.path("cache/ferrostor/archives/tools");
    fs::create_dir_all(&archives).unwrap();
    fs::write(Path::new(&archives).join("tool_1_amd64.deb"), "A\n").unwrap();
    machine.fetch();
    let log = fs::read_to_string(machine.path("log")).unwrap();
    assert_eq!(log, "download tool-data\n");
}

#[test]
fn what_is_not_in_the_signed_lists_is_not_unpacked() {
    let machine = Machine::online();
    let script = fs::read_to_string(machine.path("bin/apt-get")).unwrap();
    fs::write(
        machine.path("bin/apt-get"),
        script.replace("echo B", "echo C"),
    )
    .unwrap();
    let line = machine.fetch();
    assert!(
        line.contains("tool-data_1_all.deb is not what the package lists say"),
        "{line}"
    );
    assert!(!Path::new(&machine.path("cache/ferrostor/unpacked/tools")).exists());
}

/// An apt-get that is left behind when its parent is killed would go on to write where the next try does.
#[test]
fn a_program_ends_with_the_process_that_started_it() {
    let machine = Machine::online();
    std::os::unix::fs::symlink("/usr/bin/setpriv", machine.path("bin/setpriv")).unwrap();
    let pid = machine.path("pid");
    machine.program("apt-cache", &format!("echo $$ > '{pid}'; exec sleep 60"));
    let mut process = machine.start();
    let started = std::time::Instant::now();
    let child = loop {
        let read = fs::read_to_string(&pid).unwrap_or_default();
        if read.ends_with('\n') {
            break read.trim().to_owned();
        }
        assert!(started.elapsed().as_secs() < 30, "it does not start");
        std::thread::sleep(std::time::Duration::from_millis(10));
    };
    process.kill().unwrap();
    process.wait().unwrap();
    let state = || fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
    while !state().is_empty() && !state().contains(" Z ") {
        assert!(started.elapsed().as_secs() < 40, "it goes on: {}", state());
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

/// Packages whose names have a number of their own are asked for by the highest that all of them have.
#[test]
fn a_star_is_the_highest_number_that_there_is() {
    let machine = Machine::online();
    let log = machine.path("asked");
    let script = fs::read_to_string(machine.path("bin/apt-cache")).unwrap();
    let script = script.replace("case", &format!("echo \"$*\" >> '{log}'\ncase"));
    fs::write(machine.path("bin/apt-cache"), script).unwrap();
    let mut process = machine.command("tool-*-dev tool-*-dev");
    process.spawn().unwrap().wait().unwrap();
    let asked = fs::read_to_string(log).unwrap();
    assert!(
        asked
            .lines()
            .any(|line| line.ends_with(" tool-10-dev tool-10-dev")),
        "{asked}"
    );
}

#[test]
fn a_cache_folder_that_not_every_tool_can_be_given_is_one_line() {
    use std::os::unix::ffi::OsStrExt as _;

    let machine = Machine::online();
    for name in [&b"no\xff"[..], b"a:b", b"a\nb"] {
        let folder = machine
            .folder
            .path()
            .join(std::ffi::OsStr::from_bytes(name));
        let mut command = machine.command("tool");
        let line = answer(command.env("XDG_CACHE_HOME", folder).spawn().unwrap());
        assert!(line.contains(" cannot be the cache folder: "), "{line}");
    }
}

/// In spaces and other alphabets there is nothing that a tool could not be given.
#[test]
fn a_cache_folder_may_have_any_other_name() {
    let machine = Machine::online();
    let folder = machine.path("ein Ordner's \u{e4} $x");
    let mut command = machine.command("tool");
    let root = answer(command.env("XDG_CACHE_HOME", &folder).spawn().unwrap());
    assert_eq!(root, format!("{folder}/ferrostor/unpacked/tools"));
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
        machine.path("cache/ferrostor/unpacked/tools")
    );
}

#[test]
fn a_cache_folder_that_cannot_be_made_is_one_line() {
    let machine = Machine::online();
    fs::write(machine.path("cache"), "a file").unwrap();
    let line = machine.fetch();
    assert!(line.starts_with("cannot create the folder "), "{line}");
}

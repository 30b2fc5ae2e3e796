//! The process of QEMU: it ends with its owner, whatever becomes of that.

use std::fs::File;
use std::io::{self, Error, Read, Seek};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use rustix::io::{FdFlags, fcntl_setfd};
use rustix::process::{Pid, Signal, getpid, getppid, set_parent_process_death_signal};

use super::monitor::Monitor;
use super::profile::QemuProfile;
use super::program::Program;
use super::qtest::Qtest;

const NO_ACPI_HOTPLUG: &str = "ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off";

/// What a process is made from.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) program: Program,
    pub(super) profile: QemuProfile,
    /// The image behind each namespace.
    pub(super) disks: Vec<File>,
}

/// The machine's memory, as QEMU needs to know it.
#[derive(Debug)]
pub(super) struct GuestMemory {
    pub(super) file: File,
    pub(super) bytes: u64,
    /// What lies above continues at 4 GiB.
    pub(super) low_bytes: u64,
}

/// A process of QEMU that emulates devices and executes nothing.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    qtest: Qtest,
    monitor: Option<UnixStream>,
    complaints: File,
}

impl Process {
    /// Starts one. Whether it likes its arguments shows at the first command.
    ///
    /// It is killed when the thread that starts it ends.
    pub(super) fn start(parts: &Parts, memory: &GuestMemory) -> io::Result<Self> {
        let (qtest, their_qtest) = pair()?;
        let (monitor, their_monitor) = pair()?;
        let complaints = tempfile::tempfile()?;
        let mut command = Command::new(&parts.program.path);
        command
            .args(arguments(
                parts,
                memory,
                their_qtest.as_fd(),
                their_monitor.as_fd(),
            ))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(complaints.try_clone()?);
        let disks = parts.disks.iter().map(AsRawFd::as_raw_fd);
        let inherited: Vec<i32> = disks
            .chain([&their_qtest, &their_monitor].map(AsRawFd::as_raw_fd))
            .chain([memory.file.as_raw_fd()])
            .collect();
        let parent = getpid();
        // SAFETY: between fork and exec the closure makes system calls only: it takes no lock and allocates nothing.
        unsafe { command.pre_exec(move || prepare(parent, &inherited)) };
        let child = command.spawn()?;
        Ok(Self {
            child,
            qtest: Qtest::new(qtest)?,
            monitor: Some(monitor),
            complaints,
        })
    }

    /// The connection to it.
    pub(super) fn qtest(&mut self) -> &mut Qtest {
        &mut self.qtest
    }

    /// Connects its monitor.
    pub(super) fn connect(&mut self, monitor: &Monitor) -> io::Result<()> {
        match self.monitor.take() {
            Some(stream) => monitor.connect(stream),
            None => Ok(()),
        }
    }

    /// Ends the process, which failed with `error`, and tells why in a line.
    pub(super) fn explain(mut self, error: &Error) -> String {
        self.end();
        let mut said = String::new();
        let read = self
            .complaints
            .rewind()
            .and_then(|()| self.complaints.read_to_string(&mut said));
        let complaint = said.lines().find(|line| !line.contains("warning:"));
        match (read, complaint) {
            (Ok(_), Some(line)) => {
                let line = line.rsplit_once("qemu-system-x86_64: ");
                let line = line.map_or(said.trim(), |(_, rest)| rest);
                format!("QEMU: {line}")
            }
            _ => format!("QEMU: {error}"),
        }
    }

    fn end(&mut self) {
        // One that has ended already cannot be killed, and needs not.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}

/// The two ends of a connection: ours, and the new process's.
fn pair() -> io::Result<(UnixStream, OwnedFd)> {
    let (ours, theirs) = UnixStream::pair()?;
    Ok((ours, theirs.into()))
}

/// In the new process: it dies with its parent, and inherits what it is to use.
fn prepare(parent: Pid, inherited: &[i32]) -> io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    if getppid() != Some(parent) {
        return Err(Error::from_raw_os_error(libc::ESRCH));
    }
    for &descriptor in inherited {
        // SAFETY: the parent holds the descriptor open until after the fork, and so does this copy of it.
        let descriptor = unsafe { BorrowedFd::borrow_raw(descriptor) };
        fcntl_setfd(descriptor, FdFlags::empty())?;
    }
    Ok(())
}

fn arguments(
    parts: &Parts,
    memory: &GuestMemory,
    qtest: BorrowedFd<'_>,
    monitor: BorrowedFd<'_>,
) -> Vec<String> {
    let GuestMemory {
        file,
        bytes,
        low_bytes,
    } = memory;
    let path = |file: &File| format!("/proc/self/fd/{}", file.as_raw_fd());
    let megabytes = bytes >> 20;
    let mut arguments: Vec<String> = ["-S", "-nodefaults", "-no-user-config", "-display", "none"]
        .map(str::to_owned)
        .into();
    let mut option = |name: &str, value: String| {
        arguments.push(name.to_owned());
        arguments.push(value);
    };
    option(
        "-machine",
        format!("q35,accel=tcg,memory-backend=ram,max-ram-below-4g={low_bytes}"),
    );
    option("-m", format!("{megabytes}M"));
    option(
        "-object",
        format!(
            "memory-backend-file,id=ram,size={megabytes}M,mem-path={},share=on",
            path(file)
        ),
    );
    for (name, socket) in [("qtest", qtest), ("monitor", monitor)] {
        let socket = socket.as_raw_fd();
        option("-chardev", format!("socket,id={name},fd={socket}"));
    }
    option("-qtest", "chardev:qtest".to_owned());
    option("-qtest-log", "/dev/null".to_owned());
    option("-mon", "chardev=monitor,mode=control".to_owned());
    // The slot is operated through its own registers, not through ACPI.
    option("-global", NO_ACPI_HOTPLUG.to_owned());
    option("-device", "pcie-root-port,id=port0,addr=04.0".to_owned());
    // What the namespaces belong to, so that they stay when the controller goes.
    option("-device", "nvme-subsys,id=subsystem".to_owned());
    option("-device", parts.profile.controller());
    for (nsid, disk) in (1..).zip(&parts.disks) {
        option("-blockdev", parts.profile.disk(nsid, &path(disk)));
        option("-device", parts.profile.namespace(nsid));
    }
    arguments
}

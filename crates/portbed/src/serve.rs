//! `portbed serve`: the NVMe model as a PCI device for others, over vfio-user.
//!
//! A client (a virtual machine monitor, a user-space driver) connects to a socket and finds a PCI device there:
//! configuration space, BAR 0, interrupts by eventfd, and DMA into the memory that it maps. Time is real time. What the
//! model judges is told as it happens and summed up at the end.
//!
//! The crate `vfio_user` has a server as well. It trusts its client, which makes it panic, or allocate, or wait as it likes,
//! and it can neither be stopped nor do anything between two messages; so messages are read here. Its client is what the
//! tests use.

mod client_memory;
mod connection;
mod device;
mod interrupts;
mod message;
mod session;
mod summary;

use std::fs;
use std::io;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nvme_model::{Controller, FileMedia, Media, Profile, ProfileError};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::Mode;
use rustix::io::Errno;
use rustix::process::umask;
use signal_hook::consts::{SIGINT, SIGTERM};
use thiserror::Error;

use crate::disk::{Backing, BackingError};
use crate::journal::{Event, Who};
use crate::report::Verdict;
use crate::rules::Judge;
use crate::timeline::Timeline;
use connection::{Connection, Received};
use device::Device;
use message::ProtocolError;
use session::Session;
use summary::Served;

/// What is served, and where.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The socket, which must not exist yet.
    pub socket: PathBuf,
    /// Which controller the model is.
    pub device: Profile,
    /// The image behind the first namespace, read and written; without one, a temporary file.
    pub disk: Option<PathBuf>,
    /// Whether it ends with its first client.
    pub once: bool,
}

/// Why nothing can be served. One line.
#[derive(Debug, Error)]
pub enum CannotServe {
    /// Something has that name.
    #[error("--socket: {} exists already; remove it, if nobody uses it", .0.display())]
    Exists(PathBuf),
    /// The socket cannot be made.
    #[error("--socket: cannot listen on {}: {why}", path.display())]
    Socket {
        /// Its path.
        path: PathBuf,
        /// What the system said.
        why: io::Error,
    },
    /// No controller is like that.
    #[error("--profile: {0}")]
    Profile(#[from] ProfileError),
    /// The disk cannot be used.
    #[error(transparent)]
    Disk(#[from] BackingError),
    /// The system failed.
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// Serves the device until it is told to end by SIGTERM or SIGINT, or, if it is to serve once, until its client has left.
pub fn serve(setup: &Setup, timeline: &Timeline) -> Result<Verdict, CannotServe> {
    setup.device.check()?;
    let controller = Controller::new(&setup.device, media(setup)?);
    let stop = stop_signals()?;
    let listener = Listener::bind(&setup.socket)?;
    let judge = Judge::default();
    let mut server = Server {
        device: Device::new(controller, judge.clone(), timeline.clone()),
        began: Instant::now(),
        stop,
        timeline,
        clients: 0,
        faults: Vec::new(),
    };
    server.tell(format!("listening on {}", setup.socket.display()));
    while let Some(stream) = server.accept(&listener)? {
        let stopped = server.attend(stream)?;
        if stopped || setup.once {
            break;
        }
    }
    drop(listener);
    let Server {
        device,
        clients,
        faults,
        ..
    } = server;
    let seen = Served {
        model: &setup.device.model,
        clients,
        hmb: device.hmb(),
        traffic: device.machine.traffic,
        interrupts: device.machine.interrupts.sent(),
        judge: &judge,
        injected: &device.faults(),
        faults: &faults,
    };
    seen.print(timeline);
    Ok(if seen.held() {
        Verdict::Pass
    } else {
        Verdict::Fail
    })
}

/// The file behind each namespace: the given one behind the first, temporary ones behind the others.
fn media(setup: &Setup) -> Result<Vec<Box<dyn Media>>, CannotServe> {
    let profile = &setup.device;
    let mut media: Vec<Box<dyn Media>> = Vec::new();
    for namespace in 0..profile.namespaces {
        let backing = match &setup.disk {
            Some(path) if namespace == 0 => Backing::existing(path, profile.block_bytes)?,
            _ => Backing::temporary(profile.capacity_bytes)?,
        };
        // The handle keeps the lock.
        media.push(Box::new(FileMedia::new(backing.handle()?)?));
    }
    Ok(media)
}

/// Becomes readable when the process is asked to end.
fn stop_signals() -> io::Result<UnixStream> {
    let (stop, asked) = UnixStream::pair()?;
    for signal in [SIGTERM, SIGINT] {
        signal_hook::low_level::pipe::register(signal, asked.try_clone()?)?;
    }
    Ok(stop)
}

/// A socket with a name, which goes with it.
struct Listener<'a> {
    socket: UnixListener,
    path: &'a Path,
}

impl<'a> Listener<'a> {
    fn bind(path: &'a Path) -> Result<Self, CannotServe> {
        // From the moment that it is there, the socket is for its owner alone.
        let before = umask(Mode::RWXG | Mode::RWXO | Mode::XUSR);
        let bound = UnixListener::bind(path);
        umask(before);
        let socket = bound.map_err(|why| match why.kind() {
            io::ErrorKind::AddrInUse => CannotServe::Exists(path.into()),
            _ => CannotServe::Socket {
                path: path.into(),
                why,
            },
        })?;
        // A client that leaves before it is accepted must not be waited for.
        socket.set_nonblocking(true)?;
        Ok(Self { socket, path })
    }
}

impl Drop for Listener<'_> {
    fn drop(&mut self) {
        // Whoever removed it already has done what is wanted here.
        let _ = fs::remove_file(self.path);
    }
}

/// The device and its clients, one at a time.
struct Server<'a> {
    device: Device,
    began: Instant,
    stop: UnixStream,
    timeline: &'a Timeline,
    clients: u64,
    faults: Vec<String>,
}

/// How the talk with a client ended.
enum End {
    Left,
    Stopped,
    SentAway(ProtocolError),
}

impl Server<'_> {
    fn now_ns(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    fn tell(&self, what: String) {
        self.timeline.event(&Event {
            t_ns: self.now_ns(),
            who: Who::Bed,
            what,
        });
    }

    /// The next client; none when the process is asked to end.
    fn accept(&self, listener: &Listener<'_>) -> io::Result<Option<UnixStream>> {
        loop {
            let mut wanted = [
                PollFd::new(&self.stop, PollFlags::IN),
                PollFd::new(&listener.socket, PollFlags::IN),
            ];
            wait(&mut wanted, None)?;
            if !wanted[0].revents().is_empty() {
                return Ok(None);
            }
            match listener.socket.accept() {
                Ok((stream, _)) => return Ok(Some(stream)),
                Err(why) if why.kind() == io::ErrorKind::WouldBlock => {}
                Err(why) => return Err(why),
            }
        }
    }

    /// Serves a client to its end; whether the process is asked to end.
    fn attend(&mut self, stream: UnixStream) -> io::Result<bool> {
        self.clients += 1;
        self.tell(format!("client {} has connected", self.clients));
        let mut connection = Connection::new(stream)?;
        self.device.run(self.now_ns());
        self.device.connect();
        let end = self.talk(&mut connection)?;
        self.device.run(self.now_ns());
        let how = match &end {
            End::Left => {
                self.device.disconnect();
                "has left".to_owned()
            }
            End::Stopped => {
                self.device.cut_off();
                "is sent away: asked to end".to_owned()
            }
            End::SentAway(why) => {
                self.device.cut_off();
                self.faults.push(format!("bad message: {why}"));
                format!("is sent away: bad message: {why}")
            }
        };
        self.tell(format!("client {} {how}", self.clients));
        Ok(matches!(end, End::Stopped))
    }

    fn talk(&mut self, connection: &mut Connection) -> io::Result<End> {
        let mut session = Session::default();
        loop {
            self.device.run(self.now_ns());
            let mut wanted = [
                PollFd::new(&self.stop, PollFlags::IN),
                PollFd::new(connection, PollFlags::IN),
            ];
            let due = self.device.next_event_ns();
            let due = due.map(|at_ns| at_ns.saturating_sub(self.now_ns()));
            wait(&mut wanted, due.map(Duration::from_nanos))?;
            if !wanted[0].revents().is_empty() {
                return Ok(End::Stopped);
            }
            if wanted[1].revents().is_empty() {
                continue;
            }
            self.device.run(self.now_ns());
            match self.step(&mut session, connection) {
                Ok(true) => {}
                Ok(false) => return Ok(End::Left),
                Err(why) => return Ok(End::SentAway(why)),
            }
        }
    }

    /// Takes what has arrived and answers it; whether the client is still there.
    fn step(
        &mut self,
        session: &mut Session,
        connection: &mut Connection,
    ) -> Result<bool, ProtocolError> {
        match connection.receive()? {
            Received::End => return Ok(false),
            Received::Partial => {}
            Received::Message(message) => {
                if let Some(reply) = session.obey(message, &mut self.device)? {
                    connection.send(&reply)?;
                }
            }
        }
        Ok(true)
    }
}

/// Waits until one of the descriptors is ready, or the time is over.
fn wait(wanted: &mut [PollFd<'_>], most: Option<Duration>) -> io::Result<()> {
    // Longer than the system can count is for ever.
    let most = most.and_then(|most| Timespec::try_from(most).ok());
    match poll(wanted, most.as_ref()) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(why) => Err(why.into()),
    }
}

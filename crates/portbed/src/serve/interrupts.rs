//! Interrupts of the device, as VFIO has them: an eventfd for each message and one for the line.

use std::fs;
use std::ops::Range;
use std::os::fd::{AsRawFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, write};

use super::message::{InterruptInfo, SetInterrupts};

/// The kinds of interrupts of a PCI device: the line, MSI, MSI-X, errors, requests.
pub const KINDS: u32 = 5;
const LINE: u32 = 0;
const MESSAGES: u32 = 2;

const BY_EVENTFD: u32 = 1;
const MASKABLE: u32 = 2;
const MASKS_ITSELF: u32 = 4;

const WITH_NOTHING: u32 = 1;
const WITH_BYTES: u32 = 1 << 1;
const WITH_DESCRIPTORS: u32 = 1 << 2;
const MASK: u32 = 1 << 3;
const UNMASK: u32 = 1 << 4;
const TRIGGER: u32 = 1 << 5;

/// Where interrupts go, and which may.
pub struct Interrupts {
    messages: Vec<Message>,
    line: Line,
    sent: u64,
}

#[derive(Default)]
struct Message {
    target: Option<OwnedFd>,
    masked: bool,
}

#[derive(Default)]
struct Line {
    target: Option<OwnedFd>,
    high: bool,
    masked: bool,
}

/// What a change means to the device.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Change {
    /// Nothing.
    None,
    /// Other messages may be sent than before.
    Masks,
    /// Messages are used instead of the line, and other messages may be sent than before.
    MessagesOn,
    /// The line is used instead of messages.
    MessagesOff,
}

/// What comes with a request.
enum Data<'a> {
    Nothing,
    Bytes(&'a [u8]),
    Descriptors(Vec<OwnedFd>),
}

impl Interrupts {
    /// So many messages, and a line. Nothing goes anywhere yet.
    pub fn new(messages: u16) -> Self {
        Self {
            messages: (0..messages).map(|_| Message::default()).collect(),
            line: Line::default(),
            sent: 0,
        }
    }

    /// Nothing goes anywhere any more.
    pub fn let_go(&mut self) {
        self.messages.fill_with(Message::default);
        self.line.target = None;
        self.line.masked = false;
    }

    /// How many were sent.
    pub fn sent(&self) -> u64 {
        self.sent
    }

    /// What a client is told of a kind.
    pub fn info(&self, index: u32) -> Option<InterruptInfo> {
        let flags = match index {
            LINE => BY_EVENTFD | MASKABLE | MASKS_ITSELF,
            MESSAGES => BY_EVENTFD | MASKABLE,
            _ => 0,
        };
        Some(InterruptInfo {
            argsz: size_of::<InterruptInfo>() as u32,
            flags,
            index,
            count: self.count(index)?,
        })
    }

    fn count(&self, index: u32) -> Option<u32> {
        match index {
            LINE => Some(1),
            MESSAGES => Some(self.messages.len() as u32),
            _ if index < KINDS => Some(0),
            _ => None,
        }
    }

    /// The messages, and whether the client lets each of them through.
    pub fn open(&self) -> impl Iterator<Item = (u16, bool)> {
        let open = |message: &Message| message.target.is_some() && !message.masked;
        (0..).zip(self.messages.iter().map(open))
    }

    /// The device sends a message.
    pub fn message(&mut self, number: u16) {
        let message = self.messages.get(usize::from(number));
        if let Some(target) = message.and_then(|message| message.target.as_ref()) {
            self.sent += 1;
            signal(target);
        }
    }

    /// The device raises or lowers the line.
    pub fn line(&mut self, high: bool) {
        self.line.high = high;
        self.deliver_line();
    }

    /// The line triggers once, and again when it is still high after the client has unmasked it.
    fn deliver_line(&mut self) {
        let Line {
            target,
            high,
            masked,
        } = &mut self.line;
        if let Some(target) = target
            && *high
            && !*masked
        {
            *masked = true;
            self.sent += 1;
            signal(target);
        }
    }

    /// The client says what becomes of interrupts.
    pub fn set(
        &mut self,
        request: &SetInterrupts,
        bytes: &[u8],
        descriptors: Vec<OwnedFd>,
    ) -> Result<Change, Errno> {
        let all = self.count(request.index).ok_or(Errno::INVAL)?;
        let end = request.start.checked_add(request.count);
        let range = request.start..end.filter(|end| *end <= all).ok_or(Errno::INVAL)?;
        let (action, data) = decode(request, bytes, descriptors)?;
        match (request.index, action, data) {
            // Those that do not exist can be turned off.
            (_, TRIGGER, Data::Nothing) if range.is_empty() => Ok(self.turn_off(request.index)),
            (_, TRIGGER, Data::Descriptors(targets)) => self.direct(request.index, range, targets),
            (_, TRIGGER, data) => {
                self.trigger(request.index, selected(range, &data));
                Ok(Change::None)
            }
            (_, _, Data::Descriptors(_)) => Err(Errno::OPNOTSUPP),
            (LINE, action, data) => {
                if selected(range, &data).next().is_some() {
                    self.line.masked = action == MASK;
                    self.deliver_line();
                }
                Ok(Change::None)
            }
            (_, action, data) => {
                for number in selected(range, &data) {
                    self.messages[number].masked = action == MASK;
                }
                Ok(Change::Masks)
            }
        }
    }

    fn turn_off(&mut self, index: u32) -> Change {
        match index {
            LINE => {
                self.line.target = None;
                self.line.masked = false;
                Change::None
            }
            MESSAGES => {
                self.messages.fill_with(Message::default);
                Change::MessagesOff
            }
            _ => Change::None,
        }
    }

    /// Interrupts go to these eventfds from now on, or nowhere where there are none.
    fn direct(
        &mut self,
        index: u32,
        range: Range<u32>,
        targets: Vec<OwnedFd>,
    ) -> Result<Change, Errno> {
        if !targets.iter().all(is_eventfd) {
            return Err(Errno::INVAL);
        }
        let targets = targets
            .into_iter()
            .map(Some)
            .chain(std::iter::repeat_with(|| None));
        if index == LINE {
            for (_, target) in range.zip(targets) {
                self.line.target = target;
                self.line.masked = false;
            }
            self.deliver_line();
            return Ok(Change::None);
        }
        for (number, target) in range.zip(targets) {
            self.messages[number as usize] = Message {
                target,
                masked: false,
            };
        }
        Ok(Change::MessagesOn)
    }

    /// The client asks for an interrupt itself.
    fn trigger(&mut self, index: u32, numbers: impl Iterator<Item = usize>) {
        for number in numbers {
            let target = match index {
                LINE => &self.line.target,
                _ => &self.messages[number].target,
            };
            if let Some(target) = target {
                signal(target);
            }
        }
    }
}

fn decode<'a>(
    request: &SetInterrupts,
    bytes: &'a [u8],
    descriptors: Vec<OwnedFd>,
) -> Result<(u32, Data<'a>), Errno> {
    let kinds = WITH_NOTHING | WITH_BYTES | WITH_DESCRIPTORS;
    let action = request.flags & !kinds;
    if !matches!(action, MASK | UNMASK | TRIGGER) {
        return Err(Errno::INVAL);
    }
    let count = request.count as usize;
    let data = match request.flags & kinds {
        WITH_NOTHING if descriptors.is_empty() => Data::Nothing,
        WITH_BYTES if descriptors.is_empty() && bytes.len() == count => Data::Bytes(bytes),
        WITH_DESCRIPTORS if descriptors.is_empty() || descriptors.len() == count => {
            Data::Descriptors(descriptors)
        }
        _ => return Err(Errno::INVAL),
    };
    Ok((action, data))
}

/// The interrupts of the range that the data name.
fn selected(range: Range<u32>, data: &Data<'_>) -> impl Iterator<Item = usize> {
    range.enumerate().filter_map(|(at, number)| {
        let named = match data {
            Data::Bytes(bytes) => bytes.get(at).is_some_and(|byte| *byte != 0),
            _ => true,
        };
        named.then_some(number as usize)
    })
}

/// Whether a descriptor is what interrupts are sent to. A write to anything else might wait for ever.
fn is_eventfd(descriptor: &OwnedFd) -> bool {
    let link = fs::read_link(format!("/proc/self/fd/{}", descriptor.as_raw_fd()));
    link.is_ok_and(|link| link.as_os_str() == "anon_inode:[eventfd]")
}

/// Sends an interrupt. An eventfd whose counter is full has one to take already.
fn signal(target: &OwnedFd) {
    let mut room = [PollFd::new(target, PollFlags::OUT)];
    let now = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    if poll(&mut room, Some(&now)) == Ok(1) && room[0].revents().contains(PollFlags::OUT) {
        // The counter has room for one; who emptied or filled it meanwhile is its owner.
        let _ = write(target, &1_u64.to_ne_bytes());
    }
}

#[cfg(test)]
mod tests {
    use rustix::event::{EventfdFlags, eventfd};
    use rustix::io::read;

    use super::*;

    fn target() -> (OwnedFd, OwnedFd) {
        let ours = eventfd(0, EventfdFlags::NONBLOCK).unwrap();
        (ours.try_clone().unwrap(), ours)
    }

    /// How often it was signalled since it was last asked.
    fn taken(target: &OwnedFd) -> u64 {
        let mut count = [0; 8];
        read(target, &mut count).map_or(0, |_| u64::from_ne_bytes(count))
    }

    fn set(
        interrupts: &mut Interrupts,
        (index, flags, start, count): (u32, u32, u32, u32),
        bytes: &[u8],
        descriptors: Vec<OwnedFd>,
    ) -> Result<Change, Errno> {
        let request = SetInterrupts {
            argsz: 20,
            flags,
            index,
            start,
            count,
        };
        interrupts.set(&request, bytes, descriptors)
    }

    #[test]
    fn the_line_masks_itself_and_triggers_again_while_it_is_high() {
        let mut interrupts = Interrupts::new(0);
        let (theirs, ours) = target();
        let direct = (LINE, TRIGGER | WITH_DESCRIPTORS, 0, 1);
        set(&mut interrupts, direct, &[], vec![theirs]).unwrap();
        interrupts.line(true);
        interrupts.line(false);
        interrupts.line(true);
        assert_eq!(taken(&ours), 1);
        let unmask = (LINE, UNMASK | WITH_NOTHING, 0, 1);
        set(&mut interrupts, unmask, &[], vec![]).unwrap();
        assert_eq!(taken(&ours), 1, "it is high");
        interrupts.line(false);
        set(&mut interrupts, unmask, &[], vec![]).unwrap();
        assert_eq!(taken(&ours), 0);
        set(
            &mut interrupts,
            (LINE, MASK | WITH_BYTES, 0, 1),
            &[1],
            vec![],
        )
        .unwrap();
        interrupts.line(true);
        assert_eq!(taken(&ours), 0);
        set(
            &mut interrupts,
            (LINE, UNMASK | WITH_BYTES, 0, 1),
            &[0],
            vec![],
        )
        .unwrap();
        assert_eq!(taken(&ours), 0, "a zero byte leaves it as it is");
    }

    #[test]
    fn messages_go_where_they_are_directed_until_they_are_turned_off() {
        let mut interrupts = Interrupts::new(3);
        let ((first, one), (second, two)) = (target(), target());
        let direct = (MESSAGES, TRIGGER | WITH_DESCRIPTORS, 1, 2);
        let changed = set(&mut interrupts, direct, &[], vec![first, second]);
        assert_eq!(changed, Ok(Change::MessagesOn));
        let open: Vec<_> = interrupts.open().collect();
        assert_eq!(open, [(0, false), (1, true), (2, true)]);
        for message in 0..4 {
            interrupts.message(message);
        }
        assert_eq!((taken(&one), taken(&two), interrupts.sent()), (1, 1, 2));
        let masked = set(
            &mut interrupts,
            (MESSAGES, MASK | WITH_NOTHING, 1, 1),
            &[],
            vec![],
        );
        assert_eq!(masked, Ok(Change::Masks));
        let nowhere = (MESSAGES, TRIGGER | WITH_DESCRIPTORS, 2, 1);
        set(&mut interrupts, nowhere, &[], vec![]).unwrap();
        assert!(interrupts.open().all(|(_, open)| !open));
        let asked = (MESSAGES, TRIGGER | WITH_BYTES, 0, 3);
        set(&mut interrupts, asked, &[1, 1, 1], vec![]).unwrap();
        assert_eq!((taken(&one), taken(&two)), (1, 0));
        let off = set(
            &mut interrupts,
            (MESSAGES, TRIGGER | WITH_NOTHING, 0, 0),
            &[],
            vec![],
        );
        assert_eq!(off, Ok(Change::MessagesOff));
        interrupts.message(1);
        assert_eq!(taken(&one), 0);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let mut interrupts = Interrupts::new(2);
        let mut refused = |request, bytes: &[u8], descriptors| {
            set(&mut interrupts, request, bytes, descriptors).unwrap_err()
        };
        let direct = TRIGGER | WITH_DESCRIPTORS;
        assert_eq!(refused((KINDS, direct, 0, 0), &[], vec![]), Errno::INVAL);
        assert_eq!(refused((MESSAGES, direct, 1, 2), &[], vec![]), Errno::INVAL);
        assert_eq!(
            refused((MESSAGES, direct, u32::MAX, 2), &[], vec![]),
            Errno::INVAL
        );
        assert_eq!(
            refused((MESSAGES, direct | MASK, 0, 1), &[], vec![]),
            Errno::INVAL
        );
        assert_eq!(
            refused((MESSAGES, direct | WITH_BYTES, 0, 1), &[1], vec![]),
            Errno::INVAL
        );
        assert_eq!(
            refused((MESSAGES, MASK | WITH_BYTES, 0, 2), &[1], vec![]),
            Errno::INVAL
        );
        assert_eq!(
            refused((LINE, UNMASK | WITH_DESCRIPTORS, 0, 1), &[], vec![]),
            Errno::OPNOTSUPP
        );
        let several = vec![target().0, target().0];
        assert_eq!(
            refused((MESSAGES, direct, 0, 1), &[], several),
            Errno::INVAL
        );
        let (_, pipe) = std::io::pipe().unwrap();
        let pipe = vec![OwnedFd::from(pipe)];
        assert_eq!(refused((MESSAGES, direct, 0, 1), &[], pipe), Errno::INVAL);
    }

    #[test]
    fn a_full_counter_is_not_waited_for() {
        let mut interrupts = Interrupts::new(1);
        let theirs = eventfd(0, EventfdFlags::empty()).unwrap();
        write(&theirs, &(u64::MAX - 1).to_ne_bytes()).unwrap();
        let direct = (MESSAGES, TRIGGER | WITH_DESCRIPTORS, 0, 1);
        set(&mut interrupts, direct, &[], vec![theirs]).unwrap();
        interrupts.message(0);
    }
}

//! MSI-X messages: each is an event file that the system signals.

use std::collections::BTreeSet;
use std::io;
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::time::Duration;

use vmm_sys_util::eventfd::EventFd;

use super::function::VfioFunction;
use crate::pci;

/// Bytes of an entry of the message table, and where in it the mask bit is.
const ENTRY_BYTES: u64 = 16;
const ENTRY_CONTROL: u64 = 12;
/// No more messages are given to an adapter.
const MOST_MESSAGES: u64 = 64;

/// The messages of a function.
#[derive(Debug)]
pub(super) struct Messages {
    /// Where the capability is; 0 where there is none.
    capability: u16,
    /// Where in BAR0 the message table lies.
    table: Range<u64>,
    /// Which messages system software has not masked.
    wanted: Vec<bool>,
    /// Whether messages are switched on, and whether what is connected is not what is wanted any more.
    enabled: bool,
    stale: bool,
    connected: Vec<EventFd>,
    /// Messages that came while they were masked.
    pending: BTreeSet<u16>,
}

impl Messages {
    /// The messages of `function`, none of them connected.
    pub(super) fn new(function: &VfioFunction) -> Self {
        let Some(at) = function.capability(pci::MSI_X) else {
            return Self::at(0, 0..0, 0);
        };
        let vectors = u64::from(function.config_read(at + 2, 2) & 0x7FF) + 1;
        let table = function.config_read(at + 4, 4);
        let (bar, start) = (table & 7, u64::from(table & !7));
        // A table in another BAR is not one that a write to BAR0 could hit.
        let bytes = if bar == 0 { vectors * ENTRY_BYTES } else { 0 };
        Self::at(at, start..start + bytes, vectors)
    }

    fn at(capability: u16, table: Range<u64>, vectors: u64) -> Self {
        Self {
            capability,
            table,
            wanted: vec![false; vectors.min(MOST_MESSAGES) as usize],
            enabled: false,
            stale: false,
            connected: Vec::new(),
            pending: BTreeSet::new(),
        }
    }

    /// Whether `offset` of BAR0 is in the message table.
    pub(super) fn in_table(&self, offset: u64) -> bool {
        self.table.contains(&offset)
    }

    /// System software writes a word into the message table.
    pub(super) fn table_write(&mut self, offset: u64, value: u32) {
        let Some(at) = offset.checked_sub(self.table.start) else {
            return;
        };
        let wanted = self.wanted.get_mut((at / ENTRY_BYTES) as usize);
        if let Some(wanted) = wanted.filter(|_| at % ENTRY_BYTES == ENTRY_CONTROL) {
            *wanted = value & 1 == 0;
            self.stale = true;
        }
    }

    /// Whether a write to configuration space switches messages on or off; nothing for any other.
    pub(super) fn config_write(&self, offset: u16, bytes: u8, value: u32) -> Option<bool> {
        /// Message control is the upper half of the first word, and the switch is its highest bit.
        const SWITCH_BYTE: u16 = 3;
        let shift = (self.capability + SWITCH_BYTE).checked_sub(offset)?;
        let covered = self.capability != 0 && shift < u16::from(bytes);
        covered.then(|| value >> (shift * 8) & 0x80 != 0)
    }

    /// Switches messages on or off.
    pub(super) fn enable(&mut self, enable: bool) {
        self.enabled = enable;
        self.stale = true;
    }

    /// Has the messages that are wanted signalled, if that has changed since.
    pub(super) fn connect(&mut self, function: &VfioFunction) -> io::Result<()> {
        if !std::mem::take(&mut self.stale) {
            return Ok(());
        }
        let count = self.count();
        if count == self.connected.len() {
            return Ok(());
        }
        function.disconnect();
        self.connected.clear();
        if count > 0 {
            let events = (0..count)
                .map(|_| EventFd::new(libc::EFD_NONBLOCK | libc::EFD_CLOEXEC))
                .collect::<io::Result<Vec<_>>>()?;
            function.connect(&events)?;
            self.connected = events;
        }
        Ok(())
    }

    /// How many messages have to be connected: all up to the last that is wanted.
    fn count(&self) -> usize {
        let last = self.wanted.iter().rposition(|&wanted| wanted);
        last.filter(|_| self.enabled).map_or(0, |last| last + 1)
    }

    /// Takes the messages that have arrived and are not masked; waits up to `wait` for the first.
    pub(super) fn take(&mut self, wait: Duration) -> io::Result<Vec<u16>> {
        let mut polled: Vec<libc::pollfd> = self
            .connected
            .iter()
            .map(|event| libc::pollfd {
                fd: event.as_raw_fd(),
                events: libc::POLLIN,
                revents: 0,
            })
            .collect();
        let timeout = libc::timespec {
            tv_sec: wait.as_secs().cast_signed(),
            tv_nsec: wait.subsec_nanos().into(),
        };
        let count = polled.len() as libc::nfds_t;
        // SAFETY: the array has as many entries as are told, and nobody else refers to it or to the time.
        let ready = unsafe {
            libc::ppoll(
                polled.as_mut_ptr(),
                count,
                &raw const timeout,
                std::ptr::null(),
            )
        };
        if ready < 0 {
            let error = io::Error::last_os_error();
            return match error.kind() {
                io::ErrorKind::Interrupted => Ok(Vec::new()),
                _ => Err(error),
            };
        }
        for (message, (event, polled)) in (0..).zip(self.connected.iter().zip(&polled)) {
            if polled.revents & libc::POLLIN != 0 && event.read().is_ok() {
                self.pending.insert(message);
            }
        }
        let wanted = |message: &u16| self.wanted.get(usize::from(*message)) == Some(&true);
        let arrived: Vec<u16> = self.pending.iter().copied().filter(wanted).collect();
        self.pending.retain(|message| !arrived.contains(message));
        Ok(arrived)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_that_was_signalled_is_taken_once_and_waited_for() {
        let mut messages = Messages::at(0x40, 0x2000..0x2030, 3);
        messages.connected = (0..3)
            .map(|_| EventFd::new(libc::EFD_NONBLOCK).unwrap())
            .collect();
        messages.wanted = vec![true; 3];
        assert_eq!(messages.take(Duration::ZERO).unwrap(), [0; 0]);
        messages.connected[2].write(1).unwrap();
        messages.connected[0].write(5).unwrap();
        assert_eq!(messages.take(Duration::ZERO).unwrap(), [0, 2]);
        assert_eq!(messages.take(Duration::ZERO).unwrap(), [0; 0]);
        let event = messages.connected[1].try_clone().unwrap();
        let later = std::thread::spawn(move || event.write(1).unwrap());
        assert_eq!(messages.take(Duration::from_mins(1)).unwrap(), [1]);
        later.join().unwrap();
    }

    #[test]
    fn a_message_that_is_masked_comes_when_it_is_not_masked_any_more() {
        let mut messages = Messages::at(0x40, 0x2000..0x2020, 2);
        messages.connected = (0..2)
            .map(|_| EventFd::new(libc::EFD_NONBLOCK).unwrap())
            .collect();
        messages.table_write(0x200C, 0);
        messages.connected[1].write(1).unwrap();
        assert_eq!(messages.take(Duration::ZERO).unwrap(), [0; 0]);
        messages.table_write(0x201C, 0);
        assert_eq!(messages.take(Duration::ZERO).unwrap(), [1]);
        assert_eq!(messages.take(Duration::ZERO).unwrap(), [0; 0]);
    }

    #[test]
    fn as_many_are_connected_as_are_wanted_while_they_are_switched_on() {
        let mut messages = Messages::at(0x40, 0x2000..0x2040, 4);
        messages.table_write(0x202C, 0);
        assert_eq!(messages.count(), 0);
        messages.enable(true);
        assert_eq!(messages.count(), 3);
        messages.table_write(0x203C, 0);
        assert_eq!(messages.count(), 4);
        messages.enable(false);
        assert_eq!(messages.count(), 0);
    }

    #[test]
    fn the_table_tells_which_messages_are_wanted() {
        let mut messages = Messages::at(0x40, 0x2000..0x2030, 3);
        for (offset, value) in [(0x2000, 0), (0x200C, 0), (0x201C, 1), (0x202C, 0)] {
            assert!(messages.in_table(offset));
            messages.table_write(offset, value);
        }
        assert_eq!(messages.wanted, [true, false, true]);
        assert!(!messages.in_table(0x1FFC) && !messages.in_table(0x2030));
        messages.table_write(0x1000, 0);
        messages.table_write(0x9000, 0);
        assert_eq!(messages.wanted, [true, false, true]);
    }

    #[test]
    fn the_switch_is_found_however_it_is_written() {
        let messages = Messages::at(0x40, 0..0, 1);
        assert_eq!(messages.config_write(0x40, 4, 1 << 31), Some(true));
        assert_eq!(messages.config_write(0x40, 4, 0x7FFF_FFFF), Some(false));
        assert_eq!(messages.config_write(0x42, 2, 0x8000), Some(true));
        assert_eq!(messages.config_write(0x43, 1, 0x80), Some(true));
        for (offset, bytes) in [(0x40, 2), (0x42, 1), (0x44, 4), (0x3C, 4)] {
            assert_eq!(messages.config_write(offset, bytes, u32::MAX), None);
        }
        assert_eq!(Messages::at(0, 0..0, 0).config_write(0, 4, u32::MAX), None);
    }
}

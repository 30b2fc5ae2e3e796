//! The connection to a client: whole messages with the descriptors that come along, and replies.

use std::io::{ErrorKind, IoSliceMut, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::cmsg_space;
use rustix::io::Errno;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, recvmsg};
use zerocopy::FromBytes;

use super::message::{Header, ProtocolError};

/// The most descriptors that come with one message.
pub const MOST_DESCRIPTORS: usize = 16;

/// How long a client may take to make room for a reply.
const REPLY_PATIENCE: Duration = Duration::from_secs(5);

/// A client, and what has arrived of its next message.
pub struct Connection {
    stream: UnixStream,
    partial: Vec<u8>,
    descriptors: Vec<OwnedFd>,
}

/// A command of the client.
pub struct Message {
    /// Its header.
    pub header: Header,
    /// What follows the header.
    pub body: Vec<u8>,
    /// The descriptors that came along.
    pub descriptors: Vec<OwnedFd>,
}

/// What a look at the connection gave.
pub enum Received {
    /// A whole message.
    Message(Message),
    /// Not enough for a message yet.
    Partial,
    /// The client has left.
    End,
}

impl Connection {
    /// A client that has just connected.
    pub fn new(stream: UnixStream) -> std::io::Result<Self> {
        stream.set_write_timeout(Some(REPLY_PATIENCE))?;
        Ok(Self {
            stream,
            partial: Vec::new(),
            descriptors: Vec::new(),
        })
    }

    /// Takes what has arrived, of one message at most, and never waits.
    pub fn receive(&mut self) -> Result<Received, ProtocolError> {
        let wanted = match self.header() {
            None => size_of::<Header>(),
            Some(header) => size_of::<Header>() + header.body_bytes()?,
        };
        if self.partial.len() < wanted {
            match self.receive_bytes(wanted)? {
                None => return Ok(Received::Partial),
                Some(0) if self.partial.is_empty() => return Ok(Received::End),
                Some(0) => return Err(ProtocolError::Cut),
                Some(_) => {}
            }
        }
        let Some(header) = self.header() else {
            return Ok(Received::Partial);
        };
        if self.partial.len() < size_of::<Header>() + header.body_bytes()? {
            return Ok(Received::Partial);
        }
        let body = self.partial.split_off(size_of::<Header>());
        self.partial.clear();
        Ok(Received::Message(Message {
            header,
            body,
            descriptors: std::mem::take(&mut self.descriptors),
        }))
    }

    /// The header of the message, once it has arrived.
    fn header(&self) -> Option<Header> {
        Header::read_from_prefix(&self.partial)
            .ok()
            .map(|(header, _)| header)
    }

    /// Takes bytes until `wanted` are there, as many as have arrived. Never more: descriptors come with the first byte of
    /// their message, and belong to it.
    fn receive_bytes(&mut self, wanted: usize) -> Result<Option<usize>, ProtocolError> {
        let have = self.partial.len();
        self.partial.resize(wanted, 0);
        let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(MOST_DESCRIPTORS))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let received = recvmsg(
            &self.stream,
            &mut [IoSliceMut::new(&mut self.partial[have..])],
            &mut ancillary,
            RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC,
        );
        let bytes = received.as_ref().map_or(0, |received| received.bytes);
        self.partial.truncate(have + bytes);
        for message in ancillary.drain() {
            if let RecvAncillaryMessage::ScmRights(descriptors) = message {
                self.descriptors.extend(descriptors);
            }
        }
        match received {
            Ok(received) if received.flags.contains(ReturnFlags::CTRUNC) => {
                Err(ProtocolError::Descriptors)
            }
            Ok(_) if self.descriptors.len() > MOST_DESCRIPTORS => Err(ProtocolError::Descriptors),
            Ok(_) => Ok(Some(bytes)),
            Err(Errno::AGAIN | Errno::INTR) => Ok(None),
            // Who leaves with replies unread resets the connection.
            Err(Errno::CONNRESET) => Ok(Some(0)),
            Err(why) => Err(ProtocolError::Connection(why)),
        }
    }

    /// Sends a reply. One to a client that has left is lost: that it has left shows when its next message is awaited.
    pub fn send(&mut self, reply: &[u8]) -> Result<(), ProtocolError> {
        match self.stream.write_all(reply) {
            Err(why)
                if !matches!(
                    why.kind(),
                    ErrorKind::BrokenPipe | ErrorKind::ConnectionReset
                ) =>
            {
                Err(ProtocolError::Reply(why))
            }
            _ => Ok(()),
        }
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

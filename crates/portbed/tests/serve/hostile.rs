//! Clients that do not keep to the protocol.

use std::io::{IoSlice, Read, Write};
use std::mem::MaybeUninit;
use std::net::Shutdown;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::cmsg_space;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};

use crate::served::Served;

const VERSION: u16 = 1;
const DMA_MAP: u16 = 2;
const REGION_INFO: u16 = 5;
const REGION_IO: u16 = 6;
const SET_INTERRUPTS: u16 = 8;
const REGION_READ: u16 = 9;
const REGION_WRITE: u16 = 10;
const REPLY: u32 = 1;
const REFUSED: u32 = 1 << 5 | REPLY;
const NO_REPLY: u32 = 1 << 4;

const EINVAL: u32 = 22;
const EOPNOTSUPP: u32 = 95;

fn header(command: u16, bytes: u32, flags: u32) -> Vec<u8> {
    let mut header = Vec::new();
    header.extend(7_u16.to_ne_bytes());
    header.extend(command.to_ne_bytes());
    for field in [bytes, flags, 0] {
        header.extend(field.to_ne_bytes());
    }
    header
}

fn message(command: u16, body: &[u8]) -> Vec<u8> {
    let bytes = 16 + body.len() as u32;
    [header(command, bytes, 0), body.to_vec()].concat()
}

fn version() -> Vec<u8> {
    message(VERSION, &[0, 0, 0, 0])
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_ne_bytes()).collect()
}

/// Takes a reply: flags, error, body.
fn reply(client: &mut UnixStream) -> (u32, u32, Vec<u8>) {
    let mut header = [0; 16];
    client.read_exact(&mut header).unwrap();
    let word = |at: usize| u32::from_ne_bytes(header[at..at + 4].try_into().unwrap());
    assert_eq!(header[..2], 7_u16.to_ne_bytes(), "the message's identifier");
    let mut body = vec![0; word(4) as usize - 16];
    client.read_exact(&mut body).unwrap();
    (word(8), word(12), body)
}

fn send_with(client: &UnixStream, bytes: &[u8], descriptors: &[OwnedFd]) {
    let descriptors: Vec<_> = descriptors.iter().map(AsFd::as_fd).collect();
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(32))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    assert!(ancillary.push(SendAncillaryMessage::ScmRights(&descriptors)));
    let sent = sendmsg(
        client,
        &[IoSlice::new(bytes)],
        &mut ancillary,
        SendFlags::empty(),
    );
    assert_eq!(sent, Ok(bytes.len()));
}

fn pipes(number: usize) -> Vec<OwnedFd> {
    (0..number)
        .map(|_| std::io::pipe().unwrap().1.into())
        .collect()
}

/// A client that says this is sent away, for this reason, and the device ends as it should.
#[track_caller]
fn sent_away(said: &[&[u8]], why: &str) {
    let served = Served::new("hmb", &["--once"]);
    let mut client = served.connect();
    for piece in said {
        client.write_all(piece).unwrap();
    }
    client.shutdown(Shutdown::Write).unwrap();
    // What it still answered, and the end.
    let _ = client.read_to_end(&mut Vec::new());
    served
        .end()
        .failed(&[&format!("is sent away: bad message: {why}"), "FAIL"]);
}

#[test]
fn a_client_that_breaks_the_protocol_is_sent_away() {
    let json = |text: &[u8]| message(VERSION, &[&[0; 4], text].concat());
    let write = [words(&[0, 0, 0, 4]), vec![0; 3]].concat();
    let cases: &[(&[&[u8]], &str)] = &[
        (
            &[&header(VERSION, 15, 0)],
            "a message of 15 bytes with command 1",
        ),
        (
            &[&header(VERSION, u32::MAX, 0)],
            "a message of 4294967295 bytes",
        ),
        (&[&header(VERSION, 20, REPLY)], "a message with flags 0x1"),
        (&[&message(VERSION, &[0])], "Version with a body of 1 bytes"),
        (&[&message(VERSION, &[1, 0, 0, 0])], "version 1.0"),
        (&[&json(b"{}")], "the capabilities"),
        (&[&json(b"{\xFF\0")], "the capabilities"),
        (&[&json(&[b'['; 1000])], "the capabilities"),
        (
            &[&message(REGION_READ, &[0; 16])],
            "RegionRead before a version",
        ),
        (&[&version(), &version()], "a second version message"),
        (
            &[&version(), &message(DMA_MAP, &[0; 31])],
            "DmaMap with a body of 31 bytes",
        ),
        (
            &[&version(), &message(REGION_INFO, &[0; 33])],
            "RegionInfo with a body of 33 bytes",
        ),
        (
            &[&version(), &message(SET_INTERRUPTS, &[0; 19])],
            "SetInterrupts with a body",
        ),
        (
            &[&version(), &message(REGION_WRITE, &write)],
            "RegionWrite with a body of 19 bytes",
        ),
        (
            &[&header(VERSION, 20, 0), &[0; 3]],
            "the connection ended within a message",
        ),
        (
            &[&header(VERSION, 20, 0)[..9]],
            "the connection ended within a message",
        ),
    ];
    for (said, why) in cases {
        sent_away(said, why);
    }
}

#[test]
fn a_client_that_brings_too_many_descriptors_is_sent_away() {
    for (descriptors, command) in [(17, VERSION), (2, DMA_MAP)] {
        let served = Served::new("hmb", &["--once"]);
        let mut client = served.connect();
        if command != VERSION {
            client.write_all(&version()).unwrap();
        }
        send_with(&client, &message(command, &[0; 32]), &pipes(descriptors));
        let _ = client.read_to_end(&mut Vec::new());
        served
            .end()
            .failed(&["is sent away: bad message: more descriptors"]);
    }
}

#[test]
fn what_cannot_be_done_is_refused_and_the_client_stays() {
    let served = Served::new("messages=2", &["--once"]);
    let mut client = served.connect();
    client.write_all(&version()).unwrap();
    assert_eq!(reply(&mut client).0, REPLY);
    let map = |address: u64, bytes: u64| {
        let fields = [0, address, bytes].map(u64::to_ne_bytes).concat();
        [words(&[32, 3]), fields].concat()
    };
    let access = |offset: u64, region, count| {
        [offset.to_ne_bytes().to_vec(), words(&[region, count])].concat()
    };
    let refused: &[(u16, Vec<u8>, u32)] = &[
        (DMA_MAP, map(u64::MAX, 4096), EINVAL),
        (DMA_MAP, map(0, 0), EINVAL),
        (REGION_INFO, words(&[32, 0, 9, 0, 0, 0, 0, 0]), EINVAL),
        (REGION_IO, vec![0; 16], EOPNOTSUPP),
        (99, vec![1; 100], EOPNOTSUPP),
        (0, vec![], EOPNOTSUPP),
        (REGION_READ, access(0, 0, u32::MAX), EINVAL),
        (REGION_READ, access(0, 0, 16), EINVAL),
        (REGION_READ, access(0, 0, 0), EINVAL),
        (REGION_READ, access(u64::MAX, 0, 4), EINVAL),
        (REGION_READ, access(4094, 7, 4), EINVAL),
        (REGION_READ, access(0, u32::MAX, 4), EINVAL),
        (
            REGION_WRITE,
            [access(4096, 7, 4), vec![0; 4]].concat(),
            EINVAL,
        ),
        (SET_INTERRUPTS, words(&[20, 0x24, 2, 1, 2]), EINVAL),
        (
            SET_INTERRUPTS,
            words(&[20, 0x24, 2, u32::MAX, u32::MAX]),
            EINVAL,
        ),
        (SET_INTERRUPTS, words(&[20, 0x21, 9, 0, 0]), EINVAL),
    ];
    for (command, body, error) in refused {
        client.write_all(&message(*command, body)).unwrap();
        let (flags, found, _) = reply(&mut client);
        assert_eq!((flags, found), (REFUSED, *error), "{command}: {body:?}");
    }
    // Interrupts go to eventfds and to nothing else.
    let to_a_pipe = message(SET_INTERRUPTS, &words(&[20, 0x24, 2, 0, 1]));
    send_with(&client, &to_a_pipe, &pipes(1));
    assert_eq!(reply(&mut client).1, EINVAL);
    // A message in pieces, after one that wants no answer.
    let quiet = [
        header(REGION_WRITE, 36, NO_REPLY),
        access(4, 7, 4),
        vec![0xFF; 4],
    ]
    .concat();
    client.write_all(&quiet).unwrap();
    let read = message(REGION_READ, &access(4, 7, 4));
    for byte in read {
        client.write_all(&[byte]).unwrap();
    }
    let (flags, _, body) = reply(&mut client);
    assert_eq!(flags, REPLY);
    assert_eq!(body[16..], [0x46, 5, 0x10, 0], "what can be written was");
    drop(client);
    served.end().held(&["has left", "PASS"]);
}

#[test]
fn a_client_that_says_nothing_does_not_keep_it_from_ending() {
    let served = Served::new("hmb", &[]);
    let mut client = served.connect();
    client.write_all(&version()).unwrap();
    reply(&mut client);
    client.write_all(&header(REGION_READ, 32, 0)).unwrap();
    served.terminate();
    served.end().held(&["is sent away: asked to end", "PASS"]);
}

//! Media: in memory and in a file.

use nvme_model::{FileMedia, Media, MemoryMedia};
use proptest::prelude::*;

/// Larger than a few of whatever the media divide their bytes into.
const BYTES: usize = 300_000;

/// Something that is done to media.
#[derive(Clone, Debug)]
enum Act {
    Read(usize, usize),
    Write(usize, usize, u8),
    Zero(usize, usize),
}

fn act() -> impl Strategy<Value = Act> {
    let place = || (0..BYTES, 0..150_000_usize).prop_map(|(at, bytes)| (at, bytes.min(BYTES - at)));
    prop_oneof![
        place().prop_map(|(at, bytes)| Act::Read(at, bytes)),
        (place(), 1..=255_u8).prop_map(|((at, bytes), fill)| Act::Write(at, bytes, fill)),
        place().prop_map(|(at, bytes)| Act::Zero(at, bytes)),
    ]
}

/// Media behave as plain bytes do.
fn follow(media: &mut dyn Media, acts: &[Act]) {
    let mut plain = vec![0; BYTES];
    for act in acts {
        match *act {
            Act::Read(at, bytes) => {
                let mut found = vec![0xEE; bytes];
                media
                    .read_at(at as u64, &mut found)
                    .expect("within the media");
                assert!(found == plain[at..at + bytes]);
            }
            Act::Write(at, bytes, fill) => {
                plain[at..at + bytes].fill(fill);
                media
                    .write_at(at as u64, &plain[at..at + bytes])
                    .expect("within the media");
            }
            Act::Zero(at, bytes) => {
                plain[at..at + bytes].fill(0);
                media
                    .zero(at as u64, bytes as u64)
                    .expect("within the media");
            }
        }
    }
    let mut found = vec![0xEE; BYTES];
    media.read_at(0, &mut found).expect("within the media");
    assert!(found == plain);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn media_behave_as_plain_bytes(acts in prop::collection::vec(act(), 1..24)) {
        follow(&mut MemoryMedia::new(BYTES as u64), &acts);
        let file = tempfile::tempfile().expect("a file");
        file.set_len(BYTES as u64).expect("its length");
        follow(&mut FileMedia::new(file).expect("media"), &acts);
    }
}

#[test]
fn memory_ends_where_it_ends() {
    let mut media = MemoryMedia::new(1000);
    assert!(media.read_at(999, &mut [0; 2]).is_err());
    assert!(media.write_at(1000, &[1]).is_err());
    assert!(media.zero(u64::MAX, 2).is_err());
    assert!(media.write_at(999, &[1]).is_ok());
}

#[test]
fn a_file_is_as_large_as_it_is_and_keeps_what_is_written() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    file.as_file().set_len(10_000).expect("its length");
    let mut media = FileMedia::open(file.path()).expect("media");
    assert_eq!(media.len_bytes(), 10_000);
    media.write_at(512, b"kept").expect("a write");
    media.flush().expect("a flush");
    let outside = std::fs::read(file.path()).expect("the file");
    assert_eq!(&outside[512..516], b"kept");
    assert!(FileMedia::open(&file.path().join("nothing")).is_err());
}

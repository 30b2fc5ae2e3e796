//! What the types make of data: a device's, hostile data included, and the host's own.

use nvme_spec::async_event::{AsyncEvent, AsyncEventDw0};
use nvme_spec::command::{AdminOpcode, Command, CommandDword0, FeatureCdw10, NSID_ALL};
use nvme_spec::completion::{Completion, StatusField};
use nvme_spec::feature::{FeatureId, HostMemoryBufferCdw11};
use nvme_spec::identify::{
    FormattedLbaSize, IDENTIFY_BYTES, IdentifyController, IdentifyNamespace, NamespaceIdType,
    NamespaceList, namespace_id_descriptors,
};
use nvme_spec::log::ChangedNamespaces;
use nvme_spec::status::{Status, StatusCodeType};
use nvme_spec::text::Ascii;
use proptest::collection::vec;
use proptest::prelude::*;
use zerocopy::{FromBytes, FromZeros, IntoBytes};

/// The bytes that enable a host memory buffer of 16,384 pages with two descriptors (Base 3.3.3.1 and 5.27.1.10).
#[test]
fn an_enabling_set_features_on_the_wire() {
    let opcode = AdminOpcode::SET_FEATURES.0;
    let command = Command {
        cdw0: CommandDword0::new().with_opcode(opcode).with_cid(0x1234),
        cdw10: FeatureCdw10::new()
            .with_fid(FeatureId::HOST_MEMORY_BUFFER)
            .into(),
        cdw11: HostMemoryBufferCdw11::new().with_ehm(true).into(),
        cdw12: 0x4000,
        cdw13: 0x5678_9000,
        cdw14: 0x0000_0001,
        cdw15: 2,
        ..Command::default()
    };
    let mut expected = [0_u8; 64];
    expected[..4].copy_from_slice(&[0x09, 0x00, 0x34, 0x12]);
    expected[40..].copy_from_slice(&[
        0x0D, 0, 0, 0, 0x01, 0, 0, 0, 0x00, 0x40, 0, 0, 0x00, 0x90, 0x78, 0x56, 0x01, 0, 0, 0,
        0x02, 0, 0, 0,
    ]);
    assert_eq!(command.as_bytes(), expected);
}

/// Command Sequence Error, with More and Do Not Retry, phase 1 (Base 3.3.3.2).
#[test]
fn a_failed_completion_from_the_wire() {
    let bytes = [
        0, 0, 0, 0, 0, 0, 0, 0, 0x05, 0x00, 0x01, 0x00, 0x34, 0x12, 0x19, 0xC0,
    ];
    let completion = Completion::read_from_bytes(&bytes).unwrap();
    assert_eq!(
        (completion.sq_head, completion.sq_id, completion.cid),
        (5, 1, 0x1234)
    );
    assert!(
        completion.status.phase() && completion.status.more() && completion.status.do_not_retry()
    );
    let status = Status::from(completion.status);
    assert_eq!(status, Status::COMMAND_SEQUENCE_ERROR);
    assert_eq!(status.name(), "Command Sequence Error");
    assert!(!status.is_success());
}

#[test]
fn statuses_have_names_and_so_do_unknown_ones() {
    assert_eq!(Status::SUCCESS.name(), "Successful Completion");
    assert_eq!(Status(0x281).name(), "Unrecovered Read Error");
    assert_eq!(Status(0x370).name(), "Host Pathing Error");
    assert_eq!(Status(0x1FF).name(), "unknown status");
    assert_eq!(Status(0x1FF).code_type(), StatusCodeType::COMMAND_SPECIFIC);
    assert_eq!(Status(0x7C0).code_type().name(), "vendor specific status");
}

#[test]
fn an_event_names_its_log_page() {
    let event = AsyncEventDw0::from_bits(0x0004_0002);
    assert_eq!(event.event(), AsyncEvent::NAMESPACE_CHANGED);
    assert_eq!(event.log_page().name(), "Changed Namespace List");
    assert_eq!(
        AsyncEventDw0::from_bits(u32::MAX).event().name(),
        "unknown event"
    );
}

#[test]
fn text_is_trimmed_and_made_printable() {
    let text = |bytes: &[u8; 8]| Ascii(*bytes).printable().collect::<Vec<_>>();
    assert_eq!(text(b"  S12 3 "), b"S12 3");
    assert_eq!(text(b"1.0\0\0\0\0\0"), b"1.0");
    assert_eq!(text(b"        "), b"");
    assert_eq!(text(b"\0\0\0\0\0\0\0\0"), b"");
    assert_eq!(text(b"a\n\xFF\x1B\x7Fb\0 "), b"a____b");
    assert_eq!(Ascii::<4>::padded("ab").0, *b"ab  ");
    assert_eq!(Ascii::<4>::padded("abcdef").0, *b"abcd");
}

#[test]
fn lists_end_at_zero() {
    let mut list = NamespaceList::new_zeroed();
    assert_eq!(list.identifiers().count(), 0);
    list.0[..4].copy_from_slice(&[1, 7, 0, 9]);
    assert!(list.identifiers().eq([1, 7]));
    list.0.fill(3);
    assert_eq!(list.identifiers().count(), 1024);
}

#[test]
fn too_many_changed_namespaces_are_told() {
    let mut changed = ChangedNamespaces::new_zeroed();
    assert!(!changed.overflowed());
    changed.0[0] = NSID_ALL;
    assert!(changed.overflowed());
}

#[test]
fn descriptors_of_a_namespace() {
    let mut data = vec![
        1, 8, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 4, 1, 0, 0, 0, 9, 2, 0, 0, 0xAA, 0xBB,
    ];
    data.resize(IDENTIFY_BYTES, 0);
    let found: Vec<_> = namespace_id_descriptors(&data).collect();
    let eui64: &[u8] = &[1, 2, 3, 4, 5, 6, 7, 8];
    assert_eq!(
        found,
        [
            (NamespaceIdType::EUI64, eui64),
            (NamespaceIdType::CSI, &[0]),
            (NamespaceIdType(9), &[0xAA, 0xBB])
        ]
    );
}

/// NVM 4.1.5.1: the upper bits of the index count only where there are more than 16 formats.
#[test]
fn the_format_in_use() {
    let flbas = FormattedLbaSize::from_bits(0b0110_0011);
    assert_eq!(flbas.index(0), 3);
    assert_eq!(flbas.index(15), 3);
    assert_eq!(flbas.index(16), 0b11_0011);
}

proptest! {
    /// Any page is Identify data, and goes back to the wire as it came.
    #[test]
    fn any_page_is_identify_data(page in vec(any::<u8>(), IDENTIFY_BYTES)) {
        let controller = IdentifyController::read_from_bytes(&page).unwrap();
        prop_assert_eq!(controller.as_bytes(), &page);
        let namespace = IdentifyNamespace::read_from_bytes(&page).unwrap();
        prop_assert_eq!(namespace.as_bytes(), &page);
        prop_assert!(namespace.flbas.index(namespace.nlbaf_z) < 64);
    }

    #[test]
    fn descriptors_never_leave_their_data(data in vec(any::<u8>(), 0..200)) {
        let total: usize = namespace_id_descriptors(&data).map(|(_, identifier)| 4 + identifier.len()).sum();
        prop_assert!(total <= data.len());
        prop_assert!(namespace_id_descriptors(&data).all(|(_, identifier)| !identifier.is_empty()));
    }

    #[test]
    fn printable_text_is_printable(bytes: [u8; 20]) {
        let text: Vec<_> = Ascii(bytes).printable().collect();
        prop_assert!(text.iter().all(|byte| (b' '..=b'~').contains(byte)));
        prop_assert!(text.first() != Some(&b' ') && text.last() != Some(&b' '));
    }

    #[test]
    fn a_status_survives_its_field(status in 0_u16..0x800) {
        let field = Status(status).into_field();
        prop_assert_eq!(Status::from(field), Status(status));
        prop_assert!(!field.phase() && !field.more() && !field.do_not_retry());
        prop_assert_eq!(Status(status).name() == "Successful Completion", Status(status).is_success());
    }

    #[test]
    fn the_phase_is_no_part_of_the_status(bits: u16) {
        let status = Status::from(StatusField::from_bits(bits));
        prop_assert_eq!(status, Status::from(StatusField::from_bits(bits ^ 1)));
        prop_assert!(status.0 < 0x800);
    }
}

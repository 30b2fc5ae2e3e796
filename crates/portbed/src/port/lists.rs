//! Singly linked lists that processors share. What a list head holds is the port driver's: the first entry, and how many
//! there are.

use super::call::Call;
use crate::abi::function as f;
use crate::abi::{callback, status};
use crate::thunk::Arguments;

/// `STOR_SLIST_HEADER`.
type Head = [u64; 2];

/// Carries a function on a list out. Each is one step for all processors.
pub(super) fn carry_out(call: &Call, code: u32, arguments: &mut Arguments) -> u32 {
    let head_at = arguments.next_u64();
    if !call.needs_place::<Head>(head_at, "list head") {
        return status::INVALID_PARAMETER;
    }
    let entry = if code == f::PUSH_ENTRY_SLIST {
        arguments.next_u64()
    } else {
        0
    };
    if code == f::PUSH_ENTRY_SLIST && !call.needs_place::<u64>(entry, "list entry") {
        return status::INVALID_PARAMETER;
    }
    let answer = step(call, code, head_at, entry);
    match (code, answer) {
        (f::INITIALIZE_SLIST_HEAD, _) => {}
        (f::QUERY_DEPTH_SLIST, [_, depth]) => call.answer(arguments.next_u64(), depth as u16),
        (_, [first, _]) => call.answer(arguments.next_u64(), first),
    }
    status::SUCCESS
}

/// Changes the list, and gives its head as it was before.
fn step(call: &Call, code: u32, head_at: u64, entry: u64) -> Head {
    // An entry that a miniport has put in can be a wrong one by now; it is asked for before the list is locked.
    let _state = call.cpu().state();
    let head @ [first, depth]: Head = callback::read(head_at);
    let changed = match code {
        f::INITIALIZE_SLIST_HEAD | f::FLUSH_SLIST => [0, 0],
        f::POP_ENTRY_SLIST if callback::is_reachable(first, size_of::<u64>(), false) => {
            [callback::read(first), depth.saturating_sub(1)]
        }
        f::PUSH_ENTRY_SLIST => {
            callback::write(entry, first);
            [entry, depth + 1]
        }
        _ => return head,
    };
    callback::write(head_at, changed);
    head
}

//! The exports of `ntoskrnl.exe` that need no port driver: memory functions, debug output, the bug check.

use std::arch::global_asm;
use std::ffi::c_void;
use std::sync::OnceLock;

/// A bug check that the code under test asked for (DDI `KeBugCheckEx`).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BugCheck {
    /// The bug check code.
    pub code: u32,
    /// Its four parameters.
    pub parameters: [u64; 4],
}

type Report = Box<dyn Fn(BugCheck) + Send + Sync>;

static REPORT: OnceLock<Report> = OnceLock::new();

/// Calls `report` when the code under test asks for a bug check; the process then ends with exit status 1. The first
/// call of this function decides.
pub fn on_bug_check(report: impl Fn(BugCheck) + Send + Sync + 'static) {
    // Only the first report is kept, as documented.
    let _ = REPORT.set(Box::new(report));
}

// The memory functions are written out so that a fault in one of them can be laid at its caller's door: they keep the
// stack pointer, so that the return address lies where it points to. Arguments come in rcx, rdx, r8; rdi and rsi
// belong to the caller.
global_asm!(
    ".pushsection .text.portbed_leaf, \"ax\", @progbits",
    ".globl portbed_leaf_start, portbed_leaf_end",
    ".globl portbed_leaf_copy, portbed_leaf_move, portbed_leaf_set, portbed_leaf_compare",
    ".globl portbed_leaf_matching, portbed_leaf_fill, portbed_leaf_zero, portbed_leaf_probe_stack",
    "portbed_leaf_start:",
    // memmove(to, from, bytes)
    "portbed_leaf_move:",
    "mov rax, rcx",
    "sub rax, rdx",
    "cmp rax, r8",
    "jae portbed_leaf_copy",
    "mov r9, rdi",
    "mov r10, rsi",
    "mov rax, rcx",
    "lea rdi, [rcx + r8 - 1]",
    "lea rsi, [rdx + r8 - 1]",
    "mov rcx, r8",
    "std",
    "rep movsb",
    "cld",
    "mov rdi, r9",
    "mov rsi, r10",
    "ret",
    // memcpy(to, from, bytes)
    "portbed_leaf_copy:",
    "mov r9, rdi",
    "mov r10, rsi",
    "mov rax, rcx",
    "mov rdi, rcx",
    "mov rsi, rdx",
    "mov rcx, r8",
    "rep movsb",
    "mov rdi, r9",
    "mov rsi, r10",
    "ret",
    // RtlZeroMemory(to, bytes)
    "portbed_leaf_zero:",
    "xor r8d, r8d",
    // RtlFillMemory(to, bytes, value)
    "portbed_leaf_fill:",
    "xchg rdx, r8",
    // memset(to, value, bytes)
    "portbed_leaf_set:",
    "mov r9, rdi",
    "mov r10, rcx",
    "mov rdi, rcx",
    "mov eax, edx",
    "mov rcx, r8",
    "rep stosb",
    "mov rax, r10",
    "mov rdi, r9",
    "ret",
    // memcmp(a, b, bytes)
    "portbed_leaf_compare:",
    "mov r9, rdi",
    "mov r10, rsi",
    "mov rsi, rcx",
    "mov rdi, rdx",
    "mov rcx, r8",
    "xor eax, eax",
    "repe cmpsb",
    "je 2f",
    "sbb eax, eax",
    "or eax, 1",
    "2:",
    "mov rdi, r9",
    "mov rsi, r10",
    "ret",
    // RtlCompareMemory(a, b, bytes)
    "portbed_leaf_matching:",
    "mov r9, rdi",
    "mov r10, rsi",
    "mov rsi, rcx",
    "mov rdi, rdx",
    "mov rcx, r8",
    "mov rax, r8",
    "cmp rax, rax",
    "repe cmpsb",
    "je 3f",
    "sub rax, rcx",
    "dec rax",
    "3:",
    "mov rdi, r9",
    "mov rsi, r10",
    "ret",
    // __chkstk: the stacks here are mapped as a whole.
    "portbed_leaf_probe_stack:",
    "ret",
    "portbed_leaf_end:",
    ".popsection",
);

unsafe extern "C" {
    #[link_name = "portbed_leaf_start"]
    static START: u8;
    #[link_name = "portbed_leaf_end"]
    static END: u8;
    #[link_name = "portbed_leaf_copy"]
    static COPY: c_void;
    #[link_name = "portbed_leaf_move"]
    static MOVE: c_void;
    #[link_name = "portbed_leaf_set"]
    static SET: c_void;
    #[link_name = "portbed_leaf_compare"]
    static COMPARE: c_void;
    #[link_name = "portbed_leaf_matching"]
    static MATCHING: c_void;
    #[link_name = "portbed_leaf_fill"]
    static FILL: c_void;
    #[link_name = "portbed_leaf_zero"]
    static ZERO: c_void;
    #[link_name = "portbed_leaf_probe_stack"]
    static PROBE_STACK: c_void;
}

/// Whether `rip` lies in one of the memory functions, which run on behalf of their callers.
pub(crate) fn is_leaf(rip: u64) -> bool {
    let (start, end) = (&raw const START, &raw const END);
    (start.addr() as u64..end.addr() as u64).contains(&rip)
}

/// Address of the export `name`.
#[must_use]
pub fn resolve(name: &str) -> Option<*const c_void> {
    Some(match name {
        "memcpy" | "RtlCopyMemory" | "RtlCopyMemoryNonTemporal" => &raw const COPY,
        "memmove" | "RtlMoveMemory" => &raw const MOVE,
        "memset" => &raw const SET,
        "memcmp" => &raw const COMPARE,
        "RtlCompareMemory" => &raw const MATCHING,
        "RtlFillMemory" => &raw const FILL,
        "RtlZeroMemory" => &raw const ZERO,
        "__chkstk" => &raw const PROBE_STACK,
        "DbgPrint" | "DbgPrintEx" | "vDbgPrintEx" | "vDbgPrintExWithPrefix" => {
            debug_print as *const c_void
        }
        "KeBugCheckEx" => bug_check_ex as *const c_void,
        "KeBugCheck" => bug_check as *const c_void,
        "__C_specific_handler" => exception_handler as *const c_void,
        _ => return None,
    })
}

/// `DbgPrint` and its relatives (DDI): the arguments, as many as there are, stay unread. Success.
extern "win64" fn debug_print() -> i32 {
    0
}

/// `KeBugCheckEx` (DDI).
extern "win64" fn bug_check_ex(code: u32, first: u64, second: u64, third: u64, fourth: u64) {
    if let Some(report) = REPORT.get() {
        report(BugCheck {
            code,
            parameters: [first, second, third, fourth],
        });
    }
    std::process::exit(1);
}

/// `KeBugCheck` (DDI): `KeBugCheckEx` with no parameters.
extern "win64" fn bug_check(code: u32) {
    bug_check_ex(code, 0, 0, 0, 0);
}

/// The handler that unwind data of structured exception handling names. No exception is ever dispatched here: a fault
/// of the code under test is final. Its answer means that the search goes on.
extern "win64" fn exception_handler() -> i32 {
    1
}

#[cfg(test)]
mod tests {
    use std::ffi::c_void;

    use proptest::prelude::*;

    use super::resolve;

    type Function = unsafe extern "win64" fn(*const c_void, usize, usize) -> usize;

    /// Calls the export `name`.
    fn call(name: &str, first: *const u8, second: usize, third: usize) -> usize {
        let address = resolve(name).unwrap();
        // SAFETY: every export that the tests name takes three arguments of at most a pointer's size, or fewer.
        let function = unsafe { std::mem::transmute::<*const c_void, Function>(address) };
        // SAFETY: the tests pass buffers with the sizes that they have.
        unsafe { function(first.cast(), second, third) }
    }

    proptest! {
        #[test]
        fn memory_moves_as_if_through_a_copy(from in 0..64_usize, to in 0..64_usize, bytes in 0..64_usize) {
            let before: Vec<u8> = (0..128).collect();
            let mut expected = before.clone();
            expected.copy_within(from..from + bytes, to);
            for name in ["memmove", "RtlMoveMemory", "memcpy"] {
                if name == "memcpy" && from.abs_diff(to) < bytes {
                    continue;
                }
                let mut moved = before.clone();
                let base = moved.as_mut_ptr();
                let result = call(name, base.wrapping_add(to), base.wrapping_add(from).expose_provenance(), bytes);
                prop_assert_eq!(result, base.addr() + to);
                prop_assert_eq!(&moved, &expected);
            }
        }

        #[test]
        fn memory_compares_by_its_first_difference(
            a in prop::collection::vec(0..3_u8, 0..6),
            b in prop::collection::vec(0..3_u8, 0..6),
        ) {
            let bytes = a.len().min(b.len());
            let (a, b) = (&a[..bytes], &b[..bytes]);
            let order = call("memcmp", a.as_ptr(), b.as_ptr().expose_provenance(), bytes);
            let order = (order as u32).cast_signed();
            prop_assert_eq!(order.cmp(&0), a.cmp(b));
            let matching = call("RtlCompareMemory", a.as_ptr(), b.as_ptr().expose_provenance(), bytes);
            prop_assert_eq!(matching, a.iter().zip(b).take_while(|(a, b)| a == b).count());
        }
    }

    #[test]
    fn memory_is_filled_by_each_order_of_arguments() {
        let mut bytes = [1_u8; 12];
        let base = bytes.as_mut_ptr().wrapping_add(1);
        assert_eq!(call("memset", base, 0xFF07, 10), base.addr());
        assert_eq!(bytes, [1, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 1]);
        call("RtlFillMemory", base, 9, 0xFF08);
        assert_eq!(bytes, [1, 8, 8, 8, 8, 8, 8, 8, 8, 8, 7, 1]);
        call("RtlZeroMemory", base, 3, 5);
        assert_eq!(bytes, [1, 0, 0, 0, 8, 8, 8, 8, 8, 8, 7, 1]);
    }

    #[test]
    fn debug_output_succeeds_and_unknown_exports_are_unknown() {
        assert_eq!(call("DbgPrint", c"%s".as_ptr().cast(), 0, 0) as u32, 0);
        assert_eq!(resolve("IoCreateDevice"), None);
    }

    #[test]
    fn a_bug_check_is_reported_and_ends_the_process() {
        const CASE: &str = "PORTBED_BUG_CHECK";
        if std::env::var_os(CASE).is_some() {
            super::on_bug_check(|check| println!("{:#x} {:x?}", check.code, check.parameters));
            call(
                "KeBugCheckEx",
                std::ptr::without_provenance(0xDEAD_0000_0000_00D1),
                1,
                2,
            );
            return;
        }
        let name = "ntoskrnl::tests::a_bug_check_is_reported_and_ends_the_process";
        let mut child = std::process::Command::new(std::env::current_exe().unwrap());
        let output = child
            .args([name, "--exact", "--nocapture"])
            .env(CASE, "1")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(said.contains("0xd1 [1, 2, "), "{said}");
    }
}

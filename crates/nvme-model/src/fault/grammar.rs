//! What can be written as a fault, for those who ask.

/// A line of the grammar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GrammarEntry {
    /// The part: `MATCH`, `BEHAVIOUR` or `WHEN`.
    pub part: &'static str,
    /// How it is written.
    pub form: &'static str,
    /// What it means.
    pub meaning: &'static str,
    /// A whole fault that uses it.
    pub example: &'static str,
    /// The profile that the example needs, if it is not the default.
    pub profile: Option<&'static str>,
}

const fn matcher(form: &'static str, example: &'static str, meaning: &'static str) -> GrammarEntry {
    GrammarEntry {
        part: "MATCH",
        form,
        meaning,
        example,
        profile: None,
    }
}

const fn behaviour(
    form: &'static str,
    example: &'static str,
    meaning: &'static str,
) -> GrammarEntry {
    GrammarEntry {
        part: "BEHAVIOUR",
        form,
        meaning,
        example,
        profile: None,
    }
}

const fn when(form: &'static str, example: &'static str, meaning: &'static str) -> GrammarEntry {
    GrammarEntry {
        part: "WHEN",
        form,
        meaning,
        example,
        profile: None,
    }
}

/// The same, with an example that needs a profile.
const fn on(profile: &'static str, entry: GrammarEntry) -> GrammarEntry {
    GrammarEntry {
        profile: Some(profile),
        ..entry
    }
}

/// Every form of `MATCH:BEHAVIOUR[:WHEN[,WHEN]]`. Numbers are decimal or with 0x; times have the unit us, ms or s.
pub const GRAMMAR: &[GrammarEntry] = &[
    matcher("any", "any:die=silent:nth=400", "every command"),
    matcher(
        "admin, io",
        "io:status=0/06:nth=7",
        "commands of the admin queue, or of the others",
    ),
    matcher(
        "NAME",
        "flush:delay=5ms",
        "commands by the name that the specification gives them, such as identify, set-features, get-log-page, read, \
         write, flush, dataset-management",
    ),
    matcher(
        ".nsid=N .cns=N .fid=N .lid=N .cdw10=N to .cdw15=N",
        "set-features.fid=0x0d:delay=30ms",
        "behind a command matcher: only with this field; several are joined by dots",
    ),
    matcher(
        "register, register.NAME",
        "register.csts:value=0xffffffff:nth=5",
        "reads of every register, or of cap, vs, intms, intmc, cc, csts, nssr, aqa, asq, acq, cmbloc, cmbsz or crto",
    ),
    matcher(
        "interrupt",
        "interrupt:drop:nth=9",
        "messages that are sent, or the line when it goes up",
    ),
    matcher(
        "namespace.N",
        "namespace.1:resize=4M:at=rest",
        "the namespace of this identifier; one that is to be added is not there before",
    ),
    behaviour(
        "status=SCT/SC",
        "read:status=2/81:nth=3",
        "of a command: it ends with this status, in hexadecimal, and is not carried out",
    ),
    behaviour(
        "never",
        "write:never:nth=2",
        "of a command: it is carried out and never completed",
    ),
    behaviour(
        "lost",
        "read:lost:nth=2",
        "of a command: it is neither carried out nor completed",
    ),
    behaviour(
        "delay=T",
        "read:delay=300us:every=3",
        "of a command: it takes this much longer",
    ),
    behaviour(
        "data=zeros|ones|noise|same",
        "identify.cns=3:data=noise",
        "of a command that returns data: these instead; same: nothing is written",
    ),
    behaviour(
        "twice",
        "read:twice:nth=5",
        "of a command: it is completed a second time",
    ),
    behaviour(
        "entry.cid|sqhd|sqid|phase|status=N",
        "read:entry.sqhd=0xffff:nth=4",
        "of a command: this field of its completion queue entry is damaged; status is the whole status field without the phase",
    ),
    behaviour(
        "value=N",
        "register.vs:value=0x00020100",
        "of a register: it reads as this",
    ),
    behaviour(
        "absent=T",
        "register:absent=20us:nth=30",
        "of a register: it reads as all ones for this long; DMA goes on",
    ),
    behaviour(
        "drop",
        "interrupt:drop:every=50",
        "of an interrupt: the completion is there, the interrupt is not",
    ),
    behaviour(
        "stray",
        "interrupt:stray:every=10",
        "of an interrupt: a message comes with nothing posted; at a moment, every message does",
    ),
    on(
        "line",
        behaviour(
            "held",
            "interrupt:held:nth=20",
            "of an interrupt: the line stays up until the controller is reset or INTMS masks it",
        ),
    ),
    on(
        "namespaces=2",
        behaviour(
            "add",
            "namespace.2:add:at=stop",
            "of a namespace: it appears",
        ),
    ),
    on(
        "namespaces=2",
        behaviour(
            "delete",
            "namespace.2:delete:at=stop",
            "of a namespace: it goes away",
        ),
    ),
    behaviour(
        "resize=BYTES",
        "namespace.1:resize=4M:at=rest",
        "of a namespace: it has this size, which takes K, M and G",
    ),
    behaviour(
        "create=BYTES",
        "namespace.1:create=4M:at=rest",
        "of a namespace: another one takes its place, with this size, identifiers of its own and nothing in it",
    ),
    behaviour(
        "format=512|4K",
        "namespace.1:format=4K:at=rest",
        "of a namespace: it has blocks of this size, and nothing in them",
    ),
    behaviour(
        "protect",
        "namespace.1:protect:at=rest",
        "of a namespace: it is write protected",
    ),
    behaviour(
        "read-only",
        "any:read-only:at=rest",
        "of any, at a moment: the media become read-only, which the health information says",
    ),
    behaviour(
        "die=fatal|silent|gone|panic",
        "any:die=gone:at=rest",
        "of anything: the controller dies, as the key death says",
    ),
    behaviour(
        "panic=CSTS[,T]",
        "io:panic=0x3,50ms:nth=100",
        "of anything: the firmware panics. CC is ignored, memory is used as before, and CSTS reads as this; for this long, \
         or until the power is lost",
    ),
    when(
        "nth=N",
        "read:status=0/06:nth=1",
        "at the N-th match since the controller was made, once; resets do not restart the count",
    ),
    when("every=N", "read:delay=1ms:every=8", "at every N-th match"),
    when(
        "after=T",
        "io:delay=20us:after=50ms",
        "from this long after the first access of the controller on; behind at=, this long after that moment",
    ),
    when(
        "at=find|initialize|start|enable|lend|reset|d0|stop|rest",
        "register:absent=200us:at=reset",
        "when that has just been done, each time: the adapter found, HwInitialize returned, the adapter started, CC.EN set, \
         host memory lent, CC.EN cleared, power restored, the adapter stopped, the stop's DPCs done. What happens to \
         commands happens to the first match after it",
    ),
    when("once", "flush:delay=2ms:once", "the first time only"),
];

//! Commands that a controller can be used without. One that is refused, or answered with nonsense, is done without at once. One
//! that is never answered, or with a completion that is of no command, costs a reset, and is left out from then on.

use nvme_spec::completion::Completion;
use nvme_spec::log::LogPageId;
use nvme_spec::status::Status;

use super::admin::AdminTask;

/// The optional commands that the controller was found not to answer.
#[derive(Debug, Default)]
pub(super) struct Unanswered {
    /// A bit for each of [`bit`].
    commands: u8,
    /// A namespace that it did not identify once, and one that it does not identify.
    doubtful: Option<u32>,
    namespace: Option<u32>,
    /// Log pages that it did not give when an event named them.
    pages: [Option<LogPageId>; 4],
}

impl Unanswered {
    /// The command was not answered in time, or with a completion that is of no command: if it is optional it is not sent again.
    pub(super) fn add(&mut self, task: AdminTask) {
        self.commands |= bit(task);
        if let AdminTask::IdentifyNamespace(scan) = task {
            let nsid = Some(scan.nsid);
            if self.doubtful == nsid {
                self.namespace = nsid;
            }
            self.doubtful = nsid;
        }
    }

    /// The log page was not given in time: it is not asked for again.
    pub(super) fn add_page(&mut self, page: LogPageId) {
        if let Some(free) = self.pages.iter_mut().find(|known| known.is_none()) {
            *free = Some(page);
        }
    }

    /// Whether the log page is left out.
    pub(super) fn contains_page(&self, page: LogPageId) -> bool {
        self.pages.contains(&Some(page))
    }

    /// Whether the command is left out.
    pub(super) fn contains(&self, task: AdminTask) -> bool {
        match task {
            AdminTask::IdentifyNamespace(scan) => self.namespace == Some(scan.nsid),
            _ => self.commands & bit(task) != 0,
        }
    }
}

/// The bit of an optional command; 0 for one that is needed.
const fn bit(task: AdminTask) -> u8 {
    match task {
        AdminTask::RequestQueues => 1,
        AdminTask::ListNamespaces => 1 << 1,
        AdminTask::NamespaceDescriptors(_) => 1 << 2,
        AdminTask::ReadWriteCache => 1 << 3,
        AdminTask::ConfigureEvents => 1 << 4,
        AdminTask::IdentifyNvm => 1 << 5,
        AdminTask::ReadHealth => 1 << 6,
        _ => 0,
    }
}

/// The answer to a command that is left out: that of a controller that does not have it.
pub(super) fn left_out() -> Completion {
    Completion {
        status: Status::INVALID_OPCODE.into_field(),
        ..Completion::default()
    }
}

//! The commands of the tasks.

use nvme_spec::command::{
    Command, CreateCompletionQueueCdw11, CreateQueueCdw10, CreateSubmissionQueueCdw11,
    DeleteQueueCdw10, FeatureCdw10, GetLogPageCdw10, IdentifyCdw10, NSID_ALL,
};
use nvme_spec::feature::{
    AsyncEventConfiguration, FeatureId, HostMemoryBufferCdw11, NumberOfQueues,
};
use nvme_spec::identify::Cns;
use nvme_spec::log::{CriticalWarning, LogPageId};

use super::admin::AdminTask;
use super::{Controller, Failure, Inventory, QueueMemory};
use crate::{DmaMemory, PAGE_BYTES};

impl<D: DmaMemory> Controller<D> {
    /// The command of a task, but for its dword 0.
    pub(super) fn command(
        &self,
        task: AdminTask,
        inventory: &Inventory,
    ) -> Result<Command, Failure> {
        let lending = &self.lending;
        Ok(match task {
            AdminTask::IdentifyController => self.identify(Cns::CONTROLLER, 0),
            AdminTask::IdentifyNvm => self.identify(Cns::COMMAND_SET_CONTROLLER, 0),
            AdminTask::ListNamespaces => self.identify(Cns::ACTIVE_NAMESPACES, 0),
            AdminTask::IdentifyNamespace(scan) => self.identify(Cns::NAMESPACE, scan.nsid),
            AdminTask::NamespaceDescriptors(scan) => {
                self.identify(Cns::NAMESPACE_DESCRIPTORS, scan.nsid)
            }
            AdminTask::RequestQueues => {
                let wanted_z = self.pairs_wanted.saturating_sub(1);
                let queues = NumberOfQueues::new()
                    .with_nsqr_z(wanted_z)
                    .with_ncqr_z(wanted_z);
                feature(FeatureId::NUMBER_OF_QUEUES, queues.into())
            }
            AdminTask::CreateCompletionQueue(id) => {
                create_completion_queue(id, &self.queue(id, inventory)?)
            }
            AdminTask::CreateSubmissionQueue(id) => {
                create_submission_queue(id, &self.queue(id, inventory)?)
            }
            AdminTask::ReadHealth => self.get_log_page(LogPageId::SMART_HEALTH),
            AdminTask::ReadWriteCache => feature(FeatureId::VOLATILE_WRITE_CACHE, 0),
            AdminTask::ConfigureEvents => {
                let events = self.reported_events();
                feature(FeatureId::ASYNC_EVENT_CONFIGURATION, events.into())
            }
            AdminTask::EnableHmb => {
                let enable = HostMemoryBufferCdw11::new()
                    .with_ehm(true)
                    .with_mr(lending.is_return());
                let list = self.hmb_list.address();
                Command {
                    cdw12: lending.pages(),
                    cdw13: list as u32,
                    cdw14: (list >> 32) as u32,
                    cdw15: u32::from(lending.descriptors()),
                    ..feature(FeatureId::HOST_MEMORY_BUFFER, enable.into())
                }
            }
            AdminTask::WithdrawHmb(..) | AdminTask::DisableHmb(_) => {
                feature(FeatureId::HOST_MEMORY_BUFFER, 0)
            }
            AdminTask::DeleteSubmissionQueue(id) | AdminTask::DeleteCompletionQueue(id) => {
                Command {
                    cdw10: DeleteQueueCdw10::new().with_qid(id).into(),
                    ..Command::default()
                }
            }
        })
    }

    fn identify(&self, cns: Cns, nsid: u32) -> Command {
        Command {
            nsid,
            prp1: self.data.address(),
            cdw10: IdentifyCdw10::new().with_cns(cns).into(),
            ..Command::default()
        }
    }

    /// Reads the beginning of a log page, which counts as reading it (RAE = 0): as much as every controller has of it.
    pub(super) fn get_log_page(&self, page: LogPageId) -> Command {
        let dwords: u16 = match page {
            LogPageId::ERROR_INFORMATION => 16,
            LogPageId::CHANGED_NAMESPACES => 1024,
            _ => 128,
        };
        let length = GetLogPageCdw10::new()
            .with_lid(page)
            .with_numdl_z(dwords.saturating_sub(1));
        Command {
            nsid: NSID_ALL,
            prp1: self.data.address(),
            cdw10: length.into(),
            ..Command::default()
        }
    }

    /// The memory of a queue pair, checked.
    fn queue(&self, id: u16, inventory: &Inventory) -> Result<QueueMemory, Failure> {
        let index = usize::from(id.wrapping_sub(1));
        let queue = inventory.queues.get(index).ok_or(Failure::QueueMemory)?;
        let entries = 2..=self.max_queue_entries();
        let address = |address: u64| address != 0 && address & u64::from(PAGE_BYTES - 1) == 0;
        let fits = entries.contains(&queue.submission_entries)
            && entries.contains(&queue.completion_entries)
            && address(queue.submission_address)
            && address(queue.completion_address);
        fits.then_some(*queue).ok_or(Failure::QueueMemory)
    }

    /// Health warnings, and those notices that the driver acts on and the controller can give.
    fn reported_events(&self) -> AsyncEventConfiguration {
        let health = CriticalWarning::new()
            .with_spare_low(true)
            .with_temperature(true)
            .with_reliability_degraded(true)
            .with_read_only(true);
        let configuration = AsyncEventConfiguration::new().with_critical_warnings(health);
        self.info.as_ref().map_or(configuration, |info| {
            configuration
                .with_namespace_attribute(info.oaes.namespace_attribute())
                .with_firmware_activation(info.oaes.firmware_activation())
        })
    }
}

/// Get or Set Features of one feature, but for dword 0.
fn feature(fid: FeatureId, cdw11: u32) -> Command {
    Command {
        cdw10: FeatureCdw10::new().with_fid(fid).into(),
        cdw11,
        ..Command::default()
    }
}

fn create_completion_queue(id: u16, queue: &QueueMemory) -> Command {
    let size = CreateQueueCdw10::new()
        .with_qid(id)
        .with_qsize_z(queue.completion_entries.saturating_sub(1));
    let flags = CreateCompletionQueueCdw11::new()
        .with_pc(true)
        .with_ien(true)
        .with_iv(queue.vector);
    Command {
        prp1: queue.completion_address,
        cdw10: size.into(),
        cdw11: flags.into(),
        ..Command::default()
    }
}

fn create_submission_queue(id: u16, queue: &QueueMemory) -> Command {
    let size = CreateQueueCdw10::new()
        .with_qid(id)
        .with_qsize_z(queue.submission_entries.saturating_sub(1));
    let flags = CreateSubmissionQueueCdw11::new()
        .with_pc(true)
        .with_cqid(id);
    Command {
        prp1: queue.submission_address,
        cdw10: size.into(),
        cdw11: flags.into(),
        ..Command::default()
    }
}

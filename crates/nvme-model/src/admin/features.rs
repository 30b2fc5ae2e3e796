//! Set Features and Get Features.

use nvme_spec::async_event::AsyncEvent;
use nvme_spec::command::{FeatureCdw10, NSID_ALL};
use nvme_spec::feature::{
    FeatureId, HostMemoryBufferCdw11, InterruptVectorConfiguration, NumberOfQueues,
    PowerManagement, Select, SupportedCapabilities, TemperatureThreshold,
};
use nvme_spec::log::LogPageId;
use nvme_spec::status::Status;
use zerocopy::IntoBytes;

use super::{CDW10_BYTE, CDW11_BYTE};
use crate::bus::Bus;
use crate::controller::Controller;
use crate::failure::{Failure, Outcome, Request, Verdict};
use crate::feature::{Features, POWER_STATE_MAX};
use crate::hmb::Offer;
use crate::nvm::judge_namespace;
use crate::profile::{Allocation, Answer, Profile, Temperature};
use crate::rule::Rule;

/// Where the NSID is in a command.
const NSID_BYTE: u8 = 4;

impl Controller {
    pub(super) fn set_features(
        &mut self,
        request: Request<'_>,
        at_ns: u64,
        bus: &mut dyn Bus,
    ) -> Verdict {
        let cdw10 = FeatureCdw10::from_bits(request.command.cdw10);
        let id = cdw10.fid();
        if id == FeatureId::HOST_MEMORY_BUFFER {
            bus.judge(Rule::HmbWanted, self.hmb.wanted(), &|| {
                "the Host Memory Buffer feature is set where HMPRE = 0".to_owned()
            });
        }
        if !self.has_feature(id) {
            return Err(Failure::field(Status::INVALID_FIELD, CDW10_BYTE));
        }
        if cdw10.save() {
            return Err(Failure::field(Status::FEATURE_NOT_SAVEABLE, CDW10_BYTE + 3));
        }
        self.check_scope(request, id, true, bus)?;
        let value = request.command.cdw11;
        match id {
            FeatureId::NUMBER_OF_QUEUES => return self.set_number_of_queues(value.into(), bus),
            FeatureId::INTERRUPT_VECTOR_CONFIGURATION => self.set_vector(value.into())?,
            FeatureId::TEMPERATURE_THRESHOLD => self.set_threshold(value.into())?,
            FeatureId::HOST_MEMORY_BUFFER => return self.set_host_memory(request, bus),
            FeatureId::POWER_MANAGEMENT
                if PowerManagement::from_bits(value).ps() > POWER_STATE_MAX =>
            {
                return Err(Failure::field(Status::INVALID_FIELD, CDW11_BYTE));
            }
            _ => self.set_simple(id, request.command.nsid, value),
        }
        self.warn_of_temperature(at_ns);
        Ok(Outcome::Done(0))
    }

    fn warn_of_temperature(&mut self, at_ns: u64) {
        if (self.features.temperature_warning() || self.profile.temperature == Temperature::Nags)
            && self.features.reports_temperature()
        {
            self.raise(AsyncEvent::TEMPERATURE, LogPageId::SMART_HEALTH, at_ns);
        }
    }

    fn set_simple(&mut self, id: FeatureId, nsid: u32, value: u32) {
        if let Some(simple) = self.features.simple(id) {
            if nsid == NSID_ALL && simple.of_namespace {
                for namespace in &self.namespaces {
                    self.features.set(simple, namespace.nsid, value);
                }
            } else {
                self.features.set(simple, nsid, value);
            }
        }
    }

    fn has_feature(&self, id: FeatureId) -> bool {
        match id {
            FeatureId::NUMBER_OF_QUEUES
            | FeatureId::INTERRUPT_VECTOR_CONFIGURATION
            | FeatureId::TEMPERATURE_THRESHOLD => true,
            FeatureId::HOST_MEMORY_BUFFER => self.hmb.wanted(),
            _ => self.features.simple(id).is_some(),
        }
    }

    /// The NSID suits the feature: a namespace's own, or the controller's.
    fn check_scope(
        &self,
        request: Request<'_>,
        id: FeatureId,
        set: bool,
        bus: &mut dyn Bus,
    ) -> Result<(), Failure> {
        let nsid = request.command.nsid;
        let active = self
            .namespaces
            .iter()
            .any(|namespace| namespace.nsid == nsid);
        let all = nsid == NSID_ALL;
        if self
            .features
            .simple(id)
            .is_some_and(|simple| simple.of_namespace)
        {
            return judge_namespace(nsid, active || (all && set), bus);
        }
        if nsid == 0 || all || !set {
            return Ok(());
        }
        judge_namespace(nsid, active, bus)?;
        Err(Failure::field(
            Status::FEATURE_NOT_NAMESPACE_SPECIFIC,
            NSID_BYTE,
        ))
    }

    fn set_number_of_queues(&mut self, wanted: NumberOfQueues, bus: &mut dyn Bus) -> Verdict {
        let early = !self.queues.has_io();
        bus.judge(Rule::QueueCount, early, &|| {
            "Number of Queues is set while there are I/O queues".to_owned()
        });
        if !early {
            return Err(Status::COMMAND_SEQUENCE_ERROR.into());
        }
        if wanted.nsqr_z() == 0xFFFF || wanted.ncqr_z() == 0xFFFF {
            return Err(Failure::field(Status::INVALID_FIELD, CDW11_BYTE));
        }
        let all = all_queues(&self.profile);
        let granted = match self.profile.allocates {
            Allocation::All => all,
            Allocation::Asked => NumberOfQueues::new()
                .with_nsqr_z(wanted.nsqr_z().min(all.nsqr_z()))
                .with_ncqr_z(wanted.ncqr_z().min(all.ncqr_z())),
        };
        self.features.queues = Some(granted);
        Ok(Outcome::Done(granted.into_bits()))
    }

    fn set_vector(&mut self, value: InterruptVectorConfiguration) -> Result<(), Failure> {
        if value.iv() >= self.profile.messages.max(1) {
            return Err(Failure::field(Status::INVALID_FIELD, CDW11_BYTE));
        }
        if value.cd() {
            self.features.not_coalesced.insert(value.iv());
        } else {
            self.features.not_coalesced.remove(&value.iv());
        }
        Ok(())
    }

    fn set_threshold(&mut self, value: TemperatureThreshold) -> Result<(), Failure> {
        let sensors = match value.tmpsel() {
            0 | 1 => value.tmpsel()..=value.tmpsel(),
            0xF => 0..=1,
            _ => return Err(Failure::field(Status::INVALID_FIELD, CDW11_BYTE + 2)),
        };
        if value.thsel() > 1 {
            return Err(Failure::field(Status::INVALID_FIELD, CDW11_BYTE + 2));
        }
        for sensor in sensors {
            self.features
                .set_threshold((sensor, value.thsel() == 1), value.tmpth());
        }
        Ok(())
    }

    /// Host memory is lent or taken back. A disable that comes late was only scheduled late: it is carried out now.
    fn set_host_memory(&mut self, request: Request<'_>, bus: &mut dyn Bus) -> Verdict {
        let command = request.command;
        let cdw11 = HostMemoryBufferCdw11::from_bits(command.cdw11);
        if !cdw11.ehm() {
            return match self.profile.disable {
                Answer::Prompt | Answer::Late => {
                    self.hmb.disable(bus);
                    Ok(Outcome::Done(0))
                }
                Answer::Never => Ok(Outcome::Lost),
                Answer::Fails => Err(Status::INTERNAL_ERROR.into()),
            };
        }
        if self.profile.enable == Answer::Fails {
            return Err(Failure::field(Status::INVALID_FIELD, CDW11_BYTE));
        }
        let offer = Offer {
            pages: command.cdw12,
            list: u64::from(command.cdw14) << 32 | u64::from(command.cdw13),
            entries: command.cdw15,
            returned: cdw11.mr(),
            page_bytes: self.registers.page_bytes(),
        };
        self.hmb.enable(offer, bus)?;
        match self.profile.enable {
            Answer::Late => Ok(Outcome::Later(self.profile.late_ns)),
            Answer::Never => Ok(Outcome::Lost),
            Answer::Prompt | Answer::Fails => Ok(Outcome::Done(0)),
        }
    }

    pub(super) fn get_features(&mut self, request: Request<'_>, bus: &mut dyn Bus) -> Verdict {
        let cdw10 = FeatureCdw10::from_bits(request.command.cdw10);
        let id = cdw10.fid();
        if !self.has_feature(id) {
            return Err(Failure::field(Status::INVALID_FIELD, CDW10_BYTE));
        }
        self.check_scope(request, id, false, bus)?;
        match cdw10.select() {
            Select::SUPPORTED_CAPABILITIES => Ok(Outcome::Done(self.capabilities(id))),
            Select::CURRENT if id == FeatureId::HOST_MEMORY_BUFFER => {
                self.send(request, self.hmb.attributes().as_bytes(), bus)?;
                Ok(Outcome::Done(u32::from(self.hmb.is_enabled())))
            }
            Select::CURRENT => value_of(&self.features, self, request),
            Select::DEFAULT | Select::SAVED => {
                value_of(&Features::new(&self.profile), self, request)
            }
            _ => Err(Failure::field(Status::INVALID_FIELD, CDW10_BYTE + 1)),
        }
    }

    fn capabilities(&self, id: FeatureId) -> u32 {
        let of_namespace = self
            .features
            .simple(id)
            .is_some_and(|simple| simple.of_namespace);
        SupportedCapabilities::new()
            .with_changeable(true)
            .with_namespace_specific(of_namespace)
            .into_bits()
    }
}

/// All I/O queues that there are.
fn all_queues(profile: &Profile) -> NumberOfQueues {
    NumberOfQueues::new()
        .with_nsqr_z(profile.queues_of(false) - 1)
        .with_ncqr_z(profile.queues_of(true) - 1)
}

/// The value that these features have.
fn value_of(features: &Features, controller: &Controller, request: Request<'_>) -> Verdict {
    let command = request.command;
    let wrong = |byte| Err(Failure::field(Status::INVALID_FIELD, CDW11_BYTE + byte));
    let id = FeatureCdw10::from_bits(command.cdw10).fid();
    let value = match id {
        FeatureId::NUMBER_OF_QUEUES => {
            let all = all_queues(&controller.profile);
            features.queues.unwrap_or(all).into_bits()
        }
        FeatureId::INTERRUPT_VECTOR_CONFIGURATION => {
            let vector = InterruptVectorConfiguration::from_bits(command.cdw11).iv();
            if vector >= controller.profile.messages.max(1) {
                return wrong(0);
            }
            InterruptVectorConfiguration::new()
                .with_iv(vector)
                .with_cd(features.not_coalesced.contains(&vector))
                .into_bits()
        }
        FeatureId::TEMPERATURE_THRESHOLD => {
            let wanted = TemperatureThreshold::from_bits(command.cdw11);
            if wanted.tmpsel() > 1 || wanted.thsel() > 1 {
                return wrong(2);
            }
            features.threshold((wanted.tmpsel(), wanted.thsel() == 1))
        }
        _ => features
            .simple(id)
            .map_or(0, |simple| features.get(simple, command.nsid)),
    };
    Ok(Outcome::Done(value))
}

//! Controller registers.

use nvme_spec::registers::*;

use crate::table::*;

#[test]
fn registers() {
    bits!(Capabilities(u64) = "NVME_CONTROLLER_CAPABILITIES" {
        mqes_z with_mqes_z: "MQES";
        cqr with_cqr: "CQR";
        ams_weighted_round_robin with_ams_weighted_round_robin: "AMS_WeightedRoundRobinWithUrgent";
        ams_vendor with_ams_vendor: "AMS_VendorSpecific";
        to with_to: "TO";
        dstrd with_dstrd: "DSTRD";
        nssrs with_nssrs: "NSSRS";
        css_nvm with_css_nvm: "CSS_NVM";
        css_io_command_sets with_css_io_command_sets: "CSS_MultipleIo";
        css_admin_only with_css_admin_only: "CSS_AdminOnly";
        bps with_bps: "BPS";
        cps with_cps: "CPS";
        mpsmin with_mpsmin: "MPSMIN";
        mpsmax with_mpsmax: "MPSMAX";
        pmrs with_pmrs: "PMRS";
        cmbs with_cmbs: "CMBS";
        nsss with_nsss: "NSSS";
        crwms with_crwms: "CRWMS";
        crims with_crims: "CRIMS";
    });
    bits!(Version(u32) = "NVME_VERSION" {
        ter with_ter: "TER";
        mnr with_mnr: "MNR";
        mjr with_mjr: "MJR";
    });
    bits!(ControllerConfiguration(u32) = "NVME_CONTROLLER_CONFIGURATION" {
        en with_en: "EN";
        css with_css: "CSS";
        mps with_mps: "MPS";
        ams with_ams: "AMS";
        shn with_shn: "SHN";
        iosqes with_iosqes: "IOSQES";
        iocqes with_iocqes: "IOCQES";
        crime with_crime: "CRIME";
    });
    bits!(ControllerStatus(u32) = "NVME_CONTROLLER_STATUS" {
        rdy with_rdy: "RDY";
        cfs with_cfs: "CFS";
        shst with_shst: "SHST";
        nssro with_nssro: "NSSRO";
        pp with_pp: "PP";
        st with_st: "ST";
    });
    bits!(AdminQueueAttributes(u32) = "NVME_ADMIN_QUEUE_ATTRIBUTES" {
        asqs_z with_asqs_z: "ASQS";
        acqs_z with_acqs_z: "ACQS";
    });
    bits!(ControllerMemoryBufferLocation(u32) = "NVME_CONTROLLER_MEMORY_BUFFER_LOCATION" {
        bir with_bir: "BIR";
        cqmms with_cqmms: (3, 1);
        cqpds with_cqpds: (4, 1);
        cdpmls with_cdpmls: (5, 1);
        cdpcils with_cdpcils: (6, 1);
        cdmmms with_cdmmms: (7, 1);
        cqda with_cqda: (8, 1);
        ofst with_ofst: "OFST";
    });
    bits!(ControllerMemoryBufferSize(u32) = "NVME_CONTROLLER_MEMORY_BUFFER_SIZE" {
        sqs with_sqs: "SQS";
        cqs with_cqs: "CQS";
        lists with_lists: "LISTS";
        rds with_rds: "RDS";
        wds with_wds: "WDS";
        szu with_szu: "SZU";
        sz with_sz: "SZ";
    });
    bits!(ReadyTimeouts(u32) = "_NVME_CONTROLLER_READY_TIMEOUTS" {
        crwmt with_crwmt: "CRWMT";
        crimt with_crimt: "CRIMT";
    });
}

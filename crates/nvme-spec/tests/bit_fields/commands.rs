//! Dwords of commands and completions.

use nvme_spec::async_event::AsyncEventDw0;
use nvme_spec::command::*;
use nvme_spec::completion::StatusField;

use crate::table::*;

#[test]
fn commands() {
    bits!(CommandDword0(u32) = "NVME_COMMAND_DWORD0" {
        opcode with_opcode: "OPC";
        fuse with_fuse: "FUSE";
        psdt with_psdt: "PSDT";
        cid with_cid: "CID";
    });
    bits!(StatusField(u16) = "NVME_COMMAND_STATUS" {
        phase with_phase: "P";
        code with_code: "SC";
        code_type with_code_type: "SCT";
        crd with_crd: "CRD";
        more with_more: "M";
        do_not_retry with_do_not_retry: "DNR";
    });
    bits!(CreateQueueCdw10(u32) = "NVME_CDW10_CREATE_IO_QUEUE" {
        qid with_qid: "QID";
        qsize_z with_qsize_z: "QSIZE";
    });
    bits!(CreateCompletionQueueCdw11(u32) = "NVME_CDW11_CREATE_IO_CQ" {
        pc with_pc: "PC";
        ien with_ien: "IEN";
        iv with_iv: "IV";
    });
    bits!(CreateSubmissionQueueCdw11(u32) = "NVME_CDW11_CREATE_IO_SQ" {
        pc with_pc: "PC";
        qprio with_qprio: "QPRIO";
        cqid with_cqid: "CQID";
    });
    bits!(DeleteQueueCdw10(u32) = "NVME_CDW10_DELETE_IO_QUEUE" {
        qid with_qid: "QID";
    });
    bits!(IdentifyCdw10(u32) = "NVME_CDW10_IDENTIFY" {
        cns with_cns: "CNS";
        cntid with_cntid: "CNTID";
    });
    bits!(IdentifyCdw11(u32) = "NVME_CDW11_IDENTIFY" besides ["NVMSETID"] {
        cnsid with_cnsid: "CNSID";
        csi with_csi: "CSI";
    });
    bits!(GetLogPageCdw10(u32) = "NVME_CDW10_GET_LOG_PAGE_V20" {
        lid with_lid: "LID";
        lsp with_lsp: "LSP";
        rae with_rae: "RAE";
        numdl_z with_numdl_z: "NUMDL";
    });
    bits!(GetLogPageCdw11(u32) = "NVME_CDW11_GET_LOG_PAGE" {
        numdu_z with_numdu_z: "NUMDU";
        lsi with_lsi: "LogSpecificIdentifier";
    });
    bits!(ReadWriteCdw12(u32) = "NVME_CDW12_READ_WRITE" {
        nlb_z with_nlb_z: "NLB";
        dtype with_dtype: "DTYPE";
        stc with_stc: (24, 1);
        deac with_deac: (25, 1);
        prinfo with_prinfo: "PRINFO";
        fua with_fua: "FUA";
        limited_retry with_limited_retry: "LR";
    });
    bits!(ReadWriteCdw13(u32) = "NVME_CDW13_READ_WRITE" {
        access_frequency with_access_frequency: "DSM.AccessFrequency";
        access_latency with_access_latency: "DSM.AccessLatency";
        sequential_request with_sequential_request: "DSM.SequentialRequest";
        incompressible with_incompressible: "DSM.Incompressible";
        dspec with_dspec: "DSPEC";
    });
    bits!(DatasetManagementCdw10(u32) = "NVME_CDW10_DATASET_MANAGEMENT" {
        nr_z with_nr_z: "NR";
    });
    bits!(DatasetManagementCdw11(u32) = "NVME_CDW11_DATASET_MANAGEMENT" {
        idr with_idr: "IDR";
        idw with_idw: "IDW";
        ad with_ad: "AD";
    });
    bits!(ContextAttributes(u32) = "NVME_CONTEXT_ATTRIBUTES" {
        access_frequency with_access_frequency: "AccessFrequency";
        access_latency with_access_latency: "AccessLatency";
        sequential_read with_sequential_read: "SequentialReadRange";
        sequential_write with_sequential_write: "SequentialWriteRange";
        write_prepare with_write_prepare: "WritePrepare";
        command_access_blocks with_command_access_blocks: "CommandAccessSize";
    });
    bits!(AsyncEventDw0(u32) = "NVME_COMPLETION_DW0_ASYNC_EVENT_REQUEST" {
        event_type with_event_type: "AsyncEventType";
        info with_info: "AsyncEventInfo";
        log_page with_log_page: "LogPage";
    });
}

/// Get Features has no Save, Set Features no Select: one type stands for both.
#[test]
fn features_select_and_save() {
    bits!(FeatureCdw10(u32) = "NVME_CDW10_GET_FEATURES" {
        fid with_fid: "FID";
        select with_select: "SEL";
        save with_save: (31, 1);
    });
    bits!(FeatureCdw10(u32) = "NVME_CDW10_SET_FEATURES" {
        fid with_fid: "FID";
        select with_select: (8, 3);
        save with_save: "SV";
    });
}

/// The header has SQID in 8 bits and CID right after it; the specification has 16 bits each (Base 5.1).
#[test]
fn abort() {
    bits!(AbortCdw10(u32) = "NVME_CDW10_ABORT" besides ["SQID", "CID"] {
        sqid with_sqid: (0, 16);
        cid with_cid: (16, 16);
    });
}

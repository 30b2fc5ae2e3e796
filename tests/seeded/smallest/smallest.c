/*
 * A small Storport miniport for NVMe, in C: one queue pair, READ and WRITE, and what a disk needs besides. It keeps to what is
 * documented, and does what real miniports do and a test bed may take for a fault:
 *
 * - transfers of any alignment as long as the physical breaks allow, and no more breaks than that needs;
 * - interrupts redirected for some messages only, with an array of that length for their targets;
 * - imports that are never called, one of which the test bed does not have;
 * - the completion queue's doorbell after the requests were completed, not before;
 * - bus data of a type that does not exist first, and the base address register compared with the access range;
 * - tags of requests as indices of a table that is as long as the adapter's limit;
 * - no REPORT LUNS;
 * - no mapped buffers: their addresses are asked for;
 * - an MDL of pool, and a scatter/gather list that is built from it, with its ExecutionRoutine called whenever it is;
 * - the MDL of a request, read by the macros of wdm.h;
 * - registration with the power management framework, and activity that is told for each command.
 */
#include <ntddk.h>
#include <storport.h>

#define PAGE_BYTES 4096u
#define ADMIN_ENTRIES 32u
#define ENTRIES 128u
#define REQUESTS 64u
#define TRANSFER_BYTES (128u << 10)
/* One less than the elements of a list for a transfer that begins anywhere in a page. */
#define BREAKS (TRANSFER_BYTES / PAGE_BYTES)
#define BLOCK_BYTES 512u
/* Pool that an MDL is about, and room for a list of its pages. */
#define POOL_BYTES (2 * PAGE_BYTES)
#define LIST_BUFFER_BYTES (ULONG)(sizeof(STOR_SCATTER_GATHER_LIST) + 3 * sizeof(STOR_SCATTER_GATHER_ELEMENT))

/* Registers, by offset. */
enum { CAP = 0x00, INTMS = 0x0C, INTMC = 0x10, CC = 0x14, CSTS = 0x1C, AQA = 0x24, ASQ = 0x28, ACQ = 0x30, DOORBELLS = 0x1000 };
/* CC: entries of 64 and of 16 bytes, enabled; normal shutdown. */
#define CC_ENABLED (4u << 20 | 6u << 16 | 1u)
#define CC_SHUTDOWN (1u << 14)

/* Pages of the uncached extension: a queue of 128 commands takes two. */
enum { ADMIN_SUBMISSION = 0, ADMIN_COMPLETION = 1, SUBMISSION = 2, COMPLETION = 4, DATA = 5, PAGES = 6 };

typedef struct { ULONG Word[16]; } COMMAND;
typedef struct { ULONG Result, Reserved; USHORT Head, Queue, Identifier, Status; } ENTRY;
typedef struct { ULONG Tail, Head, Phase, Entries; } QUEUE;

typedef struct {
    STOR_DPC Dpc;
    volatile UCHAR *Registers;
    volatile UCHAR *Uncached;
    ULONGLONG Physical;
    ULONG Stride;
    ULONG Vector;
    ULONGLONG Blocks;
    BOOLEAN Running, Line, Listed, Idles;
    UCHAR *Pool;
    PVOID Mdl;
    PSTOR_SCATTER_GATHER_LIST List;
    QUEUE Admin, Io;
    PSCSI_REQUEST_BLOCK Request[REQUESTS];
} ADAPTER;

/* The part of an SRB extension in which the list of pages lies: aligned to its own size, it is in one page. */
#define LIST_BYTES (BREAKS * 8u)

static volatile int Never;

static ULONG Read(ADAPTER *Adapter, ULONG Register)
{
    return *(volatile ULONG *)(Adapter->Registers + Register);
}

static void Write(ADAPTER *Adapter, ULONG Register, ULONG Value)
{
    *(volatile ULONG *)(Adapter->Registers + Register) = Value;
}

static void Ring(ADAPTER *Adapter, ULONG Queue, ULONG Completion, ULONG Value)
{
    Write(Adapter, DOORBELLS + (2 * Queue + Completion) * Adapter->Stride, Value);
}

static BOOLEAN Await(ADAPTER *Adapter, ULONG Mask, ULONG Value)
{
    ULONG Look;
    for (Look = 0; Look < 20000; Look++) {
        ULONG Status = Read(Adapter, CSTS);
        if (Status == MAXULONG)
            return FALSE;
        if ((Status & Mask) == Value)
            return TRUE;
        StorPortStallExecution(500);
    }
    return FALSE;
}

static void Put(ADAPTER *Adapter, QUEUE *Queue, ULONG Page, const COMMAND *Command)
{
    volatile ULONG *To = (volatile ULONG *)(Adapter->Uncached + Page * PAGE_BYTES) + Queue->Tail * 16;
    ULONG Word;
    for (Word = 0; Word < 16; Word++)
        To[Word] = Command->Word[Word];
    Queue->Tail = (Queue->Tail + 1) % Queue->Entries;
}

/* The next completion, if there is one. The doorbell is for the caller to ring. */
static BOOLEAN Next(ADAPTER *Adapter, QUEUE *Queue, ULONG Page, ENTRY *Entry)
{
    volatile ENTRY *From = (volatile ENTRY *)(Adapter->Uncached + Page * PAGE_BYTES) + Queue->Head;
    Entry->Status = From->Status;
    if ((Entry->Status & 1) != Queue->Phase)
        return FALSE;
    Entry->Identifier = From->Identifier;
    Queue->Head = (Queue->Head + 1) % Queue->Entries;
    if (Queue->Head == 0)
        Queue->Phase ^= 1;
    return TRUE;
}

static COMMAND CommandFor(ULONG Opcode, ULONG Namespace, ULONGLONG Page)
{
    COMMAND Command = {{Opcode, Namespace}};
    Command.Word[6] = (ULONG)Page;
    Command.Word[7] = (ULONG)(Page >> 32);
    return Command;
}

/* Masks the line while completions are polled for, which the DPC does not look at: it would be asserted again after every DPC. */
static void Mask(ADAPTER *Adapter, BOOLEAN Masked)
{
    if (Adapter->Line)
        Write(Adapter, Masked ? INTMS : INTMC, 1);
}

static BOOLEAN Admin(ADAPTER *Adapter, COMMAND Command)
{
    ENTRY Entry;
    ULONG Look;
    Put(Adapter, &Adapter->Admin, ADMIN_SUBMISSION, &Command);
    Ring(Adapter, 0, 0, Adapter->Admin.Tail);
    for (Look = 0; Look < 20000; Look++) {
        if (Next(Adapter, &Adapter->Admin, ADMIN_COMPLETION, &Entry)) {
            Ring(Adapter, 0, 1, Adapter->Admin.Head);
            return Entry.Status >> 1 == 0;
        }
        if (Read(Adapter, CSTS) == MAXULONG)
            return FALSE;
        StorPortStallExecution(500);
    }
    return FALSE;
}

static void Empty(QUEUE *Queue, ULONG Entries)
{
    Queue->Tail = Queue->Head = 0;
    Queue->Phase = 1;
    Queue->Entries = Entries;
}

static void WriteAddress(ADAPTER *Adapter, ULONG Register, ULONGLONG Address)
{
    Write(Adapter, Register, (ULONG)Address);
    Write(Adapter, Register + 4, (ULONG)(Address >> 32));
}

static BOOLEAN Enable(ADAPTER *Adapter)
{
    ULONG Offset;
    Write(Adapter, CC, 0);
    if (!Await(Adapter, 1, 0))
        return FALSE;
    for (Offset = 0; Offset < DATA * PAGE_BYTES; Offset += 8)
        *(volatile ULONGLONG *)(Adapter->Uncached + Offset) = 0;
    Empty(&Adapter->Admin, ADMIN_ENTRIES);
    Empty(&Adapter->Io, ENTRIES);
    Write(Adapter, AQA, (ADMIN_ENTRIES - 1) << 16 | (ADMIN_ENTRIES - 1));
    WriteAddress(Adapter, ASQ, Adapter->Physical + ADMIN_SUBMISSION * PAGE_BYTES);
    WriteAddress(Adapter, ACQ, Adapter->Physical + ADMIN_COMPLETION * PAGE_BYTES);
    Write(Adapter, CC, CC_ENABLED);
    return Await(Adapter, 1, 1);
}

static BOOLEAN CreateQueues(ADAPTER *Adapter)
{
    COMMAND Number = CommandFor(0x09, 0, 0);
    COMMAND Completion = CommandFor(0x05, 0, Adapter->Physical + COMPLETION * PAGE_BYTES);
    COMMAND Submission = CommandFor(0x01, 0, Adapter->Physical + SUBMISSION * PAGE_BYTES);
    Number.Word[10] = 7;
    Completion.Word[10] = Submission.Word[10] = (ENTRIES - 1) << 16 | 1;
    Completion.Word[11] = Adapter->Vector << 16 | 3;
    Submission.Word[11] = 1 << 16 | 1;
    Adapter->Running = Admin(Adapter, Number) && Admin(Adapter, Completion) && Admin(Adapter, Submission);
    return Adapter->Running;
}

static BOOLEAN Identify(ADAPTER *Adapter)
{
    /* Identify Namespace: NSZE is the first field, and FLBAS says which format has the block size. */
    COMMAND Command = CommandFor(0x06, 1, Adapter->Physical + DATA * PAGE_BYTES);
    volatile UCHAR *Data = Adapter->Uncached + DATA * PAGE_BYTES;
    ULONG Format;
    if (!Admin(Adapter, Command))
        return FALSE;
    Adapter->Blocks = *(volatile ULONGLONG *)Data;
    Format = *(volatile ULONG *)(Data + 128 + (Data[26] & 15) * 4);
    return 1u << (Format >> 16 & 255) == BLOCK_BYTES && (Format & 0xFFFF) == 0;
}

/* Imports that are linked because something mentions them. */
static void Unused(void)
{
    UNICODE_STRING String;
    RtlInitUnicodeString(&String, NULL);
    KeStallExecutionProcessor(1);
}

static BOOLEAN HasItsAddress(ADAPTER *Adapter, PPORT_CONFIGURATION_INFORMATION Configuration, ULONGLONG Start)
{
    ULONG Header[16];
    ULONG Bytes = StorPortGetBusData(Adapter, PCIBus, Configuration->SystemIoBusNumber, Configuration->SlotNumber, Header, sizeof Header);
    if (Bytes == 0)
        Bytes = StorPortGetBusData(Adapter, PCIConfiguration, Configuration->SystemIoBusNumber, Configuration->SlotNumber, Header,
                                   sizeof Header);
    return Bytes == sizeof Header && ((ULONGLONG)Header[5] << 32 | (Header[4] & ~15u)) == Start;
}

/* HwStorInterrupt: the line is masked until the DPC has looked. */
static BOOLEAN Interrupt(PVOID Extension)
{
    ADAPTER *Adapter = Extension;
    LONG Issued;
    Write(Adapter, INTMS, 1);
    StorPortNotification(IssueDpc, Adapter, &Adapter->Dpc, NULL, NULL, &Issued);
    return TRUE;
}

/* HwMSInterruptRoutine. */
static BOOLEAN Message(PVOID Extension, ULONG Number)
{
    ADAPTER *Adapter = Extension;
    LONG Issued;
    (void)Number;
    StorPortNotification(IssueDpc, Adapter, &Adapter->Dpc, NULL, NULL, &Issued);
    return TRUE;
}

/* HwStorFindAdapter. PASSIVE_LEVEL. */
static ULONG FindAdapter(PVOID Extension, PVOID Context, PVOID Bus, PCHAR Arguments, PPORT_CONFIGURATION_INFORMATION Configuration,
                         PUCHAR Again)
{
    ADAPTER *Adapter = Extension;
    ACCESS_RANGE *Range = &(*Configuration->AccessRanges)[0];
    ULONG Bytes = PAGES * PAGE_BYTES;
    (void)Context, (void)Bus, (void)Arguments;
    *Again = FALSE;
    if (Never)
        Unused();
    if (!HasItsAddress(Adapter, Configuration, Range->RangeStart.QuadPart))
        return SP_RETURN_BAD_CONFIG;
    Configuration->MaximumTransferLength = TRANSFER_BYTES;
    Configuration->NumberOfPhysicalBreaks = BREAKS;
    Configuration->AlignmentMask = 3;
    Configuration->NumberOfBuses = 1;
    Configuration->MaximumNumberOfTargets = 1;
    Configuration->MaximumNumberOfLogicalUnits = 1;
    Configuration->ScatterGather = TRUE;
    Configuration->Master = TRUE;
    Configuration->CachesData = TRUE;
    Configuration->MapBuffers = STOR_MAP_NO_BUFFERS;
    Configuration->Dma64BitAddresses |= SCSI_DMA64_MINIPORT_SUPPORTED;
    Configuration->SynchronizationModel = StorSynchronizeFullDuplex;
    Configuration->HwMSInterruptRoutine = Message;
    Configuration->InterruptSynchronizationMode = InterruptSynchronizePerMessage;
    Configuration->MaxNumberOfIO = REQUESTS;
    Configuration->MaxIOsPerLun = REQUESTS;
    Configuration->InitialLunQueueDepth = REQUESTS;
    Adapter->Registers = StorPortGetDeviceBase(Adapter, Configuration->AdapterInterfaceType, Configuration->SystemIoBusNumber,
                                               Range->RangeStart, Range->RangeLength, FALSE);
    if (Adapter->Registers == NULL)
        return SP_RETURN_ERROR;
    Adapter->Uncached = StorPortGetUncachedExtension(Adapter, Configuration, Bytes);
    if (Adapter->Uncached == NULL)
        return SP_RETURN_ERROR;
    Adapter->Physical = StorPortGetPhysicalAddress(Adapter, NULL, (PVOID)Adapter->Uncached, &Bytes).QuadPart;
    Adapter->Stride = 4u << (Read(Adapter, CAP + 4) & 15);
    /* Commands are polled for, and no interrupt is to come before there is a routine. */
    Write(Adapter, INTMS, 1);
    if (!Enable(Adapter) || !Identify(Adapter))
        return SP_RETURN_ERROR;
    Write(Adapter, INTMC, 1);
    return SP_RETURN_FOUND;
}

/* ExecutionRoutine: the list names the pool, piece by piece. DISPATCH_LEVEL. */
static VOID ListBuilt(PVOID *DeviceObject, PVOID *Irp, PSTOR_SCATTER_GATHER_LIST List, PVOID Context)
{
    ADAPTER *Adapter = Context;
    ULONG Index, Bytes = 0;
    (void)DeviceObject, (void)Irp;
    for (Index = 0; Index < List->NumberOfElements; Index++) {
        if (StorPortGetVirtualAddress(Adapter, List->List[Index].PhysicalAddress) != Adapter->Pool + Bytes)
            return;
        Bytes += List->List[Index].Length;
    }
    if (Bytes != POOL_BYTES)
        return;
    StorPortExtendedFunction(ExtFunctionPutScatterGatherList, Adapter, List, TRUE);
    StorPortExtendedFunction(ExtFunctionFreeMdl, Adapter, Adapter->Mdl);
    StorPortExtendedFunction(ExtFunctionFreePool, Adapter, Adapter->Pool);
    StorPortExtendedFunction(ExtFunctionFreePool, Adapter, List);
}

/* Has a list built, once. Without its ExecutionRoutine all of it is left behind when the adapter goes. */
static void AskForList(ADAPTER *Adapter)
{
    if (Adapter->Listed)
        return;
    Adapter->Listed = TRUE;
    StorPortExtendedFunction(ExtFunctionBuildScatterGatherList, Adapter, Adapter->Mdl, Adapter->Pool, POOL_BYTES, ListBuilt,
                             Adapter, TRUE, Adapter->List, LIST_BUFFER_BYTES);
}

/* HwStorDpcRoutine: completes what the device has done, and then tells the device. */
static void Dpc(PSTOR_DPC This, PVOID Extension, PVOID First, PVOID Second)
{
    ADAPTER *Adapter = Extension;
    STOR_LOCK_HANDLE Lock = {0};
    ENTRY Entry;
    BOOLEAN Any = FALSE;
    (void)First, (void)Second;
    StorPortNotification(AcquireSpinLock, Adapter, DpcLock, This, &Lock);
    while (Adapter->Running && Next(Adapter, &Adapter->Io, COMPLETION, &Entry)) {
        PSCSI_REQUEST_BLOCK Srb = Entry.Identifier < REQUESTS ? Adapter->Request[Entry.Identifier] : NULL;
        Any = TRUE;
        if (Srb == NULL)
            continue;
        Adapter->Request[Entry.Identifier] = NULL;
        Srb->SrbStatus = Entry.Status >> 1 == 0 ? SRB_STATUS_SUCCESS : SRB_STATUS_ERROR;
        if (Srb->SrbStatus == SRB_STATUS_ERROR)
            Srb->DataTransferLength = 0;
        StorPortNotification(RequestComplete, Adapter, Srb);
    }
    if (Any)
        Ring(Adapter, 1, 1, Adapter->Io.Head);
    Mask(Adapter, FALSE);
    if (Adapter->Running)
        AskForList(Adapter);
    StorPortNotification(ReleaseSpinLock, Adapter, &Lock);
}

/* Pool with its MDL, and a buffer for a list. */
static BOOLEAN Allocate(ADAPTER *Adapter)
{
    PMDL Mdl;
    if (StorPortExtendedFunction(ExtFunctionAllocatePool, Adapter, POOL_BYTES, 'lamS', (PVOID *)&Adapter->Pool) != STOR_STATUS_SUCCESS
        || StorPortExtendedFunction(ExtFunctionAllocatePool, Adapter, LIST_BUFFER_BYTES, 'lamS', (PVOID *)&Adapter->List) != STOR_STATUS_SUCCESS
        || StorPortExtendedFunction(ExtFunctionAllocateMdl, Adapter, Adapter->Pool, POOL_BYTES, &Adapter->Mdl) != STOR_STATUS_SUCCESS
        || StorPortExtendedFunction(ExtFunctionBuildMdlForNonPagedPool, Adapter, Adapter->Mdl) != STOR_STATUS_SUCCESS)
        return FALSE;
    Mdl = Adapter->Mdl;
    return MmGetMdlVirtualAddress(Mdl) == Adapter->Pool && MmGetMdlByteCount(Mdl) == POOL_BYTES
        && MmGetMdlByteOffset(Mdl) == ((ULONG_PTR)Adapter->Pool & (PAGE_BYTES - 1)) && Mdl->MappedSystemVa == Adapter->Pool
        && (PUCHAR)MmGetMdlPfnArray(Mdl) + sizeof(PFN_NUMBER) * ADDRESS_AND_SIZE_TO_SPAN_PAGES(Adapter->Pool, POOL_BYTES)
               == (PUCHAR)Mdl + Mdl->Size;
}

/* Tells the power management framework of an adapter with one component, which is always in F0. */
static void Register(ADAPTER *Adapter)
{
    STOR_POFX_DEVICE_V3 Device = {0};
    BOOLEAN Cold = FALSE;
    Device.Version = STOR_POFX_DEVICE_VERSION_V3;
    Device.Size = FIELD_OFFSET(STOR_POFX_DEVICE_V3, Components);
    Device.ComponentCount = 1;
    Device.Components[0].Version = STOR_POFX_COMPONENT_VERSION_V1;
    Device.Components[0].Size = FIELD_OFFSET(STOR_POFX_COMPONENT, FStates);
    Device.Components[0].FStateCount = 1;
    Device.Components[0].FStates[0].Version = STOR_POFX_COMPONENT_IDLE_STATE_VERSION_V1;
    Device.Components[0].FStates[0].Size = sizeof(STOR_POFX_COMPONENT_IDLE_STATE);
    Device.Components[0].FStates[0].NominalPower = STOR_POFX_UNKNOWN_POWER;
    Adapter->Idles = StorPortExtendedFunction(ExtFunctionInitializePoFxPower, Adapter, NULL, (PSTOR_POFX_DEVICE)&Device, &Cold) == STOR_STATUS_SUCCESS;
}

/* Whether the MDL of a request is about its data. */
static BOOLEAN IsDescribed(ADAPTER *Adapter, PSCSI_REQUEST_BLOCK Srb)
{
    PMDL Mdl = NULL;
    return StorPortExtendedFunction(ExtFunctionGetOriginalMdl, Adapter, Srb, (PVOID *)&Mdl) == STOR_STATUS_SUCCESS && MmGetMdlByteCount(Mdl) == Srb->DataTransferLength;
}

/* Has the messages 1 and 2, where there are so many, redirected to the processors that send requests. */
static void Redirect(ADAPTER *Adapter)
{
    PERF_CONFIGURATION_DATA Data = {0};
    PGROUP_AFFINITY Targets = NULL;
    Data.Version = STOR_PERF_VERSION;
    Data.Size = sizeof Data;
    if (StorPortExtendedFunction(ExtFunctionInitializePerformanceOptimizations, Adapter, TRUE, &Data) != STOR_STATUS_SUCCESS)
        return;
    if ((Data.Flags & STOR_PERF_DPC_REDIRECTION) == 0 || (Data.Flags & STOR_PERF_INTERRUPT_MESSAGE_RANGES) == 0
        || Data.LastRedirectionMessageNumber < 2)
        return;
    if (StorPortExtendedFunction(ExtFunctionAllocatePool, Adapter, (ULONG)(2 * sizeof *Targets), 'lamS', &Targets) != STOR_STATUS_SUCCESS)
        return;
    Data.Flags = STOR_PERF_DPC_REDIRECTION | STOR_PERF_INTERRUPT_MESSAGE_RANGES;
    Data.FirstRedirectionMessageNumber = 1;
    Data.LastRedirectionMessageNumber = 2;
    Data.MessageTargets = Targets;
    if (StorPortExtendedFunction(ExtFunctionInitializePerformanceOptimizations, Adapter, FALSE, &Data) == STOR_STATUS_SUCCESS)
        Adapter->Vector = 1;
    StorPortExtendedFunction(ExtFunctionFreePool, Adapter, Targets);
}

/* HwStorPassiveInitializeRoutine. PASSIVE_LEVEL. */
static BOOLEAN PassiveInitialize(PVOID Extension)
{
    ADAPTER *Adapter = Extension;
    StorPortNotification(InitializeDpc, Adapter, &Adapter->Dpc, Dpc);
    Redirect(Adapter);
    Register(Adapter);
    if (!Allocate(Adapter) || !CreateQueues(Adapter))
        return FALSE;
    Mask(Adapter, FALSE);
    return TRUE;
}

/* HwStorInitialize. DIRQL. */
static BOOLEAN Initialize(PVOID Extension)
{
    ADAPTER *Adapter = Extension;
    MESSAGE_INTERRUPT_INFORMATION Information = {0};
    LONG Enabled = FALSE;
    ULONG Status = StorPortExtendedFunction(ExtFunctionGetMessageInterruptInformation, Adapter, 0, &Information);
    Adapter->Line = Status != STOR_STATUS_SUCCESS;
    Mask(Adapter, TRUE);
    StorPortNotification(EnablePassiveInitialization, Adapter, PassiveInitialize, &Enabled);
    return (BOOLEAN)Enabled;
}

static void Complete(ADAPTER *Adapter, PSCSI_REQUEST_BLOCK Srb, UCHAR Status)
{
    Srb->SrbStatus = Status;
    StorPortNotification(RequestComplete, Adapter, Srb);
}

/* Completes a request that is not understood: ILLEGAL REQUEST, INVALID COMMAND OPERATION CODE. */
static void Refuse(ADAPTER *Adapter, PSCSI_REQUEST_BLOCK Srb)
{
    static const UCHAR Sense[18] = {0x70, 0, 5, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x20};
    UCHAR Status = SRB_STATUS_ERROR;
    ULONG Index;
    if (Srb->SenseInfoBuffer != NULL && Srb->SenseInfoBufferLength >= sizeof Sense) {
        for (Index = 0; Index < sizeof Sense; Index++)
            ((UCHAR *)Srb->SenseInfoBuffer)[Index] = Sense[Index];
        Status |= SRB_STATUS_AUTOSENSE_VALID;
    }
    Srb->ScsiStatus = 2;
    Srb->DataTransferLength = 0;
    Complete(Adapter, Srb, Status);
}

/* Answers with some bytes. */
static void Answer(ADAPTER *Adapter, PSCSI_REQUEST_BLOCK Srb, const UCHAR *Bytes, ULONG Length)
{
    UCHAR *To = NULL;
    ULONG Index;
    if (StorPortExtendedFunction(ExtFunctionGetSystemAddress, Adapter, Srb, &To) != STOR_STATUS_SUCCESS) {
        Refuse(Adapter, Srb);
        return;
    }
    if (Length > Srb->DataTransferLength)
        Length = Srb->DataTransferLength;
    for (Index = 0; Index < Length; Index++)
        To[Index] = Bytes[Index];
    Srb->DataTransferLength = Length;
    Complete(Adapter, Srb, SRB_STATUS_SUCCESS);
}

static void BigEndian(UCHAR *To, ULONGLONG Value, ULONG Bytes)
{
    while (Bytes-- != 0) {
        To[Bytes] = (UCHAR)Value;
        Value >>= 8;
    }
}

static ULONGLONG FromBigEndian(const UCHAR *From, ULONG Bytes)
{
    ULONGLONG Value = 0;
    while (Bytes-- != 0)
        Value = Value << 8 | *From++;
    return Value;
}

static void Capacity(ADAPTER *Adapter, PSCSI_REQUEST_BLOCK Srb, ULONG Bytes)
{
    UCHAR Data[32] = {0};
    ULONGLONG Last = Adapter->Blocks - 1;
    if (Bytes == 8)
        BigEndian(Data, Last > MAXULONG ? MAXULONG : Last, 4);
    else
        BigEndian(Data, Last, 8);
    BigEndian(Data + (Bytes == 8 ? 4 : 8), BLOCK_BYTES, 4);
    Answer(Adapter, Srb, Data, Bytes);
}

/* Names the pages of the data: one, two, or one and a list. */
static void Describe(ADAPTER *Adapter, PSCSI_REQUEST_BLOCK Srb, COMMAND *Command)
{
    PSTOR_SCATTER_GATHER_LIST Elements = StorPortGetScatterGatherList(Adapter, Srb);
    ULONGLONG *List = (ULONGLONG *)(((ULONG_PTR)Srb->SrbExtension + LIST_BYTES - 1) & ~(ULONG_PTR)(LIST_BYTES - 1));
    ULONGLONG Second = 0;
    ULONG Index, Pages = 0, Bytes = 0;
    for (Index = 0; Index < Elements->NumberOfElements; Index++) {
        ULONGLONG Start = Elements->List[Index].PhysicalAddress.QuadPart;
        ULONGLONG End = Start + Elements->List[Index].Length;
        for (; Start < End; Start = (Start & ~(ULONGLONG)(PAGE_BYTES - 1)) + PAGE_BYTES, Pages++) {
            if (Pages == 0) {
                Command->Word[6] = (ULONG)Start;
                Command->Word[7] = (ULONG)(Start >> 32);
            } else {
                Second = Start;
                List[Pages - 1] = Start;
            }
        }
    }
    if (Pages > 2)
        Second = StorPortGetPhysicalAddress(Adapter, Srb, List, &Bytes).QuadPart;
    Command->Word[8] = (ULONG)Second;
    Command->Word[9] = (ULONG)(Second >> 32);
}

/* Sends a command for a request. Its tag is the command's identifier: no two outstanding requests have the same. */
static void Send(ADAPTER *Adapter, PSCSI_REQUEST_BLOCK Srb, COMMAND *Command)
{
    if (Srb->QueueTag >= REQUESTS || Adapter->Request[Srb->QueueTag] != NULL) {
        Complete(Adapter, Srb, SRB_STATUS_INTERNAL_ERROR);
        return;
    }
    if (Adapter->Idles) {
        StorPortExtendedFunction(ExtFunctionPoFxActivateComponent, Adapter, NULL, Srb, 0, 0);
        StorPortExtendedFunction(ExtFunctionPoFxIdleComponent, Adapter, NULL, Srb, 0, 0);
    }
    Command->Word[0] |= (ULONG)Srb->QueueTag << 16;
    Adapter->Request[Srb->QueueTag] = Srb;
    Put(Adapter, &Adapter->Io, SUBMISSION, Command);
    Ring(Adapter, 1, 0, Adapter->Io.Tail);
}

static BOOLEAN IsDescribed(ADAPTER *Adapter, PSCSI_REQUEST_BLOCK Srb);

static void Transfer(ADAPTER *Adapter, PSCSI_REQUEST_BLOCK Srb, ULONG Opcode, ULONGLONG Block, ULONGLONG Blocks)
{
    COMMAND Command = CommandFor(Opcode, 1, 0);
    if (Blocks == 0) {
        Complete(Adapter, Srb, SRB_STATUS_SUCCESS);
        return;
    }
    if (Block >= Adapter->Blocks || Blocks > Adapter->Blocks - Block || Blocks * BLOCK_BYTES != Srb->DataTransferLength
        || !IsDescribed(Adapter, Srb)) {
        Refuse(Adapter, Srb);
        return;
    }
    Command.Word[10] = (ULONG)Block;
    Command.Word[11] = (ULONG)(Block >> 32);
    Command.Word[12] = (ULONG)Blocks - 1;
    Describe(Adapter, Srb, &Command);
    Send(Adapter, Srb, &Command);
}

static void Scsi(ADAPTER *Adapter, PSCSI_REQUEST_BLOCK Srb)
{
    static const UCHAR Inquiry[] = "\0\0\x06\x02\x1F\0\0\x02Smallest" "Miniport        " "1.0 ";
    COMMAND Flush = CommandFor(0, 1, 0);
    const UCHAR *Cdb = Srb->Cdb;
    switch (Cdb[0]) {
    case 0x00: /* TEST UNIT READY */
        Complete(Adapter, Srb, SRB_STATUS_SUCCESS);
        break;
    case 0x12: /* INQUIRY, without vital product data */
        if (Cdb[1] & 1)
            Refuse(Adapter, Srb);
        else
            Answer(Adapter, Srb, Inquiry, sizeof Inquiry - 1);
        break;
    case 0x25: /* READ CAPACITY (10) */
        Capacity(Adapter, Srb, 8);
        break;
    case 0x9E: /* SERVICE ACTION IN (16): READ CAPACITY (16) */
        if ((Cdb[1] & 31) == 0x10)
            Capacity(Adapter, Srb, 32);
        else
            Refuse(Adapter, Srb);
        break;
    case 0x28: /* READ (10), WRITE (10) */
    case 0x2A:
        Transfer(Adapter, Srb, Cdb[0] == 0x28 ? 2 : 1, FromBigEndian(Cdb + 2, 4), FromBigEndian(Cdb + 7, 2));
        break;
    case 0x88: /* READ (16), WRITE (16) */
    case 0x8A:
        Transfer(Adapter, Srb, Cdb[0] == 0x88 ? 2 : 1, FromBigEndian(Cdb + 2, 8), FromBigEndian(Cdb + 10, 4));
        break;
    case 0x35: /* SYNCHRONIZE CACHE (10) and (16) */
    case 0x91:
        Send(Adapter, Srb, &Flush);
        break;
    default:
        Refuse(Adapter, Srb);
    }
}

/* HwStorStartIo: DISPATCH_LEVEL, the StartIo lock. */
static BOOLEAN StartIo(PVOID Extension, PSCSI_REQUEST_BLOCK Srb)
{
    ADAPTER *Adapter = Extension;
    if (Srb->Function != SRB_FUNCTION_EXECUTE_SCSI)
        Complete(Adapter, Srb, Srb->Function == SRB_FUNCTION_PNP ? SRB_STATUS_SUCCESS : SRB_STATUS_INVALID_REQUEST);
    else if (Srb->PathId != 0 || Srb->TargetId != 0 || Srb->Lun != 0)
        Complete(Adapter, Srb, SRB_STATUS_NO_DEVICE);
    else if (!Adapter->Running)
        Complete(Adapter, Srb, SRB_STATUS_NO_HBA);
    else
        Scsi(Adapter, Srb);
    return TRUE;
}

/* HwStorBuildIo: all is done in HwStorStartIo. */
static BOOLEAN BuildIo(PVOID Extension, PSCSI_REQUEST_BLOCK Srb)
{
    (void)Extension, (void)Srb;
    return TRUE;
}

static BOOLEAN Start(ADAPTER *Adapter)
{
    Mask(Adapter, TRUE);
    if (!Enable(Adapter) || !CreateQueues(Adapter))
        return FALSE;
    Mask(Adapter, FALSE);
    return TRUE;
}

static void Stop(ADAPTER *Adapter)
{
    if (!Adapter->Running)
        return;
    Adapter->Running = FALSE;
    Write(Adapter, CC, CC_ENABLED | CC_SHUTDOWN);
    Await(Adapter, 0xC, 8);
}

/* HwStorResetBus: the controller is started anew, and what it had comes back. */
static BOOLEAN ResetBus(PVOID Extension, ULONG Path)
{
    ADAPTER *Adapter = Extension;
    ULONG Index;
    (void)Path;
    Adapter->Running = FALSE;
    if (!Start(Adapter))
        return FALSE;
    for (Index = 0; Index < REQUESTS; Index++) {
        PSCSI_REQUEST_BLOCK Srb = Adapter->Request[Index];
        Adapter->Request[Index] = NULL;
        if (Srb != NULL) {
            Srb->DataTransferLength = 0;
            Complete(Adapter, Srb, SRB_STATUS_BUS_RESET);
        }
    }
    return TRUE;
}

/* HwStorAdapterControl. */
static SCSI_ADAPTER_CONTROL_STATUS AdapterControl(PVOID Extension, SCSI_ADAPTER_CONTROL_TYPE Type, PVOID Parameters)
{
    ADAPTER *Adapter = Extension;
    PSCSI_SUPPORTED_CONTROL_TYPE_LIST List = Parameters;
    PSTOR_ADAPTER_CONTROL_POWER Power = Parameters;
    switch (Type) {
    case ScsiQuerySupportedControlTypes:
        if (List->MaxControlType > ScsiStopAdapter)
            List->SupportedTypeList[ScsiStopAdapter] = TRUE;
        if (List->MaxControlType > ScsiRestartAdapter)
            List->SupportedTypeList[ScsiRestartAdapter] = TRUE;
        if (List->MaxControlType > ScsiAdapterPower)
            List->SupportedTypeList[ScsiAdapterPower] = TRUE;
        return ScsiAdapterControlSuccess;
    case ScsiStopAdapter:
        Stop(Adapter);
        return ScsiAdapterControlSuccess;
    case ScsiRestartAdapter:
        return Start(Adapter) ? ScsiAdapterControlSuccess : ScsiAdapterControlUnsuccessful;
    case ScsiAdapterPower:
        if (Power->PowerState == StorPowerDeviceD3)
            Stop(Adapter);
        else if (!Start(Adapter))
            return ScsiAdapterControlUnsuccessful;
        return ScsiAdapterControlSuccess;
    default:
        return ScsiAdapterControlUnsuccessful;
    }
}

NTSTATUS DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING Path)
{
    HW_INITIALIZATION_DATA Data = {0};
    Data.HwInitializationDataSize = sizeof Data;
    Data.AdapterInterfaceType = PCIBus;
    Data.HwInitialize = Initialize;
    Data.HwBuildIo = BuildIo;
    Data.HwStartIo = StartIo;
    Data.HwInterrupt = Interrupt;
    Data.HwFindAdapter = (PVOID)FindAdapter;
    Data.HwResetBus = ResetBus;
    Data.HwAdapterControl = AdapterControl;
    Data.DeviceExtensionSize = sizeof(ADAPTER);
    Data.SrbExtensionSize = 2 * LIST_BYTES;
    Data.NumberOfAccessRanges = 1;
    Data.MapBuffers = STOR_MAP_NO_BUFFERS;
    Data.NeedPhysicalAddresses = TRUE;
    Data.TaggedQueuing = TRUE;
    Data.AutoRequestSense = TRUE;
    Data.MultipleRequestPerLu = TRUE;
    return (NTSTATUS)StorPortInitialize(Driver, Path, &Data, NULL);
}

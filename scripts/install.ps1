#Requires -Version 5.1
#Requires -RunAsAdministrator
<#
.SYNOPSIS
Installs the Ferrostor driver on one NVMe controller of a test machine.

.DESCRIPTION
Checks the package, refuses the controller that Windows runs from, trusts the package's test certificate, puts the package into the
driver store and chooses it for one device instance. Other NVMe controllers keep the driver that they have. remove.ps1 goes back.

.PARAMETER InstanceId
The device instance, as `Get-PnpDevice -Class SCSIAdapter` or the Device Manager shows it: PCI\VEN_...

.PARAMETER Package
The folder of the package. By default the one that this script is in.

.EXAMPLE
.\install.ps1 -InstanceId 'PCI\VEN_1B36&DEV_0010&SUBSYS_11001AF4&REV_02\3&11583659&0&20'
#>
[CmdletBinding(SupportsShouldProcess, ConfirmImpact = 'High')]
param(
    [Parameter(Mandatory)]
    [string] $InstanceId,

    [string] $Package = $PSScriptRoot
)

Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'

# What setupapi and newdev offer for one device. pnputil knows only all devices of an id at once.
Add-Type -TypeDefinition @'
using System;
using System.ComponentModel;
using System.Runtime.InteropServices;
using System.Text;

public static class FerrostorSetup
{
    const uint SPOST_PATH = 1;
    const uint SPDIT_COMPATDRIVER = 2;
    const uint DI_ENUMSINGLEINF = 0x00010000;
    const uint DI_FLAGSEX_ALLOWEXCLUDEDDRVS = 0x00000800;

    [StructLayout(LayoutKind.Sequential)]
    struct DeviceInfo
    {
        public uint Size;
        public Guid Class;
        public uint Instance;
        public UIntPtr Reserved;
    }

    [StructLayout(LayoutKind.Sequential, CharSet = CharSet.Unicode)]
    struct InstallParameters
    {
        public uint Size;
        public uint Flags;
        public uint FlagsEx;
        public IntPtr Parent;
        public IntPtr Handler;
        public IntPtr Context;
        public IntPtr Queue;
        public UIntPtr ClassReserved;
        public uint Reserved;
        [MarshalAs(UnmanagedType.ByValTStr, SizeConst = 260)] public string DriverPath;
    }

    [StructLayout(LayoutKind.Sequential, CharSet = CharSet.Unicode)]
    struct DriverInfo
    {
        public uint Size;
        public uint Kind;
        public UIntPtr Reserved;
        [MarshalAs(UnmanagedType.ByValTStr, SizeConst = 256)] public string Description;
        [MarshalAs(UnmanagedType.ByValTStr, SizeConst = 256)] public string Manufacturer;
        [MarshalAs(UnmanagedType.ByValTStr, SizeConst = 256)] public string Provider;
        public uint DateLow;
        public uint DateHigh;
        public ulong Version;
    }

    [DllImport("setupapi.dll", CharSet = CharSet.Unicode, SetLastError = true)]
    static extern bool SetupCopyOEMInfW(string inf, string folder, uint kind, uint style, StringBuilder place, uint units,
        IntPtr needed, IntPtr name);
    [DllImport("setupapi.dll", SetLastError = true)]
    static extern IntPtr SetupDiCreateDeviceInfoList(IntPtr kind, IntPtr parent);
    [DllImport("setupapi.dll", SetLastError = true)]
    static extern bool SetupDiDestroyDeviceInfoList(IntPtr set);
    [DllImport("setupapi.dll", CharSet = CharSet.Unicode, SetLastError = true)]
    static extern bool SetupDiOpenDeviceInfoW(IntPtr set, string id, IntPtr parent, uint flags, ref DeviceInfo device);
    [DllImport("setupapi.dll", SetLastError = true)]
    static extern bool SetupDiGetDeviceInstallParamsW(IntPtr set, ref DeviceInfo device, ref InstallParameters parameters);
    [DllImport("setupapi.dll", SetLastError = true)]
    static extern bool SetupDiSetDeviceInstallParamsW(IntPtr set, ref DeviceInfo device, ref InstallParameters parameters);
    [DllImport("setupapi.dll", SetLastError = true)]
    static extern bool SetupDiBuildDriverInfoList(IntPtr set, ref DeviceInfo device, uint kind);
    [DllImport("setupapi.dll", SetLastError = true)]
    static extern bool SetupDiEnumDriverInfoW(IntPtr set, ref DeviceInfo device, uint kind, uint index, ref DriverInfo driver);
    [DllImport("newdev.dll", SetLastError = true)]
    static extern bool DiInstallDevice(IntPtr parent, IntPtr set, ref DeviceInfo device, ref DriverInfo driver, uint flags,
        out bool reboot);

    static void Check(bool done, string what)
    {
        if (!done)
        {
            int error = Marshal.GetLastWin32Error();
            throw new Win32Exception(error, what + ": " + new Win32Exception(error).Message);
        }
    }

    /// Puts a package into the driver store; returns the path of the INF under the name that it has there.
    public static string Stage(string inf)
    {
        var place = new StringBuilder(260);
        bool done = SetupCopyOEMInfW(inf, null, SPOST_PATH, 0, place, 260, IntPtr.Zero, IntPtr.Zero);
        Check(done, "the driver store refuses the package");
        return place.ToString();
    }

    /// Chooses the driver of one INF for one device, whatever its rank. Returns whether the machine has to be restarted.
    public static bool Install(string instance, string inf)
    {
        IntPtr set = SetupDiCreateDeviceInfoList(IntPtr.Zero, IntPtr.Zero);
        Check(set != new IntPtr(-1), "no list of devices");
        try
        {
            var device = new DeviceInfo { Size = (uint)Marshal.SizeOf(typeof(DeviceInfo)) };
            Check(SetupDiOpenDeviceInfoW(set, instance, IntPtr.Zero, 0, ref device), "the device cannot be opened");
            var parameters = new InstallParameters { Size = (uint)Marshal.SizeOf(typeof(InstallParameters)) };
            Check(SetupDiGetDeviceInstallParamsW(set, ref device, ref parameters), "no installation parameters");
            parameters.Flags |= DI_ENUMSINGLEINF;
            parameters.FlagsEx |= DI_FLAGSEX_ALLOWEXCLUDEDDRVS;
            parameters.DriverPath = inf;
            Check(SetupDiSetDeviceInstallParamsW(set, ref device, ref parameters), "the INF cannot be named");
            Check(SetupDiBuildDriverInfoList(set, ref device, SPDIT_COMPATDRIVER), "the INF cannot be searched");
            var driver = new DriverInfo { Size = (uint)Marshal.SizeOf(typeof(DriverInfo)) };
            Check(SetupDiEnumDriverInfoW(set, ref device, SPDIT_COMPATDRIVER, 0, ref driver), "the INF is not for this device");
            bool reboot;
            Check(DiInstallDevice(IntPtr.Zero, set, ref device, ref driver, 0, out reboot), "the driver cannot be installed");
            return reboot;
        }
        finally
        {
            SetupDiDestroyDeviceInfoList(set);
        }
    }
}
'@

function Get-DeviceValue([string] $Id, [string] $Key) {
    Get-PnpDeviceProperty -InstanceId $Id -KeyName $Key -ErrorAction SilentlyContinue | ForEach-Object { $_.Data }
}

# The device and everything that it hangs on, up to the root.
function Get-Ancestry([string] $Id) {
    while ($Id) {
        $Id
        $Id = Get-DeviceValue $Id 'DEVPKEY_Device_Parent'
    }
}

# The numbers of the disks that Windows runs from: boot, system, page files.
function Get-DiskInUse {
    Get-Disk | Where-Object { $_.IsBoot -or $_.IsSystem } | ForEach-Object { $_.Number }
    Get-CimInstance Win32_PageFileUsage | ForEach-Object {
        Get-Partition -DriveLetter $_.Name.Substring(0, 1) -ErrorAction SilentlyContinue | ForEach-Object { $_.DiskNumber }
    }
}

function Assert-Package {
    $manifest = Get-Content -Raw -LiteralPath (Join-Path $Package 'manifest.json') | ConvertFrom-Json
    foreach ($file in $manifest.files) {
        $hash = (Get-FileHash -Algorithm SHA256 -LiteralPath (Join-Path $Package $file.name)).Hash
        if ($hash -ne $file.sha256) {
            throw "$($file.name) was changed: it is not the file of the manifest."
        }
    }
}

function Assert-System {
    if (-not [Environment]::Is64BitProcess) {
        throw 'Run this in a 64-bit PowerShell.'
    }
    if ([Environment]::OSVersion.Version.Build -lt 19041) {
        throw 'The driver needs Windows 10 version 2004, Windows Server 2022, or later.'
    }
    $control = Get-ItemProperty 'HKLM:\SYSTEM\CurrentControlSet\Control'
    if ($control.SystemStartOptions -notmatch 'TESTSIGNING') {
        throw 'Windows does not load test-signed drivers now. Turn Secure Boot off, run "bcdedit /set testsigning on", and restart.'
    }
}

function Assert-Device {
    $ids = @(Get-DeviceValue $InstanceId 'DEVPKEY_Device_CompatibleIds')
    if ($ids -notcontains 'PCI\CC_010802') {
        throw "$InstanceId is not there, or is no NVMe controller."
    }
    foreach ($number in @(Get-DiskInUse | Sort-Object -Unique)) {
        $disk = Get-CimInstance Win32_DiskDrive -Filter "Index = $number"
        if (-not $disk) {
            throw "Windows runs from disk $number, whose controller cannot be told (a storage space?). Nothing is changed."
        }
        if (@(Get-Ancestry $disk.PNPDeviceID) -contains $InstanceId) {
            throw "Windows runs from disk $number on this controller. The driver is not for boot disks. Nothing is changed."
        }
    }
}

$Package = (Resolve-Path -LiteralPath $Package).ProviderPath
$device = Get-PnpDevice -InstanceId $InstanceId -ErrorAction SilentlyContinue
if ($device) {
    # As Windows writes it, which is what parents are compared with.
    $InstanceId = $device.InstanceId
}
Assert-Package
Assert-System
Assert-Device

if (-not $PSCmdlet.ShouldProcess($InstanceId, 'trust the test certificate and install the Ferrostor driver')) {
    return
}
$certificate = Join-Path $Package 'ferrostor.cer'
foreach ($store in 'Root', 'TrustedPublisher') {
    Import-Certificate -FilePath $certificate -CertStoreLocation "Cert:\LocalMachine\$store" | Out-Null
}
$inf = [FerrostorSetup]::Stage((Join-Path $Package 'ferrostor.inf'))
$restart = [FerrostorSetup]::Install($InstanceId, $inf)

$service = Get-DeviceValue $InstanceId 'DEVPKEY_Device_Service'
if ($service -ne 'ferrostor') {
    throw "The device is driven by '$service' still. See $env:SystemRoot\INF\setupapi.dev.log."
}
"$InstanceId is driven by Ferrostor ($(Split-Path -Leaf $inf))."
if ($restart) {
    'Restart the machine to finish.'
}

#Requires -Version 5.1
#Requires -RunAsAdministrator
<#
.SYNOPSIS
Installs the Ferrostor driver on one NVMe controller of a test machine.

.DESCRIPTION
Checks the package and who has signed it, refuses the controller that Windows runs from, trusts the package's test certificate, puts
the package into the driver store and chooses it for one device instance. Other NVMe controllers keep the driver that they have. What
was done is taken back when a later step fails. remove.ps1 goes back.

.PARAMETER InstanceId
The device instance, as `Get-PnpDevice -Class SCSIAdapter` or the Device Manager shows it: PCI\VEN_...

.PARAMETER Thumbprint
The thumbprint of the certificate that the package must be signed with, as its builder has told it. Without it the thumbprint is
shown before the certificate is trusted, to be compared; a package that was changed and signed anew differs in nothing else.

.PARAMETER Package
The folder of the package. By default the one that this script is in.

.EXAMPLE
.\install.ps1 -Thumbprint 1E7F... -InstanceId 'PCI\VEN_1B36&DEV_0010&SUBSYS_11001AF4&REV_02\3&11583659&0&20'
#>
[CmdletBinding(SupportsShouldProcess, ConfirmImpact = 'High')]
param(
    [Parameter(Mandatory)]
    [string] $InstanceId,

    [string] $Thumbprint,

    [string] $Package = $PSScriptRoot
)

Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'

$Stores = 'Root', 'TrustedPublisher'
# The certificates that were trusted for this driver: store and thumbprint are the names of the values.
$Trusted = 'HKLM:\SOFTWARE\Ferrostor\TrustedCertificates'
$added = @()

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
    $found = (Get-PackageCertificate).Thumbprint
    if ($found -ne $manifest.certificate_thumbprint) {
        throw "The certificate $found is not the one of the manifest."
    }
    $wanted = $Thumbprint -replace '[ :]'
    if ($wanted -and $found -ne $wanted) {
        throw "The package is signed with the certificate $found, not with $wanted. Nothing is changed."
    }
    if (-not $wanted -and $ConfirmPreference -eq 'None') {
        throw "Without a question, -Thumbprint has to say whose package this is. It is signed with $found. Nothing is changed."
    }
    foreach ($name in 'ferrostor.sys', 'ferrostor.cat') {
        $signature = Get-AuthenticodeSignature -LiteralPath (Join-Path $Package $name)
        # Before the certificate is trusted, a signature that holds is NotTrusted or UnknownError.
        if ($signature.Status -in 'NotSigned', 'HashMismatch' -or $signature.SignerCertificate.Thumbprint -ne $found) {
            throw "$name is not signed with the certificate of the package: $($signature.StatusMessage)"
        }
    }
}

function Get-PackageCertificate {
    [Security.Cryptography.X509Certificates.X509Certificate2]::new((Join-Path $Package 'ferrostor.cer'))
}

# Trusts the certificate of the package in the stores where it is not trusted yet, and notes that, so that remove.ps1 knows of it.
function Add-Trust {
    $certificate = Get-PackageCertificate
    foreach ($store in $Stores) {
        $place = "Cert:\LocalMachine\$store"
        if (Test-Path -LiteralPath "$place\$($certificate.Thumbprint)") {
            continue
        }
        if (-not (Test-Path -LiteralPath $Trusted)) {
            New-Item -Path $Trusted -Force | Out-Null
        }
        # First the note: whatever happens then, remove.ps1 finds the certificate.
        New-ItemProperty -Path $Trusted -Name "$store\$($certificate.Thumbprint)" -Value $certificate.Subject -Force | Out-Null
        $script:added += "$store\$($certificate.Thumbprint)"
        Import-Certificate -FilePath (Join-Path $Package 'ferrostor.cer') -CertStoreLocation $place | Out-Null
    }
}

# Takes back what this run has added: certificates and the package in the driver store.
function Undo-Installation([string[]] $Before) {
    $staged = @(Get-OwnPackage | Where-Object { $_ -notin $Before })
    foreach ($name in $staged) {
        & pnputil.exe /delete-driver $name /uninstall | Out-Null
        if ($LASTEXITCODE -notin 0, 3010) {
            Write-Warning "$name stays in the driver store: pnputil failed with $LASTEXITCODE. remove.ps1 tries again."
        }
    }
    foreach ($name in $script:added) {
        Remove-Item -LiteralPath "Cert:\LocalMachine\$name" -ErrorAction SilentlyContinue
        if (-not (Test-Path -LiteralPath "Cert:\LocalMachine\$name")) {
            Remove-ItemProperty -LiteralPath $Trusted -Name $name
        }
    }
}

# The names that the driver store has for packages of this driver.
function Get-OwnPackage {
    Get-WindowsDriver -Online | Where-Object { (Split-Path -Leaf $_.OriginalFileName) -eq 'ferrostor.inf' } |
        ForEach-Object { $_.Driver }
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

$action = "trust the test certificate $((Get-PackageCertificate).Thumbprint) and install the Ferrostor driver"
if (-not $PSCmdlet.ShouldProcess($InstanceId, $action)) {
    return
}
$before = @(Get-OwnPackage)
try {
    Add-Trust
    $inf = [FerrostorSetup]::Stage((Join-Path $Package 'ferrostor.inf'))
    $restart = [FerrostorSetup]::Install($InstanceId, $inf)
    $service = Get-DeviceValue $InstanceId 'DEVPKEY_Device_Service'
    if ($service -ne 'ferrostor') {
        throw "The device is driven by '$service' still. See $env:SystemRoot\INF\setupapi.dev.log."
    }
} catch {
    Undo-Installation $before
    throw
}
"$InstanceId is driven by Ferrostor ($(Split-Path -Leaf $inf))."
if ($restart) {
    'Restart the machine to finish.'
}

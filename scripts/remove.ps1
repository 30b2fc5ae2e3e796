#Requires -Version 5.1
#Requires -RunAsAdministrator
<#
.SYNOPSIS
Removes the Ferrostor driver and goes back to the driver of Windows.

.DESCRIPTION
Takes every version of the package out of the driver store, which gives its devices back to the inbox driver, and no longer trusts
any test certificate that install.ps1 has trusted, of this package or of an earlier one.

.PARAMETER KeepCertificate
Leaves the test certificates trusted, for a package that will be installed next.
#>
[CmdletBinding(SupportsShouldProcess, ConfirmImpact = 'High')]
param(
    [switch] $KeepCertificate
)

Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'

# Where install.ps1 notes the certificates that it trusts: store and thumbprint are the names of the values.
$Trusted = 'HKLM:\SOFTWARE\Ferrostor\TrustedCertificates'

function Get-OwnDevice {
    Get-CimInstance Win32_PnPEntity -Filter "Service = 'ferrostor'"
}

# What install.ps1 has noted, the certificate of this package, and those that older versions of install.ps1 trusted without a note.
function Get-TrustedCertificate {
    if (Test-Path -LiteralPath $Trusted) {
        (Get-Item -LiteralPath $Trusted).GetValueNames()
    }
    $manifest = Get-Content -Raw -LiteralPath (Join-Path $PSScriptRoot 'manifest.json') | ConvertFrom-Json
    foreach ($store in 'Root', 'TrustedPublisher') {
        "$store\$($manifest.certificate_thumbprint)"
        Get-ChildItem "Cert:\LocalMachine\$store" | Where-Object { $_.Subject -eq 'CN=Ferrostor test signing' } |
            ForEach-Object { "$store\$($_.Thumbprint)" }
    }
}

$drivers = @(Get-WindowsDriver -Online | Where-Object { (Split-Path -Leaf $_.OriginalFileName) -eq 'ferrostor.inf' })
if (-not $drivers) {
    'The driver is not installed.'
}
$restart = $false
foreach ($driver in $drivers) {
    $name = "$($driver.Driver) (version $($driver.Version))"
    if ($PSCmdlet.ShouldProcess($name, 'remove from the driver store and from its devices')) {
        & pnputil.exe /delete-driver $driver.Driver /uninstall
        # 3010: done, but for a restart.
        if ($LASTEXITCODE -eq 3010) {
            $restart = $true
        } elseif ($LASTEXITCODE -ne 0) {
            throw "pnputil failed with $LASTEXITCODE. Nothing may be using the disk: close its volumes, or restart, and try again."
        }
    }
}
if (-not $WhatIfPreference) {
    & pnputil.exe /scan-devices | Out-Null
}

if (-not $KeepCertificate) {
    foreach ($name in @(Get-TrustedCertificate | Sort-Object -Unique)) {
        $path = "Cert:\LocalMachine\$name"
        if ((Test-Path -LiteralPath $path) -and $PSCmdlet.ShouldProcess($path, 'no longer trust')) {
            Remove-Item -LiteralPath $path
        }
    }
    # The notes go when nothing that they name is trusted any more.
    $left = @(Get-TrustedCertificate | Where-Object { Test-Path -LiteralPath "Cert:\LocalMachine\$_" })
    if (-not $left -and -not $WhatIfPreference -and (Test-Path -LiteralPath $Trusted)) {
        Remove-Item -LiteralPath (Split-Path $Trusted) -Recurse
    }
}

foreach ($device in @(Get-OwnDevice)) {
    "$($device.PNPDeviceID) is driven by Ferrostor until the machine is restarted."
    $restart = $true
}
if ($restart) {
    'Restart the machine to finish.'
}

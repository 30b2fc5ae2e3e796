#Requires -Version 5.1
#Requires -RunAsAdministrator
<#
.SYNOPSIS
Removes the Ferrostor driver and goes back to the driver of Windows.

.DESCRIPTION
Takes every version of the package out of the driver store, which gives its devices back to the inbox driver, and no longer trusts
the package's test certificate.

.PARAMETER KeepCertificate
Leaves the test certificate trusted, for a package that will be installed next.
#>
[CmdletBinding(SupportsShouldProcess, ConfirmImpact = 'High')]
param(
    [switch] $KeepCertificate
)

Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'

function Get-OwnDevice {
    Get-CimInstance Win32_PnPEntity -Filter "Service = 'ferrostor'"
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
    $manifest = Get-Content -Raw -LiteralPath (Join-Path $PSScriptRoot 'manifest.json') | ConvertFrom-Json
    foreach ($store in 'Root', 'TrustedPublisher') {
        $path = "Cert:\LocalMachine\$store\$($manifest.certificate_thumbprint)"
        if ((Test-Path $path) -and $PSCmdlet.ShouldProcess($path, 'no longer trust')) {
            Remove-Item -LiteralPath $path
        }
    }
}

foreach ($device in @(Get-OwnDevice)) {
    "$($device.PNPDeviceID) is driven by Ferrostor until the machine is restarted."
    $restart = $true
}
if ($restart) {
    'Restart the machine to finish.'
}

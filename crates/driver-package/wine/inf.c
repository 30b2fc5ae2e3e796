/*
 * What Wine's setup functions make of an INF, which the variable INF names as a Windows path: is it one, what class does it
 * install, by which section, and does its model carry the id of NVMe controllers?
 *
 * When Wine lists drivers for a device, it knows no models for a version of Windows. The list is made when MATCH is set, for an INF
 * whose models were changed to be for any.
 */
#include <stdio.h>
#include <windows.h>
#include <cfgmgr32.h>
#include <setupapi.h>

static const WCHAR models[] = L"Models.NTamd64.10.0...19041";
static const WCHAR models_of_any_version[] = L"Models.NTamd64";
static const WCHAR nvme[] = L"PCI\\CC_010802";

static int failed(const char *what)
{
    printf("%s: error %#lx\n", what, GetLastError());
    return 1;
}

static int find_id(HINF inf)
{
    INFCONTEXT line;
    WCHAR id[MAX_DEVICE_ID_LEN];
    DWORD field;

    if (!SetupFindFirstLineW(inf, models, NULL, &line) && !SetupFindFirstLineW(inf, models_of_any_version, NULL, &line))
        return failed("the models' section");
    for (field = 2; field <= SetupGetFieldCount(&line); field++)
        if (SetupGetStringFieldW(&line, field, id, MAX_DEVICE_ID_LEN, NULL) && !lstrcmpiW(id, nvme)) {
            printf("id      %ls in field %lu\n", id, field);
            return 0;
        }
    return failed("no model has the id of NVMe controllers");
}

static int match(const WCHAR *path, const GUID *class)
{
    /* A list of ids ends in an empty one. */
    static const WCHAR ids[] = L"PCI\\VEN_1B36&DEV_0010\0";
    static const WCHAR compatible_ids[] = L"PCI\\CC_010802\0";
    SP_DEVINFO_DATA device = { sizeof(device) };
    SP_DEVINSTALL_PARAMS_W parameters = { sizeof(parameters) };
    SP_DRVINFO_DATA_W driver = { sizeof(driver) };
    HDEVINFO set = SetupDiCreateDeviceInfoList(class, NULL);

    if (!SetupDiCreateDeviceInfoW(set, L"Ferrostor", class, NULL, NULL, DICD_GENERATE_ID, &device)
        || !SetupDiSetDeviceRegistryPropertyW(set, &device, SPDRP_HARDWAREID, (const BYTE *)ids, sizeof(ids))
        || !SetupDiSetDeviceRegistryPropertyW(set, &device, SPDRP_COMPATIBLEIDS, (const BYTE *)compatible_ids,
                                              sizeof(compatible_ids))
        || !SetupDiGetDeviceInstallParamsW(set, &device, &parameters))
        return failed("no device to match");
    parameters.Flags |= DI_ENUMSINGLEINF;
    lstrcpyW(parameters.DriverPath, path);
    if (!SetupDiSetDeviceInstallParamsW(set, &device, &parameters)
        || !SetupDiBuildDriverInfoList(set, &device, SPDIT_COMPATDRIVER)
        || !SetupDiEnumDriverInfoW(set, &device, SPDIT_COMPATDRIVER, 0, &driver))
        return failed("no driver for an NVMe controller");
    printf("driver  %ls of %ls\n", driver.Description, driver.ProviderName);
    return 0;
}

int main(void)
{
    WCHAR path[MAX_PATH], name[64], section[256], flag[2];
    GUID class;
    UINT line = 0;
    HINF inf;

    if (!GetEnvironmentVariableW(L"INF", path, MAX_PATH))
        return failed("the variable INF");
    inf = SetupOpenInfFileW(path, NULL, INF_STYLE_WIN4, &line);
    if (inf == INVALID_HANDLE_VALUE) {
        printf("line %u: ", line);
        return failed("no INF");
    }
    if (!SetupDiGetINFClassW(path, &class, name, 64, NULL))
        return failed("no class");
    printf("class   %ls\n", name);
    if (!SetupDiGetActualSectionToInstallW(inf, L"Install", section, 256, NULL, NULL))
        return failed("no section to install");
    printf("section %ls\n", section);
    if (find_id(inf))
        return 1;
    return GetEnvironmentVariableW(L"MATCH", flag, 2) ? match(path, &class) : 0;
}

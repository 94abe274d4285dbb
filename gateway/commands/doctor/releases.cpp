#include "commands/doctor/releases.h"

#include <array>

namespace odoo_bus::doctor {

namespace {

// The first minor release of each major version that has the fix, as server_version_num.
struct Fix {
    const char* what;
    std::array<int64_t, 5> since; // 0: unused
};

constexpr Fix FIXES[] = {
    // The owner of a schema becomes superuser by installing an extension there.
    {"the fix of CVE-2023-39417 (13.12, 14.9, 15.4)", {130'012, 140'009, 150'004}},
    // Committed on 12 November 2025, after the releases of that month were made. 13 had its last release
    // then.
    {"the fix of LISTEN after VACUUM has truncated pg_xact (14.21, 15.16, 16.12, 17.8, 18.2)",
     {140'021, 150'016, 160'012, 170'008, 180'002}},
};

constexpr int64_t major(int64_t version) {
    return version / 10'000;
}

} // namespace

std::string missing_fixes(int64_t version) {
    std::string missing;
    for (const Fix& fix : FIXES)
        for (const int64_t since : fix.since)
            if (major(version) == major(since) && version < since)
                missing += (missing.empty() ? "" : ", ") + std::string(fix.what);
    return missing;
}

} // namespace odoo_bus::doctor

// doctor: which minor releases lack a fix.
#include "commands/doctor/releases.h"

#include <gtest/gtest.h>

namespace odoo_bus::doctor {

namespace {

bool lacks(int64_t version, const char* fix) {
    return missing_fixes(version).find(fix) != std::string::npos;
}

TEST(Releases, TheFirstMinorReleaseOfEachMajorVersionHasTheFix) {
    for (const int64_t first : {130'012, 140'009, 150'004}) {
        EXPECT_TRUE(lacks(first - 1, "CVE-2023-39417")) << first;
        EXPECT_FALSE(lacks(first, "CVE-2023-39417")) << first;
    }
    for (const int64_t first : {140'021, 150'016, 160'012, 170'008, 180'002}) {
        EXPECT_TRUE(lacks(first - 1, "LISTEN")) << first;
        EXPECT_EQ(missing_fixes(first), "");
    }
}

TEST(Releases, VersionsThatNeverHadTheFaultOrHaveNoSuchReleaseAreNotNamed) {
    EXPECT_FALSE(lacks(160'000, "CVE-2023-39417"));
    EXPECT_EQ(missing_fixes(130'023), "");
    EXPECT_EQ(missing_fixes(190'000), "");
}

TEST(Releases, ARecentReleaseThatLacksBothNamesBoth) {
    EXPECT_TRUE(lacks(150'003, "CVE-2023-39417"));
    EXPECT_TRUE(lacks(150'003, "LISTEN"));
}

} // namespace

} // namespace odoo_bus::doctor

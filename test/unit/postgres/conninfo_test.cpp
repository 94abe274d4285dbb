// Connection strings: the database that one names, also by a service; the file with its password.
#include "postgres/conninfo.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

namespace odoo_bus {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

class ConninfoTest : public testing::Test {
protected:
    ConninfoTest() {
        std::string name = std::filesystem::temp_directory_path() / "odoo_bus_conninfo_XXXXXX";
        directory_ = mkdtemp(name.data());
        std::ofstream(directory_ / "services")
            << "[shop]\nhost=db.example\nport=6432\ndbname=shop_db\nuser=reader\npassword=hunter2\n"
               "[two]\nhost=a,b\nport=1,2\ndbname=two_db\n[bare]\nhost=db.example\nuser=reader\n";
        setenv("PGSERVICEFILE", (directory_ / "services").c_str(), 1);
    }
    ~ConninfoTest() override {
        unsetenv("PGSERVICEFILE");
        std::filesystem::remove_all(directory_);
    }
    std::string database(const std::string& conninfo) {
        error_.clear();
        return database_of(conninfo, error_);
    }

    std::filesystem::path directory_;
    std::string error_;
};

TEST_F(ConninfoTest, TheDatabaseThatAServiceNames) {
    EXPECT_EQ(database("service=shop"), "shop_db");
    EXPECT_EQ(database("postgresql:///?service=shop"), "shop_db");
    EXPECT_EQ(database("service=two"), "two_db");
    EXPECT_EQ(database("service=two host=c,d,e hostaddr=127.0.0.1,127.0.0.2,127.0.0.3 port=7"), "two_db");
    EXPECT_EQ(database("service=shop dbname=other"), "other") << "what the string says counts";
    EXPECT_EQ(database("service=bare"), "reader") << "libpq takes the user's name";
    EXPECT_EQ(database("service=none"), "");
    EXPECT_THAT(error_, HasSubstr("\"none\" not found"));
    EXPECT_EQ(database("dbname=plain"), "plain");
}

TEST_F(ConninfoTest, AnotherDatabaseOfTheSameService) {
    const std::string other = with_database("service=shop", "postgres");
    EXPECT_EQ(database(other), "postgres");
    EXPECT_THAT(other, HasSubstr("service='shop'"));
    EXPECT_THAT(with_database("passfile=/x dbname=a", "b"), HasSubstr("passfile='/x'"));
}

TEST_F(ConninfoTest, LibpqIgnoresAPassfileThatOthersCanRead) {
    const std::string path = directory_ / "pass";
    EXPECT_THAT(judge_passfile("passfile=" + path), HasSubstr("No such file"));
    std::ofstream(path) << "*:*:*:*:hunter2\n";
    for (const mode_t mode : {0600, 0400}) {
        chmod(path.c_str(), mode);
        EXPECT_THAT(judge_passfile("passfile=" + path), IsEmpty()) << std::oct << mode;
    }
    for (const mode_t mode : {0640, 0604, 0660, 0644}) {
        chmod(path.c_str(), mode);
        EXPECT_THAT(judge_passfile("passfile=" + path), HasSubstr("is ignored")) << std::oct << mode;
    }
    EXPECT_THAT(judge_passfile("passfile=/dev/null"), HasSubstr("not a regular file"));
    EXPECT_THAT(judge_passfile("dbname=x"), IsEmpty());
}

} // namespace
} // namespace odoo_bus

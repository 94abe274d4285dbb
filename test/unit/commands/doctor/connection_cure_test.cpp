// What mends a connection to PostgreSQL that does not come about.
#include "commands/doctor/connection_cure.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace odoo_bus::doctor {

namespace {

using testing::HasSubstr;

TEST(ConnectionCure, GoesByTheSqlstateWhateverLanguageTheServerSpeaks) {
    const auto cure = [](std::string_view state, bool over_socket = false) {
        return connection_cure("connection to server at \"127.0.0.1\", port 5432 failed: FATAL:  " +
                                   std::string(state) + ": etwas auf Deutsch\n",
                               over_socket);
    };
    EXPECT_THAT(cure("28P01"), HasSubstr("correct the password"));
    EXPECT_THAT(cure("3D000"), HasSubstr("correct dbname="));
    EXPECT_THAT(cure("42501"), HasSubstr("GRANT CONNECT"));
    EXPECT_THAT(cure("53300"), HasSubstr("max_connections"));
    EXPECT_THAT(cure("57P03"), HasSubstr("wait until PostgreSQL has started"));
    EXPECT_THAT(cure("28000"), HasSubstr("pg_reload_conf()"));
    EXPECT_THAT(cure("28000", true), HasSubstr("peer"));
    EXPECT_THAT(cure("XX000"), HasSubstr("see the server's log"));
}

TEST(ConnectionCure, GoesByWhatTheSystemSaysWhereNoServerAnswers) {
    EXPECT_THAT(connection_cure("connection to server at \"10.0.0.1\", port 5432 failed: Connection refused\n"
                                "\tIs the server running on that host and accepting TCP/IP connections?\n",
                                false),
                HasSubstr("start PostgreSQL"));
    EXPECT_THAT(
        connection_cure("connection to server on socket \"/nowhere/.s.PGSQL.5432\" failed: No such file "
                        "or directory\n",
                        true),
        HasSubstr("unix_socket_directories"));
    EXPECT_THAT(
        connection_cure("could not translate host name \"db\" to address: Name or service not known", false),
        HasSubstr("getent hosts"));
    EXPECT_THAT(connection_cure("timeout expired\n", false), HasSubstr("firewall"));
    EXPECT_THAT(connection_cure("fe_sendauth: no password supplied\n", false), HasSubstr("passfile="));
    EXPECT_THAT(connection_cure("received invalid response to SSL negotiation: H\n", false),
                HasSubstr("another server listens there"));
}

TEST(ConnectionCure, WhatLibpqSaysIsOneLineWithoutPlacesInItsSource) {
    EXPECT_EQ(in_one_line("failed: FATAL:  28P01: password authentication failed for user \"x\"\n"
                          "LOCATION:  auth_failed, auth.c:323\n"
                          "\tIs the server running?\n\n"),
              "failed: FATAL:  28P01: password authentication failed for user \"x\" Is the server running?");
    EXPECT_EQ(in_one_line(""), "");
}

} // namespace

} // namespace odoo_bus::doctor

// What is known of a database, on disk and when the machine's clock is set.
#include "ledger/database_state.h"

#include <filesystem>
#include <unistd.h>

#include <gtest/gtest.h>

#include "moved_clock.h"

namespace odoo_bus {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using Knowledge = DatabaseState::Knowledge;

class DatabaseStateTest : public testing::Test {
protected:
    DatabaseStateTest() {
        std::string name = fs::temp_directory_path() / "odoo_bus_known_XXXXXX";
        directory_ = mkdtemp(name.data());
    }
    ~DatabaseStateTest() override { fs::remove_all(directory_); }

    DatabaseState make() const {
        return DatabaseState({.database = "mydb",
                              .directory = directory_,
                              .entries = 8,
                              .history = {.age = 1h, .bytes = 1 << 20}});
    }
    static BatchPtr dispatch(DatabaseState& state, Id id) {
        std::vector<Row> rows = {{.id = id,
                                  .channel = "a",
                                  .element = "{}",
                                  .fingerprint = static_cast<uint64_t>(id),
                                  .dispatched = MonotonicClock::now()}};
        state.cycle.begin();
        BatchPtr batch = state.dispatch(state.cycle.saw(std::move(rows)));
        state.cycle.rest();
        return batch;
    }

    fs::path directory_;
};

TEST_F(DatabaseStateTest, TheNextProcessFindsWhatWasDispatched) {
    {
        DatabaseState state = make();
        EXPECT_FALSE(state.open());
        state.write_checkpoint();
        dispatch(state, 1);
        dispatch(state, 3);
    }
    DatabaseState next = make();
    const auto loaded = next.open();
    ASSERT_TRUE(loaded);
    EXPECT_EQ(loaded->entries.size(), 2u);
    EXPECT_EQ(loaded->ledger.max_seen, 3);
    EXPECT_EQ(loaded->ledger.next, 3u);
    EXPECT_TRUE(loaded->ledger.gaps.contains(2));
    EXPECT_FALSE(next.open()) << "it is open";
}

TEST_F(DatabaseStateTest, AFileThatIsReopenedSaysWhatIsKnown) {
    DatabaseState state = make();
    state.open();
    state.write_checkpoint();
    dispatch(state, 1);
    state.close();
    dispatch(state, 2); // another process has followed, and the file has not
    state.reopen();
    state.write_checkpoint();
    state.close();
    const auto loaded = state.open();
    ASSERT_TRUE(loaded);
    ASSERT_EQ(loaded->entries.size(), 2u);
    EXPECT_EQ(loaded->entries.back().id, 2);
    EXPECT_EQ(loaded->ledger.next, 3u);
}

TEST_F(DatabaseStateTest, ACheckpointIsDueBeforeTheFileIsFull) {
    DatabaseState state = make();
    state.open();
    state.write_checkpoint();
    for (Id id = 1; id <= 4; ++id) {
        dispatch(state, id);
        EXPECT_FALSE(state.needs_checkpoint());
    }
    dispatch(state, 5);
    EXPECT_TRUE(state.needs_checkpoint());
    state.write_checkpoint();
    EXPECT_FALSE(state.needs_checkpoint());
}

TEST_F(DatabaseStateTest, ARowThatCannotBeDeliveredHasNoPosition) {
    DatabaseState state = make();
    EXPECT_EQ(state.dispatch({{.id = 1, .channel = "a"}}), nullptr);
    EXPECT_EQ(state.history.head(), 0u);
}

TEST_F(DatabaseStateTest, TheHistoryAgesByNoClockThatCanBeSet) {
    DatabaseState state = make();
    dispatch(state, 1);
    for (const Duration by : {Duration(2h), Duration(-1h)}) {
        MovedClock<WallClock> set(by);
        dispatch(state, state.cycle.ledger().max_seen() + 1);
        EXPECT_EQ(state.history.trim(MonotonicClock::now()), 1u);
    }
    MovedClock<MonotonicClock> later(Duration(61min));
    EXPECT_EQ(state.history.trim(MonotonicClock::now()), 4u) << "all three are too old";
}

TEST_F(DatabaseStateTest, ADateThatIsWrittenDownIsThatOfTheDispatch) {
    DatabaseState state = make();
    state.open();
    state.write_checkpoint();
    const WallTime before = WallClock::now();
    dispatch(state, 1);
    const WallTime after = WallClock::now();
    state.close();
    const auto loaded = state.open();
    ASSERT_TRUE(loaded);
    EXPECT_GE(loaded->entries.front().dispatched, before - 1ms);
    EXPECT_LE(loaded->entries.front().dispatched, after + 1ms);
}

TEST_F(DatabaseStateTest, KnowsLessWhenTheServerOrTheTableIsAnotherOne) {
    const TableIdentity table{.system_identifier = 1,
                              .postmaster_start = wall_time(2),
                              .timeline = 3,
                              .database_oid = 4,
                              .relation_oid = 5};
    const auto after = [&](TableIdentity before, Knowledge knowledge) {
        DatabaseState state = make();
        state.identity = table;
        state.knowledge = knowledge;
        state.compare_identity(before);
        return state.knowledge;
    };
    EXPECT_EQ(after(table, Knowledge::CURRENT), Knowledge::CURRENT);
    EXPECT_EQ(after(table, Knowledge::UNCOMPARED), Knowledge::UNCOMPARED) << "that is still to be done";
    EXPECT_EQ(after(table, Knowledge::OUTDATED), Knowledge::OUTDATED);
    TableIdentity restarted = table, promoted = table, restored = table;
    restarted.postmaster_start = wall_time(1);
    promoted.timeline = 2;
    restored.relation_oid = 6;
    EXPECT_EQ(after(restarted, Knowledge::CURRENT), Knowledge::UNCOMPARED);
    EXPECT_EQ(after(promoted, Knowledge::CURRENT), Knowledge::UNCOMPARED);
    EXPECT_EQ(after(restarted, Knowledge::OUTDATED), Knowledge::OUTDATED);
    EXPECT_EQ(after(restored, Knowledge::UNCOMPARED), Knowledge::OUTDATED);
}

// What the server does not tell is zero.
TEST_F(DatabaseStateTest, WhatTheServerDoesNotTellIsComparedEachTime) {
    const TableIdentity known = {.system_identifier = 7,
                                 .postmaster_start = WallTime(1s),
                                 .timeline = 1,
                                 .database_oid = 5,
                                 .relation_oid = 6};
    const auto knowledge_of = [this](TableIdentity before, TableIdentity now) {
        DatabaseState state = make();
        state.knowledge = Knowledge::CURRENT;
        state.identity = now;
        state.compare_identity(before);
        return state.knowledge;
    };
    EXPECT_EQ(knowledge_of(known, known), Knowledge::CURRENT);
    TableIdentity other = known;
    other.system_identifier = 8;
    EXPECT_EQ(knowledge_of(known, other), Knowledge::OUTDATED);
    other.system_identifier = 0;
    EXPECT_EQ(knowledge_of(known, other), Knowledge::CURRENT) << "granted since, or revoked";
    EXPECT_EQ(knowledge_of(other, known), Knowledge::CURRENT);
    other = known;
    other.timeline = 0;
    EXPECT_EQ(knowledge_of(other, other), Knowledge::UNCOMPARED);
    other = known;
    other.postmaster_start = {};
    EXPECT_EQ(knowledge_of(other, other), Knowledge::UNCOMPARED);
    other.relation_oid = 9;
    EXPECT_EQ(knowledge_of(known, other), Knowledge::OUTDATED);
}

} // namespace
} // namespace odoo_bus

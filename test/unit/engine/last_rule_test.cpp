// A `last` from another gateway: every answer, and how old a record is.
#include "engine/last_rule.h"

#include <gtest/gtest.h>

#include "chain.h"
#include "engine/edge_table.h"
#include "engine/timing.h"

namespace odoo_bus {
namespace {

using namespace std::chrono_literals;
using enum LastDecision;

const Monotonic START{1h};

class EngineLast : public testing::Test {
protected:
    EngineLast() {
        for (Id id = 1; id <= 8; ++id) // 5-1 to 5-8
            edge.apply(chain.publish({id}), START);
        edge.apply(chain.barrier(6), START); // 6-9
        edge.apply(chain.publish({9}), START);
        head = edge.applied();
    }
    LastDecision judge(EntryId published) const {
        return judge_last(edge, {.published = published,
                                 .head = head,
                                 .former = &former,
                                 .is_former_fresh = is_fresh,
                                 .is_former_gone = is_gone,
                                 .waited = waited});
    }

    Chain chain{EntryId{5, 0}};
    Edge edge{{.age = 600s, .bytes = 1 << 20}};
    EdgeRecord former{.applied = {5, 6}};
    std::optional<EntryId> head;
    bool is_fresh = true, is_gone = false;
    Duration waited = {};
};

TEST_F(EngineLast, WhatTheOtherOneHasAppliedIsExactAlsoWhenItIsGone) {
    is_fresh = false;
    is_gone = true;
    EXPECT_EQ(judge({5, 6}), EXACT);
    EXPECT_EQ(judge({5, 7}), OVERLAP);
    former.applied = {6, 9};
    EXPECT_EQ(judge({5, 7}), EXACT) << "in an earlier epoch of the same chain";
}

TEST_F(EngineLast, WhatItHasNotToldYetIsExactInTheEpochThatItFollows) {
    EXPECT_EQ(judge({5, 7}), EXACT);
    EXPECT_EQ(judge({6, 10}), WAIT) << "it may have an end of 5 that was lost";
    waited = timing::CONFIRM;
    EXPECT_EQ(judge({6, 10}), OVERLAP);
    waited = {};
    former.applied = {6, 10};
    EXPECT_EQ(judge({6, 10}), EXACT);
}

TEST_F(EngineLast, WhatItHasNotToldYetIsNotExactWhereTheStreamHasLostIt) {
    head = {5, 6};
    EXPECT_EQ(judge({5, 7}), WAIT) << "it may have gone on after 5-6 in an epoch of its own";
    head = {7, 11};
    EXPECT_EQ(judge({5, 7}), WAIT) << "as this gateway learns when it reads on";
    head.reset();
    EXPECT_EQ(judge({5, 7}), WAIT) << "the head is asked";
    head = {5, 7};
    EXPECT_EQ(judge({5, 7}), EXACT);
}

TEST_F(EngineLast, WhoCannotBeSeenToFollowIsNotTrusted) {
    is_fresh = false;
    EXPECT_EQ(judge({5, 7}), WAIT) << "for its record";
    is_gone = true;
    EXPECT_EQ(judge({5, 7}), OVERLAP);
}

TEST_F(EngineLast, ADeviationOfTheOtherOneIsNotExact) {
    former.deviation = {.from = {5, 2}, .until = {5, 4}};
    EXPECT_EQ(judge({5, 2}), EXACT);
    EXPECT_EQ(judge({5, 3}), OVERLAP);
    EXPECT_EQ(judge({5, 4}), OVERLAP);
    EXPECT_EQ(judge({5, 5}), EXACT);
    former.deviation.is_open = true;
    EXPECT_EQ(judge({5, 5}), OVERLAP);
}

TEST_F(EngineLast, WhoHasBegunAnOrderOfItsOwnIsNotTrustedWithMoreThanItsRecord) {
    former.deviation = {.from = {5, 7}, .until = {}, .is_open = true};
    EXPECT_EQ(judge({5, 6}), EXACT);
    EXPECT_NE(judge({5, 7}), EXACT);
}

TEST_F(EngineLast, ADeviationHereIsNotExact) {
    Edge deviated({.age = 600s, .bytes = 1 << 20});
    Chain entries({5, 0});
    deviated.apply(entries.publish({1}), START);
    deviated.go_local(START);
    deviated.give(CHAIN_DATABASE, *chain_batch({3}));
    deviated.merge();
    deviated.apply(entries.publish({2}), START);
    const auto judge_here = [&](EntryId published) {
        return judge_last(deviated, {.published = published,
                                     .head = deviated.applied(),
                                     .former = &former,
                                     .is_former_fresh = true,
                                     .is_former_gone = false,
                                     .waited = {}});
    };
    EXPECT_EQ(judge_here({5, 1}), EXACT);
    EXPECT_EQ(judge_here({5, 2}), OVERLAP);
}

TEST_F(EngineLast, WhatCameFromTheTableThereIsNotExact) {
    former.oldest = {5, 3};
    EXPECT_EQ(judge({5, 3}), OVERLAP);
    EXPECT_EQ(judge({5, 4}), EXACT);
}

TEST_F(EngineLast, AnotherChainIsNotExact) {
    former.applied = {5, 99}; // an end of 5 that Redis has lost
    EXPECT_EQ(judge({5, 8}), EXACT) << "within an epoch there is one chain";
    former.applied = {5, 9};
    EXPECT_EQ(judge({6, 10}), WAIT);
    former.applied = {6, 8}; // an epoch that this gateway's chain does not have
    EXPECT_EQ(judge({5, 8}), OVERLAP);
    former.applied = {7, 11}; // one that it may still get
    EXPECT_EQ(judge({5, 8}), WAIT);
}

TEST_F(EngineLast, WhatIsNotKnownIsWaitedForUpToTheHead) {
    LastQuestion question{.former = &former, .is_former_gone = false};
    EXPECT_EQ(judge_last(edge, question), WAIT) << "the head is asked";
    question.head = EntryId{6, 12};
    EXPECT_EQ(judge_last(edge, question), WAIT) << "it may be among these";
    question.head = edge.applied();
    EXPECT_EQ(judge_last(edge, question), OVERLAP);
    question.head = EntryId{6, 12};
    question.waited = timing::CONFIRM;
    EXPECT_EQ(judge_last(edge, question), OVERLAP);
    question.waited = {};
    edge.go_local(START);
    EXPECT_EQ(judge_last(edge, question), OVERLAP) << "without Redis nothing comes";
}

TEST_F(EngineLast, WithoutARecordNothingIsExact) {
    EXPECT_EQ(judge_last(edge, {.published = EntryId{5, 2}, .head = edge.applied()}), OVERLAP);
}

// --- the age of a record ---

class EngineEdgeTable : public testing::Test {
protected:
    // The other machine's clock is another one.
    void see(Monotonic sent, Monotonic seen) {
        records["a"].sent = Monotonic(sent.time_since_epoch() - 50min);
        table.see(records, seen);
    }

    EdgeTable table;
    EdgeTable::Records records;
};

TEST_F(EngineEdgeTable, ARecordIsFreshForTwoSecondsOnceItWasSeenToChange) {
    see(START, START + 1ms);
    EXPECT_FALSE(table.is_fresh("a", START + 1ms)) << "it may be of last week";
    EXPECT_FALSE(table.is_gone("a", START + 1ms));
    see(START + 500ms, START + 501ms);
    EXPECT_FALSE(table.is_fresh("a", START + 501ms));
    see(START + 1s, START + 1001ms);
    EXPECT_TRUE(table.is_fresh("a", START + 1001ms));
    EXPECT_TRUE(table.is_fresh("a", START + 2999ms));
    EXPECT_FALSE(table.is_fresh("a", START + 3002ms));
    EXPECT_TRUE(table.is_gone("a", START + 3002ms));
    EXPECT_TRUE(table.is_gone("b", START));
    table.see({}, START + 1002ms);
    EXPECT_EQ(table.find("a"), nullptr);
}

TEST_F(EngineEdgeTable, ARecordThatWasLateIsAsOldAsItIs) {
    for (Duration since = 0s; since <= 2s; since += 500ms)
        see(START + since, START + since + 1ms);
    // Redis was stopped while this one was on its way.
    see(START + 2500ms, START + 6s);
    EXPECT_FALSE(table.is_fresh("a", START + 6s)) << "it may be LOCAL";
    EXPECT_FALSE(table.is_gone("a", START + 6s));
    see(START + 6100ms, START + 6101ms);
    EXPECT_TRUE(table.is_fresh("a", START + 6200ms));
}

TEST_F(EngineEdgeTable, AnOlderRecordThatComesLaterIsNotBelieved) {
    records["a"].applied = {5, 2};
    see(START + 500ms, START + 501ms);
    records["a"].applied = {5, 1};
    see(START, START + 600ms);
    EXPECT_EQ(table.find("a")->applied, (EntryId{5, 2}));
}

TEST_F(EngineEdgeTable, ClocksThatDriftApartAreFollowed) {
    for (int64_t i = 0; i < 20'000; ++i) // by 100 parts in a million, for almost three hours
        see(START + i * 500ms, START + i * 500ms + i * 50us + 1ms);
    const Monotonic now = START + 20'000 * 500ms + 1s;
    EXPECT_TRUE(table.is_fresh("a", now + 100ms));
}

TEST_F(EngineEdgeTable, ARecordIsReadAsItIsWritten) {
    const EdgeRecord record{.oldest = {5, 1},
                            .applied = {6, 7},
                            .deviation = {.from = {5, 2}, .until = {5, 4}, .is_open = true},
                            .sent = START,
                            .wants_ledger = true,
                            .can_lead = true,
                            .is_to_lead = true};
    const std::string bytes = encode_record(record);
    EXPECT_EQ(decode_record(bytes), record);
    for (size_t size = 0; size < bytes.size(); ++size)
        EXPECT_EQ(decode_record(bytes.substr(0, size)), std::nullopt);
    EXPECT_EQ(decode_record(bytes + "x"), std::nullopt);
}

} // namespace
} // namespace odoo_bus

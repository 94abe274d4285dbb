// IdSet against std::set, at the borders of its chunks, and at the sizes that an hour of gaps reaches.
#include "ledger/id_set.h"

#include <random>
#include <set>

#include <gtest/gtest.h>

#include "seed.h"

namespace odoo_bus {
namespace {

constexpr Id CHUNK = 4096;

IdSet set_of(std::initializer_list<IdRange> ranges) {
    IdSet set;
    for (const IdRange range : ranges)
        set.add(range);
    return set;
}

std::vector<IdRange> all_runs(const IdSet& set) {
    return set.runs(0, SIZE_MAX);
}

std::vector<IdRange> runs_of(const std::set<Id>& ids, Id from, size_t limit) {
    std::vector<IdRange> runs;
    for (auto it = ids.lower_bound(from); it != ids.end(); ++it)
        if (!runs.empty() && runs.back().last + 1 == *it)
            runs.back().last = *it;
        else if (runs.size() < limit)
            runs.push_back({*it, *it});
        else
            break;
    return runs;
}

// One random history of operations on an IdSet and on the reference.
void compare_with_reference(uint64_t seed) {
    SCOPED_TRACE(again(seed));
    std::mt19937_64 random(seed);
    auto below = [&](Id limit) { return static_cast<Id>(random() % static_cast<uint64_t>(limit)); };
    // Ids near one chunk border, around a few, or in a wide span; far from zero or not.
    const Id span = std::array<Id, 4>{100, 300, CHUNK + 10, 4 * CHUNK}[below(4)];
    const Id base = std::array<Id, 3>{0, CHUNK - 50, (Id{1} << 40) - 20}[below(3)];
    IdSet set, other;
    std::set<Id> ids, other_ids;
    auto any_range = [&] {
        const Id first = base + below(span);
        // Short ranges leave bitmaps, long ones complete chunks, and some end at a chunk's last id.
        Id last = first + below(std::array<Id, 3>{2, 70, span}[below(3)]);
        if (below(4) == 0)
            last = (first | (CHUNK - 1));
        return IdRange{first, last};
    };
    for (int step = 0; step < 60; ++step) {
        const IdRange range = any_range();
        switch (below(6)) {
        case 0:
        case 1:
            set.add(range);
            for (Id id = range.first; id <= range.last; ++id)
                ids.insert(id);
            break;
        case 2:
            set.remove(range);
            ids.erase(ids.lower_bound(range.first), ids.upper_bound(range.last));
            break;
        case 3:
            other.add(range);
            for (Id id = range.first; id <= range.last; ++id)
                other_ids.insert(id);
            break;
        case 4:
            set.remove_all(other);
            for (const Id id : other_ids)
                ids.erase(id);
            break;
        case 5:
            set.merge(other);
            ids.insert(other_ids.begin(), other_ids.end());
            other = {};
            other_ids.clear();
            break;
        }
        ASSERT_EQ(set.size(), ids.size());
        ASSERT_EQ(set.empty(), ids.empty());
        if (!ids.empty()) {
            ASSERT_EQ(set.max(), *ids.rbegin());
        }
        for (const Id id : {range.first - 1, range.first, range.last, range.last + 1, base + below(span)})
            ASSERT_EQ(set.contains(id), ids.contains(id)) << id;
        const Id from = base + below(span);
        const size_t limit = static_cast<size_t>(below(20));
        ASSERT_EQ(set.runs(from, limit), runs_of(ids, from, limit)) << from << " limit " << limit;
    }
    ASSERT_EQ(all_runs(set), runs_of(ids, 0, SIZE_MAX));

    // The same ids, however they came in, are the same set and the same bytes.
    IdSet again_set;
    for (const IdRange range : all_runs(set))
        again_set.add(range);
    ASSERT_EQ(again_set, set);
    IdSet restored;
    ASSERT_TRUE(restored.deserialize(set.serialize()));
    ASSERT_EQ(restored, set);
    ASSERT_EQ(restored.size(), ids.size());
}

TEST(IdSet, EqualsTheReferenceAfterRandomOperations) {
    uint64_t seed = test_seed();
    for (int history = 0; history < 50 && !HasFatalFailure(); ++history)
        compare_with_reference(seed++);
}

TEST(IdSet, IsEmptyAtFirst) {
    IdSet set;
    EXPECT_TRUE(set.empty());
    EXPECT_FALSE(set.contains(0));
    EXPECT_TRUE(all_runs(set).empty());
    set.remove({0, 1'000'000'000});
    set.add({5, 4}); // an empty range
    EXPECT_TRUE(set.empty());
    EXPECT_EQ(set, IdSet{});
}

TEST(IdSet, JoinsRunsAcrossChunkBorders) {
    const IdSet set = set_of({{CHUNK - 1, CHUNK - 1}, {CHUNK, CHUNK}, {2 * CHUNK - 1, 3 * CHUNK}});
    EXPECT_EQ(all_runs(set), (std::vector<IdRange>{{CHUNK - 1, CHUNK}, {2 * CHUNK - 1, 3 * CHUNK}}));
    EXPECT_EQ(set.runs(CHUNK, 1), (std::vector<IdRange>{{CHUNK, CHUNK}}));
    EXPECT_EQ(set.runs(CHUNK + 1, 1), (std::vector<IdRange>{{2 * CHUNK - 1, 3 * CHUNK}}));
    EXPECT_TRUE(set.runs(0, 0).empty());
}

TEST(IdSet, ACompleteChunkIsARange) {
    IdSet set = set_of({{0, CHUNK - 2}});
    const size_t with_bitmap = set.bytes();
    set.add(CHUNK - 1);
    EXPECT_LT(set.bytes(), with_bitmap);
    EXPECT_EQ(set, set_of({{0, CHUNK - 1}}));
    set.remove(7);
    EXPECT_EQ(all_runs(set), (std::vector<IdRange>{{0, 6}, {8, CHUNK - 1}}));
}

TEST(IdSet, RangesOfAThousandMillionIdsCostNothing) {
    IdSet set = set_of({{1, 1'000'000'000}});
    EXPECT_EQ(set.size(), 1'000'000'000u);
    EXPECT_LT(set.bytes(), 2000u);
    set.remove({500'000'000, 500'000'000});
    EXPECT_EQ(all_runs(set), (std::vector<IdRange>{{1, 499'999'999}, {500'000'001, 1'000'000'000}}));
    EXPECT_LT(set.bytes(), 3000u);
    set.remove({2, 999'999'999});
    EXPECT_EQ(all_runs(set), (std::vector<IdRange>{{1, 1}, {1'000'000'000, 1'000'000'000}}));
    EXPECT_EQ(set.size(), 2u);
}

TEST(IdSet, ReachesToTheLargestId) {
    IdSet set = set_of({{INT64_MAX - 3 * CHUNK, INT64_MAX}});
    EXPECT_TRUE(set.contains(INT64_MAX));
    EXPECT_EQ(set.max(), INT64_MAX);
    EXPECT_EQ(all_runs(set), (std::vector<IdRange>{{INT64_MAX - 3 * CHUNK, INT64_MAX}}));
    IdSet restored;
    EXPECT_TRUE(restored.deserialize(set.serialize()));
    EXPECT_EQ(restored, set);
    set.remove({0, INT64_MAX - 1}); // its chunk is a bitmap from here on
    EXPECT_EQ(set.size(), 1u);
    EXPECT_EQ(all_runs(set), (std::vector<IdRange>{{INT64_MAX, INT64_MAX}}));
    IdSet without = set_of({{1, 2}, {INT64_MAX, INT64_MAX}});
    without.remove_all(set);
    EXPECT_EQ(all_runs(without), (std::vector<IdRange>{{1, 2}}));
}

TEST(IdSet, KeepsThirtySixMillionAlternatingIdsInAFewMegabytes) {
    IdSet set;
    for (Id id = 1; id <= 72'000'000; id += 2)
        set.add(id);
    const double megabytes = static_cast<double>(set.bytes()) / 1e6;
    printf("36 million alternating ids: %.1f MB in memory, %.1f MB serialized\n", megabytes,
           static_cast<double>(set.serialize().size()) / 1e6);
    EXPECT_EQ(set.size(), 36'000'000u);
    EXPECT_LT(megabytes, 12);
}

TEST(IdSet, ForeignBytesAreRefused) {
    const IdSet set = set_of({{10, 20}, {CHUNK, 5 * CHUNK}, {9 * CHUNK, 12 * CHUNK + 5}});
    const std::string bytes = set.serialize();
    IdSet restored;
    for (size_t length = 0; length < bytes.size(); ++length) {
        EXPECT_FALSE(restored.deserialize(bytes.substr(0, length))) << length;
        EXPECT_TRUE(restored.empty());
    }
    EXPECT_FALSE(restored.deserialize(bytes + '\0'));
    EXPECT_TRUE(restored.empty());
}

TEST(IdSet, DamagedBytesAreRefusedOrAnotherWellFormedSet) {
    // Finding damage is the checksum's business; here it must only never leave a set that breaks its own
    // rules.
    std::mt19937_64 random(test_seed());
    const std::string bytes = set_of({{10, 20}, {CHUNK, 5 * CHUNK}, {9 * CHUNK, 12 * CHUNK + 5}}).serialize();
    int refused = 0;
    for (size_t at = 0; at < bytes.size(); ++at) {
        std::string damaged = bytes;
        damaged[at] = static_cast<char>(static_cast<uint64_t>(damaged[at]) ^ (1 + random() % 255));
        IdSet set;
        if (!set.deserialize(damaged)) {
            EXPECT_TRUE(set.empty()) << at;
            ++refused;
            continue;
        }
        IdSet rebuilt;
        for (const IdRange range : all_runs(set))
            rebuilt.add(range);
        EXPECT_EQ(rebuilt, set) << at;
    }
    EXPECT_GT(refused, 0);
}

} // namespace
} // namespace odoo_bus

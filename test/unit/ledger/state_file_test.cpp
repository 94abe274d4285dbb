// The files that outlive the gateway: what was appended is there, whatever happened; damage is never trusted.
#include "ledger/state_file.h"

#include <atomic>
#include <csignal>
#include <cstring>
#include <fstream>
#include <iterator>
#include <random>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "seed.h"

namespace odoo_bus {
namespace {

namespace fs = std::filesystem;

constexpr TableIdentity IDENTITY{.system_identifier = 7'000'000'000'000'000'001,
                                 .postmaster_start = wall_time(1'790'000'000'000'000),
                                 .timeline = 3,
                                 .database_oid = 16384,
                                 .relation_oid = 16390};

IdSet set_of(std::initializer_list<IdRange> ranges) {
    IdSet set;
    for (const IdRange range : ranges)
        set.add(range);
    return set;
}

Dispatched entry(Id id, bool ahead = false) {
    return {.id = id,
            .fingerprint = static_cast<uint64_t>(id) * 77,
            .dispatched = wall_time(5'000 + id),
            .ahead = ahead};
}

std::string slurp(const fs::path& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

void spill(const fs::path& path, std::string_view bytes) {
    std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

class StateFileTest : public testing::Test {
protected:
    StateFileTest() {
        // In memory if possible: thousands of files are made.
        const bool memory = access("/dev/shm", W_OK) == 0;
        const fs::path parent = memory ? fs::path("/dev/shm") : fs::temp_directory_path();
        std::string name = parent / "odoo_bus_state_XXXXXX";
        directory_ = mkdtemp(name.data());
        path_ = directory_ / "mydb";
    }
    ~StateFileTest() override { fs::remove_all(directory_); }

    StateFile::Opened open(size_t capacity = 8) { return StateFile::open(path_, capacity); }
    fs::path order() const { return fs::path(path_) += ".order"; }
    fs::path ledger() const { return fs::path(path_) += ".ledger"; }

    size_t set_aside() const {
        size_t count = 0;
        for (const auto& file : fs::directory_iterator(directory_))
            count += file.path().string().find(".damaged-") != std::string::npos;
        return count;
    }

    // A small state with gaps, a wrapped ring and a checkpoint that is not the newest entry.
    void write_sample() {
        auto opened = open();
        opened.file->checkpoint({.identity = IDENTITY, .max_seen = 100, .gaps = set_of({{98, 99}})});
        opened.file->append(
            1, std::array{entry(101), entry(102), entry(105), entry(99), entry(5'000'000, true)});
        opened.file->checkpoint({.identity = IDENTITY,
                                 .max_seen = 105,
                                 .gaps = set_of({{98, 98}, {103, 104}}),
                                 .ahead = set_of({{5'000'000, 5'000'000}})});
        opened.file->append(6, std::array{entry(104), entry(108), entry(110), entry(107)});
    }

    void expect_sample(const StateFile::Loaded& loaded) {
        EXPECT_EQ(loaded.first, 2u);
        EXPECT_EQ(loaded.entries, (std::vector{entry(102), entry(105), entry(99), entry(5'000'000, true),
                                               entry(104), entry(108), entry(110), entry(107)}));
        EXPECT_EQ(loaded.ledger, (Checkpoint{.identity = IDENTITY,
                                             .next = 10,
                                             .max_seen = 110,
                                             .gaps = set_of({{98, 98}, {103, 103}, {106, 106}, {109, 109}}),
                                             .ahead = set_of({{5'000'000, 5'000'000}})}));
    }

    fs::path directory_, path_;
};

TEST_F(StateFileTest, IsEmptyAtFirst) {
    auto opened = open();
    ASSERT_TRUE(opened.file);
    EXPECT_FALSE(opened.loaded);
    EXPECT_EQ(opened.message, "");
    EXPECT_EQ(opened.file->room(), 0u) << "without a checkpoint nothing can be remembered";
}

TEST_F(StateFileTest, BringsTheCheckpointForwardByTheEntriesAfterIt) {
    write_sample();
    auto opened = open();
    ASSERT_TRUE(opened.loaded) << opened.message;
    EXPECT_EQ(opened.message, "");
    expect_sample(*opened.loaded);
}

TEST_F(StateFileTest, GoesOnWhereItWas) {
    write_sample();
    open().file->append(10, std::array{entry(111)});
    auto opened = open();
    ASSERT_TRUE(opened.loaded);
    EXPECT_EQ(opened.loaded->first, 3u);
    EXPECT_EQ(opened.loaded->entries.back(), entry(111));
    EXPECT_EQ(opened.loaded->ledger.next, 11u);
}

TEST_F(StateFileTest, RemembersNothingBeforeTheFirstCheckpoint) {
    open().file->append(1, std::array{entry(1), entry(2)});
    auto opened = open();
    EXPECT_TRUE(opened.file);
    EXPECT_FALSE(opened.loaded);
    EXPECT_EQ(set_aside(), 0u);
}

TEST_F(StateFileTest, SaysWhenACheckpointIsDue) {
    auto opened = open();
    opened.file->checkpoint({});
    EXPECT_EQ(opened.file->room(), 8u);
    opened.file->append(1, std::array{entry(1), entry(2), entry(3)});
    EXPECT_EQ(opened.file->room(), 5u);
    opened.file->checkpoint({.max_seen = 3});
    EXPECT_EQ(opened.file->room(), 8u);
}

TEST_F(StateFileTest, ForgetsTheLedgerRatherThanRememberItWrong) {
    auto opened = open();
    opened.file->checkpoint({.max_seen = 1});
    std::vector<Dispatched> many;
    for (Id id = 2; id <= 10; ++id)
        many.push_back(entry(id));
    opened.file->append(1, many); // one more than there is room for
    EXPECT_EQ(opened.file->room(), 0u);
    opened.file.reset();
    EXPECT_FALSE(open().loaded);

    // The next checkpoint makes it whole again.
    opened = open();
    opened.file->append(1, many);
    opened.file->checkpoint({.max_seen = 10});
    opened.file.reset();
    opened = open();
    ASSERT_TRUE(opened.loaded);
    EXPECT_EQ(opened.loaded->first, 2u);
    EXPECT_EQ(opened.loaded->entries, std::vector(many.begin() + 1, many.end()));
}

TEST_F(StateFileTest, ForgetsEverythingWhenThePositionsBeginAnew) {
    write_sample();
    auto opened = open();
    opened.file->clear(50);
    opened.file->append(50, std::array{entry(1)});
    opened.file->checkpoint({.max_seen = 1});
    opened.file.reset();
    opened = open();
    ASSERT_TRUE(opened.loaded);
    EXPECT_EQ(opened.loaded->first, 50u);
    EXPECT_EQ(opened.loaded->entries, std::vector{entry(1)});

    opened.file->append(90, std::array{entry(2)}); // a hole
    opened.file.reset();
    EXPECT_FALSE(open().loaded);
}

TEST_F(StateFileTest, AChosenIdFarAheadOpensNoGaps) {
    Checkpoint ledger{.max_seen = 10};
    ledger.advance(std::array{entry(2'000'000'000, true), entry(13, true), entry(11)});
    EXPECT_EQ(
        ledger,
        (Checkpoint{.next = 4, .max_seen = 11, .ahead = set_of({{13, 13}, {2'000'000'000, 2'000'000'000}})}));
    // The sequence passes one of them: it was dispatched, and is no gap.
    ledger.advance(std::array{entry(15)});
    EXPECT_EQ(ledger, (Checkpoint{.next = 5,
                                  .max_seen = 15,
                                  .gaps = set_of({{12, 12}, {14, 14}}),
                                  .ahead = set_of({{2'000'000'000, 2'000'000'000}})}));
}

TEST_F(StateFileTest, TakesOverFilesOfAnotherCapacity) {
    write_sample();
    auto opened = open(100);
    ASSERT_TRUE(opened.loaded) << opened.message;
    expect_sample(*opened.loaded);
    opened.file.reset();
    opened = open(3);
    ASSERT_TRUE(opened.loaded) << opened.message;
    expect_sample(*opened.loaded);
    opened.file.reset();
    opened = open(3);
    ASSERT_TRUE(opened.loaded) << opened.message;
    EXPECT_EQ(opened.loaded->first, 7u);
    EXPECT_EQ(opened.loaded->entries, (std::vector{entry(108), entry(110), entry(107)}));
    EXPECT_EQ(opened.loaded->ledger.max_seen, 110);
}

TEST_F(StateFileTest, IsReadableByItsOwnerAlone) {
    write_sample();
    for (const auto& file : fs::directory_iterator(directory_)) {
        struct stat status;
        ASSERT_EQ(stat(file.path().c_str(), &status), 0);
        EXPECT_EQ(status.st_mode & 0777, 0600u) << file.path();
    }
}

TEST_F(StateFileTest, TwoGatewaysCannotShareIt) {
    auto opened = open();
    auto second = open();
    EXPECT_FALSE(second.file);
    EXPECT_NE(second.message.find("another gateway"), std::string::npos) << second.message;
    opened.file.reset();
    EXPECT_TRUE(open().file);
}

TEST_F(StateFileTest, AnUnusableDirectoryIsAClearError) {
    spill(directory_ / "file", "");
    auto opened = StateFile::open(directory_ / "file" / "mydb", 8);
    EXPECT_FALSE(opened.file);
    EXPECT_NE(opened.message.find("/file: Not a directory"), std::string::npos) << opened.message;
}

TEST_F(StateFileTest, NoLinkIsFollowed) {
    const fs::path victim = directory_ / "victim";
    for (const char* suffix : {".order", ".ledger", ".order.new", ".ledger.new", ".lock"}) {
        fs::remove_all(directory_);
        fs::create_directory(directory_);
        chmod(directory_.c_str(), 0700);
        spill(victim, "precious");
        const bool is_order = std::string(suffix) == ".ledger";
        if (is_order) // it is looked at beside an order only
            write_sample();
        const fs::path link = fs::path(path_) += suffix;
        fs::remove(link);
        fs::create_symlink(victim, link);
        auto opened = open();
        if (std::string(suffix) == ".lock") {
            EXPECT_FALSE(opened.file) << suffix;
            EXPECT_NE(opened.message.find("it is a symbolic link"), std::string::npos) << opened.message;
        } else {
            ASSERT_TRUE(opened.file) << suffix << opened.message;
            EXPECT_FALSE(opened.loaded) << suffix;
            opened.file->checkpoint({.identity = IDENTITY, .max_seen = 1});
            opened.file->append(1, std::array{entry(2)});
            EXPECT_FALSE(fs::is_symlink(link)) << suffix;
        }
        EXPECT_EQ(slurp(victim), "precious") << suffix;
    }
}

TEST_F(StateFileTest, WhatOthersCouldHaveWrittenIsNotTrusted) {
    for (const fs::path& path : {order(), ledger()}) {
        write_sample();
        chmod(path.c_str(), 0666);
        auto opened = open();
        ASSERT_TRUE(opened.file) << opened.message;
        EXPECT_FALSE(opened.loaded);
        EXPECT_NE(opened.message.find("other users can write to it"), std::string::npos) << opened.message;
        opened = {};
        fs::remove_all(directory_);
        fs::create_directory(directory_);
        chmod(directory_.c_str(), 0700);
    }
    chmod(directory_.c_str(), 0777);
    auto opened = open();
    EXPECT_FALSE(opened.file);
    EXPECT_NE(opened.message.find("other users can write to"), std::string::npos) << opened.message;
    EXPECT_FALSE(fs::exists(order()));
}

// A disk that is full, by a limit on the size of files.
class FullDisk {
public:
    explicit FullDisk(rlim_t bytes) : handler_(signal(SIGXFSZ, SIG_IGN)) {
        getrlimit(RLIMIT_FSIZE, &before_);
        const rlimit limit{.rlim_cur = bytes, .rlim_max = before_.rlim_max};
        setrlimit(RLIMIT_FSIZE, &limit);
    }
    ~FullDisk() {
        setrlimit(RLIMIT_FSIZE, &before_);
        signal(SIGXFSZ, handler_);
    }

private:
    rlimit before_{};
    sighandler_t handler_;
};

TEST_F(StateFileTest, AFullDiskIsAClearErrorWhenTheFileIsMade) {
    FullDisk disk(1000);
    auto opened = open();
    EXPECT_FALSE(opened.file);
    EXPECT_NE(opened.message.find("space"), std::string::npos) << opened.message;
}

TEST_F(StateFileTest, ADiskThatBecomesFullTakesNothingBack) {
    open(1'000'000); // nothing is appended yet
    struct stat status;
    ASSERT_EQ(stat(order().c_str(), &status), 0);
    EXPECT_GE(status.st_blocks * 512, 32'000'000);
}

TEST_F(StateFileTest, AFullDiskLeavesTheFormerCheckpoint) {
    write_sample();
    auto opened = open();
    IdSet many;
    for (Id id = 1; id < 100'000; id += 2)
        many.add(id);
    {
        FullDisk disk(6000);
        EXPECT_FALSE(opened.file->checkpoint({.identity = IDENTITY, .max_seen = 100'000, .gaps = many}));
        EXPECT_NE(opened.file->message().find("space"), std::string::npos) << opened.file->message();
    }
    opened.file.reset();
    opened = open();
    ASSERT_TRUE(opened.loaded) << opened.message;
    expect_sample(*opened.loaded);
}

TEST_F(StateFileTest, EveryChangedByteIsFoundOrHarmless) {
    write_sample();
    const std::string good_order = slurp(order()), good_ledger = slurp(ledger());
    std::mt19937_64 random(test_seed());
    size_t refused = 0;
    for (size_t at = 0; at < good_order.size() + good_ledger.size(); ++at) {
        std::string bad_order = good_order, bad_ledger = good_ledger;
        char& byte = at < good_order.size() ? bad_order[at] : bad_ledger[at - good_order.size()];
        byte = static_cast<char>(static_cast<uint64_t>(byte) ^ (1 + random() % 255));
        spill(order(), bad_order);
        spill(ledger(), bad_ledger);
        auto opened = open();
        ASSERT_TRUE(opened.file) << opened.message;
        if (opened.loaded) {
            expect_sample(*opened.loaded); // a byte that is never read
            ASSERT_FALSE(HasFailure()) << "byte " << at;
            continue;
        }
        ++refused;
        ASSERT_NE(opened.message.find("is set aside as *.damaged-N and not used: "), std::string::npos)
            << opened.message;
        ASSERT_FALSE(fs::exists(ledger()));
    }
    // All of the ledger, the header and the eight entries.
    EXPECT_EQ(refused, good_ledger.size() + 56 + 8 * 32);
    EXPECT_EQ(set_aside(), 10u) << "five of each are kept";
}

TEST_F(StateFileTest, EveryTruncationIsFound) {
    write_sample();
    const std::string good_order = slurp(order()), good_ledger = slurp(ledger());
    for (size_t length = 0; length < good_order.size(); length += length < 64 ? 1 : 13) {
        spill(order(), good_order.substr(0, length));
        spill(ledger(), good_ledger);
        auto opened = open();
        EXPECT_TRUE(opened.file && !opened.loaded && !opened.message.empty()) << length;
    }
    for (size_t length = 0; length < good_ledger.size(); ++length) {
        spill(order(), good_order);
        spill(ledger(), good_ledger.substr(0, length));
        auto opened = open();
        EXPECT_TRUE(opened.file && !opened.loaded && !opened.message.empty()) << length;
    }
    // And what is too long.
    spill(order(), good_order + '\0');
    spill(ledger(), good_ledger);
    EXPECT_FALSE(open().loaded);
    spill(order(), good_order);
    spill(ledger(), good_ledger + '\0');
    EXPECT_FALSE(open().loaded);
}

TEST_F(StateFileTest, EveryZeroedPieceIsFoundOrHarmless) {
    write_sample();
    const std::string good_order = slurp(order()), good_ledger = slurp(ledger());
    for (size_t at = 0; at < good_order.size(); at += 8) {
        std::string bad = good_order;
        memset(bad.data() + at, 0, std::min<size_t>(bad.size() - at, at % 64 == 0 ? 512 : 8));
        spill(order(), bad);
        spill(ledger(), good_ledger);
        auto opened = open();
        ASSERT_TRUE(opened.file);
        if (bad == good_order)
            expect_sample(*opened.loaded);
        else
            EXPECT_FALSE(opened.loaded) << at;
    }
}

TEST_F(StateFileTest, AnEntryInAnothersPlaceIsFound) {
    write_sample();
    std::string bytes = slurp(order());
    std::swap_ranges(bytes.end() - 32, bytes.end(), bytes.end() - 64);
    spill(order(), bytes);
    EXPECT_FALSE(open().loaded);
}

TEST_F(StateFileTest, ForeignAndOlderFilesAreSetAside) {
    const auto refusal = [&] {
        auto opened = open();
        EXPECT_TRUE(opened.file);
        EXPECT_FALSE(opened.loaded);
        return opened.message;
    };
    write_sample();
    const std::string good_order = slurp(order()), good_ledger = slurp(ledger());
    spill(order(), std::string(good_order.size(), 'x'));
    EXPECT_NE(refusal().find("not a file of this program"), std::string::npos);

    std::string older = good_order;
    older[8] = 0; // the format's number
    spill(order(), older);
    spill(ledger(), good_ledger);
    EXPECT_NE(refusal().find("another version"), std::string::npos);

    older = good_ledger;
    older[8] = 0;
    spill(order(), good_order);
    spill(ledger(), older);
    EXPECT_NE(refusal().find("another version"), std::string::npos);

    // A ledger that belongs to another order: one of the two was restored from a backup.
    fs::remove(order());
    fs::remove(ledger());
    write_sample();
    spill(order(), good_order);
    EXPECT_NE(refusal().find("another order"), std::string::npos);

    // An order that is older than the ledger.
    fs::remove(order());
    fs::remove(ledger());
    auto opened = open();
    opened.file->checkpoint({});
    const std::string old_order = slurp(order());
    opened.file->append(1, std::array{entry(1)});
    opened.file->checkpoint({.max_seen = 1});
    opened.file.reset();
    spill(order(), old_order);
    EXPECT_NE(refusal().find("does not reach"), std::string::npos);
}

TEST_F(StateFileTest, NamesStandForDatabases) {
    EXPECT_EQ(StateFile::name_of("my_db-1"), "my_db-1");
    EXPECT_EQ(StateFile::name_of("../ä%"), "%2e%2e%2f%c3%a4%25");
}

// --- kill -9 ---

// What a child that appends tells its parent, in memory that they share.
struct Progress {
    std::atomic<Position> begun{1};    // the append() up to here has begun
    std::atomic<Position> appended{1}; // and up to here it has returned
    std::atomic<bool> wrong{false};
};

// Ids come in pairs the wrong way round, with a gap now and then, and some far ahead.
Dispatched nth(Position position) {
    if (position % 50 == 0)
        return entry(static_cast<Id>(1'000'000'000 + position), true);
    return entry(static_cast<Id>(1 + (position ^ 1) + position / 100));
}

std::vector<Dispatched> stream(Position first, Position next) {
    std::vector<Dispatched> entries;
    for (; first < next; ++first)
        entries.push_back(nth(first));
    return entries;
}

bool equals(const StateFile::Loaded& loaded, const Checkpoint& expected) {
    return loaded.ledger == expected && loaded.entries == stream(loaded.first, expected.next);
}

// Opens, checks what is there, and appends and writes checkpoints for ever.
[[noreturn]] void append_for_ever(const fs::path& path, Checkpoint expected, uint64_t seed,
                                  Progress& progress) {
    std::mt19937_64 random(seed);
    auto opened = StateFile::open(path, std::array<size_t, 3>{64, 1000, 5000}[random() % 3]);
    if (!opened.file || (opened.loaded && !equals(*opened.loaded, expected)) ||
        (!opened.loaded && expected.next > 1)) {
        progress.wrong = true;
        _exit(1);
    }
    if (!opened.loaded)
        opened.file->checkpoint(expected);
    for (;;) {
        const Position first = expected.next;
        const size_t count = 1 + random() % 60;
        if (opened.file->room() < count || random() % 500 == 0)
            opened.file->checkpoint(expected);
        const auto batch = stream(first, first + count);
        expected.advance(batch);
        progress.begun = expected.next;
        opened.file->append(first, batch);
        progress.appended = expected.next;
    }
}

TEST_F(StateFileTest, IsExactWheneverTheProcessIsKilled) {
    const uint64_t seed = test_seed();
    SCOPED_TRACE(again(seed));
    std::mt19937_64 random(seed);
    void* shared = mmap(nullptr, sizeof(Progress), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ASSERT_NE(shared, MAP_FAILED);
    auto& progress = *new (shared) Progress;
    Checkpoint expected{.identity = IDENTITY};
    int in_the_middle = 0;
    const int rounds = SANITIZED ? 50 : 200; // its memory makes fork() slow
    for (int round = 0; round < rounds; ++round) {
        const Position before = progress.appended;
        const uint64_t child_seed = random();
        const pid_t child = fork();
        if (child == 0)
            append_for_ever(path_, expected, child_seed, progress);
        // Some are killed while they open the file, the others somewhere in their work.
        while (round % 4 != 0 && progress.appended == before && !progress.wrong)
            sched_yield();
        for (uint64_t wait = random() % (round % 4 != 0 ? 100'000 : 50'000); wait > 0; --wait)
            std::atomic_signal_fence(std::memory_order_seq_cst);
        kill(child, SIGKILL);
        waitpid(child, nullptr, 0);
        ASSERT_FALSE(progress.wrong) << "round " << round << ": what the child found was wrong";

        auto opened = StateFile::open(path_, 64);
        ASSERT_TRUE(opened.file) << opened.message;
        ASSERT_EQ(opened.message, "");
        if (!opened.loaded) {
            ASSERT_EQ(progress.appended, 1u);
            continue;
        }
        const Position next = opened.loaded->ledger.next;
        ASSERT_TRUE(next == progress.begun || next == progress.appended)
            << next << " is neither " << progress.begun << " nor " << progress.appended;
        in_the_middle += progress.begun != progress.appended;
        progress.begun = progress.appended = next;
        expected.advance(stream(expected.next, next));
        ASSERT_TRUE(equals(*opened.loaded, expected)) << "round " << round;
    }
    printf("%d processes killed, %d of them within append(); %llu entries\n", rounds, in_the_middle,
           static_cast<unsigned long long>(progress.appended.load() - 1));
    EXPECT_GT(progress.appended, 1000u);
    EXPECT_EQ(set_aside(), 0u);
    munmap(shared, sizeof(Progress));
}

} // namespace
} // namespace odoo_bus

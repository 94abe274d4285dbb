// State files as the version before wrote them: their bytes are data here, and go on being understood.
#include <filesystem>
#include <fstream>
#include <string>
#include <unistd.h>

#include <gtest/gtest.h>

#include "ledger/state_file.h"

namespace odoo_bus {
namespace {

namespace fs = std::filesystem;

struct Piece {
    size_t at;
    const char* hex;
};

std::string file_of(size_t size, std::initializer_list<Piece> pieces) {
    std::string bytes(size, '\0');
    for (const auto& [at, hex] : pieces)
        for (size_t i = 0; hex[2 * i]; ++i)
            bytes[at + i] = static_cast<char>(std::stoi(std::string(hex + 2 * i, 2), nullptr, 16));
    return bytes;
}

// A ring with room for 8 entries, of which 2 to 9 are kept.
const std::string ORDER =
    file_of(4096 + 8 * 32, {{0, "6275736f7264657201000000200000006cff1345231aa7a60800000000000000"
                                "44e491741b0ec192e3ff0100000000006bff0900000000000000000000000000"},
                            {4096, "6e000000000000001621000000000000f61300000000000029c754968fa21783"
                                   "6b000000000000002f20000000000000f31300000000000082b169cc7b78d6c4"
                                   "6600000000000000ae1e000000000000ee1300000000000011c47bb2acfb4b2b"
                                   "6900000000000000951f000000000000f11300000000000069bb143af9e87bb8"
                                   "6300000000000000c71d000000000000eb13000000000000269291f159f3ddc1"
                                   "404b4c000000008040a2f21600000000c85e4c0000000000fc20d4a209ffe5ba"
                                   "6800000000000000481f000000000000f013000000000000dcf68b9b16c72a6c"
                                   "6c000000000000007c20000000000000f413000000000000134f61c710fffa62"}});

// The checkpoint at position 6, with the gaps 98, 103 and 104, and the chosen id 5000000.
const std::string LEDGER =
    file_of(1176, {{0, "6275736c6564677201000000030000006cff1345231aa7a60100bc93e9fe2461"
                       "00e025dafe5b0600004000000640000006000000000000006900000000000000"
                       "610000000000000015ad81e1fe5b060018020000000000001802000000000000"},
                   {104, "01"},
                   {132, "8401"},
                   {640, "01"},
                   {648, "c404"},
                   {1016, "01"},
                   {1168, "92354ad85f9ab13d"}});

class FormerStateFileTest : public testing::Test {
protected:
    FormerStateFileTest() {
        std::string name = fs::temp_directory_path() / "odoo_bus_former_XXXXXX";
        directory_ = mkdtemp(name.data());
        std::ofstream(directory_ / "mydb.order", std::ios::binary) << ORDER;
        std::ofstream(directory_ / "mydb.ledger", std::ios::binary) << LEDGER;
    }
    ~FormerStateFileTest() override { fs::remove_all(directory_); }

    fs::path directory_;
};

TEST_F(FormerStateFileTest, IsContinued) {
    auto opened = StateFile::open(directory_ / "mydb", 8);
    ASSERT_TRUE(opened.loaded) << opened.message;
    EXPECT_EQ(opened.message, "");
    const auto& [first, entries, ledger] = *opened.loaded;
    EXPECT_EQ(first, 2u);
    std::vector<Id> ids;
    for (const Dispatched& entry : entries) {
        ids.push_back(entry.id);
        EXPECT_EQ(entry.fingerprint, static_cast<uint64_t>(entry.id) * 77);
        EXPECT_EQ(entry.dispatched, wall_time(5'000 + entry.id));
        EXPECT_EQ(entry.ahead, entry.id == 5'000'000);
    }
    EXPECT_EQ(ids, (std::vector<Id>{102, 105, 99, 5'000'000, 104, 108, 110, 107}));

    Checkpoint expected{.identity = {.system_identifier = 7'000'000'000'000'000'001,
                                     .postmaster_start = wall_time(1'790'000'000'000'000),
                                     .timeline = 3,
                                     .database_oid = 16384,
                                     .relation_oid = 16390},
                        .next = 10,
                        .max_seen = 110,
                        .settled = 97,
                        .read = wall_time(1'790'000'123'456'789)};
    for (const Id gap : {98, 103, 106, 109})
        expected.gaps.add(gap);
    expected.ahead.add(5'000'000);
    EXPECT_EQ(ledger, expected);
}

// So that the version before understands what this one writes.
TEST_F(FormerStateFileTest, IsWrittenInTheSameBytes) {
    std::string why;
    auto checkpoint = decode_checkpoint(LEDGER, 0xa6a71a234513ff6c, why);
    ASSERT_TRUE(checkpoint) << why;
    EXPECT_EQ(encode_checkpoint(*checkpoint, 0xa6a71a234513ff6c), LEDGER);
}

} // namespace
} // namespace odoo_bus

// The token in a file, and requests that bear it.
#include "http/bearer_token.h"

#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

namespace odoo_bus {
namespace {

using testing::HasSubstr;

const std::string TOKEN(32, 't');

class BearerTokenTest : public testing::Test {
protected:
    ~BearerTokenTest() override { std::filesystem::remove(path_); }

    std::string read(const std::string& text, mode_t mode = 0600) {
        std::ofstream(path_, std::ios::binary) << text;
        chmod(path_.c_str(), mode);
        problem_.clear();
        return read_bearer_token(path_, problem_);
    }

    const std::filesystem::path path_ =
        std::filesystem::temp_directory_path() / ("odoo_bus_bearer_" + std::to_string(getpid()));
    std::string problem_;
};

TEST_F(BearerTokenTest, ItsFile) {
    for (const char* end : {"", "\n", "\r\n", "\n\n", " \t\n"})
        EXPECT_EQ(read(TOKEN + end), TOKEN);
    for (const std::string& wrong :
         {std::string(), std::string("short"), std::string(31, 't'), TOKEN + "\n" + TOKEN, TOKEN + " x",
          TOKEN + "\x01", TOKEN + "\xff", TOKEN + std::string(1, '\0')}) {
        EXPECT_EQ(read(wrong), "");
        EXPECT_THAT(problem_, HasSubstr("holds no token of 32 characters"));
        EXPECT_THAT(problem_, testing::Not(HasSubstr(TOKEN)));
    }
    for (const mode_t mode : {0644, 0604}) {
        EXPECT_EQ(read(TOKEN, mode), "");
        EXPECT_THAT(problem_, HasSubstr("other users can read the secret"));
    }
    EXPECT_EQ(read_bearer_token("/nonexistent", problem_), "");
    EXPECT_THAT(problem_, HasSubstr("/nonexistent: No such file"));
}

TEST(BearerToken, OfARequest) {
    const auto bears = [](const std::string& headers) {
        RequestHead head(16384);
        head.feed("GET /metrics HTTP/1.1\r\nHost: a\r\n" + headers + "\r\n");
        EXPECT_EQ(head.state(), RequestHead::State::complete);
        return bears_token(head, TOKEN);
    };
    EXPECT_TRUE(bears("Authorization: Bearer " + TOKEN + "\r\n"));
    EXPECT_TRUE(bears("authorization: bEARER   " + TOKEN + " \r\n"));
    for (const std::string& wrong :
         {std::string(), std::string("Authorization: \r\n"), std::string("Authorization: Bearer\r\n"),
          std::string("Authorization: Bearer \r\n"), "Authorization: Bearer " + TOKEN + "t\r\n",
          "Authorization: Bearer " + TOKEN.substr(1) + "\r\n", "Authorization: Bearer " + TOKEN + " x\r\n",
          "Authorization: Basic " + TOKEN + "\r\n", "Authorization: " + TOKEN + "\r\n",
          "Authorization: Bearer" + TOKEN + "\r\n",
          "Authorization: Bearer " + TOKEN + "\r\nAuthorization: Bearer " + TOKEN + "\r\n",
          "X-Authorization: Bearer " + TOKEN + "\r\n", "Cookie: Bearer " + TOKEN + "\r\n"})
        EXPECT_FALSE(bears(wrong)) << wrong;
}

} // namespace
} // namespace odoo_bus

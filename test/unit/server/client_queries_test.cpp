#include "server/client_queries.h"

#include <future>

#include <gtest/gtest.h>

#include "base/json.h"
#include "moved_clock.h"

namespace odoo_bus {
namespace {

// Two threads, which answer when the test lets them.
class ClientQueriesTest : public testing::Test {
protected:
    ClientQueriesTest()
        : queries(loop, [this](const std::string& channel, std::function<void(ClientList)> answer) {
              asked.push_back(channel);
              answers.push_back(std::move(answer));
              return 2;
          }) {
        loop.start("queries", [] {});
    }
    ~ClientQueriesTest() override {
        loop.post([this] { loop.stop(); });
        loop.join();
    }

    std::future<std::string> ask(const std::string& channel) {
        auto promise = std::make_shared<std::promise<std::string>>();
        loop.post([this, channel, promise] {
            queries.ask(channel, [promise](const std::string& json) { promise->set_value(json); });
        });
        return promise->get_future();
    }
    // All that was posted has been done.
    void settle() {
        std::promise<void> done;
        loop.post([&done] { done.set_value(); });
        done.get_future().wait();
    }
    void answer(size_t question, size_t subscribers) {
        settle();
        answers.at(question)({.clients = {}, .channels = {{"a", "x", subscribers}}});
    }
    static int64_t number(const std::string& json, const char* key) {
        return json_integer_value(json_object_get(parse_lenient(json).get(), key));
    }
    static int64_t subscribers(const std::string& json) {
        const Json answer = parse_lenient(json);
        return json_integer_value(
            json_object_get(json_array_get(json_object_get(answer.get(), "channels"), 0), "subscribers"));
    }

    Loop loop;
    std::vector<std::string> asked;
    std::vector<std::function<void(ClientList)>> answers;
    ClientQueries queries;
};

TEST_F(ClientQueriesTest, AnswersWhenAllThreadsHave) {
    auto json = ask("");
    answer(0, 2);
    settle();
    EXPECT_EQ(json.wait_for(std::chrono::seconds(0)), std::future_status::timeout);
    answer(0, 3);
    const std::string text = json.get();
    EXPECT_EQ(subscribers(text), 5);
    EXPECT_EQ(number(text, "threads"), 2);
    EXPECT_EQ(number(text, "answered"), 2);
}

TEST_F(ClientQueriesTest, AsksOnceForAllWhoWait) {
    auto one = ask("x"), two = ask("x"), other = ask("y");
    answer(0, 1);
    answer(0, 1);
    EXPECT_EQ(one.get(), two.get());
    EXPECT_EQ(asked, (std::vector<std::string>{"x", "y"}));
    EXPECT_EQ(other.wait_for(std::chrono::seconds(0)), std::future_status::timeout);
}

TEST_F(ClientQueriesTest, AsksForTheSlowestOnceASecond) {
    auto one = ask("");
    answer(0, 1);
    answer(0, 1);
    EXPECT_EQ(one.get(), ask("").get());
    EXPECT_EQ(asked.size(), 1u);
    const MovedClock<MonotonicClock> moved(std::chrono::seconds(1));
    auto later = ask("");
    answer(1, 7);
    answer(1, 0);
    EXPECT_EQ(subscribers(later.get()), 7);
}

TEST_F(ClientQueriesTest, LeavesOutAThreadThatDoesNotAnswerInTime) {
    auto json = ask("x");
    answer(0, 1);
    const std::string text = json.get();
    EXPECT_EQ(number(text, "threads"), 2);
    EXPECT_EQ(number(text, "answered"), 1);
    // Its answer comes while the same is asked again.
    auto again = ask("x");
    answer(1, 10);
    answer(0, 100);
    answer(1, 10);
    EXPECT_EQ(subscribers(again.get()), 20);
}

} // namespace
} // namespace odoo_bus

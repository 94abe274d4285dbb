// Whether a pooler in between gives the server's processes away. See pooler_check.h.
#include "postgres/pooler_check.h"

#include <utility>

#include <spdlog/fmt/fmt.h>

namespace odoo_bus {

namespace {

// Number of queries, on both connections in turn: a pooler that hands out the backend that was used last is
// noticed when the other connection has it, one that takes turns when this connection has several.
constexpr unsigned QUESTIONS = 12;

// A pool that is full lets the other connection wait.
constexpr uint64_t PATIENCE_MS = 5'000;

} // namespace

PoolerCheck::PoolerCheck(uv_loop_t* loop, PgConnection& connection, std::string conninfo, SessionUse use,
                         std::function<void(const std::string&)> answer)
    : connection_(connection), conninfo_(std::move(conninfo)), use_(use), answer_(std::move(answer)),
      other_(loop, {.on_connected = [this] { ask_other(); },
                    .on_lost =
                        [this](const std::string& reason) {
                            problem_ = reason;
                            ask();
                        },
                    .on_notify = [](std::string_view, std::string_view) {},
                    .bears_pooler = true}),
      patience_(loop) {
    ask();
}

// Everything is decided when this connection answers: there the other one is not at work and may go.
void PoolerCheck::ask() {
    connection_.script(pin_unless_pooled(use_, connection_.process()), [this](const PgResult& result) {
        if (!result.ok())
            return decide(result.error());
        hear(result.number(0, 0));
    });
}

void PoolerCheck::hear(int64_t process) {
    if (processes_.empty() && process == connection_.process())
        return decide({});
    processes_.insert(process);
    if (processes_.size() > 1 || (others_process_ && processes_.contains(*others_process_)))
        return decide(fmt::format("{}: {}", PROCESSES_ARE_GIVEN_AWAY, CONNECT_PAST_THE_POOLER));
    if (!problem_.empty())
        return decide(fmt::format("a pooler in between lets no second connection in ({}): make its pool "
                                  "larger, the gateway needs several connections",
                                  problem_));
    if (++asked_ >= QUESTIONS)
        return pin();
    if (asked_ % 2)
        return ask();
    if (other_.is_open())
        return ask_other();
    patience_.start(PATIENCE_MS, [this] {
        other_.close();
        problem_ = "no answer in time";
        ask();
    });
    other_.open(conninfo_, 2 * PATIENCE_MS);
}

void PoolerCheck::ask_other() {
    other_.script(pin_transaction(use_), [this](const PgResult& result) {
        patience_.stop();
        if (result.ok())
            others_process_ = result.number(0, 0);
        else
            problem_ = result.error();
        ask();
    });
}

// The pooler keeps sessions.
void PoolerCheck::pin() {
    connection_.script(pin_session(use_),
                       [this](const PgResult& result) { decide(result.ok() ? "" : result.error()); });
}

void PoolerCheck::decide(const std::string& problem) {
    const auto answer = std::exchange(answer_, {});
    answer(problem);
}

} // namespace odoo_bus

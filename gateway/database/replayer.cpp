// Answers from the table: one bounded query for each page.
#include "database/replayer.h"

#include <spdlog/fmt/fmt.h>

#include "base/log.h"
#include "postgres/pg_array.h"
#include "postgres/table_code.h"
#include "protocol/frame.h"

namespace odoo_bus {

namespace {

constexpr int PAGE_ROWS = 200;
constexpr size_t MAX_REQUESTS = 20'000; // that wait; beyond, clients are told to come back
constexpr uint64_t IDLE_MS = 60'000;

} // namespace

Replayer::Replayer(uv_loop_t* loop, std::string conninfo, std::function<bool(Id)> is_dispatched)
    : conninfo_(std::move(conninfo)), is_dispatched_(std::move(is_dispatched)),
      connection_(loop, {.on_connected =
                             [this] {
                                 connecting_ = false;
                                 next();
                             },
                         .on_lost = [this](const std::string& reason) { fail(reason); },
                         .on_notify = [](std::string_view, std::string_view) {}}),
      idle_(loop) {}

void Replayer::ask(const TableFacts& facts, Id last, std::vector<std::string> channels,
                   std::function<void(ReplayAnswer)> answer) {
    if (requests_.size() >= MAX_REQUESTS) {
        ReplayAnswer full;
        full.failed = true;
        return answer(std::move(full));
    }
    requests_.push_back(
        {fmt::format(
             "BEGIN ISOLATION LEVEL READ COMMITTED, READ ONLY; LOCK TABLE ONLY {} IN ACCESS SHARE MODE; {}",
             facts.table, table_guard(facts.seen())),
         facts.table, last, std::move(channels), std::move(answer)});
    next();
}

void Replayer::next() {
    if (asking_ || connecting_ || requests_.empty())
        return;
    if (!connection_.is_open()) {
        connecting_ = true;
        return connection_.open(conninfo_);
    }
    asking_ = true;
    // Nothing is asked of a table that is another one by now, or that its owner has given code to run.
    connection_.script(requests_.front().guard,
                       [this](const PgResult& result) { result.ok() ? read() : fail(result.error()); });
}

void Replayer::read() {
    const Request& request = requests_.front();
    connection_.query(
        fmt::format(
            "SELECT id, message, channel, NULL FROM (SELECT id, message, channel FROM ONLY {0} WHERE id > "
            "$1::int8 AND channel = ANY ($2::text[]) ORDER BY id LIMIT {1}) AS page "
            "UNION ALL SELECT NULL, NULL, NULL, EXISTS (SELECT FROM ONLY {0} WHERE id = $1::int8)",
            request.table, PAGE_ROWS),
        {std::to_string(request.last), pg_array(request.channels)},
        [this](const PgResult& result) { answer(result); });
    connection_.script("COMMIT", [this](const PgResult& result) {
        if (!result.ok())
            fail(result.error());
    });
}

void Replayer::answer(const PgResult& result) {
    if (!result.ok())
        return fail(result.error());
    asking_ = false;
    ReplayAnswer answer;
    int rows = 0;
    for (int row = 0; row < result.rows(); ++row) {
        if (result.is_null(row, 0)) {
            answer.last_exists = result.boolean(row, 3);
            continue;
        }
        ++rows;
        const Id id = result.number(row, 0);
        std::string error;
        if (auto element = make_element(id, result.text(row, 1), error); element && is_dispatched_(id))
            answer.elements.push_back({id, std::string(result.text(row, 2)), std::move(*element)});
        answer.next = id;
    }
    answer.more = rows == PAGE_ROWS;
    answer.pending = !is_dispatched_(requests_.front().last);
    const Request request = std::move(requests_.front());
    requests_.pop_front();
    request.answer(std::move(answer));
    idle_.start(IDLE_MS, [this] { connection_.close(); });
    next();
}

void Replayer::fail(const std::string& reason) {
    static log::Limited lines("failed replays", 1);
    lines.write(log::Level::warning, "what clients have missed cannot be read from the table: {}", reason);
    let_go();
}

void Replayer::let_go() {
    connection_.close();
    idle_.stop();
    connecting_ = asking_ = false;
    std::deque<Request> failed;
    failed.swap(requests_);
    for (const Request& request : failed) {
        ReplayAnswer answer;
        answer.failed = true;
        request.answer(std::move(answer));
    }
}

} // namespace odoo_bus

// Answers from the table: one bounded query for each page.
#include "database/replayer.h"

#include "base/log.h"
#include "database/bus_statements.h"
#include "postgres/pg_array.h"

namespace odoo_bus {

namespace {

constexpr size_t MAX_REQUESTS = 20'000; // that wait; beyond, clients are told to come back
constexpr uint64_t IDLE_MS = 60'000;

} // namespace

Replayer::Replayer(uv_loop_t* loop, std::string conninfo, const RowReader& row_reader,
                   std::function<bool(Id)> is_dispatched)
    : conninfo_(std::move(conninfo)), row_reader_(row_reader), is_dispatched_(std::move(is_dispatched)),
      connection_(loop, {.on_connected =
                             [this] {
                                 connecting_ = false;
                                 next();
                             },
                         .on_lost = [this](const std::string& reason) { fail(reason); },
                         .on_notify = [](std::string_view, std::string_view) {},
                         .purpose = "replay"}),
      idle_(loop) {}

void Replayer::configure(std::vector<Statement> statements) {
    for (Statement& statement : statements)
        (statement.name == "begin"    ? begin_
         : statement.name == "exists" ? exists_
                                      : replay_) = std::move(statement.sql);
}

void Replayer::ask(Id last, std::vector<std::string> channels, std::function<void(ReplayAnswer)> answer) {
    if (requests_.size() >= MAX_REQUESTS) {
        ReplayAnswer full;
        full.failed = true;
        return answer(std::move(full));
    }
    requests_.push_back({last, std::move(channels), std::move(answer)});
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
    connection_.script(begin_,
                       [this](const PgResult& result) { result.ok() ? read() : fail(result.error()); });
}

void Replayer::read() {
    const Request& request = requests_.front();
    connection_.query(exists_, {std::to_string(request.last)}, [this](const PgResult& exists) {
        if (!exists.ok())
            return fail(exists.error());
        const Request& asked = requests_.front();
        connection_.query(
            replay_, {std::to_string(asked.last), pg_array(asked.channels)},
            [this, last_exists = exists.boolean(0, 0)](const PgResult& page) { answer(page, last_exists); },
            PgConnection::LONG_PATIENCE_MS);
        connection_.script("COMMIT", [this](const PgResult& result) {
            if (!result.ok())
                fail(result.error());
        });
    });
}

void Replayer::answer(const PgResult& page, bool last_exists) {
    if (!page.ok())
        return fail(page.error());
    asking_ = false;
    ReplayAnswer answer;
    answer.last_exists = last_exists;
    for (int row = 0; row < page.rows(); ++row) {
        Row read = row_reader_.read(page, row);
        if (!read.element.empty() && is_dispatched_(read.id))
            answer.elements.push_back({read.id, std::move(read.channel), std::move(read.element)});
        answer.next = read.id;
    }
    answer.more = page.rows() == PAGE_ROWS || RowReader::is_cut(page);
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

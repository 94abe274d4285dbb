// Answers clients from the table when the history does not reach back to their `last`.
//
// It has a connection of its own, opened on demand and closed when idle, so that a search through a large
// table delays no delivery. Requests are answered one after the other.
#pragma once

#include <deque>
#include <functional>
#include <string>
#include <vector>

#include "base/timer.h"
#include "database/row_reader.h"
#include "postgres/pg_connection.h"
#include "postgres/statement.h"
#include "protocol/notification.h"
#include "protocol/replay_answer.h"

namespace odoo_bus {

class Replayer {
public:
    // `is_dispatched`: true for an id that will not be dispatched from now on.
    Replayer(uv_loop_t* loop, std::string conninfo, const RowReader& row_reader,
             std::function<bool(Id)> is_dispatched);
    // `statements`: replay_statements() of the table.
    void configure(std::vector<Statement> statements);

    void ask(Id last, std::vector<std::string> channels, std::function<void(ReplayAnswer)> answer);

    // Closes the connection; requests that are waiting fail.
    void let_go();

private:
    struct Request {
        Id last;
        std::vector<std::string> channels;
        std::function<void(ReplayAnswer)> answer;
    };

    void next();
    void read();
    void answer(const PgResult& page, bool last_exists);
    void fail(const std::string& reason);

    const std::string conninfo_;
    const RowReader& row_reader_;
    std::string begin_, exists_, replay_; // the statements
    const std::function<bool(Id)> is_dispatched_;
    PgConnection connection_;
    Timer idle_;
    std::deque<Request> requests_; // the first one is being asked when asking_
    bool connecting_ = false;
    bool asking_ = false;
};

} // namespace odoo_bus

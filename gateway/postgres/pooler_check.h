// Whether a connection is one process of the server for all of its time, as LISTEN, settings and advisory
// locks need, or leads to a pooler that gives the process away after each transaction or statement.
//
// The queries ask for process ids only, with settings that end with their transaction, so that no session
// state is left in such a pooler. Without a pooler one query is enough, which pins the settings of the
// session (session_settings.h); behind one that keeps sessions another query does.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>

#include "base/timer.h"
#include "postgres/pg_connection.h"
#include "postgres/session_settings.h"

namespace odoo_bus {

// The problem, and its remedy.
inline constexpr const char* PROCESSES_ARE_GIVEN_AWAY =
    "a pooler in between gives the server's processes away after each transaction or statement, so that "
    "LISTEN hears nothing";
inline constexpr const char* CONNECT_PAST_THE_POOLER =
    "point --database and --hub-database at the server itself, or at a pool with pool_mode = session";

class PoolerCheck {
public:
    // `connection`: was just opened with `conninfo`, and outlives this. `answer`: empty, or one sentence with
    // the remedy; called once, and may destroy this.
    PoolerCheck(uv_loop_t* loop, PgConnection& connection, std::string conninfo, SessionUse use,
                std::function<void(const std::string& problem)> answer);

private:
    void ask();
    void hear(int64_t process);
    void ask_other();
    void pin();
    void decide(const std::string& problem);

    PgConnection& connection_;
    const std::string conninfo_;
    const SessionUse use_;
    std::function<void(const std::string&)> answer_;
    PgConnection other_; // through the same pooler
    Timer patience_;     // with it
    std::set<int64_t> processes_;
    std::optional<int64_t> others_process_;
    std::string problem_; // of the other connection
    unsigned asked_ = 0;
};

} // namespace odoo_bus

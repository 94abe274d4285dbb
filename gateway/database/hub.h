// The database in which Odoo itself notifies (`postgres`): hears for which databases something is new.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/timer.h"
#include "config/options.h"
#include "postgres/pg_connection.h"
#include "postgres/reconnect.h"

namespace odoo_bus {

class Hub {
public:
    // `ring`: called with a database's name, or with an empty one when it may be any.
    Hub(uv_loop_t* loop, std::string conninfo, Switch relay,
        std::function<void(const std::string& database)> ring);

    bool relays() const { return relays_; }
    // Another process of this gateway passes on, or none does, until succeed() is called.
    void follow();
    // `relays`: the other process has passed on until now, so this one does from now on.
    void succeed(bool relays);

    // Another process has taken over: it ends when what is on its way was passed on.
    void retire();
    // Any thread: something is on its way to the hub.
    bool is_passing_on() const { return passing_.load(std::memory_order_relaxed) != 0; }

    // What was heard in an Odoo database: Odoo's own servers listen only here.
    void pass_on(std::string_view payload);

private:
    void connected();
    void lose(const std::string& reason);
    void heard(std::string_view payload);
    void ping();
    void judge_relay();
    void take_relay();
    void inherit_relay();
    void pass();
    void notify(std::vector<std::string> payloads);
    void passed(size_t count);
    void refused(const std::vector<std::string>& payloads);
    void dispose(size_t count);

    const std::string conninfo_;
    const std::function<void(const std::string&)> ring_;
    const Switch relay_;
    PgConnection connection_;
    Reconnect reconnect_;
    Timer take_;                       // tries again to be the one that passes on
    Timer ping_;                       // the connection is to be heard of now and then
    bool may_relay_ = false;           // --relay lets it, and the doorbell's worker does not
    bool relays_ = false;              // it is
    std::vector<std::string> waiting_; // payloads, for those before them to be passed on
    std::atomic<size_t> passing_ = 0;  // payloads that are on their way, with those that wait
    // Of one process of this gateway that takes over from another.
    bool retired_ = false;
    bool follows_ = false;
    bool inherits_ = false; // that one has passed on, and whether this one has the lock is not known yet
    std::deque<std::pair<Monotonic, std::string>> recent_; // payloads, and when they were heard
};

} // namespace odoo_bus

// One database: its connection, from the first try to the last, and the part of it that is moved when one
// process of a gateway takes over from another.
//
// TableStart finds out where to begin, TableReader reads; what is known all the time is in DatabaseState.
#pragma once

#include <atomic>
#include <functional>
#include <string>
#include <vector>

#include "base/timer.h"
#include "database/database_follower.h"
#include "database/database_metrics.h"
#include "database/database_observer.h"
#include "database/replayer.h"
#include "database/row_reader.h"
#include "database/table_facts.h"
#include "database/table_reader.h"
#include "database/table_start.h"
#include "database/user_watch.h"
#include "ledger/database_state.h"
#include "postgres/pg_connection.h"
#include "postgres/reconnect.h"
#include "take_over/message.h"

namespace odoo_bus {

class Database {
public:
    struct Settings {
        std::string conninfo;
        std::string name;         // of the database
        std::string state_dir;    // empty: nothing is kept
        size_t state_entries = 0; // how many dispatched ids it remembers
        uint32_t gateway_key = 0; // another one for each gateway; below 2^31
        History::Bounds history;
        uint64_t max_row_bytes = 0;                          // a larger row of the table is left out
        std::atomic<unsigned>* available;                    // how many databases are being read, and answer
        std::atomic<unsigned>* known;                        // how many have been read at least once
        std::function<void(std::string_view payload)> heard; // what was notified in it
        // Called once when it cannot be read at the first try; then it does nothing any more. Empty: it goes
        // on trying.
        std::function<void(const std::string& why)> refused;
        std::function<void()> began; // it is being read, for the first time
        // Its server is a standby; called while it has not been read yet.
        std::function<void()> found_standby;
        // Another process of this gateway reads it, until this one takes over; called when it could do that
        // at once. None: this process reads it from the start.
        std::function<void()> prepared;
    };

    Database(uv_loop_t* loop, Settings settings, DatabaseObserver& observer);
    ~Database();

    const std::string& name() const { return settings_.name; }
    // Something may be new: reads, at once or after the read that is under way.
    void ring() { reader_.ring(); }
    void replay(Id last, std::vector<std::string> channels, std::function<void(ReplayAnswer)> answer);
    // The database is no longer served: removes its state file.
    void remove_state() { state_.remove(); }
    bool has_begun() const { return has_run_; }
    uint64_t history_bytes() const { return state_.history.bytes(); }
    // Keeps no more than this, from the next read on.
    void limit_history(uint64_t bytes) { state_.history.limit(bytes); }

    // --- another process takes over (succession.h) ---

    using Send = std::function<void(take_over::OfDatabase message)>;
    // All that is known so far. What is told to the observer after that brings it forward.
    void describe(const Send& send) const;
    // Reads no more. `frozen`: called when nothing more will be told to the observer, at once or when the
    // read that is under way has ended. The state file is let go then.
    void freeze(std::function<void()> frozen);
    // Where a frozen one has stopped; nothing is sent when the other process had better begin by itself.
    void send_ledger(const Send& send) const;
    // It goes on, since the other process did not take over.
    void thaw();
    // It never will.
    void retire();

    // --- this process takes over ---

    // What describe(), the observer and send_ledger() of the other process have said. False when it does not
    // fit to what came before.
    bool follow(const take_over::OfDatabase::What& message);
    bool is_prepared() const { return phase_ == Phase::PREPARED; }
    bool is_followed() const { return follower_.there() != DatabaseFollower::There::UNKNOWN; }
    // As if it had not been refused.
    void try_again();
    // The other process reads the database now, so that this one must be able to.
    bool must_be_prepared() const { return follower_.there() >= DatabaseFollower::There::READ; }
    void take();

private:
    // Of the connection.
    enum class Phase {
        CLOSED,     // the next try is waited for, or there is none
        CONNECTING, // or finding out where to begin
        PREPARED,   // listens, and does not read as long as it follows
        READING,
        RESTARTING, // has been reading, and begins with another table
    };
    enum class Role {
        READS,   // this process reads the database, or tries to
        FOLLOWS, // another one reads it; this one is told, and is going to take over
        FROZEN,  // another one takes over, or has taken over
    };
    using Knowledge = DatabaseState::Knowledge;

    PgConnection::Handlers connection_handlers();
    TableStart::Handlers start_handlers();
    TableReader::Handlers reader_handlers();

    void connect();
    void connected();
    void inspect(const PgResult& row);
    void listening();
    void prepare_statements();
    bool failed(const PgResult& result, const char* what);
    void lose(const std::string& reason);
    void disconnect();
    void let_go();
    void stay_away();
    void go_on();
    void start_afresh(const std::string& why);
    void run();
    void stop_reading(Phase next);
    void set_available(bool available);
    void watch();
    bool check(const TableReader::Check& check);
    void note_peers(bool seen);
    void stop_connecting();
    void hear_out();
    void settle();
    void tell(const DatabaseEvent& event) const { observer_.on_event(settings_.name, event); }

    const Settings settings_;
    DatabaseObserver& observer_;
    DatabaseMetrics metrics_;
    DatabaseState state_;
    ServerFacts server_;
    std::vector<std::string> refusals_; // that were logged
    TableFacts facts_;
    RowReader row_reader_;
    PgConnection connection_;
    TableStart start_;
    TableReader reader_;
    Replayer replayer_;
    UserWatch user_watch_;
    DatabaseFollower follower_;
    Phase phase_ = Phase::CLOSED;
    Role role_;
    std::function<void()> frozen_; // until it is
    bool has_run_ = false;         // it has been read, by this process
    bool is_available_ = false;    // it is being read, and answers
    bool is_away_ = false;         // until it is read again no connection may be in the way of others
    bool has_peers_ = false;
    const Monotonic created_ = MonotonicClock::now();
    Monotonic reading_since_ = {};
    Monotonic peers_until_ = {}; // clients may come from another gateway
    Reconnect reconnect_;
    Timer return_; // after let_go()
    Timer watch_;  // every second
};

} // namespace odoo_bus

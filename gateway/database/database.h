// One database: its connection, its doorbell, and the reads by which every notification is dispatched once,
// in commit order (ledger.h).
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/timer.h"
#include "database/database_metrics.h"
#include "database/database_observer.h"
#include "database/replayer.h"
#include "database/table_facts.h"
#include "database/user_watch.h"
#include "ledger/history.h"
#include "ledger/read_cycle.h"
#include "ledger/state_file.h"
#include "postgres/pg_connection.h"
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
        std::atomic<unsigned>* available; // how many databases are being read; counted up and down
        std::atomic<unsigned>* known;     // how many have been read at least once
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
    void ring();
    void replay(Id last, std::vector<std::string> channels, std::function<void(ReplayAnswer)> answer);
    // What it has kept is for nobody any more.
    void remove_state();
    bool has_begun() const { return has_run_; }

    // --- another process takes over (database_thread.h) ---

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
    bool is_prepared() const { return prepared_; }
    bool is_followed() const { return is_followed_; }
    // As if it had not been refused.
    void try_again();
    // The other process reads the database now, so that this one must be able to.
    bool must_be_prepared() const { return is_read_there_; }
    void take();

private:
    // Ids of a table that was not followed before: so many of the newest are looked at for gaps.
    static constexpr int ADOPTED_IDS = 100'000;

    // --- the connection ---
    void connect();
    void connected();
    void inspect(const PgResult& row);
    void listening(const TableIdentity& before);
    void prepare_statements();
    void lose(const std::string& reason);
    void disconnect();
    void let_go();
    void stay_away();
    bool failed(const PgResult& result, const char* what);

    // --- where to begin ---
    void begin();
    void restore();
    void restore_rows(size_t from, std::vector<BatchPtr> kept);
    void restored(std::vector<BatchPtr> kept);
    TableIdentity identity() const;
    void go_on_from(TableIdentity before);
    void open_state();
    void hear_out();
    void settle();
    bool follow_event(const DatabaseEvent& event);
    bool follow_publish(const event::Publish& publish);
    bool follow_kept(const BatchPtr& batch);
    bool follow_begun(const take_over::Begun& begun);
    bool follow_left_off(const take_over::LeftOff& left_off);
    void tell(const DatabaseEvent& event) const { observer_.on_event(settings_.name, event); }
    void adopt_table(bool missed);
    void adopt_rows(const PgResult& result, bool missed);
    void compare_newest();
    void compare_rows(const PgResult& result, History::Newest& known);
    void start_afresh(const std::string& why);
    void run();

    // --- the cycle ---
    void cycle();
    void ask_next();
    void ask_read();
    void ask_holders();
    void ask_probe();
    void finish();
    void rest();
    void note_peers(bool seen);
    void publish(std::vector<Row> rows);
    void remember(const Batch& batch);
    void checkpoint();
    void tick();
    void check(const PgResult& result);

    const Settings settings_;
    DatabaseObserver& observer_;
    PgConnection connection_;
    Replayer replayer_;
    ReadCycle cycle_;
    History history_;
    std::unique_ptr<StateFile> state_;
    std::optional<StateFile::Loaded> loaded_; // from state_, until it has been restored
    TableFacts facts_;
    Position adopted_until_ = 0;
    bool known_ = false; // facts_, cycle_ and history_ are of this process or of the state file
    // What has to be done before the next cycle, by however many connections it takes.
    bool outdated_ = false;   // to begin with the table as it is, and to tell clients
    bool uncompared_ = false; // to find out what the server lost when it was restarted

    bool running_ = false;     // cycles may run
    bool has_run_ = false;     // or did so
    bool away_ = false;        // somebody wants the database to himself: no connection until the next one
    bool in_snapshot_ = false; // it is inside a transaction, so that all its statements have one snapshot
    bool ticked_ = false;      // this cycle is to look at the sequence and the table, too
    bool has_peers_ = false;
    Monotonic peers_until_ = {}; // clients may come from another gateway
    Monotonic read_;             // when the last cycle was finished
    Timer retry_;
    Timer safety_;  // a cycle without any doorbell
    Timer recheck_; // a cycle because gaps are open
    uint64_t retry_ms_ = 0;
    std::string last_problem_; // that was logged
    bool connecting_ = false;  // or finding out where to begin
    // While another process takes over.
    bool is_frozen_ = false;
    std::function<void()> frozen_;
    // While this process takes over.
    bool following_;
    bool prepared_ = false;    // connected, and listens
    bool is_followed_ = false; // the other process knows it, too
    bool is_read_there_ = false;
    event::Begin beginning_;     // of the history that is on its way
    std::vector<BatchPtr> kept_; // of it, so far
    std::optional<TableIdentity>
        inherited_; // of the table that the other process read, until it was compared
    DatabaseMetrics metrics_;
    UserWatch user_watch_;
};

} // namespace odoo_bus

// One database's bus_presence: writes the roster's changes in batches, sends this gateway's heartbeat, and
// removes the rows of dead gateways.
//
// Each write is one transaction under a lock that all gateways take, so that they agree on the first join and
// the last leave of a member. While the database is away the changes wait in the roster, which is bounded.
//
// Whether a gateway is dead is decided by the clock of the database server; when to send the next heartbeat,
// by this machine's monotonic clock.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/timer.h"
#include "metrics/metrics.h"
#include "postgres/pg_connection.h"
#include "postgres/reconnect.h"
#include "postgres/table_code.h"
#include "presence/presence_roster.h"

namespace odoo_bus {

class PresenceTable {
public:
    struct Settings {
        std::string database;
        std::string conninfo;
        std::string gateway;
        Monotonic others_until; // another process of this gateway may have clients until then
        bool notify = false;    // send `presence` notifications
        Duration heartbeat = {};
        size_t batch = 0; // rows that one transaction writes, and as many that it expires
        PresenceRoster::Bounds bounds;
    };

    PresenceTable(uv_loop_t* loop, Settings settings);
    ~PresenceTable();

    void set(uint64_t connection, const std::string& member, const std::vector<std::string>& channels);
    void gone(uint64_t connection);

    // The database is to be copied, renamed or dropped: no connection may stay until expect().
    void let_go();
    void expect();

    // Several times a second.
    void tick();

private:
    using Then = std::function<void(const PgResult&)>;

    void connected();
    void inspect(const PgResult& found);
    void prepare(const std::vector<SeenTable>& tables);
    void disconnect();
    void lose(const std::string& reason);
    Then checked(const char* what, Then then);
    void execute(const char* name, const std::vector<std::string>& parameters, Then then);
    void execute_notifying(const char* name, const std::vector<std::string>& parameters, Then then);
    void ping();
    void rest();
    void beat();
    void heard_beat(const PgResult& result);
    void enlist();
    void change();
    void expire();
    void commit();
    void refused(const PgResult& result);
    double lifetime_seconds() const;

    const Settings settings_;
    PresenceRoster roster_;
    PgConnection connection_;
    Reconnect reconnect_;
    Timer patience_;
    std::string schema_; // of the extension, quoted
    bool ready_ = false; // the statements are prepared
    bool away_ = false;  // between let_go() and expect()
    bool busy_ = false;  // a transaction or a ping is under way
    bool known_ = false; // what the table has of this gateway is what the roster believes
    std::string begun_;  // of the table, when it was looked at last
    PresenceRoster::Changes writing_;
    bool committing_ = false; // the answer is awaited
    bool is_due_ = false;     // the transaction that is under way is a heartbeat
    Monotonic next_beat_;
    Monotonic next_ping_;
    Monotonic beating_since_;
    metrics::Value &up_, &rows_, &waiting_, &joins_, &leaves_, &expired_, &without_place_;
};

} // namespace odoo_bus

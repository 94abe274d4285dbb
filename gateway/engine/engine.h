// One gateway among those that share one order, without input or output: the driver hands in what Redis,
// PostgreSQL and the readers of the tables answered, and carries out the commands.
//
// Every gateway is an edge (edge.h); one is the leader (leadership.h), too. What each of them keeps in Redis:
// the stream, whose end is the head (append_rule.h), and a record (edge_record.h), by which others judge the
// `last` of a client that moves (last_rule.h).
//
// The driver, which is to come, does this:
//
// * It calls tick() ten times a second, and take_commands() after each call. What has arrived is handed in
//   before a tick.
// * While Redis is connected, and the edge is not LOCAL, it reads the stream after edge().applied() and hands
//   in every entry in turn -> read(). When nothing comes for a second -> reading_timed_out(): behind the end
//   of a stream that was lost XREAD waits for ever. A process that has just started reads from the oldest
//   entry, so that it can append again what Redis loses.
// * Commands to Redis go over one connection, in turn. Before it is given up it is reset, not closed in good
//   order, so that what was not sent never will be.
// * A client is accepted once is_ready().
//
// Invariants:
//
// 1. Clients here are told what is in the stream; what the leader cannot append, only when Redis has been
//    away for LEASE; what was read from the table here, only LEASE after the last record that was sent to
//    say that this gateway follows.
// 2. One command to write the stream is under way at a time.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "base/clock.h"
#include "engine/command.h"
#include "engine/edge.h"
#include "engine/edge_table.h"
#include "engine/last_rule.h"
#include "engine/leadership.h"
#include "engine/ledger_announcer.h"
#include "engine/stream_writer.h"

namespace odoo_bus {

class Engine {
public:
    struct Settings {
        std::string name;      // of this gateway, unique; another one for a process without its state files
        bool may_lead = true;  // --engine-role any
        bool may_write = true; // its Redis user may
        EntryLog::Bounds history = {};
    };

    Engine(Settings settings, Edge::Saved saved, Monotonic now);

    Commands take_commands() { return std::exchange(commands_, {}); }
    // `unix_ms`: the wall clock, for epochs, which are right without it.
    void tick(Monotonic now, uint64_t unix_ms);

    // --- from Redis ---

    void connected(Monotonic now);
    void disconnected();
    void read(const EntryPtr& entry, Monotonic now);
    void reading_timed_out();
    void head_is(EntryId head, Monotonic now);
    void records_are(const EdgeTable::Records& records, Monotonic now);

    // --- from PostgreSQL ---

    void locked(Monotonic now);
    void lock_lost(Monotonic now);

    // --- from the readers of the tables ---

    // The leader's. False: it does not lead any more, and the event is nobody's.
    bool publish(const std::string& database, DatabaseEvent event, Monotonic now);
    // A cycle has ended, with this ledger.
    void announce(const std::string& database, const Checkpoint& ledger, Monotonic now);
    // After ReadTables, of a database without a ledger: what is in the table counts as given out.
    void adopt(const std::string& database, const Checkpoint& ledger);
    // After ReadTables. False: it is to be dropped, since the common order goes on.
    bool give(const std::string& database, const Batch& batch);
    // The tables were read to their ends, in reads that began after ReadTables.
    void tables_read();

    // --- for clients ---

    bool is_ready() const { return is_ready_; }
    // `head`: asked by the driver after the client had come. `waited`: since then.
    LastDecision judge_last(const std::string& database, Id last, const std::string& former,
                            std::optional<EntryId> head, Duration waited, Monotonic now) const;

    const Edge& edge() const { return edge_; }
    const Leadership& leadership() const { return leadership_; }
    // Redis has not answered for so long that this gateway goes on without it.
    bool is_cut_off() const { return is_cut_off_; }

private:
    void exchange_records(Monotonic now);
    void watch_redis(Monotonic now);
    void follow_or_read(Monotonic now);
    void seek_lead(Monotonic now, uint64_t unix_ms);
    void lead(Monotonic now);
    void let_lead_go(Monotonic now);
    void step_down(Monotonic now);
    void see_head(EntryId head, Monotonic now);
    void write(Monotonic now);
    bool apply(const EntryPtr& entry, Monotonic now);
    void append(std::string database, EntryEvent event, Monotonic now);

    const Settings settings_;
    Commands commands_;
    Edge edge_;
    EdgeTable table_;
    StreamWriter writer_;
    Leadership leadership_;
    std::map<std::string, LedgerAnnouncer> announcers_;

    enum class Redis { AWAY, ANSWERS, IS_ASKED }; // for the records, which has to be answered within LEASE
    Redis redis_ = Redis::AWAY;
    bool is_cut_off_ = false;
    bool is_reading_tables_ = false;
    bool is_ready_ = false;
    EntryId newest_head_ = NO_ENTRY; // that was seen: Redis may have lost it before it was read here
    std::optional<Monotonic> head_lost_;
    Monotonic connected_since_ = {};
    Monotonic record_sent_; // the last one
    Monotonic common_sent_; // the last one that said that this gateway follows
    Monotonic heard_;       // of a leader
    Monotonic ticked_;
    Monotonic seek_at_ = {}; // the lock again
    Monotonic ended_holder_at_ = {};
};

} // namespace odoo_bus

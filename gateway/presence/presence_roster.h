// The rows that one database's table bus_presence is to have for this gateway, and which of them are stored.
//
// Invariants:
//
// 1. A row exists while a connection has it, for the grace time after the last one, and while it is stored.
// 2. leaving_ holds the rows without a connection, by when their grace time ends.
// 3. joining_ holds the rows that are to be stored, in the order in which they came.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/keyed_hash.h"

namespace odoo_bus {

class PresenceRoster {
public:
    struct Bounds {
        size_t rows = 100'000;
        size_t members = 1'000; // of one channel
        Duration grace = std::chrono::seconds(10);
    };
    using Pair = std::pair<std::string, std::string>; // channel and member
    struct Join {
        Pair who;
        // The row was in the table before a crash of the server emptied it: no second notification is sent.
        bool quiet = false;
    };
    struct Changes {
        std::vector<Join> joins;
        std::vector<Pair> leaves;
        bool empty() const { return joins.empty() && leaves.empty(); }
    };

    explicit PresenceRoster(Bounds bounds) : bounds_(bounds) {}

    // A connection has these channels now, as this member. Returns how many found no place.
    size_t set(uint64_t connection, const std::string& member, const std::vector<std::string>& channels,
               Monotonic now);
    void gone(uint64_t connection, Monotonic now);

    // Forgets members that came and went before they could be written. Not while changes are being written.
    void prune(Monotonic now);
    // The next changes to be written, at most `limit`. Before the next call they are written() or given up
    // with give_up(), or the table is read anew.
    Changes changes(size_t limit, Monotonic now);
    void written(const Changes& changes);
    // The connection was lost before the commit was answered: whether they were written shows when the table
    // is read anew, unless a crash has emptied it.
    void doubt(const Changes& changes);
    // The database does not take them, and never will: the joins that are `suspicious` are not tried again
    // or, when none is, all of them. Returns how many.
    size_t give_up(const Changes& changes, const std::function<bool(const Pair&)>& suspicious);

    // What the table has of this gateway. `emptied`: it was emptied by a crash since it was looked at last.
    void assume(const std::vector<Pair>& stored, bool emptied, Monotonic now);

    size_t rows() const { return rows_; }
    size_t stored() const { return stored_; }
    // Rows that are still to be written.
    size_t waiting() const { return joining_.size(); }

private:
    // Whether subscribers were notified of it, since it was in the table.
    enum class Told : uint8_t { no, perhaps, yes };
    struct Channel;
    struct Row {
        Channel* channel = nullptr;
        const std::string* member = nullptr;
        unsigned connections = 0;
        bool stored = false;
        Told told = Told::no;
        uint64_t turn = 0; // in joining_; 0: it is not there
        Monotonic due;     // in leaving_, while there is no connection
    };
    struct Channel {
        const std::string* name = nullptr;
        std::map<std::string, Row> members;
    };

    Row* find(const Pair& who);
    Row& make(const std::string& channel, const std::string& member);
    bool has_place(const std::string& channel) const;
    void join(Row& row);
    void stay(Row& row);
    void hold(Row& row);
    void release(Row& row, Monotonic now);
    void erase(Row& row);
    void set_stored(Row& row, bool stored);

    const Bounds bounds_;
    KeyedMap<std::string, Channel> channels_;
    KeyedMap<uint64_t, std::vector<Row*>> connections_;
    std::map<uint64_t, Row*> joining_;
    uint64_t last_turn_ = 0;
    std::set<std::pair<Monotonic, Row*>> leaving_;
    size_t rows_ = 0, stored_ = 0;
};

} // namespace odoo_bus

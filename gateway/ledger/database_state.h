// What is known of one database: the ledger, the history, and the state file in which the next process finds
// both again.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "ledger/history.h"
#include "ledger/read_cycle.h"
#include "ledger/state_file.h"

namespace odoo_bus {

class DatabaseState {
public:
    struct Settings {
        std::string database;  // its name
        std::string directory; // of the state file; empty: nothing is kept
        size_t entries = 0;    // how many dispatched ids the file remembers
        History::Bounds history;
    };

    explicit DatabaseState(Settings settings) : history(settings.history), settings_(std::move(settings)) {}

    ReadCycle cycle;
    History history;
    TableIdentity identity = {}; // of the table that is read
    Monotonic read = {};         // when it was last read to its end
    Position adopted_until = 0;  // positions up to this one were read from the table, not dispatched

    // How far that is the truth about the table that is connected to. Each one implies those before it.
    enum class Knowledge {
        NONE,       // nothing is known yet
        CURRENT,    // it is read on from there
        UNCOMPARED, // the server was restarted: what it lost is to be found out
        OUTDATED,   // it is another table: to begin with that as it is, and to tell clients
    };
    Knowledge knowledge = Knowledge::NONE;

    // Another table, or another run of its server, makes what is known less true. It takes a comparison, or a
    // new beginning, by however many connections, to make it current again.
    void compare_identity(const TableIdentity& before);

    // Opens the file unless it is open. Returns what an earlier process has left in it.
    std::optional<StateFile::Loaded> open();
    // Opens the file, to go on in it from what is known here.
    void reopen();
    // Another process may open it.
    void close() { file_.reset(); }
    bool is_open() const { return file_ != nullptr; }
    const std::string& directory() const { return settings_.directory; }
    // Removes the file: what is known is no longer needed.
    void remove();
    // Everything before `next` is forgotten in the file, until the next checkpoint().
    void clear_file(Position next);

    // Gives rows that were read their positions, and writes those down. Null when none can be delivered.
    BatchPtr dispatch(std::vector<Row> rows);
    // Writes the ledger down. Needed now and then only: what is dispatched after it brings it forward.
    void write_checkpoint();
    // True when the file soon has no room for more.
    bool needs_checkpoint() const { return file_ && file_->room() < settings_.entries / 2; }
    Checkpoint checkpoint() const;

private:
    StateFile::Opened open_file();
    void write(const Batch& batch);

    const Settings settings_;
    std::unique_ptr<StateFile> file_;
};

} // namespace odoo_bus

// What the gateway remembers of one database across kill -9: the order of the dispatched ids, and the ledger.
//
// Three files share the name <path>:
//
//   <path>.order   the newest dispatched ids (order_ring.h), memory-mapped: every append() is in it at once
//   <path>.ledger  the last checkpoint of the ledger (checkpoint.h), replaced whole by a rename
//   <path>.lock    locked by the gateway that uses the other two
//
// Whenever the process is killed, they say exactly what was appended: the checkpoint, brought forward by the
// entries after it. They are not flushed to the disk: after a crash of the machine they may be seconds old,
// or be refused. Files that are damaged, foreign or of another format are renamed to
// <path>.order.damaged-<n> and <path>.ledger.damaged-<n>, and never trusted.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ledger/checkpoint.h"
#include "ledger/dispatched.h"

namespace odoo_bus {

class StateFile {
public:
    struct Loaded {
        Position first; // of entries.front()
        std::vector<Dispatched> entries;
        Checkpoint ledger; // its `next` is the position of the next append()
    };

    struct Opened {
        std::unique_ptr<StateFile> file; // null: go on without one, and log `message` as an error
        std::optional<Loaded> loaded;    // none: begin afresh, and log `message` as a warning if there is one
        std::string message;             // what happened, and what to do
    };

    // `capacity`: how many entries are kept. The files may be of another capacity.
    static Opened open(const std::filesystem::path& path, size_t capacity);

    // The name that stands for a database in a directory: "/" and other odd characters as %2f.
    static std::string name_of(std::string_view database);

    ~StateFile();
    StateFile(const StateFile&) = delete;
    StateFile& operator=(const StateFile&) = delete;

    // Call it before a batch is handed to the connections. `first` is the position after the last one that
    // was appended; with another one everything before it is forgotten. Until the first checkpoint() nothing
    // is remembered.
    void append(Position first, std::span<const Dispatched> batch);

    // How many entries may be appended before the next checkpoint(): more make the file forget the ledger
    // until then. 0 while there is no checkpoint.
    size_t room() const;

    // Call it when everything that the ledger has seen is appended: its `next` is set here. False, and why in
    // message(), when it could not be written; the former one counts as long as there is room.
    bool checkpoint(Checkpoint ledger);
    const std::string& message() const { return message_; }

    // Removes the files. Nothing but its end may follow.
    void remove();

    // Forgets everything, until the next checkpoint(). The next append() is at `next`.
    void clear(Position next);

private:
    class Files;

    explicit StateFile(std::unique_ptr<Files> files);

    std::unique_ptr<Files> files_;
    std::string message_;
};

} // namespace odoo_bus

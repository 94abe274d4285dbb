// What one database's gateway remembers across kill -9: the order of the dispatched ids, and the ledger.
//
// Two files and a lock stand in the state directory:
//
//   <name>.order   a ring of dispatched ids, memory-mapped: every append() is in it at once
//   <name>.ledger  the last checkpoint of the ledger, replaced whole by a rename
//   <name>.lock    locked by the gateway that uses the other two
//
// Whenever the process is killed, they say exactly what was appended: the checkpoint, brought forward by the
// entries appended after it. They are not flushed to the disk: after a crash of the machine they may be some
// seconds old, or be refused. Files that are damaged, foreign or of another format are renamed to
// <name>.<...>.damaged-<n> and never trusted.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "id_set.h"
#include "notification.h"

namespace odoo_bus {

// Which table was read. The file stores it with the ledger and hands it back; what a difference means is the
// caller's business.
struct Identity {
    uint64_t system_identifier = 0;
    int64_t postmaster_start_us = 0;
    uint32_t timeline = 0;
    uint32_t database_oid = 0;
    uint32_t relation_oid = 0;
    bool operator==(const Identity&) const = default;
};

struct Dispatched {
    Id id;
    uint64_t fingerprint;
    int64_t dispatched_us;
    bool ahead = false; // dispatched without moving max_seen
    bool operator==(const Dispatched&) const = default;
};

class StateFile {
public:
    struct Loaded {
        Identity identity;
        Position first; // of the first entry; the next to append is first + entries.size()
        std::vector<Dispatched> entries;
        Id max_seen;
        IdSet gaps;
        IdSet ahead; // ids above max_seen that were dispatched
    };

    struct Opened {
        std::unique_ptr<StateFile> file; // null: go on without one, and log `message` as an error
        std::optional<Loaded> loaded;    // none: start afresh, and log `message` unless it is empty
        std::string message;             // what happened and what to do
    };

    // `capacity`: how many entries are kept. Files of another capacity are taken over.
    static Opened open(const std::filesystem::path& directory, std::string_view database, size_t capacity);

    ~StateFile();
    StateFile(const StateFile&) = delete;
    StateFile& operator=(const StateFile&) = delete;

    // Call it before a batch is handed to the connections. `first` is the position after the last appended
    // one. Until the first checkpoint() nothing is remembered.
    void append(Position first, std::span<const Dispatched> batch);

    // How many entries may follow before the next checkpoint() is due: an append() of more drops the ledger
    // until that checkpoint.
    size_t room() const;

    // Call it when everything that the ledger has seen is appended. False, and message(), when it cannot be
    // written; the former one then still counts.
    bool checkpoint(const Identity& identity, Id max_seen, const IdSet& gaps, const IdSet& ahead);
    const std::string& message() const { return message_; }

    // Forgets everything, up to the next checkpoint(); the next append() is at `next`.
    void clear(Position next);

private:
    struct Files;
    explicit StateFile(std::unique_ptr<Files> files);

    std::unique_ptr<Files> files_;
    std::string message_;
};

} // namespace odoo_bus

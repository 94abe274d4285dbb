// The ledger of one database at one position of the dispatch order, and its bytes.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "ledger/dispatched.h"

namespace odoo_bus {

// The table that was read. It is stored with the ledger and handed back; the caller decides what a difference
// means. A server may not tell the first three, which are zero then.
struct TableIdentity {
    uint64_t system_identifier = 0;
    WallTime postmaster_start = {};
    uint32_t timeline = 0;
    uint32_t database_oid = 0;
    uint32_t relation_oid = 0;
    bool operator==(const TableIdentity&) const = default;

    bool is_another_table(const TableIdentity& other) const {
        const bool is_another_server = system_identifier != 0 && other.system_identifier != 0 &&
                                       system_identifier != other.system_identifier;
        return is_another_server || database_oid != other.database_oid || relation_oid != other.relation_oid;
    }
    // The server has neither been restarted nor failed over.
    bool is_same_run(const TableIdentity& other) const {
        return postmaster_start != WallTime() && timeline != 0 &&
               postmaster_start == other.postmaster_start && timeline == other.timeline;
    }
};

struct Checkpoint {
    TableIdentity identity = {};
    Position next = 1; // everything before this position is in it
    Id max_seen = 0;
    Id settled = 0;     // ids up to this one may have been dispatched before the entries that are kept
    WallTime read = {}; // when the table was last read to its end
    IdSet gaps = {};
    IdSet ahead = {}; // ids above max_seen that were dispatched
    bool operator==(const Checkpoint&) const = default;

    // Applies what was dispatched after it.
    void advance(std::span<const Dispatched> entries);
};

// `file_id`: of the order_ring that it belongs to.
std::string encode_checkpoint(const Checkpoint& checkpoint, uint64_t file_id);

// Nothing, and why, when `bytes` are not what encode_checkpoint() made with the same `file_id`.
std::optional<Checkpoint> decode_checkpoint(std::string_view bytes, uint64_t file_id, std::string& why);

} // namespace odoo_bus

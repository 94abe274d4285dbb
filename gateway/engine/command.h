// What the engine asks of its driver, which has the connections to Redis and PostgreSQL. Each method of
// Engine that says so is the answer; a connection that is lost answers nothing.
#pragma once

#include <optional>
#include <variant>
#include <vector>

#include "engine/edge_record.h"
#include "engine/entry.h"

namespace odoo_bus {

namespace command {

// --- to Redis, in this order ---

// The key `:head`. -> Engine::head_is()
struct ReadHead {};

// APPEND_SCRIPT. -> head_is()
struct Append {
    EntryPtr entry;
};

// Written aside, then RESTORE_SCRIPT. -> head_is()
struct Restore {
    EntryId seen;
    std::vector<EntryPtr> entries;
};

// All that stand in the hash `:edges`, after this gateway's own was written; none: it may not write.
// -> records_are()
struct ExchangeRecords {
    std::optional<EdgeRecord> own;
};

// --- to PostgreSQL ---

// The advisory lock, waited for. -> locked(); lock_lost() when the session ends, before or after
struct WaitForLock {};

// The session that has the lock is terminated.
struct EndHolder {};

struct Unlock {};

// --- to the databases of this process ---

// An entry was applied. `batch`: what clients here were not given yet of what it publishes.
struct Give {
    EntryPtr entry;
    BatchPtr batch;
};

// Read the tables on from FollowedDatabase::lead_from(), and tell it what is read -> publish(), announce(). A
// database without a ledger is begun anew.
struct Lead {};
struct StopLeading {};

// The same, from FollowedDatabase::given(). -> give(), tables_read()
struct ReadTables {};
struct StopReadingTables {};

} // namespace command

using Command =
    std::variant<command::ReadHead, command::Append, command::Restore, command::ExchangeRecords,
                 command::WaitForLock, command::EndHolder, command::Unlock, command::Give, command::Lead,
                 command::StopLeading, command::ReadTables, command::StopReadingTables>;

using Commands = std::vector<Command>;

} // namespace odoo_bus

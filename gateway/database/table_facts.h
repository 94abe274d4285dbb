// Properties of a database and its bus_bus, looked up when the gateway connects: whether the table can be
// followed, and whether it is the one that was followed before.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/clock.h"
#include "database/server_facts.h"
#include "ledger/checkpoint.h"
#include "postgres/pg_connection.h"
#include "postgres/server_encoding.h"
#include "postgres/table_code.h"

namespace odoo_bus {

struct TableFacts {
    // Asks for one row, to be handed to read().
    static std::string query();

    // Not empty: one sentence why this database cannot be followed now, with the way to mend it.
    std::string refusal;
    std::vector<std::string> warnings;

    std::string database;
    uint64_t system_identifier = 0;
    uint32_t timeline = 0;
    uint32_t database_oid = 0;
    uint32_t relation_oid = 0;
    WallTime server_started = {};
    std::string table;    // quoted, with its schema
    std::string sequence; // likewise
    std::string schema;   // of the table, quoted
    uint32_t sequence_oid = 0;
    std::string attachments;       // to the table: postgres/table_code.h
    std::string code_for_writers;  // what an INSERT would run besides PostgreSQL's own code; empty: nothing
    std::string extension_version; // of odoo_bus; empty when it is not installed
    std::string extension_schema;  // quoted; likewise
    ServerEncoding encoding;

    bool is_standby = false;    // the reason for the refusal
    bool has_peers = false;     // other gateways are connected, or may be
    bool sees_locks = true;     // or pg_locks may not be read
    bool sees_snapshots = true; // or the functions on snapshots may not be called

    static TableFacts read(const PgResult& row, const ServerFacts& server);

    // The table and its sequence, as they were looked at.
    std::vector<SeenTable> seen() const {
        return {{.name = table, .oid = relation_oid, .attachments = attachments},
                {.name = sequence, .oid = sequence_oid, .attachments = {}}};
    }

    TableIdentity identity() const {
        return {.system_identifier = system_identifier,
                .postmaster_start = server_started,
                .timeline = timeline,
                .database_oid = database_oid,
                .relation_oid = relation_oid};
    }
};

} // namespace odoo_bus

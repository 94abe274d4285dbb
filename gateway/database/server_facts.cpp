// What a server may refuse to tell: see server_facts.h.
#include "database/server_facts.h"

#include "base/format.h"
#include "database/bus_statements.h"

namespace odoo_bus {

namespace {

struct Text {
    const char* sql;
    const char* without; // what is lost
};

constexpr std::array<Text, ServerFacts::QUESTIONS> TEXTS = {{
    {"SELECT system_identifier FROM pg_control_system()",
     "another server at the same address is taken for this one when database and table have the same oids"},
    {"SELECT ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int",
     "the newest rows are compared after each reconnect, as after a failover"},
    {"SELECT (extract(epoch FROM pg_postmaster_start_time()) * 1000000)::int8",
     "the newest rows are compared after each reconnect, as after a restart"},
    {"SELECT pg_is_in_recovery()::int", "a standby is noticed when it refuses LISTEN"},
    {"SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted "
     "AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) "
     "AND classid::int8 = {peer_lock} AND objid::int8 <> {gateway_key}",
     "missing ids are decided by transaction ids (docs/managed.md), other gateways are taken to be "
     "connected, and who "
     "copies, renames or drops the database has to end this connection"},
    {"SELECT count(*) FILTER (WHERE pg_visible_in_snapshot(xid, pg_current_snapshot()))"
     "FROM pg_snapshot_xip(pg_current_snapshot()) AS xid",
     "a prepared transaction's notifications may come after later ones"},
}};

} // namespace

std::string ServerFacts::query(Question question, uint32_t gateway_key) {
    return fmt::format(runtime_format(TEXTS[question].sql), fmt::arg("peer_lock", PEER_LOCK),
                       fmt::arg("gateway_key", gateway_key));
}

void ServerFacts::answered(Question question, const PgResult& result) {
    answers_[question].reset();
    if (result.ok() && result.rows() == 1 && !result.is_null(0, 0))
        answers_[question] = result.number(0, 0);
    else
        refused(result, TEXTS[question].without);
}

void ServerFacts::refused(const PgResult& result, const char* without) {
    refusals_.push_back(fmt::format("{}: {}", result.error(), without));
}

} // namespace odoo_bus

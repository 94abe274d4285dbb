// presence.cpp: bus_create_presence_table(), the tables in which gateways keep the members of channels.
#include "query.h"
#include "table.h"

using namespace odoo_bus;

namespace {

const char* in_schema(const char* schema, const char* name) {
    return quote_qualified_identifier(schema, name);
}

void comment(const char* kind, const char* what, const char* text) {
    run_query(psprintf("COMMENT ON %s %s IS %s", kind, what, quote_literal_cstr(text)), {}, false);
}

} // namespace

extern "C" {

PG_FUNCTION_INFO_V1(odoo_bus_create_presence_table);

Datum odoo_bus_create_presence_table(PG_FUNCTION_ARGS) {
    const Oid schema_oid = extension_schema(fcinfo);
    const char* schema = get_namespace_name(schema_oid);
    if (OidIsValid(get_relname_relid("bus_presence", schema_oid)))
        ereport(ERROR, (errcode(ERRCODE_DUPLICATE_TABLE),
                        errmsg("there is a table \"bus_presence\" in schema \"%s\" already", schema),
                        errhint("Nothing is left to do: gateways with --presence use it.")));
    const char* presence = in_schema(schema, "bus_presence");
    const char* gateway = in_schema(schema, "bus_presence_gateway");
    const char* online = in_schema(schema, "bus_online");
    connect_spi();
    run_query(psprintf("CREATE UNLOGGED TABLE %s (gateway pg_catalog.text PRIMARY KEY, "
                       "expires pg_catalog.timestamptz NOT NULL, begun pg_catalog.timestamptz NOT NULL)",
                       gateway),
              {}, false);
    run_query(
        psprintf("CREATE UNLOGGED TABLE %s (channel pg_catalog.text NOT NULL, member pg_catalog.text NOT "
                 "NULL, gateway pg_catalog.text NOT NULL REFERENCES %s, since pg_catalog.timestamptz NOT "
                 "NULL, PRIMARY KEY (channel, member, gateway))",
                 presence, gateway),
        {}, false);
    run_query(psprintf("CREATE INDEX ON %s (gateway)", presence), {}, false);
    run_query(
        psprintf(
            "CREATE VIEW %s AS SELECT p.channel, p.member, pg_catalog.min(p.since) AS since FROM %s AS p "
            "WHERE EXISTS (SELECT FROM %s AS g WHERE g.gateway OPERATOR(pg_catalog.=) p.gateway "
            "AND g.expires OPERATOR(pg_catalog.>) pg_catalog.now()) GROUP BY p.channel, p.member",
            online, presence, gateway),
        {}, false);
    comment(
        "TABLE", presence,
        "made by bus_create_presence_table() of odoo_bus: who is on which channel (as stored), by gateway");
    comment(
        "TABLE", gateway,
        "made by bus_create_presence_table() of odoo_bus: until when the rows of a gateway in "
        "bus_presence are to be believed; begun is the same in all rows until a crash empties the tables");
    comment("VIEW", online,
            "made by bus_create_presence_table() of odoo_bus: who is on which channel (as stored) at the "
            "gateways that live, and since when");
    comment("COLUMN", psprintf("%s.channel", online), "the channel as it is stored");
    comment("COLUMN", psprintf("%s.member", online), "the name of the member");
    comment("COLUMN", psprintf("%s.since", online), "since when, by the first of the member's connections");
    SPI_finish();
    PG_RETURN_VOID();
}
}

// The settings that every session of ours begins with. See session_settings.h.
#include "postgres/session_settings.h"

#include <spdlog/fmt/fmt.h>

namespace odoo_bus {

namespace {

struct Pin {
    const char* name;
    const char* value;
    bool is_seen_by_functions = false; // left alone where an operator's function runs
};

// In this order. What only a superuser may set is not here: the owner of a database cannot set it either.
constexpr Pin PINS[] = {
    // Rows that a policy would hide are an error, and no view or foreign table runs its code. The second one
    // exists since the minor releases of August 2024.
    {"row_security", "off", true},
    {"restrict_nonsystem_relation_kind", "view, foreign-table", true},
    // Transactions.
    {"default_transaction_isolation", "read committed"},
    {"default_transaction_deferrable", "off"},
    {"statement_timeout", "0"},
    {"lock_timeout", "0"},
    {"idle_in_transaction_session_timeout", "0"},
    {"idle_session_timeout", "0"},
    {"transaction_timeout", "0"},
    {"exit_on_error", "off"},
    // How statements are read, and values written.
    {"client_encoding", "UTF8"},
    {"client_min_messages", "warning"},
    {"standard_conforming_strings", "on"},
    {"backslash_quote", "safe_encoding"},
    {"array_nulls", "on"},
    {"transform_null_equals", "off"},
    {"quote_all_identifiers", "off"},
    {"bytea_output", "hex", true},
    {"extra_float_digits", "1", true},
    {"DateStyle", "ISO, MDY", true},
    {"IntervalStyle", "postgres", true},
    {"TimeZone", "UTC", true},
    {"timezone_abbreviations", "Default", true},
    {"xmlbinary", "base64", true},
    {"xmloption", "content", true},
    // Plans. A constraint that the planner evaluates may call a function of the table's owner.
    {"constraint_exclusion", "off"},
    {"plan_cache_mode", "auto"},
    {"jit", "off"},
    {"max_parallel_workers_per_gather", "0"},
    {"force_parallel_mode", "off"},
    {"debug_parallel_query", "off"},
    {"enable_bitmapscan", "on"},
    {"enable_hashagg", "on"},
    {"enable_hashjoin", "on"},
    {"enable_indexonlyscan", "on"},
    {"enable_indexscan", "on"},
    {"enable_material", "on"},
    {"enable_memoize", "on"},
    {"enable_mergejoin", "on"},
    {"enable_nestloop", "on"},
    {"enable_seqscan", "on"},
    {"enable_sort", "on"},
    {"enable_incremental_sort", "on"},
    {"enable_tidscan", "on"},
    {"seq_page_cost", "1"},
    {"random_page_cost", "4"},
    {"cpu_tuple_cost", "0.01"},
    {"cpu_index_tuple_cost", "0.005"},
    {"cpu_operator_cost", "0.0025"},
    {"cursor_tuple_fraction", "0.1"},
    {"from_collapse_limit", "8"},
    {"join_collapse_limit", "8"},
    {"geqo", "on"},
    {"geqo_threshold", "12"},
    // Work.
    {"work_mem", "4MB"},
    {"hash_mem_multiplier", "2"},
    {"client_connection_check_interval", "0"},
    {"trace_notify", "off"},
    {"debug_print_parse", "off"},
    {"debug_print_rewritten", "off"},
    {"debug_print_plan", "off"},
};

std::string pins(SessionUse use) {
    std::string rows;
    for (const Pin& pin : PINS)
        if (use != SessionUse::CALLS || !pin.is_seen_by_functions)
            rows += fmt::format("('{}', '{}'), ", pin.name, pin.value);
    if (use != SessionUse::CALLS)
        rows +=
            fmt::format("('default_transaction_read_only', '{}'), ", use == SessionUse::READS ? "on" : "off");
    rows.resize(rows.size() - 2);
    return rows;
}

// The first statements are found whatever the search_path is, the others in pg_catalog. The transaction is an
// ordinary one whatever the defaults are: a deferrable one may wait.
std::string pin(SessionUse use, const char* is_local) {
    return fmt::format(
        "SET TRANSACTION ISOLATION LEVEL READ COMMITTED, {3}, NOT DEFERRABLE; "
        "SELECT pg_catalog.set_config('role', 'none', {0}); "
        "SELECT pg_catalog.set_config('{1}', pg_catalog.current_schemas(false)::pg_catalog.text, {0}); "
        "SELECT pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', {0}); "
        "SELECT set_config(name, value, {0}) FROM (VALUES {2}) AS pins (name, value) "
        "WHERE current_setting(name, true) IS NOT NULL; "
        "SELECT pg_backend_pid()",
        is_local, FORMER_SCHEMAS, pins(use), use == SessionUse::WRITES ? "READ WRITE" : "READ ONLY");
}

} // namespace

std::string pin_session(SessionUse use) {
    return pin(use, "false");
}

std::string pin_transaction(SessionUse use) {
    return pin(use, "true");
}

std::string pin_unless_pooled(SessionUse use, int64_t process) {
    return pin(
        use, fmt::format("pg_catalog.pg_backend_pid() OPERATOR(pg_catalog.<>) '{}'::pg_catalog.int4", process)
                 .c_str());
}

} // namespace odoo_bus

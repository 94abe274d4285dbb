// worker.cpp: the common part of the background workers.
#include "worker.h"

namespace odoo_bus {

void reload_configuration() {
    if (!ConfigReloadPending)
        return;
    ConfigReloadPending = false;
    ProcessConfigFile(PGC_SIGHUP);
}

bool worker_may_connect(Oid role) {
    HeapTuple tuple = SearchSysCache1(AUTHOID, ObjectIdGetDatum(role));
    if (!HeapTupleIsValid(tuple))
        return false;
    const bool may_log_in =
        !worker_roles_need_login || reinterpret_cast<Form_pg_authid>(GETSTRUCT(tuple))->rolcanlogin;
    ReleaseSysCache(tuple);
    return may_log_in && may_connect_to_database(role);
}

// The source is above ALTER DATABASE and ALTER ROLE, and a reload does not change it.
void pin_setting(const char* name, const char* value) {
    SetConfigOption(name, value, PGC_SUSET, PGC_S_OVERRIDE);
}

void pin_transaction_settings() {
    pin_setting("default_transaction_isolation", "read committed");
    pin_setting("default_transaction_read_only", "off");
    pin_setting("default_transaction_deferrable", "off");
    pin_setting("lock_timeout", "0");
    pin_setting("exit_on_error", "off");
    if (GetConfigOption("transaction_timeout", true, false)) // since 17
        pin_setting("transaction_timeout", "0");
}

void pin_settings() {
    pin_setting("search_path", "pg_catalog, pg_temp");
    pin_setting("row_security", "off");
    pin_setting("session_replication_role", "origin");
    pin_setting("default_tablespace", "");
    pin_setting("temp_tablespaces", "");
    pin_transaction_settings();
}

// CREATE DATABASE ... TEMPLATE and DROP DATABASE lock the database before they wait five seconds for other
// sessions to disconnect. New connections wait for the same lock.
bool database_is_wanted() {
    static TimestampTz asked_at = 0;
    constexpr int interval_ms = 1000;
    const TimestampTz now = GetCurrentTimestamp();
    if (!TimestampDifferenceExceeds(asked_at, now, interval_ms))
        return false;
    asked_at = now;
    LOCKTAG tag;
    SET_LOCKTAG_OBJECT(tag, InvalidOid, DatabaseRelationId, MyDatabaseId, 0);
    if (LockAcquire(&tag, RowExclusiveLock, true, true) == LOCKACQUIRE_NOT_AVAIL)
        return true;
    LockRelease(&tag, RowExclusiveLock, true);
    return false;
}

static_assert(sizeof(Errand) <= BGW_EXTRALEN);

bool start_worker(const char* name, const char* main_function, const Errand& errand) {
    BackgroundWorker worker{};
    strlcpy(worker.bgw_name, name, sizeof(worker.bgw_name));
    strlcpy(worker.bgw_type, name, sizeof(worker.bgw_type));
    worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
    worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
    worker.bgw_restart_time = BGW_NEVER_RESTART;
    strlcpy(worker.bgw_library_name, "odoo_bus", sizeof(worker.bgw_library_name));
    strlcpy(worker.bgw_function_name, main_function, sizeof(worker.bgw_function_name));
    memcpy(worker.bgw_extra, &errand, sizeof(errand));
    return RegisterDynamicBackgroundWorker(&worker, nullptr);
}

Errand own_errand() {
    Errand errand;
    memcpy(&errand, MyBgworkerEntry->bgw_extra, sizeof(errand));
    return errand;
}

void connect_worker(const Errand& errand) {
    BackgroundWorkerInitializeConnectionByOid(errand.database, errand.role, worker_connection_flags);
}

} // namespace odoo_bus

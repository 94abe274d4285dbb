// retention.cpp: the schedule of databases in which old rows are deleted.
//
// A database's setting is visible only to sessions that are connected to it, so senders register the
// database, once a minute. From then on the doorbell worker starts deletions until the table is empty,
// whether or not anything is sent.
#include "retention.h"

#include "doorbell_queue.h"
#include "retention_table.h"
#include "sender_pool.h"
#include "worker.h"

namespace odoo_bus {

int retention;
bool retention_superuser_tables;
const char* const retention_comment =
    "made by bus_create_table() of odoo_bus: rows older than odoo_bus.retention (24 hours) are deleted";

namespace {

constexpr int64 default_retention = 24 * 60 * 60;
constexpr uint32 place_count = 512;
constexpr int start_timeout_ms = 10000;
constexpr int64 replan_interval_us = 60 * USECS_PER_SEC;

struct Place {
    Oid database, role, schema; // database invalid: free
    TimestampTz due;
    bool running;
    bool sent_meanwhile; // a sender found a worker running, which may have seen the last of the table
    pid_t pid;
    uint64 life;
    int64 keep; // in s, as the last sender has it set
};

struct Schedule {
    uint64 deleted;
    Place places[place_count];
};

Schedule* schedule; // protected by the lock
LWLock* lock;

constexpr const char* shared_name = "odoo_bus_retention";

void vacate(Place& place) {
    const uint64 next_life = place.life + 1;
    place = Place{};
    place.life = next_life;
}

// Adds the database, due now, or updates its entry.
void schedule_retention(Oid role, Oid schema, int64 keep) {
    LWLockAcquire(lock, LW_EXCLUSIVE);
    Place* found = nullptr;
    for (Place& place : schedule->places) {
        const bool is_ours = place.database == MyDatabaseId && place.schema == schema;
        if (is_ours || (!found && !OidIsValid(place.database)))
            found = &place;
        if (is_ours)
            break;
    }
    // If all places are taken, a sender tries again in a minute.
    if (found && !OidIsValid(found->database))
        *found = {MyDatabaseId, role, schema, GetCurrentTimestamp(), false, false, 0, found->life, keep};
    else if (found && (found->running || found->role != role || found->keep != keep)) {
        found->role = role;
        found->keep = keep;
        if (found->running)
            found->sent_meanwhile = true;
        else
            found->due = GetCurrentTimestamp();
    }
    LWLockRelease(lock);
}

// The place that has been due the longest, unless a worker runs.
std::optional<Errand> next_errand() {
    std::optional<Errand> errand;
    const TimestampTz now = GetCurrentTimestamp();
    LWLockAcquire(lock, LW_EXCLUSIVE);
    Place* due = nullptr;
    bool busy = false;
    for (Place& place : schedule->places) {
        if (!OidIsValid(place.database))
            continue;
        // It was registered, and did not start.
        if (place.running && place.pid == 0 && TimestampDifferenceExceeds(place.due, now, start_timeout_ms))
            vacate(place);
        else if (place.running)
            busy = true;
        else if (place.due <= now && (!due || place.due < due->due))
            due = &place;
    }
    if (due && !busy) {
        due->running = true;
        due->due = now;
        errand = {due->database, due->role, due->schema, static_cast<uint32>(due - schedule->places),
                  due->life};
    }
    LWLockRelease(lock);
    return errand;
}

void postpone(const Errand& errand, int64 seconds) {
    LWLockAcquire(lock, LW_EXCLUSIVE);
    Place& place = schedule->places[errand.place];
    if (place.life == errand.life) {
        place.running = false;
        place.due = GetCurrentTimestamp() + seconds * USECS_PER_SEC;
    }
    LWLockRelease(lock);
}

// A worker that is at its end without having scheduled the next run: the table was empty, or it could not
// connect, or was terminated. The next sender registers the database again; one that did so while this worker
// ran did it for the worker after it.
void detach_retention(int, Datum number) {
    LWLockAcquire(lock, LW_EXCLUSIVE);
    Place& place = schedule->places[DatumGetUInt32(number)];
    if (place.pid == MyProcPid && place.sent_meanwhile) {
        place.running = place.sent_meanwhile = false;
        place.pid = 0;
        place.due = GetCurrentTimestamp();
    } else if (place.pid == MyProcPid)
        vacate(place);
    LWLockRelease(lock);
}

// Once while the server runs. bus_stat goes on showing it.
void log_obstacle(Relation table, const char* obstacle) {
    if (is_first_warning(Warning::retention))
        ereport(
            LOG,
            (errmsg("old rows of \"%s\" are not deleted: %s", RelationGetRelationName(table), obstacle),
             errhint("Remove the obstacle, call bus_gc() regularly, or set odoo_bus.retention to 0. For a "
                     "superuser's table: ALTER TABLE ... OWNER TO an ordinary role, or "
                     "odoo_bus.retention_superuser_tables.")));
}

} // namespace

int64 table_retention(Oid relid) {
    if (retention >= 0)
        return retention;
    char* comment = GetComment(relid, RelationRelationId, 0);
    const bool is_marked = comment && strcmp(comment, retention_comment) == 0;
    if (comment)
        pfree(comment);
    return is_marked ? default_retention : 0;
}

void plan_retention(Relation table) {
    static TimestampTz planned_at = 0;
    static Oid planned_relid = InvalidOid;
    if (!schedule || retention == 0)
        return;
    const TimestampTz now = GetCurrentTransactionStartTimestamp();
    if (planned_relid == RelationGetRelid(table) && now < planned_at + replan_interval_us)
        return;
    const int64 keep = table_retention(RelationGetRelid(table));
    if (const char* obstacle = keep > 0 ? retention_obstacle(table) : nullptr)
        log_obstacle(table, obstacle);
    else if (keep > 0)
        schedule_retention(table->rd_rel->relowner, RelationGetNamespace(table), keep);
    planned_at = now;
    planned_relid = RelationGetRelid(table);
}

void request_schedule_space() {
    RequestAddinShmemSpace(sizeof(Schedule));
    RequestNamedLWLockTranche(shared_name, 1);
}

void create_schedule() {
    bool found;
    schedule = static_cast<Schedule*>(ShmemInitStruct(shared_name, sizeof(Schedule), &found));
    lock = &GetNamedLWLockTranche(shared_name)->lock;
    if (!found)
        memset(static_cast<void*>(schedule), 0, sizeof(Schedule));
}

void start_due_retention() {
    static TimestampTz looked_at = 0;
    constexpr int interval_ms = 1000;
    const TimestampTz now = GetCurrentTimestamp();
    if (!TimestampDifferenceExceeds(looked_at, now, interval_ms))
        return;
    looked_at = now;
    const std::optional<Errand> errand = next_errand();
    if (!errand || start_worker("odoo_bus retention", "odoo_bus_retention_main", *errand))
        return;
    constexpr int64 retry_s = 5;
    postpone(*errand, retry_s);
    ask_idle_sender_to_leave();
}

RetentionStat retention_stat() {
    LWLockAcquire(lock, LW_SHARED);
    const RetentionStat stat{schedule->deleted};
    LWLockRelease(lock);
    return stat;
}

void reset_retention_stat() {
    LWLockAcquire(lock, LW_EXCLUSIVE);
    schedule->deleted = 0;
    LWLockRelease(lock);
}

bool attach_retention(uint32 number, uint64 life) {
    before_shmem_exit(detach_retention, UInt32GetDatum(number));
    LWLockAcquire(lock, LW_EXCLUSIVE);
    Place& place = schedule->places[number];
    const bool is_current = place.life == life;
    if (is_current)
        place.pid = MyProcPid;
    LWLockRelease(lock);
    return is_current;
}

void report_retention(uint32 number, uint64 deleted, TimestampTz next_run) {
    LWLockAcquire(lock, LW_EXCLUSIVE);
    Place& place = schedule->places[number];
    schedule->deleted += deleted;
    if (next_run) {
        place.due = next_run;
        place.running = place.sent_meanwhile = false;
        place.pid = 0; // the worker gives up its place
    }
    LWLockRelease(lock);
}

} // namespace odoo_bus

// doorbell_worker.cpp: the background worker that issues one NOTIFY for many transactions.
//
// It holds no snapshot, and writes only the commit record of its NOTIFY. The postmaster restarts it after a
// failure; the bundles that it had taken are still in shared memory. Announcing twice is harmless.
#include "doorbell_worker.h"

#include "doorbell_queue.h"
#include "retention.h"
#include "worker.h"

namespace odoo_bus {

int doorbell_delay;
char* hub_database;

namespace {

// A round uses a transaction id, at most 400 a second, and wakes every listener. So rounds become longer when
// there is much to announce in each.
constexpr int64 shortest_interval_us = 2500, longest_interval_us = 10000;
constexpr int64 much_to_announce = 64;
constexpr long idle_ms = 1000;
constexpr long after_error_ms = 1000;
constexpr long longest_wait_to_connect_ms = 30000;

int64 taken_by_last_round = 0;

void wait_ms(long milliseconds, int events) {
    static uint32 wait_event = 0;
    WaitLatch(MyLatch, events | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, milliseconds,
              named_wait_event("OdooBusDoorbell", wait_event));
}

// PostgreSQL terminates a worker that cannot connect; its successor waits, with a growing delay.
void wait_before_connecting() {
    const uint32 failures = begin_connecting();
    if (failures == 0)
        return;
    record_worker_error("cannot connect to the database of odoo_bus.hub_database; the server's log says why");
    long left = std::min(longest_wait_to_connect_ms, 500L << std::min(failures, 10u));
    // A changed setting is tried at once.
    for (; left > 0 && !ConfigReloadPending; left -= idle_ms) {
        ResetLatch(MyLatch);
        CHECK_FOR_INTERRUPTS();
        wait_ms(std::min(left, idle_ms), WL_LATCH_SET);
    }
    reload_configuration();
}

// Waits for further transactions to join this round, and for the interval since the last one; no longer than
// for the shortest while the queue fills.
void gather(TimestampTz last_round) {
    const TimestampTz now = GetCurrentTimestamp();
    last_round = std::min(last_round, now); // the doorbell must not stop when the clock is set back
    const TimestampTz until =
        std::max(now + doorbell_delay * INT64CONST(1000), last_round + shortest_interval_us);
    const int64 interval = std::clamp(taken_by_last_round / much_to_announce * shortest_interval_us,
                                      shortest_interval_us, longest_interval_us);
    const auto waits = [&](TimestampTz at) {
        return at < until || (at < last_round + interval && !queue_fills());
    };
    // Before 14 setting the latch sends a signal, which interrupts the sleep.
    for (TimestampTz at = now; at >= now && waits(at) && !InterruptPending; at = GetCurrentTimestamp())
        pg_usleep(static_cast<long>(std::clamp(until - at, INT64CONST(500), shortest_interval_us)));
}

// The bundles stay in shared memory until the NOTIFY has committed.
void ring() {
    pgstat_report_activity(STATE_RUNNING, "odoo_bus: NOTIFY for committed transactions");
    SetCurrentStatementStartTimestamp();
    StartTransactionCommand();
    AnnouncementSet announcements;
    const uint64 taken = take_announcements(announcements);
    const uint32 announced = announcements.size();
    const uint32 notifies = notify_all(announcements);
    CommitTransactionCommand();
    signal_listeners();
    release_taken(taken, announced, notifies);
    taken_by_last_round = static_cast<int64>(taken);
    pgstat_report_stat(false);
    pgstat_report_activity(STATE_IDLE, "odoo_bus: waiting for transactions that send");
}

[[noreturn]] void serve() {
    const char* connected_to = MemoryContextStrdup(TopMemoryContext, hub_database);
    MemoryContext context =
        AllocSetContextCreate(TopMemoryContext, "odoo_bus doorbell", ALLOCSET_DEFAULT_SIZES);
    MemoryContextSwitchTo(context);
    pgstat_report_activity(STATE_IDLE, "odoo_bus: waiting for transactions that send");
    TimestampTz last_round = 0;
    for (;;) {
        ResetLatch(MyLatch);
        CHECK_FOR_INTERRUPTS();
        reload_configuration();
        const bool is_elsewhere = strcmp(hub_database, connected_to) != 0;
        if (is_elsewhere && announcements_wait())
            try_work(ring); // by bus_notify() for those who listen here
        if (is_elsewhere || database_is_wanted())
            proc_exit(1); // the postmaster starts another, which connects when it can
        start_due_retention();
        if (!announcements_wait()) {
            wait_ms(idle_ms, WL_LATCH_SET);
            continue;
        }
        gather(last_round);
        last_round = GetCurrentTimestamp();
        if (!try_work(ring))
            wait_ms(after_error_ms, 0);
        MemoryContextReset(context);
    }
}

} // namespace

void register_doorbell_worker() {
    BackgroundWorker worker{};
    strlcpy(worker.bgw_name, "odoo_bus doorbell", sizeof(worker.bgw_name));
    strlcpy(worker.bgw_type, "odoo_bus doorbell", sizeof(worker.bgw_type));
    worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
    worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
    worker.bgw_restart_time = 0;
    strlcpy(worker.bgw_library_name, "odoo_bus", sizeof(worker.bgw_library_name));
    strlcpy(worker.bgw_function_name, "odoo_bus_doorbell_main", sizeof(worker.bgw_function_name));
    RegisterBackgroundWorker(&worker);
}

} // namespace odoo_bus

using namespace odoo_bus;

extern "C" {

PGDLLEXPORT void odoo_bus_doorbell_main(Datum);

void odoo_bus_doorbell_main(Datum) {
    pqsignal(SIGHUP, SignalHandlerForConfigReload);
    pqsignal(SIGTERM, die);
    BackgroundWorkerUnblockSignals();
    wait_before_connecting();
    BackgroundWorkerInitializeConnection(hub_database, nullptr, 0);
    end_connecting();
    pin_settings();
    // The NOTIFY need not survive a crash.
    pin_setting("synchronous_commit", "off");
    attach_worker();
    serve();
}
}

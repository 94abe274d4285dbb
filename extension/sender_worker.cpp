// sender_worker.cpp: the background worker that sends for bus_sendnow().
//
// Each request is a transaction that runs as the caller's would: with its session, outer and current user,
// its security context and its settings, except for lock_timeout, since the caller itself may hold the lock
// that it waits for. An error is returned to the caller, which raises it. Nothing in the session outlasts a
// request.
#include "sender_worker.h"

#include "doorbell.h"
#include "now_request.h"
#include "sender_pool.h"
#include "sendnow.h"
#include "session_settings.h"
#include "worker.h"

namespace odoo_bus {

namespace {

bool serving = false;

void set_for_transaction(const char* setting, const char* value) {
    set_config_option(setting, value, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_LOCAL, true, ERROR, false);
}

// SET ROLE and SET SESSION AUTHORIZATION are not possible inside, so that nothing becomes the role that the
// worker has connected as.
void become_caller(const NowRequest* request) {
    adopt_settings(request->settings(), request->settings_length);
    char timeout[16];
    snprintf(timeout, sizeof(timeout), "%d", request->lock_timeout);
    set_for_transaction("lock_timeout", timeout);
    if (OidIsValid(request->set_role))
        set_for_transaction("role", GetUserNameFromId(request->set_role, false));
    SetUserIdAndSecContext(request->current_user, request->security_context | SECURITY_LOCAL_USERID_CHANGE);
}

// Deferred triggers have run; the end of the transaction resets the role, which no security context may
// outlast. An abort does both.
void on_transaction_event(XactEvent event, void*) {
    constexpr int no_context = 0;
    if (event == XACT_EVENT_PRE_COMMIT)
        SetUserIdAndSecContext(GetOuterUserId(), no_context);
}

void send(NowRequest* request) {
    SetCurrentStatementStartTimestamp();
    StartTransactionCommand();
    become_caller(request);
    pgstat_report_activity(STATE_RUNNING, psprintf("odoo_bus: bus_sendnow() for %s",
                                                   GetUserNameFromId(request->current_user, false)));
    PushActiveSnapshot(GetTransactionSnapshot());
    const Notification notification = request->notification();
    int64 id;
    insert_notifications(request->schema, {&notification, 1}, &id);
    ring_at_commit({&notification, 1});
    PopActiveSnapshot();
    CommitTransactionCommand();
    request->id = id;
}

template <std::size_t size>
void copy(char (&to)[size], const char* from) {
    const int length = from ? pg_mbcliplen(from, static_cast<int>(strlen(from)), size - 1) : 0;
    if (length > 0)
        memcpy(to, from, static_cast<std::size_t>(length));
    to[length] = '\0';
}

bool try_to_send(NowRequest* request) {
    const MemoryContext context = CurrentMemoryContext;
    volatile bool succeeded = true;
    PG_TRY();
    { send(request); }
    PG_CATCH();
    {
        MemoryContextSwitchTo(context);
        const ErrorData* error = CopyErrorData();
        request->sqlstate = error->sqlerrcode;
        copy(request->message, error->message);
        copy(request->detail, error->detail);
        copy(request->hint,
             error->sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE && !error->hint
                 ? "bus_sendnow() writes in a session of its own: it cannot wait for a lock that the "
                   "calling transaction holds. Or raise odoo_bus.sendnow_lock_timeout."
                 : error->hint);
        copy(request->context, error->context);
        AbortCurrentTransaction();
        FlushErrorState();
        succeeded = false;
    }
    PG_END_TRY();
    MemoryContextSwitchTo(context);
    signal_listeners();
    return succeeded;
}

bool serve_request(const Waiting& waiting) {
    dsm_segment* segment = dsm_attach(waiting.segment);
    if (!segment)
        return false; // the caller has ended
    NowRequest* request = static_cast<NowRequest*>(dsm_segment_address(segment));
    bool sent = false;
    if (dsm_segment_map_length(segment) >= sizeof(*request) && request->number == waiting.number) {
        sent = try_to_send(request);
        pg_write_barrier();
        pg_atomic_write_u32(&request->state, sent ? NowRequest::sent : NowRequest::failed);
    }
    dsm_detach(segment);
    return sent;
}

void report_idle() {
    pgstat_report_stat(false);
    pgstat_report_activity(STATE_IDLE, "odoo_bus: waiting for bus_sendnow()");
}

// A cancellation that is too late for its request must not cancel the next one.
void forget_cancellation() {
    QueryCancelPending = false;
}

[[noreturn]] void serve(const SenderLife& life) {
    MemoryContext context =
        AllocSetContextCreate(TopMemoryContext, "odoo_bus sender", ALLOCSET_DEFAULT_SIZES);
    MemoryContextSwitchTo(context);
    report_idle();
    constexpr long interval_ms = 1000;
    static uint32 wait_event = 0;
    TimestampTz idle_since = GetCurrentTimestamp();
    for (;;) {
        ResetLatch(MyLatch);
        forget_cancellation();
        CHECK_FOR_INTERRUPTS();
        reload_configuration();
        bool served = false;
        for (Waiting waiting; take_request(life, waiting); served = true) {
            forget_cancellation();
            finish_request(life, serve_request(waiting));
            discard_session_state();
            MemoryContextReset(context);
            CHECK_FOR_INTERRUPTS();
        }
        if (served) {
            report_idle();
            idle_since = GetCurrentTimestamp();
        }
        const bool is_idle_for_long =
            TimestampDifferenceExceeds(idle_since, GetCurrentTimestamp(), sendnow_idle_timeout * 1000);
        if ((is_idle_for_long || is_asked_to_leave(life) || database_is_wanted()) && retire_sender(life))
            proc_exit(0);
        WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, interval_ms,
                  named_wait_event("OdooBusSender", wait_event));
    }
}

} // namespace

bool is_sender() {
    return serving;
}

} // namespace odoo_bus

using namespace odoo_bus;

extern "C" {

PGDLLEXPORT void odoo_bus_sender_main(Datum);

void odoo_bus_sender_main(Datum) {
    pqsignal(SIGHUP, SignalHandlerForConfigReload);
    pqsignal(SIGTERM, die);
    BackgroundWorkerUnblockSignals();
    serving = true;
    const Errand errand = own_errand();
    const SenderLife life{errand.place, errand.life};
    if (!attach_sender(life))
        proc_exit(0);
    connect_worker(errand);
    pin_transaction_settings();
    RegisterXactCallback(on_transaction_event, nullptr);
    serve(life);
}
}

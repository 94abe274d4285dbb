// sendnow.cpp: bus_sendnow(), which sends independent of the calling transaction.
//
// A background worker inserts the row in a transaction of its own, in this database, as the caller and under
// its settings, while the caller waits. So the id and every error are returned, and the notifications of a
// session keep their order. The segment of a caller that is cancelled ends with it; then the request is
// dropped unless the worker has begun it.
#include "sendnow.h"

#include "channel.h"
#include "doorbell_queue.h"
#include "json_payload.h"
#include "message.h"
#include "now_request.h"
#include "sender_pool.h"
#include "sender_worker.h"
#include "session_settings.h"
#include "table.h"
#include "worker.h"

namespace odoo_bus {

int sendnow_lock_timeout;
int sendnow_idle_timeout;

namespace {

// For a place, or for a background worker that is in use.
constexpr int longest_wait_for_worker_ms = 5000;
// The attempts, when workers are terminated before they have sent.
constexpr int most_workers = 3;

// The worker connects as the session's user. So a role that may terminate the caller's connection may
// terminate the worker's as well.
void check_that_worker_may_connect() {
    if (worker_may_connect(GetSessionUserId()))
        return;
    ereport(ERROR,
            (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
             errmsg("the background worker of bus_sendnow() cannot connect as \"%s\"",
                    GetUserNameFromId(GetSessionUserId(), false)),
             errhint("It connects as the session's user, which needs LOGIN (before PostgreSQL 17) and the "
                     "privilege CONNECT on the database.")));
}

void check_that_it_can_be_sent() {
    if (!queue_exists())
        ereport(ERROR,
                (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                 errmsg("bus_sendnow() needs a background worker, and odoo_bus is not preloaded"),
                 errhint("Add odoo_bus to shared_preload_libraries and restart the server; bus_sendone() "
                         "sends when the transaction commits.")));
    PreventCommandDuringRecovery("bus_sendnow()");
    PreventCommandIfParallelMode("bus_sendnow()");
    // What it causes would outlast the operation, as LISTEN or a deferred trigger would.
    if (InSecurityRestrictedOperation())
        ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
                        errmsg("cannot execute bus_sendnow() within security-restricted operation"),
                        errhint("Do not send in functions of indexes and of materialized views.")));
    if (is_sender())
        ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                        errmsg("bus_sendnow() cannot be used in triggers and rules that it fires itself"),
                        errhint("Use bus_sendone() in triggers and rules of the table bus_bus.")));
}

[[noreturn]] void raise_no_worker() {
    ereport(ERROR, (errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
                    errmsg("no background worker is free for bus_sendnow()"),
                    errhint("Increase max_worker_processes, or use fewer databases and roles at a time: each "
                            "pair that sends needs one.")));
    pg_unreachable();
}

[[noreturn]] void raise_lost_worker() {
    ereport(
        ERROR,
        (errcode(ERRCODE_CONNECTION_FAILURE),
         errmsg("the background worker of bus_sendnow() could not connect, or was terminated; nothing was "
                "sent"),
         errhint("The server's log says why.")));
    pg_unreachable();
}

char* optional(const char* text) {
    return text[0] ? pstrdup(text) : nullptr;
}

// Raises the worker's error. The texts are copied, since the segment is detached.
[[noreturn]] void raise_answer(const NowRequest& request) {
    const char* detail = optional(request.detail);
    const char* hint = optional(request.hint);
    const char* context = optional(request.context);
    ereport(ERROR, (errcode(request.sqlstate), errmsg_internal("%s", pstrdup(request.message)),
                    detail ? errdetail_internal("%s", detail) : 0, hint ? errhint("%s", hint) : 0,
                    errcontext("%s%sbackground worker of bus_sendnow()", context ? context : "",
                               context ? "\n" : "")));
    pg_unreachable();
}

uint64 next_number() {
    static uint32 count = 0;
    return static_cast<uint64>(MyProcPid) << 32 | ++count;
}

// The segment exists until it is detached, or until an error ends the statement.
dsm_segment* make_request(Oid schema, const Notification& notification, const StringInfoData& settings) {
    const Size channel_at = MAXALIGN(sizeof(NowRequest));
    const Size message_at = channel_at + MAXALIGN(VARSIZE(notification.channel));
    const Size settings_at = message_at + VARSIZE(notification.message);
    const Size size = settings_at + static_cast<Size>(settings.len);
    dsm_segment* segment = dsm_create(size, 0);
    NowRequest* request = static_cast<NowRequest*>(dsm_segment_address(segment));
    memset(static_cast<void*>(request), 0, sizeof(*request));
    request->number = next_number();
    request->schema = schema;
    GetUserIdAndSecContext(&request->current_user, &request->security_context);
    request->set_role = GetCurrentRoleId();
    request->lock_timeout = sendnow_lock_timeout;
    pg_atomic_init_u32(&request->state, NowRequest::waiting);
    request->channel_at = static_cast<uint32>(channel_at);
    request->message_at = static_cast<uint32>(message_at);
    request->settings_at = static_cast<uint32>(settings_at);
    request->settings_length = static_cast<Size>(settings.len);
    request->size = size;
    memcpy(request->notification().channel, notification.channel, VARSIZE(notification.channel));
    memcpy(request->notification().message, notification.message, VARSIZE(notification.message));
    memcpy(const_cast<char*>(request->settings()), settings.data, static_cast<Size>(settings.len));
    return segment;
}

void wait_ms(long milliseconds) {
    static uint32 wait_event = 0;
    WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, milliseconds,
              named_wait_event("OdooBusSendNow", wait_event));
    ResetLatch(MyLatch);
    CHECK_FOR_INTERRUPTS();
}

// Returns false if the worker has ended without having sent.
bool wait_for_answer(NowRequest* request, const SenderLife& sender) {
    // A worker that exits wakes its callers; the interval detects one that never started.
    constexpr long interval_ms = 1000;
    for (;;) {
        const bool alive = is_alive(sender);
        if (pg_atomic_read_u32(&request->state) != NowRequest::waiting) {
            pg_read_barrier();
            return true;
        }
        if (!alive)
            return false;
        wait_ms(interval_ms);
    }
}

bool hand_over_to_sender(const SenderKey& key, const Waiting& waiting, SenderLife& sender) {
    switch (hand_over(key, waiting, sender)) {
    case HandedOver::to_running:
        return true;
    case HandedOver::to_new:
        if (start_worker("odoo_bus sender", "odoo_bus_sender_main",
                         {key.database, key.session_user, InvalidOid, sender.place, sender.life}))
            return true;
        forget_sender(sender);
        break;
    case HandedOver::not_at_all:
        break;
    }
    return false;
}

void have_it_sent(const SenderKey& key, NowRequest* request, dsm_handle segment) {
    const Waiting waiting{segment, request->number, MyLatch};
    const TimestampTz begin = GetCurrentTimestamp();
    for (int workers_lost = 0; workers_lost < most_workers;) {
        SenderLife sender;
        if (hand_over_to_sender(key, waiting, sender)) {
            if (wait_for_answer(request, sender))
                return;
            ++workers_lost;
        } else {
            if (TimestampDifferenceExceeds(begin, GetCurrentTimestamp(), longest_wait_for_worker_ms))
                raise_no_worker();
            ask_idle_sender_to_leave();
            wait_ms(20);
        }
    }
    raise_lost_worker();
}

Datum send_now(FunctionCallInfo fcinfo, text* channel, int type_argument) {
    check_that_it_can_be_sent();
    const std::string_view type = required_name(fcinfo, type_argument, "notification type");
    Jsonb* payload = PG_ARGISNULL(type_argument + 1) ? nullptr : PG_GETARG_JSONB_P(type_argument + 1);
    const Notification notification{channel, make_message(type, payload)};
    const Oid schema = extension_schema(fcinfo);
    check_that_caller_may_insert(schema);
    check_that_worker_may_connect();
    const SessionSettings settings = own_settings();
    dsm_segment* segment = make_request(schema, notification, settings.text);
    NowRequest* request = static_cast<NowRequest*>(dsm_segment_address(segment));
    have_it_sent({MyDatabaseId, GetSessionUserId(), GetUserId(), settings.custom_names}, request,
                 dsm_segment_handle(segment));
    if (pg_atomic_read_u32(&request->state) == NowRequest::failed)
        raise_answer(*request);
    const int64 id = request->id;
    dsm_detach(segment);
    PG_RETURN_INT64(id);
}

} // namespace

} // namespace odoo_bus

using namespace odoo_bus;

extern "C" {

PG_FUNCTION_INFO_V1(odoo_bus_sendnow);
PG_FUNCTION_INFO_V1(odoo_bus_sendnow_record);
PG_FUNCTION_INFO_V1(odoo_bus_sendnow_subchannel);

Datum odoo_bus_sendnow(PG_FUNCTION_ARGS) {
    return send_now(fcinfo, make_channel(required_name(fcinfo, 0, "channel")), 1);
}

Datum odoo_bus_sendnow_record(PG_FUNCTION_ARGS) {
    return send_now(fcinfo, make_channel(required_name(fcinfo, 0, "model"), required_res_id(fcinfo, 1)), 2);
}

Datum odoo_bus_sendnow_subchannel(PG_FUNCTION_ARGS) {
    return send_now(fcinfo,
                    make_channel(required_name(fcinfo, 0, "model"), required_res_id(fcinfo, 1),
                                 required_name(fcinfo, 2, "subchannel")),
                    3);
}

DEFINE_WITH_JSON(odoo_bus_sendnow, 2)
DEFINE_WITH_JSON(odoo_bus_sendnow_record, 3)
DEFINE_WITH_JSON(odoo_bus_sendnow_subchannel, 4)
}

// notify.cpp: bus_notify(), pg_notify() by the doorbell worker.
#include "announcement_set.h"
#include "doorbell.h"

using namespace odoo_bus;

extern "C" {

PG_FUNCTION_INFO_V1(odoo_bus_notify);

// As pg_notify() has it: NULL is empty, and a standby refuses.
Datum odoo_bus_notify(PG_FUNCTION_ARGS) {
    const std::string_view channel = PG_ARGISNULL(0) ? std::string_view() : text_view(PG_GETARG_TEXT_PP(0));
    const std::string_view payload = PG_ARGISNULL(1) ? std::string_view() : text_view(PG_GETARG_TEXT_PP(1));
    PreventCommandDuringRecovery("NOTIFY");
    if (channel.empty() || channel.size() > max_notify_channel || payload.size() > max_notify_payload)
        // PostgreSQL refuses it.
        Async_Notify(pnstrdup(channel.data(), channel.size()), pnstrdup(payload.data(), payload.size()));
    else
        notify_at_commit(channel, payload);
    PG_RETURN_VOID();
}
}

// module.cpp: the shared library's entry and its settings.
#include "doorbell.h"
#include "message.h"
#include "table.h"

using namespace odoo_bus;

extern "C" {

PG_MODULE_MAGIC;

PGDLLEXPORT void _PG_init();

void _PG_init() {
    DefineCustomIntVariable(
        "odoo_bus.max_payload_size", "Largest payload of one notification, as it is stored.",
        "Send ids and let the client fetch what is large.", &max_payload_size, 1024 * 1024, 1024,
        256 * 1024 * 1024, PGC_SUSET, GUC_UNIT_BYTE, nullptr, nullptr, nullptr);
    DefineCustomBoolVariable("odoo_bus.notify", "Announces what was sent when the transaction commits.",
                             "Off writes the rows alone; for benchmarks.", &notify_enabled, true, PGC_SUSET,
                             GUC_NOT_IN_SAMPLE, nullptr, nullptr, nullptr);
    reserve_guc_prefix("odoo_bus");
    register_table_callbacks();
    register_doorbell_callbacks();
}
}

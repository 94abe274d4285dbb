// The metrics of one database.
#include "database/database_metrics.h"

namespace odoo_bus {

namespace {

using metrics::Family;
using metrics::Type;

const std::vector<std::string> DATABASE = {"database"};

const Family up("odoo_bus_database_up", "1 while the database is being read, else 0.", Type::gauge, DATABASE);
const Family doorbells("odoo_bus_doorbells_total", "Doorbells: times that new notifications were announced.",
                       Type::counter, DATABASE);
const Family reads("odoo_bus_reads_total", "Reads of the table.", Type::counter, DATABASE);
const Family notifications("odoo_bus_notifications_total", "Notifications read and dispatched.",
                           Type::counter, DATABASE);
const Family left_out("odoo_bus_rows_left_out_total",
                      "Rows that cannot be delivered: no notification, or above --max-row-bytes.",
                      Type::counter, DATABASE);
const Family
    last_read_age("odoo_bus_last_read_age_seconds",
                  "Time since the last read of the table ended; above 3, the database does not answer.",
                  Type::gauge, DATABASE);
const Family gaps("odoo_bus_ledger_gaps",
                  "Gaps: ids that may still appear, because their transactions may be open.", Type::gauge,
                  DATABASE);
const Family open_seconds("odoo_bus_ledger_gaps_open_seconds",
                          "Time for which there have been gaps without interruption; 0 if there is none.",
                          Type::gauge, DATABASE);
const Family dead("odoo_bus_ledger_dead_gaps_total", "Gaps whose ids will never appear.", Type::counter,
                  DATABASE);
const Family filled("odoo_bus_ledger_filled_gaps_total",
                    "Gaps that were filled: notifications that appeared after a higher id.", Type::counter,
                    DATABASE);
const Family ledger_bytes("odoo_bus_ledger_bytes", "Memory used by the gaps.", Type::gauge, DATABASE);
const Family positions("odoo_bus_history_notifications",
                       "Notifications in the history, from which clients resume.", Type::gauge, DATABASE);
const Family history_bytes("odoo_bus_history_bytes", "Memory used by the history.", Type::gauge, DATABASE);

} // namespace

DatabaseMetrics::DatabaseMetrics(const std::string& database)
    : up(odoo_bus::up.with({database})), doorbells(odoo_bus::doorbells.with({database})),
      reads(odoo_bus::reads.with({database})), notifications(odoo_bus::notifications.with({database})),
      left_out(odoo_bus::left_out.with({database})), last_read_age(odoo_bus::last_read_age.with({database})),
      database_(database), gaps_(gaps.with({database})), open_seconds_(open_seconds.with({database})),
      dead_(dead.with({database})), filled_(filled.with({database})),
      ledger_bytes_(ledger_bytes.with({database})), positions_(positions.with({database})),
      history_bytes_(history_bytes.with({database})) {}

DatabaseMetrics::~DatabaseMetrics() {
    for (const Family* const family :
         {&odoo_bus::up, &odoo_bus::doorbells, &odoo_bus::reads, &odoo_bus::notifications,
          &odoo_bus::left_out, &odoo_bus::last_read_age, &gaps, &open_seconds, &dead, &filled, &ledger_bytes,
          &positions, &history_bytes})
        family->remove({database_});
}

void DatabaseMetrics::update(const Ledger& ledger, const History& history, Monotonic now) {
    const Ledger::Stats stats = ledger.stats();
    gaps_.set(static_cast<double>(stats.gaps));
    dead_.set(static_cast<double>(stats.died));
    filled_.set(static_cast<double>(stats.filled));
    ledger_bytes_.set(static_cast<double>(stats.bytes));
    if (!ledger.has_gaps() || !open_since_)
        open_since_ = now;
    open_seconds_.set(std::chrono::duration<double>(now - *open_since_).count());
    positions_.set(static_cast<double>(history.head() + 1 - history.oldest()));
    history_bytes_.set(static_cast<double>(history.bytes()));
}

} // namespace odoo_bus

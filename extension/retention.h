// retention.h: the schedule of databases in which old rows are deleted.
#pragma once

#include "pg.h"

namespace odoo_bus {

extern int retention; // odoo_bus.retention, in s; -1: by the table's comment, 0: never

// odoo_bus.retention_superuser_tables: whether rows of tables that superusers own are deleted, too.
extern bool retention_superuser_tables;

// The comment that bus_create_table() gives the table: dump, restore and duplication keep it, and Odoo
// replaces it when it adopts the table.
extern const char* const retention_comment;

// The age in s at which rows of this table are deleted; 0: never.
int64 table_retention(Oid relid);

// Registers the table's database if its rows are to be deleted. Cheap when called often.
void plan_retention(Relation table);

// The schedule, in shared memory; see shared_memory.cpp.
void request_schedule_space();
void create_schedule();
// For the doorbell worker, about once a second: starts a worker if one is due, one at a time.
void start_due_retention();

struct RetentionStat {
    uint64 deleted;
};
RetentionStat retention_stat();
void reset_retention_stat();

// For the retention worker: it owns the place of its database until it exits. If it sets no time for the next
// run, the next sender registers the database again.
bool attach_retention(uint32 place, uint64 life);
void report_retention(uint32 place, uint64 deleted, TimestampTz next_run);

} // namespace odoo_bus

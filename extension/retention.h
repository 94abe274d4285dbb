// retention.h: in which databases old rows are deleted, and when next.
#pragma once

#include "pg.h"

namespace odoo_bus {

extern int retention; // odoo_bus.retention, in s; -1: as the table's comment says, 0: never

// What bus_create_table() writes as the table's comment: it survives dump, restore and duplication, and Odoo
// replaces it by its own when it takes the table over.
extern const char* const retention_comment;

// From which age in s on the rows of this table are deleted; 0: never.
int64 table_retention(Oid relid);

// Has the rows of this table deleted from now on, if they are to be. Costs next to nothing when called often.
void plan_retention(Relation table);

// The schedule, in shared memory; see shared_memory.cpp.
void request_schedule_space();
void create_schedule();
// For the doorbell worker, about once a second: starts a worker where one is due, one at a time.
void start_due_retention();

struct RetentionStat {
    uint64 deleted;
};
RetentionStat retention_stat();
void reset_retention_stat();

// For the retention worker: the place of its database is its own until it exits. Without a time for the next
// run there is none until something is sent again.
bool attach_retention(uint32 place, uint64 life);
void report_retention(uint32 place, uint64 deleted, TimestampTz next_run);

} // namespace odoo_bus

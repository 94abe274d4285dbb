// retention_table.h: the deletion of old rows by the table's own interface.
//
// No statement is parsed, planned or executed: what was opened, locked and checked is what rows are deleted
// from, whatever its name refers to by then, and nothing that a role has defined on it is evaluated.
#pragma once

#include "pg.h"

namespace odoo_bus {

// The reason why rows of this table are not deleted in the background, or null. It must be locked.
const char* retention_obstacle(Relation table);

struct RetentionBatch {
    uint64 read = 0, deleted = 0, young = 0;
    int64 last_id = 0;
    std::optional<Timestamp> oldest_left; // of the rows read, in the order of ids
};

// Reads at most max_rows rows with ids above after_id, ascending, and deletes those of before oldest_kept. A
// row that another transaction has locked is left for another time.
RetentionBatch delete_old_rows(Relation table, int64 after_id, uint64 max_rows, Timestamp oldest_kept);

} // namespace odoo_bus

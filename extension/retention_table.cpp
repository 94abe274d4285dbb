// retention_table.cpp: the deletion of old rows by the table's own interface.
#include "retention_table.h"

#include "retention.h"
#include "worker.h"

namespace odoo_bus {

namespace {

bool has_delete_rule(Relation table) {
    for (int i = 0; table->rd_rules && i < table->rd_rules->numLocks; ++i)
        if (table->rd_rules->rules[i]->event == CMD_DELETE)
            return true;
    return false;
}

// Also those by which foreign keys of other tables refer to this one.
bool has_delete_trigger(Relation table) {
    const TriggerDesc* triggers = table->trigdesc;
    for (int i = 0; triggers && i < triggers->numtriggers; ++i)
        if (TRIGGER_FOR_DELETE(triggers->triggers[i].tgtype) &&
            triggers->triggers[i].tgenabled != TRIGGER_DISABLED)
            return true;
    return false;
}

bool is_column(Relation table, AttrNumber number, Oid type, Oid other_type) {
    if (number <= 0)
        return false;
    const Oid found = TupleDescAttr(RelationGetDescr(table), number - 1)->atttypid;
    return found == type || found == other_type;
}

AttrNumber id_column(Relation table) {
    return get_attnum(RelationGetRelid(table), "id");
}

AttrNumber date_column(Relation table) {
    return get_attnum(RelationGetRelid(table), "create_date");
}

// Of PostgreSQL's own operators, of all rows.
bool is_id_index(Relation index, AttrNumber id) {
    const Form_pg_index form = index->rd_index;
    return index->rd_rel->relam == BTREE_AM_OID && form->indisvalid && form->indisready &&
           form->indkey.values[0] == id && index->rd_opfamily[0] == INTEGER_BTREE_FAM_OID &&
           heap_attisnull(index->rd_indextuple, Anum_pg_index_indpred, nullptr);
}

// The index is open and locked, until the end of the transaction. Null if there is none.
Relation open_id_index(Relation table) {
    List* indexes = RelationGetIndexList(table);
    ListCell* cell;
    foreach (cell, indexes) {
        Relation index = index_open(lfirst_oid(cell), AccessShareLock);
        if (is_id_index(index, id_column(table)))
            return index;
        index_close(index, AccessShareLock);
    }
    return nullptr;
}

bool may_delete(Oid role, Oid relid) {
    return pg_class_aclcheck(relid, role, ACL_SELECT) == ACLCHECK_OK &&
           pg_class_aclcheck(relid, role, ACL_DELETE) == ACLCHECK_OK;
}

// Of what the table is.
const char* obstacle_of_table(Relation table) {
    if (table->rd_rel->relkind == RELKIND_PARTITIONED_TABLE || table->rd_rel->relispartition)
        return "it is partitioned";
    if (table->rd_rel->relkind != RELKIND_RELATION)
        return "it is not an ordinary table";
    if (table->rd_rel->relhassubclass)
        return "other tables inherit from it";
    if (!is_column(table, id_column(table), INT4OID, INT8OID) ||
        !is_column(table, date_column(table), TIMESTAMPOID, InvalidOid))
        return "it is not a table of Odoo's bus";
    if (has_delete_rule(table))
        return "it has a rule ON DELETE";
    if (has_delete_trigger(table))
        return "it has a trigger ON DELETE, or a foreign key refers to it";
    if (table->rd_rel->relforcerowsecurity)
        return "row-level security is forced on its owner";
    return nullptr;
}

// Whether rows can be deleted by the worker of this role.
const char* obstacle_of_owner(Relation table) {
    const Oid owner = table->rd_rel->relowner;
    if (superuser_arg(owner) && !retention_superuser_tables)
        return "its owner is a superuser";
    if (!may_delete(owner, RelationGetRelid(table)))
        return "its owner has no privilege to read or to delete its rows";
    if (!worker_may_connect(owner))
        return "its owner may not log in to this database";
    return nullptr;
}

// Returns false if another transaction has locked or changed the row.
bool delete_row(Relation table, TupleTableSlot* slot) {
    return delete_tuple(table, &slot->tts_tid) == TM_Ok;
}

// Rows that are dated in the future, until the next row tells how old they are.
class UndatedRows {
public:
    explicit UndatedRows(TupleTableSlot* slot) : slot(slot) {}

    uint32 size() const { return count; }
    bool is_full() const { return count == most; }
    void add(ItemPointer row) {
        if (count == room) {
            room = room ? std::min(room * 2, most) : 64;
            const std::size_t bytes = room * sizeof(ItemPointerData);
            rows = static_cast<ItemPointerData*>(rows ? repalloc(rows, bytes) : palloc(bytes));
        }
        rows[count++] = *row;
    }
    void clear() { count = 0; }
    // Returns how many were deleted.
    uint64 delete_all(Relation table) {
        uint64 deleted = 0;
        for (uint32 i = 0; i < count; ++i) {
            slot->tts_tid = rows[i];
            deleted += delete_row(table, slot);
        }
        count = 0;
        return deleted;
    }

private:
    static constexpr uint32 most = 100000;

    TupleTableSlot* slot; // whose place in the table is all that counts
    ItemPointerData* rows = nullptr;
    uint32 count = 0, room = 0;
};

// The condition id > after_id, if it is one.
int make_key(ScanKey key, bool id_is_int8, int64 after_id) {
    if (after_id == PG_INT64_MIN)
        return 0;
    constexpr AttrNumber first_column = 1;
    ScanKeyInit(key, first_column, BTGreaterStrategyNumber, id_is_int8 ? F_INT8GT : F_INT4GT,
                id_is_int8 ? Int64GetDatum(after_id) : Int32GetDatum(static_cast<int32>(after_id)));
    return 1;
}

} // namespace

const char* retention_obstacle(Relation table) {
    if (const char* obstacle = obstacle_of_table(table))
        return obstacle;
    if (const char* obstacle = obstacle_of_owner(table))
        return obstacle;
    Relation index = open_id_index(table);
    if (!index)
        return "it has no index of its column id";
    index_close(index, AccessShareLock);
    return nullptr;
}

RetentionBatch delete_old_rows(Relation table, int64 after_id, uint64 max_rows, Timestamp oldest_kept) {
    RetentionBatch batch;
    // As the executor: a publication may need the deleted rows' identity.
    CheckCmdReplicaIdentity(table, CMD_DELETE);
    Relation index = open_id_index(table);
    if (!index)
        return batch;
    const AttrNumber id = id_column(table), date = date_column(table);
    const bool id_is_int8 = TupleDescAttr(RelationGetDescr(table), id - 1)->atttypid == INT8OID;
    const ScanDirection ascending =
        index->rd_indoption[0] & INDOPTION_DESC ? BackwardScanDirection : ForwardScanDirection;
    ScanKeyData key;
    const int keys = make_key(&key, id_is_int8, after_id);
    TupleTableSlot* slot = table_slot_create(table, nullptr);
    IndexScanDesc scan = begin_index_scan(table, index, GetActiveSnapshot(), keys);
    index_rescan(scan, &key, keys, nullptr, 0);
    const Timestamp now = GetCurrentTimestamp();
    TupleTableSlot* undated_slot = table_slot_create(table, nullptr);
    UndatedRows undated(undated_slot);
    while ((batch.read < max_rows || (undated.size() > 0 && !undated.is_full())) &&
           index_getnext_slot(scan, ascending, slot)) {
        CHECK_FOR_INTERRUPTS();
        bool is_null;
        const Datum id_value = slot_getattr(slot, id, &is_null);
        if (is_null)
            continue;
        ++batch.read;
        batch.last_id = id_is_int8 ? DatumGetInt64(id_value) : DatumGetInt32(id_value);
        const Timestamp created = DatumGetTimestamp(slot_getattr(slot, date, &is_null));
        if (is_null)
            continue;
        if (created > now && !undated.is_full()) {
            undated.add(&slot->tts_tid);
            continue;
        }
        if (created < oldest_kept) {
            batch.deleted += undated.delete_all(table);
            if (delete_row(table, slot)) {
                ++batch.deleted;
                continue;
            }
        }
        batch.young += (created >= oldest_kept) + undated.size();
        undated.clear();
        if (!batch.oldest_left)
            batch.oldest_left = created;
    }
    batch.young += undated.size();
    if (undated.size() > 0 && !batch.oldest_left)
        batch.oldest_left = now;
    index_endscan(scan);
    ExecDropSingleTupleTableSlot(slot);
    ExecDropSingleTupleTableSlot(undated_slot);
    index_close(index, NoLock);
    return batch;
}

} // namespace odoo_bus

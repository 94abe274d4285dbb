// record_changed.cpp: bus_record_changed(), a trigger that sends the names of the changed columns of a row.
#include "channel.h"
#include "message.h"
#include "send.h"

namespace odoo_bus {

namespace {

// The trigger's arguments, resolved for its table.
struct Watch {
    const char* channel_template; // %s stands for the key
    const char* notification_type;
    AttrNumber key;
    bool* counts; // for each column of the table: it is observed
};

// A row's columns; none before an INSERT and after a DELETE.
struct Row {
    Datum* values = nullptr;
    bool* nulls = nullptr;
    explicit operator bool() const { return values; }
};

[[noreturn]] void raise_bad_trigger(const Trigger* trigger, const char* what) {
    ereport(
        ERROR,
        (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
         errmsg("the trigger \"%s\" does not fit bus_record_changed(): %s", trigger->tgname, what),
         errhint("CREATE TRIGGER ... AFTER INSERT OR UPDATE OR DELETE ON ... FOR EACH ROW EXECUTE FUNCTION "
                 "bus_record_changed('channel_%%s', 'notification.type' [, 'key column' [, 'columns, "
                 "that, count']]).")));
    pg_unreachable();
}

AttrNumber column_number(const TriggerData* data, const char* name) {
    const TupleDesc descriptor = RelationGetDescr(data->tg_relation);
    for (int i = 0; i < descriptor->natts; ++i) {
        const Form_pg_attribute column = TupleDescAttr(descriptor, i);
        if (!column->attisdropped && strcmp(NameStr(column->attname), name) == 0)
            return static_cast<AttrNumber>(i + 1);
    }
    raise_bad_trigger(data->tg_trigger, psprintf("there is no column \"%s\" in \"%s\"", name,
                                                 RelationGetRelationName(data->tg_relation)));
}

Watch make_watch(const TriggerData* data) {
    const Trigger* trigger = data->tg_trigger;
    if (!TRIGGER_FIRED_AFTER(data->tg_event) || !TRIGGER_FIRED_FOR_ROW(data->tg_event))
        raise_bad_trigger(trigger, "it must fire AFTER the change and FOR EACH ROW");
    if (trigger->tgnargs < 2 || trigger->tgnargs > 4)
        raise_bad_trigger(trigger, "it needs two to four arguments");
    Watch watch;
    watch.channel_template = trigger->tgargs[0];
    watch.notification_type = trigger->tgargs[1];
    if (!*watch.channel_template || !*watch.notification_type)
        raise_bad_trigger(trigger, "the channel and the type must not be empty");
    watch.key = column_number(data, trigger->tgnargs > 2 ? trigger->tgargs[2] : "id");

    const TupleDesc descriptor = RelationGetDescr(data->tg_relation);
    watch.counts = static_cast<bool*>(palloc(descriptor->natts * sizeof(bool)));
    std::fill_n(watch.counts, descriptor->natts, trigger->tgnargs < 4);
    if (trigger->tgnargs == 4) {
        List* names;
        if (!SplitIdentifierString(pstrdup(trigger->tgargs[3]), ',', &names) || names == NIL)
            raise_bad_trigger(trigger, "the fourth argument is not a list of columns");
        ListCell* cell;
        foreach (cell, names)
            watch.counts[column_number(data, static_cast<const char*>(lfirst(cell))) - 1] = true;
    }
    return watch;
}

Row deform(HeapTuple tuple, TupleDesc descriptor) {
    Row row;
    row.values = static_cast<Datum*>(palloc(descriptor->natts * sizeof(Datum)));
    row.nulls = static_cast<bool*>(palloc(descriptor->natts * sizeof(bool)));
    heap_deform_tuple(tuple, descriptor, row.values, row.nulls);
    return row;
}

bool same(Form_pg_attribute column, Row before, Row after) {
    const int i = column->attnum - 1;
    if (before.nulls[i] || after.nulls[i])
        return before.nulls[i] == after.nulls[i];
    return datum_image_eq(before.values[i], after.values[i], column->attbyval, column->attlen);
}

bool is_integer(Oid base) {
    return base == INT2OID || base == INT4OID || base == INT8OID;
}

// Its text does not depend on the session's settings.
bool has_one_spelling(Oid base) {
    return is_integer(base) || base == TEXTOID || base == VARCHAROID || base == UUIDOID ||
           base == NUMERICOID || base == BOOLOID;
}

// The channel of a record is the same in every session: dates, numbers and names are printed as under these
// settings.
constexpr const char* key_settings[][2] = {
    {"DateStyle", "ISO, YMD"}, {"IntervalStyle", "postgres"},    {"TimeZone", "UTC"},
    {"bytea_output", "hex"},   {"extra_float_digits", "1"},      {"lc_monetary", "C"},
    {"search_path", ""},       {"quote_all_identifiers", "off"},
};

const char* key_text(Form_pg_attribute column, Oid base, Row row) {
    Oid output;
    bool is_varlena;
    getTypeOutputInfo(column->atttypid, &output, &is_varlena);
    const Datum value = row.values[column->attnum - 1];
    if (has_one_spelling(base))
        return OidOutputFunctionCall(output, value);
    const int nest_level = NewGUCNestLevel();
    for (const auto& [name, setting] : key_settings)
        set_config_option(name, setting, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
    const char* text = OidOutputFunctionCall(output, value);
    AtEOXact_GUC(true, nest_level);
    return text;
}

text* row_channel(const Watch& watch, const char* key) {
    StringInfoData name;
    initStringInfo(&name);
    for (const char* p = watch.channel_template; *p; ++p) {
        if (p[0] == '%' && p[1] == 's') {
            appendStringInfoString(&name, key);
            ++p;
        } else {
            appendStringInfoChar(&name, *p);
        }
    }
    return make_channel({name.data, static_cast<std::size_t>(name.len)});
}

// {"record_id":7,"operation":"update","fields":["name","state"]}. The fields of an inserted row are those
// that are not NULL; a deleted row has none.
Notification describe_change(const Watch& watch, TupleDesc descriptor, Row before, Row after,
                             bool* any_changed) {
    const Form_pg_attribute key_column = TupleDescAttr(descriptor, watch.key - 1);
    const Oid key_type = getBaseType(key_column->atttypid);
    const char* key = key_text(key_column, key_type, after ? after : before);
    StringInfoData payload;
    initStringInfo(&payload);
    StringInfoSink sink{&payload};
    appendStringInfoString(&payload, "{\"record_id\":");
    if (is_integer(key_type))
        appendStringInfoString(&payload, key);
    else
        write_json_text(sink, {key, strlen(key)});
    appendStringInfo(&payload, ",\"operation\":\"%s\",\"fields\":[",
                     !before  ? "insert"
                     : !after ? "delete"
                              : "update");
    *any_changed = false;
    for (int i = 0; after && i < descriptor->natts; ++i) {
        const Form_pg_attribute column = TupleDescAttr(descriptor, i);
        if (column->attisdropped || !watch.counts[i] ||
            (before ? same(column, before, after) : after.nulls[i]))
            continue;
        if (*any_changed)
            sink.push_back(',');
        *any_changed = true;
        write_json_text(sink, {NameStr(column->attname), strlen(NameStr(column->attname))});
    }
    appendStringInfoString(&payload, "]}");
    return {row_channel(watch, key),
            make_message({watch.notification_type, strlen(watch.notification_type)},
                         std::string_view{payload.data, static_cast<std::size_t>(payload.len)})};
}

void tell_change(FunctionCallInfo fcinfo, const Watch& watch, TupleDesc descriptor, Row before, Row after) {
    const auto has_key = [&watch](Row row) { return row && !row.nulls[watch.key - 1]; };
    Notification told[2];
    std::size_t count = 0;
    bool any_changed;
    // A row without a key has no channel. A change of the key is a delete on one channel and an insert on
    // another.
    const bool moved = before && after && !same(TupleDescAttr(descriptor, watch.key - 1), before, after);
    if (moved) {
        if (has_key(before))
            told[count++] = describe_change(watch, descriptor, before, Row{}, &any_changed);
        if (has_key(after))
            told[count++] = describe_change(watch, descriptor, Row{}, after, &any_changed);
    } else if (has_key(after ? after : before)) {
        told[count] = describe_change(watch, descriptor, before, after, &any_changed);
        const bool is_update = before && after;
        count += !is_update || any_changed;
    }
    int64 ids[2];
    send_notifications(fcinfo, "bus_record_changed()", {told, count}, ids);
}

} // namespace

} // namespace odoo_bus

using namespace odoo_bus;

extern "C" {

PG_FUNCTION_INFO_V1(odoo_bus_record_changed);

Datum odoo_bus_record_changed(PG_FUNCTION_ARGS) {
    if (!CALLED_AS_TRIGGER(fcinfo))
        ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
                        errmsg("bus_record_changed() can be called only as a trigger"),
                        errhint("Name it in CREATE TRIGGER ... EXECUTE FUNCTION.")));
    TriggerData* data = castNode(TriggerData, fcinfo->context);
    const Watch watch = make_watch(data);
    const TupleDesc descriptor = RelationGetDescr(data->tg_relation);
    Row before, after;
    if (TRIGGER_FIRED_BY_INSERT(data->tg_event)) {
        after = deform(data->tg_trigtuple, descriptor);
    } else {
        before = deform(data->tg_trigtuple, descriptor);
        if (TRIGGER_FIRED_BY_UPDATE(data->tg_event))
            after = deform(data->tg_newtuple, descriptor);
    }
    tell_change(fcinfo, watch, descriptor, before, after);
    return Datum(0); // no tuple: what an AFTER trigger returns is ignored
}
}

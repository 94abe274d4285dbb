// send.cpp: bus_sendone() and bus_sendmany(), which insert rows and ring the doorbell at commit.
#include "send.h"

#include "channel.h"
#include "doorbell.h"
#include "insert.h"
#include "json_payload.h"
#include "message.h"
#include "user.h"

namespace odoo_bus {

void send_notifications(FunctionCallInfo fcinfo, const char* function,
                        std::span<const Notification> notifications, int64* ids) {
    PreventCommandIfReadOnly(function);
    PreventCommandIfParallelMode(function);
    if (notifications.empty())
        return;
    insert_notifications(extension_schema(fcinfo), notifications, ids);
    ring_at_commit(notifications);
}

namespace {

Datum send_one(FunctionCallInfo fcinfo, text* channel, int type_argument) {
    const std::string_view type = required_name(fcinfo, type_argument, "notification type");
    Jsonb* payload = PG_ARGISNULL(type_argument + 1) ? nullptr : PG_GETARG_JSONB_P(type_argument + 1);
    const Notification notification{channel, make_message(type, payload)};
    int64 id;
    send_notifications(fcinfo, "bus_sendone()", {&notification, 1}, &id);
    PG_RETURN_INT64(id);
}

template <class T>
T* allocate(int count) {
    return static_cast<T*>(palloc_extended(std::max(count, 1) * sizeof(T), MCXT_ALLOC_HUGE));
}

Datum send_many(FunctionCallInfo fcinfo, std::span<const Notification> notifications) {
    const int count = static_cast<int>(notifications.size());
    int64* ids = allocate<int64>(count);
    send_notifications(fcinfo, "bus_sendmany()", notifications, ids);
    if (count == 0)
        PG_RETURN_ARRAYTYPE_P(construct_empty_array(INT8OID));
    Datum* values = allocate<Datum>(count);
    for (int i = 0; i < count; ++i)
        values[i] = Int64GetDatum(ids[i]);
    PG_RETURN_ARRAYTYPE_P(
        construct_array(values, count, INT8OID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}

[[noreturn]] void raise_bad_element(int position, const char* what) {
    ereport(
        ERROR,
        (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
         errmsg("element %d of the notifications is not valid: %s", position, what),
         errhint("Each element is [target, type, payload] with a target like \"name\", [\"model\", id] or "
                 "[\"model\", id, \"subchannel\"]; texts must not be empty.")));
    pg_unreachable();
}

bool is_text(const JsonbValue* value) {
    return value && value->type == jbvString && value->val.string.len > 0;
}

std::string_view json_text(const JsonbValue* value) {
    return {value->val.string.val, static_cast<std::size_t>(value->val.string.len)};
}

bool is_array(const JsonbValue* value) {
    return value && value->type == jbvBinary && JsonContainerIsArray(value->val.binary.data);
}

// The value as a record's id, if it is an integer in range.
std::optional<int64> as_res_id(const JsonbValue* value) {
    if (!value || value->type != jbvNumeric)
        return {};
    const char* digits =
        DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(value->val.numeric)));
    int64 id;
    const auto result = std::from_chars(digits, digits + strlen(digits), id);
    if (result.ec != std::errc{} || *result.ptr != '\0')
        return {};
    return id;
}

text* target_channel(const JsonbValue* target, int position) {
    if (is_text(target))
        return make_channel(json_text(target));
    if (!is_array(target))
        raise_bad_element(position, "the target is empty, or neither a text nor an array");
    JsonbContainer* parts = target->val.binary.data;
    const uint32 count = JsonContainerSize(parts);
    const JsonbValue* model = getIthJsonbValueFromContainer(parts, 0);
    const std::optional<int64> res_id = as_res_id(getIthJsonbValueFromContainer(parts, 1));
    if ((count != 2 && count != 3) || !is_text(model) || !res_id)
        raise_bad_element(position, "the target is not a model with the id of a record");
    if (count == 2)
        return make_channel(json_text(model), res_id);
    const JsonbValue* subchannel = getIthJsonbValueFromContainer(parts, 2);
    if (!is_text(subchannel))
        raise_bad_element(position, "the subchannel is empty or not a text");
    return make_channel(json_text(model), res_id, json_text(subchannel));
}

Notification parse_notification(const JsonbValue& element, int position) {
    if (!is_array(&element) || JsonContainerSize(element.val.binary.data) != 3)
        raise_bad_element(position, "it is not an array of three");
    JsonbContainer* triple = element.val.binary.data;
    text* channel = target_channel(getIthJsonbValueFromContainer(triple, 0), position);
    const JsonbValue* type = getIthJsonbValueFromContainer(triple, 1);
    if (!is_text(type))
        raise_bad_element(position, "the type is empty or not a text");
    return {channel, make_message(json_text(type), getIthJsonbValueFromContainer(triple, 2))};
}

// The array's elements. Raises an error if one is NULL.
std::span<Datum> required_elements(FunctionCallInfo fcinfo, int argument, const char* what, Oid type,
                                   int16 length, bool by_value, char alignment) {
    if (PG_ARGISNULL(argument))
        ereport(ERROR,
                (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("the array of %ss must not be NULL", what),
                 errhint("Give an array; an empty one sends nothing.")));
    Datum* values;
    bool* nulls;
    int count;
    deconstruct_array(PG_GETARG_ARRAYTYPE_P(argument), type, length, by_value, alignment, &values, &nulls,
                      &count);
    for (int i = 0; i < count; ++i)
        if (nulls[i])
            ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
                            errmsg("element %d of the %ss is NULL", i + 1, what),
                            errhint("Leave NULLs out, for example by array_remove(..., NULL).")));
    return {values, static_cast<std::size_t>(count)};
}

} // namespace

} // namespace odoo_bus

using namespace odoo_bus;

extern "C" {

PG_FUNCTION_INFO_V1(odoo_bus_sendone);
PG_FUNCTION_INFO_V1(odoo_bus_sendone_record);
PG_FUNCTION_INFO_V1(odoo_bus_sendone_subchannel);
PG_FUNCTION_INFO_V1(odoo_bus_sendone_user);
PG_FUNCTION_INFO_V1(odoo_bus_sendmany);
PG_FUNCTION_INFO_V1(odoo_bus_sendmany_channels);
PG_FUNCTION_INFO_V1(odoo_bus_sendmany_records);

Datum odoo_bus_sendone(PG_FUNCTION_ARGS) {
    return send_one(fcinfo, make_channel(required_name(fcinfo, 0, "channel")), 1);
}

Datum odoo_bus_sendone_record(PG_FUNCTION_ARGS) {
    return send_one(fcinfo, make_channel(required_name(fcinfo, 0, "model"), required_res_id(fcinfo, 1)), 2);
}

Datum odoo_bus_sendone_subchannel(PG_FUNCTION_ARGS) {
    return send_one(fcinfo,
                    make_channel(required_name(fcinfo, 0, "model"), required_res_id(fcinfo, 1),
                                 required_name(fcinfo, 2, "subchannel")),
                    3);
}

Datum odoo_bus_sendone_user(PG_FUNCTION_ARGS) {
    if (PG_ARGISNULL(0))
        ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("the user's id must not be NULL"),
                        errhint("Give the id of a row of res_users.")));
    return send_one(fcinfo, user_channel(extension_schema(fcinfo), PG_GETARG_INT64(0)), 1);
}

Datum odoo_bus_sendmany(PG_FUNCTION_ARGS) {
    if (PG_ARGISNULL(0))
        ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("the notifications must not be NULL"),
                        errhint("Give an array of [target, type, payload]; an empty one sends nothing.")));
    Jsonb* list = PG_GETARG_JSONB_P(0);
    if (!JB_ROOT_IS_ARRAY(list) || JB_ROOT_IS_SCALAR(list))
        ereport(ERROR,
                (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("the notifications are not a JSON array"),
                 errhint("Give an array of [target, type, payload]; an empty one sends nothing.")));
    const int count = JB_ROOT_COUNT(list);
    Notification* notifications = allocate<Notification>(count);
    // Iterating takes linear time, unlike access by index.
    JsonbIterator* iterator = JsonbIteratorInit(&list->root);
    JsonbValue element;
    JsonbIteratorNext(&iterator, &element, true);
    for (int i = 0; i < count; ++i) {
        JsonbIteratorNext(&iterator, &element, true);
        notifications[i] = parse_notification(element, i + 1);
    }
    return send_many(fcinfo, {notifications, static_cast<std::size_t>(count)});
}

Datum odoo_bus_sendmany_channels(PG_FUNCTION_ARGS) {
    const std::span<Datum> names = required_elements(fcinfo, 0, "channel", TEXTOID, -1, false, TYPALIGN_INT);
    const std::string_view type = required_name(fcinfo, 1, "notification type");
    text* message = make_message(type, PG_ARGISNULL(2) ? nullptr : PG_GETARG_JSONB_P(2));
    Notification* notifications = allocate<Notification>(names.size());
    for (std::size_t i = 0; i < names.size(); ++i) {
        const std::string_view name = text_view(DatumGetTextPP(names[i]));
        if (name.empty())
            ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                            errmsg("element %d of the channels is empty", static_cast<int>(i + 1)),
                            errhint("Give the channel as text that is not empty.")));
        notifications[i] = {make_channel(name), message};
    }
    return send_many(fcinfo, {notifications, names.size()});
}

Datum odoo_bus_sendmany_records(PG_FUNCTION_ARGS) {
    const std::string_view model = required_name(fcinfo, 0, "model");
    const std::span<Datum> ids =
        required_elements(fcinfo, 1, "record id", INT8OID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE);
    const std::string_view type = required_name(fcinfo, 2, "notification type");
    text* message = make_message(type, PG_ARGISNULL(3) ? nullptr : PG_GETARG_JSONB_P(3));
    Notification* notifications = allocate<Notification>(ids.size());
    for (std::size_t i = 0; i < ids.size(); ++i)
        notifications[i] = {make_channel(model, DatumGetInt64(ids[i])), message};
    return send_many(fcinfo, {notifications, ids.size()});
}

DEFINE_WITH_JSON(odoo_bus_sendone, 2)
DEFINE_WITH_JSON(odoo_bus_sendone_record, 3)
DEFINE_WITH_JSON(odoo_bus_sendone_subchannel, 4)
DEFINE_WITH_JSON(odoo_bus_sendone_user, 2)
DEFINE_WITH_JSON(odoo_bus_sendmany_channels, 2)
DEFINE_WITH_JSON(odoo_bus_sendmany_records, 3)
}

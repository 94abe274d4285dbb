// channel.cpp: a channel as stored, ["mydb","res.partner",3], made from the arguments of SQL functions.
#include "channel.h"

namespace odoo_bus {

text* make_channel(std::string_view name_or_model, std::optional<int64> res_id,
                   std::optional<std::string_view> subchannel) {
    const char* database = get_database_name(MyDatabaseId);
    StringInfoData buffer;
    initStringInfo(&buffer);
    // Room for the length word, so that the buffer becomes a text without being copied.
    appendStringInfoSpaces(&buffer, VARHDRSZ);
    StringInfoSink sink{&buffer};
    if (subchannel)
        subchannel = to_utf8(subchannel->data(), subchannel->size());
    const bool valid = write_channel(sink, to_utf8(database, strlen(database)),
                                     to_utf8(name_or_model.data(), name_or_model.size()), res_id, subchannel);
    if (!valid)
        ereport(ERROR, (errcode(ERRCODE_CHARACTER_NOT_IN_REPERTOIRE),
                        errmsg("the name of the database or of the channel is not valid text"),
                        errhint("Send text in the encoding that the database declares.")));
    const int length = buffer.len - VARHDRSZ;
    if (length > max_channel_length)
        ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
                        errmsg("the channel is too long: %d bytes as JSON, of %d that a NOTIFY can carry",
                               length, max_channel_length),
                        errhint("Use a shorter name; a character that is not ASCII takes 6 or 12 bytes.")));
    text* channel = reinterpret_cast<text*>(buffer.data);
    SET_VARSIZE(channel, buffer.len);
    return channel;
}

std::string_view required_name(FunctionCallInfo fcinfo, int argument, const char* what) {
    if (PG_ARGISNULL(argument))
        ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("the %s must not be NULL", what),
                        errhint("Give the %s as text that is not empty.", what)));
    const std::string_view name = text_view(PG_GETARG_TEXT_PP(argument));
    if (name.empty())
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("the %s must not be empty", what),
                        errhint("Give the %s as text that is not empty.", what)));
    return name;
}

int64 required_res_id(FunctionCallInfo fcinfo, int argument) {
    if (PG_ARGISNULL(argument))
        ereport(ERROR,
                (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("the record's id must not be NULL"),
                 errhint("Give the id of the record, or leave it out to send to a channel of that name.")));
    return PG_GETARG_INT64(argument);
}

} // namespace odoo_bus

using namespace odoo_bus;

extern "C" {

PG_FUNCTION_INFO_V1(odoo_bus_channel);
PG_FUNCTION_INFO_V1(odoo_bus_channel_record);
PG_FUNCTION_INFO_V1(odoo_bus_channel_subchannel);

Datum odoo_bus_channel(PG_FUNCTION_ARGS) {
    PG_RETURN_TEXT_P(make_channel(required_name(fcinfo, 0, "channel")));
}

Datum odoo_bus_channel_record(PG_FUNCTION_ARGS) {
    PG_RETURN_TEXT_P(make_channel(required_name(fcinfo, 0, "model"), required_res_id(fcinfo, 1)));
}

Datum odoo_bus_channel_subchannel(PG_FUNCTION_ARGS) {
    PG_RETURN_TEXT_P(make_channel(required_name(fcinfo, 0, "model"), required_res_id(fcinfo, 1),
                                  required_name(fcinfo, 2, "subchannel")));
}
}

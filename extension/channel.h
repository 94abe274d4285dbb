// channel.h: a channel as stored, ["mydb","res.partner",3], made from the arguments of SQL functions.
#pragma once

#include "json_text.h"

namespace odoo_bus {

// NOTIFY carries less than 8000 bytes; a channel must fit into one as the only element of the JSON array.
constexpr int max_notify_payload = 7999;
constexpr int max_channel_length = max_notify_payload - 2;

// Names are in the server's encoding and must not be empty: see required_name().
text* make_channel(std::string_view name_or_model, std::optional<int64> res_id = {},
                   std::optional<std::string_view> subchannel = {});

// Returns the text argument. Raises an error that names it if it is NULL or empty.
std::string_view required_name(FunctionCallInfo fcinfo, int argument, const char* what);
int64 required_res_id(FunctionCallInfo fcinfo, int argument);

} // namespace odoo_bus

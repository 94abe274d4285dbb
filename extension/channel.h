// channel.h: a channel as it is stored, ["mydb","res.partner",3], made from the names that SQL gives.
#pragma once

#include "json_text.h"

namespace odoo_bus {

// NOTIFY carries less than 8000 bytes; a channel must fit into one as the only element of the JSON array.
constexpr int max_notify_payload = 7999;
constexpr int max_channel_length = max_notify_payload - 2;

// Names are in the server's encoding. Every one of them must not be empty: see required_name().
text* make_channel(std::string_view name_or_model, std::optional<int64> res_id = {},
                   std::optional<std::string_view> subchannel = {});

// The text argument, or an error that says what is missing when it is NULL or empty.
std::string_view required_name(FunctionCallInfo fcinfo, int argument, const char* what);
int64 required_res_id(FunctionCallInfo fcinfo, int argument);

} // namespace odoo_bus

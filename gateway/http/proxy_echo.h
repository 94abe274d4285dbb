// What a proxy has made of a request, told to whoever asks for it: odoo-bus-gateway doctor, with a header of
// its own. It tells nothing but what the asker sent, and what its own proxy added for it.
#pragma once

#include <optional>

#include "http/address.h"
#include "http/http_response.h"
#include "http/request_head.h"
#include "http/requester.h"

namespace odoo_bus {

// Nothing, unless the request has the header Odoo-Bus-Doctor.
std::optional<Response> proxy_echo(const RequestHead& head, const std::optional<Address>& peer,
                                   const Trust& trust);

} // namespace odoo_bus

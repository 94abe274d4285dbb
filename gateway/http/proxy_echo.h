// Answers a request with what a proxy has made of it, when a header asks for that: odoo-bus-gateway doctor
// does. The answer has only what the client sent and what its proxy added.
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

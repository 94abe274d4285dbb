// What a proxy has made of a request.
#include "http/proxy_echo.h"

#include "base/json.h"

namespace odoo_bus {

std::optional<Response> proxy_echo(const RequestHead& head, const std::optional<Address>& peer,
                                   const Trust& trust) {
    if (head.count("odoo-bus-doctor") == 0)
        return std::nullopt;
    const Requester requester = make_requester(head, peer, trust);
    const auto address = client_address(head, peer, trust);
    const bool upgrade = head.has_token("upgrade", "websocket") && head.has_token("connection", "upgrade");
    const auto text = [](const std::string& bytes) {
        json_t* const string = json_stringn(bytes.data(), bytes.size());
        return string ? string : json_string(""); // not UTF-8
    };
    const Json arrived(json_pack("{s:{s:b, s:b, s:o, s:o, s:o}}", "arrived", "upgrade", upgrade, "trusted",
                                 trust.is_proxy(peer), "host", text(requester.host), "proto",
                                 text(requester.forwarded_proto), "address",
                                 text(address ? address->text() : "")));
    Response response;
    response.status = 426;
    response.headers = {{"Content-Type", "application/json"},
                        {"Cache-Control", "no-store"},
                        {"Upgrade", "websocket"},
                        {"Connection", "close, Upgrade"}};
    const std::unique_ptr<char, decltype(&free)> body(json_dumps(arrived.get(), JSON_COMPACT), &free);
    response.body = body ? body.get() : "";
    return response;
}

} // namespace odoo_bus

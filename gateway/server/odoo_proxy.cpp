// Requests that are Odoo's to answer.
#include "server/odoo_proxy.h"

#include <algorithm>
#include <limits>
#include <utility>

#include <spdlog/fmt/fmt.h>

#include "base/log.h"
#include "metrics/metrics.h"
#include "server/relayed_headers.h"

namespace odoo_bus {

namespace {

const metrics::Counter relayed("odoo_bus_relayed_requests_total",
                               "Requests below /websocket/ and /bus/ that were proxied to Odoo.");

constexpr uint64_t TIMEOUT_MS = 60'000;
// Failures open no breaker: each request is a client's own.
constexpr OdooQueue::Bounds QUEUE{.concurrency = 64,
                                  .wait = std::chrono::seconds(10),
                                  .waiting = 1'000,
                                  .failures = std::numeric_limits<unsigned>::max()};
constexpr HttpAnswer::Bounds BOUNDS{.head_bytes = 32 << 10, .body_bytes = 8 << 20};

bool contains_ignoring_case(std::string_view text, std::string_view part) {
    return std::search(text.begin(), text.end(), part.begin(), part.end(),
                       [](char a, char b) { return (a >= 'A' && a <= 'Z' ? a + 32 : a) == b; }) != text.end();
}

void add(std::string& head, std::string_view name, std::string_view value) {
    std::string text(value);
    std::ranges::replace(text, '\t', ' '); // the one control character that a header may hold
    if (!text.empty())
        head += fmt::format("{}: {}\r\n", name, text);
}

} // namespace

OdooProxy::OdooProxy(uv_loop_t* loop, OdooUrl url) : client_(loop, std::move(url)), queue_(QUEUE, [] {}) {}

bool OdooProxy::takes(std::string_view path) {
    return path.starts_with("/websocket/") || path.starts_with("/bus/");
}

std::optional<Response> OdooProxy::refuse(const RequestHead& head) const {
    const std::string_view path = head.path();
    // Nothing that another server could read as another path.
    const bool is_plain = path.find("//") == path.npos && path.find("/./") == path.npos &&
                          path.find("/../") == path.npos && !path.ends_with("/.") && !path.ends_with("/..") &&
                          path.find_first_of("\\;") == path.npos && !contains_ignoring_case(path, "%2f") &&
                          !contains_ignoring_case(path, "%5c") && !contains_ignoring_case(path, "%2e") &&
                          !contains_ignoring_case(path, "%00");
    if (!is_plain)
        return Response::refusal(400, "The path has dot segments or encoded slashes.");
    if (head.method() != "GET" && head.method() != "HEAD" && head.method() != "POST" &&
        head.method() != "OPTIONS")
        return Response::refusal(405, "This method is not passed on.")
            .with("Allow", "GET, HEAD, POST, OPTIONS");
    return std::nullopt;
}

std::string OdooProxy::request(const RequestHead& head, std::string_view body, const Requester& who) {
    const bool has_query = !head.query().empty();
    std::string text = fmt::format("{} {}{}{} HTTP/1.1\r\n", head.method() == "HEAD" ? "GET" : head.method(),
                                   head.path(), has_query ? "?" : "", head.query());
    for (const auto& [name, value] : relayed_headers(head))
        add(text, name, value);
    add(text, "X-Forwarded-Host", who.forwarded_host);
    add(text, "X-Forwarded-Proto", who.forwarded_proto);
    add(text, "X-Forwarded-For", who.forwarded_for);
    add(text, "X-Real-IP", who.real_ip);
    text += fmt::format("Connection: close\r\nContent-Length: {}\r\n\r\n", body.size());
    text += body;
    return text;
}

Response OdooProxy::response(const HttpAnswer& answer) {
    Response response;
    response.status = answer.status();
    for (const auto& [name, value] : answer.headers())
        if (!is_hop_by_hop(name) && !equal_ignoring_case(name, "date"))
            response.headers.emplace_back(name, value);
    response.body = answer.body();
    return response;
}

void OdooProxy::pass_on(Passage passage) {
    struct Held {
        Passage passage;
        MemoryCharge charge;
    };
    const size_t bytes = passage.request.size();
    const auto held = std::make_shared<Held>(Held{std::move(passage), {}});
    held->charge = MemoryCharge(held->passage.account, bytes);
    const OdooQueue::Turn turn{.client = {},
                               .address = held->passage.account ? held->passage.account->name() : ""};
    const auto run = [this, held, turn] {
        relayed.add();
        client_.ask(std::move(held->passage.request), TIMEOUT_MS, BOUNDS,
                    [this, held, turn, sent = MonotonicClock::now()](const HttpAnswer* answer,
                                                                     const std::string& problem) {
                        if (answer) {
                            held->passage.on_response(response(*answer));
                        } else {
                            static log::Limited lines("requests that could not be passed on", 1);
                            lines.write(log::Level::warning, "a request could not be passed on to Odoo: {}",
                                        problem);
                            held->passage.on_response(Response::refusal(502, "Odoo does not answer"));
                        }
                        queue_.done(turn, answer != nullptr, sent, MonotonicClock::now());
                    });
    };
    queue_.add({.turn = turn,
                .account = held->passage.account,
                .is_wanted = held->passage.is_wanted,
                .run = run,
                .drop =
                    [held](const std::string& why) {
                        held->passage.on_response(Response::refusal(503, why).with("Retry-After", "2"));
                    }},
               MonotonicClock::now());
}

} // namespace odoo_bus

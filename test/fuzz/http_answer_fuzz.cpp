// Whatever a server answers: the same verdict however it is cut, nothing beyond the bounds, and what is
// passed on of it is again one answer. The first byte tells how the input is cut.
#include "http/http_answer.h"

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include <spdlog/fmt/fmt.h>

#include "cost.h"
#include "http/request_head.h"
#include "server/odoo_proxy.h"

using namespace odoo_bus;

namespace {

using State = HttpAnswer::State;
constexpr HttpAnswer::Bounds BOUNDS{.head_bytes = 2048, .body_bytes = 4096};
constexpr size_t MOST_HEADERS = 190; // the gateway adds some, and reads at most 200

void feed(HttpAnswer& answer, std::string_view bytes, size_t step) {
    for (size_t at = 0; at < bytes.size() && answer.state() == State::need_more; at += step)
        answer.feed(bytes.substr(at, step));
    answer.end();
}

void check_complete(const HttpAnswer& answer) {
    assert(answer.problem().empty());
    assert(answer.status() >= 200 && answer.status() <= 599 && answer.body().size() <= BOUNDS.body_bytes);
    for (const auto& [name, value] : answer.headers()) {
        assert(answer.header(name).has_value() && !answer.all(name).empty());
        for (const std::string& text : {name, value})
            assert(std::ranges::none_of(text, [](char c) { return (c >= 0 && c < ' ') || c == 0x7f; }));
    }
}

void check_passed_on(const HttpAnswer& answer) {
    const Response response = OdooProxy::response(answer);
    const bool has_body = answer.status() != 204 && answer.status() != 304;
    HttpAnswer again({.head_bytes = 8192, .body_bytes = BOUNDS.body_bytes});
    feed(again, response.to_string(), SIZE_MAX);
    assert(again.state() == State::complete && again.status() == answer.status());
    assert(again.body() == (has_body ? answer.body() : ""));
    for (const auto& [name, value] : response.headers) {
        assert(again.all(name) == answer.all(name));
        assert(!equal_ignoring_case(name, "transfer-encoding") &&
               !equal_ignoring_case(name, "content-length"));
    }
    assert(again.all("content-length").size() == has_body && again.all("connection").size() == 1);
}

// In chunks it is the same body.
void check_chunks(std::string_view body, size_t step) {
    std::string chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (size_t at = 0; at < body.size(); at += step) {
        const std::string_view chunk = body.substr(at, step);
        chunked += fmt::format("{:x};a=b\r\n{}\r\n", chunk.size(), chunk);
    }
    HttpAnswer answer(BOUNDS);
    feed(answer, chunked + "0\r\n\r\n", step);
    assert(body.size() <= BOUNDS.body_bytes ? answer.state() == State::complete && answer.body() == body
                                            : answer.state() == State::broken);
}

void check_cost(std::string_view chunk) {
    assert_linear(
        8'000,
        [chunk](size_t parts) {
            std::string text = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
            for (size_t i = 0; i < parts; ++i)
                text += fmt::format("{:x}\r\n{}\r\n", chunk.size(), chunk);
            return text;
        },
        [](const std::string& text) {
            HttpAnswer answer({.head_bytes = 2048, .body_bytes = 64 << 20});
            feed(answer, text, SIZE_MAX);
        });
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size == 0)
        return 0;
    const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
    HttpAnswer whole(BOUNDS), cut(BOUNDS);
    feed(whole, bytes, SIZE_MAX);
    feed(cut, bytes, 1 + data[0] % 64);
    assert(whole.state() == cut.state() && whole.state() != State::need_more);
    assert(whole.problem() == cut.problem());
    assert((whole.state() == State::broken) == !whole.problem().empty());
    if (whole.state() == State::complete) {
        assert(whole.status() == cut.status() && whole.headers() == cut.headers() &&
               whole.body() == cut.body());
        check_complete(whole);
        if (whole.headers().size() <= MOST_HEADERS)
            check_passed_on(whole);
    }
    check_chunks(bytes, 1 + data[0]);
    if (!bytes.empty() && bytes.size() < 16 && is_measured(bytes, 16))
        check_cost(bytes);
    return 0;
}

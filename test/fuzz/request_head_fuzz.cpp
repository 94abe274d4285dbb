// Whatever comes where a request head is expected: the same verdict however it is cut, and libwebsockets
// never sees more than it was promised.
#include "http/request_head.h"

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "http/handshake.h"
#include "http/query.h"

using namespace odoo_bus;

namespace {

constexpr size_t LIMIT = 4096;
using State = RequestHead::State;

void check_canonical(const RequestHead& head) {
    const std::string canonical = canonical_head(head, "/websocket");
    assert(canonical.size() < 1024);
    RequestHead again(LIMIT);
    assert(again.feed(canonical) == State::complete);
    assert(again.rest().empty() && again.header_count() == 5);
    assert(again.first("host") == head.first("host"));
    assert(again.first("sec-websocket-key") == head.first("sec-websocket-key"));
}

void check_complete(const RequestHead& head) {
    assert(head.head_bytes() <= LIMIT);
    assert(head.count("host") == 1 || (head.is_http_1_0() && head.count("host") == 0));
    assert(head.path().starts_with('/'));
    for (size_t i = 0; i < head.header_count(); ++i) {
        const auto [name, value] = head.header(i);
        assert(!name.empty() && head.count(name) >= 1);
        assert(std::none_of(value.begin(), value.end(),
                            [](char c) { return c == '\r' || c == '\n' || c == '\0'; }));
    }
    const std::string cookies = head.cookies();
    if (const auto cookie = head.cookie("session_id"))
        assert(cookies.find(*cookie) != cookies.npos);
    if (const auto query = parse_query(head.query()))
        assert(query->size() <= 64);
    if (head.is_http_1_0())
        return; // is never judged
    if (const auto refusal = judge_handshake(head))
        assert(refusal->status >= 400);
    else
        check_canonical(head);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    RequestHead whole(LIMIT);
    whole.feed(text);
    RequestHead pieces(LIMIT);
    const size_t step = size == 0 ? 1 : 1 + data[size - 1] % 7;
    size_t fed = 0;
    while (fed < size && pieces.state() == State::need_more) {
        const auto piece = text.substr(fed, step);
        pieces.feed(piece);
        fed += piece.size();
    }
    assert(whole.state() == pieces.state());
    if (whole.state() == State::refused)
        assert(whole.refusal().status == pieces.refusal().status);
    if (whole.state() == State::need_more) {
        assert(size < LIMIT);
        assert(whole.time_out() == State::refused && whole.refusal().status == 408);
    }
    if (whole.state() == State::complete) {
        assert(whole.head() == pieces.head());
        assert(std::string(whole.head()).append(whole.rest()) == text);
        check_complete(whole);
    }
    return 0;
}

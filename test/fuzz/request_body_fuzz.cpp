// Whatever comes where a body in chunks is expected: the same verdict however it is cut, within the bounds.
#include "http/request_body.h"

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

using namespace odoo_bus;

namespace {

constexpr size_t LIMIT = 2'000;
using State = RequestBody::State;

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    RequestBody whole = RequestBody::in_chunks(LIMIT);
    whole.feed(text);
    RequestBody pieces = RequestBody::in_chunks(LIMIT);
    const size_t step = size == 0 ? 1 : 1 + data[size - 1] % 7;
    for (size_t fed = 0; fed < size; fed += step)
        pieces.feed(text.substr(fed, step));
    assert(whole.state() == pieces.state() && whole.bytes() == pieces.bytes());
    assert(whole.bytes().size() <= LIMIT);
    assert(whole.held_bytes() <= 3 * LIMIT + 4'000);

    // What was read is the same when it is written again.
    if (whole.state() == State::complete) {
        char length[32];
        snprintf(length, sizeof length, "%zx\r\n", whole.bytes().size());
        RequestBody again = RequestBody::in_chunks(LIMIT);
        if (!whole.bytes().empty())
            again.feed(length + whole.bytes() + "\r\n");
        assert(again.feed("0\r\n\r\n") == State::complete && again.bytes() == whole.bytes());
    }
    return 0;
}

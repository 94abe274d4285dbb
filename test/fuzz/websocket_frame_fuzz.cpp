// Whatever a server sends as frames: the same pieces however they are cut, none too long, and what is passed
// on of them is read the same. The first byte tells how the input is cut.
#include "protocol/websocket_frame.h"

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "protocol/close_codes.h"

using namespace odoo_bus;

namespace {

constexpr size_t MAX_PIECE = 64;

struct Heard {
    std::string messages; // with marks where one begins and ends
    bool is_broken = false;
};

Heard hear(std::string_view bytes, size_t step) {
    FrameReader reader(MAX_PIECE);
    Heard heard;
    bool in_message = false;
    while (!bytes.empty()) {
        std::string_view part = bytes.substr(0, step);
        bytes.remove_prefix(part.size());
        while (auto piece = reader.next(part)) {
            assert(piece->payload.size() <= (piece->is_control() ? 125 : MAX_PIECE));
            if (piece->is_control()) {
                assert(piece->is_first && piece->is_last);
                heard.messages += '\1' + piece->payload + '\2';
                continue;
            }
            assert(piece->opcode == Opcode::text || piece->opcode == Opcode::binary);
            assert(piece->is_first == !in_message);
            in_message = !piece->is_last;
            heard.messages += (piece->is_first ? "<" : "") + piece->payload + (piece->is_last ? ">" : "");
        }
        assert(part.empty() && reader.held_bytes() <= 2 * MAX_PIECE + 125);
    }
    heard.is_broken = reader.is_broken();
    return heard;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size == 0)
        return 0;
    const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
    const Heard whole = hear(bytes, SIZE_MAX), cut = hear(bytes, 1 + data[0] % 64);
    assert(whole.is_broken == cut.is_broken && whole.messages.size() == cut.messages.size());
    if (const auto status = parse_close(bytes)) {
        assert(bytes.empty() ? status->code == close_code::NO_STATUS : close_code::may_be_sent(status->code));
        assert(close_payload(*status) == bytes);
    }
    return 0;
}

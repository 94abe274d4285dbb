// Whatever stands in bus_bus.message: an element is written only when it cannot break the frame around it.
#include "protocol/frame.h"

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/utf8.h"
#include "protocol/received_frame.h"

using namespace odoo_bus;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string_view message(reinterpret_cast<const char*>(data), size);
    std::string error;
    const auto element = make_element(7, message, error);
    if (!element) {
        assert(!error.empty() && is_utf8(error));
        return 0;
    }
    assert(is_utf8(*element) && element->find(message) != element->npos);
    Frame frame;
    frame.add(7, "", *element);
    frame.add(7, "", *element);
    const std::string text = std::move(frame).finish();
    const auto received = read_frame(text);
    assert(received && received->size() == 2);
    for (const ReceivedElement& one : *received) {
        assert(one.id == 7 && one.text == *element);
    }
    Frame event(0, FrameFormat::events);
    event.add(7, "[\"db\",\"a\"]", *element);
    const std::string lines = std::move(event).finish();
    assert(lines.find('\n') == lines.size() - std::string_view("\nid: 7\n\n").size() &&
           lines.find('\r') == lines.npos);
    const auto named = read_frame(std::string_view(lines).substr(6, lines.find('\n') - 6));
    assert(named && named->size() == 1 && named->front().id == 7);
    return 0;
}

// Whatever a server sends to tail.
#include "protocol/received_frame.h"

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/json.h"

using namespace odoo_bus;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string_view frame(reinterpret_cast<const char*>(data), size);
    parse_iso_time(frame);
    const auto elements = read_frame(frame);
    const Json parsed = parse_lenient(frame);
    assert(elements.has_value() == json_is_array(parsed.get()));
    if (!elements)
        return 0;
    assert(elements->size() == json_array_size(parsed.get()));
    for (const ReceivedElement& element : *elements) {
        // Each slice is a JSON value of its own.
        const Json array = parse_lenient("[" + std::string(element.text) + "]");
        assert(json_array_size(array.get()) == 1);
        if (!element.payload.empty())
            assert(json_array_size(parse_lenient("[" + std::string(element.payload) + "]").get()) == 1);
    }
    return 0;
}

// The encoder of channels against jansson: the same text, but for the few places where Python's differs, and
// the same opinion on what is UTF-8.
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>

#include <jansson.h>

#include "common/ascii_json.h"

using namespace odoo_bus;

namespace {

// What jansson prints, with hexadecimal digits in lower case and DEL escaped.
std::string as_python(std::string text) {
    std::string out;
    for (size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '\x7f') {
            out += "\\u007f";
        } else if (text[i] == '\\' && text[i + 1] == 'u') {
            for (size_t end = i + 6; i < end; ++i)
                out += i >= end - 4 && text[i] >= 'A' && text[i] <= 'F' ? static_cast<char>(text[i] + 32)
                                                                        : text[i];
            --i;
        } else if (text[i] == '\\') {
            out += text[i];
            out += text[++i];
        } else {
            out += text[i];
        }
    }
    return out;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const std::string_view database = text.substr(0, size / 2);
    const std::string_view name = text.substr(size / 2);
    const auto res_id =
        size < 8 ? std::nullopt : std::optional<int64_t>(static_cast<int64_t>(data[0]) << 56 | data[1]);

    std::string channel;
    const bool written = write_channel(channel, database, name, res_id);

    json_t* const array = json_array();
    const bool is_text = json_array_append_new(array, json_stringn(database.data(), database.size())) == 0 &&
                         json_array_append_new(array, json_stringn(name.data(), name.size())) == 0;
    assert(written == is_text);
    if (res_id)
        json_array_append_new(array, json_integer(*res_id));
    if (written) {
        const std::unique_ptr<char, decltype(&free)> dumped(
            json_dumps(array, JSON_COMPACT | JSON_ENSURE_ASCII), &free);
        assert(channel == as_python(dumped.get()));
    }
    json_decref(array);
    return 0;
}

// Whatever Odoo's port answers, a grant is channels of one database in Odoo's own spelling, nothing else.
#include <algorithm>
#include <cstdlib>

#include "auth/odoo/odoo_answer.h"
#include "base/json.h"
#include "base/log.h"

using namespace odoo_bus;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    static const bool quiet = (log::configure(log::Level::error, log::Format::text), true);
    (void)quiet;
    if (size == 0)
        return 0;
    const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
    HttpAnswer answer({.head_bytes = 4096, .body_bytes = 1 << 16});
    const size_t step = data[0] + 1u;
    for (size_t at = 0; at < bytes.size(); at += step)
        answer.feed(bytes.substr(at, step));
    if (answer.end() != HttpAnswer::State::complete)
        return answer.problem().empty() ? (abort(), 0) : 0;
    if (answer.body().size() > 1 << 16)
        abort();
    session_set_by(answer);
    read_call(answer);
    const PeekAnswer read = read_peek(answer);
    if (const auto* refused = std::get_if<Refused>(&read); refused && refused->name.size() > 128)
        abort();
    const auto* grant = std::get_if<Grant>(&read);
    if (!grant)
        return 0;
    for (const std::string& channel : grant->channels) {
        const bool is_ascii = std::ranges::all_of(channel, [](char c) { return c >= ' ' && c < 0x7f; });
        const Json parts(json_loadb(channel.data(), channel.size(), JSON_ALLOW_NUL, nullptr));
        const json_t* database = json_array_get(parts.get(), 0);
        if (!is_ascii || json_array_size(parts.get()) < 2 || !json_is_string(database) ||
            grant->database != std::string_view(json_string_value(database), json_string_length(database)))
            abort();
    }
    return 0;
}

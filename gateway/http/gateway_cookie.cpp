// The cookie that names a client's gateway.
#include "http/gateway_cookie.h"

#include <atomic>
#include <charconv>
#include <random>

#include <spdlog/fmt/fmt.h>

#include "base/clock.h"

namespace odoo_bus {

namespace {

uint64_t draw_number() {
    static thread_local std::mt19937_64 random{std::random_device{}()};
    return std::uniform_int_distribution<uint64_t>(1)(random);
}

uint64_t draw_mover() {
    const auto now_s = static_cast<uint64_t>(microseconds(WallClock::now()) / 1'000'000);
    return now_s << 32 | (draw_number() & 0xffffffff);
}

// Positions are counted anew by a process that does not find what the former one wrote down.
std::atomic<uint64_t>& this_process() {
    static std::atomic<uint64_t> number = draw_number();
    return number;
}

// The number behind `mark`, if `text` begins with that; 0 is none.
uint64_t take_number(std::string_view& text, char mark) {
    if (!text.starts_with(mark))
        return 0;
    uint64_t number = 0;
    const char* const end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data() + 1, end, number);
    if (error != std::errc() || number == 0)
        return 0;
    text.remove_prefix(static_cast<size_t>(stop - text.data()));
    return number;
}

} // namespace

uint64_t positions_number() {
    return this_process();
}

void inherit_positions_number(uint64_t number) {
    if (number)
        this_process() = number;
}

Provenance provenance_of(std::string_view cookie, std::string_view id) {
    if (cookie.empty())
        return {};
    if (cookie.starts_with(id)) {
        std::string_view rest = cookie.substr(id.size());
        const uint64_t mover = take_number(rest, '.'), process = take_number(rest, '@'),
                       position = process ? take_number(rest, '.') : 0;
        if (rest.empty() && (process == 0) == (position == 0))
            return {.named = true, .mover = mover, .position = process == this_process() ? position : 0};
    }
    return {.named = false, .mover = draw_mover()};
}

std::string set_gateway_cookie(Provenance provenance, std::string_view id, uint64_t position) {
    if (provenance.named && !position)
        return {};
    const std::string number = provenance.mover ? fmt::format(".{}", provenance.mover) : "";
    const std::string at = position ? fmt::format("@{}.{}", positions_number(), position) : "";
    return fmt::format("{}={}{}{}; Path=/; HttpOnly; SameSite=Lax", GATEWAY_COOKIE, id, number, at);
}

} // namespace odoo_bus

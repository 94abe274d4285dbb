// The cookie that names a client's gateway.
#include "gateway_cookie.h"

#include <charconv>
#include <random>

#include <spdlog/fmt/fmt.h>

namespace odoo_bus {

namespace {

uint64_t draw_number() {
    static thread_local std::mt19937_64 random{std::random_device{}()};
    return std::uniform_int_distribution<uint64_t>(1)(random);
}

} // namespace

Provenance provenance_of(std::string_view cookie, std::string_view id) {
    if (cookie.empty())
        return {};
    if (cookie == id)
        return {.named = true};
    if (cookie.starts_with(id) && cookie[id.size()] == '.') {
        const char* const end = cookie.data() + cookie.size();
        uint64_t mover = 0;
        const auto [stop, error] = std::from_chars(cookie.data() + id.size() + 1, end, mover);
        if (error == std::errc() && stop == end && mover != 0)
            return {.named = true, .mover = mover};
    }
    return {.named = false, .mover = draw_number()};
}

std::string set_gateway_cookie(Provenance provenance, std::string_view id) {
    if (provenance.named)
        return {};
    const std::string number = provenance.mover ? fmt::format(".{}", provenance.mover) : "";
    return fmt::format("{}={}{}; Path=/; HttpOnly; SameSite=Lax", GATEWAY_COOKIE, id, number);
}

} // namespace odoo_bus

// Sessions whose id Odoo has changed in a response to the gateway.
#include "auth/odoo/session_rotation.h"

#include <algorithm>

#include <spdlog/fmt/fmt.h>

namespace odoo_bus {

namespace {

constexpr size_t KEPT_BYTES = 42; // of an id, by a rotation
constexpr std::chrono::seconds OLD_LIVES{120};
constexpr size_t MAX_COOKIE_BYTES = 512;

} // namespace

bool SessionRotations::is_rotation(std::string_view old_id, std::string_view new_id) {
    return old_id.size() > KEPT_BYTES && new_id.size() == old_id.size() && new_id != old_id &&
           new_id.substr(0, KEPT_BYTES) == old_id.substr(0, KEPT_BYTES);
}

void SessionRotations::add(const SessionRotation& rotation, Monotonic now) {
    Known known{rotation, now + OLD_LIVES};
    const std::string& cookie = rotation.set_cookie;
    if (cookie.size() > MAX_COOKIE_BYTES ||
        !std::ranges::all_of(cookie, [](char c) { return c >= ' ' && c < 0x7f; }))
        known.rotation.set_cookie =
            fmt::format("session_id={}; Max-Age=604800; HttpOnly; Path=/", rotation.new_id);
    const std::lock_guard lock(mutex_);
    by_old_id_.insert_or_assign(rotation.old_id, std::move(known));
}

void SessionRotations::renew(Requester& requester, Monotonic now) const {
    if (!requester.same_host)
        return;
    const std::lock_guard lock(mutex_);
    if (by_old_id_.empty())
        return;
    for (auto& [name, value] : requester.cookies) {
        if (name != "session_id")
            continue;
        const auto known = by_old_id_.find(value);
        if (known == by_old_id_.end() || known->second.until <= now)
            return;
        value = known->second.rotation.new_id;
        requester.new_cookie = known->second.rotation.set_cookie;
        return;
    }
}

std::vector<SessionRotation> SessionRotations::all(Monotonic now) const {
    const std::lock_guard lock(mutex_);
    std::vector<SessionRotation> rotations;
    for (const auto& [old_id, known] : by_old_id_)
        if (known.until > now)
            rotations.push_back(known.rotation);
    return rotations;
}

void SessionRotations::tick(Monotonic now) {
    const std::lock_guard lock(mutex_);
    std::erase_if(by_old_id_, [now](const auto& each) { return each.second.until <= now; });
}

} // namespace odoo_bus

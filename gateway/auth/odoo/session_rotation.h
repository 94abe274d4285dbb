// Sessions whose id Odoo has changed in a response to the gateway: the browser must get the new id, or it is
// logged out when the old one ends.
#pragma once

#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/keyed_hash.h"
#include "http/requester.h"

namespace odoo_bus {

struct SessionRotation {
    std::string old_id;
    std::string new_id;
    std::string set_cookie; // the header's value
};

class SessionRotations {
public:
    // True when `new_id` is the session `old_id` under a new id, which begins with the same characters.
    // Another id is that of a public session in place of one that has ended.
    static bool is_rotation(std::string_view old_id, std::string_view new_id);

    // From any thread.
    void add(const SessionRotation& rotation, Monotonic now);

    // From any thread. Replaces an old id in the cookies of a page of its own host by the new one, and sets
    // `new_cookie`.
    void renew(Requester& requester, Monotonic now) const;

    // From any thread.
    std::vector<SessionRotation> all(Monotonic now) const;

    // About ten times a second.
    void tick(Monotonic now);

private:
    mutable std::mutex mutex_;
    struct Known {
        SessionRotation rotation;
        Monotonic until;
    };
    KeyedMap<std::string, Known> by_old_id_;
};

} // namespace odoo_bus

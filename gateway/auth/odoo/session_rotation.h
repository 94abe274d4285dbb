// Sessions whose id Odoo has changed in an answer to the gateway: the browser must get the new one, or it is
// logged out when the old one ends.
#pragma once

#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "http/requester.h"

namespace odoo_bus {

struct SessionRotation {
    std::string old_id;
    std::string new_id;
    std::string set_cookie; // the header's value
};

class SessionRotations {
public:
    // True when an answer that sets `set_cookie` has rotated the session `old_id`: the new id has the same
    // begin. Another id is a public session in place of one that has ended, and nobody's affair.
    static bool is_rotation(std::string_view old_id, std::string_view new_id);

    // From any thread.
    void add(const SessionRotation& rotation, Monotonic now);

    // From any thread. Gives a browser that shows an old id the new one, when the page is of its own host: in
    // its cookies, and as `new_cookie`.
    void renew(Requester& requester, Monotonic now) const;

    // From any thread.
    std::vector<SessionRotation> all(Monotonic now) const;

    // About once a second.
    void tick(Monotonic now);

private:
    mutable std::mutex mutex_;
    struct Known {
        SessionRotation rotation;
        Monotonic until;
    };
    std::unordered_map<std::string, Known> by_old_id_;
};

} // namespace odoo_bus

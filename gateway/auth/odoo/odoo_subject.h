// As whom, on which host and about which channels Odoo is asked.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "auth/odoo/odoo_queue.h"
#include "auth/odoo/odoo_request.h"
#include "base/sha256.h"
#include "http/requester.h"

namespace odoo_bus {

struct OdooSubject {
    std::shared_ptr<const Requester> requester;
    Identity identity;
    std::vector<std::string> channels; // as named, and the guest's
    Digest client;                     // of the host and the cookies
    Digest key;                        // of these and the channels
    std::string host;

    std::string_view session() const { return identity.cookie("session_id"); }
    // Of the names, as often as a question that waits repeats them.
    size_t held_bytes() const;
};

OdooSubject make_subject(std::shared_ptr<const Requester> requester, std::vector<std::string> channels);

// OdooSubject::client of such a subject.
Digest client_digest(const Requester& requester, const Identity& identity);

// In the queue addresses take turns, and the sessions of each; those without one are one.
OdooQueue::Turn turn_of(const OdooSubject& subject);

} // namespace odoo_bus

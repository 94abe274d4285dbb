// Presence as it is reported to Odoo: the latest activity of each client, and the end of its last connection.
//
// A call with a session may make Odoo change the session's id, which would log an idle user out
// (odoo-protocol.md): a browser that has gone receives no new id. So its going is reported only to an Odoo
// that does not change ids.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "auth/authorizer.h"
#include "auth/odoo/odoo_subject.h"
#include "base/clock.h"
#include "base/keyed_hash.h"
#include "protocol/client_event.h"

namespace odoo_bus {

class OdooPresence {
public:
    // Sends the body to the path as the subject, in its turn. `body` is called then.
    using Call =
        std::function<void(const OdooSubject& subject, const char* path, std::function<std::string()> body)>;

    explicit OdooPresence(Call call) : call_(std::move(call)) {}

    // The latest one counts; an impossible value is ignored.
    void update(const OdooSubject& subject, const UpdatePresence& presence);
    // The last connection of this client has ended.
    void left(const OdooSubject& subject, Monotonic now);
    // The client is connected, again or still.
    void came(const Digest& client) { gone_.erase(client); }

    // No end of a connection is reported any more.
    void forget() { gone_.clear(); }

    // A peek of this session was answered with the grant. `sets_session`: the response also set a session's
    // id.
    void granted(std::string_view session, const Grant& grant, bool sets_session, Monotonic now);
    // The id of a session was changed.
    void rotated() {
        rotates_ = true;
        keeps_ = false;
        seen_.clear();
    }

    // About ten times a second.
    void tick(Monotonic now);

private:
    struct Gone {
        OdooSubject subject;
        Monotonic at;
    };

    static bool is_known(const OdooSubject& subject);
    bool may_tell(const OdooSubject& subject) const;

    const Call call_;
    std::unordered_map<Digest, UpdatePresence, DigestHash> latest_; // not sent yet
    std::unordered_map<Digest, Gone, DigestHash> gone_;
    KeyedMap<std::string, Monotonic> seen_; // users' sessions, and when each was seen first
    bool rotates_ = false;                  // this Odoo changes ids when the gateway calls
    bool keeps_ = false;                    // it does not
};

} // namespace odoo_bus

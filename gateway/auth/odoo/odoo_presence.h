// What Odoo is told about who is there: the latest activity of each client, and who has gone.
//
// A call on a session may make Odoo change the session's id, which would log an idle user out
// (odoo-protocol.md): a browser that has gone takes no new id, so whether Odoo may be told that it has gone
// is asked first.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "auth/authorizer.h"
#include "auth/odoo/odoo_subject.h"
#include "base/clock.h"
#include "protocol/client_event.h"

namespace odoo_bus {

class OdooPresence {
public:
    // Sends the body to the path as `subject`, when its turn has come. `body` is asked then.
    using Call =
        std::function<void(const OdooSubject& subject, const char* path, std::function<std::string()> body)>;

    explicit OdooPresence(Call call) : call_(std::move(call)) {}

    // The latest one counts; one that is not possible is ignored.
    void update(const OdooSubject& subject, const UpdatePresence& presence);
    // The last connection of this client has ended.
    void left(const OdooSubject& subject, Monotonic now);
    // It is there, again or still.
    void came(const Digest& client) { gone_.erase(client); }

    // Nobody is to be told to have gone.
    void forget() { gone_.clear(); }

    // A peek of this session was answered with the grant. `sets_session`: and with the id of a session.
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
    std::unordered_map<Digest, UpdatePresence, DigestHash> latest_; // that is not sent yet
    std::unordered_map<Digest, Gone, DigestHash> gone_;
    std::unordered_map<std::string, Monotonic> seen_; // users' sessions, and when they were seen first
    bool rotates_ = false;                            // this Odoo changes ids when the gateway calls
    bool keeps_ = false;                              // it does not
};

} // namespace odoo_bus

// Presence as it is reported to Odoo.
#include "auth/odoo/odoo_presence.h"

#include <algorithm>

#include "common/ascii_json.h"

namespace odoo_bus {

using namespace std::chrono_literals;

namespace {

constexpr const char* PRESENCE = "/websocket/update_bus_presence";
constexpr const char* CLOSED = "/websocket/on_closed";

constexpr int64_t MAX_INACTIVITY_MS = int64_t{1} << 31;

// A page that is reloaded closes its connection and opens another.
constexpr Duration GRACE = 5s;

// Odoo changes the ids of sessions that are older than three hours.
constexpr Duration ROTATION = 3h + 5min;
constexpr size_t MAX_SEEN = 200'000;

// ["mydb","res.partner",3]: Odoo grants it to users who have logged in, and to no others.
bool is_of_user(const Grant& grant) {
    std::string any;
    if (!write_channel(any, grant.database, "res.partner", 1))
        return false;
    const std::string_view before = std::string_view(any).substr(0, any.size() - 2);
    return std::ranges::any_of(grant.channels, [before](std::string_view channel) {
        return channel.size() > before.size() + 1 && channel.starts_with(before) && channel.ends_with(']') &&
               channel.find_first_not_of("0123456789", before.size()) == channel.size() - 1;
    });
}

} // namespace

// The public has no presence.
bool OdooPresence::is_known(const OdooSubject& subject) {
    return !subject.identity.is_public || !subject.identity.guest_channel.empty();
}

void OdooPresence::update(const OdooSubject& subject, const UpdatePresence& presence) {
    if (!is_known(subject) || presence.inactivity_period < 0 ||
        presence.inactivity_period > MAX_INACTIVITY_MS)
        return;
    const bool waits = latest_.contains(subject.client);
    latest_[subject.client] = presence;
    if (waits)
        return;
    call_(subject, PRESENCE, [this, client = subject.client] {
        const auto latest = latest_.extract(client).mapped();
        return presence_body(latest.inactivity_period, latest.im_status_ids_by_model);
    });
}

void OdooPresence::left(const OdooSubject& subject, Monotonic now) {
    if (!is_known(subject))
        return;
    Gone gone{subject, now + GRACE};
    gone.subject.channels = {}; // not needed any more
    gone_.insert_or_assign(subject.client, std::move(gone));
}

// Only a user's grant is evidence: in an error, or for a visitor, no Odoo changes the id.
void OdooPresence::granted(std::string_view session, const Grant& grant, bool sets_session, Monotonic now) {
    if (keeps_ || session.empty() || sets_session || !is_of_user(grant))
        return;
    if (seen_.size() >= MAX_SEEN)
        seen_.clear();
    const auto [seen, is_new] = seen_.try_emplace(std::string(session), now);
    // Old enough for another id, if this Odoo changed ids when the gateway calls.
    if (now - seen->second > ROTATION)
        keeps_ = true;
}

bool OdooPresence::may_tell(const OdooSubject& subject) const {
    if (subject.identity.is_public || keeps_)
        return true;
    // Before 19.0 ids are changed at login only. The page says which Odoo it is from.
    const std::string& version = subject.requester->worker_version;
    return !rotates_ && (version.starts_with("17.") || version.starts_with("18."));
}

void OdooPresence::tick(Monotonic now) {
    for (auto it = gone_.begin(); it != gone_.end();) {
        if (now < it->second.at) {
            ++it;
            continue;
        }
        if (may_tell(it->second.subject))
            call_(it->second.subject, CLOSED, [] { return empty_call_body(); });
        it = gone_.erase(it);
    }
}

} // namespace odoo_bus

// Authorization `odoo`, for one service thread.
#include "auth/odoo/odoo_authorizer.h"

namespace odoo_bus {

void OdooAuthorizer::joined(const Admission& admission, Client& client) {
    const auto link = std::make_shared<ConnectionLink>(client, post_);
    states_[&admission].link = link;
    if (admission.transport == Transport::websocket && !admission.requester->worker_version.empty())
        auth_service_.join(link, admission.requester);
}

void OdooAuthorizer::authorize(const Admission& admission, const Subscribe& subscribe, bool first,
                               std::function<void(Decision)> decide) {
    State& state = states_[&admission];
    // Odoo's pages repeat an identical list exactly when a membership has changed: only the first one may be
    // answered from the cache.
    const bool may_reuse = !std::exchange(state.asked, true);
    // The link drops this when the connection ends, and `state` with it.
    state.link->await_decision([this, &admission, &state, decide = std::move(decide)](Decision decision) {
        if (std::holds_alternative<Grant>(decision)) {
            state.granted = true;
            if (const auto presence = std::exchange(state.presence, std::nullopt))
                auth_service_.tell_presence(admission.requester, *presence);
        }
        decide(std::move(decision));
    });
    auth_service_.ask({.link = state.link,
                       .requester = admission.requester,
                       .channels = subscribe.channels,
                       .first = first,
                       .may_reuse = may_reuse});
}

void OdooAuthorizer::confirm(const Admission& admission) {
    auth_service_.confirm(states_.at(&admission).link);
}

// Before the first grant Odoo has not marked the session, and would take it for an expired one.
void OdooAuthorizer::told(const Admission& admission, const UpdatePresence& presence) {
    State& state = states_[&admission];
    if (state.granted)
        auth_service_.tell_presence(admission.requester, presence);
    else
        state.presence = presence;
}

void OdooAuthorizer::parted(const Admission& admission) {
    auth_service_.part(admission.requester);
}

void OdooAuthorizer::left(const Admission& admission) {
    const auto it = states_.find(&admission);
    if (it == states_.end())
        return;
    it->second.link->cut();
    auth_service_.leave(it->second.link);
    states_.erase(it);
}

void OdooAuthorizer::tick() {
    for (const auto& [admission, state] : states_)
        state.link->note_received();
}

} // namespace odoo_bus

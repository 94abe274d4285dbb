// Authorization `odoo`, for one service thread.
#include "odoo_authorizer.h"

namespace odoo_bus {

void OdooAuthorizer::authorize(const Admission& admission, const Subscribe& subscribe, bool first,
                               std::function<void(Decision)> decide) {
    // Stock pages repeat an identical list exactly when a membership has changed: only the first is answered
    // from what is known.
    const bool may_reuse = asked_.insert(&admission).second;
    desk_.ask(
        {.who = admission.requester, .channels = subscribe.channels, .first = first, .may_reuse = may_reuse},
        [post = post_, decide = std::move(decide)](Decision decision) {
            post([decide, decision = std::move(decision)]() mutable { decide(std::move(decision)); });
        });
}

} // namespace odoo_bus

// Authorization `odoo`, for one service thread: posts questions to the service, and receives its decisions on
// this thread.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <unordered_map>

#include "auth/authorizer.h"
#include "auth/odoo/odoo_auth_service.h"
#include "base/loop.h"

namespace odoo_bus {

class OdooAuthorizer final : public Authorizer {
public:
    OdooAuthorizer(OdooAuthService& auth_service, std::function<void(Loop::Task)> post)
        : auth_service_(auth_service), post_(std::move(post)) {}

    void authorize(const Admission& admission, const Subscribe& subscribe, bool first,
                   std::function<void(Decision)> decide) override;
    void confirm(const Admission& admission) override;
    void joined(const Admission& admission, Client& client) override;
    void told(const Admission& admission, const UpdatePresence& presence) override;
    void left(const Admission& admission) override;
    void parted(const Admission& admission) override;
    void renew(Requester& requester) const override { auth_service_.renew(requester); }
    bool changes_session(const Requester& requester, const std::vector<std::string_view>& cookies) override {
        return auth_service_.changes_session(requester, cookies);
    }
    void odoo_hears_of_end(const Admission& admission) override {
        states_.at(&admission).link->let_odoo_hear_of_end();
    }
    void tick() override;

private:
    struct State {
        std::shared_ptr<ConnectionLink> link;
        bool asked = false;                     // a question
        bool granted = false;                   // something
        std::optional<UpdatePresence> presence; // that came before the first grant
    };

    OdooAuthService& auth_service_;
    const std::function<void(Loop::Task)> post_;
    std::unordered_map<const Admission*, State> states_;
};

} // namespace odoo_bus

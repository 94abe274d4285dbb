// Authorization `odoo`, for one service thread: asks the desk, and brings its decisions back to this thread.
#pragma once

#include <functional>
#include <unordered_set>

#include "authorizer.h"
#include "loop.h"
#include "odoo_desk.h"

namespace odoo_bus {

class OdooAuthorizer final : public Authorizer {
public:
    OdooAuthorizer(OdooDesk& desk, std::function<void(Loop::Task)> post)
        : desk_(desk), post_(std::move(post)) {}

    void authorize(const Admission& admission, const Subscribe& subscribe, bool first,
                   std::function<void(Decision)> decide) override;
    void left(const Admission& admission) override { asked_.erase(&admission); }

private:
    OdooDesk& desk_;
    const std::function<void(Loop::Task)> post_;
    std::unordered_set<const Admission*> asked_; // whose first question was asked
};

} // namespace odoo_bus

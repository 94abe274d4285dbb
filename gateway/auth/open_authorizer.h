// Authorization `open`, for development: a client may subscribe to any channel that a string names.
#pragma once

#include <string>

#include "auth/authorizer.h"

namespace odoo_bus {

class OpenAuthorizer final : public Authorizer {
public:
    // `database`: of a client that names none.
    explicit OpenAuthorizer(std::string database) : database_(std::move(database)) {}

    void authorize(const Admission& admission, const Subscribe& subscribe, bool first,
                   std::function<void(Decision)> decide) override;

private:
    std::string database_;
};

} // namespace odoo_bus

// Authorization `open`, for development: whoever connects may name any string channel.
#pragma once

#include <string>

#include "auth/authorizer.h"

namespace odoo_bus {

class OpenAuthorizer final : public Authorizer {
public:
    // `database`: whose channels a client gets that names no database.
    explicit OpenAuthorizer(std::string database) : database_(std::move(database)) {}

    void authorize(const Admission& admission, const Subscribe& subscribe, bool first,
                   std::function<void(Decision)> decide) override;

private:
    std::string database_;
};

} // namespace odoo_bus

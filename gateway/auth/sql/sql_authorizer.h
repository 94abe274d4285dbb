// Authorization `sql`: a function in the database, named by --auth-sql-function, is told what of the request
// the options list and which channels are wanted, and returns those that are granted, as stored; NULL
// refuses.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "auth/auth_backend.h"
#include "auth/sql/sql_auth_service.h"

namespace odoo_bus {

class SqlAuthBackend final : public AuthBackend {
public:
    SqlAuthBackend(const Options& options, const std::vector<std::string>& names);

    std::string start() override;
    void stop() override { auth_service_.stop(); }
    void shed() override { auth_service_.shed(); }
    std::unique_ptr<Authorizer> make(std::function<void(Loop::Task)> post) override;
    void expect(const std::string& database) override { auth_service_.expect(database); }
    void let_go(const std::string& database) override { auth_service_.let_go(database); }
    void forget(const std::string& database) override { auth_service_.forget(database); }

private:
    const std::vector<std::string> passes_;
    const std::string database_;
    SqlAuthService auth_service_;
};

// The request, as the function gets it: {"cookies": {...}, "headers": {...}, "address": "192.0.2.1"}.
// `passes`: cookie:NAME, or the name of a header.
std::string sql_request(const Requester& requester, const std::vector<std::string>& passes);

} // namespace odoo_bus

// Makes the kind of authorization that the options name.
#include "auth/auth_backend.h"

#include <cerrno>
#include <cstring>

#include <spdlog/fmt/fmt.h>
#include <unistd.h>

#include "auth/odoo/odoo_auth_service.h"
#include "auth/odoo/odoo_authorizer.h"
#include "auth/open_authorizer.h"
#include "auth/sql/sql_authorizer.h"
#include "auth/token/token_authorizer.h"

namespace odoo_bus {

namespace {

class OpenAuthBackend final : public AuthBackend {
public:
    explicit OpenAuthBackend(std::string database) : database_(std::move(database)) {}

    std::unique_ptr<Authorizer> make(std::function<void(Loop::Task)>) override {
        return std::make_unique<OpenAuthorizer>(database_);
    }
    bool needs_requester() const override { return false; }

private:
    const std::string database_;
};

class OdooAuthBackend final : public AuthBackend {
public:
    OdooAuthBackend(const Options& options, const std::vector<std::string>& names)
        : auth_service_(options, names) {}

    void begin() override { auth_service_.start(); }
    void stop() override { auth_service_.stop(); }
    std::unique_ptr<Authorizer> make(std::function<void(Loop::Task)> post) override {
        return std::make_unique<OdooAuthorizer>(auth_service_, std::move(post));
    }
    void reconfigure(const Options& options) override { auth_service_.reconfigure(options); }
    void shed() override { auth_service_.shed(); }
    std::optional<Response> unavailable(const Requester* who) const override {
        return auth_service_.unavailable(*who);
    }
    void renew(Requester& requester) const override { auth_service_.renew(requester); }
    void users_changed(const std::string& database, const std::set<int64_t>& partners) override {
        auth_service_.users_changed(database, partners);
    }
    void set_newest(const std::string& database, Id newest) override {
        auth_service_.set_newest(database, newest);
    }
    void forget(const std::string& database) override { auth_service_.forget_newest(database); }
    void hand_over(std::function<void(TakeOverMessage)> tell, std::function<void()> done) override {
        auth_service_.hand_over(std::move(tell), std::move(done));
    }
    void take_back() override { auth_service_.take_back(); }
    void retire() override { auth_service_.retire(); }
    void inherit(const TakeOverMessage& message) override { auth_service_.inherit(message); }

private:
    OdooAuthService auth_service_;
};

} // namespace

std::string check_auth(const Options& options) {
    return options.auth == Auth::token ? read_token_keys(options.token_keys).problem : "";
}

std::vector<std::string> warn_of_auth(const Options& options) {
    std::vector<std::string> warnings;
    if (options.auth == Auth::token)
        for (const std::string& ignored : read_token_keys(options.token_keys).ignored)
            warnings.push_back(fmt::format("--token-keys {}: ignored {}", options.token_keys, ignored));
    const std::string sessions = options.odoo_data_dir + "/sessions";
    if (options.auth == Auth::odoo && !options.odoo_data_dir.empty() &&
        access(sessions.c_str(), R_OK | X_OK) != 0)
        warnings.push_back(fmt::format("--odoo-data-dir: {}: {}", sessions, strerror(errno)));
    return warnings;
}

std::unique_ptr<AuthBackend> make_auth_backend(const Options& options,
                                               const std::vector<std::string>& names) {
    switch (options.auth) {
    case Auth::token:
        return std::make_unique<TokenAuthBackend>(options, names);
    case Auth::sql:
        return std::make_unique<SqlAuthBackend>(options, names);
    case Auth::open:
        break;
    case Auth::odoo:
        return std::make_unique<OdooAuthBackend>(options, names);
    }
    return std::make_unique<OpenAuthBackend>(names.front());
}

} // namespace odoo_bus

// Which kind of authorization the options ask for.
#include "auth/auth_backend.h"

#include "auth/odoo/odoo_auth_service.h"
#include "auth/odoo/odoo_authorizer.h"
#include "auth/open_authorizer.h"
#include "auth/sql/sql_authorizer.h"
#include "auth/token/token_authorizer.h"

namespace odoo_bus {

namespace {

class OpenAuthorizers final : public Authorizers {
public:
    explicit OpenAuthorizers(std::string database) : database_(std::move(database)) {}

    std::unique_ptr<Authorizer> make(std::function<void(Loop::Task)>) override {
        return std::make_unique<OpenAuthorizer>(database_);
    }
    bool needs_requester() const override { return false; }

private:
    const std::string database_;
};

class OdooAuthorizers final : public Authorizers {
public:
    OdooAuthorizers(const Options& options, const std::vector<std::string>& names) : desk_(options, names) {}

    void begin() override { desk_.start(); }
    void stop() override { desk_.stop(); }
    std::unique_ptr<Authorizer> make(std::function<void(Loop::Task)> post) override {
        return std::make_unique<OdooAuthorizer>(desk_, std::move(post));
    }
    void reconfigure(const Options& options) override { desk_.reconfigure(options); }
    std::optional<Response> unavailable(const Requester* who) const override {
        return desk_.unavailable(*who);
    }
    void renew(Requester& requester) const override { desk_.renew(requester); }
    void users_changed(const std::string& database, const std::set<int64_t>& partners) override {
        desk_.users_changed(database, partners);
    }
    void set_newest(const std::string& database, Id newest) override { desk_.set_newest(database, newest); }
    void forget(const std::string& database) override { desk_.forget_newest(database); }
    void hand_over(std::function<void(TakeOverMessage)> tell, std::function<void()> done) override {
        desk_.hand_over(std::move(tell), std::move(done));
    }
    void take_back() override { desk_.take_back(); }
    void retire() override { desk_.retire(); }
    void inherit(const TakeOverMessage& message) override { desk_.inherit(message); }

private:
    OdooDesk desk_;
};

} // namespace

std::unique_ptr<Authorizers> make_authorizers(const Options& options, const std::vector<std::string>& names) {
    switch (options.auth) {
    case Auth::token:
        return std::make_unique<TokenAuthorizers>(options, names);
    case Auth::sql:
        return std::make_unique<SqlAuthorizers>(options, names);
    case Auth::open:
        break;
    case Auth::odoo:
        return std::make_unique<OdooAuthorizers>(options, names);
    }
    return std::make_unique<OpenAuthorizers>(names.front());
}

} // namespace odoo_bus

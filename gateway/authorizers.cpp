// Which kind of authorization the options ask for.
#include "authorizers.h"

#include "open_authorizer.h"

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

} // namespace

std::unique_ptr<Authorizers> make_authorizers(const Options& options, const std::vector<std::string>& names) {
    switch (options.auth) {
    case Auth::open:
        break;
    }
    return std::make_unique<OpenAuthorizers>(names.front());
}

} // namespace odoo_bus

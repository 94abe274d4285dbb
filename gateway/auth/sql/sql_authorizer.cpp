// Authorization `sql`.
#include "auth/sql/sql_authorizer.h"

#include "base/json.h"

namespace odoo_bus {

namespace {

constexpr std::string_view COOKIE = "cookie:";

class SqlAuthorizer final : public Authorizer {
public:
    SqlAuthorizer(SqlAuthService& auth_service, const std::vector<std::string>& passes,
                  const std::string& database, std::function<void(Loop::Task)> post)
        : auth_service_(auth_service), passes_(passes), database_(database), post_(std::move(post)) {}

    void authorize(const Admission& admission, const Subscribe& subscribe, bool first,
                   std::function<void(Decision)> decide) override {
        std::string request = sql_request(*admission.requester, passes_);
        const size_t bytes = request.size() + held_bytes(subscribe.channels);
        auth_service_.ask(
            {.database = admission.database.empty() ? database_ : admission.database,
             .request = std::move(request),
             .channels = subscribe.channels,
             // Pages repeat their channels when a membership has changed: that needs a new answer.
             .may_be_known = first,
             .answer =
                 [post = post_, decide = std::move(decide)](Decision decision) {
                     post([decide, decision = std::move(decision)] { decide(decision); });
                 },
             .charge = std::make_shared<MemoryCharge>(admission.requester->account, bytes)});
    }

private:
    SqlAuthService& auth_service_;
    const std::vector<std::string>& passes_;
    const std::string& database_;
    const std::function<void(Loop::Task)> post_;
};

// A value that is not UTF-8 is left out.
void put(json_t* object, const std::string& name, std::string_view value) {
    if (!value.empty())
        json_object_set_new(object, name.c_str(), json_stringn(value.data(), value.size()));
}

} // namespace

std::string sql_request(const Requester& requester, const std::vector<std::string>& passes) {
    const Json request(json_object());
    json_t* const cookies = json_object();
    json_t* const headers = json_object();
    json_object_set_new(request.get(), "cookies", cookies);
    json_object_set_new(request.get(), "headers", headers);
    for (const std::string& each : passes) {
        if (each.starts_with(COOKIE)) {
            // A browser sends cookies with requests of any page, so they count for one's own pages only.
            const std::string name = each.substr(COOKIE.size());
            if (requester.own_origin)
                put(cookies, name, requester.cookie(name).value_or(""));
        } else if (each == "authorization") {
            put(headers, each, requester.authorization);
        } else if (each == "user-agent") {
            put(headers, each, requester.user_agent);
        } else if (each == "accept-language") {
            put(headers, each, requester.accept_language);
        } else if (each == "host") {
            put(headers, each, requester.host);
        }
    }
    if (requester.address)
        put(request.get(), "address", requester.address->text());
    const std::unique_ptr<char, decltype(&free)> text(
        json_dumps(request.get(), JSON_COMPACT | JSON_ENSURE_ASCII | JSON_SORT_KEYS), &free);
    return text.get();
}

SqlAuthBackend::SqlAuthBackend(const Options& options, const std::vector<std::string>& names)
    : passes_(options.sql_passes), database_(names.front()), auth_service_(options, names) {}

std::string SqlAuthBackend::start() {
    auth_service_.start();
    return {};
}

std::unique_ptr<Authorizer> SqlAuthBackend::make(std::function<void(Loop::Task)> post) {
    return std::make_unique<SqlAuthorizer>(auth_service_, passes_, database_, std::move(post));
}

} // namespace odoo_bus

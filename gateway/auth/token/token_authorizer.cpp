// Authorization `token`.
#include "auth/token/token_authorizer.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <spdlog/fmt/fmt.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/trusted_file.h"
#include "common/ascii_json.h"
#include "http/bearer_token.h"
#include "http/request_head.h"
#include "protocol/close_codes.h"

namespace odoo_bus {

namespace {

constexpr std::chrono::seconds LOOK_EVERY{2};
constexpr size_t MAX_FILE_BYTES = 1 << 20;

class TokenAuthorizer final : public Authorizer {
public:
    explicit TokenAuthorizer(TokenAuthBackend& authorizers) : auth_backend_(authorizers) {}

    void authorize(const Admission& admission, const Subscribe& subscribe, bool,
                   std::function<void(Decision)> decide) override {
        decide(auth_backend_.decide(admission, subscribe));
    }

private:
    TokenAuthBackend& auth_backend_;
};

// Empty when the request has none.
std::string_view token_of(const Requester& requester, const std::string& cookie) {
    if (const std::string_view token = carried_token(requester.authorization, requester.protocols);
        !token.empty())
        return token;
    // A browser sends cookies with requests of any page, so they count for one's own pages only.
    return requester.own_origin ? requester.cookie(cookie).value_or("") : "";
}

} // namespace

JwtKeys read_token_keys(const std::string& path) {
    const auto problem = [&path](std::string_view why) {
        return JwtKeys{.problem = fmt::format("--token-keys {}: {}", path, why)};
    };
    const KeyFile file = read_key_file(path, MAX_FILE_BYTES);
    if (!file.problem.empty())
        return problem(file.problem);
    JwtKeys keys = parse_jwt_keys(file.text);
    if (!keys.problem.empty())
        return problem(keys.problem);
    return keys.has_secrets && !file.is_private ? problem(MAKE_PRIVATE) : keys;
}

TokenAuthBackend::TokenAuthBackend(const Options& options, std::vector<std::string> databases)
    : path_(options.token_keys), databases_(std::move(databases)) {
    std::string wrong;
    if (!options.database_match.empty())
        match_ = DatabasePattern::parse(options.database_match, wrong);
    reconfigure(options);
}

std::string TokenAuthBackend::start() {
    if (path_.empty())
        return "--token-keys is needed with --auth token: a file with the secret, the public key or the JWKS";
    const std::lock_guard lock(mutex_);
    return load();
}

std::unique_ptr<Authorizer> TokenAuthBackend::make(std::function<void(Loop::Task)>) {
    return std::make_unique<TokenAuthorizer>(*this);
}

void TokenAuthBackend::reconfigure(const Options& options) {
    const std::lock_guard lock(mutex_);
    rules_.claims = {.audience = options.token_audience,
                     .issuers = options.token_issuers,
                     .skew = options.token_skew.count() / 1000};
    rules_.cookie = options.token_cookie;
}

bool TokenAuthBackend::may_serve(const std::string& database) const {
    return match_ ? match_->matches(database) : std::ranges::find(databases_, database) != databases_.end();
}

std::string TokenAuthBackend::load() {
    looked_ = MonotonicClock::now();
    struct stat file = {};
    if (stat(path_.c_str(), &file) != 0)
        return fmt::format("--token-keys {}: {}", path_, strerror(errno));
    const std::pair<int64_t, int64_t> seen{file.st_mtim.tv_sec * 1'000'000'000 + file.st_mtim.tv_nsec,
                                           file.st_size};
    if (rules_.keys && seen == seen_)
        return {};
    seen_ = seen;
    JwtKeys known = read_token_keys(path_);
    if (!known.problem.empty())
        return known.problem;
    for (const std::string& each : known.ignored)
        log::info("--token-keys {}: ignored {}", path_, each);
    log::info("tokens are verified with {} {} from {}", known.keys.size(),
              known.keys.size() == 1 ? "key" : "keys", path_);
    rules_.keys = std::make_shared<const std::vector<JwtKey>>(std::move(known.keys));
    return {};
}

// The file may be replaced at any time: keys are rotated.
TokenAuthBackend::Rules TokenAuthBackend::rules() {
    const std::lock_guard lock(mutex_);
    if (MonotonicClock::now() - looked_ > LOOK_EVERY)
        if (const std::string problem = load(); !problem.empty())
            log::error("{}; the former keys are kept", problem);
    return rules_;
}

Decision TokenAuthBackend::decide(const Admission& admission, const Subscribe& subscribe) {
    const Rules rules = this->rules();
    const std::string_view token = token_of(*admission.requester, rules.cookie);
    if (token.empty())
        return Refusal{close_code::SESSION_EXPIRED, "a token is missing"};
    const auto verified =
        verify_jwt(token, *rules.keys, rules.claims, microseconds(WallClock::now()) / 1'000'000);
    if (const auto* problem = std::get_if<JwtProblem>(&verified))
        return Refusal{close_code::SESSION_EXPIRED, problem->reason};
    const auto& claims = std::get<JwtClaims>(verified);
    Grant grant{.database = claims.database.empty() ? databases_.front() : claims.database, .channels = {}};
    if (!admission.database.empty() && admission.database != grant.database)
        return Refusal{close_code::SESSION_EXPIRED, "the token is for another database"};
    // A database that may be served later is not refused: its client is closed with 1013, and comes back.
    if (!may_serve(grant.database))
        return Refusal{close_code::SESSION_EXPIRED, "the token is for a database that is not served"};
    grant.member = claims.subject;
    grant.expires = WallTime(std::chrono::seconds(claims.expires + rules.claims.skew));
    for (const std::string& name : subscribe.channels) {
        std::string channel;
        if (claims.grants(name) && write_channel(channel, grant.database, name))
            grant.channels.push_back(std::move(channel));
        else
            grant.refused.push_back(name);
    }
    return grant;
}

} // namespace odoo_bus

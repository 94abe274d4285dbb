// Authorization `token`: a JSON Web Token names the subject, the channels that it is granted, and until when.
//
// It comes in the header Authorization (Bearer), as the subprotocol odoo-bus.token.<token>, or in a cookie
// that only one's own pages are believed to send.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "auth/auth_backend.h"
#include "auth/token/jwt.h"
#include "base/clock.h"
#include "config/database_pattern.h"

namespace odoo_bus {

// The keys in this file; `problem` names the option and the file.
JwtKeys read_token_keys(const std::string& path);

class TokenAuthBackend final : public AuthBackend {
public:
    TokenAuthBackend(const Options& options, std::vector<std::string> databases);

    std::string start() override;
    std::unique_ptr<Authorizer> make(std::function<void(Loop::Task)> post) override;
    void reconfigure(const Options& options) override;

    Decision decide(const Admission& admission, const Subscribe& subscribe);

private:
    struct Rules {
        std::shared_ptr<const std::vector<JwtKey>> keys;
        JwtRules claims;
        std::string cookie;
    };

    // False: this gateway never serves it, whichever databases are created or dropped.
    bool may_serve(const std::string& database) const;
    // Empty, or why the former keys are kept.
    std::string load();
    Rules rules();

    const std::string path_;
    const std::vector<std::string> databases_;
    std::optional<DatabasePattern> match_; // --database-match: others than those that are named
    std::mutex mutex_;
    Rules rules_;
    Monotonic looked_;                 // when the file was last looked at
    std::pair<int64_t, int64_t> seen_; // its time and size
};

} // namespace odoo_bus

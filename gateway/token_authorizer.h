// Authorization `token`: a JSON Web Token says who asks, which channels they may see, and until when.
//
// It comes in the header Authorization (Bearer), as the subprotocol odoo-bus.token.<token>, or in a cookie
// that only one's own pages are believed to send.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "authorizers.h"
#include "jwt.h"

namespace odoo_bus {

class TokenAuthorizers final : public Authorizers {
public:
    TokenAuthorizers(const Options& options, std::string database);

    std::string start() override;
    std::unique_ptr<Authorizer> make(std::function<void(Loop::Task)> post) override;
    void reconfigure(const Options& options) override;

    Decision decide(const Admission& admission, const Subscribe& subscribe);

private:
    struct Rules {
        std::shared_ptr<const JwtKeys> keys;
        JwtRules claims;
        std::string cookie;
    };

    // Empty, or why the keys that were known before are kept.
    std::string load();
    Rules rules();

    const std::string path_;
    const std::string database_;
    std::mutex mutex_;
    Rules rules_;
    int64_t looked_us_ = 0;            // when the file was last looked at
    std::pair<int64_t, int64_t> seen_; // its time and size
};

} // namespace odoo_bus

// A JSON Web Token (RFC 7519, in the compact form of RFC 7515): its verification and its claims.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "auth/token/jwt_keys.h"

namespace odoo_bus {

struct JwtClaims {
    std::string subject;
    std::string database;              // empty: the first one that is served
    int64_t expires = 0;               // seconds since 1970
    std::vector<std::string> channels; // names, or `prefix*`

    bool grants(std::string_view channel) const;
};

struct JwtRules {
    std::string audience;                  // a token must name it; empty: it must name none
    std::vector<std::string> issuers = {}; // a token must name one of them; none: any
    int64_t skew = 30;                     // allowed clock skew, in seconds
};

// Why a token is refused; repeats nothing of it.
struct JwtProblem {
    std::string reason;
};

// `now`: seconds since 1970.
std::variant<JwtClaims, JwtProblem> verify_jwt(std::string_view token, const std::vector<JwtKey>& keys,
                                               const JwtRules& rules, int64_t now);

} // namespace odoo_bus

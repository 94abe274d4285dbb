// Whatever a client sends as a token, and whatever stands in the file with the keys: no harm, and no token
// without the key's signature is believed.
#include "auth/token/jwt.h"

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/utf8.h"

using namespace odoo_bus;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    if (const auto decoded = decode_base64url(text))
        assert(decoded->size() == text.size() * 3 / 4);
    parse_jwt_keys(text);
    // Nobody knows this secret.
    static const JwtKeys known = parse_jwt_keys(std::string(32, '\x5a'));
    const auto verified = verify_jwt(text, known.keys, {.audience = "", .skew = 0}, 1'000'000'000);
    assert(std::holds_alternative<JwtProblem>(verified));
    assert(is_utf8(std::get<JwtProblem>(verified).reason));
    return 0;
}

// A secret that requests bear.
#include "http/bearer_token.h"

#include <algorithm>
#include <array>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "base/text.h"
#include "base/trusted_file.h"

namespace odoo_bus {

namespace {

constexpr size_t LEAST_CHARACTERS = 32;
constexpr size_t MAX_FILE_BYTES = 4096;
constexpr std::string_view SCHEME = "bearer ";
constexpr std::string_view SUBPROTOCOL = "odoo-bus.token.";

// Of equal length, whatever was sent.
std::array<unsigned char, 32> digest(std::string_view text) {
    std::array<unsigned char, 32> bytes = {};
    EVP_Digest(text.data(), text.size(), bytes.data(), nullptr, EVP_sha256(), nullptr);
    return bytes;
}

} // namespace

std::string read_bearer_token(const std::string& path, std::string& problem) {
    const KeyFile file = read_key_file(path, MAX_FILE_BYTES);
    const std::string token(trim(file.text, " \t\r\n"));
    if (!file.problem.empty())
        problem = path + ": " + file.problem;
    else if (!file.is_private)
        problem = path + ": " + MAKE_PRIVATE;
    else if (token.size() < LEAST_CHARACTERS ||
             !std::ranges::all_of(token, [](char c) { return c > ' ' && c < 0x7f; }))
        problem = path + ": it holds no token of 32 characters or more in one line; make one with: openssl "
                         "rand -hex 32";
    else
        return token;
    return {};
}

bool bears_token(const RequestHead& head, std::string_view token) {
    const std::string_view authorization = head.first("authorization").value_or("");
    if (head.count("authorization") != 1 ||
        !equal_ignoring_case(authorization.substr(0, SCHEME.size()), SCHEME))
        return false;
    const auto given = digest(trim(authorization.substr(SCHEME.size()))), wanted = digest(token);
    return CRYPTO_memcmp(given.data(), wanted.data(), wanted.size()) == 0;
}

std::string_view carried_token(std::string_view authorization, std::string_view protocols) {
    if (authorization.size() > SCHEME.size() &&
        equal_ignoring_case(authorization.substr(0, SCHEME.size()), SCHEME))
        return authorization.substr(SCHEME.size());
    while (!protocols.empty()) {
        const size_t end = std::min(protocols.find(','), protocols.size());
        std::string_view protocol = protocols.substr(0, end);
        protocols.remove_prefix(std::min(end + 1, protocols.size()));
        protocol.remove_prefix(std::min(protocol.find_first_not_of(' '), protocol.size()));
        if (protocol.starts_with(SUBPROTOCOL))
            return protocol.substr(SUBPROTOCOL.size(), protocol.find(' ') - SUBPROTOCOL.size());
    }
    return {};
}

} // namespace odoo_bus

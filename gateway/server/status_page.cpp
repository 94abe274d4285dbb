// The page /status.
#include "server/status_page.h"

#include <string>
#include <string_view>

#include <openssl/evp.h>
#include <openssl/sha.h>

namespace odoo_bus {

// status_page.html; its definition is written by CMakeLists.txt.
extern const unsigned char STATUS_PAGE[];
extern const unsigned long STATUS_PAGE_BYTES;

namespace {

std::string_view page() {
    return {reinterpret_cast<const char*>(STATUS_PAGE), STATUS_PAGE_BYTES};
}

// As a content security policy names the text of the page's one element of this kind.
std::string source_of(std::string_view element) {
    const std::string begin = "<" + std::string(element) + ">", end = "</" + std::string(element) + ">";
    const size_t from = page().find(begin) + begin.size();
    const std::string_view text = page().substr(from, page().find(end) - from);
    unsigned char digest[SHA256_DIGEST_LENGTH], base64[4 * ((sizeof digest + 2) / 3) + 1];
    SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest);
    EVP_EncodeBlock(base64, digest, sizeof digest);
    return "'sha256-" + std::string(reinterpret_cast<const char*>(base64)) + "'";
}

} // namespace

// Whatever text a client makes the page show, no script runs but its own.
Response status_page() {
    static const std::string policy = "default-src 'none'; script-src " + source_of("script") +
                                      "; style-src " + source_of("style") +
                                      "; connect-src 'self'; base-uri 'none'; form-action 'none'; "
                                      "frame-ancestors 'none'";
    Response response;
    response.headers = {{"Content-Type", "text/html; charset=utf-8"},
                        {"Content-Security-Policy", policy},
                        {"Referrer-Policy", "no-referrer"},
                        {"X-Content-Type-Options", "nosniff"},
                        {"Cache-Control", "no-store"}};
    response.body = page();
    return response;
}

} // namespace odoo_bus

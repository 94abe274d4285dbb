// The writer of small HTTP/1.1 answers, after which the connection is closed.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace odoo_bus {

struct Response {
    int status = 200;
    std::vector<std::pair<std::string, std::string>> headers; // besides those that to_string() adds
    std::string body;

    // A plain text answer that says why.
    static Response refusal(int status, std::string_view reason);

    // The same with one more header.
    Response with(std::string_view name, std::string_view value) &&;

    // The head of an answer that ends with the connection.
    std::string head_of_stream() const;
    // With Date, Content-Length and Connection: close. `head_only`: for a HEAD request.
    std::string to_string(bool head_only = false) const;

private:
    std::string head() const; // without its empty line
};

// "Not Found" for 404.
std::string_view reason_phrase(int status);

} // namespace odoo_bus

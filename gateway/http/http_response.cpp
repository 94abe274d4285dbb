// The writer of small HTTP/1.1 answers.
#include "http/http_response.h"

#include <algorithm>
#include <ctime>

#include <spdlog/fmt/chrono.h>
#include <spdlog/fmt/fmt.h>

namespace odoo_bus {

Response Response::refusal(int status, std::string_view reason) {
    Response response;
    response.status = status;
    response.headers = {{"Content-Type", "text/plain; charset=utf-8"}, {"Cache-Control", "no-store"}};
    response.body = std::string(reason) + "\n";
    return response;
}

Response Response::with(std::string_view name, std::string_view value) && {
    headers.emplace_back(name, value);
    return std::move(*this);
}

std::string Response::head() const {
    std::string text = fmt::format("HTTP/1.1 {} {}\r\nDate: {:%a, %d %b %Y %H:%M:%S} GMT\r\n", status,
                                   reason_phrase(status), fmt::gmtime(std::time(nullptr)));
    bool connection = false;
    for (const auto& [name, value] : headers) {
        connection = connection || name == "Connection";
        std::string line = fmt::format("{}: {}", name, value);
        // A value that came from elsewhere must not begin another header.
        std::replace_if(
            line.begin(), line.end(), [](char c) { return c == '\r' || c == '\n' || c == '\0'; }, ' ');
        text += line + "\r\n";
    }
    if (!connection)
        text += "Connection: close\r\n";
    return text;
}

std::string Response::head_of_stream() const {
    return head() + "\r\n";
}

std::string Response::to_string(bool head_only) const {
    std::string text = head();
    // These have no body by definition (RFC 9110, section 15).
    if (status == 204 || status == 304)
        return text + "\r\n";
    text += fmt::format("Content-Length: {}\r\n\r\n", body.size());
    if (!head_only)
        text += body;
    return text;
}

std::string_view reason_phrase(int status) {
    switch (status) {
    case 200:
        return "OK";
    case 204:
        return "No Content";
    case 304:
        return "Not Modified";
    case 400:
        return "Bad Request";
    case 401:
        return "Unauthorized";
    case 403:
        return "Forbidden";
    case 404:
        return "Not Found";
    case 405:
        return "Method Not Allowed";
    case 408:
        return "Request Timeout";
    case 411:
        return "Length Required";
    case 413:
        return "Content Too Large";
    case 414:
        return "URI Too Long";
    case 421:
        return "Misdirected Request";
    case 426:
        return "Upgrade Required";
    case 429:
        return "Too Many Requests";
    case 431:
        return "Request Header Fields Too Large";
    case 500:
        return "Internal Server Error";
    case 501:
        return "Not Implemented";
    case 502:
        return "Bad Gateway";
    case 503:
        return "Service Unavailable";
    case 505:
        return "HTTP Version Not Supported";
    default:
        return "Unknown"; // clients go by the number
    }
}

} // namespace odoo_bus

// The head of an HTTP/1.1 request, read within bounds and judged strictly.
#include "http/request_head.h"

#include <algorithm>
#include <charconv>

#include "base/text.h"

namespace odoo_bus {

namespace {

// A DNS name has 253 characters at most, a port six with its colon.
constexpr size_t MAX_HOST_BYTES = 260;

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

bool is_letter_or_digit(char c) {
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool is_one_of(char c, std::string_view characters) {
    return c != '\0' && characters.find(c) != characters.npos;
}

bool is_token_character(char c) {
    return is_letter_or_digit(c) || is_one_of(c, "!#$%&'*+-.^_`|~");
}

bool is_token(std::string_view text) {
    return !text.empty() && std::all_of(text.begin(), text.end(), is_token_character);
}

bool is_target_character(char c) {
    return c > ' ' && c < 0x7f && c != '#';
}

bool is_value_character(char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte == '\t' || (byte >= ' ' && byte != 0x7f);
}

bool is_host_character(char c) {
    return is_letter_or_digit(c) || is_one_of(c, "-._~!$&'()*+,;=%:[]");
}

char lower(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
}

// Calls `visit` with each trimmed part between separators until it returns true.
template <class Visit>
bool any_part(std::string_view text, char separator, Visit&& visit) {
    while (true) {
        const size_t end = text.find(separator);
        if (visit(trim(text.substr(0, end))))
            return true;
        if (end == text.npos)
            return false;
        text.remove_prefix(end + 1);
    }
}

} // namespace

bool equal_ignoring_case(std::string_view a, std::string_view b) {
    return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), [](char left, char right) {
               return lower(left) == lower(right);
           });
}

RequestHead::State RequestHead::feed(std::string_view bytes) {
    if (state_ != State::need_more)
        return state_;
    buffer_.append(bytes);
    // What cannot be HTTP, such as the start of a TLS handshake, is refused at once.
    if (!buffer_.empty() && !is_token_character(buffer_[0]))
        refuse(400, "The request does not begin with an HTTP method; speak plain HTTP/1.1 to this port.");
    while (state_ == State::need_more) {
        const size_t newline = buffer_.find('\n', scanned_);
        scanned_ = newline == buffer_.npos ? buffer_.size() : newline + 1;
        if (newline == buffer_.npos ? scanned_ >= max_bytes_ : scanned_ > max_bytes_) {
            if (method_.length == 0)
                refuse(414, "The request target is too long; shorten it.");
            else
                refuse(431, "The request head is too large; remove cookies or other headers.");
            break;
        }
        if (newline == buffer_.npos)
            break;
        if (newline == parsed_ || buffer_[newline - 1] != '\r') {
            refuse(400, "A line of the request head ends without a carriage return; end lines with CR LF.");
            break;
        }
        const auto line = std::string_view(buffer_).substr(parsed_, newline - 1 - parsed_);
        parsed_ = scanned_;
        if (method_.length == 0)
            parse_request_line(line);
        else if (line.empty())
            judge();
        else
            parse_header(line);
    }
    return state_;
}

RequestHead::State RequestHead::time_out() {
    if (state_ == State::need_more)
        refuse(408, "The request head did not arrive in time; send it at once.");
    return state_;
}

RequestHead::Range RequestHead::range_of(std::string_view part) const {
    return {static_cast<uint32_t>(part.data() - buffer_.data()), static_cast<uint32_t>(part.size())};
}

void RequestHead::refuse(int status, std::string_view reason) {
    state_ = State::refused;
    refusal_ = Response::refusal(status, reason);
}

void RequestHead::parse_request_line(std::string_view line) {
    const size_t first_space = line.find(' ');
    const size_t last_space = line.rfind(' ');
    if (first_space == line.npos || first_space == last_space)
        return refuse(400, "The request line is not a method, a target and a version; speak HTTP/1.1.");
    const auto method = line.substr(0, first_space);
    const auto target = line.substr(first_space + 1, last_space - first_space - 1);
    const auto version = line.substr(last_space + 1);
    if (!is_token(method))
        return refuse(400, "The request method is not a token; speak HTTP/1.1.");
    is_http_1_0_ = version == "HTTP/1.0";
    if (version != "HTTP/1.1" && !is_http_1_0_) {
        const bool well_formed = version.size() == 8 && version.starts_with("HTTP/") &&
                                 is_digit(version[5]) && version[6] == '.' && is_digit(version[7]);
        if (well_formed)
            return refuse(505, "Only HTTP/1.1 is served; in nginx set proxy_http_version 1.1.");
        return refuse(400, "The request line does not end with a version; speak HTTP/1.1.");
    }
    if (!std::all_of(target.begin(), target.end(), is_target_character))
        return refuse(400, "The request target has a character that must be percent-encoded.");
    method_ = range_of(method);
    parse_target(target);
}

// A path, or a URL with the host that the Host header names (RFC 9112, 3.2.2), as proxies' clients send it.
void RequestHead::parse_target(std::string_view target) {
    for (const std::string_view scheme : {"http://", "https://"})
        if (target.starts_with(scheme)) {
            target.remove_prefix(scheme.size());
            const std::string_view authority = target.substr(0, target.find('/'));
            if (authority.empty())
                return refuse(400, "The request target names no host.");
            authority_ = range_of(authority);
            target.remove_prefix(authority.size());
            break;
        }
    if (!target.starts_with('/'))
        return refuse(400, "The request target has no path; this server is no proxy.");
    const size_t question_mark = target.find('?');
    path_ = range_of(target.substr(0, question_mark));
    query_ = range_of(question_mark == target.npos ? target.substr(target.size())
                                                   : target.substr(question_mark + 1));
}

void RequestHead::parse_header(std::string_view line) {
    if (line[0] == ' ' || line[0] == '\t')
        return refuse(400, "A header is folded over several lines; write it in one.");
    const size_t colon = line.find(':');
    if (colon == line.npos || !is_token(line.substr(0, colon)))
        return refuse(400, "A header line is not a name, a colon and a value.");
    const auto value = trim(line.substr(colon + 1));
    if (!std::all_of(value.begin(), value.end(), is_value_character))
        return refuse(400, "A header's value has a control character; remove it.");
    // An empty value keeps a place inside the buffer.
    headers_.push_back({range_of(line.substr(0, colon)), value.empty() ? Range{} : range_of(value)});
}

void RequestHead::judge() {
    if (count("host") > 1 || (count("host") == 0 && !is_http_1_0_))
        return refuse(400, "A request needs exactly one Host header.");
    if (const auto host = first("host");
        host && (host->empty() || host->size() > MAX_HOST_BYTES ||
                 !std::all_of(host->begin(), host->end(), is_host_character)))
        return refuse(400, "The Host header is not a host name with an optional port.");
    if (authority_.length != 0 && !equal_ignoring_case(view(authority_), first("host").value_or("")))
        return refuse(400, "The request target names another host than the Host header.");
    if (count("content-length") != 0) {
        const auto text = *first("content-length");
        uint64_t length = 0;
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), length);
        if (count("content-length") != 1 || error != std::errc() || end != text.data() + text.size())
            return refuse(400, "The Content-Length is not one number.");
        if (is_chunked())
            return refuse(400, "A request has either Content-Length or Transfer-Encoding, not both.");
        content_length_ = length;
    }
    // Whoever sent it to us by HTTP/1.0 may not have seen its end where we do (RFC 9112, section 6.1).
    if (is_chunked() && is_http_1_0_)
        return refuse(400, "A request by HTTP/1.0 has no Transfer-Encoding.");
    state_ = State::complete;
}

std::pair<std::string_view, std::string_view> RequestHead::header(size_t i) const {
    return {view(headers_[i].name), view(headers_[i].value)};
}

size_t RequestHead::count(std::string_view name) const {
    return static_cast<size_t>(std::count_if(headers_.begin(), headers_.end(), [&](const Header& header) {
        return equal_ignoring_case(view(header.name), name);
    }));
}

std::optional<std::string_view> RequestHead::first(std::string_view name) const {
    for (const Header& header : headers_)
        if (equal_ignoring_case(view(header.name), name))
            return view(header.value);
    return std::nullopt;
}

std::vector<std::string_view> RequestHead::all(std::string_view name) const {
    std::vector<std::string_view> values;
    for (const Header& header : headers_)
        if (equal_ignoring_case(view(header.name), name))
            values.push_back(view(header.value));
    return values;
}

std::string RequestHead::joined(std::string_view name) const {
    std::string list;
    for (const auto value : all(name)) {
        if (!list.empty() && !value.empty())
            list += ", ";
        list += value;
    }
    return list;
}

bool RequestHead::has_token(std::string_view name, std::string_view token) const {
    for (const Header& header : headers_)
        if (equal_ignoring_case(view(header.name), name) &&
            any_part(view(header.value), ',',
                     [token](std::string_view part) { return equal_ignoring_case(part, token); }))
            return true;
    return false;
}

std::string RequestHead::cookies() const {
    std::string line;
    for (const auto value : all("cookie")) {
        if (!line.empty() && !value.empty())
            line += "; ";
        line += value;
    }
    return line;
}

std::optional<std::string_view> RequestHead::cookie(std::string_view name) const {
    std::optional<std::string_view> found;
    for (const auto value : all("cookie")) {
        const bool stop = any_part(value, ';', [&](std::string_view pair) {
            const size_t equals = pair.find('=');
            if (equals == pair.npos || trim(pair.substr(0, equals)) != name)
                return false;
            found = trim(pair.substr(equals + 1));
            return true;
        });
        if (stop)
            break;
    }
    return found;
}

} // namespace odoo_bus

// A conversation over plain HTTP: its socket, its headers and its end.
#include "clients/http_session.h"

#include <utility>

#include "base/clock.h"
#include "clients/service.h"
#include "protocol/close_codes.h"

namespace odoo_bus {

namespace {

// How long a client may take to read the end.
constexpr Duration CLOSE_WITHIN = std::chrono::seconds(5);

// About what an idle event stream or a held poll takes (bench/idle_transports).
constexpr size_t CONNECTION_BYTES = 1'200;

} // namespace

HttpSession::HttpSession(Service& service, Admission admission)
    : HttpSession(service, admission.socket, std::exchange(admission.request, nullptr),
                  std::move(admission)) {}

HttpSession::HttpSession(Service& service, int socket, std::shared_ptr<const HttpRequest> request,
                         Admission&& admission)
    : Session(service, std::move(admission)), writer_(service.uv(), socket, *this),
      request_(std::move(request)) {}

void HttpSession::want_writable() {
    if (!closing_)
        writer_.want_drained();
}

void HttpSession::on_drained() {
    recharge();
    on_writable();
}

void HttpSession::on_gone() {
    unsubscribe();
    service_.on_gone(*this);
}

void HttpSession::forget_request() {
    request_.reset();
    recharge();
}

size_t HttpSession::transport_bytes() const {
    return CONNECTION_BYTES + writer_.waiting() +
           (request_ ? sizeof *request_ + request_->query.size() + request_->body.size() : 0);
}

void HttpSession::send(std::string_view bytes) {
    const size_t waited = writer_.waiting();
    writer_.send(bytes);
    if (writer_.waiting() == waited)
        return;
    if (!may_hold(writer_.waiting() - waited))
        writer_.drop(); // the client resumes
    recharge();
}

void HttpSession::close_at_once(int code, std::string_view reason) {
    if (writer_.waiting() > 0)
        writer_.drop();
    close(code, reason);
    forget_request();
}

Response HttpSession::with_common_headers(Response response) const {
    if (const std::string_view cookie = new_session_cookie(); !cookie.empty())
        response.headers.emplace_back("Set-Cookie", cookie);
    if (std::string cookie = new_gateway_cookie(); !cookie.empty())
        response.headers.emplace_back("Set-Cookie", std::move(cookie));
    if (request_ && !request_->reader.empty()) {
        response.headers.emplace_back("Access-Control-Allow-Origin", request_->reader);
        response.headers.emplace_back("Access-Control-Allow-Credentials", "true");
        response.headers.emplace_back("Vary", "Origin");
    }
    return response;
}

Response HttpSession::refusal(int code, std::string_view reason) const {
    if (code == close_code::SESSION_EXPIRED)
        return Response::refusal(401, reason).with("WWW-Authenticate", "Bearer");
    if (code == REFUSED)
        return Response::refusal(403, reason).with("Odoo-Bus", "refused");
    if (code == MALFORMED)
        return Response::refusal(400, reason);
    return Response::refusal(503, reason).with("Retry-After", "5");
}

void HttpSession::close(int code, std::string_view reason) {
    if (closing_)
        return;
    finish(is_answering() ? farewell(code, reason) : with_common_headers(refusal(code, reason)).to_string());
}

void HttpSession::finish(std::string_view bytes) {
    send(bytes);
    closing_ = MonotonicClock::now();
    writer_.finish();
}

void HttpSession::tick(Monotonic now) {
    recharge();
    if (!closing_)
        return on_tick(now);
    unsubscribe();
    if (now - *closing_ > CLOSE_WITHIN)
        on_gone();
}

} // namespace odoo_bus

// Long polling.
#include "clients/long_poll.h"

#include <spdlog/fmt/fmt.h>

#include "base/clock.h"
#include "clients/http_subscribe.h"
#include "clients/service.h"
#include "protocol/close_codes.h"

namespace odoo_bus {

namespace {

// Without the brackets around it.
std::string_view elements_of(const std::string& frame) {
    return std::string_view(frame).substr(FRAME_HEADROOM + 1, frame.size() - FRAME_HEADROOM - 2);
}

} // namespace

LongPoll::LongPoll(Service& service, Admission admission)
    : HttpSession(service, std::move(admission)), until_(MonotonicClock::now() + service.options().poll_hold),
      peeks_(request().kind == HttpRequest::Kind::peek) {}

void LongPoll::start() {
    HttpSubscribe asked = http_subscribe(request(), service_.event_limits());
    id_ = asked.id;
    if (!asked.problem.empty()) {
        close(MALFORMED, asked.problem);
        return;
    }
    // Odoo's own clients of 15 and before are told the channel of each notification.
    asked.subscribe.name_channels = !peeks_;
    confirms_ = asked.subscribe.confirm.has_value();
    subscribe(std::move(asked.subscribe));
}

void LongPoll::write(const std::string& frame) {
    answer(elements_of(frame));
}

// A poll is answered as if its time were over, so that the next one follows; a peek has its answer soon.
void LongPoll::come_back() {
    if (peeks_ && !subscribed_)
        Session::come_back();
    else
        answer({});
}

void LongPoll::write_internal(const std::string& frame) {
    if (!internal_.empty())
        internal_ += ',';
    internal_ += elements_of(frame);
    if (subscribed_)
        answer({});
}

void LongPoll::on_granted(const Grant& grant) {
    if (!peeks_)
        return;
    for (const std::string& channel : grant.channels) {
        channels_ += channels_.empty() ? "" : ",";
        channels_ += channel;
    }
}

void LongPoll::on_subscribed() {
    subscribed_ = true;
    // A client that has missed something is told where it is now, or it would be told the same again.
    if (!internal_.empty() && !confirms_)
        return write_internal(pong_frame(here(), shape()));
    if (peeks_ || !internal_.empty())
        answer({});
}

void LongPoll::answer(std::string_view elements) {
    if (is_over())
        return;
    std::string result = "[";
    result += std::exchange(internal_, {});
    if (result.size() > 1 && !elements.empty())
        result += ',';
    result += elements;
    result += ']';
    if (peeks_)
        result = fmt::format(R"({{"channels":[{}],"notifications":{}}})", channels_, result);
    Response response;
    response.headers = {{"Content-Type", "application/json"}, {"Cache-Control", "no-store"}};
    response.body = fmt::format(R"({{"jsonrpc":"2.0","id":{},"result":{}}})", id_, result);
    finish(with_common_headers(std::move(response)).to_string());
}

Response LongPoll::error(int code, std::string_view message, std::string_view name) const {
    Response response;
    response.headers = {{"Content-Type", "application/json"}, {"Cache-Control", "no-store"}};
    response.body = fmt::format(
        R"({{"jsonrpc":"2.0","id":{},"error":{{"code":{},"message":"{}","data":{{"name":"{}"}}}}}})", id_,
        code, message, name);
    return response;
}

Response LongPoll::refusal(int code, std::string_view reason) const {
    if (code == close_code::SESSION_EXPIRED) {
        Response expired = error(100, "Session Expired", "odoo.http.SessionExpiredException");
        expired.status = 401;
        return std::move(expired).with("WWW-Authenticate", "Bearer");
    }
    if (code == REFUSED)
        return error(200, "the channels are refused", "odoo.exceptions.AccessDenied");
    return HttpSession::refusal(code, reason);
}

void LongPoll::on_refused(const Subscribe&) {
    close(REFUSED, "the channels are refused");
}

void LongPoll::on_tick(Monotonic now) {
    if (now > until_ && subscribed_)
        answer({});
}

} // namespace odoo_bus

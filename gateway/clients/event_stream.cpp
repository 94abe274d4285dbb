// Server-sent events.
#include "clients/event_stream.h"

#include <spdlog/fmt/fmt.h>

#include "base/clock.h"
#include "clients/http_subscribe.h"
#include "clients/service.h"
#include "protocol/close_codes.h"

namespace odoo_bus {

namespace {

// How long an EventSource waits before it comes back.
constexpr int RETRY_MS = 2000;

} // namespace

EventStream::EventStream(Service& service, Admission admission)
    : HttpSession(service, std::move(admission)), written_(MonotonicClock::now()),
      expires_(written_ + service.lifetime()) {
    format_ = FrameFormat::events;
}

void EventStream::start() {
    HttpSubscribe asked = http_subscribe(request(), service_.event_limits());
    if (!asked.problem.empty()) {
        close(MALFORMED, asked.problem);
        return;
    }
    // The first event says that the stream is there: a proxy that keeps it back is noticed.
    asked.subscribe.confirm = asked.subscribe.confirm.value_or(0);
    subscribe(std::move(asked.subscribe));
}

void EventStream::begin() {
    if (std::exchange(begun_, true))
        return;
    Response response;
    response.headers = {{"Content-Type", "text/event-stream; charset=utf-8"},
                        {"Cache-Control", "no-store, no-transform"},
                        {"X-Accel-Buffering", "no"}};
    send(with_common_headers(std::move(response)).head_of_stream() + fmt::format("retry: {}\n\n", RETRY_MS));
    forget_request();
}

void EventStream::write(const std::string& frame) {
    if (is_over())
        return;
    begin();
    send(std::string_view(frame).substr(FRAME_HEADROOM));
    written_ = MonotonicClock::now();
}

// An EventSource comes back after the end of a stream, and not after any other answer.
void EventStream::come_back() {
    if (!is_over())
        begin();
    Session::come_back();
}

void EventStream::on_subscribed() {
    told_ = here();
}

void EventStream::on_refused(const Subscribe&) {
    close(REFUSED, "the channels are refused");
}

std::string EventStream::farewell(int code, std::string_view reason) const {
    return fmt::format("event: close\ndata: {{\"code\":{},\"reason\":\"{}\"}}\n\n", code, reason);
}

void EventStream::on_tick(Monotonic now) {
    if (now > expires_)
        return close(close_code::KEEP_ALIVE_TIMEOUT, "keep alive timeout");
    if (DatabaseFeed* const from = feed(); from && is_behind())
        from->fan_out.check_progress(*this, now);
    if (!begun_ || is_over() || !writable() || now - written_ < service_.options().heartbeat)
        return;
    // An event without data is none, but moves the client's position, so that a quiet client, too, comes back
    // from where everybody is.
    const Id position = here();
    send(position > 0 && position != told_ ? fmt::format("id: {}\n\n", position) : ": \n\n");
    told_ = position;
    written_ = now;
}

} // namespace odoo_bus

// One WebSocket connection, on libwebsockets: frames, limits, pings and close codes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "clients/session.h"

struct lws;
struct lws_process_html_args;
struct lws_protocols;

namespace odoo_bus {

class WebSocket final : public Session {
public:
    // What libwebsockets calls; the context's user data is the Service.
    static const lws_protocols PROTOCOLS[];

    WebSocket(Service& service, Admission admission, lws* wsi);
    ~WebSocket() override;

    bool writable() override;
    void write(const std::string& frame) override;
    void expect_write() const override;
    void want_writable() override;
    void close(int code, std::string_view reason) override;

    void tick(Monotonic now) override;

private:
    static int callback(lws* wsi, int reason, void* user, void* in, size_t length);

    static int name_gateway(lws* wsi, lws_process_html_args* answer);

    size_t transport_bytes() const override;
    void close_at_once(int code, std::string_view reason) override;

    void on_received(std::string_view part);
    void append(std::string_view part);
    void charge_unsent(size_t bytes);
    void on_writable_callback();
    void write_close();
    void drop();
    bool too_fast(Monotonic now);
    bool too_much(Monotonic now);

    // What each write looks at stands together.
    lws* const wsi_;
    const int socket_;    // wsi_'s
    uint32_t unsent_ = 0; // about what libwebsockets keeps of a frame that the socket did not take whole
    enum class State : uint8_t { open, closing, close_written } state_ = State::open;
    bool wants_writable_ = false;
    bool ping_due_ = false;

    Monotonic closing_;                      // when close() was called
    std::string message_;                    // the fragments so far of a message
    std::vector<Monotonic> received_;        // of the last messages, for the rate limit
    std::optional<Monotonic> message_since_; // when its first fragment came
    Monotonic heard_;                        // when anything was last received
    std::optional<Monotonic> pinged_;        // when the ping went out that has not been answered
    Monotonic expires_;
    Monotonic counted_; // when counted_bytes_ had been received
    uint64_t counted_bytes_ = 0;
    int close_code_ = 0;
    std::string close_reason_;
};

} // namespace odoo_bus

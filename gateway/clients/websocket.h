// One WebSocket connection, on libwebsockets: frames, limits, pings and close codes.
#pragma once

#include <cstdint>
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

    void close_at_once(int code, std::string_view reason) override;
    size_t held_bytes() const override;

    void tick(int64_t now_us) override;

private:
    static int callback(lws* wsi, int reason, void* user, void* in, size_t length);

    static int name_gateway(lws* wsi, lws_process_html_args* answer);

    void on_received(std::string_view part);
    void on_writable_callback();
    void write_close();
    void drop();
    bool too_fast(int64_t now_us);
    bool too_much(int64_t now_us);

    // What each write looks at stands together.
    lws* const wsi_;
    int64_t closing_us_ = 0; // when close() was called; 0: it was not
    const int socket_;       // wsi_'s
    uint32_t unsent_ = 0;    // about what libwebsockets keeps of a frame that the socket did not take whole
    bool wants_writable_ = false;
    bool ping_due_ = false;
    bool close_written_ = false;

    std::string message_;              // the fragments so far of a message
    std::vector<int64_t> received_us_; // of the last messages, for the rate limit
    int64_t message_since_us_ = 0;     // when its first fragment came; 0: none has
    int64_t heard_us_;                 // when anything was last received
    int64_t pinged_us_ = 0;            // when the ping went out that has not been answered; 0: none
    int64_t expires_us_;
    int64_t counted_us_; // when counted_bytes_ had been received
    uint64_t counted_bytes_ = 0;
    int close_code_ = 0;
    std::string close_reason_;
};

} // namespace odoo_bus

// A connection whose request head is being read, or to which a short answer is being sent.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include <uv.h>

#include "base/clock.h"
#include "base/socket_poll.h"
#include "http/address.h"
#include "http/address_limits.h"
#include "http/http_response.h"
#include "http/memory_account.h"
#include "http/request_body.h"
#include "http/request_head.h"

namespace odoo_bus {

class HttpConnection {
public:
    // `on_event`: called when the head is complete or refused, and when the connection is over.
    HttpConnection(uv_loop_t* loop, int socket, std::optional<Address> peer, size_t max_head_bytes,
                   Monotonic deadline, std::function<void(HttpConnection&)> on_event);
    ~HttpConnection();
    // Reads what has arrived, which spares most connections a turn of the event loop. True when on_event is
    // due; it is not called.
    bool begin();
    HttpConnection(const HttpConnection&) = delete;
    HttpConnection& operator=(const HttpConnection&) = delete;

    RequestHead& head() { return head_; }
    AddressLimits::Seat seat; // among the connections of its address
    MemoryCharge charge;      // what is held for it
    // The other end of the connection; nothing on a unix socket.
    const std::optional<Address>& peer() const { return peer_; }
    bool is_over() const { return over_; }
    bool is_answered() const { return answered_; }
    Monotonic deadline() const { return deadline_; }

    // Waits for the body that the head announces, and calls on_event again when it is there; or returns the
    // refusal. To be called again then.
    std::optional<Response> read_body(size_t max_bytes, bool takes_chunks);
    bool awaits_body() const {
        return body_ && body_->state() == RequestBody::State::need_more && !timed_out_;
    }
    // After read_body(), when it is there.
    const std::string& body() const { return body_->bytes(); }

    // Its answer comes later.
    void hold() { held_ = true; }
    bool is_held() const { return held_ && !answered_; }
    uint64_t number() const { return number_; } // unique in this process

    // The client has not sent its request in time.
    void time_out();
    bool is_timed_out() const { return timed_out_; }

    // Sends a short answer. The owner closes the connection when the client has read it, and at `deadline` at
    // the latest.
    void answer(const Response& response, Monotonic deadline);
    // Ends it with an answer that is not waited for.
    void shed();
    // Gives the socket to the caller; the connection is over.
    int release();

private:
    bool read();
    void recharge();
    void await_body(const RequestBody& body);
    void send_answer();
    void watch(int events);
    void on_ready(int status, int events);

    const std::function<void(HttpConnection&)> on_event_;
    uv_loop_t* const loop_;
    SocketPoll poll_; // open when something is waited for
    int socket_;
    const std::optional<Address> peer_;
    RequestHead head_;
    Monotonic deadline_;
    std::string unsent_; // of the answer
    bool answered_ = false;
    bool over_ = false;
    bool timed_out_ = false;
    bool held_ = false;
    const uint64_t number_;
    std::unique_ptr<RequestBody> body_; // null until it is waited for
    size_t discarded_ = 0;              // bytes that came after the answer
};

} // namespace odoo_bus

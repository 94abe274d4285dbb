// A conversation over plain HTTP: one request that subscribes, and an answer that is held or goes on.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "clients/session.h"
#include "clients/socket_writer.h"
#include "http/http_response.h"

namespace odoo_bus {

class HttpSession : public Session, private SocketWriter::Owner {
public:
    HttpSession(Service& service, Admission admission);

    bool writable() override { return writer_.is_clear() && !closing_; }
    void want_writable() override;
    void close(int code, std::string_view reason) override;
    void tick(Monotonic now) override;

protected:
    // The answer instead of what was asked for, as long as nothing of that has been sent.
    virtual Response refusal(int code, std::string_view reason) const;
    // True when something of the answer has been sent.
    virtual bool is_answering() const = 0;
    // What is still to be said before the end with this code.
    virtual std::string farewell(int code, std::string_view reason) const = 0;
    // About once a second while it is not closing.
    virtual void on_tick(Monotonic now) = 0;

    // With the headers that every answer has.
    Response with_common_headers(Response response) const;
    // Bytes of the answer; the connection ends when they cannot be held until the client reads them.
    void send(std::string_view bytes);
    // The end, after these bytes.
    void finish(std::string_view bytes);
    bool is_over() const { return closing_.has_value(); }
    const HttpRequest& request() const { return *request_; }
    // What was asked is not needed any more.
    void forget_request();

private:
    size_t transport_bytes() const override;
    void close_at_once(int code, std::string_view reason) override;
    // A session keeps its admission, and releases the request when that has been read.
    HttpSession(Service& service, int socket, std::shared_ptr<const HttpRequest> request,
                Admission&& admission);
    void on_drained() override;
    void on_gone() override;

    SocketWriter writer_;
    std::shared_ptr<const HttpRequest> request_;
    std::optional<Monotonic> closing_; // since when it is ending
};

} // namespace odoo_bus

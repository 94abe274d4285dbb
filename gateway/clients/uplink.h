// What one WebSocket client has at Odoo's own bus server (--odoo-websocket): a *tunnel*, through which all of
// its messages go, and all of Odoo's come; or a *shadow connection*, which never subscribes, and carries the
// events that only Odoo knows from a client that is served here. Odoo sees one connection for one client, as
// long as the client is there.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/backoff.h"
#include "base/clock.h"
#include "clients/odoo_websocket.h"
#include "http/requester.h"

namespace odoo_bus {

class Service;
class WebSocket;

class Uplink final : private OdooWebSocket::Owner {
public:
    // `requester`: the client's; lives as long as it.
    Uplink(Service& service, WebSocket& client, const Requester& requester);
    ~Uplink();
    Uplink(const Uplink&) = delete;
    Uplink& operator=(const Uplink&) = delete;

    bool is_tunnel() const { return kind_ == Kind::tunnel; }
    // Nothing was to be sent yet.
    bool is_idle() const { return kind_ == Kind::none; }

    // A message that Odoo is told if the connection becomes a tunnel, and else otherwise.
    void keep(std::string_view text);
    // An event for Odoo alone. False when too many wait, and this one is dropped.
    bool send_event(std::string_view text);
    // Everything goes to Odoo from now on.
    void become_tunnel();
    void send(Opcode opcode, std::string_view message);

    // Odoo takes less than the client sends: nothing is to be read of the client.
    bool is_choked() const { return waiting() > MAX_WAITING; }
    // The client takes pieces again.
    void on_client_writable();
    // The client's connection ends.
    void part(const CloseStatus& status);
    // About once a second.
    void tick(Monotonic now);
    size_t held_bytes() const;

private:
    static constexpr size_t MAX_WAITING = 64 << 10;

    // --- OdooWebSocket::Owner ---
    void on_opened(const HttpAnswer& answer) override;
    void on_piece(FramePiece piece) override;
    void on_drained() override;
    void on_ended(const CloseStatus& status, const std::string& problem) override;

    void open();
    void closed();
    void retry(Monotonic now);
    size_t waiting() const { return waiting_.size() + (socket_ ? socket_->waiting() : 0); }

    Service& service_;
    WebSocket& client_;
    const Requester& requester_;
    enum class Kind : uint8_t { none, shadow, tunnel } kind_ = Kind::none;
    bool is_open_ = false; // and counted
    std::unique_ptr<OdooWebSocket> socket_;
    std::string kept_;    // frames of keep()
    std::string waiting_; // frames for Odoo, until the connection is open
    Backoff backoff_;
    Monotonic try_again_at_; // while there is no socket, and something waits
    Monotonic waits_since_;
    std::optional<Monotonic> paused_since_; // the client reads too slowly
    std::optional<Monotonic> choked_since_; // Odoo does
};

} // namespace odoo_bus

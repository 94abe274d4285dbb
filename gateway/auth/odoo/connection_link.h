// One connection, as the thread that asks Odoo knows it: what is for the connection is posted to the thread
// that serves it.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <utility>

#include "auth/authorizer.h"
#include "base/loop.h"

namespace odoo_bus {

class ConnectionLink : public std::enable_shared_from_this<ConnectionLink> {
public:
    ConnectionLink(Client& client, std::function<void(Loop::Task)> post)
        : client_(&client), post_(std::move(post)) {}

    // --- on the thread that serves the connection ---

    void cut() {
        client_ = nullptr;
        on_decision_ = nullptr;
        gone_.store(true, std::memory_order_relaxed);
    }
    // The connection's question is on its way. There is one at a time.
    void await_decision(std::function<void(Decision)> on_decision) { on_decision_ = std::move(on_decision); }
    void let_odoo_hear_of_end() { hears_of_end_.store(true, std::memory_order_relaxed); }
    void note_received() { received_.store(client_->received(), std::memory_order_relaxed); }

    // --- on the thread that asks Odoo ---

    bool gone() const { return gone_.load(std::memory_order_relaxed); }
    // Its own bus server does: on_closed need not be called.
    bool odoo_hears_of_end() const { return hears_of_end_.load(std::memory_order_relaxed); }
    // Client::received() about a second ago.
    Position received() const { return received_.load(std::memory_order_relaxed); }
    // The same, when notifications had waited for a confirmation: these need no further one.
    Position confirmed() const { return confirmed_.load(std::memory_order_relaxed); }

    void decide(Decision decision) {
        post_([self = shared_from_this(), decision = std::move(decision)]() mutable {
            if (const auto on_decision = std::exchange(self->on_decision_, nullptr))
                on_decision(std::move(decision));
        });
    }
    void take_back(Refusal refusal) {
        with([refusal = std::move(refusal)](Client& client) { client.take_back(refusal); });
    }
    void regrant(std::shared_ptr<const Grant> grant) {
        with([grant = std::move(grant)](Client& client) { client.regrant(*grant); });
    }
    void confirm(Monotonic until) {
        with([this, until](Client& client) {
            if (client.confirmed(until)) {
                note_received();
                confirmed_.store(received(), std::memory_order_relaxed);
            }
        });
    }
    void unconfirmed() {
        with([](Client& client) { client.unconfirmed(); });
    }

private:
    void with(std::function<void(Client&)> task) {
        post_([self = shared_from_this(), task = std::move(task)] {
            if (self->client_)
                task(*self->client_);
        });
    }

    Client* client_;                            // null once the connection has ended
    std::function<void(Decision)> on_decision_; // null unless it waits for one
    const std::function<void(Loop::Task)> post_;
    std::atomic<bool> gone_ = false;
    std::atomic<bool> hears_of_end_ = false;
    std::atomic<Position> received_ = 0;
    std::atomic<Position> confirmed_ = 0;
};

} // namespace odoo_bus

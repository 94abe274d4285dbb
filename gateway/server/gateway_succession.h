// Which of a gateway's processes serves: one takes over from another. What the threads other than the reader
// do then; the reader's part, which decides, is succession.h.
#pragma once

#include <atomic>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "base/clock.h"
#include "config/options.h"
#include "database/succession.h"
#include "server/gateway_parts.h"
#include "take_over/successor.h"

namespace odoo_bus {

class GatewaySuccession {
public:
    enum class Phase {
        serving,
        taking_over,  // from another process, until it serves
        handing_over, // another process is starting; this one serves
        draining,     // it has taken over, and the clients that are left here are sent there
        orphaned,     // it was to take over, and the other process has ended or did not let it
        refused,      // it is not to serve: the server is a standby (--standby refuse)
    };

    // `on_phase`: called, from any thread, when the phase has changed by itself.
    GatewaySuccession(GatewayParts& parts, const Options& options, std::function<void()> on_phase);

    void reconfigure(const Options& options);

    // --- from any thread ---

    Phase phase() const { return phase_; }
    // Why the phase is orphaned or refused, or serving again.
    std::string problem() const;
    // The gateway is not to serve.
    void refuse(const std::string& why) { enter(Phase::refused, why); }

    // --- from the main thread ---

    // Before the reader starts: this process serves when it has taken over.
    void succeed(int socket);
    // The sockets that a new process is offered.
    void listen(const std::vector<ListeningSocket>& sockets, bool for_metrics);
    // What a new process is to be offered.
    Offer offer() const;
    // Empty, or why no other process can take over now.
    std::string cannot_hand_over() const;
    // A new process takes over, or does not.
    void hand_over(int socket);
    // No client is left, or those that are left do not go.
    bool is_drained() const;

private:
    Succession::Handlers handlers();
    void hand_over_clients(std::function<void()> done);
    void inherit(const TakeOverMessage& message);
    void taken();
    void failed(const std::string& why);
    void enter(Phase phase, const std::string& problem = {});
    void begin_drain();
    void drain(std::chrono::milliseconds within);

    GatewayParts& parts_;
    const std::function<void()> on_phase_;
    std::vector<Offer::Socket> listening_;
    std::atomic<Phase> phase_ = Phase::serving;
    std::atomic<bool> has_predecessor_ = false; // which still has clients
    std::atomic<Monotonic> drained_by_ = Monotonic();
    std::atomic<Milliseconds> drain_within_, take_over_within_; // options
    mutable std::mutex mutex_;                                  // of problem_
    std::string problem_;
};

} // namespace odoo_bus

// The whole gateway: one thread that reads PostgreSQL, one that accepts connections, and service threads
// between them.
#pragma once

#include <atomic>
#include <functional>
#include <string>
#include <vector>

#include "config/options.h"
#include "database/database_observer.h"
#include "server/gateway_parts.h"
#include "server/gateway_succession.h"
#include "server/memory_ceiling.h"
#include "take_over/successor.h"

namespace odoo_bus {

class Gateway final : public DatabaseObserver {
public:
    using Phase = GatewaySuccession::Phase;

    // `on_phase`: called, from any thread, when the phase has changed by itself.
    Gateway(const Options& options, std::function<void()> on_phase);
    ~Gateway() override;

    // Empty, or one sentence why it cannot start. `sockets`: that listen already. With a predecessor it
    // serves when it has taken over.
    std::string start(GivenSockets sockets, const Predecessor* predecessor);
    GatewaySuccession& succession() { return succession_; }
    const GatewaySuccession& succession() const { return succession_; }

    // Closes every connection with 1001 and ends all threads.
    void stop();
    void reconfigure(const Options& options);

    // True when every thread has done, since the last call, what was asked of it then.
    bool is_alive();

    // What databases tell: to every service thread, in the same order.
    void on_event(const std::string& database, const DatabaseEvent& event) override;

private:
    void tell_authorization(const std::string& database, const DatabaseEvent& event);
    void tell_presence(const std::string& database, const DatabaseEvent& event);
    void admit(Admission admission);
    void shed();
    std::string make_services();
    std::string make_servers(GivenSockets& sockets);
    std::vector<std::string> not_ready() const;

    const Options options_;
    MemoryAccounts accounts_; // outlives all threads
    MemoryCeiling memory_;
    GatewayParts parts_;
    GatewaySuccession succession_;
    std::atomic<bool> stopping_ = false;
    std::atomic<unsigned> unanswered_ = 0; // of what is_alive() asked
};

} // namespace odoo_bus

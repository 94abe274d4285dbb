// The whole gateway: one reader, one front, and service threads between them.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "auth/auth_backend.h"
#include "clients/service.h"
#include "config/options.h"
#include "database/database_observer.h"
#include "database/database_thread.h"
#include "presence/presence.h"
#include "server/http_server.h"
#include "server/memory_ceiling.h"
#include "server/metrics_server.h"
#include "take_over/successor.h"

namespace odoo_bus {

class Gateway final : public DatabaseObserver {
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
    Gateway(const Options& options, std::function<void()> on_phase);
    ~Gateway() override;

    // Empty, or one sentence why it cannot start. `sockets`: that listen already. With a predecessor it
    // serves when it has taken over.
    std::string start(GivenSockets sockets, const Predecessor* predecessor);
    Phase phase() const { return phase_; }
    // Why the phase is orphaned or refused, or serving again.
    std::string problem() const;

    // What a new process is to be offered.
    Offer offer() const;
    // Empty, or why no other process can take over now.
    std::string cannot_hand_over() const;
    // A new process takes over, or does not.
    void hand_over(int socket);
    // No client is left, or those that are left do not go.
    bool is_drained() const;

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
    void serve();
    DatabaseThread::TakeOver take_over();
    void enter(Phase phase, const std::string& problem = {});
    void begin_drain();
    void other_process_failed(const std::string& why);
    size_t connections() const;
    std::vector<std::string> not_ready() const;

    const Options options_;
    const std::function<void()> on_phase_;
    std::string id_;
    std::shared_ptr<MovedClients> moved_clients_ = std::make_shared<MovedClients>();
    std::vector<Offer::Socket> listening_; // what another process is offered
    std::atomic<Phase> phase_ = Phase::serving;
    std::atomic<bool> has_predecessor_ = false; // which still has clients
    std::atomic<int64_t> drained_by_us_ = 0;
    std::atomic<int64_t> drain_us_, take_over_us_; // options
    mutable std::mutex mutex_;                     // of problem_
    std::string problem_;
    MemoryCeiling memory_;
    std::unique_ptr<AuthBackend> auth_backend_;
    std::unique_ptr<Presence> presence_; // null when it is not kept
    std::vector<std::unique_ptr<Service>> services_;
    std::unique_ptr<DatabaseThread> database_thread_;
    std::unique_ptr<HttpServer> http_server_;
    std::unique_ptr<MetricsServer> metrics_server_;
    std::atomic<bool> stopping_ = false;
    std::atomic<unsigned> unanswered_ = 0; // of what is_alive() asked
};

} // namespace odoo_bus

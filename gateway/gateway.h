// The whole gateway: one reader, one front, and service threads between them.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "audience.h"
#include "authorizers.h"
#include "front.h"
#include "memory_ceiling.h"
#include "metrics_server.h"
#include "options.h"
#include "presence.h"
#include "reader.h"
#include "service.h"

namespace odoo_bus {

class Gateway final : public Audience {
public:
    explicit Gateway(const Options& options);
    ~Gateway() override;

    // Empty, or one sentence why it cannot start. `sockets`: that listen already.
    std::string start(GivenSockets sockets);
    // Closes every connection with 1001 and ends all threads.
    void stop();
    void reconfigure(const Options& options);

    // True when every thread has done, since the last call, what was asked of it then.
    bool is_alive();

    // --- what databases tell: to every service thread, in the same order ---

    void expect(const std::string& database) override;
    void begin(const std::string& database, std::vector<BatchPtr> kept, Position head, Id newest,
               Position adopted_until, bool missed) override;
    void publish(const std::string& database, BatchPtr batch, Position keep_from) override;
    void lost(const std::string& database, std::vector<Position> positions, Id newest) override;
    void users_changed(const std::string& database, const std::set<int64_t>& partners) override;
    void let_go(const std::string& database) override;
    void forget(const std::string& database) override;
    void peers(const std::string& database, bool has_peers) override;

private:
    using Tell = std::function<void(Service& service, Stream& stream)>;
    void tell(const std::string& database, const Tell& tell);
    void admit(Admission admission);
    size_t connections() const;
    std::vector<std::string> not_ready() const;

    const Options options_;
    MemoryCeiling memory_;
    std::unique_ptr<Authorizers> authorizers_;
    std::unique_ptr<Presence> presence_; // null when it is not kept
    std::vector<std::unique_ptr<Service>> services_;
    std::unique_ptr<Reader> reader_;
    std::unique_ptr<Front> front_;
    std::unique_ptr<MetricsServer> metrics_server_;
    std::atomic<bool> stopping_ = false;
    std::atomic<unsigned> unanswered_ = 0; // of what is_alive() asked
};

} // namespace odoo_bus

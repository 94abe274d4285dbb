// The databases that are served: those that the options name or that --database-match finds, and the hub,
// which rings them.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/loop.h"
#include "config/options.h"
#include "database/database.h"
#include "database/database_catalog.h"
#include "database/database_discovery.h"
#include "database/database_observer.h"
#include "database/hub.h"
#include "protocol/replay_answer.h"

namespace odoo_bus {

class DatabaseSet {
public:
    // `names`: of the databases, in the order of options.databases; unless --database-match finds them.
    // `loop`: the reader's. `observer`: hears all databases.
    DatabaseSet(const Options& options, std::vector<std::string> names, const std::string& gateway_id,
                Loop& loop, DatabaseObserver& observer);

    // Before open(): called, on the reader's thread, when the gateway is not to serve at all.
    void on_refusal(std::function<void(const std::string& why)> refuse_start) {
        refuse_start_ = std::move(refuse_start);
    }

    // --- on the reader's thread ---

    void open();
    void close();
    void replay(const std::string& database, Id last, std::vector<std::string> channels,
                std::function<void(ReplayAnswer)> answer);

    // The histories are to be smaller by so many bytes together, at the cost of the largest ones; they may be
    // as large as the options allow.
    void trim_histories(uint64_t bytes);
    void release_histories();

    // --- from any thread ---

    // Empty when at least one database is being read, else why not.
    std::string unavailable() const;
    // Why a client would miss something now that other gateways may have.
    std::vector<std::string> unready() const;
    // What was heard in an Odoo database is on its way to the hub.
    bool is_passing_on() const { return hub_ && hub_->is_passing_on(); }

    // --- another process takes over (succession.h) ---

    // All that is known of each database. What observers hear after that brings it forward.
    void describe(const Database::Send& send) const;
    // No database is read any more, and none comes or goes. `frozen`: called once, when the reads that are
    // under way have ended.
    void freeze(std::function<void()> frozen);
    // Where the frozen databases have stopped.
    void send_ledgers(const Database::Send& send) const;
    bool relays_to_hub() const { return hub_ && hub_->relays(); }
    // They go on, since the other process did not take over.
    void thaw();
    // They never will.
    void retire();

    // --- this process takes over ---

    // Before open(): the databases follow another process until take(). `changed`: is_prepared() may have
    // become true.
    void follow(std::function<void()> changed) { follower_ = std::move(changed); }
    // Every database that the other process reads could be read here at once.
    bool is_prepared() const;
    // What the other process tells. False when it does not fit to what came before.
    bool follow(const take_over::OfDatabase& message);
    void succeed_hub(bool relays);
    void take();

private:
    void serve(const std::string& name, const std::string& conninfo);
    void forget(const std::string& name);
    void refused(const std::string& name, const std::string& why);
    void look_for_databases();
    void limit_histories(uint64_t bytes);
    bool finds() const { return !options_.database_match.empty(); }
    std::string hub_name() const;
    void ring(const std::string& database);
    std::function<void(std::string_view payload)> hear(const std::string& name);

    const Options options_;
    const std::vector<std::string> names_;
    const uint32_t gateway_key_;
    Loop& loop_;
    DatabaseObserver& observer_;
    std::function<void(const std::string&)> refuse_start_;
    std::function<void()> follower_; // while another process is followed
    std::map<std::string, std::unique_ptr<Database>> databases_;
    uint64_t history_limit_ = UINT64_MAX; // of each of them
    std::unique_ptr<Hub> hub_;
    DatabaseDiscovery found_; // with --database-match
    std::unique_ptr<DatabaseCatalog> catalog_;
    std::atomic<bool> listed_ = false;    // what catalog_ said last is true now
    std::atomic<unsigned> available_ = 0; // databases that are being read
    std::atomic<unsigned> known_ = 0;     // and that were, at least once
};

} // namespace odoo_bus

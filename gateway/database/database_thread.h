// The thread that reads PostgreSQL: owns the databases, the hub and their state files.
//
// When another process of this gateway takes over, the readers of both talk to each other. Of each database
// one of them reads at any time, and gives out the positions; the other one follows, and has what the reader
// has, in the same order, for clients of its own:
//
//   old process                                  new process
//   reads                                        connects to the databases
//   --- history, and what is dispatched --->     follows
//                                                <--- prepared ---
//   freezes: lets the read that is under way
//   end, and lets go of its files
//   --- moved clients, rotations, ledgers, go --->
//                                                <--- taken ---
//                                                reads, and accepts connections
//   follows, until its clients have gone         --- what is dispatched --->
//
// Invariants:
//
// 1. A position stands for the same notification in both: it is given by the only one that reads, and
//    messages come in their order. This process's clients are told before the other process is, so that a
//    client that comes from there is known here: a `last` that one gave is exact at the other.
// 2. The new process dispatches nothing and accepts nothing before `taken` is with the old one; that reads
//    nothing after `go` unless the link ends without `taken`: then no client has seen anything of the new
//    one, and the old one goes on with what it has in memory. The kernel decides: `taken` is sent at once or
//    not at all, and the old process's patience ends by shutting its end of the socket, not by a signal.
// 3. What was decided by the old process's ledger is in the history of the new one (the ledger comes last).
// 4. Each file has one writer: it is let go before `go`.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/loop.h"
#include "config/options.h"
#include "database/database.h"
#include "database/database_discovery.h"
#include "database/database_observer.h"
#include "database/hub.h"
#include "protocol/replay_answer.h"
#include "take_over/link.h"

namespace odoo_bus {

class DatabaseThread final : private DatabaseObserver {
public:
    // `names`: of the databases, in the order of options.databases; unless --database-match finds them.
    DatabaseThread(const Options& options, std::vector<std::string> names, const std::string& gateway_id,
                   DatabaseObserver& observer);
    ~DatabaseThread() override;

    // What the rest of the gateway does when it is taken over, or takes over. Called on the reader's thread.
    struct TakeOver {
        // Gives tell_successor() what other threads know, and what is new there from now on. `done`, on any
        // thread: what they knew was given.
        std::function<void(std::function<void()> done)> hand_over;
        std::function<void(const TakeOverMessage&)> inherit; // what was given there
        std::function<void()> taken;
        std::function<void(const std::string& why)> failed; // the other process did not do its part
        std::function<void()> left; // the former process has gone, and this one has taken over before
    };
    // Before start(): this process takes over from the one at the other end of the socket.
    void succeed(int socket, TakeOver take_over);
    // The process at the other end takes over, within this time, or this one goes on.
    void hand_over(int socket, TakeOver take_over, std::chrono::milliseconds within);
    // Before start(): called, on the reader's thread, when the gateway is not to serve at all.
    void on_refusal(std::function<void(const std::string& why)> refuse_start) {
        refuse_start_ = std::move(refuse_start);
    }
    // To the process that takes over, from hand_over() on; from any thread.
    void tell_successor(TakeOverMessage message);

    void start();
    // Ends the thread; waits for it.
    void stop();

    // --- from any thread ---

    // Runs a task on its thread.
    void post(Loop::Task task) { loop_.post(std::move(task)); }
    void replay(const std::string& database, Id last, std::vector<std::string> channels,
                std::function<void(ReplayAnswer)> answer);
    // Empty when at least one database is being read, else why not.
    std::string unavailable() const;
    // Why a client would miss something now that other gateways may have.
    std::vector<std::string> unready() const;
    // What was heard in an Odoo database is on its way to the hub.
    bool is_passing_on() const { return hub_ && hub_->is_passing_on(); }

private:
    // What databases tell: to the observer, and to the process that follows.
    void on_event(const std::string& database, const DatabaseEvent& event) override;
    void tell_follower(const std::string& database, const DatabaseEvent& event);
    void send(TakeOverMessage message);

    void open();
    void serve(const std::string& name, const std::string& conninfo);
    void forget_database(const std::string& name);
    void watch_databases();
    void refused(const std::string& name, const std::string& why);
    std::string hub_name() const;
    bool finds() const { return !options_.database_match.empty(); }
    void open_link();
    void on_message(const TakeOverMessage& message);
    void on_link_end();
    void freeze();
    void go();
    void taken_by_successor();
    void check_prepared();
    void take();
    void follow(const take_over::OfDatabase& message);
    void on_message_of_predecessor(const TakeOverMessage& message);
    void end_successor(const std::string& why);
    void end_take_over(const std::string& why);

    void ring(const std::string& database);
    std::function<void(std::string_view payload)> hear(const std::string& name);

    const Options options_;
    const std::vector<std::string> names_;
    const uint32_t gateway_key_;
    DatabaseObserver& observer_;
    Loop loop_;
    std::map<std::string, std::unique_ptr<Database>> databases_;
    std::unique_ptr<Hub> hub_;
    DatabaseDiscovery found_; // with --database-match
    std::unique_ptr<DatabaseCatalog> watch_;
    std::atomic<bool> listed_ = false; // what watch_ said last is true now
    enum class Role {
        alone,     // reads
        giving,    // reads, and another process is to take over
        frozen,    // it has what it needs for that
        given,     // follows the process that has taken over
        following, // is to take over
        leading,   // has taken over, and the former process follows
        over,      // neither reads nor follows
    };
    Role role_ = Role::alone;
    int link_socket_ = -1;
    TakeOver take_over_;
    std::function<void(const std::string&)> refuse_start_;
    std::unique_ptr<TakeOverLink> link_;
    std::unique_ptr<Timer> deadline_;     // for the other process
    std::string why_;                     // the other process is being ended
    size_t freezing_ = 0;                 // what is not frozen yet: databases, and other threads
    unsigned attempt_ = 0;                // of handing over
    bool described_ = false;              // the former process has told what it knows
    bool prepared_ = false;               // it was told
    std::atomic<unsigned> available_ = 0; // databases that are being read
    std::atomic<unsigned> known_ = 0;     // and that were, at least once
};

} // namespace odoo_bus

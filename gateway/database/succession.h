// One process of a gateway takes over from another: how the threads that read PostgreSQL do it.
//
// Of each database one of the two processes reads at any time, and gives out the positions; the other one
// follows, and has what the reader has, in the same order, for clients of its own:
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
// 2. The new process dispatches nothing and accepts nothing before `taken` is with the old one; the old one
//    reads nothing after `go` unless the link ends without `taken`: then no client has seen anything of the
//    new one, and the old one goes on with what it has in memory. The kernel decides: `taken` is sent at once
//    or not at all, and the old process's patience ends by shutting its end of the socket, not by a signal.
// 3. What was decided by the old process's ledger is in the history of the new one (the ledger comes last).
// 4. Each file has one writer: it is let go before `go`.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/loop.h"
#include "base/timer.h"
#include "database/database_observer.h"
#include "database/database_set.h"
#include "take_over/link.h"
#include "take_over/successor_feed.h"

namespace odoo_bus {

class Succession final : private DatabaseObserver {
public:
    // What the rest of the gateway does. Called on the reader's thread.
    struct Handlers {
        // Gives tell_successor() what other threads know, and what is new there from now on. `done`, on any
        // thread: what they knew was given.
        std::function<void(std::function<void()> done)> hand_over;
        std::function<void(const TakeOverMessage&)> inherit; // what was given there
        std::function<void()> taken;
        std::function<void(const std::string& why)> failed; // the other process did not do its part
        std::function<void()> left; // the former process has ended, and this one has taken over before
    };

    // `clients`: what hears the databases in this process, which is among the `observers`.
    Succession(Loop& loop, DatabaseSet& databases, DatabaseObservers& observers, DatabaseObserver& clients)
        : loop_(loop), databases_(databases), observers_(observers), clients_(clients) {}

    // Before the reader's thread starts: this process takes over from the one at the other end of the socket.
    void succeed(int socket, Handlers handlers);

    // --- on the reader's thread ---

    // Begins to follow, if this process is to take over.
    void start();
    void stop();

    // --- from any thread ---

    // The process at the other end takes over, within this time, or this one goes on.
    void hand_over(int socket, Handlers handlers, std::chrono::milliseconds within);
    // To the process that takes over, from hand_over() on.
    void tell_successor(TakeOverMessage message);

private:
    void on_event(const std::string& database, const DatabaseEvent& event) override;
    void open_link();
    void close_link();
    void open_feed(bool keeps_history);
    void close_feed();
    void on_message(const TakeOverMessage& message);
    void on_message_of_predecessor(const TakeOverMessage& message);
    void on_message_of_successor(const TakeOverMessage& message);
    void on_link_end();
    void freeze();
    void go();
    void taken_by_successor();
    void check_prepared();
    void take(const take_over::Go& go);
    void leave_predecessor();
    void end_successor(const std::string& why);
    void fail(const std::string& why);

    Loop& loop_;
    DatabaseSet& databases_;
    DatabaseObservers& observers_;
    DatabaseObserver& clients_;
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
    Handlers handlers_;
    std::unique_ptr<TakeOverLink> link_;
    std::optional<SuccessorFeed> feed_; // while this process reads, and another one follows
    std::unique_ptr<Timer> deadline_;   // for the other process
    std::string why_;                   // the other process is being ended
    unsigned freezing_ = 0;             // of databases and other threads, those that are not frozen yet
    unsigned attempt_ = 0;              // of handing over
    bool described_ = false;            // the former process has told what it knows
    bool prepared_ = false;             // the former process was told
};

} // namespace odoo_bus

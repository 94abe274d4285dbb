// A service thread: its own libwebsockets context, its connections and its share of every database's fan-out.
//
// Service threads share nothing. Everything they are told comes through post(), in the same order on each of
// them.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "auth/authorizer.h"
#include "base/clock.h"
#include "base/loop.h"
#include "clients/client_list.h"
#include "clients/confirmation_deadlines.h"
#include "clients/database_feed.h"
#include "clients/moved_clients.h"
#include "config/options.h"
#include "http/admission.h"
#include "protocol/client_event.h"
#include "protocol/database_event.h"
#include "protocol/replay_answer.h"

struct lws;
struct lws_context;
struct lws_log_cx;
struct lws_vhost;

namespace odoo_bus {

class OdooWebSocket;
class Presence;
class Session;

class Service {
public:
    // Asks the thread that reads a database for what came after `last`; `answer` is to be called on any
    // thread.
    using Replay = std::function<void(const std::string& database, Id last, std::vector<std::string> channels,
                                      std::function<void(ReplayAnswer)> answer)>;

    struct Surroundings {
        // Called once, by the constructor.
        std::function<std::unique_ptr<Authorizer>(std::function<void(Loop::Task)> post)> make_authorizer;
        Replay replay;
        std::string gateway_id;
        std::shared_ptr<MovedClients> moved_clients; // of the whole gateway
        Presence* presence = nullptr;                // null: it is not kept
    };

    Service(const Options& options, Surroundings surroundings);
    ~Service();

    // False, after a line in the log, when libwebsockets cannot be set up.
    bool start();
    // Closes every connection with this code, and ends the thread when the last one is gone, or after
    // `within_ms`.
    void stop(int code, std::string_view reason, uint64_t within_ms);
    // Sends the clients to another process, spread over this time. When clients are admitted meanwhile (no
    // other process may be there), these stay.
    enum class Newcomers { go, stay };
    void drain(std::chrono::milliseconds within, Newcomers newcomers);
    void join() { loop_.join(); }

    // --- from any thread ---

    void adopt(Admission admission);
    // Runs a task on its thread.
    void post(Loop::Task task) { loop_.post(std::move(task)); }
    void on_event(const std::string& database, std::shared_ptr<const DatabaseEvent> event);
    void reconfigure(const Options& options);
    // Ends sessions of accounts that hold more than they may keep, the largest first.
    void shed();
    // Calls `answer` from its thread. `channel`: of clients_of_channel(); empty: slowest_clients() are asked
    // for.
    void list_clients(std::string channel, std::function<void(ClientList)> answer);
    size_t connections() const { return connections_.load(std::memory_order_relaxed); }

    // --- from this service's own thread ---

    DatabaseFeed* feed(const std::string& database);
    Authorizer& authorizer() { return *authorizer_; }
    const Options& options() const { return options_; }
    // How long a connection may last that begins now: the keep-alive time and a random 0 to 50 % of it.
    Duration lifetime();
    uv_loop_t* uv() { return loop_.uv(); }
    uint64_t next_session_number() { return ++last_session_; }
    // Null when it has gone.
    Session* session(uint64_t number);
    // Notifications wait for the confirmation of the session's grant: it is told when that is overdue.
    void await_confirmation(const Session& session);
    // The client of this session has gone: it is destroyed when what runs now has returned.
    void on_gone(const Session& session);
    // A connection to Odoo whose client has gone: it ends by itself.
    void part(std::unique_ptr<OdooWebSocket> socket);
    const std::string& gateway_id() const { return surroundings_.gateway_id; }
    MovedClients& moved_clients() const { return *surroundings_.moved_clients; }
    Presence* presence() const { return surroundings_.presence; }
    const ClientEventLimits& event_limits() const { return event_limits_; }
    void replay(const std::string& database, Id last, std::vector<std::string> channels,
                std::function<void(const ReplayAnswer&)> answer);

private:
    friend class WebSocket;

    void configure(const Options& options);
    bool create_context();
    void adopt_now(Admission admission);
    void own(std::unique_ptr<Session> session);
    void destroy(uint64_t session);
    DatabaseFeed& feed_of(const std::string& database);
    void apply(const std::string& database, const DatabaseEvent& event);
    void begin(DatabaseFeed& feed, const event::Begin& begin);
    void publish(DatabaseFeed& feed, const event::Publish& publish);
    void lose(DatabaseFeed& feed, const event::Lost& lost);
    void forget(const std::string& database);
    // Tells the pages that understand it that they have missed notifications of this database.
    void tell_outdated(DatabaseFeed& feed);
    void flush();
    void send_back();
    void tick();
    void tick_parted(Monotonic now);

    Options options_;
    ClientEventLimits event_limits_;
    Surroundings surroundings_;
    Loop loop_;
    const std::unique_ptr<Authorizer> authorizer_;
    std::shared_ptr<lws_log_cx> log_context_; // of context_; null before libwebsockets 4.3
    lws_context* context_ = nullptr;
    lws_vhost* vhost_ = nullptr;
    FeedMap feeds_;
    SessionMap sessions_; // by number
    uint64_t last_session_ = 0;
    std::vector<std::unique_ptr<OdooWebSocket>> parted_; // connections to Odoo, see part()
    Admission* adopting_ = nullptr;                      // what libwebsockets is taking over right now
    std::atomic<size_t> connections_ = 0;
    int64_t behind_ = 0, behind_bytes_ = 0; // at the last tick
    std::vector<DatabaseFeed*> to_flush_;
    std::unique_ptr<ConfirmationDeadlines> confirmation_deadlines_;
    bool stopping_ = false;
    Monotonic stop_at_;
    double due_ = 0;                      // clients that are to be sent there now
    std::optional<Monotonic> drained_at_; // when every client is to have been sent to the other process
    uint64_t last_to_drain_ = 0;          // sessions with higher numbers are newcomers that stay
    std::minstd_rand random_{std::random_device{}()};
};

} // namespace odoo_bus

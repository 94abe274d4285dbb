// The one place where Odoo is asked: a thread that owns the queue to it, the cache and the grants of what it
// granted, and its public sessions. Service threads post their questions here.
#pragma once

#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "auth/authorizer.h"
#include "auth/odoo/connection_link.h"
#include "auth/odoo/grant_cache.h"
#include "auth/odoo/grant_table.h"
#include "auth/odoo/odoo_answer.h"
#include "auth/odoo/odoo_client.h"
#include "auth/odoo/odoo_presence.h"
#include "auth/odoo/odoo_queue.h"
#include "auth/odoo/public_session.h"
#include "auth/odoo/session_rotation.h"
#include "auth/odoo/session_watch.h"
#include "auth/odoo/worker_version.h"
#include "base/loop.h"
#include "config/options.h"
#include "http/http_response.h"
#include "http/requester.h"
#include "protocol/notification.h"
#include "take_over/message.h"

namespace odoo_bus {

class OdooAuthService {
public:
    // `databases`: that the gateway reads.
    OdooAuthService(const Options& options, std::vector<std::string> databases);
    ~OdooAuthService();

    void start();
    void stop();

    struct Question {
        std::shared_ptr<ConnectionLink> link;
        std::shared_ptr<const Requester> who;
        std::vector<std::string> channels; // as the client names them
        // Nothing was granted to the connection yet: Odoo is told so, and never says "expired".
        bool first = true;
        bool may_reuse = true; // it is the connection's first question
    };
    using OnDecision = std::function<void(Decision)>; // called on the service's thread

    // --- from any thread ---

    void ask(Question question, OnDecision on_decision);
    void tell_presence(std::shared_ptr<const Requester> who, const UpdatePresence& presence);
    // A page has come, and says which version its script has.
    void join(std::shared_ptr<ConnectionLink> link, std::shared_ptr<const Requester> who);
    void leave(std::shared_ptr<ConnectionLink> link);
    // It has ended its connection by itself. When it comes back, it expects to see what has changed since.
    void part(std::shared_ptr<const Requester> who);
    void reconfigure(const Options& options);
    // The newest id of a database: Odoo is not to look for older notifications.
    void forget_newest(const std::string& database);
    void set_newest(const std::string& database, Id newest);
    // Something about these users of a database has changed: who may see what is asked anew.
    void users_changed(const std::string& database, std::set<int64_t> partners);
    // The answer to a handshake that Odoo could not decide in time, or nothing.
    std::optional<Response> unavailable(const Requester& who) const;
    // Gives a browser whose session id Odoo has changed the new one.
    void renew(Requester& requester) const;

    // --- another process of this gateway takes over, from any thread ---

    // See AuthBackend. What only memory has: session ids that were changed, and grants that hold no more.
    void hand_over(std::function<void(TakeOverMessage)> tell, std::function<void()> done);
    void take_back();
    // Odoo is asked nothing more here, nor told that somebody has gone. Who asks, or is due, comes back, and
    // is the other process's.
    void retire();
    void inherit(const TakeOverMessage& message);

private:
    struct Peek; // a question on its way
    using PeekPtr = std::shared_ptr<Peek>;
    using EntryPtr = std::shared_ptr<GrantTable::Entry>;

    void open();
    void tick();

    // --- questions of clients ---
    void ask_now(Question question, OnDecision on_decision);
    void enqueue(const PeekPtr& peek);
    void send(const PeekPtr& peek);
    void take(const PeekPtr& peek, const HttpAnswer& answer);
    void unanswered(const PeekPtr& peek, const std::string& why);
    void decide(const PeekPtr& peek, const Decision& decision);
    void granted(const PeekPtr& peek, const Grant& grant, int64_t asked_us, int64_t due_us);

    // --- questions of our own ---
    void recheck_due(int64_t now_us);
    void recheck(const EntryPtr& entry);
    void rechecked(const EntryPtr& entry, const HttpAnswer* answer, int64_t asked_us);
    void recheck_failed(const EntryPtr& entry);
    void call(const GrantTable::Subject& subject, const char* path, std::function<std::string()> body);
    void read_login_page(const Requester& who, std::function<void(std::optional<std::string>)> on_page);

    // --- any of them ---
    using OnAnswer = std::function<void(const HttpAnswer*, const std::string& problem)>;
    void post(const GrantTable::Subject& subject, const char* path, const std::string& body,
              OnAnswer on_answer);
    // True when the session's id was changed, which ends its connections.
    bool look_for_rotation(const GrantTable::Subject& subject, const HttpAnswer& answer);
    void close_rotated(std::string_view old_id);
    void expired(const GrantTable::Subject& subject);
    void probe();
    void publish_state();
    Id newest_for(const std::string& host) const;

    Options options_;
    const std::vector<std::string> databases_;
    Loop loop_;
    std::unique_ptr<OdooClient> client_;
    std::unique_ptr<SessionWatch> session_watch_; // where Odoo's session files can be seen
    OdooQueue queue_;
    GrantCache cache_;
    GrantTable grants_;
    OdooPresence presence_;
    PublicSessions public_sessions_;
    SessionRotations rotations_;
    WorkerVersion worker_version_;
    std::unordered_map<Digest, std::weak_ptr<Peek>, DigestHash> first_peeks_; // that others may join
    std::list<PeekPtr> again_; // later subscribes that had no answer
    std::map<std::string, std::string> database_of_host_;
    Requester prober_;
    double allowance_ = 0; // re-checks that may be sent now
    int64_t ticked_us_ = 0;
    std::function<void(TakeOverMessage)> tell_successor_; // empty: there is none
    bool retired_ = false;

    mutable std::mutex mutex_; // of what follows
    std::map<std::string, Id> newest_;
    std::optional<OdooQueue::Refusal> refusal_;
};

} // namespace odoo_bus

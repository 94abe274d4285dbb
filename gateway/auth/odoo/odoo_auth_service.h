// Decides what clients may see by what Odoo says: a thread that owns the way to Odoo, the cache and the table
// of what Odoo granted. Service threads post their questions here.
#pragma once

#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "auth/authorizer.h"
#include "auth/odoo/connection_link.h"
#include "auth/odoo/grant_cache.h"
#include "auth/odoo/grant_table.h"
#include "auth/odoo/odoo_port.h"
#include "auth/odoo/odoo_presence.h"
#include "auth/odoo/odoo_recheck.h"
#include "auth/odoo/session_watch.h"
#include "auth/odoo/worker_version.h"
#include "base/clock.h"
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
        std::shared_ptr<const Requester> requester;
        std::vector<std::string> channels; // as the client names them
        // Nothing was granted to the connection yet: Odoo is told so, and never says "expired".
        bool first = true;
        bool may_reuse = true; // it is the connection's first question
    };

    // --- from any thread ---

    // The link is given the decision.
    void ask(Question question);
    void tell_presence(std::shared_ptr<const Requester> requester, const UpdatePresence& presence);
    // A page has come, and says which version its script has.
    void join(std::shared_ptr<ConnectionLink> link, std::shared_ptr<const Requester> requester);
    void leave(std::shared_ptr<ConnectionLink> link);
    // It has ended its connection by itself. When it comes back, it expects to see what has changed since.
    void part(std::shared_ptr<const Requester> requester);
    void reconfigure(const Options& options);
    // The newest id of a database: Odoo is not to look for older notifications.
    void forget_newest(const std::string& database);
    void set_newest(const std::string& database, Id newest);
    // Something about these users of a database has changed: who may see what is asked anew.
    void users_changed(const std::string& database, std::set<int64_t> partners);
    // The answer to a handshake that Odoo could not decide in time, or nothing.
    std::optional<Response> unavailable(const Requester& requester) const;
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
    struct Pending; // a question that is not decided yet
    using PendingPtr = std::shared_ptr<Pending>;

    void open();
    void tick();

    void ask_now(Question question);
    void enqueue(const PendingPtr& pending);
    void answered(const PendingPtr& pending, const OdooPort::Peek& peek);
    void granted(const PendingPtr& pending, const Grant& grant, Monotonic asked, Monotonic due);
    void unanswered(const PendingPtr& pending, const std::string& why);
    void decide(const PendingPtr& pending, const Decision& decision);

    void call(const OdooSubject& subject, const char* path, std::function<std::string()> body);
    void renewed(const OdooSubject& subject, const SessionRotation& rotation);
    void expired(const OdooSubject& subject);
    void close_renewed(std::string_view old_id);

    Options options_;
    Loop loop_;
    std::unique_ptr<SessionWatch> session_watch_; // where Odoo's session files can be seen
    OdooPort port_;
    GrantCache cache_;
    GrantTable grants_;
    OdooPresence presence_;
    OdooRecheck recheck_;
    WorkerVersion worker_version_;
    std::unordered_map<Digest, std::weak_ptr<Pending>, DigestHash> first_pending_; // that others may join
    std::list<PendingPtr> again_;                         // later subscribes that had no answer
    std::function<void(TakeOverMessage)> tell_successor_; // empty: there is none
    bool retired_ = false;
};

} // namespace odoo_bus

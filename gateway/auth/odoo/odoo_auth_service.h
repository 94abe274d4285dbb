// Authorization by Odoo: a thread that owns the port to Odoo, the cache and the table of grants. Service
// threads post their questions to it.
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
        // The connection has no grant yet; Odoo then does not answer that the session has expired.
        bool first = true;
        bool may_reuse = true; // it is the connection's first question
    };

    // --- from any thread ---

    // The link is given the decision.
    void ask(Question question);
    // Notifications wait for the confirmation of the link's grant.
    void confirm(std::shared_ptr<ConnectionLink> link);
    void tell_presence(std::shared_ptr<const Requester> requester, const UpdatePresence& presence);
    // A page has connected, and names the version of its script.
    void join(std::shared_ptr<ConnectionLink> link, std::shared_ptr<const Requester> requester);
    void leave(std::shared_ptr<ConnectionLink> link);
    // The client has ended its connection. When it comes back, its grant must be that of then.
    void part(std::shared_ptr<const Requester> requester);
    void reconfigure(const Options& options);
    // Forgets what is held for accounts that hold more than they may keep.
    void shed();
    // The newest id of a database; see NewestIds.
    void forget_newest(const std::string& database);
    void set_newest(const std::string& database, Id newest);
    // Users of these partners have changed: their grants are re-checked now.
    void users_changed(const std::string& database, std::set<int64_t> partners);
    // The response to a handshake that Odoo could not decide in time, or nothing.
    std::optional<Response> unavailable(const Requester& requester) const;
    // Replaces a session id that Odoo has changed; see SessionRotations.
    void renew(Requester& requester) const;
    // Whether an answer that sets these cookies to the requester has changed the session's id, which is
    // noted.
    bool changes_session(const Requester& requester, const std::vector<std::string_view>& cookies);

    // --- another process of this gateway takes over, from any thread ---

    // See AuthBackend. The state that only memory holds: changed session ids, and keys of the cache that were
    // forgotten.
    void hand_over(std::function<void(TakeOverMessage)> tell, std::function<void()> done);
    void take_back();
    // Odoo is asked nothing more by this process. Connections that ask, or are due, are closed so that they
    // come back to the other process.
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
    std::unique_ptr<SessionWatch> session_watch_; // where Odoo's session files are readable
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

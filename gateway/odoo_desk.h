// The one place where Odoo is asked: a thread that owns the queue to it, the cache of what it granted, and
// its public sessions. Service threads post their questions here.
#pragma once

#include <atomic>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "authorizer.h"
#include "grant_cache.h"
#include "http_response.h"
#include "loop.h"
#include "notification.h"
#include "odoo_answer.h"
#include "odoo_client.h"
#include "odoo_queue.h"
#include "odoo_request.h"
#include "options.h"
#include "public_session.h"
#include "requester.h"

namespace odoo_bus {

class OdooDesk {
public:
    // `databases`: that the gateway reads.
    OdooDesk(const Options& options, std::vector<std::string> databases);
    ~OdooDesk();

    void start();
    void stop();

    struct Question {
        std::shared_ptr<const Requester> who;
        std::vector<std::string> channels; // as the client names them
        bool first =
            true; // nothing was granted to the connection yet: Odoo is told so, and never says "expired"
        bool may_reuse = true; // it is the connection's first question
    };
    using OnDecision = std::function<void(Decision)>; // called on the desk's thread

    // --- from any thread ---

    void ask(Question question, OnDecision on_decision);
    void reconfigure(const Options& options);
    // The newest id of a database: Odoo is not to look for older notifications.
    void set_newest(const std::string& database, Id newest);
    // The answer to a handshake that Odoo could not decide in time, or nothing.
    std::optional<Response> unavailable(const Requester& who) const;

private:
    struct Peek; // a question on its way
    using PeekPtr = std::shared_ptr<Peek>;

    void configure(const Options& options);
    void open();
    void tick();
    void ask_now(Question question, OnDecision on_decision);
    void enqueue(const PeekPtr& peek);
    void send(const PeekPtr& peek);
    void answered(const PeekPtr& peek, const HttpAnswer* answer, const std::string& problem);
    void take(const PeekPtr& peek, const HttpAnswer& answer, PeekAnswer result);
    void unanswered(const PeekPtr& peek, const std::string& why);
    void decide(const PeekPtr& peek, const Decision& decision);
    void probe();
    void publish_state();
    Id newest_for(const std::string& host) const;

    Options options_;
    const std::vector<std::string> databases_;
    Loop loop_;
    std::unique_ptr<OdooClient> client_;
    OdooQueue queue_;
    GrantCache cache_;
    PublicSessions public_sessions_;
    std::unordered_map<Digest, std::weak_ptr<Peek>, DigestHash> first_peeks_; // that others may join
    std::list<PeekPtr> again_; // later subscribes that had no answer
    std::map<std::string, std::string> database_of_host_;
    Requester prober_;

    mutable std::mutex mutex_; // of what follows
    std::map<std::string, Id> newest_;
    std::optional<OdooQueue::Refusal> refusal_;
};

} // namespace odoo_bus

// What the options say about authorization, as one object for the whole gateway: it makes an authorizer for
// each service thread, and owns what these share.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "auth/authorizer.h"
#include "base/loop.h"
#include "config/options.h"
#include "http/http_response.h"
#include "protocol/notification.h"
#include "take_over/message.h"

namespace odoo_bus {

class AuthBackend {
public:
    virtual ~AuthBackend() = default;

    // Empty, or one sentence why it cannot start. Authorizers may be made before.
    virtual std::string start() { return {}; }
    // From now on clients come: not before, since another process may use what is kept on the disk.
    virtual void begin() {}
    // No authorizer is asked any more.
    virtual void stop() {}

    // `post` runs a task on the thread for which the authorizer is.
    virtual std::unique_ptr<Authorizer> make(std::function<void(Loop::Task)> post) = 0;

    // --- from any thread ---

    virtual void reconfigure(const Options&) {}
    // Whether admissions are to say who asks. That costs memory for as long as a connection lives.
    virtual bool needs_requester() const { return true; }
    // The answer to a client that could not be authorized now, or nothing. `who`: null unless needed.
    virtual std::optional<Response> unavailable(const Requester*) const { return std::nullopt; }
    // What a browser is to be told in the answer to its handshake is added to what it says.
    virtual void renew(Requester&) const {}
    // Users of these partners have changed.
    virtual void users_changed(const std::string&, const std::set<int64_t>&) {}
    // A database is served from now on; no connection to it may stay; it is not served any more.
    virtual void expect(const std::string&) {}
    virtual void let_go(const std::string&) {}
    virtual void forget(const std::string&) {}
    // The newest id of a database has changed.
    virtual void set_newest(const std::string&, Id) {}

    // --- another process of this gateway takes over, from any thread ---

    // Files are let go, and `tell` is given what only memory has: what there is now, before `done` is called,
    // and what comes later.
    virtual void hand_over(std::function<void(TakeOverMessage)> /*tell*/, std::function<void()> done) {
        done();
    }
    // The other process did not take over.
    virtual void take_back() {}
    // It has. What clients ask from now on is for that one to decide.
    virtual void retire() {}
    // What the former process has told.
    virtual void inherit(const TakeOverMessage&) {}
};

// For --check-config: empty, or why what the options name for authorization cannot be used.
std::string check_auth(const Options& options);

// `names`: of the databases that are read, in the order of options.databases.
std::unique_ptr<AuthBackend> make_auth_backend(const Options& options, const std::vector<std::string>& names);

} // namespace odoo_bus

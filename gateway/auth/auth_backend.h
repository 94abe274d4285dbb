// Authorization as the options configure it, one object for the whole gateway: it makes an authorizer for
// each service thread, and owns the state that these share.
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

    // Empty, or one sentence why it cannot start. make() may be called before.
    virtual std::string start() { return {}; }
    // Clients connect from now on. Files are not used before: they may still belong to another process.
    virtual void begin() {}
    // No authorizer is used after this.
    virtual void stop() {}

    // `post` runs a task on the authorizer's thread.
    virtual std::unique_ptr<Authorizer> make(std::function<void(Loop::Task)> post) = 0;

    // --- from any thread ---

    virtual void reconfigure(const Options&) {}
    // Ends what waits for accounts that hold more than they may keep.
    virtual void shed() {}
    // Whether admissions need a requester, which costs memory for as long as a connection lives.
    virtual bool needs_requester() const { return true; }
    // The response to a client that cannot be authorized now, or nothing. The requester: null unless needed.
    virtual std::optional<Response> unavailable(const Requester*) const { return std::nullopt; }
    // Replaces the requester's cookies that have been replaced since, so that the browser gets the new ones.
    virtual void renew(Requester&) const {}
    // Users of these partners have changed.
    virtual void users_changed(const std::string&, const std::set<int64_t>&) {}
    // A database is served from now on; connections to it must be closed; it is no longer served.
    virtual void expect(const std::string&) {}
    virtual void let_go(const std::string&) {}
    virtual void forget(const std::string&) {}
    // The newest id of a database has changed.
    virtual void set_newest(const std::string&, Id) {}

    // --- another process of this gateway takes over, from any thread ---

    // Files are released. `tell` is called with the state that only memory holds: with the present state
    // before `done` is called, and with changes afterwards.
    virtual void hand_over(std::function<void(TakeOverMessage)> /*tell*/, std::function<void()> done) {
        done();
    }
    // The other process has failed to take over.
    virtual void take_back() {}
    // It has. Decisions are the other process's from now on.
    virtual void retire() {}
    // The former process's state.
    virtual void inherit(const TakeOverMessage&) {}
};

// For --check-config: empty, or why what the options name for authorization cannot be used.
std::string check_auth(const Options& options);
// For --check-config: what of it is not used.
std::vector<std::string> warn_of_auth(const Options& options);

// `names`: of the databases that are read, in the order of options.databases.
std::unique_ptr<AuthBackend> make_auth_backend(const Options& options, const std::vector<std::string>& names);

} // namespace odoo_bus

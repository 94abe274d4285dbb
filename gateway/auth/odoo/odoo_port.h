// The one way to Odoo: a request waits in the queue for its turn, is sent, and its response is read.
//
// What a response says of a session is seen here, whatever the request was for: Odoo has changed the
// session's id, has ended the session, or has opened one for those that come without.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <uv.h>

#include "auth/odoo/newest_ids.h"
#include "auth/odoo/odoo_answer.h"
#include "auth/odoo/odoo_client.h"
#include "auth/odoo/odoo_queue.h"
#include "auth/odoo/odoo_subject.h"
#include "auth/odoo/public_session.h"
#include "auth/odoo/session_rotation.h"
#include "base/clock.h"
#include "config/options.h"
#include "http/requester.h"

namespace odoo_bus {

class OdooPort {
public:
    // Called before the response is given to the caller.
    struct Events {
        // Odoo has changed the id of the subject's session. rotations() knows the new one.
        std::function<void(const OdooSubject&, const SessionRotation&)> renewed;
        std::function<void(const OdooSubject&)> expired; // the session
    };

    // `options` may change while the port lives. `database`: the one that hosts stand for at first.
    OdooPort(const Options& options, const std::string& database, Events events);

    // --- on the thread of the loop ---

    void open(uv_loop_t* loop);
    void close(); // requests that were sent get no response
    void reconfigure();
    void tick(Monotonic now); // about ten times a second

    struct Peek {
        PeekAnswer answer; // Unavailable also when there was no response
        Monotonic asked{};
        bool sets_session = false;
    };
    using OnPeek = std::function<void(const Peek&)>;
    // Asks which channels the subject may see. `first`: the connection has no grant yet; Odoo then does not
    // say "expired".
    // `is_wanted`: false when the answer is needed no more; empty: it always is.
    void peek(const OdooSubject& subject, bool first, OdooQueue::Priority priority, OnPeek on_peek,
              std::function<bool()> is_wanted = {});

    // Calls a route as the subject. `body` is called once: at the request's turn, or when it gets none.
    void call(const OdooSubject& subject, const char* path, std::function<std::string()> body,
              std::function<void(const CallAnswer&)> on_answer);

    // Reads a page without cookies; nothing unless Odoo answers 200.
    void get(const char* path, const Requester& requester,
             std::function<void(std::optional<std::string>)> on_page);

    // Drops requests that wait, of accounts that hold more than they may keep.
    void shed() { queue_.shed(); }

    // Whether the last requests were answered.
    bool answers() const { return !queue_.is_open(); }

    // --- from any thread ---

    NewestIds& newest_ids() { return newest_ids_; }
    SessionRotations& rotations() { return rotations_; }
    const SessionRotations& rotations() const { return rotations_; }
    // The change of the subject's session id by an answer that sets these cookies, or nothing. Counts it.
    static std::optional<SessionRotation> rotation_by(const OdooSubject& subject,
                                                      const std::vector<std::string_view>& cookies);
    // Why a new client would wait in vain, or nothing.
    std::optional<OdooQueue::Refusal> refusal(const Requester& requester) const;

private:
    using OnResponse = std::function<void(const HttpAnswer*, const std::string& problem)>;
    struct Request {
        OdooSubject subject;
        const char* path;
        std::function<std::string()> body; // called once, sent or not
        OnResponse on_response;
        std::function<bool()> is_wanted = {};
    };
    struct Question; // a peek that waits or was sent

    void enqueue(OdooQueue::Priority priority, Request request);
    void exchange(std::string request, OnResponse on_response);
    void send(const std::shared_ptr<const Request>& request);
    void received(const Request& request, Monotonic sent, const HttpAnswer* answer,
                  const std::string& problem);
    Peek read(const Question& question, const HttpAnswer& answer);
    Peek unavailable(const Question& question, const std::string& problem);
    bool look_for_rotation(const OdooSubject& subject, const HttpAnswer& answer);
    void probe();
    void publish_refusal();
    void log_trouble(const std::string& what) const;

    const Options& options_;
    const Events events_;
    std::unique_ptr<OdooClient> client_;
    OdooQueue queue_;
    PublicSessions public_sessions_;
    SessionRotations rotations_;
    NewestIds newest_ids_;
    Requester prober_;
    unsigned unanswered_ = 0; // requests that were sent
    Monotonic heard_;         // the last answer, or the first of these requests
    bool was_open_ = false;   // the queue's breaker, when the refusal was published last

    mutable std::mutex mutex_; // of what follows
    std::optional<OdooQueue::Refusal> refusal_;
    KeyedMap<std::string, OdooQueue::Refusal> crowded_;
};

} // namespace odoo_bus

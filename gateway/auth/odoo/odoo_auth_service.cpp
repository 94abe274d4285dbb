// Authorization by Odoo.
#include "auth/odoo/odoo_auth_service.h"

#include <algorithm>

#include "auth/odoo/odoo_refusals.h"
#include "auth/odoo/personal_channels.h"
#include "base/clock.h"
#include "base/log.h"
#include "common/ascii_json.h"
#include "metrics/metrics.h"
#include "protocol/close_codes.h"

namespace odoo_bus {

namespace {

const metrics::Counter cache_hits("odoo_bus_grant_cache_hits_total",
                                  "First subscriptions that were answered from the cache of grants.");
const metrics::Counter taken_back("odoo_bus_grants_taken_back_total",
                                  "Sessions whose connections were closed because they have ended in Odoo.");

constexpr const char* LOGIN = "/web/login";
constexpr uint64_t TICK_MS = 100;
constexpr std::chrono::seconds AGAIN{2}; // between two tries of a later subscribe

std::string cache_file(const Options& options) {
    return options.state_dir.empty() ? "" : options.state_dir + "/grants";
}

void log_no_database(const std::string& host) {
    static log::Limited lines("hosts without a database", 1);
    lines.write(
        log::Level::warning,
        "Odoo knows no database for host \"{}\": check its dbfilter, and that the proxy passes on Host or "
        "X-Forwarded-Host",
        host);
}

} // namespace

struct OdooAuthService::Pending {
    OdooSubject subject;
    bool first = true;
    std::vector<std::shared_ptr<ConnectionLink>> links; // of the connections that ask
    bool may_be_kept = true;                            // the answer, for clients that come back
    Monotonic give_up;                                  // a later subscribe is tried again until then
    Monotonic again;
    MemoryCharge charge;

    bool is_wanted() const {
        return !std::ranges::all_of(links, [](const auto& link) { return link->gone(); });
    }
};

OdooAuthService::OdooAuthService(const Options& options, std::vector<std::string> databases)
    : options_(options),
      port_(options_, databases.front(),
            {.renewed = [this](const auto& subject, const auto& rotation) { renewed(subject, rotation); },
             .expired = [this](const auto& subject) { expired(subject); }}),
      cache_(cache_file(options), options.grant_ttl),
      presence_([this](const auto& subject, const char* path, std::function<std::string()> body) {
          call(subject, path, std::move(body));
      }),
      recheck_(options_,
               {.ask = [this](const auto& subject, auto priority,
                              auto on_peek) { port_.peek(subject, false, priority, std::move(on_peek)); },
                .answers = [this] { return port_.answers(); },
                .shows_logouts = [this] { return session_watch_ && session_watch_->is_complete(); }},
               grants_, cache_, presence_),
      worker_version_(options.worker_version, [this](const Requester& requester, auto on_page) {
          port_.get(LOGIN, requester, std::move(on_page));
      }) {}

OdooAuthService::~OdooAuthService() {
    stop();
}

void OdooAuthService::start() {
    loop_.start("odoo", [this] { open(); });
}

void OdooAuthService::stop() {
    loop_.post([this] {
        port_.close();
        session_watch_.reset();
        loop_.stop();
    });
    loop_.join();
}

void OdooAuthService::open() {
    port_.open(loop_.uv());
    cache_.load(MonotonicClock::now(), WallClock::now());
    recheck_.start(MonotonicClock::now());
    if (!options_.odoo_data_dir.empty())
        session_watch_ =
            std::make_unique<SessionWatch>(loop_.uv(), options_.odoo_data_dir, [this](const std::string& id) {
                grants_.hurry(MonotonicClock::now(), [&id](const GrantTable::Entry& entry) {
                    return entry.subject.session() == id;
                });
            });
    loop_.every(TICK_MS, [this] { tick(); });
}

void OdooAuthService::reconfigure(const Options& options) {
    loop_.post([this, options] {
        options_ = options;
        port_.reconfigure();
        cache_.set_ttl(options.grant_ttl);
        worker_version_.configure(options.worker_version);
    });
}

void OdooAuthService::shed() {
    loop_.post([this] {
        port_.shed();
        cache_.shed();
    });
}

void OdooAuthService::tick() {
    const Monotonic now = MonotonicClock::now();
    port_.tick(now);
    cache_.tick(now, WallClock::now());
    presence_.tick(now);
    worker_version_.tick(now);
    std::erase_if(first_pending_, [](const auto& each) { return each.second.expired(); });
    std::vector<PendingPtr> due;
    std::erase_if(again_, [&due, now](const PendingPtr& pending) {
        if (!pending->is_wanted())
            return true;
        if (now < pending->again)
            return false;
        due.push_back(pending);
        return true;
    });
    for (const PendingPtr& pending : due)
        enqueue(pending);
    recheck_.tick(now);
}

// --- questions ---

void OdooAuthService::ask(Question question) {
    loop_.post([this, question = std::move(question)]() mutable { ask_now(std::move(question)); });
}

void OdooAuthService::ask_now(Question question) {
    if (retired_)
        return question.link->decide(come_back());
    const Monotonic now = MonotonicClock::now();
    const auto pending = std::make_shared<Pending>();
    pending->subject = make_subject(std::move(question.requester), std::move(question.channels));
    pending->charge = MemoryCharge(pending->subject.requester->account, pending->subject.held_bytes());
    pending->first = question.first;
    pending->give_up = now + options_.max_unverified;
    pending->links.push_back(std::move(question.link));
    const Digest& key = pending->subject.key;
    presence_.came(pending->subject.client);
    if (question.may_reuse) {
        Monotonic asked;
        if (const auto grant = cache_.find(key, now, &asked)) {
            cache_hits.add();
            return granted(pending, *grant, asked, now); // Odoo was not asked: to be checked first
        }
        if (const auto sent = first_pending_[key].lock()) {
            sent->links.push_back(std::move(pending->links.front()));
            return;
        }
        first_pending_[key] = pending;
    }
    enqueue(pending);
}

void OdooAuthService::enqueue(const PendingPtr& pending) {
    port_.peek(
        pending->subject, pending->first, OdooQueue::Priority::interactive,
        [this, pending](const OdooPort::Peek& peek) { answered(pending, peek); },
        [pending] { return pending->is_wanted(); });
}

void OdooAuthService::answered(const PendingPtr& pending, const OdooPort::Peek& peek) {
    const Monotonic now = MonotonicClock::now();
    const OdooSubject& subject = pending->subject;
    if (const auto* grant = std::get_if<Grant>(&peek.answer)) {
        presence_.granted(subject.session(), *grant, peek.sets_session, now);
        if (pending->may_be_kept)
            cache_.put(subject.key, subject.client, *grant, peek.asked, now, subject.requester->account);
        granted(pending, *grant, peek.asked, now + recheck_.period());
    } else if (const auto* trouble = std::get_if<Unavailable>(&peek.answer)) {
        unanswered(pending, trouble->reason);
    } else if (const auto* refused = std::get_if<Refused>(&peek.answer)) {
        cache_.forget(subject.key, now);
        const std::string name = refused->name.empty() ? "" : " (" + refused->name + ")";
        decide(pending, Refusal{.close_code = 0, .reason = "Odoo refuses it" + name});
    } else if (std::holds_alternative<Renewed>(peek.answer)) {
        decide(pending, session_renewed());
    } else if (std::holds_alternative<NoDatabase>(peek.answer)) {
        log_no_database(subject.host);
        decide(pending, Refusal{.close_code = pending->first ? close_code::TRY_AGAIN_LATER : 0,
                                .reason = "Odoo knows no database for this host"});
    } else if (subject.identity.is_public) {
        unanswered(pending, "the public session has ended");
    } else {
        decide(pending, session_expired());
    }
}

void OdooAuthService::granted(const PendingPtr& pending, const Grant& grant, Monotonic asked, Monotonic due) {
    const OdooSubject& subject = pending->subject;
    const auto shared = std::make_shared<Grant>(grant);
    shared->personal = personal_channels(subject, grant);
    shared->confirmed_until = recheck_.confirmed_until(subject, asked);
    for (const auto& link : pending->links)
        if (!grants_.add(link, subject, shared, asked, due) && !grants_.has(subject.client))
            presence_.left(subject, MonotonicClock::now()); // while Odoo was asked, which took it for present
    decide(pending, *shared);
}

// A first subscribe is refused, so that the client backs off; a later one is tried again, since the client
// goes on with what it had.
void OdooAuthService::unanswered(const PendingPtr& pending, const std::string& why) {
    const Monotonic now = MonotonicClock::now();
    if (pending->first || now >= pending->give_up)
        return decide(pending, Refusal{.close_code = close_code::TRY_AGAIN_LATER, .reason = why});
    pending->again = now + AGAIN;
    again_.push_back(pending);
}

void OdooAuthService::decide(const PendingPtr& pending, const Decision& decision) {
    if (const auto it = first_pending_.find(pending->subject.key);
        it != first_pending_.end() && it->second.lock() == pending)
        first_pending_.erase(it);
    for (const auto& link : std::exchange(pending->links, {}))
        link->decide(decision);
}

void OdooAuthService::confirm(std::shared_ptr<ConnectionLink> link) {
    loop_.post([this, link = std::move(link)] { recheck_.confirm(link, MonotonicClock::now()); });
}

// --- events of connections ---

void OdooAuthService::join(std::shared_ptr<ConnectionLink> link, std::shared_ptr<const Requester> requester) {
    loop_.post([this, link = std::move(link), requester = std::move(requester)] {
        worker_version_.check(link, requester, MonotonicClock::now());
    });
}

void OdooAuthService::leave(std::shared_ptr<ConnectionLink> link) {
    loop_.post([this, link = std::move(link)] {
        if (const auto subject = grants_.remove(link); subject && !retired_ && !link->odoo_hears_of_end())
            presence_.left(*subject, MonotonicClock::now());
    });
}

void OdooAuthService::part(std::shared_ptr<const Requester> requester) {
    loop_.post([this, requester = std::move(requester)] {
        const OdooSubject subject = make_subject(requester, {});
        if (subject.identity.is_public && subject.identity.guest_channel.empty())
            return; // one of many that share it: what they may see does not change
        cache_.forget_client(subject.client, MonotonicClock::now());
        std::erase_if(first_pending_, [&subject](const auto& each) {
            const PendingPtr sent = each.second.lock();
            if (!sent || sent->subject.client != subject.client)
                return false;
            sent->may_be_kept = false;
            return true;
        });
    });
}

void OdooAuthService::tell_presence(std::shared_ptr<const Requester> requester,
                                    const UpdatePresence& presence) {
    loop_.post([this, requester = std::move(requester), presence] {
        presence_.update(make_subject(requester, {}), presence);
    });
}

void OdooAuthService::call(const OdooSubject& subject, const char* path, std::function<std::string()> body) {
    port_.call(subject, path, std::move(body), [this, client = subject.client](const CallAnswer& answer) {
        // The session may never have been marked in Odoo, which answers the same then: a peek decides.
        if (std::holds_alternative<Expired>(answer))
            grants_.hurry(MonotonicClock::now(), [&client](const GrantTable::Entry& entry) {
                return entry.subject.client == client;
            });
    });
}

void OdooAuthService::users_changed(const std::string& database, std::set<int64_t> partners) {
    loop_.post([this, database, partners = std::move(partners)] {
        std::set<std::string> channels;
        for (const int64_t partner : partners)
            if (std::string channel; write_channel(channel, database, "res.partner", partner))
                channels.insert(std::move(channel));
        grants_.hurry(MonotonicClock::now(), [&](const GrantTable::Entry& entry) {
            return std::ranges::any_of(entry.grant->channels,
                                       [&](const std::string& each) { return channels.contains(each); });
        });
    });
}

// --- events of sessions ---

void OdooAuthService::renewed(const OdooSubject& subject, const SessionRotation& rotation) {
    presence_.rotated();
    if (tell_successor_)
        tell_successor_(take_over::Rotation{rotation.old_id, rotation.new_id, rotation.set_cookie});
    cache_.forget_client(subject.client, MonotonicClock::now());
    close_renewed(rotation.old_id);
}

void OdooAuthService::close_renewed(std::string_view old_id) {
    grants_.close([old_id](const GrantTable::Entry& each) { return each.subject.session() == old_id; },
                  session_renewed());
}

void OdooAuthService::expired(const OdooSubject& subject) {
    cache_.forget_client(subject.client, MonotonicClock::now());
    if (subject.identity.is_public)
        return; // the session is the gateway's own
    taken_back.add();
    grants_.close([&subject](const GrantTable::Entry& each) { return each.subject.client == subject.client; },
                  session_expired());
}

// --- another process takes over ---

void OdooAuthService::hand_over(std::function<void(TakeOverMessage)> tell, std::function<void()> done) {
    loop_.post([this, tell = std::move(tell), done = std::move(done)] {
        tell_successor_ = tell;
        cache_.let_go([tell](const Digest& key) { tell(take_over::Forgotten{key}); });
        for (const SessionRotation& each : port_.rotations().all(MonotonicClock::now()))
            tell(take_over::Rotation{each.old_id, each.new_id, each.set_cookie});
        done();
    });
}

void OdooAuthService::take_back() {
    loop_.post([this] {
        tell_successor_ = nullptr;
        cache_.take_back();
    });
}

void OdooAuthService::retire() {
    loop_.post([this] {
        retired_ = true;
        recheck_.retire();
        presence_.forget();
    });
}

void OdooAuthService::inherit(const TakeOverMessage& message) {
    if (const auto* const rotation = std::get_if<take_over::Rotation>(&message)) {
        port_.rotations().add({rotation->old_id, rotation->new_id, rotation->set_cookie},
                              MonotonicClock::now());
        // A connection may have come here with the old id a moment ago.
        loop_.post([this, old_id = rotation->old_id] { close_renewed(old_id); });
    } else if (const auto* const forgotten = std::get_if<take_over::Forgotten>(&message)) {
        loop_.post([this, key = forgotten->grant] { cache_.forget(key, MonotonicClock::now()); });
    }
}

// --- from other threads ---

std::optional<Response> OdooAuthService::unavailable(const Requester& requester) const {
    const auto refusal = port_.refusal(requester);
    if (!refusal || cache_.knows(client_digest(requester, identify(requester))))
        return std::nullopt;
    return Response::refusal(503, refusal->why).with("Retry-After", std::to_string(refusal->retry_after));
}

void OdooAuthService::renew(Requester& requester) const {
    port_.rotations().renew(requester, MonotonicClock::now());
}

bool OdooAuthService::changes_session(const Requester& requester,
                                      const std::vector<std::string_view>& cookies) {
    const OdooSubject subject = make_subject(std::make_shared<Requester>(requester), {});
    const auto rotation = OdooPort::rotation_by(subject, cookies);
    if (!rotation)
        return false;
    port_.rotations().add(*rotation, MonotonicClock::now());
    loop_.post([this, subject, rotation = *rotation] { renewed(subject, rotation); });
    return true;
}

void OdooAuthService::set_newest(const std::string& database, Id newest) {
    port_.newest_ids().set(database, newest);
}

void OdooAuthService::forget_newest(const std::string& database) {
    port_.newest_ids().forget(database);
}

} // namespace odoo_bus

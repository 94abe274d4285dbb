// The one place where Odoo is asked: what clients want to know. What the service asks by itself is in
// odoo_recheck.cpp.
#include "auth/odoo/odoo_auth_service.h"

#include <algorithm>

#include "auth/odoo/odoo_refusals.h"
#include "base/clock.h"
#include "base/log.h"
#include "http/origin.h"
#include "metrics/metrics.h"

namespace odoo_bus {

namespace {

const metrics::Counter cache_hits("odoo_bus_grant_cache_hits_total",
                                  "First subscriptions that were answered from the cache of grants.");

constexpr int64_t AGAIN_US = 2'000'000; // between two tries of a later subscribe
constexpr size_t MAX_HOSTS = 10'000;

OdooQueue::Bounds queue_bounds(const Options& options) {
    return {.concurrency = options.odoo_concurrency, .wait_us = us(options.odoo_wait())};
}

std::string cache_file(const Options& options) {
    return options.state_dir.empty() ? "" : options.state_dir + "/grants";
}

// What beside the channels decides the answer: the host that selects the database, and who asks.
Digest client_digest(const Requester& who, const Identity& identity) {
    Sha256 hash;
    hash.add(host_only(who.host)).add(who.sent_host).add(who.forwarded_host).add(who.forwarded_proto);
    hash.add(who.own_origin ? "own" : "other").add(identity.is_public ? "public" : "session");
    for (const auto& [name, value] : identity.cookies)
        hash.add(name).add(value);
    return hash.finish();
}

GrantTable::Subject subject_of(std::shared_ptr<const Requester> who, std::vector<std::string> channels) {
    GrantTable::Subject subject;
    subject.identity = identify(*who);
    subject.client = client_digest(*who, subject.identity);
    subject.host = host_only(who->host);
    subject.channels = std::move(channels);
    if (const std::string& guest = subject.identity.guest_channel;
        !guest.empty() && std::ranges::find(subject.channels, guest) == subject.channels.end())
        subject.channels.push_back(guest);
    Sha256 hash;
    hash.add({reinterpret_cast<const char*>(subject.client.data()), subject.client.size()});
    for (const std::string& channel : subject.channels)
        hash.add(channel);
    subject.key = hash.finish();
    subject.who = std::move(who);
    return subject;
}

} // namespace

struct OdooAuthService::Peek {
    GrantTable::Subject subject;
    bool first = true;
    struct Asker {
        std::shared_ptr<ConnectionLink> link;
        OnDecision decide;
    };
    std::vector<Asker> askers;
    bool may_be_kept = true; // its answer, for who comes back
    int64_t asked_us = 0;    // when it was sent last
    int64_t give_up_us = 0;  // a later subscribe is tried again until then
    int64_t again_us = 0;
};

OdooAuthService::OdooAuthService(const Options& options, std::vector<std::string> databases)
    : options_(options), databases_(std::move(databases)), queue_(queue_bounds(options), [this] { probe(); }),
      cache_(cache_file(options), us(options.grant_ttl)),
      presence_([this](const auto& subject, const char* path, std::function<std::string()> body) {
          call(subject, path, std::move(body));
      }),
      worker_version_(options.worker_version, [this](const Requester& who, auto on_page) {
          read_login_page(who, std::move(on_page));
      }) {
    prober_.sent_host = options.odoo_url.host;
    prober_.user_agent = "odoo-bus-gateway/" ODOO_BUS_VERSION;
}

OdooAuthService::~OdooAuthService() {
    stop();
}

void OdooAuthService::start() {
    loop_.start("odoo", [this] { open(); });
}

void OdooAuthService::stop() {
    loop_.post([this] {
        client_.reset();
        session_watch_.reset();
        loop_.stop();
    });
    loop_.join();
}

void OdooAuthService::open() {
    client_ = std::make_unique<OdooClient>(loop_.uv(), options_.odoo_url);
    cache_.load(now_us());
    ticked_us_ = now_us();
    if (!options_.odoo_data_dir.empty())
        session_watch_ =
            std::make_unique<SessionWatch>(loop_.uv(), options_.odoo_data_dir, [this](const std::string& id) {
                grants_.hurry(now_us(), [&id](const GrantTable::Entry& entry) {
                    return entry.subject.session() == id;
                });
            });
    loop_.every(TICK_MS, [this] { tick(); });
}

// --- another process takes over ---

void OdooAuthService::hand_over(std::function<void(TakeOverMessage)> tell, std::function<void()> done) {
    loop_.post([this, tell = std::move(tell), done = std::move(done)] {
        tell_successor_ = tell;
        cache_.let_go([tell](const Digest& key) { tell(take_over::Forgotten{key}); });
        for (const std::vector<std::string>& rotation : rotations_.all(now_us()))
            tell(take_over::Rotation{rotation[0], rotation[1], rotation[2]});
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
        presence_.forget();
    });
}

void OdooAuthService::inherit(const TakeOverMessage& message) {
    if (const auto* const rotation = std::get_if<take_over::Rotation>(&message)) {
        rotations_.add(rotation->old_id, rotation->new_id, rotation->set_cookie, now_us());
        // A connection may have come here with the old id a moment ago.
        loop_.post([this, old_id = rotation->old_id] { close_rotated(old_id); });
    } else if (const auto* const forgotten = std::get_if<take_over::Forgotten>(&message)) {
        loop_.post([this, key = forgotten->grant] { cache_.forget(key, now_us()); });
    }
}

void OdooAuthService::reconfigure(const Options& options) {
    loop_.post([this, options] {
        options_ = options;
        queue_.set_bounds(queue_bounds(options));
        cache_.set_ttl(us(options.grant_ttl));
        worker_version_.configure(options.worker_version);
    });
}

void OdooAuthService::tick() {
    const int64_t now = now_us();
    queue_.tick(now);
    cache_.tick(now);
    presence_.tick(now);
    rotations_.tick(now);
    worker_version_.tick(now);
    std::erase_if(first_peeks_, [](const auto& each) { return each.second.expired(); });
    std::vector<PeekPtr> due;
    std::erase_if(again_, [&due, now](const PeekPtr& peek) {
        if (now < peek->again_us)
            return false;
        due.push_back(peek);
        return true;
    });
    for (const PeekPtr& peek : due)
        enqueue(peek);
    recheck_due(now);
    publish_state();
}

// --- questions of clients ---

void OdooAuthService::ask(Question question, OnDecision on_decision) {
    loop_.post([this, question = std::move(question), on_decision = std::move(on_decision)]() mutable {
        ask_now(std::move(question), std::move(on_decision));
    });
}

void OdooAuthService::ask_now(Question question, OnDecision on_decision) {
    if (retired_)
        return on_decision(come_back());
    const int64_t now = now_us();
    const auto peek = std::make_shared<Peek>();
    peek->subject = subject_of(std::move(question.who), std::move(question.channels));
    peek->first = question.first;
    peek->give_up_us = now + us(options_.max_unverified);
    const Digest& key = peek->subject.key;
    peek->askers.push_back({std::move(question.link), std::move(on_decision)});
    presence_.came(peek->subject.client);
    if (question.may_reuse) {
        int64_t asked_us = 0;
        if (const auto grant = cache_.find(key, now, &asked_us)) {
            cache_hits.add();
            return granted(peek, *grant, asked_us, now); // who was let in unasked is checked first
        }
        if (const auto sent = first_peeks_[key].lock()) {
            sent->askers.push_back(std::move(peek->askers.front()));
            return;
        }
        first_peeks_[key] = peek;
    }
    enqueue(peek);
}

void OdooAuthService::enqueue(const PeekPtr& peek) {
    const auto add = [this, peek] {
        queue_.add({.client = turn_of(peek->subject),
                    .priority = OdooQueue::Priority::interactive,
                    .run = [this, peek] { send(peek); },
                    .drop = [this, peek](const std::string& why) { unanswered(peek, why); }},
                   now_us());
    };
    if (!peek->subject.identity.is_public)
        return add();
    public_sessions_.wait(peek->subject.host, [this, peek, add](bool proceed) {
        proceed ? add() : unanswered(peek, "the question before it had no answer");
    });
}

void OdooAuthService::send(const PeekPtr& peek) {
    peek->asked_us = now_us();
    // A public session is the gateway's own: that it has ended is nobody's affair.
    const bool is_first = peek->first || peek->subject.identity.is_public;
    post(peek->subject, PEEK, peek_body(peek->subject.channels, newest_for(peek->subject.host), is_first),
         [this, peek](const HttpAnswer* answer, const std::string& problem) {
             answer ? take(peek, *answer) : unanswered(peek, problem);
         });
}

void OdooAuthService::take(const PeekPtr& peek, const HttpAnswer& answer) {
    const int64_t now = now_us();
    const GrantTable::Subject& subject = peek->subject;
    PeekAnswer result = read_peek(answer);
    if (const auto* trouble = std::get_if<Unavailable>(&result)) {
        log_trouble(options_, trouble->reason);
        return unanswered(peek, trouble->reason);
    }
    if (subject.identity.is_public)
        public_sessions_.answered(subject.host, session_set_by(answer));
    else if (look_for_rotation(subject, answer))
        return decide(peek, session_renewed());
    if (const auto* grant = std::get_if<Grant>(&result)) {
        presence_.granted(subject.session(), *grant, session_set_by(answer).has_value(), now);
        if (peek->may_be_kept)
            cache_.put(subject.key, subject.client, *grant, peek->asked_us, now);
        if (database_of_host_.size() < MAX_HOSTS)
            database_of_host_[subject.host] = grant->database;
        return granted(peek, *grant, peek->asked_us, now + us(options_.recheck_interval));
    }
    if (const auto* refused = std::get_if<Refused>(&result)) {
        cache_.forget(subject.key, now);
        return decide(peek, Refusal{.close_code = 0,
                                    .reason = "Odoo refuses it" +
                                              (refused->name.empty() ? "" : " (" + refused->name + ")")});
    }
    if (std::holds_alternative<Expired>(result)) {
        expired(subject);
        if (subject.identity.is_public)
            return unanswered(peek, "the public session has ended");
        return decide(peek, session_expired());
    }
    log_no_database(subject.host);
    decide(peek, Refusal{.close_code = peek->first ? TRY_AGAIN_LATER : 0,
                         .reason = "Odoo knows no database for this host"});
}

void OdooAuthService::granted(const PeekPtr& peek, const Grant& grant, int64_t asked_us, int64_t due_us) {
    const auto shared = std::make_shared<const Grant>(grant);
    for (const Peek::Asker& asker : peek->askers) {
        if (!asker.link || grants_.add(asker.link, peek->subject, shared, asked_us, due_us))
            continue;
        if (!grants_.has(peek->subject.client)) // gone while Odoo was asked, which took it for there
            presence_.left(peek->subject, now_us());
    }
    decide(peek, grant);
}

// A first subscribe is refused, so that the client backs off; a later one is tried again, since the client
// goes on with what it had.
void OdooAuthService::unanswered(const PeekPtr& peek, const std::string& why) {
    const int64_t now = now_us();
    if (peek->subject.identity.is_public)
        public_sessions_.failed(peek->subject.host);
    if (peek->first || now >= peek->give_up_us)
        return decide(peek, Refusal{.close_code = TRY_AGAIN_LATER, .reason = why});
    peek->again_us = now + AGAIN_US;
    again_.push_back(peek);
}

void OdooAuthService::decide(const PeekPtr& peek, const Decision& decision) {
    if (const auto it = first_peeks_.find(peek->subject.key);
        it != first_peeks_.end() && it->second.lock() == peek)
        first_peeks_.erase(it);
    for (const Peek::Asker& asker : std::exchange(peek->askers, {}))
        asker.decide(decision);
}

void OdooAuthService::join(std::shared_ptr<ConnectionLink> link, std::shared_ptr<const Requester> who) {
    loop_.post(
        [this, link = std::move(link), who = std::move(who)] { worker_version_.check(link, who, now_us()); });
}

void OdooAuthService::leave(std::shared_ptr<ConnectionLink> link) {
    loop_.post([this, link = std::move(link)] {
        if (const auto subject = grants_.remove(link); subject && !retired_)
            presence_.left(*subject, now_us());
    });
}

void OdooAuthService::part(std::shared_ptr<const Requester> who) {
    loop_.post([this, who = std::move(who)] {
        const GrantTable::Subject subject = subject_of(who, {});
        if (subject.identity.is_public && subject.identity.guest_channel.empty())
            return; // what a crowd shares does not change by what one of them does
        cache_.forget_client(subject.client, now_us());
        std::erase_if(first_peeks_, [&subject](const auto& each) {
            const PeekPtr sent = each.second.lock();
            if (!sent || sent->subject.client != subject.client)
                return false;
            sent->may_be_kept = false;
            return true;
        });
    });
}

void OdooAuthService::tell_presence(std::shared_ptr<const Requester> who, const UpdatePresence& presence) {
    loop_.post([this, who = std::move(who), presence] { presence_.update(subject_of(who, {}), presence); });
}

// --- what other threads ask ---

std::optional<Response> OdooAuthService::unavailable(const Requester& who) const {
    std::optional<OdooQueue::Refusal> refusal;
    {
        const std::lock_guard lock(mutex_);
        refusal = refusal_;
    }
    if (!refusal || cache_.knows(client_digest(who, identify(who))))
        return std::nullopt;
    return Response::refusal(503, refusal->why).with("Retry-After", std::to_string(refusal->retry_after));
}

void OdooAuthService::renew(Requester& requester) const {
    rotations_.renew(requester, now_us());
}

void OdooAuthService::set_newest(const std::string& database, Id newest) {
    const std::lock_guard lock(mutex_);
    newest_[database] = newest;
}

void OdooAuthService::forget_newest(const std::string& database) {
    const std::lock_guard lock(mutex_);
    newest_.erase(database);
}

Id OdooAuthService::newest_for(const std::string& host) const {
    const auto known = database_of_host_.find(host);
    const std::string& database = known == database_of_host_.end() ? databases_.front() : known->second;
    const std::lock_guard lock(mutex_);
    const auto newest = newest_.find(database);
    return newest == newest_.end() ? 0 : newest->second;
}

} // namespace odoo_bus

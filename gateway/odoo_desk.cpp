// The one place where Odoo is asked.
#include "odoo_desk.h"

#include <algorithm>

#include "clock.h"
#include "log.h"
#include "origin.h"

namespace odoo_bus {

namespace {

constexpr int TRY_AGAIN_LATER = 1013;
constexpr int SESSION_EXPIRED = 4001;

constexpr const char* PEEK = "/websocket/peek_notifications";
constexpr const char* HEALTH = "/websocket/health";

constexpr uint64_t TICK_MS = 100;
constexpr int64_t AGAIN_US = 2'000'000; // between two tries of a later subscribe
constexpr size_t MAX_HOSTS = 10'000;

uint64_t ms(Milliseconds milliseconds) {
    return static_cast<uint64_t>(milliseconds.count());
}

int64_t us(Milliseconds milliseconds) {
    return std::chrono::microseconds(milliseconds).count();
}

OdooQueue::Bounds queue_bounds(const Options& options) {
    return {.concurrency = options.odoo_concurrency, .wait_us = us(options.odoo_wait)};
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

Digest key_digest(const Digest& client, const std::vector<std::string>& channels) {
    Sha256 hash;
    hash.add({reinterpret_cast<const char*>(client.data()), client.size()});
    for (const std::string& channel : channels)
        hash.add(channel);
    return hash.finish();
}

} // namespace

struct OdooDesk::Peek {
    std::shared_ptr<const Requester> who;
    Identity identity;
    std::vector<std::string> channels;
    bool first;
    Digest client, key;
    std::string turn; // whose turn it is in the queue
    std::string host;
    std::vector<OnDecision> on_decision;
    int64_t asked_us = 0;   // when it was sent last
    int64_t give_up_us = 0; // a later subscribe is tried again until then
    int64_t again_us = 0;
};

OdooDesk::OdooDesk(const Options& options, std::vector<std::string> databases)
    : options_(options), databases_(std::move(databases)), queue_(queue_bounds(options), [this] { probe(); }),
      cache_(cache_file(options), us(options.grant_ttl)) {
    prober_.sent_host = options.odoo_url.host;
    prober_.user_agent = "odoo-bus-gateway/" ODOO_BUS_VERSION;
}

OdooDesk::~OdooDesk() {
    stop();
}

void OdooDesk::start() {
    loop_.start("odoo", [this] { open(); });
}

void OdooDesk::stop() {
    loop_.post([this] {
        client_.reset();
        loop_.stop();
    });
    loop_.join();
}

void OdooDesk::open() {
    client_ = std::make_unique<OdooClient>(loop_.uv(), options_.odoo_url);
    cache_.load(now_us());
    loop_.every(TICK_MS, [this] { tick(); });
}

void OdooDesk::reconfigure(const Options& options) {
    loop_.post([this, options] {
        options_ = options;
        queue_.set_bounds(queue_bounds(options));
        cache_.set_ttl(us(options.grant_ttl));
    });
}

void OdooDesk::tick() {
    const int64_t now = now_us();
    queue_.tick(now);
    cache_.tick(now);
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
    publish_state();
}

// --- questions ---

void OdooDesk::ask(Question question, OnDecision on_decision) {
    loop_.post([this, question = std::move(question), on_decision = std::move(on_decision)]() mutable {
        ask_now(std::move(question), std::move(on_decision));
    });
}

void OdooDesk::ask_now(Question question, OnDecision on_decision) {
    const int64_t now = now_us();
    const auto peek = std::make_shared<Peek>();
    peek->who = std::move(question.who);
    peek->identity = identify(*peek->who);
    peek->channels = std::move(question.channels);
    if (const std::string& guest = peek->identity.guest_channel;
        !guest.empty() && std::ranges::find(peek->channels, guest) == peek->channels.end())
        peek->channels.push_back(guest);
    peek->first = question.first;
    peek->client = client_digest(*peek->who, peek->identity);
    peek->key = key_digest(peek->client, peek->channels);
    peek->host = host_only(peek->who->host);
    peek->give_up_us = now + us(options_.max_unverified);
    if (question.may_reuse) {
        if (const auto grant = cache_.find(peek->key, now))
            return on_decision(*grant);
        if (const auto sent = first_peeks_[peek->key].lock()) {
            sent->on_decision.push_back(std::move(on_decision));
            return;
        }
        first_peeks_[peek->key] = peek;
    }
    peek->on_decision.push_back(std::move(on_decision));
    const auto& address = peek->who->address;
    peek->turn = peek->identity.is_public ? (address ? address->text() : "local")
                                          : std::string(peek->identity.cookie("session_id"));
    enqueue(peek);
}

void OdooDesk::enqueue(const PeekPtr& peek) {
    const auto add = [this, peek] {
        queue_.add({.client = peek->turn,
                    .priority = OdooQueue::Priority::interactive,
                    .run = [this, peek] { send(peek); },
                    .drop = [this, peek](const std::string& why) { unanswered(peek, why); }},
                   now_us());
    };
    if (!peek->identity.is_public)
        return add();
    public_sessions_.wait(peek->host, [this, peek, add](bool proceed) {
        proceed ? add() : unanswered(peek, "the question before it had no answer");
    });
}

void OdooDesk::send(const PeekPtr& peek) {
    peek->asked_us = now_us();
    std::string cookies = peek->identity.cookie_header();
    if (const auto session = peek->identity.is_public ? public_sessions_.session(peek->host) : std::nullopt)
        cookies += (cookies.empty() ? "session_id=" : "; session_id=") + *session;
    // A public session is the gateway's own: that it has ended is nobody's affair.
    const bool is_first = peek->first || peek->identity.is_public;
    client_->ask(
        post_request(PEEK, *peek->who, cookies, peek_body(peek->channels, newest_for(peek->host), is_first)),
        ms(options_.odoo_timeout), {}, [this, peek](const HttpAnswer* answer, const std::string& problem) {
            answered(peek, answer, problem);
        });
}

void OdooDesk::answered(const PeekPtr& peek, const HttpAnswer* answer, const std::string& problem) {
    const int64_t now = now_us();
    if (!answer) {
        static log::Limited lines("questions without an answer", 1);
        lines.write(log::Level::warning, "Odoo at {}: {}", options_.odoo_url.text(), problem);
        unanswered(peek, problem);
        queue_.done(peek->turn, false, peek->asked_us, now);
    } else {
        PeekAnswer result = read_peek(*answer);
        const bool overloaded =
            answer->status() == 429 || (answer->status() >= 502 && answer->status() <= 504);
        take(peek, *answer, std::move(result));
        queue_.done(peek->turn, !overloaded, peek->asked_us, now);
    }
    publish_state();
}

void OdooDesk::take(const PeekPtr& peek, const HttpAnswer& answer, PeekAnswer result) {
    const int64_t now = now_us();
    if (const auto* trouble = std::get_if<Unavailable>(&result)) {
        static log::Limited lines("answers that are none", 1);
        lines.write(log::Level::warning, "Odoo at {}: {}", options_.odoo_url.text(), trouble->reason);
        return unanswered(peek, trouble->reason);
    }
    if (peek->identity.is_public)
        public_sessions_.answered(peek->host, session_set_by(answer));
    if (auto* grant = std::get_if<Grant>(&result)) {
        cache_.put(peek->key, peek->client, *grant, peek->asked_us, now);
        if (database_of_host_.size() < MAX_HOSTS)
            database_of_host_[peek->host] = grant->database;
        return decide(peek, std::move(*grant));
    }
    if (const auto* refused = std::get_if<Refused>(&result)) {
        cache_.forget(peek->key, now);
        return decide(peek, Refusal{.close_code = 0,
                                    .reason = "Odoo refuses it" +
                                              (refused->name.empty() ? "" : " (" + refused->name + ")")});
    }
    if (std::holds_alternative<Expired>(result)) {
        cache_.forget_client(peek->client, now);
        if (peek->identity.is_public) {
            public_sessions_.forget(peek->host);
            return unanswered(peek, "the public session has ended");
        }
        return decide(peek, Refusal{.close_code = SESSION_EXPIRED, .reason = "SESSION_EXPIRED"});
    }
    static log::Limited lines("hosts without a database", 1);
    lines.write(
        log::Level::warning,
        "Odoo knows no database for host \"{}\": check its dbfilter, and that the proxy passes on Host or "
        "X-Forwarded-Host",
        peek->host);
    decide(peek, Refusal{.close_code = peek->first ? TRY_AGAIN_LATER : 0,
                         .reason = "Odoo knows no database for this host"});
}

// A first subscribe is refused, so that the client backs off; a later one is tried again, since the client
// goes on with what it had.
void OdooDesk::unanswered(const PeekPtr& peek, const std::string& why) {
    const int64_t now = now_us();
    if (peek->identity.is_public)
        public_sessions_.failed(peek->host);
    if (peek->first || now >= peek->give_up_us)
        return decide(peek, Refusal{.close_code = TRY_AGAIN_LATER, .reason = why});
    peek->again_us = now + AGAIN_US;
    again_.push_back(peek);
}

void OdooDesk::decide(const PeekPtr& peek, const Decision& decision) {
    if (const auto it = first_peeks_.find(peek->key); it != first_peeks_.end() && it->second.lock() == peek)
        first_peeks_.erase(it);
    for (const OnDecision& each : std::exchange(peek->on_decision, {}))
        each(decision);
}

// --- the state of Odoo ---

void OdooDesk::probe() {
    client_->ask(get_request(HEALTH, prober_), ms(options_.odoo_timeout), {},
                 [this](const HttpAnswer* answer, const std::string&) {
                     if (answer && answer->status() < 500)
                         queue_.recovered(now_us());
                     else
                         queue_.failed(now_us());
                     publish_state();
                 });
}

void OdooDesk::publish_state() {
    auto refusal = queue_.refusal(now_us());
    const std::lock_guard lock(mutex_);
    refusal_ = std::move(refusal);
}

std::optional<Response> OdooDesk::unavailable(const Requester& who) const {
    std::optional<OdooQueue::Refusal> refusal;
    {
        const std::lock_guard lock(mutex_);
        refusal = refusal_;
    }
    if (!refusal || cache_.knows(client_digest(who, identify(who))))
        return std::nullopt;
    return Response::refusal(503, refusal->why).with("Retry-After", std::to_string(refusal->retry_after));
}

void OdooDesk::set_newest(const std::string& database, Id newest) {
    const std::lock_guard lock(mutex_);
    newest_[database] = newest;
}

Id OdooDesk::newest_for(const std::string& host) const {
    const auto known = database_of_host_.find(host);
    const std::string& database = known == database_of_host_.end() ? databases_.front() : known->second;
    const std::lock_guard lock(mutex_);
    const auto newest = newest_.find(database);
    return newest == newest_.end() ? 0 : newest->second;
}

} // namespace odoo_bus

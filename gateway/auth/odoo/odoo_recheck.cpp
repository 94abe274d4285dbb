// What the service asks Odoo by itself: whether grants still hold, and who is there.
#include <algorithm>

#include "auth/odoo/odoo_auth_service.h"
#include "auth/odoo/odoo_refusals.h"
#include "base/clock.h"
#include "base/log.h"
#include "common/ascii_json.h"
#include "metrics/metrics.h"

namespace odoo_bus {

namespace {

const metrics::Family requests("odoo_bus_odoo_requests_total", "Requests to Odoo, by result.",
                               metrics::Type::counter, {"result"});
const metrics::Counter rechecks("odoo_bus_rechecks_total", "Re-checks of grants by Odoo.");
const metrics::Counter taken_back("odoo_bus_grants_taken_back_total",
                                  "Sessions whose connections were closed because they have ended in Odoo.");
const metrics::Counter rotated("odoo_bus_sessions_renewed_total",
                               "Sessions whose id Odoo changed in a response to the gateway.");
const metrics::Family
    unchecked("odoo_bus_longest_unchecked_seconds",
              "Age of the oldest grant by which something was delivered since its last check.",
              metrics::Type::gauge);

constexpr const char* HEALTH = "/websocket/health";
constexpr const char* LOGIN = "/web/login";

// A grant that Odoo refuses to confirm is asked about again once before it is taken back: it may have been a
// conflict between transactions.
constexpr unsigned REFUSALS = 2;
constexpr int64_t SOON_US = 5'000'000;

} // namespace

void OdooAuthService::recheck_due(int64_t now) {
    const double rate = options_.recheck_rate;
    allowance_ =
        std::min(std::max(rate, 1.0), allowance_ + rate * static_cast<double>(now - ticked_us_) / 1e6);
    ticked_us_ = now;
    while (allowance_ >= 1) {
        const EntryPtr entry = grants_.next_due(now, us(options_.recheck_interval));
        if (!entry)
            break;
        allowance_ -= 1;
        if (retired_) {
            grants_.close([&entry](const GrantTable::Entry& each) { return &each == entry.get(); },
                          come_back());
            continue;
        }
        rechecks.add();
        queue_.add({.client = turn_of(entry->subject),
                    .priority = OdooQueue::Priority::background,
                    .run = [this, entry] { recheck(entry); },
                    .drop = [this, entry](const std::string&) { recheck_failed(entry); }},
                   now);
    }
    if (now / 1'000'000 != (now - static_cast<int64_t>(TICK_MS) * 1000) / 1'000'000)
        unchecked.with().set(static_cast<double>(grants_.longest_unchecked_us(now)) / 1e6);
}

void OdooAuthService::recheck(const EntryPtr& entry) {
    const GrantTable::Subject& subject = entry->subject;
    const int64_t asked = now_us();
    post(subject, PEEK, peek_body(subject.channels, newest_for(subject.host), subject.identity.is_public),
         [this, entry, asked](const HttpAnswer* answer, const std::string&) {
             rechecked(entry, answer, asked);
         });
}

void OdooAuthService::rechecked(const EntryPtr& entry, const HttpAnswer* answer, int64_t asked) {
    const int64_t now = now_us();
    const GrantTable::Subject& subject = entry->subject;
    const PeekAnswer result = answer ? read_peek(*answer) : PeekAnswer(Unavailable{});
    if (std::holds_alternative<Unavailable>(result) || std::holds_alternative<NoDatabase>(result))
        return recheck_failed(entry);
    entry->asking = false;
    if (subject.identity.is_public)
        public_sessions_.answered(subject.host, session_set_by(*answer));
    else if (look_for_rotation(subject, *answer))
        return;
    if (const auto* grant = std::get_if<Grant>(&result)) {
        presence_.granted(subject.session(), *grant, session_set_by(*answer).has_value(), now);
        cache_.put(subject.key, subject.client, *grant, asked, now);
        return grants_.renew(*entry, *grant, asked, now + us(options_.recheck_interval));
    }
    if (std::holds_alternative<Expired>(result))
        return expired(subject);
    cache_.forget(subject.key, now);
    if (++entry->refused < REFUSALS) {
        entry->urgent_us = now;
        return grants_.put_off(*entry, now + SOON_US);
    }
    // The page comes back, subscribes, and gets what Odoo says then.
    grants_.close([&subject](const GrantTable::Entry& each) { return each.subject.key == subject.key; },
                  {.close_code = 4002, .reason = "grant taken back"});
}

void OdooAuthService::recheck_failed(const EntryPtr& entry) {
    const int64_t now = now_us();
    entry->asking = false;
    if (!entry->failing_since_us)
        entry->failing_since_us = now;
    if (now - entry->failing_since_us < us(options_.max_unverified))
        return grants_.put_off(*entry, now + std::min(SOON_US, us(options_.max_unverified) / 4));
    grants_.close([&entry](const GrantTable::Entry& each) { return &each == entry.get(); },
                  {.close_code = TRY_AGAIN_LATER, .reason = "Odoo could not be asked for --max-unverified"});
}

void OdooAuthService::users_changed(const std::string& database, std::set<int64_t> partners) {
    loop_.post([this, database, partners = std::move(partners)] {
        std::set<std::string> channels;
        for (const int64_t partner : partners)
            if (std::string channel; write_channel(channel, database, "res.partner", partner))
                channels.insert(std::move(channel));
        grants_.hurry(now_us(), [&](const GrantTable::Entry& entry) {
            return std::ranges::any_of(entry.grant->channels,
                                       [&](const std::string& each) { return channels.contains(each); });
        });
    });
}

// --- presence ---

void OdooAuthService::call(const GrantTable::Subject& subject, const char* path,
                           std::function<std::string()> body) {
    if (subject.identity.is_public && !public_sessions_.session(subject.host)) {
        body(); // nobody was let in on this host, so nobody is there
        return;
    }
    queue_.add({.client = turn_of(subject),
                .priority = OdooQueue::Priority::presence,
                .run =
                    [this, subject, path, body] {
                        post(subject, path, body(),
                             [this, subject](const HttpAnswer* answer, const std::string&) {
                                 if (!answer)
                                     return;
                                 if (!subject.identity.is_public)
                                     look_for_rotation(subject, *answer);
                                 // It may be that the session was never marked: a peek tells.
                                 if (std::holds_alternative<Expired>(read_call(*answer)))
                                     grants_.hurry(now_us(), [&subject](const GrantTable::Entry& entry) {
                                         return entry.subject.client == subject.client;
                                     });
                             });
                    },
                .drop = [body](const std::string&) { body(); }},
               now_us());
}

void OdooAuthService::read_login_page(const Requester& who,
                                      std::function<void(std::optional<std::string>)> on_page) {
    const auto ask = [this, request = get_request(LOGIN, who), on_page] {
        client_->ask(request, ms(options_.odoo_timeout), {},
                     [this, on_page, began = now_us()](const HttpAnswer* answer, const std::string&) {
                         const bool is_page = answer && answer->status() == 200;
                         on_page(is_page ? std::optional(answer->body()) : std::nullopt);
                         queue_.done("login page", answer != nullptr, began, now_us());
                     });
    };
    queue_.add({.client = "login page",
                .priority = OdooQueue::Priority::background,
                .run = ask,
                .drop = [on_page](const std::string&) { on_page(std::nullopt); }},
               now_us());
}

// --- any question ---

void OdooAuthService::post(const GrantTable::Subject& subject, const char* path, const std::string& body,
                           OnAnswer on_answer) {
    std::string cookies = subject.identity.cookie_header();
    if (const auto session =
            subject.identity.is_public ? public_sessions_.session(subject.host) : std::nullopt)
        cookies += (cookies.empty() ? "session_id=" : "; session_id=") + *session;
    client_->ask(post_request(path, *subject.who, cookies, body), ms(options_.odoo_timeout), {},
                 [this, turn = turn_of(subject), began = now_us(),
                  on_answer = std::move(on_answer)](const HttpAnswer* answer, const std::string& problem) {
                     const int status = answer ? answer->status() : 0;
                     const bool answered = answer && status != 429 && (status < 502 || status > 504);
                     requests.with({answered ? "answered" : "failed"}).add();
                     if (!answer)
                         log_trouble(options_, problem);
                     on_answer(answer, problem);
                     queue_.done(turn, answered, began, now_us());
                     publish_state();
                 });
}

bool OdooAuthService::look_for_rotation(const GrantTable::Subject& subject, const HttpAnswer& answer) {
    const int64_t now = now_us();
    const std::string session(subject.session());
    for (const std::string_view cookie : answer.all("set-cookie")) {
        const auto set = session_of_cookie(cookie);
        if (!set || !SessionRotations::is_rotation(session, *set))
            continue;
        rotated.add();
        presence_.rotated();
        rotations_.add(session, *set, cookie, now);
        if (tell_successor_)
            tell_successor_(take_over::Rotation{session, *set, std::string(cookie)});
        cache_.forget_client(subject.client, now);
        close_rotated(session);
        return true;
    }
    return false;
}

void OdooAuthService::close_rotated(std::string_view old_id) {
    grants_.close([old_id](const GrantTable::Entry& each) { return each.subject.session() == old_id; },
                  session_renewed());
}

void OdooAuthService::expired(const GrantTable::Subject& subject) {
    cache_.forget_client(subject.client, now_us());
    if (subject.identity.is_public)
        return public_sessions_.forget(subject.host);
    taken_back.add();
    grants_.close([&subject](const GrantTable::Entry& each) { return each.subject.client == subject.client; },
                  session_expired());
}

// --- the state of Odoo ---

void OdooAuthService::probe() {
    client_->ask(get_request(HEALTH, prober_), ms(options_.odoo_timeout), {},
                 [this](const HttpAnswer* answer, const std::string&) {
                     if (answer && answer->status() < 500)
                         queue_.recovered(now_us());
                     else
                         queue_.failed(now_us());
                     publish_state();
                 });
}

void OdooAuthService::publish_state() {
    auto refusal = queue_.refusal(now_us());
    const std::lock_guard lock(mutex_);
    refusal_ = std::move(refusal);
}

} // namespace odoo_bus

// One client's conversation: its events, and its subscribes, one after the other.
#include "clients/session.h"

#include <mutex>
#include <set>

#include "base/log.h"
#include "clients/moved_clients.h"
#include "clients/service.h"
#include "clients/shed_connections.h"
#include "metrics/metrics.h"
#include "presence/presence.h"
#include "protocol/close_codes.h"
#include "protocol/frame.h"

namespace odoo_bus {

namespace {

const metrics::Gauge connections[] = {
    {"odoo_bus_connections", "Connected clients, by transport.", {{"transport", "websocket"}}},
    {"odoo_bus_connections", "", {{"transport", "events"}}},
    {"odoo_bus_connections", "", {{"transport", "poll"}}}};
const metrics::Counter connected[] = {
    {"odoo_bus_connected_total", "Clients that have connected, by transport.", {{"transport", "websocket"}}},
    {"odoo_bus_connected_total", "", {{"transport", "events"}}},
    {"odoo_bus_connected_total", "", {{"transport", "poll"}}}};
const metrics::Counter messages("odoo_bus_client_messages_total", "Messages received from clients.");
const metrics::Counter ignored("odoo_bus_ignored_events_total",
                               "Messages from clients that are not an event, or an unknown one.");
const metrics::Counter refused_subscribes("odoo_bus_refused_subscribes_total",
                                          "Subscriptions refused, by the authorizer or as malformed.");
const metrics::Counter
    replays("odoo_bus_replays_total",
            "Clients that resumed from the table, because the history did not reach back far enough.");
const metrics::Counter resumes("odoo_bus_resumes_total", "Clients that resumed from the history.");
const metrics::Counter outdated("odoo_bus_outdated_total",
                                "Clients that were told that they have missed notifications.");
const metrics::Histogram confirmation_wait(
    "odoo_bus_confirmation_wait_seconds",
    "Time for which notifications of a connection waited for the confirmation of its grant.",
    metrics::LATENCY_US);
const metrics::Family slow_closes("odoo_bus_slow_closes_total",
                                  "Connections closed because of their backlog, by reason.",
                                  metrics::Type::counter, {"reason"});

// Subscribes that wait while one is being authorized; the rate limit lets no honest client get there.
constexpr size_t MAX_WAITING = 16;

// About what a channel of a connection takes besides its name: the subscription, and the channel in the index
// and in the grant. A channel that others are subscribed to, too, is charged to each of them.
constexpr size_t CHANNEL_BYTES = 250;
constexpr size_t COPIES_OF_NAME = 2;

// A database that is not served, of which nothing was said yet: its clients come back every few seconds.
bool is_news(const std::string& database) {
    constexpr size_t MOST = 1'000; // clients may name them, too
    static std::mutex mutex;
    static std::set<std::string> told;
    static log::Limited lines("subscribes to a database that is not served", 1);
    const std::lock_guard lock(mutex);
    if (told.contains(database) || !lines.admit(log::Level::warning, log::Limited::Clock::now()))
        return false;
    if (told.size() >= MOST)
        told.clear();
    told.insert(database);
    return true;
}

} // namespace

Session::Session(Service& service, Admission admission)
    : service_(service), admission_(std::move(admission)), number_(service.next_session_number()),
      fixed_bytes_(admission_.requester ? static_cast<uint32_t>(admission_.requester->held_bytes()) : 0) {
    connections[static_cast<size_t>(admission_.transport)].add();
    connected[static_cast<size_t>(admission_.transport)].add();
    service_.authorizer().joined(admission_, *this);
}

Session::~Session() {
    connections[static_cast<size_t>(admission_.transport)].subtract();
    service_.authorizer().left(admission_);
    unsubscribe();
}

void Session::unsubscribe() {
    if (feed_)
        feed_->fan_out.unsubscribe(*this);
    if (present_)
        service_.presence()->gone(std::exchange(present_, 0), feed_->database);
}

void Session::tell_presence(const Grant& grant) {
    if (!service_.presence() || !is_present() || (grant.member.empty() && !present_))
        return;
    if (!present_)
        present_ = Presence::new_connection();
    service_.presence()->set(present_, feed_->database, grant.member, grant.channels);
}

std::string Session::new_gateway_cookie() const {
    const bool is_ambiguous = feed_ && resume().is_ambiguous(delivered());
    return set_gateway_cookie(admission_.provenance, service_.gateway_id(), is_ambiguous ? delivered() : 0);
}

std::string_view Session::new_session_cookie() const {
    return admission_.requester ? std::string_view(admission_.requester->new_cookie) : "";
}

// Wraps what is to be done with an answer, which may come when this session has gone or has been asked to
// end.
template <class Function>
auto Session::when_answered(Function function) {
    return [&service = service_, number = number_, question = ++question_,
            function = std::move(function)](auto&&... answer) {
        if (Session* const session = service.session(number); session && session->question_ == question)
            function(*session, std::forward<decltype(answer)>(answer)...);
    };
}

// --- events ---

void Session::receive(std::string_view text) {
    messages.add();
    ClientEvent event = parse_client_event(text, service_.event_limits());
    if (auto* wanted = std::get_if<Subscribe>(&event)) {
        subscribe(std::move(*wanted));
    } else if (const auto* presence = std::get_if<UpdatePresence>(&event)) {
        service_.authorizer().told(admission_, *presence);
    } else if (std::holds_alternative<Ping>(event)) {
        write_internal(pong_frame(here(), shape()));
    } else {
        ignored.add();
    }
    if (const auto* invalid = std::get_if<InvalidEvent>(&event)) {
        static log::Limited lines("invalid events", 10);
        lines.write(log::Level::info, "ignored an event of a client: {}", invalid->reason);
        if (invalid->not_utf8)
            close(close_code::NOT_UTF8, "not UTF-8");
    }
}

void Session::parted() {
    service_.authorizer().parted(admission_);
}

// --- a subscribe, step by step ---

void Session::subscribe(Subscribe subscribe) {
    if (subscribes_.size() >= MAX_WAITING)
        return close(close_code::TRY_AGAIN_LATER, "too many subscribes");
    if (!may_hold(held_bytes(subscribe.channels)))
        return shed();
    subscribes_.push_back(std::move(subscribe));
    recharge();
    next_subscribe();
}

void Session::next_subscribe() {
    if (stage_ != Stage::idle || subscribes_.empty())
        return;
    stage_ = Stage::authorizing;
    service_.authorizer().authorize(admission_, subscribes_.front(), !feed_,
                                    when_answered([](Session& session, Decision decision) {
                                        auto& waiting = session.subscribes_;
                                        const Subscribe current = std::move(waiting.front());
                                        waiting.erase(waiting.begin());
                                        if (waiting.empty())
                                            waiting.shrink_to_fit(); // for good, most of the time
                                        session.recharge();
                                        session.decided(current, std::move(decision));
                                    }));
}

void Session::decided(const Subscribe& subscribe, Decision decision) {
    if (const auto* refusal = std::get_if<Refusal>(&decision))
        return refused(subscribe, *refusal);
    Grant grant = std::get<Grant>(std::move(decision));
    if (!may_hold(bytes_of(grant)))
        return shed();
    DatabaseFeed* const feed = service_.feed(grant.database);
    if (!feed || (feed_ && feed_ != feed))
        return refuse_database(grant.database);
    if (feed->ready)
        return granted(subscribe, grant);
    stage_ = Stage::waiting;
    count_granted(grant);
    granted_ = std::make_unique<Granted>(Granted{subscribe, std::move(grant)});
    feed->waiting.push_back(when_answered([](Session& session) {
        const auto kept = std::move(session.granted_);
        session.granted(kept->subscribe, kept->grant);
    }));
}

void Session::refused(const Subscribe& subscribe, const Refusal& refusal) {
    refused_subscribes.add();
    static log::Limited lines("refused subscribes", 10);
    lines.write(log::Level::info, "refused a subscribe: {}", refusal.reason);
    if (refusal.close_code == close_code::KEEP_ALIVE_TIMEOUT && service_.moved_clients().is_handed_over())
        return come_back();
    if (refusal.close_code)
        return close(refusal.close_code, refusal.reason);
    on_refused(subscribe);
    stage_ = Stage::idle;
    next_subscribe();
}

void Session::refuse_database(const std::string& database) {
    if (is_news(database))
        log::warning(
            "a client was granted channels of database \"{}\", which this gateway does not serve: name it "
            "with --database, or see that --database-match finds it",
            database);
    close(close_code::TRY_AGAIN_LATER, "database not served");
}

void Session::granted(const Subscribe& subscribe, const Grant& grant) {
    const bool is_first = !feed_;
    feed_ = service_.feed(grant.database);
    if (!feed_)
        return refuse_database(grant.database); // it was forgotten meanwhile
    knows_internal_ = subscribe.check_outdated || subscribe.confirm;
    if (format_ != FrameFormat::events)
        format_ = subscribe.name_channels ? FrameFormat::named : FrameFormat::plain;
    confirm_ = subscribe.confirm;
    expires_ = grant.expires;
    renew_at_ = grant.renew_at;
    end_code_ = grant.end_code;
    on_granted(grant);
    tell_presence(grant);
    count_granted(grant);
    refused_ = grant.refused;
    resume(is_first ? resume().first(subscribe, grant.channels, MonotonicClock::now())
                    : resume().later(subscribe, grant.channels, *this),
           {grant.channels, grant.personal, grant.confirmed_until}, is_first);
}

size_t Session::bytes_of(const Grant& grant) {
    return COPIES_OF_NAME * held_bytes(grant.channels) + CHANNEL_BYTES * grant.channels.size();
}

void Session::count_granted(const Grant& grant) {
    granted_bytes_ = static_cast<uint32_t>(bytes_of(grant));
    recharge();
}

Resume Session::resume() const {
    return Resume(*feed_, service_.moved_clients(), admission_.provenance);
}

void Session::resume(const ResumeDecision& decision, const GrantedChannels& channels, bool is_first) {
    if (std::holds_alternative<FromSuccessor>(decision))
        return come_back();
    if (const auto* from = std::get_if<FromTable>(&decision)) {
        replays.add();
        stage_ = Stage::catching_up;
        CatchUp::Owner& owner = *this;
        catch_up_ = std::make_unique<CatchUp>(*feed_, *this, owner, *from);
        return catch_up_->start(channels);
    }
    const auto& from = std::get<FromHistory>(decision);
    if (from.is_resume)
        resumes.add();
    if (is_first)
        began_ = std::min(from.position, feed_->fan_out.head());
    feed_->fan_out.subscribe(*this, channels, from.position);
    finish();
}

void Session::ask_table(Id last, const std::vector<std::string>& channels) {
    // What waits for the database may outlive this session.
    const auto charge = std::make_shared<MemoryCharge>(admission_.charge.account(), held_bytes(channels));
    service_.replay(
        feed_->database, last, channels,
        when_answered([charge](Session& session, const ReplayAnswer& page) { session.answered(page); }));
}

void Session::answered(const ReplayAnswer& page) {
    proceed(catch_up_->answered(page, resume()));
}

void Session::proceed(CatchUp::Progress progress) {
    recharge();
    switch (progress) {
    case CatchUp::Progress::waits:
        return;
    case CatchUp::Progress::failed:
        return close(close_code::TRY_AGAIN_LATER, "the database cannot be asked");
    case CatchUp::Progress::done:
        catch_up_.reset();
        finish();
    }
}

void Session::check_grant(Monotonic now, WallTime date) {
    if (date > expires_ || now > renew_at_)
        close(end_code_, "the grant has expired");
}

// A subscribe is complete.
void Session::finish() {
    if (confirm_)
        write_internal(subscribed_frame(
            {.confirm = *confirm_, .last = here(), .refused = std::exchange(refused_, {})}, shape()));
    on_subscribed();
    stage_ = Stage::idle;
    next_subscribe();
}

void Session::on_refused(const Subscribe& subscribe) {
    if (subscribe.confirm)
        write_internal(
            subscribed_frame({.confirm = *subscribe.confirm, .last = here(), .failed = true}, shape()));
}

// --- grants ---

void Session::take_back(const Refusal& refusal) {
    log::debug("closing a connection: {}", refusal.reason);
    close(refusal.close_code, refusal.reason);
}

void Session::regrant(const Grant& grant) {
    if (stage_ == Stage::waiting || stage_ == Stage::catching_up)
        return come_back(); // what it is being given was decided by the former grant
    if (stage_ == Stage::ending || !feed_)
        return;
    if (feed_->database != grant.database)
        return close(close_code::TRY_AGAIN_LATER, "another database");
    count_granted(grant);
    feed_->fan_out.subscribe(*this, {grant.channels, grant.personal, grant.confirmed_until}, delivered());
    tell_presence(grant);
    confirmed(grant.confirmed_until);
}

// --- confirmations of grants ---

void Session::want_confirmation() {
    waits_since_ = MonotonicClock::now();
    service_.await_confirmation(*this);
    service_.authorizer().confirm(admission_);
}

bool Session::confirmed(Monotonic until) {
    if (!feed_)
        return false;
    const bool has_waited = wants_confirmation();
    observe_wait();
    feed_->fan_out.confirm(*this, until);
    if (catch_up_)
        proceed(catch_up_->confirmed(resume(), true));
    return has_waited;
}

void Session::unconfirmed() {
    if (!feed_ || !wants_confirmation())
        return; // it was confirmed meanwhile
    observe_wait();
    feed_->fan_out.pass(*this);
    if (catch_up_)
        proceed(catch_up_->confirmed(resume(), false));
}

void Session::confirmation_is_overdue(Monotonic now) {
    if (now - waits_since_ >= CONFIRM_WITHIN)
        unconfirmed();
}

void Session::observe_wait() {
    if (wants_confirmation())
        confirmation_wait.observe_us((MonotonicClock::now() - waits_since_).count());
}

// --- what it is told ---

FrameShape Session::shape() const {
    return {.reserve = FRAME_HEADROOM, .format = format_};
}

Id Session::here() const {
    return feed_ && !is_behind() ? feed_->here() : 0;
}

void Session::on_writable() {
    if (catch_up_)
        return catch_up_->on_writable();
    if (feed_)
        feed_->fan_out.drain(*this);
}

void Session::tell_outdated() {
    outdated.add();
    write_internal(subscription_outdated_frame(shape()));
}

void Session::tell_last_id_reset(Id newest) {
    write_internal(last_id_reset_frame(newest, shape()));
}

// --- its end ---

void Session::come_back() {
    stage_ = Stage::ending;
    ++question_;
    close(close_code::KEEP_ALIVE_TIMEOUT, "the gateway is replaced");
}

void Session::forget_database() {
    release();
    close(close_code::TRY_AGAIN_LATER, "the database is not served any more");
}

void Session::release() {
    unsubscribe();
    feed_ = nullptr;
    catch_up_.reset();
    granted_.reset();
    subscribes_ = {};
    granted_bytes_ = 0;
    stage_ = Stage::ending;
    ++question_;
}

// --- what it holds ---

void Session::recharge() {
    // Once it is ending, others need not end for it.
    if (stage_ == Stage::ending)
        return admission_.charge.set(0);
    size_t bytes = transport_bytes() + fixed_bytes_ + granted_bytes_;
    for (const Subscribe& subscribe : subscribes_)
        bytes += sizeof subscribe + held_bytes(subscribe.channels);
    if (catch_up_)
        bytes += catch_up_->held_bytes();
    admission_.charge.set(bytes);
}

void Session::shed() {
    shed_connections.add();
    release();
    service_.authorizer().left(admission_); // its grant is not kept either
    close_at_once(close_code::TRY_AGAIN_LATER, "memory is full");
    recharge();
}

void Session::fell_behind(std::string_view why) {
    slow_closes.with({std::string(why)}).add();
    static log::Limited lines("closed slow clients", 10);
    lines.write(log::Level::info, "closing a slow client, which may come back and resume: {}", why);
    close(close_code::TRY_AGAIN_LATER, "too slow");
}

} // namespace odoo_bus

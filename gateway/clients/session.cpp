// One client's conversation: its subscribe events in order, and where it goes on after `last`.
#include "clients/session.h"

#include <algorithm>
#include <mutex>
#include <set>

#include "base/clock.h"
#include "base/log.h"
#include "clients/moved_clients.h"
#include "clients/service.h"
#include "metrics/metrics.h"
#include "presence/presence.h"
#include "protocol/frame.h"

namespace odoo_bus {

using namespace std::chrono_literals;

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
const metrics::Family slow_closes("odoo_bus_slow_closes_total",
                                  "Connections closed because of their backlog, by reason.",
                                  metrics::Type::counter, {"reason"});

constexpr int TRY_AGAIN_LATER = 1013;
constexpr int NOT_UTF8 = 1007;

// A client of 17.0 to 19.0 that has no `last` gets what is this old at most.
constexpr Duration FIRST_SIGHT = 50s;

// How far a client that comes from another gateway goes back, since two gateways can see concurrent
// transactions in different orders: everything that one of them saw before the other is younger than this.
constexpr Duration OVERLAP = 10s;

// What was dispatched here so long after a client had come was given to it here, even if this gateway was
// started anew since and does not know with which `last` it came.
constexpr Duration SETTLED = 60s;

// Subscribes that wait while one is being authorized; the rate limit lets no honest client get there.
constexpr size_t MAX_WAITING = 16;

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
    : service_(service), admission_(std::move(admission)) {
    connections[static_cast<size_t>(admission_.transport)].add();
    connected[static_cast<size_t>(admission_.transport)].add();
    service_.authorizer().joined(admission_, *this);
}

Session::~Session() {
    connections[static_cast<size_t>(admission_.transport)].subtract();
    *alive_ = false;
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
    return set_gateway_cookie(admission_.provenance, service_.gateway_id(),
                              is_ambiguous(delivered()) ? delivered() : 0);
}

std::string_view Session::new_session_cookie() const {
    return admission_.requester ? std::string_view(admission_.requester->new_cookie) : "";
}

// Wraps a callback that may come when this session is gone.
template <class Function>
auto Session::if_alive(Function function) {
    return [alive = alive_, function = std::move(function)](auto&&... arguments) {
        if (*alive)
            function(std::forward<decltype(arguments)>(arguments)...);
    };
}

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
            close(NOT_UTF8, "not UTF-8");
    }
}

void Session::subscribe(Subscribe subscribe) {
    if (subscribes_.size() >= MAX_WAITING)
        return close(TRY_AGAIN_LATER, "too many subscribes");
    subscribes_.push_back(std::move(subscribe));
    next_subscribe();
}

void Session::next_subscribe() {
    if (busy_ || subscribes_.empty())
        return;
    busy_ = true;
    const Subscribe& subscribe = subscribes_.front();
    service_.authorizer().authorize(admission_, subscribe, !subscribed_, if_alive([this](Decision decision) {
                                        const Subscribe current = std::move(subscribes_.front());
                                        subscribes_.erase(subscribes_.begin());
                                        if (subscribes_.empty())
                                            subscribes_.shrink_to_fit(); // for good, most of the time
                                        decided(current, std::move(decision));
                                    }));
}

void Session::decided(const Subscribe& subscribe, Decision decision) {
    if (const auto* refusal = std::get_if<Refusal>(&decision)) {
        refused_subscribes.add();
        static log::Limited lines("refused subscribes", 10);
        lines.write(log::Level::info, "refused a subscribe: {}", refusal->reason);
        if (refusal->close_code == COME_BACK && service_.moved_clients().is_handed_over())
            return come_back();
        if (refusal->close_code)
            return close(refusal->close_code, refusal->reason);
        on_refused(subscribe);
        busy_ = false;
        return next_subscribe();
    }
    const Grant grant = std::get<Grant>(std::move(decision));
    DatabaseFeed* const feed = service_.feed(grant.database);
    if (!feed || (feed_ && feed_ != feed))
        return refuse_database(grant.database);
    if (feed->ready)
        return place(subscribe, grant);
    feed->waiting.push_back(if_alive([this, subscribe, grant] { place(subscribe, grant); }));
}

void Session::refuse_database(const std::string& database) {
    if (is_news(database))
        log::warning(
            "a client was granted channels of database \"{}\", which this gateway does not serve: name it "
            "with --database, or see that --database-match finds it",
            database);
    close(TRY_AGAIN_LATER, "database not served");
}

void Session::forget_database() {
    unsubscribe();
    feed_ = nullptr;
    next_page_ = nullptr;
    // What was asked is answered to nobody, and nothing more is asked.
    *alive_ = false;
    alive_ = std::make_shared<bool>(true);
    busy_ = true;
    close(TRY_AGAIN_LATER, "the database is not served any more");
}

void Session::parted() {
    service_.authorizer().parted(admission_);
}

void Session::take_back(const Refusal& refusal) {
    log::debug("closing a connection: {}", refusal.reason);
    close(refusal.close_code, refusal.reason);
}

void Session::regrant(const Grant& grant) {
    if (busy_ || !feed_)
        return; // a subscribe is being decided anew
    if (feed_->database != grant.database)
        return close(TRY_AGAIN_LATER, "another database");
    feed_->fan_out.subscribe(*this, grant.channels, delivered());
    tell_presence(grant);
}

void Session::place(const Subscribe& subscribe, const Grant& grant) {
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
    refused_ = grant.refused;
    if (!subscribed_) {
        subscribed_ = true;
        return begin(subscribe, grant);
    }
    add(subscribe, grant);
}

// A later subscribe: channels that are added start with what is new, and with what `last` asks for.
void Session::add(const Subscribe& subscribe, const Grant& grant) {
    FanOut& fan_out = feed_->fan_out;
    const auto known = fan_out.position_of(subscribe.last);
    const Position since = std::min(known.value_or(delivered()), delivered());
    std::vector<std::string> added;
    if (!known && subscribe.check_outdated)
        added = FanOut::new_to(*this, grant.channels);
    if (added.empty()) {
        // A quiet connection's position may be older than the history.
        fan_out.subscribe(*this, grant.channels, std::max(since, fan_out.oldest() - 1));
        return finish();
    }
    if (belongs_to_successor(true))
        return come_back();
    // Pages of 20.0 and later get from the table what the history does not reach back to.
    const bool counts = judge_last(subscribe);
    replays.add();
    adding_ = true;
    history_from_ = floor();
    fan_out.hold(*this);
    fan_out.subscribe(*this, grant.channels, fan_out.oldest() - 1);
    Grant of_added = grant;
    of_added.channels = std::move(added);
    replay(counts ? subscribe.last : 0, of_added, counts && *subscribe.check_outdated);
}

// Whether `last` is the id of a notification, as far as one can tell by its value; a page that knows it is
// told otherwise.
bool Session::judge_last(const Subscribe& subscribe) {
    if (subscribe.last_is_integer && subscribe.last <= feed_->newest)
        return subscribe.last > 0;
    if (subscribe.check_outdated)
        write_internal(last_id_reset_frame(feed_->newest, shape()));
    return false;
}

// The first subscribe of the connection: everything after `last`, on the channels that are granted now.
void Session::begin(const Subscribe& subscribe, const Grant& grant) {
    FanOut& fan_out = feed_->fan_out;
    const bool given_here = is_given_here(subscribe.last);
    if (belongs_to_successor(false))
        return come_back();
    const bool counts = subscribe.last_is_integer && subscribe.last > 0 && subscribe.last <= feed_->newest;
    if (!counts && !subscribe.check_outdated) {
        // Another gateway may have been told of an id a moment before this one.
        const bool ahead = subscribe.last > feed_->newest && feed_->has_peers;
        begin_at(fan_out.before(MonotonicClock::now() - (ahead ? OVERLAP : FIRST_SIGHT)), grant);
    } else if (const Position named = admission_.provenance.position;
               counts && is_at(named, subscribe.last)) {
        resumes.add();
        begin_at(named, grant);
    } else if (const auto known = fan_out.position_of(subscribe.last); counts && known) {
        resumes.add();
        begin_at(given_here ? *known : overlap(*known), grant);
    } else {
        if (belongs_to_successor(true))
            return come_back();
        judge_last(subscribe);
        replays.add();
        fan_out.hold(*this);
        fan_out.subscribe(*this, grant.channels, fan_out.oldest() - 1);
        return replay(counts ? subscribe.last : 0, grant, counts && subscribe.check_outdated.value_or(false));
    }
    finish();
}

void Session::begin_at(Position position, const Grant& grant) {
    began_ = std::min(position, feed_->fan_out.head());
    feed_->fan_out.subscribe(*this, grant.channels, position);
}

// Whether it was this gateway that gave `last` to the client, in the order that it knows.
bool Session::is_given_here(Id last) const {
    const Provenance& from = admission_.provenance;
    // Who has moved proves that there is another gateway, also while this one does not see it.
    const bool here =
        from.mover ? service_.moved_clients().has_gone_on(from.mover, last) : from.named || !feed_->has_peers;
    const auto position = feed_->fan_out.position_of(last);
    if (!position || *position <= feed_->adopted_until)
        return false;
    return here ||
           (from.named && feed_->fan_out.at(*position).dispatched > monotonic_at(from.moved_at()) + SETTLED);
}

bool Session::is_at(Position position, Id id) const {
    const FanOut& fan_out = feed_->fan_out;
    return position >= fan_out.oldest() && position <= fan_out.head() && fan_out.at(position).id == id;
}

// Whether who comes back with the id at this position could be sent again what it has.
bool Session::is_ambiguous(Position position) const {
    if (!feed_ || position < feed_->fan_out.oldest())
        return false;
    if (admission_.provenance.mover)
        return true; // it may have come with that id
    const bool drawn_twice = feed_->fan_out.position_of(feed_->fan_out.at(position).id) != position;
    return drawn_twice || (feed_->has_peers && position <= feed_->adopted_until);
}

// Where to go on for a client to which another gateway gave what is at `position` here.
Position Session::overlap(Position position) const {
    const Notification& last = feed_->fan_out.at(position);
    return std::min(position, before_both(last.id, last.dispatched));
}

// Where to go on for a client to which another gateway dispatched `last` last, seen here at `time`. What
// it may lack was dispatched here since shortly before that, or has a greater id: a gateway that could not
// read for long dispatches what it has missed in the order of ids.
Position Session::before_both(Id last, Monotonic time) const {
    const FanOut& fan_out = feed_->fan_out;
    return std::min(fan_out.before(time - OVERLAP), fan_out.before_ids_above(last));
}

// Another process has taken over. What it does not know of this client would make the client's next `last`
// inexact there, and the table is not followed here any more.
bool Session::belongs_to_successor(bool needs_table) const {
    return service_.moved_clients().is_handed_over() && (needs_table || admission_.provenance.mover != 0);
}

void Session::come_back() {
    sent_back_ = true;
    close(COME_BACK, "the gateway is replaced");
}

void Session::replay(Id last, const Grant& grant, bool check_outdated) {
    service_.replay(grant.database, last, grant.channels,
                    if_alive([this, last, grant, check_outdated](const ReplayAnswer& answer) {
                        if (answer.failed)
                            return close(TRY_AGAIN_LATER, "the database cannot be asked");
                        if (answer.pending && answer.last_exists && !adding_)
                            return go_on_from_another(last, grant);
                        if (check_outdated && !answer.last_exists)
                            tell_outdated();
                        write_elements(answer);
                        replayed(answer, grant);
                    }));
}

// The client knows more than this gateway has dispatched.
void Session::go_on_from_another(Id last, const Grant& grant) {
    FanOut& fan_out = feed_->fan_out;
    fan_out.unsubscribe(*this);
    fan_out.subscribe(*this, grant.channels, before_both(last, MonotonicClock::now()));
    fan_out.release(*this);
    finish();
}

// A page has been written: the next one follows when the transport takes it.
void Session::replayed(const ReplayAnswer& answer, const Grant& grant) {
    if (answer.more) {
        next_page_ = [this, last = answer.next, grant] { replay(last, grant, false); };
        return writable() ? on_writable() : want_writable();
    }
    feed_->fan_out.release(*this);
    finish();
}

void Session::check_grant(Monotonic now, WallTime date) {
    if (date > expires_ || now > renew_at_)
        close(end_code_, "the grant has expired");
}

// A subscribe has been worked off.
void Session::finish() {
    if (confirm_)
        write_internal(subscribed_frame(
            {.confirm = *confirm_, .last = here(), .refused = std::exchange(refused_, {})}, shape()));
    on_subscribed();
    busy_ = adding_ = false;
    history_from_ = 0;
    next_subscribe();
}

void Session::on_refused(const Subscribe& subscribe) {
    if (subscribe.confirm)
        write_internal(
            subscribed_frame({.confirm = *subscribe.confirm, .last = here(), .failed = true}, shape()));
}

FrameShape Session::shape() const {
    return {.reserve = FRAME_HEADROOM, .format = format_};
}

Id Session::here() const {
    return feed_ && !is_behind() ? feed_->here() : 0;
}

void Session::on_writable() {
    if (next_page_)
        return std::exchange(next_page_, nullptr)();
    if (feed_)
        feed_->fan_out.drain(*this);
}

void Session::write_elements(const ReplayAnswer& answer) {
    std::unique_ptr<Frame> frame;
    for (const auto& [id, channel, element] : answer.elements) {
        if (const auto known = feed_->fan_out.position_of(id); known && *known > history_from_)
            continue; // it comes from the history
        if (!frame)
            frame = std::make_unique<Frame>(FRAME_HEADROOM, format_);
        frame->add(id, channel, element);
    }
    if (frame)
        write(std::move(*frame).finish());
}

void Session::tell_outdated() {
    outdated.add();
    write_internal(subscription_outdated_frame(shape()));
}

void Session::fell_behind(std::string_view why) {
    slow_closes.with({std::string(why)}).add();
    static log::Limited lines("closed slow clients", 10);
    lines.write(log::Level::info, "closing a slow client, which may come back and resume: {}", why);
    close(TRY_AGAIN_LATER, "too slow");
}

} // namespace odoo_bus

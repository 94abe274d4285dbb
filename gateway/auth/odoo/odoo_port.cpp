// The one way to Odoo.
#include "auth/odoo/odoo_port.h"

#include <utility>

#include "auth/odoo/odoo_request.h"
#include "base/clock.h"
#include "base/log.h"
#include "metrics/metrics.h"

namespace odoo_bus {

namespace {

const metrics::Family requests("odoo_bus_odoo_requests_total", "Requests to Odoo, by result.",
                               metrics::Type::counter, {"result"});
const metrics::Family up("odoo_bus_odoo_up",
                         "0 while requests to Odoo have had no answer for 3 s, or new clients are refused "
                         "because Odoo does not answer, else 1.",
                         metrics::Type::gauge);
const metrics::Family waiting("odoo_bus_odoo_requests_waiting", "Requests to Odoo that wait in the queue.",
                              metrics::Type::gauge);
const metrics::Family running("odoo_bus_odoo_requests_running", "Requests to Odoo that wait for its answer.",
                              metrics::Type::gauge);
const metrics::Counter rotated("odoo_bus_sessions_renewed_total",
                               "Sessions whose id Odoo changed in a response to the gateway.");

constexpr const char* PEEK = "/websocket/peek_notifications";
constexpr const char* HEALTH = "/websocket/health";
constexpr std::chrono::seconds SILENT{3};

OdooQueue::Bounds queue_bounds(const Options& options) {
    return {.concurrency = options.odoo_concurrency, .wait = options.odoo_wait()};
}

uint64_t timeout_ms(const Options& options) {
    return static_cast<uint64_t>(options.odoo_timeout.count());
}

} // namespace

struct OdooPort::Question {
    OdooSubject subject;
    bool first;
    OnPeek on_peek;
    Monotonic asked{}; // when it was sent
};

OdooPort::OdooPort(const Options& options, const std::string& database, Events events)
    : options_(options), events_(std::move(events)), queue_(queue_bounds(options), [this] { probe(); }),
      newest_ids_(database) {
    up.with().set(1); // until the first tick
    prober_.sent_host = options.odoo_url.host;
    prober_.user_agent = "odoo-bus-gateway/" ODOO_BUS_VERSION;
}

void OdooPort::open(uv_loop_t* loop) {
    client_ = std::make_unique<OdooClient>(loop, options_.odoo_url);
}

void OdooPort::close() {
    client_.reset();
}

void OdooPort::reconfigure() {
    queue_.set_bounds(queue_bounds(options_));
}

void OdooPort::tick(Monotonic now) {
    queue_.tick(now);
    rotations_.tick(now);
    const bool is_silent = unanswered_ > 0 && now - heard_ > SILENT;
    up.with().set(is_silent || queue_.is_open() ? 0 : 1);
    waiting.with().set(static_cast<double>(queue_.waiting()));
    running.with().set(queue_.running());
    publish_refusal();
    auto crowded = queue_.crowded();
    const std::lock_guard lock(mutex_);
    crowded_.swap(crowded);
}

// --- what is asked ---

void OdooPort::peek(const OdooSubject& subject, bool first, OdooQueue::Priority priority, OnPeek on_peek,
                    std::function<bool()> is_wanted) {
    // A public session is the gateway's own: its end is not the client's.
    const bool is_first = first || subject.identity.is_public;
    const auto question = std::make_shared<Question>(Question{subject, is_first, std::move(on_peek)});
    // Others may wait for the session that the first visitor of a host gets.
    if (subject.identity.is_public && !public_sessions_.session(subject.host))
        is_wanted = {};
    const auto enqueue_question = [this, priority, question, is_wanted = std::move(is_wanted)] {
        enqueue(priority, {.subject = question->subject,
                           .path = PEEK,
                           .body =
                               [this, question] {
                                   question->asked = MonotonicClock::now();
                                   const OdooSubject& asker = question->subject;
                                   return peek_body(asker.channels, newest_ids_.of_host(asker.host),
                                                    question->first);
                               },
                           .on_response =
                               [this, question](const HttpAnswer* answer, const std::string& problem) {
                                   question->on_peek(answer ? read(*question, *answer)
                                                            : unavailable(*question, problem));
                               },
                           .is_wanted = is_wanted});
    };
    if (!subject.identity.is_public)
        return enqueue_question();
    public_sessions_.wait(subject.host, [this, question, enqueue_question](bool proceed) {
        if (proceed)
            enqueue_question();
        else
            question->on_peek(unavailable(*question, "the question before it had no answer"));
    });
}

void OdooPort::call(const OdooSubject& subject, const char* path, std::function<std::string()> body,
                    std::function<void(const CallAnswer&)> on_answer) {
    if (subject.identity.is_public && !public_sessions_.session(subject.host)) {
        body(); // without a public session no visitor of this host was admitted, so none is present
        return;
    }
    enqueue(OdooQueue::Priority::presence,
            {.subject = subject,
             .path = path,
             .body = body,
             .on_response = [this, subject, on_answer = std::move(on_answer)](const HttpAnswer* answer,
                                                                              const std::string& problem) {
                 if (!answer)
                     return on_answer(Unavailable{problem});
                 if (!subject.identity.is_public)
                     look_for_rotation(subject, *answer);
                 on_answer(read_call(*answer));
             }});
}

void OdooPort::get(const char* path, const Requester& requester,
                   std::function<void(std::optional<std::string>)> on_page) {
    const OdooQueue::Turn turn{.client = path};
    queue_.add({.turn = turn,
                .priority = OdooQueue::Priority::background,
                .run =
                    [this, turn, request = get_request(path, requester), on_page] {
                        exchange(request, [this, turn, on_page, sent = MonotonicClock::now()](
                                              const HttpAnswer* answer, const std::string&) {
                            const bool is_page = answer && answer->status() == 200;
                            on_page(is_page ? std::optional(answer->body()) : std::nullopt);
                            queue_.done(turn, answer != nullptr, sent, MonotonicClock::now());
                        });
                    },
                .drop = [on_page](const std::string&) { on_page(std::nullopt); }},
               MonotonicClock::now());
}

// --- a request and its response ---

// The only one that uses the client.
void OdooPort::exchange(std::string request, OnResponse on_response) {
    if (unanswered_++ == 0)
        heard_ = MonotonicClock::now();
    client_->ask(
        std::move(request), timeout_ms(options_), {},
        [this, on_response = std::move(on_response)](const HttpAnswer* answer, const std::string& problem) {
            --unanswered_;
            if (answer)
                heard_ = MonotonicClock::now();
            on_response(answer, problem);
        });
}

void OdooPort::enqueue(OdooQueue::Priority priority, Request request) {
    const auto shared = std::make_shared<const Request>(std::move(request));
    queue_.add({.turn = turn_of(shared->subject),
                .priority = priority,
                .account = shared->subject.requester->account,
                .is_wanted = shared->is_wanted,
                .run = [this, shared] { send(shared); },
                .drop =
                    [shared](const std::string& why) {
                        shared->body();
                        shared->on_response(nullptr, why);
                    }},
               MonotonicClock::now());
}

void OdooPort::send(const std::shared_ptr<const Request>& request) {
    const OdooSubject& subject = request->subject;
    std::string cookies = subject.identity.cookie_header();
    if (const auto session =
            subject.identity.is_public ? public_sessions_.session(subject.host) : std::nullopt)
        cookies += (cookies.empty() ? "session_id=" : "; session_id=") + *session;
    exchange(
        post_request(request->path, *subject.requester, cookies, request->body()),
        [this, request, sent = MonotonicClock::now()](const HttpAnswer* answer, const std::string& problem) {
            received(*request, sent, answer, problem);
        });
}

void OdooPort::received(const Request& request, Monotonic sent, const HttpAnswer* answer,
                        const std::string& problem) {
    const int status = answer ? answer->status() : 0;
    const bool answered = answer && status != 429 && (status < 502 || status > 504);
    requests.with({answered ? "answered" : "failed"}).add();
    if (!answer)
        log_trouble(problem);
    request.on_response(answer, problem);
    queue_.done(turn_of(request.subject), answered, sent, MonotonicClock::now());
    publish_refusal();
}

OdooPort::Peek OdooPort::read(const Question& question, const HttpAnswer& answer) {
    const OdooSubject& subject = question.subject;
    const auto session = session_set_by(answer);
    Peek peek{read_peek(answer), question.asked, session.has_value()};
    if (const auto* trouble = std::get_if<Unavailable>(&peek.answer)) {
        log_trouble(trouble->reason);
        return unavailable(question, trouble->reason);
    }
    if (subject.identity.is_public) {
        public_sessions_.answered(subject.host, session);
    } else if (look_for_rotation(subject, answer)) {
        peek.answer = Renewed{};
        return peek;
    }
    if (const auto* grant = std::get_if<Grant>(&peek.answer))
        newest_ids_.learn(subject.host, grant->database);
    if (std::holds_alternative<Expired>(peek.answer)) {
        if (subject.identity.is_public)
            public_sessions_.forget(subject.host);
        events_.expired(subject);
    }
    return peek;
}

OdooPort::Peek OdooPort::unavailable(const Question& question, const std::string& problem) {
    if (question.subject.identity.is_public)
        public_sessions_.failed(question.subject.host);
    return {Unavailable{problem}, question.asked, false};
}

std::optional<SessionRotation> OdooPort::rotation_by(const OdooSubject& subject,
                                                     const std::vector<std::string_view>& cookies) {
    const std::string session(subject.session());
    for (const std::string_view cookie : cookies) {
        const auto set = session_of_cookie(cookie);
        if (!set || !SessionRotations::is_rotation(session, *set))
            continue;
        rotated.add();
        return SessionRotation{session, *set, std::string(cookie)};
    }
    return std::nullopt;
}

bool OdooPort::look_for_rotation(const OdooSubject& subject, const HttpAnswer& answer) {
    const auto rotation = rotation_by(subject, answer.all("set-cookie"));
    if (!rotation)
        return false;
    rotations_.add(*rotation, MonotonicClock::now());
    events_.renewed(subject, *rotation);
    return true;
}

// --- the state of Odoo ---

void OdooPort::probe() {
    exchange(get_request(HEALTH, prober_), [this](const HttpAnswer* answer, const std::string&) {
        if (answer && answer->status() < 500)
            queue_.recovered();
        else
            queue_.failed(MonotonicClock::now());
        publish_refusal();
    });
}

void OdooPort::publish_refusal() {
    {
        auto refusal = queue_.refusal(MonotonicClock::now());
        const std::lock_guard lock(mutex_);
        refusal_ = std::move(refusal);
    }
    if (std::exchange(was_open_, queue_.is_open()) == queue_.is_open())
        return;
    if (queue_.is_open())
        log::warning("Odoo does not answer: new clients are refused with 503 until it does; clients that are "
                     "connected go on");
    else
        log::info("Odoo answers again");
}

std::optional<OdooQueue::Refusal> OdooPort::refusal(const Requester& requester) const {
    const std::lock_guard lock(mutex_);
    if (refusal_)
        return refusal_;
    const auto crowded = crowded_.find(requester.account ? requester.account->name() : std::string());
    return crowded == crowded_.end() ? std::nullopt : std::optional(crowded->second);
}

void OdooPort::log_trouble(const std::string& what) const {
    static log::Limited lines("questions without an answer", 1);
    lines.write(log::Level::warning, "Odoo at {}: {}", options_.odoo_url.text(), what);
}

} // namespace odoo_bus

// Asks a function in the database for grants.
#include "auth/sql/sql_auth_service.h"

#include <algorithm>

#include <spdlog/fmt/fmt.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "common/ascii_json.h"
#include "postgres/conninfo.h"
#include "postgres/pg_array.h"
#include "protocol/close_codes.h"

namespace odoo_bus {

namespace {

constexpr size_t MAX_WAITING = 10'000;
constexpr size_t MAX_KNOWN = 10'000;
constexpr size_t MAX_KNOWN_BYTES = 16 << 20;
constexpr uint64_t IDLE_MS = 60'000;
constexpr const char* AWAY = "the database is being dropped, renamed or copied";

constexpr const char* FIND_FUNCTION = R"(
SELECT found.name, set_config('search_path', format('pg_catalog, %s, pg_temp', found.schema), false)
FROM (SELECT format('%I.%I', n.nspname, p.proname) AS name, format('%I', n.nspname) AS schema
      FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace
      LEFT JOIN unnest(current_setting('odoo_bus_gateway.schemas')::name[]) WITH ORDINALITY AS path (schema, place)
          ON path.schema = n.nspname,
      parse_ident($1::text) AS wanted
      WHERE p.proname = wanted[array_upper(wanted, 1)] AND p.prokind = 'f'
      AND CASE array_upper(wanted, 1) WHEN 1 THEN path.place IS NOT NULL ELSE n.nspname = wanted[1] END
      AND p.proargtypes[0] = 'jsonb'::regtype AND p.proargtypes[1] = 'text[]'::regtype
      AND p.pronargs - p.pronargdefaults <= 2
      ORDER BY path.place LIMIT 1) AS found)";

// One text for each question: a channel's name may hold anything.
std::string key_of(const SqlAuthService::Question& question) {
    return question.request + pg_array(question.channels);
}

} // namespace

SqlAuthService::Seat::Seat(Pool& of, uv_loop_t* loop)
    : pool(of),
      connection(loop,
                 {.on_connected = [this] { pool.auth_service.settle(*this); },
                  .on_lost = [this](const std::string& reason) { pool.auth_service.fail(*this, reason); },
                  .on_notify = [](std::string_view, std::string_view) {},
                  .use = SessionUse::CALLS,
                  .purpose = "sql"}),
      patience(loop), idle(loop) {}

SqlAuthService::SqlAuthService(const Options& options, const std::vector<std::string>& names)
    : options_(options) {
    for (size_t i = 0; i < names.size(); ++i)
        pools_.emplace(names[i], new Pool{*this, names[i], options.databases[i]});
    if (!options.database_match.empty())
        pools_.clear(); // they are found
}

SqlAuthService::~SqlAuthService() {
    stop();
}

void SqlAuthService::start() {
    loop_.start("sql", [this] {
        for (const auto& [name, pool] : pools_)
            add_seats(*pool);
    });
}

void SqlAuthService::add_seats(Pool& pool) {
    for (unsigned i = 0; i < options_.sql_connections; ++i)
        pool.seats.push_back(std::make_unique<Seat>(pool, loop_.uv()));
}

void SqlAuthService::expect(const std::string& database) {
    loop_.post([this, database] {
        if (stopping_)
            return;
        auto& pool = pools_[database];
        if (!pool) {
            pool.reset(new Pool{*this, database, with_database(options_.databases.front(), database)});
            add_seats(*pool);
        }
        pool->away = false;
    });
}

void SqlAuthService::let_go(const std::string& database) {
    loop_.post([this, database] {
        const auto found = pools_.find(database);
        if (found == pools_.end())
            return;
        Pool& pool = *found->second;
        pool.away = true;
        for (const Question& question : std::exchange(pool.waiting, {}))
            question.answer(Refusal{close_code::TRY_AGAIN_LATER, AWAY});
        for (const auto& seat : pool.seats)
            close(*seat, AWAY);
    });
}

void SqlAuthService::forget(const std::string& database) {
    loop_.post([this, database] {
        const auto found = pools_.find(database);
        if (found == pools_.end())
            return;
        const std::unique_ptr<Pool> pool = std::move(found->second);
        pools_.erase(found);
        std::deque<Question> questions = std::exchange(pool->waiting, {});
        for (const auto& seat : pool->seats)
            if (seat->question)
                questions.push_back(std::move(*seat->question));
        for (const Question& question : questions)
            question.answer(Refusal{close_code::TRY_AGAIN_LATER, "the database is not served any more"});
    });
}

void SqlAuthService::close(Seat& seat, const std::string& why) {
    seat.connection.close();
    seat.idle.stop();
    fail(seat, why);
}

void SqlAuthService::stop() {
    loop_.post([this] {
        stopping_ = true;
        for (const auto& [name, pool] : pools_)
            pool->seats.clear();
        loop_.stop();
    });
    loop_.join();
}

void SqlAuthService::ask(Question question) {
    loop_.post([this, question = std::move(question)]() mutable { take(std::move(question)); });
}

void SqlAuthService::take(Question question) {
    const auto found = pools_.find(question.database);
    if (found == pools_.end())
        return question.answer(Refusal{close_code::SESSION_EXPIRED, "the database is not served"});
    Pool& pool = *found->second;
    if (pool.away)
        return question.answer(Refusal{close_code::TRY_AGAIN_LATER, AWAY});
    if (pool.waiting.size() >= MAX_WAITING)
        return question.answer(
            Refusal{close_code::TRY_AGAIN_LATER, "too many clients wait to be authorized"});
    pool.waiting.push_back(std::move(question));
    next(pool);
}

void SqlAuthService::shed() {
    loop_.post([this] {
        for (const auto& [name, pool] : pools_)
            std::erase_if(pool->waiting, [](Question& question) {
                if (!question.charge || !question.charge->gives_way())
                    return false;
                question.answer(Refusal{close_code::TRY_AGAIN_LATER, "memory is full"});
                question.charge.reset();
                return true;
            });
    });
}

// When many clients connect at once, the answers to the first of them serve most of the others.
bool SqlAuthService::answer_known(Pool& pool, const Question& question) {
    if (!question.may_be_known)
        return false;
    const auto known = pool.known.find(key_of(question));
    if (known == pool.known.end() || known->second.until <= MonotonicClock::now())
        return false;
    question.answer(known->second.decision);
    return true;
}

void SqlAuthService::next(Pool& pool) {
    for (const auto& seat : pool.seats) {
        if (pool.waiting.empty())
            return;
        if (seat->question)
            continue;
        while (!pool.waiting.empty() && answer_known(pool, pool.waiting.front()))
            pool.waiting.pop_front();
        if (pool.waiting.empty())
            return;
        seat->question = std::make_unique<Question>(std::move(pool.waiting.front()));
        pool.waiting.pop_front();
        // The server cancels a statement itself; this is for a server that does not respond at all.
        seat->patience.start(static_cast<uint64_t>(options_.sql_timeout.count()) * 2,
                             [this, each = seat.get()] { close(*each, "no answer in time"); });
        seat->idle.stop();
        if (seat->ready) {
            put(*seat);
        } else if (!seat->connecting) {
            seat->connecting = true;
            seat->connection.open(pool.conninfo);
        }
    }
}

void SqlAuthService::settle(Seat& seat) {
    seat.connection.query(
        "SELECT set_config('statement_timeout', $1, false), set_config('lock_timeout', $1, false)",
        {std::to_string(options_.sql_timeout.count())}, [this, &seat](const PgResult& result) {
            result.ok() ? find_function(seat) : fail(seat, result.error());
        });
}

// It is looked for once, by its exact arguments, and called by its schema and name from then on. What it
// names itself is found in its own schema, unless it sets a search_path.
void SqlAuthService::find_function(Seat& seat) {
    seat.connection.query(FIND_FUNCTION, {options_.sql_function}, [this, &seat](const PgResult& result) {
        seat.connecting = false;
        if (!result.ok())
            return fail(seat, result.error());
        if (result.rows() == 0)
            return fail(seat, fmt::format("there is no function {}(jsonb, text[])", options_.sql_function));
        seat.function = result.text(0, 0);
        seat.ready = true;
        if (seat.question)
            put(seat);
    });
}

void SqlAuthService::put(Seat& seat) {
    seat.connection.query(
        // It may have a second column, `member`; an array alone is its own row, which has none.
        fmt::format("SELECT pg_catalog.array_to_json(answer.channels), "
                    "pg_catalog.to_jsonb(answer) OPERATOR(pg_catalog.->>) 'member' "
                    "FROM {}($1::pg_catalog.jsonb, $2::pg_catalog.text[]) AS answer (channels)",
                    seat.function),
        {seat.question->request, pg_array(seat.question->channels)},
        [this, &seat](const PgResult& result) { answered(seat, result); });
}

void SqlAuthService::answered(Seat& seat, const PgResult& result) {
    if (!seat.question)
        return;
    if (!result.ok()) {
        static log::Limited lines("failed questions to --auth-sql-function", 5);
        lines.write(log::Level::error, "--auth-sql-function {} failed: {}", options_.sql_function,
                    result.error());
        return give(seat, Refusal{close_code::TRY_AGAIN_LATER, "the function that authorizes has failed"});
    }
    const Decision decision = decide(*seat.question, result);
    keep(seat.pool, key_of(*seat.question), decision);
    give(seat, decision);
}

void SqlAuthService::keep(Pool& pool, std::string key, const Decision& decision) {
    size_t bytes = key.size() + sizeof(Known);
    if (const auto* grant = std::get_if<Grant>(&decision))
        bytes += held_bytes(grant->channels) + held_bytes(grant->refused);
    if (pool.known.size() >= MAX_KNOWN || pool.known_bytes + bytes > MAX_KNOWN_BYTES) {
        pool.known.clear();
        pool.known_bytes = 0;
    }
    pool.known_bytes += bytes;
    pool.known.insert_or_assign(std::move(key), Known{decision, MonotonicClock::now() + options_.sql_cache});
}

Decision SqlAuthService::decide(const Question& question, const PgResult& result) const {
    if (result.rows() == 0 || result.is_null(0, 0))
        return Refusal{close_code::SESSION_EXPIRED, "the function that authorizes has refused"};
    Grant grant{.database = question.database, .channels = {}};
    const std::string_view text = result.text(0, 0);
    const Json granted(json_loadb(text.data(), text.size(), 0, nullptr));
    for (size_t i = 0; i < json_array_size(granted.get()); ++i)
        if (const json_t* channel = json_array_get(granted.get(), i); json_is_string(channel))
            grant.channels.emplace_back(json_string_value(channel), json_string_length(channel));
    for (const std::string& name : question.channels) {
        std::string stored;
        if (!write_channel(stored, grant.database, name) ||
            std::ranges::find(grant.channels, stored) == grant.channels.end())
            grant.refused.push_back(name);
    }
    grant.member = result.text(0, 1);
    grant.renew_at = MonotonicClock::now() + options_.sql_grant;
    grant.end_code = close_code::KEEP_ALIVE_TIMEOUT;
    return grant;
}

// The connection was lost, or the server does not respond on it.
void SqlAuthService::fail(Seat& seat, const std::string& reason) {
    seat.connecting = seat.ready = false;
    if (stopping_ || !seat.question)
        return;
    static log::Limited lines("lost connections of --auth sql", 5);
    lines.write(log::Level::warning, "clients of database \"{}\" cannot be authorized: {}",
                seat.pool.database, reason);
    give(seat, Refusal{close_code::TRY_AGAIN_LATER, "the database cannot be asked"});
}

void SqlAuthService::give(Seat& seat, Decision decision) {
    seat.patience.stop();
    const auto question = std::move(seat.question);
    question->answer(std::move(decision));
    next(seat.pool);
    if (!seat.question)
        seat.idle.start(IDLE_MS, [this, &seat] { close(seat, "it is idle"); });
}

} // namespace odoo_bus

// Asks a function in the database for grants: a thread of its own, with few connections and short time-outs.
// Each database has a pool of connections and a queue of questions.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "auth/authorizer.h"
#include "base/clock.h"
#include "base/keyed_hash.h"
#include "base/loop.h"
#include "base/timer.h"
#include "config/options.h"
#include "http/memory_account.h"
#include "postgres/pg_connection.h"

namespace odoo_bus {

class SqlAuthService {
public:
    struct Question {
        std::string database;
        std::string request; // JSON: the request, as the function gets it
        std::vector<std::string> channels;
        bool may_be_known = false;                       // a recent answer to the same question will do
        std::function<void(Decision)> answer;            // called on the service's thread
        std::shared_ptr<const MemoryCharge> charge = {}; // what the question holds
    };

    SqlAuthService(const Options& options, const std::vector<std::string>& names);
    ~SqlAuthService();

    void start();
    void stop();

    // --- from any thread ---

    // A database that was discovered, or may be connected to again.
    void expect(const std::string& database);
    // Closes its connections.
    void let_go(const std::string& database);
    void forget(const std::string& database);
    void ask(Question question);
    // Refuses questions that wait, of accounts that hold more than they may keep.
    void shed();

private:
    struct Pool;

    // A connection, and the question that is being asked on it.
    struct Seat {
        Seat(Pool& of, uv_loop_t* loop);
        Pool& pool;
        PgConnection connection;
        Timer patience;
        Timer idle;
        bool connecting = false;
        bool ready = false;   // the connection has its settings
        std::string function; // that authorizes, quoted, with its schema
        std::unique_ptr<Question> question;
    };
    struct Known {
        Decision decision;
        Monotonic until;
    };
    struct Pool {
        SqlAuthService& auth_service;
        std::string database;
        std::string conninfo;
        std::vector<std::unique_ptr<Seat>> seats = {};
        std::deque<Question> waiting = {};
        bool away = false; // no connection to it may be opened
        KeyedMap<std::string, Known> known = {};
        size_t known_bytes = 0;
    };

    void add_seats(Pool& pool);
    void close(Seat& seat, const std::string& why);
    void take(Question question);
    bool answer_known(Pool& pool, const Question& question);
    void next(Pool& pool);
    void settle(Seat& seat);
    void find_function(Seat& seat);
    void put(Seat& seat);
    void keep(Pool& pool, std::string key, const Decision& decision);
    void answered(Seat& seat, const PgResult& result);
    void fail(Seat& seat, const std::string& reason);
    void give(Seat& seat, Decision decision);
    Decision decide(const Question& question, const PgResult& result) const;

    const Options options_;
    std::map<std::string, std::unique_ptr<Pool>> pools_; // by database
    Loop loop_;
    bool stopping_ = false;
};

} // namespace odoo_bus

// Asks the service threads about their clients, for GET /clients.json. Belongs to the thread of the metrics.
//
// However many ask, each thread is asked for the slowest clients at most once a second, and about one channel
// once at a time. A thread that does not answer within a second is left out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/loop.h"
#include "base/timer.h"
#include "clients/client_list.h"

namespace odoo_bus {

class ClientQueries {
public:
    // Asks every thread, as Service::list_clients() does, and returns how many these are.
    using AskThreads =
        std::function<size_t(const std::string& channel, std::function<void(ClientList)> answer)>;
    using Answer = std::function<void(const std::string& json)>;

    ClientQueries(Loop& loop, AskThreads ask_threads);

    // `channel`: empty, or of clients_of_channel().
    void ask(const std::string& channel, Answer answer);

private:
    struct Query {
        Query(uv_loop_t* loop, uint64_t query_number) : number(query_number), deadline(loop) {}

        const uint64_t number;
        const Monotonic began = MonotonicClock::now();
        size_t threads = 0, answered = 0;
        ClientList list;
        std::vector<Answer> waiting;
        Timer deadline;
    };

    void add(const std::string& channel, uint64_t number, ClientList&& list);
    void finish(const std::string& channel);
    static std::string json_of(const Query& query);

    Loop& loop_;
    const AskThreads ask_threads_;
    std::map<std::string, Query> running_; // by channel
    uint64_t last_number_ = 0;
    std::string newest_; // of the slowest clients, asked for at newest_at_
    Monotonic newest_at_;
};

} // namespace odoo_bus

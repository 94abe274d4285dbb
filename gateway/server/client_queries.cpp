// Asks the service threads about their clients.
#include "server/client_queries.h"

#include <cstdlib>
#include <memory>
#include <utility>

#include "base/json.h"
#include "base/log.h"

namespace odoo_bus {

namespace {

constexpr std::chrono::milliseconds THREADS_ANSWER_WITHIN{1000};
constexpr std::chrono::seconds KEPT_FOR{1};

constexpr const char* TRANSPORTS[] = {"websocket", "events", "poll"};

json_t* text(const std::string& bytes) {
    json_t* const string = json_stringn(bytes.data(), bytes.size());
    return string ? string : json_string(log::printable(bytes).c_str()); // not UTF-8
}

double seconds(Duration duration) {
    return std::chrono::duration<double>(duration).count();
}

json_t* json_of(const ClientList::Client& each) {
    return json_pack("{s:o,s:s,s:o,s:I,s:b,s:I,s:I,s:f}", "address", text(each.address), "transport",
                     TRANSPORTS[static_cast<size_t>(each.transport)], "database", text(each.database),
                     "channels", static_cast<json_int_t>(each.channels), "behind", each.is_behind,
                     "queued_bytes", static_cast<json_int_t>(each.queued_bytes), "memory_bytes",
                     static_cast<json_int_t>(each.memory_bytes), "connected_seconds",
                     seconds(each.connected));
}

json_t* json_of(const ClientList::Channel& each) {
    return json_pack("{s:o,s:o,s:I}", "database", text(each.database), "name", text(each.name), "subscribers",
                     static_cast<json_int_t>(each.subscribers));
}

} // namespace

ClientQueries::ClientQueries(Loop& loop, AskThreads ask_threads)
    : loop_(loop), ask_threads_(std::move(ask_threads)) {}

void ClientQueries::ask(const std::string& channel, Answer answer) {
    if (channel.empty() && !newest_.empty() && MonotonicClock::now() - newest_at_ < KEPT_FOR)
        return answer(newest_);
    const auto [it, is_new] = running_.try_emplace(channel, loop_.uv(), last_number_ + 1);
    Query& query = it->second;
    query.waiting.push_back(std::move(answer));
    if (!is_new)
        return;
    const uint64_t number = ++last_number_;
    query.deadline.start(THREADS_ANSWER_WITHIN.count(), [this, channel] { finish(channel); });
    query.threads = ask_threads_(channel, [this, channel, number](ClientList list) {
        loop_.post([this, channel, number, list = std::make_shared<ClientList>(std::move(list))] {
            add(channel, number, std::move(*list));
        });
    });
}

void ClientQueries::add(const std::string& channel, uint64_t number, ClientList&& list) {
    const auto it = running_.find(channel);
    if (it == running_.end() || it->second.number != number)
        return; // it was not waited for any longer
    merge(it->second.list, std::move(list));
    if (++it->second.answered == it->second.threads)
        finish(channel);
}

void ClientQueries::finish(const std::string& channel) {
    const auto done = running_.extract(channel);
    const Query& query = done.mapped();
    const std::string json = json_of(query);
    if (channel.empty()) {
        newest_ = json;
        newest_at_ = query.began;
    }
    for (const Answer& answer : query.waiting)
        answer(json);
}

std::string ClientQueries::json_of(const Query& query) {
    json_t* const clients = json_array();
    for (const ClientList::Client& each : query.list.clients)
        json_array_append_new(clients, odoo_bus::json_of(each));
    json_t* const channels = json_array();
    for (const ClientList::Channel& each : query.list.channels)
        json_array_append_new(channels, odoo_bus::json_of(each));
    const Json object(
        json_pack("{s:I,s:I,s:b,s:f,s:o,s:o}", "threads", static_cast<json_int_t>(query.threads), "answered",
                  static_cast<json_int_t>(query.answered), "complete", query.list.is_complete,
                  "thread_seconds", seconds(query.list.took), "clients", clients, "channels", channels));
    char* const dumped = json_dumps(object.get(), JSON_COMPACT | JSON_REAL_PRECISION(9));
    std::string text = dumped ? dumped : "";
    free(dumped);
    return text;
}

} // namespace odoo_bus

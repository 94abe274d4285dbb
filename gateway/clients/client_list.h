// What a service thread tells an administrator of its clients: the slowest, and the biggest channels; or who
// is subscribed to one channel. Nothing of it is what they are sent.
//
// To be asked about once a second: each call looks at all clients of the thread, and at MOST_CHANNELS
// channels at most, so that it holds the thread up for milliseconds.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "clients/database_feed.h"
#include "http/admission.h"

namespace odoo_bus {

class Session;

struct ClientList {
    struct Client {
        std::string address; // empty: not known
        Transport transport;
        std::string database; // empty: it has no subscription
        size_t channels;
        bool is_behind;        // something waits for it
        uint64_t queued_bytes; // of notifications, see Subscriber::queued_bytes()
        uint64_t memory_bytes; // that are held for it
        Duration connected;
    };
    struct Channel {
        std::string database;
        std::string name; // as stored
        size_t subscribers;
    };

    static constexpr size_t MOST_CLIENTS = 100;      // in a list
    static constexpr size_t MOST_BIG_CHANNELS = 100; // likewise
    static constexpr size_t MOST_CHANNELS = 50'000;  // that are looked at

    std::vector<Client> clients;   // the slowest first
    std::vector<Channel> channels; // the biggest first; or the one that was asked for, of each database
    bool is_complete = true;       // false: there are more than MOST_CHANNELS
    Duration took{};               // of the thread's time
};

using SessionMap = std::unordered_map<uint64_t, std::unique_ptr<Session>>;
using FeedMap = std::map<std::string, std::unique_ptr<DatabaseFeed>>;

ClientList slowest_clients(const SessionMap& sessions, const FeedMap& feeds);
// `channel`: as stored, or the text x that stands for ["<database>","x"].
ClientList clients_of_channel(const FeedMap& feeds, const std::string& channel);

// The most urgent first, and no more than MOST_CLIENTS and MOST_BIG_CHANNELS.
void merge(ClientList& all, ClientList&& more);

} // namespace odoo_bus

// A table of notifications, gateways that dispatch it, and connections that resume there as Session has them
// do, without a database or a socket.
#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "clients/catch_up.h"
#include "clients/resume.h"

namespace odoo_bus {

using Ids = std::vector<Id>;
using Random = std::mt19937_64;

struct Table {
    std::map<Id, std::string> rows; // that are still there, each with its channel
    std::map<Id, std::string> open; // drawn by transactions that have not ended
    Id last_id = 0;
};

// What one gateway dispatched, and the parts of the product that decide where its clients resume.
class SimulatedFeed {
public:
    explicit SimulatedFeed(std::string name) : id(std::move(name)) { feed.ready = true; }

    // The rows of one snapshot, ordered by id; `pause` is called between its batches.
    template <class Pause>
    void read(const Table& table, Random& random, Pause pause) {
        Batch rows;
        for (const auto& [row, channel] : table.rows)
            if (!known.contains(row))
                rows.push_back({.id = row,
                                .position = dispatched.size() + rows.size() + 1,
                                .fingerprint = 0,
                                .dispatched = {},
                                .ahead = false,
                                .channel = channel,
                                .element = "{\"id\":" + std::to_string(row) + ",\"message\":0}"});
        for (size_t begin = 0; begin < rows.size();) {
            if (begin > 0)
                pause();
            const size_t end = std::min(rows.size(), begin + 1 + random() % 4);
            auto batch = std::make_shared<Batch>(rows.begin() + static_cast<std::ptrdiff_t>(begin),
                                                 rows.begin() + static_cast<std::ptrdiff_t>(end));
            for (Notification& notification : *batch) {
                notification.dispatched = MonotonicClock::now();
                known.insert(notification.id);
                dispatched.push_back(notification);
                feed.newest = std::max(feed.newest, notification.id);
            }
            feed.fan_out.publish(std::move(batch), 0);
            begin = end;
        }
    }
    void evict(Position keep_from) { feed.fan_out.publish(nullptr, keep_from); }
    // What the table answers: rows that this gateway has dispatched, and how `last` stands.
    ReplayAnswer page(const Table& table, Id last, const std::vector<std::string>& channels) const {
        constexpr size_t PAGE_ROWS = 3;
        ReplayAnswer page;
        page.last_exists = table.rows.contains(last);
        page.pending = page.last_exists && !known.contains(last);
        size_t count = 0;
        for (auto row = table.rows.upper_bound(last); row != table.rows.end() && count < PAGE_ROWS; ++row) {
            if (std::ranges::find(channels, row->second) == channels.end())
                continue;
            ++count;
            page.next = row->first;
            if (known.contains(row->first))
                page.elements.push_back(
                    {row->first, row->second, "{\"id\":" + std::to_string(row->first) + ",\"message\":0}"});
        }
        page.more = count == PAGE_ROWS;
        return page;
    }
    // With nothing dispatched.
    void begin() {
        known.clear();
        dispatched.clear();
        feed.newest = 0;
        restart();
    }
    // A new process, with the order of the former one.
    void restart() {
        moved_clients = std::make_unique<MovedClients>();
        feed.fan_out.forget_history(0);
        if (!dispatched.empty())
            feed.fan_out.adopt(std::make_shared<Batch>(dispatched));
        ++incarnation;
    }

    const std::string id;
    DatabaseFeed feed{"db", {.queue_bytes = SIZE_MAX, .queue_time = Duration::max(), .frame_bytes = 60}};
    std::unique_ptr<MovedClients> moved_clients = std::make_unique<MovedClients>();
    std::vector<Notification> dispatched; // by position
    std::set<Id> known;
    int incarnation = 0;
};

// What Session makes of decisions, without a socket.
class Connection final : public Subscriber, private CatchUp::Owner {
public:
    Connection(SimulatedFeed& gateway, Table& table, const Provenance& from)
        : gateway_(gateway), table_(table), from_(from) {}
    ~Connection() override { gateway_.feed.fan_out.unsubscribe(*this); }

    void subscribe(const Subscribe& subscribe, Monotonic now) {
        const ResumeDecision decision = std::exchange(is_first_, false)
                                            ? resume().first(subscribe, subscribe.channels, now)
                                            : resume().later(subscribe, subscribe.channels, *this);
        from_table = std::holds_alternative<FromTable>(decision);
        if (const auto* from = std::get_if<FromTable>(&decision)) {
            catch_up_ =
                std::make_unique<CatchUp>(gateway_.feed, *this, static_cast<CatchUp::Owner&>(*this), *from);
            catch_up_->start(subscribe.channels);
        } else {
            gateway_.feed.fan_out.subscribe(*this, subscribe.channels,
                                            std::get<FromHistory>(decision).position);
        }
    }
    // One page, if one is asked for.
    void answer() {
        if (!asked_)
            return;
        const auto [last, channels] = *std::exchange(asked_, std::nullopt);
        if (catch_up_->answered(gateway_.page(table_, last, channels), resume()) == CatchUp::Progress::done)
            catch_up_.reset();
    }
    void drain(int frames) {
        room_ = frames;
        if (catch_up_)
            catch_up_->on_writable();
        else
            gateway_.feed.fan_out.drain(*this);
    }
    // Until it has everything.
    void settle() {
        drain(1'000'000);
        while (catch_up_)
            answer();
        drain(1'000'000);
    }
    bool is_catching_up() const { return catch_up_ != nullptr; }
    const Provenance& provenance() const { return from_; }
    Resume resume() const { return Resume(gateway_.feed, *gateway_.moved_clients, from_); }

    bool writable() override { return room_ > 0; }
    void write(const std::string& frame) override {
        for (size_t at = 0; (at = frame.find("\"id\":", at)) != std::string::npos; ++at)
            received.push_back(std::stoll(frame.substr(at + 5)));
        --room_;
    }
    void want_writable() override {}
    void fell_behind(std::string_view) override { has_fallen_behind = true; }

    Ids received;
    bool from_table = false;
    bool has_fallen_behind = false;
    bool is_outdated = false;
    bool is_reset = false;

private:
    void ask_table(Id last, const std::vector<std::string>& channels) override { asked_ = {last, channels}; }
    void tell_last_id_reset(Id) override { is_reset = true; }
    void tell_outdated() override { is_outdated = true; }

    SimulatedFeed& gateway_;
    Table& table_;
    const Provenance from_;
    bool is_first_ = true;
    int room_ = 1'000'000;
    std::unique_ptr<CatchUp> catch_up_;
    std::optional<std::pair<Id, std::vector<std::string>>> asked_;
};

} // namespace odoo_bus

// One database's fan-out on one service thread: its history, its channels and their subscribers.
//
// Invariants:
//
// 1. history_ holds the positions oldest()..head() without a hole, in dispatch order.
// 2. A subscriber that is not behind has been given everything of its channels up to head().
// 3. A subscriber that is behind has been given everything of its channels below next_, except what its
// subscription
//    to a channel starts after; its backlog is that position, never a copy.
// 4. A subscriber that is not confirmed is behind from the first notification on a personal channel on, until
//    confirm() or pass().
// 5. A channel exists while it has a subscriber or a notification in the history.
//
// Nothing here is shared with another thread except the notifications, which are immutable.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/keyed_hash.h"
#include "clients/positions.h"
#include "protocol/frame_cache.h"
#include "protocol/notification.h"

namespace odoo_bus {

class FanOut;
struct Channel;

struct Subscription {
    Channel* channel;
    Position since; // it starts after this position
    uint32_t slot;  // its place in channel->subscribers
    bool personal;  // see GrantedChannels
};

// What a subscriber is granted. What is sent on the personal ones of the channels waits, from
// `confirmed_until` on, until the grant is confirmed.
struct GrantedChannels {
    GrantedChannels(std::span<const std::string> granted) : names(granted) {}
    GrantedChannels(const std::vector<std::string>& granted) : names(granted) {}
    GrantedChannels(std::span<const std::string> granted, const std::vector<bool>& granted_personally,
                    Monotonic until)
        : names(granted), personal(&granted_personally), confirmed_until(until) {}

    std::span<const std::string> names;
    const std::vector<bool>* personal = nullptr; // of each name; null, or empty: none is
    Monotonic confirmed_until = Monotonic::max();
};

// A connection as the fan-out sees it. All of it belongs to one service thread.
class Subscriber {
public:
    virtual ~Subscriber() = default;

    // True when a frame that is written now leaves at once.
    virtual bool writable() = 0;
    // `frame`: one text frame's payload behind FRAME_HEADROOM bytes.
    virtual void write(const std::string& frame) = 0;
    // It will be written to soon: what that needs may be brought into the processor's caches.
    virtual void expect_write() const {}
    // Asks for one call of FanOut::drain() when writable() has become true.
    virtual void want_writable() = 0;
    // It is further behind than it may be, or than the history reaches: to be closed, so that it resumes.
    virtual void fell_behind(std::string_view why) = 0;
    // Asks for one call of FanOut::confirm() or FanOut::pass().
    virtual void want_confirmation() {}

    bool is_behind() const { return backlog_ != Backlog::none; }
    // The position of the newest notification that it was given, or where it began.
    Position delivered() const { return delivered_; }
    // What waits for it, if it had caught up before.
    uint64_t queued_bytes() const { return queued_; }
    size_t subscriptions() const { return subscriptions_.size(); }
    // No channel that is added begins before this position.
    Position floor() const { return floor_; }
    // Of what write() is given.
    FrameFormat format() const { return format_; }
    bool is_confirmed(Monotonic now) const { return now < confirmed_until_; }
    // What waits for it waits for confirm() or pass().
    bool wants_confirmation() const { return wants_confirmation_; }

protected:
    FrameFormat format_ = FrameFormat::plain;

private:
    friend class FanOut;

    std::vector<Subscription> subscriptions_;
    Position next_ = 1;
    Position delivered_ = 0;
    Position floor_ = 0;  // a channel that it left may have been given up to here: never begin before
    uint64_t queued_ = 0; // bytes that wait since it had caught up
    Monotonic progress_;  // when a frame was last written to it
    Monotonic confirmed_until_;
    Position passed_ = 0; // up to here it is given everything, although it is not confirmed
    enum class Backlog : uint8_t {
        none,
        single, // of what is enqueued, next_ is all that concerns it
        recent, // what has come since it had caught up
        older,  // it has not caught up since it asked for older notifications
    } backlog_ = Backlog::none;
    bool held_ = false;
    bool wants_confirmation_ = false;
    bool touched_ = false; // waits for flush()
};

struct Channel {
    struct Entry {
        Subscriber* subscriber;
        uint32_t index; // of its subscription among subscriber->subscriptions_
    };

    std::string name; // as stored
    std::vector<Entry> subscribers;
    Positions positions;
    uint32_t news = UINT32_MAX; // its place among FanOut::news_, if it has any
};

class FanOut {
public:
    struct Bounds {
        size_t queue_bytes;                 // how much may wait for a subscriber that had caught up
        Duration queue_time;                // and for how long
        size_t frame_bytes = 64 * 1024;     // about the longest frame that a backlog is drained in
        size_t enqueued_bytes = 256 * 1024; // more than this does not wait for flush() to be called
    };

    explicit FanOut(Bounds bounds) : bounds_(bounds) {}

    // --- what the database tells ---

    // The next notifications, to be written at the next flush(), which then forgets the history before
    // `keep_from`. What comes in quick succession is written together: one frame for each subscriber, not one
    // for each batch.
    void enqueue(BatchPtr batch, Position keep_from);
    void flush();
    void publish(BatchPtr batch, Position keep_from) {
        enqueue(std::move(batch), keep_from);
        flush();
    }
    // What was dispatched before this thread could: it can be replayed, and is not sent now.
    void adopt(BatchPtr batch);
    // Nothing that was dispatched is known any more; positions go on after `head`.
    void forget_history(Position head);
    // Rows that PostgreSQL lost in a crash: they are not replayed any more.
    void forget(std::span<const Position> positions);

    // --- what subscribers ask ---

    // Replaces the subscriptions. A channel that is new to the subscriber starts after `since`, the others go
    // on.
    void subscribe(Subscriber& subscriber, const GrantedChannels& channels, Position since);
    // Those of the channels that it is not subscribed to.
    static std::vector<std::string> new_to(const Subscriber& subscriber,
                                           std::span<const std::string> channels);
    void unsubscribe(Subscriber& subscriber);
    // A held subscriber is given nothing; what is dispatched meanwhile waits for it.
    void hold(Subscriber& subscriber) { subscriber.held_ = true; }
    void release(Subscriber& subscriber);
    // The grant is confirmed: what has waited for that is written.
    void confirm(Subscriber& subscriber, Monotonic until);
    // It was not confirmed in time: what has waited is written nevertheless, and counted.
    void pass(Subscriber& subscriber);
    // For notifications that are written past the fan-out: whether they have to wait for confirm() or pass().
    bool must_wait(Subscriber& subscriber);
    void count_unconfirmed(size_t notifications) const;
    bool is_personal(const Subscriber& subscriber, std::string_view channel) const;
    // Writes what waits for it, as long as it is writable.
    void drain(Subscriber& subscriber);
    // To be called about once a second for a subscriber that is behind.
    void check_progress(Subscriber& subscriber, Monotonic now);

    // --- the history ---

    Position head() const { return head_; }
    Position oldest() const { return head_ + 1 - history_.size(); }
    std::optional<Position> position_of(Id id) const;
    // The newest position that was dispatched before `time`, or the one before oldest().
    Position before(Monotonic time) const;
    // The newest position before which no id above `id` was dispatched, or the one before oldest(). Ids that
    // were chosen do not count.
    Position before_ids_above(Id id) const;
    const Notification& at(Position position) const { return *history_[position - oldest()]; }

    using Index = KeyedMap<std::string_view, std::unique_ptr<Channel>>; // the key is the channel's own name
    const Index& index() const { return channels_; }
    size_t channels() const { return channels_.size(); }

private:
    // What was enqueued on a channel and its subscribers do not know yet: each is told once, however much it
    // is.
    struct News {
        Channel* channel;
        Position first;
        size_t first_bytes;
        size_t bytes; // with the first
        uint32_t count;
    };

    using Backlog = Subscriber::Backlog;

    Channel& channel(const std::string& name);
    void release_channel(Channel& channel);
    void add_subscription(Subscriber& subscriber, Channel& channel, Position since, bool personal);
    void remove_subscription(Subscriber& subscriber, size_t index);
    void evict(Position keep_from);
    Channel* record(const Notification& notification);
    void note_news(Channel& channel, const Notification& notification);
    void tell_news();
    void touch(Subscriber& subscriber, const News& news);
    void flush(Subscriber& subscriber);
    Position first_unconfirmed(const Subscriber& subscriber) const;
    size_t personal_of(const Subscriber& subscriber, std::span<const Position> positions) const;
    void await_confirmation(Subscriber& subscriber);
    // Those before `end`.
    void collect(const Subscriber& subscriber, Position end, std::vector<Position>& positions) const;
    size_t write(Subscriber& subscriber, std::span<const Position> positions);

    Bounds bounds_;
    Position head_ = 0;
    std::deque<const Notification*> history_;
    std::deque<Id> reached_;       // the greatest id that was dispatched up to each position of history_
    std::deque<BatchPtr> batches_; // what history_ points into
    KeyedMap<Id, Position> positions_;
    Index channels_;
    std::vector<News> news_; // by `first`
    std::vector<Subscriber*> touched_, flushing_;
    Monotonic flushed_at_;      // when the last flush() began
    Position keep_from_ = 0;    // what flush() is to keep of the history
    size_t enqueued_bytes_ = 0; // since the last flush()
    std::vector<Position> collected_;
    FrameCache frame_cache_;
};

} // namespace odoo_bus

// One database's fan-out on one service thread: see fan_out.h for its invariants.
#include "clients/fan_out.h"

#include <algorithm>
#include <iterator>
#include <queue>

#include "base/clock.h"
#include "base/keyed_hash.h"
#include "metrics/metrics.h"

namespace odoo_bus {

namespace {

const metrics::Counter frames("odoo_bus_frames_total",
                              "Frames with notifications that were queued for connections.");
const metrics::Counter
    deliveries("odoo_bus_deliveries_total",
               "Notifications that were queued for connections, counted once for each connection.");
const metrics::Gauge subscriptions("odoo_bus_subscriptions", "Subscriptions: channels of all connections.");
const metrics::Gauge
    known_channels("odoo_bus_channels",
                   "Channels with a subscriber or a notification in the history, summed over the threads.");
const metrics::Histogram read_to_socket("odoo_bus_read_to_socket_seconds",
                                        "Time from the read that returned a notification to the write of "
                                        "its frame; the oldest notification of a frame counts. Resumes "
                                        "are left out.",
                                        metrics::LATENCY_US);
const metrics::Histogram written_to_socket(
    "odoo_bus_written_to_socket_seconds",
    "Time from the beginning of the transaction that wrote the row (its create_date, by the "
    "clock of the database server) to the write of its frame.",
    metrics::LATENCY_US);
const metrics::Counter unconfirmed("odoo_bus_delivered_unconfirmed_total",
                                   "Notifications on personal channels that were queued although the grant "
                                   "could not be confirmed in time.");

} // namespace

// --- what the database tells ---

void FanOut::enqueue(BatchPtr batch, Position keep_from) {
    keep_from_ = std::max(keep_from_, keep_from);
    if (!batch || batch->empty())
        return;
    for (const Notification& notification : *batch) {
        enqueued_bytes_ += notification.element.size();
        if (Channel* const target = record(notification); target && !target->subscribers.empty())
            note_news(*target, notification);
    }
    batches_.push_back(std::move(batch));
    if (enqueued_bytes_ > bounds_.enqueued_bytes)
        flush();
}

void FanOut::note_news(Channel& channel, const Notification& notification) {
    const size_t bytes = notification.element.size();
    if (channel.news == UINT32_MAX) {
        channel.news = static_cast<uint32_t>(news_.size());
        news_.push_back({&channel, notification.position, bytes, 0, 0});
    }
    News& news = news_[channel.news];
    news.bytes += bytes;
    ++news.count;
}

// To be called before anything is decided by what a subscriber is behind with.
void FanOut::tell_news() {
    for (const News& news : news_) {
        news.channel->news = UINT32_MAX;
        for (const Channel::Entry& entry : news.channel->subscribers)
            touch(*entry.subscriber, news);
    }
    news_.clear();
}

void FanOut::flush() {
    tell_news();
    enqueued_bytes_ = 0;
    flushed_at_ = MonotonicClock::now();
    flushing_.swap(touched_);
    for (size_t i = 0; i < flushing_.size(); ++i) {
        // Each send() leaves little of them in the processor's caches.
        if (i + 4 < flushing_.size())
            __builtin_prefetch(flushing_[i + 4]);
        if (i + 2 < flushing_.size())
            flushing_[i + 2]->expect_write();
        Subscriber& subscriber = *flushing_[i];
        subscriber.touched_ = false;
        flush(subscriber);
    }
    flushing_.clear();
    evict(keep_from_);
}

void FanOut::adopt(BatchPtr batch) {
    for (const Notification& notification : *batch)
        record(notification);
    batches_.push_back(std::move(batch));
}

// Null for a position whose row is gone.
Channel* FanOut::record(const Notification& notification) {
    history_.push_back(&notification);
    reached_.push_back(
        std::max(reached_.empty() ? 0 : reached_.back(), notification.ahead ? 0 : notification.id));
    head_ = notification.position;
    // A client that was given it may name it, though its row is gone. Of an id that was drawn again the first
    // position counts: nothing after it is lost.
    positions_.try_emplace(notification.id, notification.position);
    if (notification.channel.empty())
        return nullptr;
    Channel& target = channel(notification.channel);
    target.positions.push_back(notification.position);
    return &target;
}

void FanOut::touch(Subscriber& subscriber, const News& news) {
    size_t waits = news.bytes;
    if (subscriber.backlog_ == Backlog::none) {
        subscriber.backlog_ = news.count == 1 ? Backlog::single : Backlog::recent;
        subscriber.touched_ = true;
        subscriber.next_ = news.first;
        touched_.push_back(&subscriber);
        // A single notification may be larger than the bound: only what waits behind it counts.
        waits -= news.first_bytes;
    } else if (subscriber.backlog_ == Backlog::single) {
        subscriber.backlog_ = Backlog::recent;
    }
    if (subscriber.backlog_ != Backlog::older)
        subscriber.queued_ += waits;
}

void FanOut::flush(Subscriber& subscriber) {
    if (subscriber.backlog_ != Backlog::single)
        return drain(subscriber);
    subscriber.backlog_ = Backlog::recent;
    if (subscriber.held_)
        return;
    if (!subscriber.writable())
        return subscriber.want_writable();
    if (!subscriber.is_confirmed(flushed_at_) && is_personal(subscriber, at(subscriber.next_).channel))
        return await_confirmation(subscriber);
    write(subscriber, {&subscriber.next_, 1});
    subscriber.backlog_ = Backlog::none;
}

void FanOut::evict(Position keep_from) {
    while (!history_.empty() && oldest() < keep_from) {
        const Notification& notification = *history_.front();
        if (auto it = positions_.find(notification.id);
            it != positions_.end() && it->second == notification.position)
            positions_.erase(it);
        if (!notification.channel.empty()) {
            Channel& target = channel(notification.channel);
            if (auto first = target.positions.from(0); !first.empty() && first[0] == notification.position)
                target.positions.pop_front();
            release_channel(target);
        }
        history_.pop_front();
        reached_.pop_front();
        while (!batches_.empty() && batches_.front()->back().position < oldest())
            batches_.pop_front();
    }
}

void FanOut::forget_history(Position head) {
    flush();
    evict(head_ + 1);
    head_ = head;
    keep_from_ = 0;
    frame_cache_.clear();
}

void FanOut::forget(std::span<const Position> positions) {
    flush();
    for (const Position position : positions) {
        if (position < oldest() || position > head_)
            continue;
        Channel& target = channel(at(position).channel);
        target.positions.remove(position);
        release_channel(target);
    }
}

// --- what subscribers ask ---

void FanOut::subscribe(Subscriber& subscriber, const GrantedChannels& granted, Position since) {
    tell_news();
    if (subscriber.touched_)
        drain(subscriber); // what came on a channel that it leaves now
    const Position settled = subscriber.is_behind() ? subscriber.next_ - 1 : head_;
    const bool first = subscriber.subscriptions_.empty() && subscriber.delivered_ == 0;
    since = std::min(since, head_);

    struct Wanted {
        Channel* channel;
        bool personal;
    };
    const bool any_personal = granted.personal && !granted.personal->empty();
    std::vector<Wanted> wanted;
    wanted.reserve(granted.names.size());
    for (size_t i = 0; i < granted.names.size(); ++i)
        wanted.push_back({&channel(granted.names[i]), any_personal && (*granted.personal)[i]});
    std::ranges::sort(wanted, {}, &Wanted::channel);
    const auto repeated = std::ranges::unique(wanted, {}, &Wanted::channel);
    wanted.erase(repeated.begin(), repeated.end());

    std::vector<Channel*> kept;
    std::vector<Channel*> left;
    for (size_t i = subscriber.subscriptions_.size(); i-- > 0;) {
        Subscription& subscription = subscriber.subscriptions_[i];
        Channel* const old = subscription.channel;
        if (const auto again = std::ranges::lower_bound(wanted, old, {}, &Wanted::channel);
            again != wanted.end() && again->channel == old) {
            subscription.personal = again->personal;
            subscription.since = std::max(subscription.since, settled);
            kept.push_back(old);
        } else {
            left.push_back(old);
            remove_subscription(subscriber, i);
        }
    }
    std::ranges::sort(kept);

    const Position begin = std::max(since, subscriber.floor_);
    Position from = settled;
    subscriber.subscriptions_.reserve(wanted.size()); // and no more: most subscribe once
    for (const auto& [channel, personal] : wanted)
        if (!std::ranges::binary_search(kept, channel)) {
            add_subscription(subscriber, *channel, begin, personal);
            from = std::min(from, begin);
        }
    for (Channel* const channel : left)
        release_channel(*channel);
    if (!left.empty())
        subscriber.floor_ = std::max(subscriber.floor_, settled);

    if (first)
        subscriber.delivered_ = since;
    subscriber.confirmed_until_ = std::max(subscriber.confirmed_until_, granted.confirmed_until);
    subscriber.next_ = from + 1;
    if (from < settled) {
        subscriber.backlog_ = Backlog::older;
        subscriber.progress_ = MonotonicClock::now();
    }
    drain(subscriber);
}

std::vector<std::string> FanOut::new_to(const Subscriber& subscriber, std::span<const std::string> channels) {
    KeyedSet<std::string_view> known;
    for (const Subscription& subscription : subscriber.subscriptions_)
        known.insert(subscription.channel->name);
    std::vector<std::string> added;
    std::ranges::copy_if(channels, std::back_inserter(added),
                         [&known](const std::string& channel) { return !known.contains(channel); });
    return added;
}

void FanOut::unsubscribe(Subscriber& subscriber) {
    while (!subscriber.subscriptions_.empty()) {
        Channel& last = *subscriber.subscriptions_.back().channel;
        remove_subscription(subscriber, subscriber.subscriptions_.size() - 1);
        release_channel(last);
    }
    if (std::exchange(subscriber.touched_, false))
        std::erase(touched_, &subscriber);
    subscriber.backlog_ = Backlog::none;
    subscriber.wants_confirmation_ = false;
    subscriber.delivered_ = subscriber.floor_ = subscriber.passed_ = 0;
}

void FanOut::release(Subscriber& subscriber) {
    subscriber.held_ = false;
    drain(subscriber);
}

void FanOut::drain(Subscriber& subscriber) {
    tell_news();
    if (subscriber.backlog_ == Backlog::single)
        subscriber.backlog_ = Backlog::recent;
    if (!subscriber.is_behind() || subscriber.held_)
        return;
    if (subscriber.next_ < oldest())
        return subscriber.fell_behind("behind the history");
    const bool confirmed = subscriber.is_confirmed(MonotonicClock::now());
    const Position end = confirmed ? head_ + 1 : first_unconfirmed(subscriber);
    while (subscriber.writable()) {
        collected_.clear();
        collect(subscriber, end, collected_);
        if (collected_.empty()) {
            if (end <= head_)
                break;
            subscriber.backlog_ = Backlog::none;
            subscriber.queued_ = subscriber.passed_ = 0;
            return;
        }
        if (!confirmed)
            count_unconfirmed(personal_of(subscriber, collected_));
        subscriber.queued_ -= std::min(subscriber.queued_, write(subscriber, collected_));
        subscriber.next_ = collected_.back() + 1;
    }
    if (subscriber.queued_ > bounds_.queue_bytes)
        return subscriber.fell_behind("too much waits for it");
    if (subscriber.writable())
        await_confirmation(subscriber);
    else
        subscriber.want_writable();
}

void FanOut::check_progress(Subscriber& subscriber, Monotonic now) {
    if (!subscriber.is_behind() || subscriber.held_ || subscriber.next_ > head_)
        return;
    if (subscriber.queued_ > bounds_.queue_bytes)
        return subscriber.fell_behind("too much waits for it");
    if (subscriber.next_ < oldest())
        return subscriber.fell_behind("behind the history");
    if (subscriber.wants_confirmation_)
        return; // it is not the client that does not read
    const Monotonic waiting_since =
        subscriber.backlog_ == Backlog::older ? subscriber.progress_ : at(subscriber.next_).dispatched;
    if (now - waiting_since > bounds_.queue_time)
        subscriber.fell_behind("it does not read");
}

// --- confirmations ---

void FanOut::confirm(Subscriber& subscriber, Monotonic until) {
    subscriber.wants_confirmation_ = false;
    until = std::max(subscriber.confirmed_until_, until);
    subscriber.confirmed_until_ = Monotonic::max(); // for what has waited, however long that took
    drain(subscriber);
    subscriber.confirmed_until_ = until;
}

void FanOut::pass(Subscriber& subscriber) {
    if (!subscriber.wants_confirmation_)
        return; // it was confirmed meanwhile
    subscriber.wants_confirmation_ = false;
    subscriber.passed_ = head_;
    drain(subscriber);
}

bool FanOut::must_wait(Subscriber& subscriber) {
    if (subscriber.is_confirmed(MonotonicClock::now()))
        return false;
    await_confirmation(subscriber);
    return true;
}

void FanOut::count_unconfirmed(size_t notifications) const {
    unconfirmed.add(notifications);
}

bool FanOut::is_personal(const Subscriber& subscriber, std::string_view name) const {
    const auto channel = channels_.find(name);
    return channel != channels_.end() &&
           std::ranges::any_of(subscriber.subscriptions_, [&channel](const Subscription& subscription) {
               return subscription.channel == channel->second.get() && subscription.personal;
           });
}

void FanOut::await_confirmation(Subscriber& subscriber) {
    if (!std::exchange(subscriber.wants_confirmation_, true))
        subscriber.want_confirmation();
}

// The position that waits, and everything behind it, or the one after head().
Position FanOut::first_unconfirmed(const Subscriber& subscriber) const {
    Position first = head_ + 1;
    const Position from = std::max(subscriber.next_, subscriber.passed_ + 1);
    for (const Subscription& subscription : subscriber.subscriptions_) {
        if (!subscription.personal)
            continue;
        const auto rest = subscription.channel->positions.from(std::max(from, subscription.since + 1));
        if (!rest.empty())
            first = std::min(first, rest.front());
    }
    return first;
}

size_t FanOut::personal_of(const Subscriber& subscriber, std::span<const Position> positions) const {
    return static_cast<size_t>(std::ranges::count_if(
        positions, [&](Position position) { return is_personal(subscriber, at(position).channel); }));
}

// --- the history ---

std::optional<Position> FanOut::position_of(Id id) const {
    const auto it = positions_.find(id);
    return it == positions_.end() ? std::nullopt : std::optional(it->second);
}

Position FanOut::before(Monotonic time) const {
    const auto later = std::ranges::partition_point(
        history_, [time](const Notification* notification) { return notification->dispatched < time; });
    return oldest() - 1 + static_cast<Position>(later - history_.begin());
}

Position FanOut::before_ids_above(Id id) const {
    const auto above = std::ranges::upper_bound(reached_, id);
    return oldest() - 1 + static_cast<Position>(above - reached_.begin());
}

// Merges the channels' positions, oldest first, until the frame is long enough.
void FanOut::collect(const Subscriber& subscriber, Position end, std::vector<Position>& positions) const {
    using Rest = std::span<const Position>;
    const auto later = [](const Rest& a, const Rest& b) { return a.front() > b.front(); };
    std::priority_queue<Rest, std::vector<Rest>, decltype(later)> rests(later);
    for (const Subscription& subscription : subscriber.subscriptions_)
        if (const Rest rest =
                subscription.channel->positions.from(std::max(subscriber.next_, subscription.since + 1));
            !rest.empty())
            rests.push(rest);

    size_t bytes = 0;
    while (!rests.empty()) {
        Rest rest = rests.top();
        rests.pop();
        if (rest.front() >= end)
            return;
        bytes += at(rest.front()).element.size() + 1;
        if (bytes > bounds_.frame_bytes && !positions.empty())
            return;
        positions.push_back(rest.front());
        if (rest = rest.subspan(1); !rest.empty())
            rests.push(rest);
    }
}

// Returns the length of the frame.
size_t FanOut::write(Subscriber& subscriber, std::span<const Position> positions) {
    const std::string& frame =
        frame_cache_.frame(positions, subscriber.format_,
                           [this](Position position) -> const Notification& { return at(position); });
    subscriber.delivered_ =
        std::max(subscriber.delivered_, positions.back()); // a channel that is added begins earlier
    subscriber.write(frame);
    subscriber.progress_ = MonotonicClock::now();
    if (subscriber.backlog_ != Backlog::older) {
        const Notification& oldest = at(positions.front());
        const Duration since_read = subscriber.progress_ - oldest.dispatched;
        read_to_socket.observe_us(since_read.count());
        if (oldest.delay)
            written_to_socket.observe_us(std::max(*oldest.delay + since_read, Duration::zero()).count());
    }
    frames.add();
    deliveries.add(positions.size());
    return frame.size();
}

// --- channels ---

Channel& FanOut::channel(const std::string& name) {
    if (const auto it = channels_.find(name); it != channels_.end())
        return *it->second;
    auto created = std::make_unique<Channel>();
    created->name = name;
    Channel& result = *created;
    channels_.emplace(result.name, std::move(created));
    known_channels.add();
    return result;
}

void FanOut::release_channel(Channel& channel) {
    if (!channel.subscribers.empty() || !channel.positions.empty())
        return;
    channels_.erase(channels_.find(channel.name));
    known_channels.subtract();
}

void FanOut::add_subscription(Subscriber& subscriber, Channel& channel, Position since, bool personal) {
    const auto index = static_cast<uint32_t>(subscriber.subscriptions_.size());
    const auto slot = static_cast<uint32_t>(channel.subscribers.size());
    subscriber.subscriptions_.push_back({&channel, since, slot, personal});
    channel.subscribers.push_back({&subscriber, index});
    subscriptions.add();
}

void FanOut::remove_subscription(Subscriber& subscriber, size_t index) {
    const Subscription gone = subscriber.subscriptions_[index];
    auto& entries = gone.channel->subscribers;
    entries[gone.slot] = entries.back();
    entries[gone.slot].subscriber->subscriptions_[entries[gone.slot].index].slot = gone.slot;
    entries.pop_back();
    subscriptions.subtract();

    auto& subscriptions = subscriber.subscriptions_;
    if (index + 1 < subscriptions.size()) {
        subscriptions[index] = subscriptions.back();
        Subscription& moved = subscriptions[index];
        moved.channel->subscribers[moved.slot].index = static_cast<uint32_t>(index);
    }
    subscriptions.pop_back();
}

} // namespace odoo_bus

// doorbell.cpp: what a transaction is to announce, announced once when it commits.
//
// If the extension is preloaded it is handed to the doorbell worker: copied into shared memory before the
// commit, when an error can still roll the transaction back, and published after it, when nothing may fail.
// Otherwise, or if there is no room or no worker, the transaction itself issues NOTIFY.
#include "doorbell.h"

#include "announcement_set.h"
#include "common/channel_list.h"
#include "doorbell_queue.h"

namespace odoo_bus {

bool notify_enabled;

namespace {

// The number of notifications of each subtransaction, the innermost first.
struct LevelCount {
    int level;
    uint64 count;
    LevelCount* outer;
};

struct Pending {
    AnnouncementSet announcements;
    uint32 bundle = no_bundle; // reserved for them between PRE_COMMIT and the end
};

// Of the transaction. Allocated in TopTransactionContext.
struct Sent {
    Pending channels; // of its notifications
    LevelCount* counts = nullptr;
    Pending notifies; // by bus_notify()
    bool fell_back = false;
};

Sent sent;

void count_sent(std::size_t notifications) {
    const int level = GetCurrentTransactionNestLevel();
    if (!sent.counts || sent.counts->level < level) {
        LevelCount* inner =
            static_cast<LevelCount*>(MemoryContextAlloc(TopTransactionContext, sizeof(LevelCount)));
        *inner = {level, 0, sent.counts};
        sent.counts = inner;
    }
    sent.counts->count += notifications;
}

void end_count(bool committed, int level) {
    LevelCount* inner = sent.counts;
    if (!inner || inner->level < level)
        return;
    if (committed && (!inner->outer || inner->outer->level < level - 1)) {
        inner->level = level - 1;
        return;
    }
    if (committed)
        inner->outer->count += inner->count;
    sent.counts = inner->outer;
    pfree(inner);
}

void prepare_to_ring(Pending& pending, Audience audience) {
    if (pending.announcements.empty())
        return;
    pending.bundle = reserve_bundle(pending.announcements, audience);
    if (pending.bundle == no_bundle) {
        notify_all(pending.announcements);
        sent.fell_back = true;
    }
}

void publish(const Pending& pending) {
    if (pending.bundle != no_bundle)
        publish_bundle(pending.bundle);
}

void release(const Pending& pending) {
    if (pending.bundle != no_bundle)
        release_bundle(pending.bundle);
}

void refuse_to_prepare() {
    if (!sent.channels.announcements.empty())
        ereport(ERROR,
                (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                 errmsg("cannot PREPARE a transaction that has sent notifications by odoo_bus"),
                 errhint("Commit without two phases, or send the notifications in a transaction of their own "
                         "after COMMIT PREPARED.")));
    // PostgreSQL refuses to prepare a transaction that has these.
    notify_all(sent.notifies.announcements);
}

void on_transaction_event(XactEvent event, void*) {
    switch (event) {
    case XACT_EVENT_PRE_COMMIT:
        prepare_to_ring(sent.channels, Audience::hub);
        prepare_to_ring(sent.notifies, Audience::this_database);
        break;
    case XACT_EVENT_PRE_PREPARE:
        refuse_to_prepare();
        break;
    case XACT_EVENT_COMMIT:
        // The rows are visible to other sessions now. Nothing here may fail.
        if (sent.counts || !sent.notifies.announcements.empty())
            count_committed(sent.counts ? sent.counts->count : 0, sent.notifies.announcements.size(),
                            sent.fell_back);
        publish(sent.channels);
        publish(sent.notifies);
        sent = Sent{};
        break;
    case XACT_EVENT_ABORT:
        release(sent.channels);
        release(sent.notifies);
        sent = Sent{};
        break;
    case XACT_EVENT_PREPARE:
        sent = Sent{};
        break;
    default:
        break;
    }
}

void on_subtransaction_event(SubXactEvent event, SubTransactionId, SubTransactionId, void*) {
    if (event != SUBXACT_EVENT_ABORT_SUB && event != SUBXACT_EVENT_COMMIT_SUB)
        return;
    const int level = GetCurrentTransactionNestLevel();
    const bool committed = event == SUBXACT_EVENT_COMMIT_SUB;
    for (AnnouncementSet* announcements : {&sent.channels.announcements, &sent.notifies.announcements})
        if (committed)
            announcements->merge_level(level);
        else
            announcements->drop_level(level);
    end_count(committed, level);
}

} // namespace

void ring_at_commit(std::span<const Notification> notifications) {
    count_sent(notifications.size());
    if (!notify_enabled)
        return;
    for (const Notification& notification : notifications)
        sent.channels.announcements.add(text_view(notification.channel), GetCurrentTransactionNestLevel());
}

// NOTIFY imbus tells that these channels have something new: one that names more of them tells the same.
void notify_at_commit(std::string_view channel, std::string_view payload) {
    const auto add = [level = GetCurrentTransactionNestLevel()](std::string_view announcement) {
        sent.notifies.announcements.add(announcement, level);
    };
    if (channel == imbus && for_each_channel(payload, add))
        return;
    char announcement[max_announcement_length];
    memcpy(announcement, channel.data(), channel.size());
    announcement[channel.size()] = '\0';
    memcpy(announcement + channel.size() + 1, payload.data(), payload.size());
    add({announcement, channel.size() + 1 + payload.size()});
}

void register_doorbell_callbacks() {
    RegisterXactCallback(on_transaction_event, nullptr);
    RegisterSubXactCallback(on_subtransaction_event, nullptr);
}

} // namespace odoo_bus

// doorbell.cpp: the channels of a transaction's notifications, announced once when it commits.
//
// If the extension is preloaded they are handed to the doorbell worker: copied into shared memory before the
// commit, when an error can still roll the transaction back, and published after it, when nothing may fail.
// Otherwise, or if there is no room or no worker, the transaction itself issues NOTIFY.
#include "doorbell.h"

#include "channel_set.h"
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

// The notifications of the transaction. Allocated in TopTransactionContext.
struct Sent {
    ChannelSet channels;
    LevelCount* counts = nullptr;
    uint32 bundle = no_bundle; // reserved for the channels between PRE_COMMIT and the end
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

void prepare_to_ring() {
    if (sent.channels.empty())
        return;
    sent.bundle = reserve_bundle(sent.channels);
    if (sent.bundle == no_bundle) {
        notify_channels(sent.channels);
        sent.fell_back = true;
    }
}

void on_transaction_event(XactEvent event, void*) {
    switch (event) {
    case XACT_EVENT_PRE_COMMIT:
        prepare_to_ring();
        break;
    case XACT_EVENT_PRE_PREPARE:
        if (!sent.channels.empty())
            ereport(
                ERROR,
                (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                 errmsg("cannot PREPARE a transaction that has sent notifications by odoo_bus"),
                 errhint("Commit without two phases, or send the notifications in a transaction of their own "
                         "after COMMIT PREPARED.")));
        break;
    case XACT_EVENT_COMMIT:
        // The rows are visible to other sessions now. Nothing here may fail.
        if (sent.counts)
            count_committed(sent.counts->count, sent.fell_back);
        if (sent.bundle != no_bundle)
            publish_bundle(sent.bundle);
        sent = Sent{};
        break;
    case XACT_EVENT_ABORT:
        if (sent.bundle != no_bundle)
            release_bundle(sent.bundle);
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
    if (!sent.counts || (event != SUBXACT_EVENT_ABORT_SUB && event != SUBXACT_EVENT_COMMIT_SUB))
        return;
    const int level = GetCurrentTransactionNestLevel();
    const bool committed = event == SUBXACT_EVENT_COMMIT_SUB;
    if (committed)
        sent.channels.merge_level(level);
    else
        sent.channels.drop_level(level);
    end_count(committed, level);
}

} // namespace

void ring_at_commit(std::span<const Notification> notifications) {
    count_sent(notifications.size());
    if (!notify_enabled)
        return;
    for (const Notification& notification : notifications)
        sent.channels.add({VARDATA_ANY(notification.channel), VARSIZE_ANY_EXHDR(notification.channel)},
                          GetCurrentTransactionNestLevel());
}

void register_doorbell_callbacks() {
    RegisterXactCallback(on_transaction_event, nullptr);
    RegisterSubXactCallback(on_subtransaction_event, nullptr);
}

} // namespace odoo_bus

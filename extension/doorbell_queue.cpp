// doorbell_queue.cpp: the shared memory in which committed transactions leave what the doorbell worker is to
// announce.
//
// Memory is divided into blocks of equal size, so that a transaction that takes long to commit holds only its
// own blocks. Free blocks are a list under a lock. Published bundles are a stack: backends push with one
// compare-and-swap, the worker pops all of them with one exchange. They stay in shared memory until the
// NOTIFY has committed, so that a worker that replaces a terminated one finds them.
#include "doorbell_queue.h"

namespace odoo_bus {

int queue_size;

namespace {

constexpr uint32 none = no_bundle;

struct Block {
    uint32 next;        // in its bundle, or among the free ones
    uint32 next_bundle; // in a bundle's first block: among those published, or taken by the worker
    uint32 length;      // in a bundle's first block: bytes in all of its blocks
    char text[116];     // each announcement after its length as uint16, across the bundle's blocks
};
static_assert(sizeof(Block) == 128);

struct Counters {
    pg_atomic_uint64 sent, doorbells, notifies, coalesced, fallbacks, notified;
};

struct Warned {
    Oid database;
    Warning kind;
};

struct Queue {
    uint32 block_count;
    uint32 free_block, free_count;  // under the lock
    pg_atomic_uint32 published;     // the newest bundle
    uint32 first_taken, last_taken; // used by the worker only
    Latch* volatile worker_latch;   // null: no worker is connected
    pid_t worker_pid;
    Oid worker_database;
    uint32 connecting;
    Counters counters;
    TimestampTz reset_at, last_error_at; // under the lock, with the error
    Warned warned[128];                  // under the lock as well
    uint32 warned_count;
    char last_error[sizeof(QueueStat::last_error)];
};

Queue* queue;
Block* blocks;
LWLock* lock;

constexpr std::size_t header_size = MAXALIGN(sizeof(Queue));
constexpr const char* shared_name = "odoo_bus";

uint32 configured_blocks() {
    return static_cast<uint32>(queue_size * std::size_t{1024} / sizeof(Block));
}

std::size_t shared_size() {
    return header_size + configured_blocks() * sizeof(Block);
}

void initialize() {
    *queue = Queue{};
    queue->block_count = queue->free_count = configured_blocks();
    queue->first_taken = queue->last_taken = none;
    for (uint32 block = 0; block < queue->block_count; ++block)
        blocks[block].next = block + 1 < queue->block_count ? block + 1 : none;
    pg_atomic_init_u32(&queue->published, none);
    for (pg_atomic_uint64* counter :
         {&queue->counters.sent, &queue->counters.doorbells, &queue->counters.notifies,
          &queue->counters.coalesced, &queue->counters.fallbacks, &queue->counters.notified})
        pg_atomic_init_u64(counter, 0);
    queue->reset_at = GetCurrentTimestamp();
}

// Allocates a chain of blocks. Returns none if there are not enough.
uint32 take_blocks(uint32 count) {
    LWLockAcquire(lock, LW_EXCLUSIVE);
    uint32 first = none;
    if (count <= queue->free_count) {
        first = queue->free_block;
        uint32 last = first;
        for (uint32 i = 1; i < count; ++i)
            last = blocks[last].next;
        queue->free_block = blocks[last].next;
        queue->free_count -= count;
        blocks[last].next = none;
    }
    LWLockRelease(lock);
    return first;
}

uint32 blocks_for(std::size_t length) {
    return static_cast<uint32>((length + sizeof(Block::text) - 1) / sizeof(Block::text));
}

// Writes or reads bytes sequentially across the blocks of a bundle.
class Cursor {
public:
    explicit Cursor(uint32 bundle) : block(bundle) {}

    void write(const void* bytes, std::size_t length) {
        const char* from = static_cast<const char*>(bytes);
        step(length, [&from](char* text, std::size_t part) {
            memcpy(text, from, part);
            from += part;
        });
    }

    void read(void* bytes, std::size_t length) {
        char* to = static_cast<char*>(bytes);
        step(length, [&to](const char* text, std::size_t part) {
            memcpy(to, text, part);
            to += part;
        });
    }

private:
    template <class Copy>
    void step(std::size_t length, Copy copy) {
        while (length > 0) {
            if (used == sizeof(Block::text)) {
                block = blocks[block].next;
                used = 0;
            }
            const std::size_t part = std::min(length, sizeof(Block::text) - used);
            copy(blocks[block].text + used, part);
            used += part;
            length -= part;
        }
    }

    uint32 block;
    std::size_t used = 0;
};

uint64 add_bundle(uint32 bundle, AnnouncementSet& announcements) {
    char announcement[max_announcement_length];
    uint64 count = 0;
    uint16 length;
    Cursor cursor(bundle);
    for (std::size_t read = 0; read < blocks[bundle].length; read += sizeof(length) + length) {
        cursor.read(&length, sizeof(length));
        cursor.read(announcement, length);
        announcements.add({announcement, length});
        ++count;
    }
    return count;
}

// Appends the published bundles to the taken ones, the oldest first.
void take_published() {
    uint32 newest = pg_atomic_exchange_u32(&queue->published, none);
    if (newest == none)
        return;
    const uint32 last = newest;
    uint32 first = none;
    while (newest != none) {
        const uint32 older = blocks[newest].next_bundle;
        blocks[newest].next_bundle = first;
        first = newest;
        newest = older;
    }
    if (queue->first_taken == none)
        queue->first_taken = first;
    else
        blocks[queue->last_taken].next_bundle = first;
    queue->last_taken = last;
}

void detach_worker(int, Datum) {
    queue->worker_latch = nullptr;
    queue->worker_pid = 0;
}

void count(pg_atomic_uint64& counter, uint64 number) {
    pg_atomic_fetch_add_u64(&counter, static_cast<int64>(number));
}

} // namespace

void request_queue_space() {
    RequestAddinShmemSpace(shared_size());
    RequestNamedLWLockTranche(shared_name, 1);
}

void create_queue() {
    bool found;
    char* memory = static_cast<char*>(ShmemInitStruct(shared_name, shared_size(), &found));
    queue = reinterpret_cast<Queue*>(memory);
    blocks = reinterpret_cast<Block*>(memory + header_size);
    lock = &GetNamedLWLockTranche(shared_name)->lock;
    if (!found)
        initialize();
}

bool queue_exists() {
    return queue;
}

uint32 reserve_bundle(const AnnouncementSet& announcements, Audience audience) {
    if (!queue || !queue->worker_latch)
        return no_bundle;
    if (audience == Audience::this_database && queue->worker_database != MyDatabaseId)
        return no_bundle;
    const std::size_t length = announcements.text_bytes() + announcements.size() * sizeof(uint16);
    if (length > queue->block_count * sizeof(Block::text))
        return no_bundle;
    const uint32 bundle = take_blocks(blocks_for(length));
    if (bundle == none)
        return no_bundle;
    blocks[bundle].length = static_cast<uint32>(length);
    Cursor cursor(bundle);
    for (uint32 position = 0; position < announcements.size(); ++position) {
        const std::string_view announcement = announcements[position];
        const uint16 announcement_length = static_cast<uint16>(announcement.size());
        cursor.write(&announcement_length, sizeof(announcement_length));
        cursor.write(announcement.data(), announcement.size());
    }
    return bundle;
}

void publish_bundle(uint32 bundle) {
    uint32 newest = pg_atomic_read_u32(&queue->published);
    do {
        blocks[bundle].next_bundle = newest;
    } while (!pg_atomic_compare_exchange_u32(&queue->published, &newest, bundle));
    count(queue->counters.doorbells, 1);
    // Null after the worker has exited: its successor checks the queue before it waits.
    if (Latch* latch = queue->worker_latch)
        SetLatch(latch);
}

void release_bundle(uint32 bundle) {
    uint32 last = bundle;
    uint32 number = 1;
    for (; blocks[last].next != none; last = blocks[last].next)
        ++number;
    LWLockAcquire(lock, LW_EXCLUSIVE);
    blocks[last].next = queue->free_block;
    queue->free_block = bundle;
    queue->free_count += number;
    LWLockRelease(lock);
}

void count_committed(uint64 notifications, uint64 notifies, bool fell_back) {
    if (!queue)
        return;
    if (notifications > 0)
        count(queue->counters.sent, notifications);
    if (notifies > 0)
        count(queue->counters.notified, notifies);
    if (fell_back)
        count(queue->counters.fallbacks, 1);
}

void attach_worker() {
    before_shmem_exit(detach_worker, Datum(0));
    queue->worker_pid = MyProcPid;
    queue->worker_database = MyDatabaseId;
    pg_write_barrier();
    queue->worker_latch = MyLatch;
}

bool announcements_wait() {
    return queue->first_taken != none || pg_atomic_read_u32(&queue->published) != none;
}

bool queue_fills() {
    LWLockAcquire(lock, LW_SHARED);
    const bool fills = queue->free_count < queue->block_count / 2;
    LWLockRelease(lock);
    return fills;
}

uint64 take_announcements(AnnouncementSet& announcements) {
    take_published();
    uint64 taken = 0;
    for (uint32 bundle = queue->first_taken; bundle != none; bundle = blocks[bundle].next_bundle)
        taken += add_bundle(bundle, announcements);
    return taken;
}

void release_taken(uint64 taken, uint64 announced, uint64 notifies) {
    count(queue->counters.notifies, notifies);
    count(queue->counters.coalesced, taken - announced);
    uint32 bundle = queue->first_taken;
    queue->first_taken = queue->last_taken = none;
    while (bundle != none) {
        const uint32 next = blocks[bundle].next_bundle;
        release_bundle(bundle);
        bundle = next;
    }
}

void record_worker_error(const char* message) {
    LWLockAcquire(lock, LW_EXCLUSIVE);
    queue->last_error_at = GetCurrentTimestamp();
    strlcpy(queue->last_error, message, sizeof(queue->last_error));
    // Databases of other encodings read it.
    for (char* p = queue->last_error; *p; ++p)
        if (IS_HIGHBIT_SET(*p))
            *p = '?';
    LWLockRelease(lock);
}

uint32 begin_connecting() {
    return queue->connecting++;
}

void end_connecting() {
    queue->connecting = 0;
}

bool is_first_warning(Warning kind) {
    if (!queue)
        return true;
    bool is_first = true;
    LWLockAcquire(lock, LW_EXCLUSIVE);
    for (uint32 i = 0; i < queue->warned_count; ++i)
        is_first = is_first && (queue->warned[i].database != MyDatabaseId || queue->warned[i].kind != kind);
    if (is_first && queue->warned_count < lengthof(queue->warned))
        queue->warned[queue->warned_count++] = {MyDatabaseId, kind};
    LWLockRelease(lock);
    return is_first;
}

QueueStat queue_stat() {
    QueueStat stat{};
    stat.sent = pg_atomic_read_u64(&queue->counters.sent);
    stat.doorbells = pg_atomic_read_u64(&queue->counters.doorbells);
    stat.notifies = pg_atomic_read_u64(&queue->counters.notifies);
    stat.coalesced = pg_atomic_read_u64(&queue->counters.coalesced);
    stat.fallbacks = pg_atomic_read_u64(&queue->counters.fallbacks);
    stat.notified = pg_atomic_read_u64(&queue->counters.notified);
    stat.worker_pid = queue->worker_pid;
    LWLockAcquire(lock, LW_SHARED);
    stat.bytes = static_cast<int64>(queue->block_count * sizeof(Block));
    stat.bytes_used = static_cast<int64>((queue->block_count - queue->free_count) * sizeof(Block));
    stat.reset_at = queue->reset_at;
    stat.last_error_at = queue->last_error_at;
    memcpy(stat.last_error, queue->last_error, sizeof(stat.last_error));
    LWLockRelease(lock);
    return stat;
}

void reset_queue_stat() {
    LWLockAcquire(lock, LW_EXCLUSIVE);
    for (pg_atomic_uint64* counter :
         {&queue->counters.sent, &queue->counters.doorbells, &queue->counters.notifies,
          &queue->counters.coalesced, &queue->counters.fallbacks, &queue->counters.notified})
        pg_atomic_write_u64(counter, 0);
    queue->reset_at = GetCurrentTimestamp();
    queue->last_error_at = 0;
    queue->last_error[0] = '\0';
    LWLockRelease(lock);
}

} // namespace odoo_bus

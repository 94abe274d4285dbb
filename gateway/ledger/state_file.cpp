// The files that outlive the gateway: see state_file.h.
#include "ledger/state_file.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <random>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/trusted_file.h"
#include "ledger/order_ring.h"

namespace odoo_bus {

namespace {

using Path = std::filesystem::path;

// Damaged files are kept for diagnosis, this many of each.
constexpr int MAX_DAMAGED = 5;

// A file's bytes, mapped: what is written is in the file when the process dies.
class Mapping {
public:
    // Of the whole file; null when it cannot be mapped, and errno says why.
    static std::unique_ptr<Mapping> of(int fd) {
        struct stat status;
        if (fstat(fd, &status) != 0)
            return nullptr;
        const auto size = static_cast<size_t>(status.st_size);
        if (size == 0)
            return std::unique_ptr<Mapping>(new Mapping({}));
        void* memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (memory == MAP_FAILED)
            return nullptr;
        return std::unique_ptr<Mapping>(new Mapping({static_cast<char*>(memory), size}));
    }
    ~Mapping() {
        if (!memory_.empty())
            munmap(memory_.data(), memory_.size());
    }
    Mapping(const Mapping&) = delete;
    Mapping& operator=(const Mapping&) = delete;
    std::span<char> memory() const { return memory_; }

private:
    explicit Mapping(std::span<char> memory) : memory_(memory) {}
    std::span<char> memory_;
};

Path with(const Path& path, const char* suffix) {
    return Path(path) += suffix;
}

constexpr const char* CHECK_DIRECTORY = "see that the gateway may write to --state-dir";
constexpr const char* CHECK_SPACE = "see that the disk of --state-dir has space";

bool write_all(int fd, std::string_view bytes) {
    while (!bytes.empty()) {
        const ssize_t written = write(fd, bytes.data(), bytes.size());
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return false;
        bytes.remove_prefix(static_cast<size_t>(written));
    }
    return true;
}

// More than any ledger needs.
constexpr size_t MAX_LEDGER_BYTES = size_t{1} << 30;

bool read_all(int fd, std::string& bytes) {
    char buffer[65536];
    while (bytes.size() <= MAX_LEDGER_BYTES) {
        const ssize_t count = read(fd, buffer, sizeof buffer);
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            return count == 0;
        bytes.append(buffer, static_cast<size_t>(count));
    }
    errno = EFBIG;
    return false;
}

uint64_t random_id() {
    std::random_device random;
    return uint64_t{random()} << 32 | random();
}

} // namespace

// The three files of one path. Each function that can fail returns the reason. Files are named within their
// directory, which was judged when it was opened.
class StateFile::Files {
public:
    explicit Files(const Path& path)
        : where_(path.parent_path()), order_(with(path.filename(), ".order")),
          ledger_(with(path.filename(), ".ledger")), lock_path_(with(path.filename(), ".lock")) {}

    std::string lock() {
        std::string why;
        directory_ = open_own_directory(where_, why);
        if (!directory_)
            return "--state-dir: " + why;
        lock_ = open(lock_path_, O_RDWR | O_CREAT, why);
        if (!lock_)
            return cannot("open", lock_path_, why, CHECK_DIRECTORY);
        if (flock(lock_.get(), LOCK_EX | LOCK_NB) != 0)
            return errno == EWOULDBLOCK ? "another gateway uses " + (where_ / order_).string() +
                                              "; give each gateway a --state-dir of its own"
                                        : cannot("lock", lock_path_, CHECK_DIRECTORY);
        return {};
    }

    // What was there. Nothing, without a reason, when there was nothing.
    std::optional<Loaded> load(std::string& why) {
        std::string problem;
        const Descriptor order = open(order_, O_RDWR, problem);
        const Descriptor ledger = order ? open(ledger_, O_RDONLY, problem) : Descriptor();
        if (!order || !ledger) {
            // Killed before its first checkpoint, or never used.
            if (errno != ENOENT)
                why = cannot("open", order ? ledger_ : order_, problem, CHECK_DIRECTORY);
            return std::nullopt;
        }
        auto mapping = Mapping::of(order.get());
        std::string bytes;
        if (!mapping || !read_all(ledger.get(), bytes)) {
            why = cannot("read", mapping ? ledger_ : order_, CHECK_DIRECTORY);
            return std::nullopt;
        }
        const auto refused = [&](const Path& path) {
            why = (where_ / path).string() + " is set aside as *.damaged-N and not used: " + why;
            return std::nullopt;
        };
        auto ring = OrderRing::open(mapping->memory(), why);
        if (!ring)
            return refused(order_);
        auto checkpoint = decode_checkpoint(bytes, ring->file_id(), why);
        if (!checkpoint)
            return refused(ledger_);
        auto entries = ring->entries();
        if (!entries) {
            why = "its entries are damaged";
            return refused(order_);
        }
        if (checkpoint->next < ring->first() || checkpoint->next > ring->next()) {
            why = "it does not reach to the ledger";
            return refused(order_);
        }
        covered_ = checkpoint->next;
        checkpoint->advance(std::span(*entries).subspan(*covered_ - ring->first()));
        mapping_ = std::move(mapping);
        ring_ = ring;
        return Loaded{
            .first = ring->first(), .entries = std::move(*entries), .ledger = std::move(*checkpoint)};
    }

    std::string reserve() {
        std::string why;
        const Descriptor file = open(order_, O_RDWR, why);
        return file ? reserve(file.get(), ring_->capacity()) : cannot("open", order_, why, CHECK_DIRECTORY);
    }

    void set_aside_all() {
        set_aside(order_);
        set_aside(ledger_);
    }

    // Replaces the order by one of `capacity` with the newest of `entries`, which begin at `first`.
    std::string replace_order(size_t capacity, uint64_t file_id, Position first,
                              std::span<const Dispatched> entries) {
        const Path fresh = with(order_, ".new");
        std::string why;
        const Descriptor file = create(fresh, why);
        if (!file)
            return why;
        if (why = reserve(file.get(), capacity); !why.empty()) {
            remove(fresh);
            return why;
        }
        auto mapping = Mapping::of(file.get());
        if (!mapping)
            return cannot("map", fresh, CHECK_DIRECTORY);
        OrderRing ring = OrderRing::format(mapping->memory(), capacity, file_id, first);
        ring.append(entries);
        if (!rename(fresh, order_))
            return cannot("create", order_, CHECK_DIRECTORY);
        mapping_ = std::move(mapping);
        ring_ = ring;
        return {};
    }

    std::string write_ledger(const Checkpoint& checkpoint) {
        const Path fresh = with(ledger_, ".new");
        std::string why;
        const Descriptor file = create(fresh, why);
        if (!file)
            return why;
        if (!write_all(file.get(), encode_checkpoint(checkpoint, ring_->file_id())))
            return cannot("write", fresh, CHECK_SPACE);
        if (!rename(fresh, ledger_))
            return cannot("write", ledger_, CHECK_DIRECTORY);
        covered_ = checkpoint.next;
        return {};
    }

    void forget_ledger() {
        if (covered_ || !ring_)
            remove(ledger_);
        covered_.reset();
    }

    // The lock last: the next process that takes it finds no files.
    void remove() {
        for (const Path& path : {ledger_, order_, lock_path_})
            remove(path);
    }

    OrderRing& ring() { return *ring_; }
    std::optional<Position> covered() const { return covered_; }

private:
    Descriptor open(const Path& path, int flags, std::string& why) const {
        return open_own_file(directory_.get(), path, flags, why);
    }

    // A new file; an old one of its name, which may be a link, is removed.
    Descriptor create(const Path& path, std::string& why) const {
        remove(path);
        Descriptor file = open(path, O_RDWR | O_CREAT | O_EXCL, why);
        if (!file)
            why = cannot("create", path, why, CHECK_DIRECTORY);
        return file;
    }

    void remove(const Path& path) const { unlinkat(directory_.get(), path.c_str(), 0); }

    bool rename(const Path& from, const Path& to) const {
        return renameat(directory_.get(), from.c_str(), directory_.get(), to.c_str()) == 0;
    }

    void set_aside(const Path& path) const {
        int n = 1;
        const auto name = [&] { return with(path, (".damaged-" + std::to_string(n)).c_str()); };
        const auto exists = [&] {
            return faccessat(directory_.get(), name().c_str(), F_OK, AT_SYMLINK_NOFOLLOW) == 0;
        };
        while (n < MAX_DAMAGED && exists())
            ++n;
        rename(path, name());
    }

    std::string cannot(const char* what, const Path& path, const char* hint) const {
        return cannot(what, path, strerror(errno), hint);
    }
    std::string cannot(const char* what, const Path& path, const std::string& why, const char* hint) const {
        return std::string("cannot ") + what + " " + (where_ / path).string() + ": " + why + "; " + hint;
    }

    // Every page gets its place on the disk now: a full disk would later end the process with SIGBUS.
    std::string reserve(int fd, size_t capacity) {
        errno = posix_fallocate(fd, 0, static_cast<off_t>(OrderRing::bytes(capacity)));
        return errno == 0 ? "" : cannot("reserve space for", order_, CHECK_SPACE);
    }

    const Path where_;                      // the directory
    const Path order_, ledger_, lock_path_; // names in it
    Descriptor directory_, lock_;
    std::unique_ptr<Mapping> mapping_;
    std::optional<OrderRing> ring_;
    std::optional<Position> covered_; // the `next` of the ledger in its file
};

StateFile::StateFile(std::unique_ptr<Files> files) : files_(std::move(files)) {}

StateFile::~StateFile() = default;

StateFile::Opened StateFile::open(const std::filesystem::path& path, size_t capacity) {
    auto files = std::make_unique<Files>(path);
    std::string why, failure = files->lock();
    if (!failure.empty())
        return {.file = nullptr, .loaded = std::nullopt, .message = failure};
    auto loaded = files->load(why);
    if (!loaded) {
        if (!why.empty())
            files->set_aside_all();
        files->forget_ledger();
        failure = files->replace_order(capacity, random_id(), 1, {});
    } else if (files->ring().capacity() == capacity) {
        failure = files->reserve();
    } else {
        // The ledger first: it then reaches to the newest entry, and fits both the old order and the new one.
        failure = files->write_ledger(loaded->ledger);
        if (failure.empty())
            failure = files->replace_order(capacity, files->ring().file_id(), loaded->first, loaded->entries);
    }
    if (!failure.empty())
        return {.file = nullptr, .loaded = std::nullopt, .message = failure};
    return {.file = std::unique_ptr<StateFile>(new StateFile(std::move(files))),
            .loaded = std::move(loaded),
            .message = why};
}

std::string StateFile::name_of(std::string_view database) {
    constexpr char HEX[] = "0123456789abcdef";
    std::string name;
    for (const char c : database) {
        const auto byte = static_cast<unsigned char>(c);
        if ((byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z') ||
            byte == '_' || byte == '-')
            name.push_back(c);
        else
            name.append({'%', HEX[byte >> 4], HEX[byte & 15]});
    }
    return name;
}

void StateFile::append(Position first, std::span<const Dispatched> batch) {
    if (first != files_->ring().next())
        clear(first);
    if (batch.size() > room())
        files_->forget_ledger();
    files_->ring().append(batch);
}

size_t StateFile::room() const {
    const auto covered = files_->covered();
    return covered ? files_->ring().capacity() - (files_->ring().next() - *covered) : 0;
}

bool StateFile::checkpoint(Checkpoint ledger) {
    ledger.next = files_->ring().next();
    message_ = files_->write_ledger(ledger);
    return message_.empty();
}

void StateFile::remove() {
    files_->remove();
}

void StateFile::clear(Position next) {
    files_->forget_ledger();
    files_->ring().clear(next);
}

} // namespace odoo_bus

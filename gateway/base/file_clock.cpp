// The dates of files: see file_clock.h.
#include "base/file_clock.h"

#include <algorithm>
#include <atomic>
#include <fstream>
#include <sstream>

#include <fcntl.h>
#include <unistd.h>

#include "base/trusted_file.h"

namespace odoo_bus::file_clock {

namespace {

constexpr const char* NAME = "clock";
constexpr const char* NEW_NAME = "clock.new";
constexpr size_t MAX_BYTES = 200;

int64_t wall_offset() {
    return (WallClock::now().time_since_epoch() - MonotonicClock::now().time_since_epoch()).count();
}

// From the monotonic clock to dates.
std::atomic<int64_t>& offset() {
    static std::atomic<int64_t> microseconds = wall_offset();
    return microseconds;
}

std::string read_text(const std::string& directory) {
    std::string why, text(MAX_BYTES, '\0');
    const Descriptor opened = open_own_directory(directory, why);
    const Descriptor file = opened ? open_own_file(opened.get(), NAME, O_RDONLY, why) : Descriptor();
    const ssize_t length = file ? read(file.get(), text.data(), text.size()) : 0;
    text.resize(length > 0 ? static_cast<size_t>(length) : 0);
    return text;
}

} // namespace

WallTime date_of(Monotonic time) {
    return wall_time(time.time_since_epoch().count() + offset());
}

Monotonic time_of(WallTime date) {
    return std::min(Monotonic(Duration(microseconds(date) - offset())), MonotonicClock::now());
}

void load(const std::string& directory, const std::string& boot) {
    std::istringstream text(read_text(directory));
    std::string of_boot;
    int64_t former = 0, former_wall = 0, saved = 0;
    if (!(text >> of_boot >> former >> former_wall >> saved)) {
        offset() = wall_offset();
    } else if (of_boot == boot && saved <= MonotonicClock::now().time_since_epoch().count()) {
        offset() = former;
    } else {
        // Dates went by another clock than the wall clock by so much, and go on to.
        offset() = wall_offset() - (former_wall - former);
    }
    save(directory, boot);
}

// When it cannot be written, the files are as good as without it.
void save(const std::string& directory, const std::string& boot) {
    std::string why;
    const Descriptor opened = open_own_directory(directory, why);
    if (!opened)
        return;
    std::ostringstream text;
    text << boot << ' ' << offset() << ' ' << wall_offset() << ' '
         << MonotonicClock::now().time_since_epoch().count() << '\n';
    unlinkat(opened.get(), NEW_NAME, 0);
    const Descriptor file = open_own_file(opened.get(), NEW_NAME, O_WRONLY | O_CREAT | O_EXCL, why);
    const std::string line = text.str();
    if (file && write(file.get(), line.data(), line.size()) == static_cast<ssize_t>(line.size()))
        renameat(opened.get(), NEW_NAME, opened.get(), NAME);
}

std::string boot_id() {
    std::ifstream file("/proc/sys/kernel/random/boot_id");
    std::string id;
    file >> id;
    return id.empty() ? "unknown" : id;
}

} // namespace odoo_bus::file_clock

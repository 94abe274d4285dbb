// The log: one line per event on standard error.
#include "base/log.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <memory>
#include <vector>

#include <spdlog/fmt/chrono.h>
#include <spdlog/formatter.h>
#include <spdlog/logger.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/ascii_json.h"

namespace odoo_bus::log {

namespace {

constexpr size_t MAX_LINE_BYTES = 8192;

std::atomic<Format> current_format{Format::text};

spdlog::level::level_enum spdlog_level(Level level) {
    switch (level) {
    case Level::debug:
        return spdlog::level::debug;
    case Level::info:
        return spdlog::level::info;
    case Level::warning:
        return spdlog::level::warn;
    case Level::error:
        break;
    }
    return spdlog::level::err;
}

std::string_view level_name(spdlog::level::level_enum level) {
    switch (level) {
    case spdlog::level::debug:
        return "debug";
    case spdlog::level::info:
        return "info";
    case spdlog::level::warn:
        return "warning";
    default:
        return "error";
    }
}

// Of syslog, as sd-daemon(3) has it.
int priority(spdlog::level::level_enum level) {
    switch (level) {
    case spdlog::level::debug:
        return 7;
    case spdlog::level::info:
        return 6;
    case spdlog::level::warn:
        return 4;
    default:
        return 3;
    }
}

// Whether standard error is the journal's socket, which adds the time to each line (systemd.exec(5)).
bool is_read_by_journal() {
    struct stat standard_error = {};
    const char* const stream = getenv("JOURNAL_STREAM");
    return stream && fstat(STDERR_FILENO, &standard_error) == 0 &&
           fmt::format("{}:{}", standard_error.st_dev, standard_error.st_ino) == stream;
}

class LineFormatter : public spdlog::formatter {
public:
    void format(const spdlog::details::log_msg& line, spdlog::memory_buf_t& out) override {
        using namespace std::chrono;
        const auto milliseconds = duration_cast<std::chrono::milliseconds>(line.time.time_since_epoch());
        const auto time = fmt::gmtime(duration_cast<seconds>(milliseconds).count());
        const auto fraction = milliseconds.count() % 1000;
        const std::string_view level = level_name(line.level);
        const std::string_view text(line.payload.data(), line.payload.size());
        const auto sink = std::back_inserter(out);
        if (for_journal_)
            fmt::format_to(sink, "<{}>", priority(line.level));
        if (current_format.load(std::memory_order_relaxed) == Format::text) {
            if (for_journal_)
                return void(fmt::format_to(sink, "{} {}\n", level, text));
            fmt::format_to(sink, "{:%Y-%m-%dT%H:%M:%S}.{:03}Z {} {}\n", time, fraction, level, text);
            return;
        }
        fmt::format_to(sink, R"({{"time":"{:%Y-%m-%dT%H:%M:%S}.{:03}Z","level":"{}","message":")", time,
                       fraction, level);
        for (const char c : text) { // printable() has left only these two to escape
            if (c == '"' || c == '\\')
                out.push_back('\\');
            out.push_back(c);
        }
        fmt::format_to(sink, "\"}}\n");
    }

    std::unique_ptr<spdlog::formatter> clone() const override { return std::make_unique<LineFormatter>(); }

private:
    const bool for_journal_ = is_read_by_journal();
};

// Never destroyed: what ends late may still want to log.
spdlog::logger& logger() {
    static spdlog::logger* const instance = [] {
        auto* created = new spdlog::logger("odoo-bus", std::make_shared<spdlog::sinks::stderr_sink_mt>());
        created->set_formatter(std::make_unique<LineFormatter>());
        return created;
    }();
    return *instance;
}

// Characters that end a line or turn the direction of writing, in some viewer at least.
bool is_unprintable(uint32_t c) {
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x200e || c == 0x200f ||
           (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) || c == 0xfeff;
}

struct Registry {
    std::mutex mutex;
    std::vector<Limited*> members;
};

Registry& registry() {
    static Registry* const instance = new Registry;
    return *instance;
}

} // namespace

void configure(Level least, Format format) {
    current_format.store(format, std::memory_order_relaxed);
    logger().set_level(spdlog_level(least));
}

bool enabled(Level level) {
    return logger().should_log(spdlog_level(level));
}

std::string printable(std::string_view bytes) {
    std::string text;
    text.reserve(bytes.size());
    const char* p = bytes.data();
    const char* const end = p + bytes.size();
    while (p != end) {
        uint32_t character;
        const size_t length = decode_utf8(p, end, character);
        if (length == 0) {
            fmt::format_to(std::back_inserter(text), "\\x{:02x}", static_cast<unsigned char>(*p));
            ++p;
            continue;
        }
        if (character == '\n')
            text += "\\n";
        else if (character == '\r')
            text += "\\r";
        else if (character == '\t')
            text += "\\t";
        else if (!is_unprintable(character))
            text.append(p, length);
        else if (character < 0x80)
            fmt::format_to(std::back_inserter(text), "\\x{:02x}", character);
        else
            fmt::format_to(std::back_inserter(text), "\\u{:04x}", character);
        p += length;
    }
    return text;
}

void write(Level level, std::string_view message) {
    // libpq ends its messages with a newline.
    while (!message.empty() && (message.back() == '\n' || message.back() == ' '))
        message.remove_suffix(1);
    std::string line = printable(message.substr(0, MAX_LINE_BYTES));
    if (message.size() > MAX_LINE_BYTES)
        fmt::format_to(std::back_inserter(line), "... ({} bytes more)", message.size() - MAX_LINE_BYTES);
    logger().log(spdlog_level(level), spdlog::string_view_t(line.data(), line.size()));
}

Limited::Limited(std::string_view kind, unsigned per_second) : kind_(kind), per_second_(per_second) {
    const std::lock_guard lock(registry().mutex);
    registry().members.push_back(this);
}

Limited::~Limited() {
    const std::lock_guard lock(registry().mutex);
    std::erase(registry().members, this);
}

bool Limited::admit(Level level, Clock::time_point now) {
    const std::lock_guard lock(mutex_);
    if (now - second_ >= std::chrono::seconds(1)) {
        report();
        second_ = now;
        written_ = 0;
    }
    if (written_ < per_second_) {
        ++written_;
        return true;
    }
    ++suppressed_;
    suppressed_level_ = std::max(suppressed_level_, level);
    return false;
}

void Limited::report_suppressed(Clock::time_point now) {
    const std::lock_guard lock(registry().mutex);
    for (Limited* member : registry().members) {
        const std::lock_guard member_lock(member->mutex_);
        if (now - member->second_ >= std::chrono::seconds(1))
            member->report();
    }
}

void Limited::report() {
    if (suppressed_ == 0)
        return;
    log::log(suppressed_level_, "{}: {} more in one second were not logged", kind_, suppressed_);
    suppressed_ = 0;
    suppressed_level_ = Level::debug;
}

} // namespace odoo_bus::log

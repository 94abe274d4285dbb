// The log: one line per event on standard error, as text or as JSON, whatever bytes a peer sent. Where
// systemd's journal reads it, a line begins with its priority, and a text has no time of its own.
//
//   log::info("connected to database \"{}\"", name);
//
// What is written is valid UTF-8 without control characters: foreign input can neither forge a line nor move
// a terminal's cursor. Every function may be called from any thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

#include "base/format.h"

namespace odoo_bus::log {

enum class Level { debug, info, warning, error };
enum class Format { text, json };

// Takes effect with the next line, in all threads.
void configure(Level least, Format format);

bool enabled(Level level);

// `message` may hold any bytes. Lines are cut at 8 KiB.
void write(Level level, std::string_view message);

// Control characters and bytes that are not UTF-8 as escapes; everything else unchanged.
std::string printable(std::string_view bytes);

template <class... Args>
void log(Level level, FormatString<Args...> format, Args&&... args) {
    if (enabled(level))
        write(level, fmt::format(format, std::forward<Args>(args)...));
}

template <class... Args>
void debug(FormatString<Args...> format, Args&&... args) {
    log(Level::debug, format, std::forward<Args>(args)...);
}

template <class... Args>
void info(FormatString<Args...> format, Args&&... args) {
    log(Level::info, format, std::forward<Args>(args)...);
}

template <class... Args>
void warning(FormatString<Args...> format, Args&&... args) {
    log(Level::warning, format, std::forward<Args>(args)...);
}

template <class... Args>
void error(FormatString<Args...> format, Args&&... args) {
    log(Level::error, format, std::forward<Args>(args)...);
}

// For lines that a hostile client can cause in masses: at most `per_second`, then one line with the number of
// those that were suppressed. Give it static storage, one for each kind of line:
//
//   static log::Limited refused("refused requests", 10);
//   refused.write(log::Level::info, "refused a request: {}", reason);
class Limited {
public:
    using Clock = std::chrono::steady_clock;

    Limited(std::string_view kind, unsigned per_second);
    ~Limited();
    Limited(const Limited&) = delete;
    Limited& operator=(const Limited&) = delete;

    template <class... Args>
    void write(Level level, FormatString<Args...> format, Args&&... args) {
        if (enabled(level) && admit(level, Clock::now()))
            log::write(level, fmt::format(format, std::forward<Args>(args)...));
    }

    // False when this second's lines are used up.
    bool admit(Level level, Clock::time_point now);

    // Says what was suppressed, in seconds that have passed, by every Limited. Call it about once a second,
    // or the count appears only with the next line of that kind.
    static void report_suppressed(Clock::time_point now = Clock::now());

private:
    void report(); // needs mutex_

    const std::string kind_;
    const unsigned per_second_;
    std::mutex mutex_;
    Clock::time_point second_{};
    unsigned written_ = 0;
    uint64_t suppressed_ = 0;
    Level suppressed_level_ = Level::debug;
};

} // namespace odoo_bus::log

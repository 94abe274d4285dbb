// The terminal as a program has it that uses all of it: its alternate screen, and keys as they are pressed.
// It is as before when this goes, and while the program is stopped by Ctrl-Z.
#pragma once

#include <csignal>
#include <optional>
#include <string>
#include <vector>

#include <termios.h>

#include "base/clock.h"
#include "commands/top_screen.h"

namespace odoo_bus {

class Terminal {
public:
    // Standard output is a terminal; standard input may be another thing, and no key is read then.
    Terminal();
    ~Terminal();
    Terminal(const Terminal&) = delete;
    Terminal& operator=(const Terminal&) = delete;

    // Of the terminal at standard output, or what a terminal usually has.
    static ScreenSize size();

    void draw(const std::vector<ScreenLine>& lines);

    enum class Event { time, redraw, quit };
    // Waits for a key or a signal; `time` at `until`.
    Event wait(Monotonic until);
    // A descriptor that is readable when there is a key or a signal.
    int descriptor() const { return events_; }
    bool is_due() const;

private:
    void enter();
    void leave();
    Event on_signal();
    Event on_key();

    sigset_t former_signals_;
    std::optional<termios> former_input_; // nothing: standard input is no terminal
    int signals_, events_;
};

} // namespace odoo_bus

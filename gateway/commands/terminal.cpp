// The terminal as a program has it that uses all of it.
#include "commands/terminal.h"

#include <algorithm>
#include <cerrno>
#include <string_view>

#include <poll.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

namespace odoo_bus {

namespace {

constexpr ScreenSize USUAL{80, 24};
constexpr char CTRL_C = 3; // where another program has told the terminal not to send a signal

// Alternate screen; no cursor; a line that is too long is cut off.
constexpr std::string_view ENTER = "\033[?1049h\033[?25l\033[?7l", LEAVE = "\033[?7h\033[?25h\033[?1049l";
constexpr std::string_view HOME = "\033[H", REST_OF_LINE = "\033[K", REST_OF_SCREEN = "\033[J";
constexpr std::string_view TITLE = "\033[7m", PLAIN = "\033[0m";

void put(std::string_view bytes) {
    while (!bytes.empty()) {
        const ssize_t length = write(STDOUT_FILENO, bytes.data(), bytes.size());
        if (length < 0 && errno != EINTR)
            return; // it has gone, which SIGHUP tells
        bytes.remove_prefix(length < 0 ? 0 : static_cast<size_t>(length));
    }
}

} // namespace

Terminal::Terminal() {
    sigset_t signals;
    sigemptyset(&signals);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGWINCH})
        sigaddset(&signals, signal);
    pthread_sigmask(SIG_BLOCK, &signals, &former_signals_);
    signals_ = signalfd(-1, &signals, SFD_CLOEXEC);
    events_ = epoll_create1(EPOLL_CLOEXEC);
    termios input;
    if (tcgetattr(STDIN_FILENO, &input) == 0)
        former_input_ = input;
    for (const int descriptor : {signals_, STDIN_FILENO}) {
        epoll_event event = {.events = EPOLLIN, .data = {.fd = descriptor}};
        if (descriptor != STDIN_FILENO || former_input_)
            epoll_ctl(events_, EPOLL_CTL_ADD, descriptor, &event);
    }
    enter();
}

Terminal::~Terminal() {
    leave();
    close(events_);
    close(signals_);
    pthread_sigmask(SIG_SETMASK, &former_signals_, nullptr);
}

void Terminal::enter() {
    if (former_input_) {
        termios input = *former_input_;
        input.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
        tcsetattr(STDIN_FILENO, TCSADRAIN, &input);
    }
    put(ENTER);
}

void Terminal::leave() {
    put(LEAVE);
    if (former_input_)
        tcsetattr(STDIN_FILENO, TCSADRAIN, &*former_input_);
}

ScreenSize Terminal::size() {
    winsize window = {};
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &window) != 0 || window.ws_col == 0 || window.ws_row == 0)
        return USUAL;
    return {window.ws_col, window.ws_row};
}

void Terminal::draw(const std::vector<ScreenLine>& lines) {
    std::string bytes(HOME);
    for (size_t i = 0; i < lines.size(); ++i) {
        // Erased first: after a line of the full width the cursor stands on its last character.
        bytes += i > 0 ? "\r\n" : "";
        bytes += REST_OF_LINE;
        bytes += lines[i].is_title ? TITLE : PLAIN;
        bytes += lines[i].text;
        bytes += PLAIN;
    }
    if (lines.size() < size().rows)
        bytes += "\r\n" + std::string(REST_OF_SCREEN);
    put(bytes);
}

bool Terminal::is_due() const {
    pollfd watched = {.fd = events_, .events = POLLIN, .revents = 0};
    return poll(&watched, 1, 0) > 0;
}

Terminal::Event Terminal::wait(Monotonic until) {
    for (;;) {
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - MonotonicClock::now());
        epoll_event event;
        const int found =
            epoll_wait(events_, &event, 1, static_cast<int>(std::max<int64_t>(left.count(), 0)));
        if (found == 0)
            return Event::time;
        if (found < 0)
            continue; // EINTR
        const Event what = event.data.fd == signals_ ? on_signal() : on_key();
        if (what != Event::time)
            return what;
    }
}

Terminal::Event Terminal::on_signal() {
    signalfd_siginfo signal = {};
    if (read(signals_, &signal, sizeof signal) != sizeof signal)
        return Event::time;
    switch (signal.ssi_signo) {
    case SIGWINCH:
        return Event::redraw;
    case SIGTSTP:
        leave();
        raise(SIGSTOP);
        enter();
        return Event::redraw;
    default:
        return Event::quit;
    }
}

Terminal::Event Terminal::on_key() {
    char key = 0;
    if (read(STDIN_FILENO, &key, 1) <= 0)
        return Event::quit; // the terminal has gone
    return key == 'q' || key == 'Q' || key == CTRL_C ? Event::quit : Event::time;
}

} // namespace odoo_bus

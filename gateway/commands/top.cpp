// odoo-bus-gateway top: scrapes a running gateway, and draws what was found.
#include "commands/top.h"

#include <cstdio>
#include <optional>
#include <thread>
#include <utility>
#include <variant>

#include <unistd.h>

#include "base/log.h"
#include "base/text.h"
#include "commands/metrics_request.h"
#include "commands/terminal.h"
#include "commands/text_table.h"
#include "commands/top_options.h"
#include "commands/top_screen.h"

namespace odoo_bus {

namespace {

constexpr int BAD_CONFIGURATION = 2;
constexpr int NOT_READY = 1;

// A screen for a reader that is no terminal has room for everything.
constexpr ScreenSize FOR_READERS{160, 1000};

class Top {
public:
    explicit Top(TopOptions options)
        : options_(std::move(options)), where_(options_.gateway.metrics_listen.front().text()) {}

    int print_once();
    int run();

private:
    // Replaces now_, and keeps it as before_; false, and why in problem_: the gateway does not answer as it
    // should.
    bool scrape(const ConnectionSettings& settings = {});
    // The same again when a key or a signal interrupts it; false: that ends the program.
    bool scrape_at(Terminal& terminal);
    void draw(Terminal& terminal) const;
    int exit_code() const { return problem_.empty() && now_ && now_->is_ready ? 0 : NOT_READY; }
    int fail() const;

    const TopOptions options_;
    const std::string where_;
    std::optional<Scrape> now_, before_;
    std::string problem_;
};

bool Top::scrape(const ConnectionSettings& settings) {
    std::string problem;
    const auto metrics = get_metrics(options_.gateway, "/metrics", problem, settings);
    const auto ready = metrics ? get_metrics(options_.gateway, "/ready", problem, settings) : std::nullopt;
    const auto clients =
        ready ? get_metrics(options_.gateway, "/clients.json", problem, settings) : std::nullopt;
    const auto& answer = clients ? metrics : clients;
    problem_ = judge(answer, options_.gateway, problem);
    if (!problem_.empty())
        return false;
    before_ = std::exchange(now_, std::nullopt);
    now_.emplace();
    now_->at = MonotonicClock::now();
    now_->date = WallClock::now();
    now_->metrics = MetricsText(metrics->body());
    now_->ready = ready->body();
    now_->is_ready = ready->status() == 200;
    if (clients->status() == 200)
        now_->clients = parse_lenient(clients->body());
    else
        now_->no_clients = trim(clients->body(), "\r\n");
    return true;
}

int Top::fail() const {
    fprintf(stderr, "odoo-bus-gateway: %s\n", log::printable(problem_).c_str());
    return NOT_READY;
}

int Top::print_once() {
    if (!scrape())
        return fail();
    std::this_thread::sleep_for(options_.interval);
    if (!scrape())
        return fail();
    const ScreenSize size = isatty(STDOUT_FILENO) ? Terminal::size() : FOR_READERS;
    for (const ScreenLine& line : top_screen(where_, *now_, &*before_, size))
        puts(line.text.c_str());
    return exit_code();
}

void Top::draw(Terminal& terminal) const {
    ScreenSize size = Terminal::size();
    std::vector<ScreenLine> lines;
    if (!problem_.empty() && size.rows > 0) {
        --size.rows;
        lines.push_back({std::string(cut(log::printable(problem_), size.columns)), true});
    }
    if (now_)
        for (ScreenLine& line : top_screen(where_, *now_, before_ ? &*before_ : nullptr, size))
            lines.push_back(std::move(line));
    terminal.draw(lines);
}

bool Top::scrape_at(Terminal& terminal) {
    for (;;) {
        const std::string former = problem_;
        if (scrape({.interrupt = terminal.descriptor()}) || !terminal.is_due())
            return true;
        problem_ = former; // it was interrupted
        if (terminal.wait(MonotonicClock::now()) == Terminal::Event::quit)
            return false;
    }
}

int Top::run() {
    if (!scrape())
        return fail();
    Terminal terminal;
    for (;;) {
        draw(terminal);
        const Monotonic next = MonotonicClock::now() + options_.interval;
        Terminal::Event event;
        while ((event = terminal.wait(next)) == Terminal::Event::redraw)
            draw(terminal);
        if (event == Terminal::Event::quit || !scrape_at(terminal))
            return exit_code();
    }
}

} // namespace

int run_top(const std::vector<std::string>& arguments) {
    auto parsed = parse_top_options(arguments);
    if (const auto* text = std::get_if<OptionsText>(&parsed)) {
        fputs(text->text.c_str(), stdout);
        return 0;
    }
    if (const auto* error = std::get_if<OptionsError>(&parsed)) {
        fprintf(stderr, "odoo-bus-gateway: %s\n", error->message.c_str());
        return BAD_CONFIGURATION;
    }
    TopOptions& options = std::get<TopOptions>(parsed);
    const bool once = options.once || !isatty(STDOUT_FILENO);
    Top top(std::move(options));
    return once ? top.print_once() : top.run();
}

} // namespace odoo_bus

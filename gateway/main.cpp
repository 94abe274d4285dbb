// odoo-bus-gateway: parses the command line, runs the gateway, and handles signals.
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/descriptor_limit.h"
#include "base/log.h"
#include "base/process_memory.h"
#include "commands/doctor/doctor.h"
#include "commands/status.h"
#include "commands/tail.h"
#include "commands/top.h"
#include "config/options.h"
#include "postgres/pg_connector.h"
#include "server/check_files.h"
#include "server/gateway.h"
#include "server/service_manager.h"
#include "take_over/successor.h"

using namespace odoo_bus;

namespace {

constexpr int BAD_CONFIGURATION = 2;
constexpr int CANNOT_START = 1;

constexpr std::chrono::milliseconds DRAIN_STEP{50}, LOOK_WHETHER_READY{100};
constexpr std::chrono::milliseconds SUCCESSOR_ENDS_WITHIN{3'000}, LOOK_AGAIN{10};

// Every thread inherits the mask, so that only wait_for_signal() receives signals.
sigset_t block_signals() {
    sigset_t signals;
    sigemptyset(&signals);
    for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2, SIGCHLD})
        sigaddset(&signals, signal);
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    signal(SIGPIPE, SIG_IGN);
    return signals;
}

// Returns 0 if there was none within this time. Without a time, it waits for one.
int wait_for_signal(const sigset_t& signals, std::optional<std::chrono::milliseconds> within) {
    for (;;) {
        int signal;
        if (within) {
            const timespec time = {.tv_sec = within->count() / 1000,
                                   .tv_nsec = within->count() % 1000 * 1'000'000};
            signal = sigtimedwait(&signals, nullptr, &time);
        } else {
            signal = sigwaitinfo(&signals, nullptr);
        }
        if (signal > 0)
            return signal;
        if (errno == EAGAIN)
            return 0;
    }
}

// Takes the sockets that the service manager has opened; one named "metrics" is for --metrics-listen.
std::string adopt(const ServiceManager& manager, GivenSockets& sockets) {
    for (const auto& [descriptor, name] : manager.sockets()) {
        ListeningSocket socket;
        const std::string giver = "LISTEN_FDS: descriptor " + std::to_string(descriptor) +
                                  (name.empty() ? "" : " \"" + log::printable(name) + "\"");
        if (std::string problem = socket.adopt(descriptor, giver); !problem.empty())
            return problem;
        sockets.add(std::move(socket), name == "metrics");
    }
    return manager.problem();
}

void reload(Gateway& gateway, Options& running, const std::vector<std::string>& arguments) {
    const auto reloaded = reload_options(running, arguments);
    if (const auto* problem = std::get_if<OptionsError>(&reloaded))
        return log::error("the configuration was not reloaded: {}", problem->message);
    const Reload& changes = std::get<Reload>(reloaded);
    running = changes.options;
    log::configure(running.log_level, running.log_format);
    gateway.reconfigure(running);
    for (const std::string& warning : running.warnings)
        log::warning("{}", warning);
    for (const std::string& change : changes.changed)
        log::info("reloaded {}", change);
    for (const std::string& option : changes.needs_restart)
        log::warning("{} differs from what is running: it takes effect at the next start", option);
    log::info("the configuration was reloaded");
}

// Takes the sockets on which the former process listens.
std::string succeed(const Offer& offer, GivenSockets& sockets) {
    for (const auto& [descriptor, for_metrics, is_given, asked] : offer.sockets) {
        ListeningSocket socket;
        if (std::string problem =
                socket.succeed(descriptor, asked, is_given, "the former process's " + asked.text());
            !problem.empty())
            return problem;
        sockets.add(std::move(socket), for_metrics);
    }
    return {};
}

// The gateway's main thread: signals, and the changes of phase that they cause.
class MainThread {
public:
    MainThread(Options options, std::vector<std::string> program, const ServiceManager& manager,
               const std::optional<Predecessor>& predecessor)
        : options_(std::move(options)), program_(std::move(program)), manager_(manager),
          predecessor_(predecessor), gateway_(options_, [] { kill(getpid(), SIGUSR1); }) {}

    int run(const sigset_t& signals, GivenSockets sockets);

private:
    std::optional<int> on_signal(int signal);
    std::optional<int> on_time();
    std::optional<int> on_phase();
    void start_successor();
    void successor_failed();
    std::string end_successor();
    bool drains() const { return phase_ == Gateway::Phase::draining || drained_by_; }
    void tell_ready_once();
    void drain();
    int stop();

    Options options_;
    const std::vector<std::string> program_;
    const ServiceManager& manager_;
    const std::optional<Predecessor>& predecessor_;
    Gateway gateway_;
    Gateway::Phase phase_ = Gateway::Phase::serving;
    pid_t successor_ = -1;
    bool was_ready_ = false;
    std::optional<Monotonic> drained_by_; // since SIGTERM
};

int MainThread::run(const sigset_t& signals, GivenSockets sockets) {
    if (const std::string problem =
            gateway_.start(std::move(sockets), predecessor_ ? &*predecessor_ : nullptr);
        !problem.empty()) {
        log::error("{}", problem);
        return CANNOT_START;
    }
    if (predecessor_) {
        phase_ = Gateway::Phase::taking_over;
        log::info("taking over from process {}", predecessor_->offer.process);
    } else {
        log::info("started");
        manager_.tell_ready(); // the unit has started, whenever its database does
    }
    for (std::optional<int> code;;) {
        std::optional<std::chrono::milliseconds> within = manager_.watchdog();
        tell_ready_once();
        if (!was_ready_)
            within = std::min(LOOK_WHETHER_READY, within.value_or(LOOK_WHETHER_READY));
        if (drains())
            within = std::min(DRAIN_STEP, within.value_or(DRAIN_STEP));
        const int signal = wait_for_signal(signals, within);
        if ((code = on_phase()) || (code = signal ? on_signal(signal) : on_time()))
            return *code;
    }
}

void MainThread::tell_ready_once() {
    if (was_ready_ || phase_ != Gateway::Phase::serving || !gateway_.not_ready().empty())
        return;
    was_ready_ = true;
    if (!predecessor_)
        log::info("ready");
}

std::optional<int> MainThread::on_time() {
    if (drained_by_ && (gateway_.connections() == 0 || MonotonicClock::now() > *drained_by_))
        return stop();
    if (phase_ == Gateway::Phase::draining) {
        if (!gateway_.succession().is_drained())
            return std::nullopt;
        log::info("no client is left");
        return stop();
    }
    if (manager_.watchdog() && gateway_.is_alive())
        manager_.tell("WATCHDOG=1");
    return std::nullopt;
}

std::optional<int> MainThread::on_signal(int signal) {
    switch (signal) {
    case SIGHUP:
        manager_.tell_reloading();
        reload(gateway_, options_, {program_.begin() + 1, program_.end()});
        manager_.tell_ready();
        return std::nullopt;
    case SIGUSR2:
        start_successor();
        return std::nullopt;
    case SIGTERM:
    case SIGINT:
        if (phase_ != Gateway::Phase::draining)
            manager_.tell("STOPPING=1");
        if (signal == SIGTERM && phase_ == Gateway::Phase::serving && !drained_by_ &&
            options_.drain_seconds > Milliseconds::zero() && gateway_.connections() != 0) {
            drain();
            return std::nullopt;
        }
        log::info("stopping on {}", signal == SIGTERM ? "SIGTERM" : "SIGINT");
        return stop();
    default:
        return std::nullopt; // SIGUSR1: on_phase() has handled it; SIGCHLD: the link to the process tells
                             // more
    }
}

// Clients go evenly, as after a take-over, and the proxy sends them elsewhere; if there is no other gateway,
// they come back to this one until it stops.
void MainThread::drain() {
    gateway_.drain(options_.drain_seconds);
    log::info(
        "SIGTERM: clients are sent away within {} seconds (--drain-seconds); another signal stops at once",
        std::chrono::duration<double>(options_.drain_seconds).count());
    drained_by_ = MonotonicClock::now() + options_.drain_seconds;
}

int MainThread::stop() {
    // It must not take over when this process is gone. If it has already done so, it is to stop, too.
    const bool is_starting = phase_ == Gateway::Phase::handing_over;
    if (is_starting)
        kill(-successor_, SIGTERM);
    gateway_.stop();
    if (is_starting)
        end_successor();
    log::info("stopped");
    return 0;
}

void MainThread::start_successor() {
    if (drained_by_)
        return log::warning("SIGUSR2: no new process is started: {}", "this one stops (--drain-seconds)");
    if (const std::string problem = gateway_.succession().cannot_hand_over(); !problem.empty())
        return log::warning("SIGUSR2: no new process is started: {}", problem);
    const Successor successor = odoo_bus::start_successor(program_, gateway_.succession().offer());
    if (!successor.problem.empty())
        return log::error("SIGUSR2: {}; this process continues as before", successor.problem);
    log::info("SIGUSR2: process {} was started, and takes over as soon as it is ready", successor.process);
    manager_.tell_reloading();
    successor_ = successor.process;
    phase_ = Gateway::Phase::handing_over;
    gateway_.succession().hand_over(successor.socket);
}

// Without its link to this process it exits; if it does not, it is killed. Returns how it ended.
std::string MainThread::end_successor() {
    int status = 0;
    for (auto left = SUCCESSOR_ENDS_WITHIN; waitpid(successor_, &status, WNOHANG) == 0; left -= LOOK_AGAIN) {
        if (left.count() <= 0)
            kill(-successor_, SIGKILL);
        std::this_thread::sleep_for(LOOK_AGAIN);
    }
    return WIFSIGNALED(status) ? "signal " + std::to_string(WTERMSIG(status))
                               : "exit code " + std::to_string(WEXITSTATUS(status));
}

void MainThread::successor_failed() {
    const std::string end = end_successor();
    log::error("no take-over: {} (process {}, {}); its log says more. This process continues as before",
               gateway_.succession().problem(), successor_, end);
    manager_.tell_ready();
}

std::optional<int> MainThread::on_phase() {
    const Gateway::Phase before = std::exchange(phase_, gateway_.succession().phase());
    if (before == phase_)
        return std::nullopt;
    switch (phase_) {
    case Gateway::Phase::serving:
        if (before == Gateway::Phase::handing_over) {
            successor_failed();
        } else {
            log::info("ready: it has taken over from process {}", predecessor_->offer.process);
            manager_.tell_ready();
        }
        return std::nullopt;
    case Gateway::Phase::draining:
        // Until then, systemd ignores messages of the new process.
        manager_.tell("MAINPID=" + std::to_string(successor_) + "\nREADY=1");
        log::info("process {} has taken over; the remaining clients are moved there within {} seconds "
                  "(--drain-seconds)",
                  successor_, std::chrono::duration<double>(options_.drain_seconds).count());
        return std::nullopt;
    case Gateway::Phase::orphaned:
        log::error("not taken over: {}", gateway_.succession().problem());
        gateway_.stop();
        return CANNOT_START;
    case Gateway::Phase::refused:
        log::error("{}", gateway_.succession().problem());
        gateway_.stop();
        return CANNOT_START;
    default:
        return std::nullopt;
    }
}

int run(const Options& options, const std::vector<std::string>& program) {
    const sigset_t signals = block_signals();
    const std::optional<Predecessor> predecessor = find_predecessor();
    const ServiceManager manager = ServiceManager::from_environment(predecessor.has_value());
    GivenSockets sockets;
    std::string problem = predecessor ? predecessor->problem : "";
    if (problem.empty())
        problem = predecessor ? succeed(predecessor->offer, sockets) : adopt(manager, sockets);
    if (!problem.empty()) {
        log::error("{}", problem);
        return CANNOT_START;
    }
    fit_descriptor_limit(options.max_connections);
    keep_memory_returnable();
    const int exit_code = MainThread(options, program, manager, predecessor).run(signals, std::move(sockets));
    PgConnector::await_threads();
    return exit_code;
}

} // namespace

int main(int count, char** values) {
    const std::vector<std::string> program(values, values + count);
    const std::vector<std::string> arguments(program.begin() + 1, program.end());
    if (!arguments.empty() && arguments.front() == "tail")
        return run_tail({arguments.begin() + 1, arguments.end()});
    if (!arguments.empty() && arguments.front() == "status")
        return run_status({arguments.begin() + 1, arguments.end()});
    if (!arguments.empty() && arguments.front() == "top")
        return run_top({arguments.begin() + 1, arguments.end()});
    if (!arguments.empty() && arguments.front() == "doctor")
        return run_doctor({arguments.begin() + 1, arguments.end()});

    Parsed parsed = parse_options(arguments);
    if (const auto* text = std::get_if<OptionsText>(&parsed)) {
        fputs(text->text.c_str(), stdout);
        return 0;
    }
    if (const auto* problem = std::get_if<OptionsError>(&parsed)) {
        fprintf(stderr, "odoo-bus-gateway: %s\n", problem->message.c_str());
        return BAD_CONFIGURATION;
    }
    const Options options = std::get<Options>(std::move(parsed));
    if (options.check_config) {
        if (const std::string problem = check_files(options); !problem.empty()) {
            fprintf(stderr, "odoo-bus-gateway: %s\n", problem.c_str());
            return BAD_CONFIGURATION;
        }
        for (const auto& warnings : {options.warnings, warn_of_files(options)})
            for (const std::string& warning : warnings)
                fprintf(stderr, "odoo-bus-gateway: %s\n", warning.c_str());
        puts("the configuration is valid");
        return 0;
    }
    log::configure(options.log_level, options.log_format);
    for (const std::string& warning : options.warnings)
        log::warning("{}", warning);
    return run(options, program);
}

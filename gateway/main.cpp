// odoo-bus-gateway: from the command line to a running gateway, and what signals do to it.
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include <pthread.h>

#include "descriptor_limit.h"
#include "doctor/doctor.h"
#include "gateway.h"
#include "log.h"
#include "options.h"
#include "service_manager.h"
#include "status.h"
#include "tail.h"

using namespace odoo_bus;

namespace {

constexpr int BAD_CONFIGURATION = 2;
constexpr int CANNOT_START = 1;

// Every thread inherits the mask, so that only wait_for_signal() is told.
sigset_t block_signals() {
    sigset_t signals;
    sigemptyset(&signals);
    for (const int signal : {SIGTERM, SIGINT, SIGHUP})
        sigaddset(&signals, signal);
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    signal(SIGPIPE, SIG_IGN);
    return signals;
}

// 0 when none came within this time; without one, it waits.
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

// Sockets that the service manager has opened; one that is named "metrics" is for --metrics-listen.
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
    for (const std::string& change : changes.changed)
        log::info("reloaded {}", change);
    for (const std::string& option : changes.needs_restart)
        log::warning("{} differs from what is running: it takes effect at the next start", option);
    log::info("the configuration was reloaded");
}

int run(Options options, const std::vector<std::string>& arguments) {
    const sigset_t signals = block_signals();
    const ServiceManager manager = ServiceManager::from_environment(false);
    GivenSockets sockets;
    std::string problem = adopt(manager, sockets);
    fit_descriptor_limit(options.max_connections);
    Gateway gateway(options);
    if (problem.empty())
        problem = gateway.start(std::move(sockets));
    if (!problem.empty()) {
        log::error("{}", problem);
        return CANNOT_START;
    }
    log::info("ready");
    manager.tell_ready();
    for (;;) {
        const int signal = wait_for_signal(signals, manager.watchdog());
        if (signal == 0) {
            if (gateway.is_alive())
                manager.tell("WATCHDOG=1");
        } else if (signal == SIGHUP) {
            manager.tell_reloading();
            reload(gateway, options, arguments);
            manager.tell_ready();
        } else {
            log::info("stopping on {}", signal == SIGTERM ? "SIGTERM" : "SIGINT");
            manager.tell("STOPPING=1");
            gateway.stop();
            log::info("stopped");
            return 0;
        }
    }
}

} // namespace

int main(int count, char** values) {
    const std::vector<std::string> arguments(values + 1, values + count);
    if (!arguments.empty() && arguments.front() == "tail")
        return run_tail({arguments.begin() + 1, arguments.end()});
    if (!arguments.empty() && arguments.front() == "status")
        return run_status({arguments.begin() + 1, arguments.end()});
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
        puts("the configuration is valid");
        return 0;
    }
    log::configure(options.log_level, options.log_format);
    return run(options, arguments);
}

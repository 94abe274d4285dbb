// odoo-bus-gateway status: summarizes the metrics of a running gateway.
#include "commands/status.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <variant>

#include <spdlog/fmt/fmt.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "commands/metrics_request.h"
#include "commands/metrics_text.h"
#include "commands/server_connection.h"
#include "commands/status_options.h"

namespace odoo_bus {

namespace {

constexpr int BAD_CONFIGURATION = 2;
constexpr int NOT_READY = 1;

std::string count(double number) {
    std::string text = fmt::format("{:.0f}", number);
    for (size_t i = text.size(); i > 3 && text[i - 4] != '-'; i -= 3)
        text.insert(i - 3, 1, ' ');
    return text;
}

std::string bytes(double number) {
    const char* const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    size_t unit = 0;
    for (; number >= 1024 && unit + 1 < std::size(units); ++unit)
        number /= 1024;
    return fmt::format("{:.{}f} {}", number, unit == 0 ? 0 : 1, units[unit]);
}

std::string duration(double seconds) {
    if (seconds < 1)
        return fmt::format("{:g} ms", seconds * 1000);
    if (seconds < 120)
        return fmt::format("{:.0f} s", seconds);
    if (seconds < 7200)
        return fmt::format("{:.0f} min", seconds / 60);
    return seconds < 172'800 ? fmt::format("{:.1f} h", seconds / 3600)
                             : fmt::format("{:.1f} days", seconds / 86'400);
}

// "1000: 12, 1013: 3", without zeroes.
std::string each(const MetricsText::Samples& samples) {
    std::string text;
    for (const auto& [labels, value] : samples)
        if (value != 0)
            text += fmt::format("{}{}: {}", text.empty() ? "" : ", ",
                                log::printable(MetricsText::value_of(labels)), count(value));
    return text.empty() ? "none" : text;
}

std::string latency(const MetricsText& metrics, const std::string& name) {
    const auto half = metrics.quantile(name, 0.5), most = metrics.quantile(name, 0.99);
    return half && most ? fmt::format("median {}, 99 % within {}", duration(*half), duration(*most))
                        : "nothing yet";
}

} // namespace

std::string status_text(std::string_view metrics_text, std::string_view ready, double now_seconds) {
    const MetricsText metrics(metrics_text);
    const auto labelled = [&](const char* name) { return each(metrics.all(name)); };
    std::string text;
    const auto line = [&text](std::string_view name, const std::string& what) {
        text += fmt::format("{:<15}{}\n", name, what);
    };
    line("ready", log::printable(ready));
    line("process",
         fmt::format("up {}, {} resident, {} of CPU time, {} of {} descriptors",
                     duration(now_seconds - metrics.sum("process_start_time_seconds")),
                     bytes(metrics.sum("process_resident_memory_bytes")),
                     duration(metrics.sum("process_cpu_seconds_total")),
                     count(metrics.sum("process_open_fds")), count(metrics.sum("process_max_fds"))));
    for (const auto& [labels, up] : metrics.all("odoo_bus_database_up")) {
        line("database",
             fmt::format("{}: {}, {} notifications, {} gaps open for {}, {} in the history ({})",
                         log::printable(MetricsText::value_of(labels)), up ? "being read" : "NOT BEING READ",
                         count(metrics.of("odoo_bus_notifications_total", labels)),
                         count(metrics.of("odoo_bus_ledger_gaps", labels)),
                         duration(metrics.of("odoo_bus_ledger_gaps_open_seconds", labels)),
                         count(metrics.of("odoo_bus_history_notifications", labels)),
                         bytes(metrics.of("odoo_bus_history_bytes", labels))));
    }
    if (!metrics.all("odoo_bus_hub_up").empty())
        line("hub", metrics.sum("odoo_bus_hub_up")
                        ? "listened to"
                        : "NOT LISTENED TO: what Odoo sends arrives up to a second late");
    if (!metrics.all("odoo_bus_odoo_up").empty())
        line("Odoo", metrics.sum("odoo_bus_odoo_up") ? "answers" : "DOES NOT ANSWER");
    if (metrics.sum("odoo_bus_silent_connections"))
        line("SILENT", fmt::format("connections to PostgreSQL without an answer for 3 s: {}",
                                   labelled("odoo_bus_silent_connections")));
    line("clients", fmt::format("{} ({} have connected)", labelled("odoo_bus_connections"),
                                count(metrics.sum("odoo_bus_connected_total"))));
    line("subscriptions", fmt::format("{} to {} channels", count(metrics.sum("odoo_bus_subscriptions")),
                                      count(metrics.sum("odoo_bus_channels"))));
    line("delivered",
         fmt::format("{} notifications in {} frames, {}", count(metrics.sum("odoo_bus_deliveries_total")),
                     count(metrics.sum("odoo_bus_frames_total")),
                     bytes(metrics.sum("odoo_bus_sent_bytes_total"))));
    line("read to socket", latency(metrics, "odoo_bus_read_to_socket_seconds"));
    line("backlog",
         fmt::format("{} clients with {}; closed because of it: {}",
                     count(metrics.sum("odoo_bus_backlogged_connections")),
                     bytes(metrics.sum("odoo_bus_backlog_bytes")), labelled("odoo_bus_slow_closes_total")));
    line("resumed",
         fmt::format("{} from the history, {} from the table, {} told that they missed notifications",
                     count(metrics.sum("odoo_bus_resumes_total")),
                     count(metrics.sum("odoo_bus_replays_total")),
                     count(metrics.sum("odoo_bus_outdated_total"))));
    line("closed", labelled("odoo_bus_closes_total"));
    line("HTTP answers", labelled("odoo_bus_http_answers_total"));
    return text;
}

std::string status_json(std::string_view metrics_text, std::string_view ready) {
    const Json answer = parse_lenient(ready);
    json_t* const reasons = json_object_get(answer.get(), "reasons");
    const bool is_ready = json_is_array(reasons) && json_array_size(reasons) == 0;
    const Json object(json_pack("{s:b,s:O*,s:o}", "ready", is_ready, "reasons", reasons, "metrics",
                                MetricsText(metrics_text).json().release()));
    char* const dumped = json_dumps(object.get(), JSON_INDENT(2) | JSON_REAL_PRECISION(15));
    std::string text = dumped ? std::string(dumped) + "\n" : "";
    free(dumped);
    return text;
}

int run_status(const std::vector<std::string>& arguments) {
    const auto parsed = parse_status_options(arguments);
    if (const auto* text = std::get_if<OptionsText>(&parsed)) {
        fputs(text->text.c_str(), stdout);
        return 0;
    }
    if (const auto* problem = std::get_if<OptionsError>(&parsed)) {
        fprintf(stderr, "odoo-bus-gateway: %s\n", problem->message.c_str());
        return BAD_CONFIGURATION;
    }
    const auto& [options, json] = std::get<StatusOptions>(parsed);
    const Listener& where = options.metrics_listen.front();
    std::string problem_there;
    const auto metrics = get_metrics(options, problem_there);
    const auto ready = metrics ? get(Endpoint::of(where), "/ready", problem_there) : std::nullopt;
    if (metrics && metrics->status() == 401) {
        fprintf(stderr,
                "odoo-bus-gateway: %s requires the token of the running gateway's "
                "--metrics-token-file\n",
                where.text().c_str());
        return NOT_READY;
    }
    if (!ready) {
        fprintf(stderr, "odoo-bus-gateway: no response at %s: %s; is the gateway running?\n",
                where.text().c_str(), problem_there.c_str());
        return NOT_READY;
    }
    const double now_seconds = static_cast<double>(now_us()) / 1e6;
    fputs((json ? status_json(metrics->body(), ready->body())
                : status_text(metrics->body(), ready->body(), now_seconds))
              .c_str(),
          stdout);
    return ready->status() == 200 ? 0 : NOT_READY;
}

} // namespace odoo_bus

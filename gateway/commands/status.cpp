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
#include "base/text.h"
#include "commands/client_tables.h"
#include "commands/figures.h"
#include "commands/metrics_request.h"
#include "commands/metrics_text.h"
#include "commands/status_options.h"

namespace odoo_bus {

using namespace figures;

namespace {

constexpr int BAD_CONFIGURATION = 2;
constexpr int NOT_READY = 1;
constexpr size_t MOST_LINES = 1'000, MOST_COLUMNS = 1'000;

int fail(const std::string& problem) {
    fprintf(stderr, "odoo-bus-gateway: %s\n", log::printable(problem).c_str());
    return NOT_READY;
}

int print_clients(const StatusOptions& options) {
    std::string path = "/clients.json?channel=", problem;
    for (const unsigned char byte : *options.channel)
        path += fmt::format("%{:02X}", byte);
    const auto answer = get_metrics(options.gateway, path, problem);
    if (const std::string wrong = judge(answer, options.gateway, problem); !wrong.empty())
        return fail(wrong);
    if (options.json) {
        puts(answer->body().c_str());
        return 0;
    }
    const Json clients = parse_lenient(answer->body());
    const TextTable table = table_of_clients(clients.get());
    const size_t subscribers = subscribers_of(clients.get());
    for (const std::string& line : table_of_channels(clients.get()).lines(MOST_LINES, MOST_COLUMNS))
        puts(line.c_str());
    puts("");
    for (const std::string& line : table.lines(MOST_LINES, MOST_COLUMNS))
        puts(line.c_str());
    if (table.rows() < subscribers)
        printf("and %zu more\n", subscribers - table.rows());
    if (const std::string missing = incompleteness_of(clients.get()); !missing.empty())
        puts(missing.c_str());
    return 0;
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
    const StatusOptions& options = std::get<StatusOptions>(parsed);
    if (options.channel)
        return print_clients(options);
    std::string problem;
    const auto metrics = get_metrics(options.gateway, "/metrics", problem);
    const auto ready = metrics ? get_metrics(options.gateway, "/ready", problem) : std::nullopt;
    const auto& answer = ready ? metrics : ready;
    if (const std::string wrong = judge(answer, options.gateway, problem); !wrong.empty())
        return fail(wrong);
    const double now_seconds = static_cast<double>(now_us()) / 1e6;
    fputs((options.json ? status_json(metrics->body(), ready->body())
                        : status_text(metrics->body(), ready->body(), now_seconds))
              .c_str(),
          stdout);
    return ready->status() == 200 ? 0 : NOT_READY;
}

} // namespace odoo_bus

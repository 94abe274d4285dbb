// odoo-bus-gateway status: summarizes the metrics of a running gateway.
#include "commands/status.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <optional>
#include <variant>

#include <spdlog/fmt/fmt.h>

#include "base/clock.h"
#include "base/log.h"
#include "commands/metrics_request.h"
#include "commands/server_connection.h"
#include "config/options.h"

namespace odoo_bus {

namespace {

constexpr int BAD_CONFIGURATION = 2;
constexpr int NOT_RUNNING = 1;

// The samples of one name: the text between the braces, and the value.
using Samples = std::vector<std::pair<std::string, double>>;

class Metrics {
public:
    explicit Metrics(std::string_view text) {
        while (!text.empty()) {
            const size_t end = text.find('\n');
            add(text.substr(0, end));
            text.remove_prefix(end == text.npos ? text.size() : end + 1);
        }
    }

    const Samples& all(const std::string& name) const {
        static const Samples none;
        const auto it = samples_.find(name);
        return it == samples_.end() ? none : it->second;
    }
    double sum(const std::string& name) const {
        double sum = 0;
        for (const auto& sample : all(name))
            sum += sample.second;
        return sum;
    }
    double of(const std::string& name, const std::string& label) const {
        for (const auto& [labels, value] : all(name))
            if (labels == label)
                return value;
        return 0;
    }
    // Of a histogram without labels: the upper bound of the bucket that contains the quantile, in seconds.
    std::optional<double> quantile(const std::string& name, double part) const {
        const Samples& buckets = all(name + "_bucket");
        if (buckets.empty() || buckets.back().second == 0)
            return std::nullopt;
        for (const auto& [labels, count] : buckets)
            if (count >= part * buckets.back().second)
                return strtod(value_of(labels).c_str(), nullptr);
        return std::nullopt;
    }

    // The value of a single label, without quotes.
    static std::string value_of(const std::string& labels) {
        const size_t begin = labels.find('"'), end = labels.rfind('"');
        return begin == end ? labels : labels.substr(begin + 1, end - begin - 1);
    }

private:
    void add(std::string_view line) {
        const size_t space = line.rfind(' ');
        if (line.starts_with('#') || space == line.npos)
            return;
        const std::string_view series = line.substr(0, space);
        const size_t brace = series.find('{');
        const std::string labels(brace == series.npos ? ""
                                                      : series.substr(brace + 1, series.size() - brace - 2));
        samples_[std::string(series.substr(0, brace))].emplace_back(
            labels, strtod(std::string(line.substr(space)).c_str(), nullptr));
    }

    std::map<std::string, Samples> samples_;
};

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
std::string each(const Samples& samples) {
    std::string text;
    for (const auto& [labels, value] : samples)
        if (value != 0)
            text += fmt::format("{}{}: {}", text.empty() ? "" : ", ",
                                log::printable(Metrics::value_of(labels)), count(value));
    return text.empty() ? "none" : text;
}

std::string latency(const Metrics& metrics, const std::string& name) {
    const auto half = metrics.quantile(name, 0.5), most = metrics.quantile(name, 0.99);
    return half && most ? fmt::format("median {}, 99 % within {}", duration(*half), duration(*most))
                        : "nothing yet";
}

} // namespace

std::string status_text(std::string_view metrics_text, std::string_view ready, double now_seconds) {
    const Metrics metrics(metrics_text);
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
                         log::printable(Metrics::value_of(labels)), up ? "being read" : "NOT BEING READ",
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

int run_status(const std::vector<std::string>& arguments) {
    // parse_options() requires a --database, which status does not need.
    std::vector<std::string> with_database = arguments;
    with_database.insert(with_database.end(), {"--database", "dbname=any"});
    const Parsed parsed = parse_options(with_database);
    if (const auto* text = std::get_if<OptionsText>(&parsed)) {
        fputs(text->text.c_str(), stdout);
        return 0;
    }
    if (const auto* problem = std::get_if<OptionsError>(&parsed)) {
        fprintf(stderr, "odoo-bus-gateway: %s\n", problem->message.c_str());
        return BAD_CONFIGURATION;
    }
    const Options& options = std::get<Options>(parsed);
    if (options.metrics_listen.empty()) {
        fputs("odoo-bus-gateway: --metrics-listen is not set: give status the configuration of the gateway "
              "(--config), "
              "in which it is\n",
              stderr);
        return BAD_CONFIGURATION;
    }
    const Listener& where = options.metrics_listen.front();
    const Endpoint gateway = Endpoint::of(where);
    std::string problem_there;
    const auto metrics = get_metrics(options, problem_there);
    const auto ready = metrics ? get(gateway, "/ready", problem_there) : std::nullopt;
    if (metrics && metrics->status() == 401) {
        fprintf(stderr,
                "odoo-bus-gateway: %s requires the token of the running gateway's "
                "--metrics-token-file\n",
                where.text().c_str());
        return NOT_RUNNING;
    }
    if (!ready) {
        fprintf(stderr, "odoo-bus-gateway: no response at %s: %s; is the gateway running?\n",
                where.text().c_str(), problem_there.c_str());
        return NOT_RUNNING;
    }
    fputs(status_text(metrics->body(), ready->body(), static_cast<double>(now_us()) / 1e6).c_str(), stdout);
    return 0;
}

} // namespace odoo_bus

// What `top` shows: one screen of two scrapes.
#include "commands/top_screen.h"

#include <algorithm>

#include <spdlog/fmt/fmt.h>

#include "base/log.h"
#include "commands/client_tables.h"
#include "commands/figures.h"
#include "commands/text_table.h"

namespace odoo_bus {

using namespace figures;

namespace {

// What was counted between two scrapes of the same process.
class Rates {
public:
    Rates(const Scrape& now, const Scrape* before) : now_(now.metrics) {
        constexpr const char* STARTED = "process_start_time_seconds";
        if (!before || before->at >= now.at || before->metrics.sum(STARTED) != now.metrics.sum(STARTED))
            return;
        before_ = &before->metrics;
        seconds_ = std::chrono::duration<double>(now.at - before->at).count();
    }

    const MetricsText* before() const { return before_; }
    std::string of(const std::string& name) const {
        return before_ ? per_second((now_.sum(name) - before_->sum(name)) / seconds_) : "-";
    }
    std::string of(const std::string& name, const std::string& labels) const {
        return before_ ? per_second((now_.of(name, labels) - before_->of(name, labels)) / seconds_) : "-";
    }
    std::string bytes_of(const std::string& name) const {
        return before_ ? bytes((now_.sum(name) - before_->sum(name)) / seconds_) + "/s" : "-";
    }
    std::string processor() const {
        constexpr const char* CPU = "process_cpu_seconds_total";
        return before_ ? fmt::format("{:.0f} %", (now_.sum(CPU) - before_->sum(CPU)) / seconds_ * 100) : "-";
    }

private:
    const MetricsText& now_;
    const MetricsText* before_ = nullptr;
    double seconds_ = 0;
};

std::vector<std::string> figures_of(const std::string& where, const Scrape& now, const Rates& rates) {
    const MetricsText& metrics = now.metrics;
    std::vector<std::string> lines;
    const auto line = [&lines](std::string_view name, const std::string& what) {
        lines.push_back(fmt::format("{:<15}{}", name, what));
    };
    line("gateway", fmt::format("{}, {}, up {}, {} resident, {} of a processor", where,
                                now.is_ready ? "ready" : "NOT READY",
                                duration(std::max(1.0, static_cast<double>(microseconds(now.date)) / 1e6 -
                                                           metrics.sum("process_start_time_seconds"))),
                                bytes(metrics.sum("process_resident_memory_bytes")), rates.processor()));
    if (!now.is_ready)
        line("", log::printable(now.ready));
    line("clients",
         fmt::format("{}; {} connect; {} behind with {}", each(metrics.all("odoo_bus_connections")),
                     rates.of("odoo_bus_connected_total"),
                     count(metrics.sum("odoo_bus_backlogged_connections")),
                     bytes(metrics.sum("odoo_bus_backlog_bytes"))));
    line("subscriptions", fmt::format("{} to {} channels", count(metrics.sum("odoo_bus_subscriptions")),
                                      count(metrics.sum("odoo_bus_channels"))));
    line("notifications",
         fmt::format("{} read, {} delivered in {} frames, {}", rates.of("odoo_bus_notifications_total"),
                     rates.of("odoo_bus_deliveries_total"), rates.of("odoo_bus_frames_total"),
                     rates.bytes_of("odoo_bus_sent_bytes_total")));
    line("read to socket", latency(metrics, "odoo_bus_read_to_socket_seconds", rates.before()));
    if (!metrics.all("odoo_bus_odoo_up").empty())
        line("Odoo", fmt::format("{}; {} asked; {} wait, {} run",
                                 metrics.sum("odoo_bus_odoo_up") ? "answers" : "DOES NOT ANSWER",
                                 rates.of("odoo_bus_odoo_requests_total"),
                                 count(metrics.sum("odoo_bus_odoo_requests_waiting")),
                                 count(metrics.sum("odoo_bus_odoo_requests_running"))));
    return lines;
}

TextTable table_of_databases(const MetricsText& metrics, const Rates& rates) {
    constexpr auto right = TextTable::Align::right;
    TextTable table(
        {{"DATABASE"}, {"STATE"}, {"READ", right}, {"GAPS", right}, {"HISTORY", right}, {"SIZE", right}});
    for (const auto& [labels, up] : metrics.all("odoo_bus_database_up"))
        table.add({MetricsText::value_of(labels), up ? "being read" : "NOT BEING READ",
                   rates.of("odoo_bus_notifications_total", labels),
                   count(metrics.of("odoo_bus_ledger_gaps", labels)),
                   count(metrics.of("odoo_bus_history_notifications", labels)),
                   bytes(metrics.of("odoo_bus_history_bytes", labels))});
    return table;
}

// How many of its rows each table shows: they are served in turn until there is no room.
std::vector<size_t> share_out(const std::vector<TextTable>& tables, size_t room) {
    std::vector<size_t> shares(tables.size(), 0);
    for (bool is_served = true; is_served;) {
        is_served = false;
        for (size_t i = 0; i < tables.size() && room > 0; ++i) {
            if (shares[i] == tables[i].rows())
                continue;
            ++shares[i];
            --room;
            is_served = true;
        }
    }
    return shares;
}

} // namespace

std::vector<ScreenLine> top_screen(const std::string& where, const Scrape& now, const Scrape* before,
                                   ScreenSize size) {
    const Rates rates(now, before);
    std::vector<ScreenLine> screen;
    const auto add = [&](std::string_view text, bool is_title) {
        if (screen.size() < size.rows)
            screen.push_back({std::string(cut(text, size.columns)), is_title});
    };
    for (const std::string& line : figures_of(where, now, rates))
        add(line, false);
    std::vector<TextTable> tables{table_of_databases(now.metrics, rates)};
    if (now.clients) {
        tables.push_back(table_of_clients(now.clients.get()));
        tables.push_back(table_of_channels(now.clients.get()));
    }
    const std::string missing =
        now.clients ? incompleteness_of(now.clients.get()) : log::printable(now.no_clients);
    const size_t used =
        screen.size() + 2 * tables.size() + (missing.empty() ? 0 : 1); // an empty line, and the titles
    const std::vector<size_t> shares = share_out(tables, size.rows - std::min(size.rows, used));
    for (size_t i = 0; i < tables.size(); ++i) {
        add("", false);
        const std::vector<std::string> lines = tables[i].lines(shares[i], size.columns);
        for (size_t line = 0; line < lines.size(); ++line)
            add(lines[line], line == 0);
    }
    if (!missing.empty())
        add(missing, false);
    return screen;
}

} // namespace odoo_bus

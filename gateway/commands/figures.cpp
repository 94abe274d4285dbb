// Figures as status and top print them.
#include "commands/figures.h"

#include <cmath>
#include <iterator>

#include <spdlog/fmt/fmt.h>

#include "base/log.h"

namespace odoo_bus::figures {

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

std::string per_second(double number) {
    return (number < 9.95 ? fmt::format("{:.1f}", number) : count(number)) + "/s";
}

std::string each(const MetricsText::Samples& samples) {
    std::string text;
    for (const auto& [labels, value] : samples)
        if (value != 0)
            text += fmt::format("{}{}: {}", text.empty() ? "" : ", ",
                                log::printable(MetricsText::value_of(labels)), count(value));
    return text.empty() ? "none" : text;
}

// The upper bound of a bucket; the last one has none.
static std::string within(double seconds) {
    return std::isfinite(seconds) ? duration(seconds) : "more than 10 s";
}

std::string latency(const MetricsText& metrics, const std::string& name, const MetricsText* before) {
    const auto half = metrics.quantile(name, 0.5, before), most = metrics.quantile(name, 0.99, before);
    return half && most ? fmt::format("median {}, 99 % within {}", within(*half), within(*most))
                        : "nothing yet";
}

} // namespace odoo_bus::figures

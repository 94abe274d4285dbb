// What GET /metrics answered, in Prometheus' text format, for the commands that read it.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.h"

namespace odoo_bus {

class MetricsText {
public:
    // The samples of one name: the text between the braces, and the value.
    using Samples = std::vector<std::pair<std::string, double>>;

    explicit MetricsText(std::string_view text);

    const Samples& all(const std::string& name) const;
    double sum(const std::string& name) const;
    double of(const std::string& name, const std::string& labels) const;
    // Of a histogram without labels: the upper bound of the bucket that contains the quantile, in seconds.
    // With `before`, what was answered earlier: of what was observed since.
    std::optional<double> quantile(const std::string& name, double part,
                                   const MetricsText* before = nullptr) const;
    // {"name": [{"labels": {"label": "value"}, "value": number}]}
    Json json() const;

    // The value of a single label, without quotes.
    static std::string value_of(const std::string& labels);

private:
    void add(std::string_view line);

    std::map<std::string, Samples> samples_;
};

} // namespace odoo_bus

// What GET /metrics answered, in Prometheus' text format, for the commands that read it.
#include "commands/metrics_text.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

namespace odoo_bus {

namespace {

// name="value",name="value"; in a value \\, \" and \n are escaped.
Json labels_object(std::string_view text) {
    Json object(json_object());
    while (!text.empty()) {
        const size_t quote = text.find("=\"");
        if (quote == text.npos)
            break;
        const std::string name(text.substr(0, quote));
        std::string value;
        size_t i = quote + 2;
        for (; i < text.size() && text[i] != '"'; ++i) {
            const bool is_escaped = text[i] == '\\' && i + 1 < text.size();
            const char c = is_escaped ? text[++i] : text[i];
            value += is_escaped && c == 'n' ? '\n' : c;
        }
        json_object_set_new(object.get(), name.c_str(), json_stringn(value.data(), value.size()));
        text.remove_prefix(std::min(text.size(), i + 1));
        if (text.starts_with(','))
            text.remove_prefix(1);
    }
    return object;
}

} // namespace

MetricsText::MetricsText(std::string_view text) {
    while (!text.empty()) {
        const size_t end = text.find('\n');
        add(text.substr(0, end));
        text.remove_prefix(end == text.npos ? text.size() : end + 1);
    }
}

void MetricsText::add(std::string_view line) {
    const size_t space = line.rfind(' ');
    if (line.starts_with('#') || space == line.npos)
        return;
    const std::string_view series = line.substr(0, space);
    const size_t brace = series.find('{');
    const std::string_view braced = brace == series.npos ? "" : series.substr(brace + 1);
    const std::string labels(braced.substr(0, braced.empty() ? 0 : braced.size() - 1));
    samples_[std::string(series.substr(0, brace))].emplace_back(
        labels, strtod(std::string(line.substr(space)).c_str(), nullptr));
}

const MetricsText::Samples& MetricsText::all(const std::string& name) const {
    static const Samples none;
    const auto it = samples_.find(name);
    return it == samples_.end() ? none : it->second;
}

double MetricsText::sum(const std::string& name) const {
    double sum = 0;
    for (const auto& sample : all(name))
        sum += sample.second;
    return sum;
}

double MetricsText::of(const std::string& name, const std::string& labels) const {
    for (const auto& [each, value] : all(name))
        if (each == labels)
            return value;
    return 0;
}

std::optional<double> MetricsText::quantile(const std::string& name, double part,
                                            const MetricsText* before) const {
    Samples buckets = all(name + "_bucket");
    if (before)
        for (auto& [labels, count] : buckets)
            count -= before->of(name + "_bucket", labels);
    if (buckets.empty() || buckets.back().second <= 0)
        return std::nullopt;
    for (const auto& [labels, count] : buckets)
        if (count >= part * buckets.back().second)
            return strtod(value_of(labels).c_str(), nullptr);
    return std::nullopt;
}

Json MetricsText::json() const {
    Json object(json_object());
    for (const auto& [name, samples] : samples_) {
        json_t* const list = json_array();
        for (const auto& [labels, value] : samples) {
            // JSON has no infinity and no NaN.
            json_t* const number = std::isfinite(value) ? json_real(value) : json_null();
            json_array_append_new(
                list, json_pack("{s:o,s:o}", "labels", labels_object(labels).release(), "value", number));
        }
        json_object_set_new(object.get(), name.c_str(), list);
    }
    return object;
}

std::string MetricsText::value_of(const std::string& labels) {
    const size_t begin = labels.find('"'), end = labels.rfind('"');
    return begin == end ? labels : labels.substr(begin + 1, end - begin - 1);
}

} // namespace odoo_bus

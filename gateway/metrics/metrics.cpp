// Counters, gauges and histograms: one registry, filled before main() begins, and a block of slots per
// thread.
#include "metrics/metrics.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <memory>
#include <mutex>

#include <spdlog/fmt/fmt.h>

namespace odoo_bus::metrics {

namespace {

// More label values than this mean that clients choose them.
constexpr size_t MAX_CHILDREN = 1000;

struct Series { // counted in slots
    Labels labels;
    size_t slot;
    std::span<const int64_t> bounds_us; // of a histogram
};

struct Definition {
    std::string name;
    std::string help;
    Type type;
    std::vector<std::string> label_names;
    std::vector<Series> series;
    std::map<std::vector<std::string>, std::unique_ptr<Value>> values; // of a Family, by its label values
};

struct Registry {
    std::mutex mutex;
    std::vector<std::unique_ptr<Definition>> definitions;
    size_t slots = 0;
    std::vector<std::unique_ptr<Block>> blocks;
    std::vector<Block*> idle; // their threads have ended; what they counted still counts
};

// Never destroyed: threads that end late, and destructors of static objects, count into it.
Registry& registry() {
    static Registry* const registry = new Registry;
    return *registry;
}

[[noreturn]] void refuse(std::string_view name, const char* why) {
    fprintf(stderr, "metric %.*s: %s\n", static_cast<int>(name.size()), name.data(), why);
    abort();
}

// These two need registry().mutex.
size_t define(std::string_view name, std::string_view help, Type type, std::vector<std::string> label_names) {
    auto& definitions = registry().definitions;
    const auto same =
        std::ranges::find_if(definitions, [&](const auto& other) { return other->name == name; });
    if (same == definitions.end()) {
        definitions.push_back(std::make_unique<Definition>(Definition{.name = std::string(name),
                                                                      .help = std::string(help),
                                                                      .type = type,
                                                                      .label_names = std::move(label_names),
                                                                      .series = {},
                                                                      .values = {}}));
        return definitions.size() - 1;
    }
    if ((*same)->type != type || (*same)->label_names != label_names)
        refuse(name, "is declared twice, with another type or other labels");
    return static_cast<size_t>(same - definitions.begin());
}

uint64_t sum(size_t slot) {
    uint64_t sum = 0;
    for (const auto& block : registry().blocks)
        sum += block->slots[slot].load(std::memory_order_relaxed);
    return sum;
}

size_t add_series(std::string_view name, std::string_view help, Type type, Labels labels, size_t slots,
                  std::span<const int64_t> bounds_us = {}) {
    const std::lock_guard lock(registry().mutex);
    std::vector<std::string> label_names;
    for (const auto& label : labels)
        label_names.push_back(label.first);
    Definition& definition = *registry().definitions[define(name, help, type, std::move(label_names))];
    const size_t slot = std::exchange(registry().slots, registry().slots + slots);
    if (registry().slots > Block::SLOTS)
        refuse(name, "raise Block::SLOTS");
    definition.series.push_back({std::move(labels), slot, bounds_us});
    return slot;
}

uint64_t total(size_t slot) {
    const std::lock_guard lock(registry().mutex);
    return sum(slot);
}

struct Returner {
    Block* block = nullptr;
    ~Returner() {
        const std::lock_guard lock(registry().mutex);
        registry().idle.push_back(block);
        this_block = nullptr;
    }
};

} // namespace

Block& attach_block() {
    {
        const std::lock_guard lock(registry().mutex);
        if (registry().idle.empty())
            registry().idle.push_back(registry().blocks.emplace_back(std::make_unique<Block>()).get());
        this_block = registry().idle.back();
        registry().idle.pop_back();
    }
    static thread_local Returner returner;
    returner.block = this_block;
    return *this_block;
}

Counter::Counter(std::string_view name, std::string_view help, Labels labels)
    : slot_(add_series(name, help, Type::counter, std::move(labels), 1)) {}

uint64_t Counter::value() const {
    return total(slot_);
}

Gauge::Gauge(std::string_view name, std::string_view help, Labels labels)
    : slot_(add_series(name, help, Type::gauge, std::move(labels), 1)) {}

int64_t Gauge::value() const {
    return static_cast<int64_t>(total(slot_));
}

Histogram::Histogram(std::string_view name, std::string_view help, std::span<const int64_t> bounds_us,
                     Labels labels)
    : bounds_us_(bounds_us),
      slot_(add_series(name, help, Type::histogram, std::move(labels), bounds_us.size() + 2, bounds_us)) {}

void Histogram::observe_us(int64_t us) const {
    const auto bucket = std::ranges::lower_bound(bounds_us_, us) - bounds_us_.begin();
    Block& mine = block();
    mine.add(slot_ + static_cast<size_t>(bucket), 1);
    mine.add(slot_ + bounds_us_.size() + 1, static_cast<uint64_t>(std::max<int64_t>(us, 0)));
}

void Value::add(double n) {
    double before = value_.load(std::memory_order_relaxed);
    while (!value_.compare_exchange_weak(before, before + n, std::memory_order_relaxed))
        ;
}

Family::Family(std::string_view name, std::string_view help, Type type, std::vector<std::string> labels) {
    const std::lock_guard lock(registry().mutex);
    family_ = define(name, help, type, std::move(labels));
}

Value& Family::with(const std::vector<std::string>& values) const {
    const std::lock_guard lock(registry().mutex);
    Definition& definition = *registry().definitions[family_];
    if (values.size() != definition.label_names.size())
        refuse(definition.name, "takes another number of labels");
    const bool full = definition.values.size() >= MAX_CHILDREN && !definition.values.contains(values);
    auto& value = definition.values[full ? std::vector<std::string>(values.size(), "other") : values];
    if (!value)
        value = std::make_unique<Value>();
    return *value;
}

void Family::remove(const std::vector<std::string>& values) const {
    const std::lock_guard lock(registry().mutex);
    registry().definitions[family_]->values.erase(values);
}

// --- the text ---

namespace {

constexpr const char* TYPE_NAMES[] = {"counter", "gauge", "histogram"};

std::string escaped(std::string_view text, bool quotes) {
    std::string result;
    for (const char c : text) {
        if (c == '\n')
            result += "\\n";
        else if (c == '\\' || (quotes && c == '"'))
            (result += '\\') += c;
        else
            result += c;
    }
    return result;
}

void put(std::string& text, std::string_view name, const Labels& labels, std::string_view value) {
    text += name;
    char separator = '{';
    for (const auto& [label, content] : labels) {
        text += separator;
        text += fmt::format("{}=\"{}\"", label, escaped(content, true));
        separator = ',';
    }
    if (!labels.empty())
        text += '}';
    text += ' ';
    text += value;
    text += '\n';
}

std::string seconds(int64_t us) {
    return fmt::format("{}", static_cast<double>(us) / 1e6);
}

void put_histogram(std::string& text, const std::string& name, const Series& series) {
    uint64_t count = 0;
    Labels labels = series.labels;
    labels.emplace_back("le", "");
    for (size_t i = 0; i <= series.bounds_us.size(); ++i) {
        count += sum(series.slot + i);
        labels.back().second = i < series.bounds_us.size() ? seconds(series.bounds_us[i]) : "+Inf";
        put(text, name + "_bucket", labels, fmt::format("{}", count));
    }
    put(text, name + "_sum", series.labels,
        seconds(static_cast<int64_t>(sum(series.slot + series.bounds_us.size() + 1))));
    put(text, name + "_count", series.labels, fmt::format("{}", count));
}

std::vector<const Definition*> by_name() {
    std::vector<const Definition*> sorted;
    for (const auto& definition : registry().definitions)
        sorted.push_back(definition.get());
    std::ranges::sort(sorted, {},
                      [](const Definition* definition) -> std::string_view { return definition->name; });
    return sorted;
}

} // namespace

std::string text() {
    const std::lock_guard lock(registry().mutex);
    std::string text;
    for (const Definition* const definition : by_name()) {
        text +=
            fmt::format("# HELP {} {}\n# TYPE {} {}\n", definition->name, escaped(definition->help, false),
                        definition->name, TYPE_NAMES[static_cast<size_t>(definition->type)]);
        for (const Series& series : definition->series) {
            if (definition->type == Type::histogram)
                put_histogram(text, definition->name, series);
            else
                put(text, definition->name, series.labels,
                    definition->type == Type::gauge
                        ? fmt::format("{}", static_cast<int64_t>(sum(series.slot)))
                        : fmt::format("{}", sum(series.slot)));
        }
        for (const auto& [values, value] : definition->values) {
            Labels labels;
            for (size_t i = 0; i < values.size(); ++i)
                labels.emplace_back(definition->label_names[i], values[i]);
            put(text, definition->name, labels, fmt::format("{}", value->value()));
        }
    }
    return text;
}

std::string markdown() {
    const std::lock_guard lock(registry().mutex);
    std::string text =
        "<!-- Printed by odoo-bus-gateway --print-metrics-markdown: change the declarations instead. -->\n"
        "# Metrics of odoo-bus-gateway\n\n"
        "`GET /metrics` at `--metrics-listen`, in Prometheus' text format. A dashboard for Grafana is "
        "[deploy/grafana-dashboard.json](../deploy/grafana-dashboard.json).\n\n"
        "| Metric | Type | Labels | |\n| --- | --- | --- | --- |\n";
    for (const Definition* const definition : by_name()) {
        std::string labels;
        for (const std::string& label : definition->label_names)
            labels += fmt::format("{}`{}`", labels.empty() ? "" : ", ", label);
        text += fmt::format("| `{}` | {} | {} | {} |\n", definition->name,
                            TYPE_NAMES[static_cast<size_t>(definition->type)], labels, definition->help);
    }
    return text;
}

} // namespace odoo_bus::metrics

// Figures as status and top print them.
#pragma once

#include <string>

#include "commands/metrics_text.h"

namespace odoo_bus::figures {

std::string count(double number);                      // "12 345"
std::string bytes(double number);                      // "1.5 MiB"
std::string duration(double seconds);                  // "250 ms", "3.2 h"
std::string per_second(double number);                 // "0.5/s", "1 200/s"
std::string each(const MetricsText::Samples& samples); // "1000: 12, 1013: 3", without zeroes
// "median 0.1 ms, 99 % within 2.5 ms", of the histogram of that name; since `before` if it is not null.
std::string latency(const MetricsText& metrics, const std::string& name, const MetricsText* before = nullptr);

} // namespace odoo_bus::figures

// format.h: the differences between fmt 7 and 12, as they come with the spdlog of Debian's releases.
#pragma once

#include <spdlog/fmt/fmt.h>
#if __has_include(<spdlog/fmt/ranges.h>)
#include <spdlog/fmt/ranges.h> // join(), since 11
#endif

namespace odoo_bus {

// Before 8 only the run of a format can be checked, not its text when it is compiled.
#if FMT_VERSION >= 80000
template <class... Args>
using FormatString = fmt::format_string<Args...>;
inline auto runtime_format(const char* text) {
    return fmt::runtime(text);
}
#else
template <class... Args>
using FormatString = fmt::string_view;
inline auto runtime_format(const char* text) {
    return fmt::string_view(text);
}
#endif

} // namespace odoo_bus

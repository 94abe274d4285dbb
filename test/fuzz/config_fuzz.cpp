// Whatever stands in the configuration file: it is read as it was written, or refused by a sentence that
// repeats no connection string; and what was read is the same when it is written down and read again.
#include "config/config_file.h"

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/text.h"
#include "config/option_table.h"
#include "config/options.h"
#include "config/options_text.h"

using namespace odoo_bus;

// They describe the subcommands, too, which are not linked here.
std::string odoo_bus::manual_page() {
    return {};
}
std::string odoo_bus::bash_completion() {
    return {};
}
std::string odoo_bus::zsh_completion() {
    return {};
}
std::string odoo_bus::fish_completion() {
    return {};
}

namespace {

// A file in memory.
class File {
public:
    File() : descriptor_(memfd_create("configuration", MFD_CLOEXEC)) { fchmod(descriptor_, 0600); }

    void write(std::string_view text) {
        if (ftruncate(descriptor_, 0) != 0 || pwrite(descriptor_, text.data(), text.size(), 0) < 0)
            abort();
    }
    std::string path() const { return "/proc/self/fd/" + std::to_string(descriptor_); }

private:
    const int descriptor_;
};

File& file() {
    static File made;
    return made;
}

Parsed parse(std::string_view text) {
    file().write(text);
    return parse_options({"--config", file().path()}, [](const char*) -> const char* { return nullptr; });
}

void check_lines(std::string_view text) {
    file().write(text);
    std::vector<ConfigLine> lines, again;
    std::string error;
    if (!read_config_file(file().path(), lines, error)) {
        assert(log::printable(error) == error && !error.empty());
        return;
    }
    std::string written;
    for (const ConfigLine& line : lines) {
        for (const std::string& part : {line.name, line.value})
            assert(trim(part, " \t\r") == part &&
                   part.find_first_of(std::string_view("\n\0", 2)) == part.npos);
        assert(!line.name.empty() && line.name[0] != '#' && line.name.find('=') == line.name.npos);
        written += line.name + "=" + line.value + "\n";
    }
    file().write(written);
    assert(read_config_file(file().path(), again, error) && again.size() == lines.size());
    for (size_t i = 0; i < lines.size(); ++i)
        assert(again[i].name == lines[i].name && again[i].value == lines[i].value);
}

// Of these the value is the password of a database. It occurs in no other line.
bool holds_secret(std::string_view text) {
    constexpr std::string_view SECRET = "hunter2";
    const size_t at = text.find(SECRET);
    if (at == text.npos || text.find(SECRET, at + 1) != text.npos)
        return false;
    const size_t newline = at == 0 ? text.npos : text.rfind('\n', at - 1);
    const std::string_view line = trim(text.substr(newline == text.npos ? 0 : newline + 1), " \t\r");
    const size_t equals = line.find('=');
    const std::string_view name = trim(line.substr(0, equals), " \t\r");
    return equals < line.find(SECRET) && (name == "database" || name == "hub-database");
}

std::string written_down(const Options& options) {
    std::string text;
    for (const OptionDefinition& definition : option_table())
        for (const std::string& value : definition.field.get(options))
            text += definition.name + " = " + value + "\n";
    return text;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    check_lines(text);
    const Parsed parsed = parse(text);
    if (const auto* const error = std::get_if<OptionsError>(&parsed)) {
        assert(!error->message.empty() && log::printable(error->message) == error->message);
        assert(!holds_secret(text) || error->message.find("hunter2") == error->message.npos);
        return 0;
    }
    const Options& options = std::get<Options>(parsed);
    const std::string written = written_down(options);
    const Parsed again = parse(written);
    assert(std::holds_alternative<Options>(again) && written_down(std::get<Options>(again)) == written);
    return 0;
}

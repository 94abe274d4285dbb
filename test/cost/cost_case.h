// What a byte of foreign input may cost: at most twice as much processor time as a byte of plain input.
//
// Plain input is an ordinary one of the same format, or a message of a page (a subscribe, or whose presence
// it wants to know): the costliest of them, since it matters what a peer gets for its bytes, and not by which
// of the parsers.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace odoo_bus {

using MakeText = std::function<std::string(size_t bytes)>; // of about as many
using ParseText = std::function<void(const std::string& text)>;

struct CostCase {
    std::string parser; // the name of its fuzz target
    std::string what;   // of the hostile input
    size_t bytes;       // as many as the parser may be given, or as show the growth
    MakeText hostile;
    ParseText parse;
    MakeText plain = {}; // of the same format; none: the messages of a page alone
};

// Begin, then the part again and again, then the end.
MakeText repeated(std::string begin, std::string part, std::string end);
// The same; each `#` of the part is replaced by another number.
MakeText numbered(std::string begin, std::string part, std::string end);

// Values of JSON, as hostile as they can be, each with its name: a text of so many bytes.
struct HostileJson {
    std::string what;
    MakeText value;
};
std::vector<HostileJson> hostile_json();
// `make`, with other text around it.
MakeText inside(std::string begin, MakeText make, std::string end);

// Each file has the cases of some parsers.
std::vector<CostCase> json_cases();
std::vector<CostCase> http_cases();
std::vector<CostCase> file_cases();

} // namespace odoo_bus

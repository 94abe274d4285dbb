// The manual page odoo-bus-gateway(1), from the same tables as --help.
#include <string>

#include <spdlog/fmt/fmt.h>

#include "commands/doctor/doctor_options.h"
#include "commands/status_options.h"
#include "commands/tail_options.h"
#include "commands/top_options.h"
#include "config/option_table.h"
#include "config/options_text.h"

namespace odoo_bus {

namespace {

// Escapes text for roff: no line is a request, and hyphens stay hyphens when they are copied.
std::string roff(std::string_view text) {
    std::string out;
    bool begins_line = true;
    for (const char c : text) {
        if (begins_line && (c == '.' || c == '\''))
            out += "\\&";
        begins_line = c == '\n';
        if (c == '\\')
            out += "\\e";
        else if (c == '-')
            out += "\\-";
        else
            out += c;
    }
    return out;
}

std::string option(std::string_view name, std::string_view value, std::string_view help) {
    return fmt::format(".TP\n\\fB\\-\\-{}\\fR{}{}{}\n{}\n", roff(name), value.empty() ? "" : " \\fI",
                       roff(value), value.empty() ? "" : "\\fR", roff(help));
}

std::string options(const std::vector<CommandDefinition>& definitions) {
    std::string page;
    for (const CommandDefinition& definition : definitions)
        if (!definition.help.empty())
            page += option(definition.name, definition.value, definition.help);
    return page;
}

std::string facts_of(const OptionDefinition& definition) {
    std::string values;
    for (const std::string& value : definition.default_values())
        values += (values.empty() ? "" : ", ") + value;
    std::string text = definition.help;
    if (!values.empty())
        text += " Default " + values + ".";
    if (!definition.field.range.empty() && !definition.field.is_switch)
        text += " Values " + definition.field.range + ".";
    return text + (definition.reloads ? "" : " Needs a restart.");
}

std::string verbatim(const std::string& text) {
    return ".PP\n.nf\n" + roff(text) + (text.ends_with('\n') ? "" : "\n") + ".fi\n";
}

} // namespace

std::string manual_page() {
    std::string page =
        ".\\\" Printed by odoo-bus-gateway --print-man: change gateway/config/option_table.cpp instead.\n"
        ".TH ODOO-BUS-GATEWAY 1 \"\" \"odoo-bus-gateway " ODOO_BUS_VERSION "\" \"User Commands\"\n"
        ".SH NAME\n"
        "odoo-bus-gateway \\- notifications from PostgreSQL's bus_bus to WebSocket clients\n"
        ".SH SYNOPSIS\n"
        ".B odoo-bus-gateway\n[\\fBrun\\fR] [\\fIOPTION\\fR...]\n.br\n"
        ".B odoo-bus-gateway tail\n\\fIURL CHANNEL\\fR...\n.br\n"
        ".B odoo-bus-gateway status\n[\\fB\\-\\-json\\fR] [\\fIOPTION\\fR...]\n.br\n"
        ".B odoo-bus-gateway top\n[\\fB\\-\\-once\\fR] [\\fIOPTION\\fR...]\n.br\n"
        ".B odoo-bus-gateway doctor\n[\\fB\\-\\-url\\fR \\fIURL\\fR] [\\fIOPTION\\fR...]\n"
        ".SH DESCRIPTION\n";
    page +=
        roff("Serves Odoo's /websocket, event streams and long polls from the table bus_bus of PostgreSQL "
             "databases: each committed notification once and in causal order, also to clients that come "
             "back.\n");
    page += ".PP\n";
    page += roff("Each option can also be set by an environment variable (--log-level: ODOO_BUS_LOG_LEVEL; "
                 "several values are separated by \";\") or by a line of the configuration file (log-level = "
                 "debug). The command line takes precedence over the environment, and the environment over "
                 "the file.\n");
    page += ".SH COMMANDS\n";
    const auto command = [&page](std::string_view name, std::string_view what) {
        page += fmt::format(".TP\n.B {}\n{}\n", name, roff(what));
    };
    command("run", "Serve; the word may be left out.");
    command("tail", "Print notifications as they arrive. See TAIL.");
    command("status",
            "Print the state of a running gateway, which is asked at its --metrics-listen. See STATUS.");
    command("top", "Show what a running gateway does, again and again. See TOP.");
    command("doctor", "Find what is wrong, and say how to fix it. See DOCTOR.");

    page += ".SH OPTIONS\n";
    for (const Section& section : option_sections(true)) {
        page += fmt::format(".SS \"{}\"\n", roff(section.title));
        for (const OptionDefinition* definition : section.options)
            page += option(definition->name, definition->value, facts_of(*definition));
    }
    page += ".SS \"Only on the command line\"\n";
    page += options(command_table());

    page += ".SH DOCTOR\n";
    page +=
        roff("Takes the gateway's own options, best its --config, and those below. It prints one line for "
             "each check: ok, warning or failed, what was found, and what to do.\n");
    page += options(doctor::doctor_table());

    page += ".SH STATUS\n";
    page += roff(
        "Takes the gateway's own options, best its --config, and those below. The exit status is 0 only if "
        "the gateway is ready.\n");
    page += options(status_table());

    page += ".SH TOP\n";
    page += roff(
        "Takes the gateway's own options, best its --config, and those below. It shows clients, rates, "
        "latency, databases, Odoo's queue, the slowest clients and the biggest channels; q ends it. Where "
        "the output is no terminal, it prints one screen. The exit status is 0 only if the gateway was "
        "ready at last.\n");
    page += options(top_table());

    page += ".SH TAIL\n";
    page += options(tail_table()) + verbatim(TAIL_NOTES);

    page += ".SH SIGNALS\n";
    page +=
        ".TP\n.B SIGHUP\nReads the configuration again.\n"
        ".TP\n.B SIGTERM\nSends clients away within \\-\\-drain\\-seconds, so that they reconnect to other "
        "gateways, and exits.\n"
        ".TP\n.B SIGINT\nCloses every connection, and exits within 5 seconds.\n";
    page += ".SH EXIT STATUS\n";
    page +=
        ".TP\n.B 0\nStopped on request; status or top found the gateway ready; all checks of doctor are ok.\n"
        ".TP\n.B 1\nThe gateway cannot start; tail was refused; status or top found the gateway not ready, "
        "or got no answer; doctor has warnings.\n"
        ".TP\n.B 2\nThe configuration or the command line is wrong; a check of doctor has failed.\n";
    return page;
}

} // namespace odoo_bus

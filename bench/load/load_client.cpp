// The load client: many WebSocket connections, with far less CPU than the server needs, and an account of
// every mark.
//
//   load-client --server 127.0.0.1:8073 --connections 10000 --sample 100
//
// It is told what to do line by line on standard input, and answers each with a JSON object on a line:
//
//   open LAST [UPTO]       opens the connections (the first UPTO of them), subscribing with `last`
//   report                 what came since the last reset
//   reset                  begins to count anew; sequences go on
//   wait DELIVERIES MS     until so many came since the last reset, or the time is over
//   finish N | finish FILE counts what is missing as lost: N were sent on each channel, or the file's lines
//   say how many
//                          on channel 0, 1, ...
//   drop                   drops all connections without a word
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <map>
#include <sstream>
#include <string>

#include <arpa/inet.h>
#include <sys/resource.h>
#include <unistd.h>

#include "connections.h"

using namespace bench;

namespace {

[[noreturn]] void refuse(const std::string& why) {
    fprintf(stderr, "load-client: %s\n", why.c_str());
    exit(2);
}

Plan parse(int count, char** values) {
    Plan plan;
    const std::map<std::string, size_t*> numbers = {{"--connections", &plan.connections},
                                                    {"--window", &plan.window},
                                                    {"--channels", &plan.channels},
                                                    {"--group-users", &plan.group_users},
                                                    {"--group-channels", &plan.group_channels},
                                                    {"--sample", &plan.sample},
                                                    {"--never-read", &plan.never_read},
                                                    {"--addresses", &plan.addresses},
                                                    {"--churn", &plan.churn}};
    const std::map<std::string, Protocol> protocols = {
        {"bus", Protocol::bus}, {"raw", Protocol::raw}, {"nats", Protocol::nats}, {"nchan", Protocol::nchan}};
    for (int i = 1; i + 1 < count; i += 2) {
        const std::string name = values[i], value = values[i + 1];
        if (const auto number = numbers.find(name); number != numbers.end()) {
            *number->second = std::stoul(value);
        } else if (name == "--sweep-ms") {
            plan.sweep_us = std::stol(value) * 1000;
        } else if (name == "--return-ms") {
            plan.return_us = std::stol(value) * 1000;
        } else if (name == "--path") {
            plan.path = value;
        } else if (name == "--protocol" && protocols.contains(value)) {
            plan.protocol = protocols.at(value);
        } else if (name == "--server" && value.find(':') != value.npos) {
            plan.server.sin_family = AF_INET;
            plan.server.sin_port =
                htons(static_cast<uint16_t>(std::stoul(value.substr(value.find(':') + 1))));
            if (inet_pton(AF_INET, value.substr(0, value.find(':')).c_str(), &plan.server.sin_addr) != 1)
                refuse("--server takes ADDRESS:PORT");
        } else {
            refuse("unknown: " + name + " " + value);
        }
    }
    if (plan.server.sin_port == 0 || count % 2 == 0)
        refuse("--server ADDRESS:PORT is needed, and a value for each option");
    return plan;
}

std::string report(Connections& connections) {
    Totals& totals = connections.totals();
    rusage usage = {};
    getrusage(RUSAGE_SELF, &usage);
    const auto us = [](const timeval& time) { return time.tv_sec * 1'000'000 + time.tv_usec; };
    std::ostringstream text;
    text << "{\"open\":" << connections.is_open() << ",\"deliveries\":" << totals.deliveries
         << ",\"bytes\":" << totals.bytes << ",\"lost\":" << totals.lost << ",\"doubled\":" << totals.doubled
         << ",\"foreign\":" << totals.foreign << ",\"closed\":" << totals.closed
         << ",\"refused\":" << totals.refused << ",\"returned\":" << totals.returned
         << ",\"sampled\":" << totals.latencies.count() << ",\"p50_us\":" << totals.latencies.percentile(0.5)
         << ",\"p99_us\":" << totals.latencies.percentile(0.99)
         << ",\"max_us\":" << totals.latencies.percentile(1)
         << ",\"cpu_us\":" << us(usage.ru_utime) + us(usage.ru_stime) << "}";
    return text.str();
}

std::vector<uint64_t> read_counts(const std::string& argument) {
    if (argument.find_first_not_of("0123456789") == argument.npos)
        return {std::stoul(argument)};
    std::ifstream file(argument);
    std::vector<uint64_t> counts;
    for (uint64_t count = 0; file >> count;)
        counts.push_back(count);
    return counts;
}

void obey(Connections& connections, const std::string& line, size_t all) {
    std::istringstream words(line);
    std::string command;
    words >> command;
    if (command == "open") {
        int64_t last = 0;
        size_t upto = all;
        words >> last >> upto;
        const int64_t begin = now_us();
        connections.open(last, upto);
        std::cout << "{\"open\":" << connections.is_open() << ",\"refused\":" << connections.totals().refused
                  << ",\"seconds\":" << static_cast<double>(now_us() - begin) / 1e6 << "}" << std::endl;
        return;
    }
    if (command == "reset") {
        connections.totals() = {};
    } else if (command == "wait") {
        uint64_t deliveries = 0;
        int64_t milliseconds = 0;
        words >> deliveries >> milliseconds;
        const int64_t until = now_us() + milliseconds * 1000;
        while (connections.totals().deliveries < deliveries && now_us() < until)
            connections.run(std::min(until, now_us() + 5000), -1);
    } else if (command == "finish") {
        std::string sent;
        words >> sent;
        connections.finish(read_counts(sent));
    } else if (command == "drop") {
        connections.drop();
    } else if (command != "report") {
        refuse("unknown: " + line);
    }
    std::cout << report(connections) << std::endl;
}

} // namespace

int main(int count, char** values) {
    const Plan plan = parse(count, values);
    rlimit limit = {};
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);

    Connections connections(plan);
    std::string input;
    for (;;) {
        connections.run(INT64_MAX, STDIN_FILENO);
        char piece[4096];
        const ssize_t length = read(STDIN_FILENO, piece, sizeof piece);
        if (length <= 0)
            return 0;
        input.append(piece, static_cast<size_t>(length));
        for (size_t end; (end = input.find('\n')) != input.npos; input.erase(0, end + 1))
            obey(connections, input.substr(0, end), plan.connections);
    }
}

// As whom, on which host and about which channels Odoo is asked.
#include "auth/odoo/odoo_subject.h"

#include <algorithm>

#include "http/origin.h"

namespace odoo_bus {

// What beside the channels decides the answer: the host that selects the database, and the cookies.
Digest client_digest(const Requester& requester, const Identity& identity) {
    Sha256 hash;
    hash.add(host_only(requester.host)).add(requester.sent_host);
    hash.add(requester.forwarded_host).add(requester.forwarded_proto);
    hash.add(requester.own_origin ? "own" : "other").add(identity.is_public ? "public" : "session");
    for (const auto& [name, value] : identity.cookies)
        hash.add(name).add(value);
    return hash.finish();
}

OdooSubject make_subject(std::shared_ptr<const Requester> requester, std::vector<std::string> channels) {
    OdooSubject subject;
    subject.identity = identify(*requester);
    subject.client = client_digest(*requester, subject.identity);
    subject.host = host_only(requester->host);
    subject.channels = std::move(channels);
    if (const std::string& guest = subject.identity.guest_channel;
        !guest.empty() && std::ranges::find(subject.channels, guest) == subject.channels.end())
        subject.channels.push_back(guest);
    Sha256 hash;
    hash.add({reinterpret_cast<const char*>(subject.client.data()), subject.client.size()});
    for (const std::string& channel : subject.channels)
        hash.add(channel);
    subject.key = hash.finish();
    subject.requester = std::move(requester);
    return subject;
}

size_t OdooSubject::held_bytes() const {
    constexpr size_t COPIES = 3; // here, in the question, and in the request
    return COPIES * odoo_bus::held_bytes(channels);
}

OdooQueue::Turn turn_of(const OdooSubject& subject) {
    const auto& account = subject.requester->account;
    return {.client = subject.identity.is_public ? std::string() : std::string(subject.session()),
            .address = account ? account->name() : std::string()};
}

} // namespace odoo_bus

// What two processes of one gateway tell each other, as bytes: both run on one machine, so numbers are as it
// has them.
#include "take_over/message.h"

#include <cstring>
#include <type_traits>

#include "ledger/checkpoint.h"

namespace odoo_bus {

namespace {

// More than any message has: a batch is one read of the table.
constexpr uint64_t MAX_BYTES = uint64_t{4} << 30;

// Says that a ledger belongs to no file.
constexpr uint64_t NO_FILE = 0;

class Writer {
public:
    template <class Number>
    void number(Number value) {
        static_assert(std::is_integral_v<Number>);
        bytes_.append(reinterpret_cast<const char*>(&value), sizeof value);
    }
    void text(std::string_view text) {
        number<uint64_t>(text.size());
        bytes_ += text;
    }
    std::string bytes_;
};

// Reads zeros past the end, and remembers that.
class Reader {
public:
    explicit Reader(std::string_view bytes) : bytes_(bytes) {}

    template <class Number>
    Number number() {
        Number value = {};
        if (bytes_.size() < sizeof value) {
            damaged_ = true;
            return value;
        }
        memcpy(&value, bytes_.data(), sizeof value);
        bytes_.remove_prefix(sizeof value);
        return value;
    }
    std::string text() {
        const auto size = number<uint64_t>();
        if (size > bytes_.size()) {
            damaged_ = true;
            return {};
        }
        std::string text(bytes_.substr(0, size));
        bytes_.remove_prefix(size);
        return text;
    }
    // How many elements of at least so many bytes follow.
    uint64_t count(size_t least) {
        const auto count = number<uint64_t>();
        if (count > bytes_.size() / least)
            damaged_ = true;
        return damaged_ ? 0 : count;
    }
    bool is_whole() const { return !damaged_ && bytes_.empty(); }

private:
    std::string_view bytes_;
    bool damaged_ = false;
};

void write(Writer& to, const Notification& notification) {
    to.number(notification.id);
    to.number(notification.position);
    to.number(notification.fingerprint);
    to.number(notification.dispatched.time_since_epoch().count()); // both processes have the same clock
    to.number<uint8_t>(notification.ahead);
    to.text(notification.channel);
    to.text(notification.element);
}

constexpr size_t LEAST_NOTIFICATION = 4 * 8 + 1 + 2 * 8;

Notification read_notification(Reader& from) {
    Notification notification;
    notification.id = from.number<Id>();
    notification.position = from.number<Position>();
    notification.fingerprint = from.number<uint64_t>();
    notification.dispatched = Monotonic(Duration(from.number<Duration::rep>()));
    notification.ahead = from.number<uint8_t>() != 0;
    notification.channel = from.text();
    notification.element = from.text();
    return notification;
}

} // namespace

std::string encode(const TakeOverMessage& message) {
    Writer to;
    to.number<uint64_t>(0); // the length
    to.number(static_cast<uint8_t>(message.type));
    to.text(message.database);
    to.number<uint64_t>(message.batch ? message.batch->size() : 0);
    if (message.batch)
        for (const Notification& notification : *message.batch)
            write(to, notification);
    to.number(message.position);
    to.number(message.adopted_until);
    to.number(message.newest);
    to.number(message.settled);
    to.number<uint8_t>(message.flag);
    to.number<uint64_t>(message.numbers.size());
    for (const int64_t number : message.numbers)
        to.number(number);
    to.number<uint64_t>(message.texts.size());
    for (const std::string& text : message.texts)
        to.text(text);
    const uint64_t length = to.bytes_.size() - sizeof(uint64_t);
    memcpy(to.bytes_.data(), &length, sizeof length);
    return std::move(to.bytes_);
}

std::optional<TakeOverMessage> decode(std::string_view& bytes, bool& damaged) {
    uint64_t length = 0;
    if (bytes.size() < sizeof length)
        return std::nullopt;
    memcpy(&length, bytes.data(), sizeof length);
    if (length > MAX_BYTES) {
        damaged = true;
        return std::nullopt;
    }
    if (bytes.size() - sizeof length < length)
        return std::nullopt;
    Reader from(bytes.substr(sizeof length, length));
    bytes.remove_prefix(sizeof length + length);

    TakeOverMessage message;
    const auto type = from.number<uint8_t>();
    message.type = static_cast<TakeOverMessage::Type>(type);
    message.database = from.text();
    auto batch = std::make_shared<Batch>();
    for (uint64_t left = from.count(LEAST_NOTIFICATION); left > 0; --left)
        batch->push_back(read_notification(from));
    // Whoever takes it relies on that.
    for (size_t i = 1; i < batch->size(); ++i)
        damaged |= (*batch)[i].position != batch->front().position + i;
    if (!batch->empty())
        message.batch = std::move(batch);
    message.position = from.number<Position>();
    message.adopted_until = from.number<Position>();
    message.newest = from.number<Id>();
    message.settled = from.number<Id>();
    message.flag = from.number<uint8_t>() != 0;
    for (uint64_t left = from.count(sizeof(int64_t)); left > 0; --left)
        message.numbers.push_back(from.number<int64_t>());
    for (uint64_t left = from.count(sizeof(uint64_t)); left > 0; --left)
        message.texts.push_back(from.text());
    damaged |= !from.is_whole() || type > static_cast<uint8_t>(TakeOverMessage::Type::taken);
    if (damaged)
        return std::nullopt;
    return message;
}

std::string encode_ledger(const Checkpoint& checkpoint) {
    return encode_checkpoint(checkpoint, NO_FILE);
}

std::optional<Checkpoint> decode_ledger(std::string_view bytes) {
    std::string why;
    return decode_checkpoint(bytes, NO_FILE, why);
}

} // namespace odoo_bus

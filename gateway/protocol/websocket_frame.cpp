// Frames of a WebSocket, as its client writes and reads them.
#include "protocol/websocket_frame.h"

#include <algorithm>
#include <utility>

#include <openssl/rand.h>

#include "base/utf8.h"
#include "protocol/close_codes.h"

namespace odoo_bus {

namespace {

constexpr uint8_t MASKED = 0x80;   // in the second byte
constexpr uint8_t RESERVED = 0x70; // in the first: of extensions, which are never asked for
constexpr size_t MAX_CONTROL = 125;

bool is_known(Opcode opcode) {
    return opcode <= Opcode::binary || (opcode >= Opcode::close && opcode <= Opcode::pong);
}

} // namespace

std::string masked_frame(Opcode opcode, std::string_view payload) {
    std::string frame(1, static_cast<char>(FINAL_FRAME | static_cast<uint8_t>(opcode)));
    const size_t digits = payload.size() < 126 ? 0 : payload.size() <= UINT16_MAX ? 2 : 8;
    const size_t length = digits == 0 ? payload.size() : digits == 2 ? 126 : 127;
    frame.reserve(payload.size() + 14);
    frame += static_cast<char>(MASKED | length);
    for (size_t i = digits; i-- > 0;)
        frame += static_cast<char>(static_cast<uint64_t>(payload.size()) >> 8 * i);
    std::array<unsigned char, 4> mask{};
    RAND_bytes(mask.data(), mask.size());
    for (const unsigned char byte : mask)
        frame += static_cast<char>(byte);
    const size_t begin = frame.size();
    frame += payload;
    for (size_t i = 0; i < payload.size(); ++i)
        frame[begin + i] = static_cast<char>(frame[begin + i] ^ mask[i % mask.size()]);
    return frame;
}

size_t FrameReader::header_bytes() const {
    const int length = header_length_ < 2 ? 0 : header_[1] & 0x7f;
    return length < 126 ? 2 : length == 126 ? 4 : 10;
}

// The first two bytes are there.
bool FrameReader::judge_beginning() {
    opcode_ = static_cast<Opcode>(header_[0] & 0x0f);
    is_final_ = (header_[0] & FINAL_FRAME) != 0;
    const bool in_message = message_opcode_ != Opcode::continuation;
    if (!is_known(opcode_) || (header_[0] & RESERVED) != 0 || (header_[1] & MASKED) != 0)
        return false;
    if (opcode_ >= Opcode::close)
        return is_final_ && header_[1] <= MAX_CONTROL;
    return in_message == (opcode_ == Opcode::continuation);
}

// The header is whole.
bool FrameReader::begin_frame() {
    left_ = header_[1];
    if (header_length_ > 2)
        left_ = 0;
    for (size_t i = 2; i < header_length_; ++i)
        left_ = left_ << 8 | header_[i];
    header_length_ = 0;
    in_frame_ = true;
    if (opcode_ == Opcode::text || opcode_ == Opcode::binary)
        message_opcode_ = opcode_;
    return left_ >> 63 == 0;
}

// False when more bytes are needed, or the header is broken.
bool FrameReader::read_header(std::string_view& bytes) {
    while (header_length_ < header_bytes()) {
        if (bytes.empty())
            return false;
        header_[header_length_++] = static_cast<uint8_t>(bytes.front());
        bytes.remove_prefix(1);
        if (header_length_ == 2 && !judge_beginning()) {
            is_broken_ = true;
            return false;
        }
    }
    is_broken_ = !begin_frame();
    return !is_broken_;
}

FramePiece FrameReader::take_piece(bool ends_frame) {
    FramePiece piece;
    piece.payload = std::exchange(payload_, {});
    if (opcode_ >= Opcode::close) {
        piece.opcode = opcode_;
        return piece;
    }
    piece.opcode = message_opcode_;
    piece.is_first = !has_begun_;
    piece.is_last = ends_frame && is_final_;
    has_begun_ = !piece.is_last;
    if (piece.is_last)
        message_opcode_ = Opcode::continuation;
    return piece;
}

std::optional<FramePiece> FrameReader::next(std::string_view& bytes) {
    while (!is_broken_ && (in_frame_ || read_header(bytes))) {
        const size_t length =
            static_cast<size_t>(std::min<uint64_t>({left_, bytes.size(), max_piece_ - payload_.size()}));
        payload_ += bytes.substr(0, length);
        bytes.remove_prefix(length);
        left_ -= length;
        in_frame_ = left_ != 0;
        if (in_frame_ && payload_.size() < max_piece_)
            return std::nullopt;
        // An empty fragment says nothing.
        if (payload_.empty() && opcode_ < Opcode::close && !is_final_)
            continue;
        return take_piece(!in_frame_);
    }
    bytes = {};
    return std::nullopt;
}

std::optional<CloseStatus> parse_close(std::string_view payload) {
    if (payload.empty())
        return CloseStatus{};
    if (payload.size() == 1)
        return std::nullopt;
    const int code = static_cast<uint8_t>(payload[0]) << 8 | static_cast<uint8_t>(payload[1]);
    const std::string_view reason = payload.substr(2);
    if (!close_code::may_be_sent(code) || !is_utf8(reason))
        return std::nullopt;
    return CloseStatus{code, std::string(reason)};
}

std::string close_payload(const CloseStatus& status) {
    if (status.code == close_code::NO_STATUS)
        return {};
    return std::string{static_cast<char>(status.code >> 8), static_cast<char>(status.code)} + status.reason;
}

} // namespace odoo_bus

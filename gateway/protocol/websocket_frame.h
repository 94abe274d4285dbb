// Frames of a WebSocket (RFC 6455, section 5), as its client writes and reads them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace odoo_bus {

enum class Opcode : uint8_t { continuation = 0, text = 1, binary = 2, close = 8, ping = 9, pong = 10 };

inline constexpr uint8_t FINAL_FRAME = 0x80; // in the first byte of a frame, beside its opcode

// A whole frame, masked as a client has to.
std::string masked_frame(Opcode opcode, std::string_view payload);

// Of a server: a control frame, or the next bytes of a message.
struct FramePiece {
    Opcode opcode = Opcode::text; // of a message: text or binary, for each of its pieces
    bool is_first = true;
    bool is_last = true;
    std::string payload;

    bool is_control() const { return opcode >= Opcode::close; }
};

// Reads what a server sends, whatever it is, and however it is cut. A message of any length takes no more
// memory than one piece.
class FrameReader {
public:
    // A frame of up to so many bytes is one piece.
    explicit FrameReader(size_t max_piece) : max_piece_(max_piece) {}

    // Takes bytes from the front of `bytes` until a piece is whole; nothing when all of them are taken.
    std::optional<FramePiece> next(std::string_view& bytes);
    // The server does not speak the protocol: there are no further pieces.
    bool is_broken() const { return is_broken_; }
    // Of a piece that is not whole yet.
    size_t held_bytes() const { return payload_.capacity(); }

private:
    bool read_header(std::string_view& bytes);
    size_t header_bytes() const;
    bool judge_beginning();
    bool begin_frame();
    FramePiece take_piece(bool ends_frame);

    const size_t max_piece_;
    std::array<uint8_t, 10> header_{};
    uint8_t header_length_ = 0;
    bool is_broken_ = false;
    bool in_frame_ = false;
    bool is_final_ = false;   // the frame
    bool has_begun_ = false;  // a piece of the message was given
    Opcode opcode_{};         // the frame's
    Opcode message_opcode_{}; // continuation: there is no message
    uint64_t left_ = 0;       // bytes of the frame
    std::string payload_;
};

// A close frame's payload. 1005 (NO_STATUS): none.
struct CloseStatus {
    int code = 1005;
    std::string reason;
};
// Nothing when the payload is malformed, or has a code that no close frame may have.
std::optional<CloseStatus> parse_close(std::string_view payload);
std::string close_payload(const CloseStatus& status);

} // namespace odoo_bus

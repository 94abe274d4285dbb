// Frames of a WebSocket, however they are cut, and whatever a server sends instead.
#include "protocol/websocket_frame.h"

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "protocol/close_codes.h"

namespace odoo_bus {
namespace {

using namespace std::string_literals;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

constexpr size_t MAX_PIECE = 8;

struct Read {
    std::vector<FramePiece> pieces;
    bool is_broken;
};

Read read(std::string_view bytes, size_t step = SIZE_MAX) {
    FrameReader reader(MAX_PIECE);
    Read result{};
    for (size_t at = 0; at < bytes.size(); at += std::min(step, bytes.size())) {
        std::string_view part = bytes.substr(at, step);
        while (auto piece = reader.next(part))
            result.pieces.push_back(std::move(*piece));
        EXPECT_TRUE(part.empty());
        EXPECT_LE(reader.held_bytes(), 64u);
    }
    result.is_broken = reader.is_broken();
    return result;
}

std::string texts(const Read& result) {
    std::string text;
    for (const FramePiece& piece : result.pieces)
        text += (piece.is_first ? "<" : "") + piece.payload + (piece.is_last ? ">" : "|");
    return text;
}

void expect_texts(const std::string& bytes, const std::string& expected) {
    for (const size_t step : {size_t{1}, size_t{2}, size_t{3}, SIZE_MAX}) {
        const Read result = read(bytes, step);
        EXPECT_FALSE(result.is_broken);
        EXPECT_EQ(texts(result), expected) << step;
    }
}

TEST(FrameReader, WholeMessages) {
    expect_texts("\x81\x02hi\x82\x01x\x81\0"s, "<hi><x><>");
    const Read result = read("\x82\x01x"s);
    ASSERT_THAT(result.pieces, SizeIs(1));
    EXPECT_EQ(result.pieces[0].opcode, Opcode::binary);
}

TEST(FrameReader, LongMessagesComeInPieces) {
    expect_texts("\x81\x08" + std::string(8, 'a'), "<aaaaaaaa>");
    expect_texts("\x81\x09" + std::string(9, 'a') + "\x81\x01z", "<aaaaaaaa|a><z>");
    expect_texts("\x81\x7e\0\x10"s + std::string(16, 'b'), "<bbbbbbbb|bbbbbbbb>");
    expect_texts("\x81\x7f\0\0\0\0\0\0\0\x01z"s, "<z>");
}

TEST(FrameReader, FragmentsAndWhatStandsBetweenThem) {
    const std::string bytes =
        "\x02\x01"s + "a" + "\x89\x01p"s + "\0\0"s + "\0\x01"s + "b" + "\x80\x01z\x81\x01n"s;
    for (const size_t step : {size_t{1}, SIZE_MAX}) {
        const Read result = read(bytes, step);
        ASSERT_THAT(result.pieces, SizeIs(5));
        EXPECT_EQ(texts(result), "<a|<p>b|z><n>");
        EXPECT_EQ(result.pieces[1].opcode, Opcode::ping);
        EXPECT_TRUE(result.pieces[1].is_control());
        EXPECT_EQ(result.pieces[2].opcode, Opcode::binary);
        EXPECT_EQ(result.pieces[4].opcode, Opcode::text);
    }
}

TEST(FrameReader, ALengthWithoutAnEndTakesNoMemory) {
    FrameReader reader(MAX_PIECE);
    const std::string header = "\x81\x7f\x7f\xff\xff\xff\xff\xff\xff\xff";
    std::string_view part = header;
    EXPECT_FALSE(reader.next(part));
    for (int i = 0; i < 1000; ++i) {
        const std::string bytes(100, 'x');
        part = bytes;
        while (const auto piece = reader.next(part))
            EXPECT_FALSE(piece->is_last);
        EXPECT_LE(reader.held_bytes(), 64u);
    }
}

TEST(FrameReader, WhatIsNoFrame) {
    for (const std::string& bytes :
         {"\x81\x81\0\0\0\0x"s, "\xc1\x01x"s, "\x83\x01x"s, "\x8b\0"s, "\x89\x7e\0\xff"s, "\x09\0"s,
          "\x80\x01x"s, "\0\x01x"s, "\x01\x01x\x81\x01y"s, "\x81\x7f\xff\xff\xff\xff\xff\xff\xff\xff"s})
        for (const size_t step : {size_t{1}, SIZE_MAX}) {
            const Read result = read(bytes + "\x81\x01z", step);
            EXPECT_TRUE(result.is_broken) << testing::PrintToString(bytes);
            for (const FramePiece& piece : result.pieces)
                EXPECT_EQ(piece.payload, "x");
        }
}

// Unmasked, it is what a server would have sent.
std::string unmasked(std::string frame) {
    const size_t digits = (frame[1] & 0x7f) < 126 ? 0 : (frame[1] & 0x7f) == 126 ? 2 : 8;
    const size_t mask = 2 + digits;
    EXPECT_TRUE(frame[1] & 0x80);
    for (size_t i = mask + 4; i < frame.size(); ++i)
        frame[i] = static_cast<char>(frame[i] ^ frame[mask + (i - mask - 4) % 4]);
    frame[1] = static_cast<char>(frame[1] & 0x7f);
    return frame.erase(mask, 4);
}

TEST(MaskedFrame, IsReadBack) {
    for (const size_t length : {0, 1, 125, 126, 65535, 65536, 100000}) {
        const std::string payload(length, 'p');
        const std::string frame = unmasked(masked_frame(Opcode::text, payload));
        FrameReader reader(1 << 20);
        std::string_view bytes = frame;
        const auto piece = reader.next(bytes);
        ASSERT_TRUE(piece) << length;
        EXPECT_EQ(piece->payload, payload);
        EXPECT_TRUE(bytes.empty());
    }
    EXPECT_NE(masked_frame(Opcode::text, "same"), masked_frame(Opcode::text, "same"));
}

TEST(CloseFrame, CodesAndReasons) {
    EXPECT_EQ(parse_close("")->code, close_code::NO_STATUS);
    EXPECT_EQ(parse_close("\x03\xe8"s)->code, 1000);
    EXPECT_EQ(parse_close("\x0f\xa1SESSION_EXPIRED"s)->code, 4001);
    EXPECT_EQ(parse_close("\x0f\xa1SESSION_EXPIRED"s)->reason, "SESSION_EXPIRED");
    for (const std::string& payload :
         {"\x03"s, "\x03\xe8\xff"s, "\0\0"s, "\x03\xe7"s, "\x03\xec"s, "\x03\xed"s, "\x03\xee"s, "\x03\xf7"s,
          "\x0b\xb7"s, "\x13\x88"s, "\xff\xff"s})
        EXPECT_FALSE(parse_close(payload)) << testing::PrintToString(payload);
    EXPECT_EQ(close_payload({close_code::NO_STATUS, "unused"}), "");
    EXPECT_EQ(close_payload({4001, "x"}), "\x0f\xa1x");
}

} // namespace
} // namespace odoo_bus

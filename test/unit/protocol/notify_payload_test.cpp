// NOTIFY payloads: which databases they name.
#include "protocol/notify_payload.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace odoo_bus {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Optional;

TEST(NotifyPayload, NamesEachDatabaseOnce) {
    EXPECT_THAT(
        parse_notify_payload(R"([["mydb","broadcast"],["other","res.partner",3,"presence"],["mydb","x"]])"),
        Optional(ElementsAre("mydb", "other")));
    EXPECT_THAT(parse_notify_payload(R"([["caf\u00e9"]])"), Optional(ElementsAre("café")));
    EXPECT_THAT(parse_notify_payload("[]"), Optional(IsEmpty()));
}

TEST(NotifyPayload, AnythingElseIsInvalid) {
    for (const char* payload :
         {"", "x", "null", "{}", "[1]", "[\"mydb\"]", "[[]]", "[[1,\"mydb\"]]", "[[\"mydb\",1.5]]",
          "[[\"mydb\",null]]", "[[\"mydb\",[\"x\"]]]", "[[\"mydb\",\"x\"]", "[[\"mydb\",\"\xff\"]]",
          "[[\"mydb\",\"a\\u0000\"]]", "[[\"mydb\",99999999999999999999]]", "[[\"mydb\",\"x\"],5]"})
        EXPECT_EQ(parse_notify_payload(payload), std::nullopt) << payload;
    EXPECT_EQ(parse_notify_payload("[[\"" + std::string(8192, 'x') + "\"]]"), std::nullopt);
    EXPECT_EQ(parse_notify_payload(std::string(8000, '[')), std::nullopt);
}

} // namespace
} // namespace odoo_bus

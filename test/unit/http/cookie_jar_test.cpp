// A client's cookies.
#include "http/cookie_jar.h"

#include <gtest/gtest.h>

namespace odoo_bus {
namespace {

TEST(CookieJar, KeepsWhatWasGiven) {
    EXPECT_EQ(CookieJar("").header(), "");
    EXPECT_EQ(CookieJar("session_id=x; a=b=c").header(), "session_id=x; a=b=c");
    EXPECT_EQ(CookieJar(" a=1 ;;b=2;").header(), "a=1; b=2");
}

TEST(CookieJar, TheServerAddsAndReplaces) {
    CookieJar jar("session_id=old; a=b");
    jar.set("odoo_bus_gateway=0123; Path=/; HttpOnly");
    jar.set("session_id=new; Max-Age=1");
    jar.set("nonsense");
    jar.set("=x");
    jar.set("");
    EXPECT_EQ(jar.header(), "session_id=new; a=b; odoo_bus_gateway=0123");
}

} // namespace
} // namespace odoo_bus

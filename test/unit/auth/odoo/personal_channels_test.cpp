// Which channels wait for a confirmation of the grant.
#include "auth/odoo/personal_channels.h"

#include <gtest/gtest.h>

namespace odoo_bus {
namespace {

std::vector<std::string> personal(const std::vector<std::string>& named,
                                  const std::vector<std::string>& granted) {
    OdooSubject subject;
    subject.channels = named;
    const std::vector<bool> flags = personal_channels(subject, {"mydb", granted});
    EXPECT_EQ(flags.size(), granted.size());
    std::vector<std::string> result;
    for (size_t i = 0; i < flags.size(); ++i)
        if (flags[i])
            result.push_back(granted[i]);
    return result;
}

using Names = std::vector<std::string>;

TEST(PersonalChannels, RecordsAreAndWhatEveryoneIsGrantedIsNot) {
    const Names own = {R"(["mydb","res.partner",7])",
                       R"(["mydb","res.users",6])",
                       R"(["mydb","res.groups",1])",
                       R"(["mydb","discuss.channel",4])",
                       R"(["mydb","discuss.channel",4,"members"])",
                       R"(["mydb","mail.guest",2])"};
    Names granted = own;
    granted.insert(granted.begin() + 2, R"(["mydb","broadcast"])");
    EXPECT_EQ(personal({}, granted), own);
}

TEST(PersonalChannels, WhatThePageNamedIsNotWhateverItsSpelling) {
    EXPECT_EQ(personal({"a", "b\"\\\u00e9", "res.partner_7", "web.form_watch:res.partner:3"},
                       {R"(["mydb","a"])", R"(["mydb","b\"\\\u00e9"])", R"(["mydb","res.partner_7"])",
                        R"(["mydb","web.form_watch:res.partner:3"])"}),
              Names());
}

TEST(PersonalChannels, AStringThatNobodyNamedIs) {
    EXPECT_EQ(personal({"a"}, {R"(["mydb","a"])", R"(["mydb","internal_news"])", R"(["other","a"])"}),
              (Names{R"(["mydb","internal_news"])", R"(["other","a"])"}));
}

TEST(PersonalChannels, WhatANameIsResolvedToIs) {
    EXPECT_EQ(personal({"discuss.channel_4", "mail.guest_2|abc", "editor_collaboration:res.partner:name:3"},
                       {R"(["mydb","discuss.channel",4])", R"(["mydb","mail.guest",2])",
                        R"(["mydb","editor_collaboration","res.partner","name",3])"})
                  .size(),
              3u);
}

TEST(PersonalChannels, ThePresenceOfARecordThatThePageShowsIsNot) {
    const Names granted = {R"(["mydb","res.partner",7,"presence"])", R"(["mydb","res.partner",8,"presence"])",
                           R"(["mydb","mail.guest",2,"presence"])", R"(["mydb","my_model.x",5,"presence"])"};
    EXPECT_EQ(personal({}, granted), granted);
    EXPECT_EQ(personal({"odoo-presence-res.partner_8", "odoo-presence-mail.guest_2-3ao0x1f",
                        "odoo-presence-my_model.x_5"},
                       granted),
              Names{granted[0]});
    for (const char* name : {"odoo-presence-res.partner_", "odoo-presence-res.partner_7x", "odoo-presence-7",
                             "odoo-presence-", "odoo-presence-res.partner_99999999999999999999",
                             "x-odoo-presence-res.partner_7", "odoo-presence-res.partner_77"})
        EXPECT_EQ(personal({name}, granted), granted) << name;
}

} // namespace
} // namespace odoo_bus

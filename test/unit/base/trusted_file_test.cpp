// Files and directories that others could have written, or can read. Modes are judged, so that root is no
// exception.
#include "base/trusted_file.h"

#include <cerrno>
#include <filesystem>
#include <fstream>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

namespace odoo_bus {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr uid_t NOBODY = 65534;

class TrustedFileTest : public testing::Test {
protected:
    TrustedFileTest() {
        std::string name = fs::temp_directory_path() / "odoo_bus_trusted_XXXXXX";
        directory_ = mkdtemp(name.data());
    }
    ~TrustedFileTest() override { fs::remove_all(directory_); }

    fs::path make(const std::string& name, mode_t mode, const std::string& text = "text") const {
        std::ofstream(directory_ / name) << text;
        chmod((directory_ / name).c_str(), mode);
        return directory_ / name;
    }
    static std::string directory_problem(const fs::path& path, Judge judge = Judge::gateway) {
        std::string problem;
        const Descriptor directory = open_own_directory(path, problem, judge);
        EXPECT_EQ(static_cast<bool>(directory), problem.empty());
        return problem;
    }
    // Of a file in the directory.
    std::string problem(const std::string& name, int flags = O_RDWR) const {
        std::string why;
        const Descriptor directory = open_own_directory(directory_, why);
        const Descriptor file = open_own_file(directory.get(), name, flags, why);
        EXPECT_EQ(static_cast<bool>(file), why.empty());
        return why;
    }

    fs::path directory_;
};

TEST_F(TrustedFileTest, ADirectoryOfItsOwn) {
    EXPECT_THAT(directory_problem(directory_), IsEmpty());
    for (const mode_t mode : {0700, 0750, 0755, 0500, 01700}) {
        chmod(directory_.c_str(), mode);
        EXPECT_THAT(directory_problem(directory_), IsEmpty()) << std::oct << mode;
    }
    for (const mode_t mode : {0770, 0707, 0777, 01777, 0720, 0702, 02770}) {
        chmod(directory_.c_str(), mode);
        EXPECT_THAT(directory_problem(directory_), HasSubstr("other users can write to")) << std::oct << mode;
    }
    chmod(directory_.c_str(), 0700);
    EXPECT_THAT(directory_problem(directory_ / "none"), HasSubstr("No such file"));
    EXPECT_THAT(directory_problem(make("file", 0600)), HasSubstr("Not a directory"));
}

TEST_F(TrustedFileTest, ALinkToADirectoryIsFollowedIfItIsItsOwn) {
    fs::create_directory(directory_ / "target");
    chmod((directory_ / "target").c_str(), 0700);
    fs::create_directory_symlink(directory_ / "target", directory_ / "link");
    EXPECT_THAT(directory_problem(directory_ / "link"), IsEmpty());
    if (geteuid() == 0) {
        ASSERT_EQ(lchown((directory_ / "link").c_str(), NOBODY, NOBODY), 0);
        EXPECT_THAT(directory_problem(directory_ / "link"), HasSubstr("symbolic link of another user"));
    }
}

TEST_F(TrustedFileTest, ADirectoryOfAnotherUser) {
    if (geteuid() != 0)
        GTEST_SKIP() << "only root can give a directory away";
    ASSERT_EQ(chown(directory_.c_str(), NOBODY, NOBODY), 0);
    EXPECT_THAT(directory_problem(directory_), HasSubstr("belongs to another user"));
    EXPECT_THAT(directory_problem(directory_, Judge::command), IsEmpty()) << "root checks the gateway's";
    chmod(directory_.c_str(), 0777);
    EXPECT_THAT(directory_problem(directory_, Judge::command), HasSubstr("other users can write to"));
    ASSERT_EQ(chown(directory_.c_str(), 0, 0), 0);
}

TEST_F(TrustedFileTest, AFileOfItsOwnIsMadePrivate) {
    const mode_t before = umask(0);
    EXPECT_THAT(problem("new", O_RDWR | O_CREAT | O_EXCL), IsEmpty());
    umask(before);
    EXPECT_EQ(fs::status(directory_ / "new").permissions(), fs::perms(0600));
    for (const mode_t mode : {0600, 0640, 0644}) {
        make("file", mode);
        EXPECT_THAT(problem("file"), IsEmpty()) << std::oct << mode;
    }
    for (const mode_t mode : {0660, 0606, 0666}) {
        make("file", mode);
        EXPECT_THAT(problem("file"), HasSubstr("other users can write to it")) << std::oct << mode;
    }
}

TEST_F(TrustedFileTest, ALinkIsNotFollowedWhereverItLeads) {
    const fs::path target = make("target", 0600);
    for (const fs::path& to : {target, fs::path("target"), directory_ / "none", directory_ / "of_another",
                               directory_, fs::path("/dev/null")}) {
        fs::create_symlink(to, directory_ / "link");
        for (const int flags : {O_RDONLY, O_RDWR, O_RDWR | O_CREAT, O_RDWR | O_CREAT | O_TRUNC})
            EXPECT_THAT(problem("link", flags), HasSubstr("symbolic link")) << to;
        EXPECT_THAT(problem("link", O_RDWR | O_CREAT | O_EXCL), HasSubstr("File exists")) << to;
        fs::remove(directory_ / "link");
    }
    EXPECT_FALSE(fs::exists(directory_ / "none")) << "nothing is made through a link";
    EXPECT_EQ(fs::file_size(target), 4u) << "nothing is cut through a link";
}

TEST_F(TrustedFileTest, WhatIsNoFileIsNotWaitedFor) {
    ASSERT_EQ(mkfifo((directory_ / "pipe").c_str(), 0600), 0);
    for (const int flags : {O_RDONLY, O_RDWR})
        EXPECT_THAT(problem("pipe", flags), HasSubstr("not a regular file"));
    EXPECT_NE(problem("pipe", O_WRONLY), "");
    fs::create_directory(directory_ / "directory");
    EXPECT_THAT(problem("directory", O_RDONLY), HasSubstr("not a regular file"));
    EXPECT_NE(problem("directory"), "");
    EXPECT_THAT(read_key_file(directory_ / "pipe", 100).problem, HasSubstr("not a regular file"));
    EXPECT_THAT(read_key_file("/dev/null", 100).problem, HasSubstr("not a regular file"));
}

TEST_F(TrustedFileTest, AMissingFileIsToldFromARefusedOne) {
    std::string why;
    const Descriptor directory = open_own_directory(directory_, why);
    EXPECT_FALSE(open_own_file(directory.get(), "none", O_RDWR, why));
    EXPECT_EQ(errno, ENOENT);
    make("file", 0666);
    EXPECT_FALSE(open_own_file(directory.get(), "file", O_RDWR, why));
    EXPECT_NE(errno, ENOENT);
}

TEST_F(TrustedFileTest, AFileOfAnotherUser) {
    if (geteuid() != 0)
        GTEST_SKIP() << "only root can give a file away";
    ASSERT_EQ(chown(make("file", 0600).c_str(), NOBODY, NOBODY), 0);
    EXPECT_THAT(problem("file"), HasSubstr("belongs to another user"));
    EXPECT_TRUE(read_key_file(directory_ / "file", 100).is_private) << "root reads keys of any user";
    ASSERT_EQ(chmod((directory_ / "file").c_str(), 0640), 0);
    EXPECT_FALSE(read_key_file(directory_ / "file", 100).is_private) << "its group is not the gateway's";
}

TEST_F(TrustedFileTest, WhereOthersCanReplaceASocket) {
    for (const mode_t mode : {0700, 0755, 01777, 01770}) {
        chmod(directory_.c_str(), mode);
        EXPECT_THAT(judge_directory_of(directory_ / "socket"), IsEmpty()) << std::oct << mode;
    }
    for (const mode_t mode : {0777, 0770, 0707}) {
        chmod(directory_.c_str(), mode);
        EXPECT_THAT(judge_directory_of(directory_ / "socket"), HasSubstr("can replace what is in"))
            << std::oct << mode;
    }
    EXPECT_THAT(judge_directory_of("/nonexistent/socket"), IsEmpty()) << "bind() says it";
}

TEST_F(TrustedFileTest, AKeyFileIsPrivateOrNot) {
    const auto is_private = [this](mode_t mode) { return read_key_file(make("key", mode), 100).is_private; };
    for (const mode_t mode : {0600, 0400, 0700})
        EXPECT_TRUE(is_private(mode)) << std::oct << mode;
    EXPECT_EQ(is_private(0640), geteuid() == 0) << "the group of a file of root";
    for (const mode_t mode : {0644, 0604, 0444, 0641})
        EXPECT_FALSE(is_private(mode)) << std::oct << mode;
    for (const mode_t mode : {0620, 0602, 0666, 0660})
        EXPECT_THAT(read_key_file(make("key", mode), 100).problem, HasSubstr("can write to it"))
            << std::oct << mode;
}

TEST_F(TrustedFileTest, AKeyFileMayBeALinkAndIsReadWhole) {
    const fs::path key = make("key", 0600, std::string(1000, 'k'));
    fs::create_symlink(key, directory_ / "link"); // as Kubernetes mounts them
    const KeyFile read = read_key_file(directory_ / "link", 1000);
    EXPECT_THAT(read.problem, IsEmpty());
    EXPECT_EQ(read.text, std::string(1000, 'k'));
    EXPECT_TRUE(read.is_private);
    EXPECT_THAT(read_key_file(key, 999).problem, HasSubstr("larger than 999 bytes"));
    EXPECT_THAT(read_key_file(directory_ / "none", 999).problem, HasSubstr("No such file"));
}

} // namespace
} // namespace odoo_bus

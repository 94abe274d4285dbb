// Gives libwebsockets 4.0 a client whose request head has been read.
#include "clients/adopt_with_head.h"

#include <utility>

#include <fcntl.h>
#include <libwebsockets.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

namespace odoo_bus {

namespace {

// The one of this thread that is being adopted, as long as it is there.
thread_local const void* adopted = nullptr;

bool is_unread(int sender) {
    int bytes = 0;
    return ioctl(sender, SIOCOUTQ, &bytes) == 0 && bytes > 0;
}

} // namespace

void destroyed(const void* wsi) {
    if (wsi == adopted)
        adopted = nullptr;
}

void adopt_with_head(lws_context* context, lws_vhost* vhost, int socket, std::string_view head) {
    int pair[2];
    const int client = fcntl(socket, F_DUPFD_CLOEXEC, 0);
    if (client < 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) != 0) {
        close(client);
        close(socket);
        return;
    }
    send(pair[1], head.data(), head.size(), MSG_NOSIGNAL);
    dup3(pair[0], socket, O_CLOEXEC);
    close(pair[0]);

    lws_sock_file_fd_type descriptor;
    descriptor.sockfd = socket;
    adopted =
        lws_adopt_descriptor_vhost(vhost, static_cast<lws_adoption_type>(LWS_ADOPT_SOCKET | LWS_ADOPT_HTTP),
                                   descriptor, nullptr, nullptr);
    // It reads some thousand bytes at a time. The event loop sees the number only when it waits again.
    constexpr int MAX_READS = 64;
    for (int n = 0; adopted && is_unread(pair[1]) && n < MAX_READS; ++n) {
        lws_pollfd readable{.fd = socket, .events = POLLIN, .revents = POLLIN};
        lws_service_fd(context, &readable);
    }

    char answer[4096];
    for (ssize_t length; (length = recv(pair[1], answer, sizeof answer, 0)) > 0;)
        send(client, answer, static_cast<size_t>(length), MSG_NOSIGNAL);
    if (std::exchange(adopted, nullptr))
        dup3(client, socket, O_CLOEXEC);
    close(client);
    close(pair[1]);
}

} // namespace odoo_bus

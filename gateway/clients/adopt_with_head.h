// adopt_with_head.h: gives libwebsockets 4.0 a client whose request head has been read.
#pragma once

#include <string_view>

struct lws_context;
struct lws_vhost;

namespace odoo_bus {

// lws_adopt_socket_vhost_readbuf() of 4.0 waits for TLS, for ever where there is none. So libwebsockets is
// given a pair of sockets under the number of the client's, reads the head from it and answers, and goes on
// with the client's. The socket is closed when it is refused.
void adopt_with_head(lws_context* context, lws_vhost* vhost, int socket, std::string_view head);

// LWS_CALLBACK_WSI_DESTROY tells this of every connection.
void destroyed(const void* wsi);

} // namespace odoo_bus

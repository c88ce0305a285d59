// Every header from C++, and a call through them.
#include <sys/socket.h>

#include <cstdio>
#include <cstring>

#include "crpc/crpc.h"
#include "crpc/envelope.h"
#include "crpc/frame.h"
#include "crpc/limits.h"
#include "crpc/listener.h"
#include "depot/v1/depot.client.h"
#include "depot/v1/depot.info.h"
#include "depot/v1/depot.server.h"

static void find(void *, depot_find_call *call, const depot_find_request *request)
{
    depot_item item = DEPOT_ITEM_INIT;
    item.name = request->name;
    depot_find_response response = DEPOT_FIND_RESPONSE_INIT;
    response.item = &item;
    depot_find_reply(call, &response);
}

struct answer {
    bool is_there;
};

static void done(void *data, const rpc_error *error, const depot_find_response *response)
{
    static_cast<answer *>(data)->is_there =
        error == nullptr && std::strcmp(response->item->name, "lamp") == 0;
}

int main()
{
    int fds[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0)
        return 1;
    depot_handlers handlers = {};
    handlers.find = find;
    rpc_service service = depot_service(&handlers, nullptr);
    rpc_listener *listener = rpc_listener_new(nullptr, nullptr);
    if (rpc_listener_add(listener, &service) != RPC_OK ||
        rpc_listener_take_connection(listener, fds[0], nullptr) != RPC_DONE)
        return 1;
    rpc_client *client = rpc_client_take_fd(fds[1], nullptr);
    rpc_client_attach(client);
    depot_find_request request = DEPOT_FIND_REQUEST_INIT;
    request.name = "lamp";
    answer answer = {};
    if (depot_find_begin(client, nullptr, &request, done, &answer, nullptr) == nullptr)
        return 1;
    // Both ends in one thread, neither of which waits.
    for (int i = 0; i < 1000 && !answer.is_there; i++) {
        rpc_client_process(client);
        rpc_listener_process(listener, nullptr);
    }
    rpc_client_close(client);
    rpc_listener_free(listener);
    std::puts(answer.is_there ? "depot: all is there" : "depot: no answer");
    return answer.is_there ? 0 : 1;
}

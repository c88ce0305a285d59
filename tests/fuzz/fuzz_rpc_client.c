/* A hostile server against the client's session: every call must end exactly once. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/rpc/session.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { N_CALLS = 4 };

static const struct rpc_method METHOD = {.service = "a.B", .name = "C", .kind = RPC_UNARY};
static struct rpc_session_event event;

struct open_calls {
    struct rpc_session_call *calls[N_CALLS];
    size_t n;
};

static void take_events(struct rpc_session *session, struct open_calls *open)
{
    while (rpc_session_next(session, &event)) {
        size_t *has_message = rpc_session_call_owner(event.call);
        if (event.kind == RPC_EVENT_MESSAGE) {
            assert(*has_message == 0);
            *has_message = 1;
            continue;
        }
        assert(event.kind == RPC_EVENT_ENDED);
        assert(event.status.code != RPC_OK || *has_message == 1);
        rpc_session_call_release(event.call);
        open->n--;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    struct rpc_session *session = rpc_ttrpc_client_new();
    assert(session != NULL);
    struct open_calls open = {.n = 0};
    size_t has_message[N_CALLS] = {0};
    const struct rpc_payload nothing = {.len = 0};
    for (size_t i = 0; i < N_CALLS; i++) {
        open.calls[i] = rpc_session_open(session, &METHOD, 0, NULL, 0, &nothing);
        assert(open.calls[i] != NULL);
        rpc_session_call_set_owner(open.calls[i], &has_message[i]);
        open.n++;
    }
    size_t piece = (size_t)data[0] + 1;
    for (size_t at = 1; at < size && rpc_session_broken(session) == NULL; at += piece) {
        size_t len = size - at < piece ? size - at : piece;
        uint8_t *copy = malloc(len);
        assert(copy != NULL);
        memcpy(copy, data + at, len);
        rpc_session_receive(session, copy, len, 0);
        take_events(session, &open);
        free(copy);
    }
    rpc_session_lose(session, RPC_UNAVAILABLE, "over");
    take_events(session, &open);
    assert(open.n == 0);
    rpc_session_free(session);
    return 0;
}

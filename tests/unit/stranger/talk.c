#include "talk.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

void talk_same(const ProtobufCMessage *got, const ProtobufCMessage *expected)
{
    assert(got->descriptor == expected->descriptor);
    size_t got_len = protobuf_c_message_get_packed_size(got);
    size_t expected_len = protobuf_c_message_get_packed_size(expected);
    assert(got_len == expected_len);
    uint8_t *bytes = malloc(got_len + expected_len + 1);
    assert(bytes != NULL);
    (void)protobuf_c_message_pack(got, bytes);
    (void)protobuf_c_message_pack(expected, bytes + got_len);
    assert(memcmp(bytes, bytes + got_len, got_len) == 0);
    free(bytes);
}

void talk_fine(const struct rpc_error *error)
{
    if (error == NULL)
        return;
    fprintf(stderr, "code %d: %s\n", (int)error->code, error->message);
    abort();
}

struct talk *talk_new(void)
{
    struct talk *talk = calloc(1, sizeof *talk);
    assert(talk != NULL);
    return talk;
}

void talk_closed(void *state, enum rpc_code code)
{
    assert(code == RPC_OK);
    free(state);
}

void talk_until(const struct talk_loop *loop, const bool *done)
{
    enum { WAIT_S = 60 };
    const time_t give_up_at = time(NULL) + WAIT_S;
    struct rpc_error *error = NULL;
    while (!*done) {
        enum rpc_result result = rpc_listener_process(loop->listener, &error);
        talk_fine(error);
        assert(result == RPC_DONE);
        unsigned wants = rpc_client_wants(loop->client);
        assert((wants & RPC_WANTS_CLOSE) == 0);
        short events = (short)((wants & RPC_WANTS_READ ? POLLIN : 0) |
                               (wants & RPC_WANTS_WRITE ? POLLOUT : 0));
        struct pollfd fds[] = {{.fd = rpc_client_fd(loop->client), .events = events},
            {.fd = rpc_listener_fd(loop->listener), .events = POLLIN}};
        int n = poll(fds, 2, 1000);
        assert(n >= 0 && time(NULL) < give_up_at);
        rpc_client_process(loop->client);
    }
}

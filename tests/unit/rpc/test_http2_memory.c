/* The HTTP/2 door when memory runs out: whatever allocation fails, nothing leaks or is used after,
 * and the peer hears of it or is closed. nghttp2's allocations fail, too: it takes them from us. */
#include <stdio.h>
#include <stdlib.h>

#include "failing_memory.h"
#include "scripted_streams.h"
#include "unit.h"

static struct scripted_streams streams;

/* The preface and SETTINGS, three calls of a client that indexes nothing, a ping and a reset. */
struct script {
    uint8_t bytes[4096];
    size_t len;
};

static void put(struct script *script, const void *bytes, size_t len)
{
    assert_true(script->len + len <= sizeof script->bytes);
    if (len > 0)
        memcpy(script->bytes + script->len, bytes, len);
    script->len += len;
}

static void put_frame(struct script *script, uint8_t type, uint8_t flags, uint8_t stream,
    const void *body, size_t len)
{
    const uint8_t head[9] = {0, (uint8_t)(len >> 8), (uint8_t)len, type, flags, 0, 0, 0, stream};
    put(script, head, sizeof head);
    put(script, body, len);
}

static void put_field(struct script *script, const char *name, const char *value)
{
    const uint8_t lens[2] = {(uint8_t)strlen(name), (uint8_t)strlen(value)};
    put(script, "\0", 1);
    put(script, &lens[0], 1);
    put(script, name, lens[0]);
    put(script, &lens[1], 1);
    put(script, value, lens[1]);
}

static void put_call(struct script *script, uint8_t stream, enum scripted_method method,
    const void *body, size_t len, bool ends)
{
    struct script fields = {.len = 0};
    char path[100];
    (void)snprintf(path, sizeof path, "/%s/%s", scripted_methods[method].service,
        scripted_methods[method].name);
    put_field(&fields, ":method", "POST");
    put_field(&fields, ":scheme", "http");
    put_field(&fields, ":path", path);
    put_field(&fields, "content-type", "application/grpc");
    put_field(&fields, "key-bin", "AAAA,BBBB");
    put_field(&fields, "user-agent", "test");
    put_frame(script, 1, 4, stream, fields.bytes, fields.len);
    put_frame(script, 0, ends ? 1 : 0, stream, body, len);
}

static const struct script *script(void)
{
    static struct script script;
    static const uint8_t message[] = {0, 0, 0, 0, 3, 10, 1, 'a', 0, 0, 0, 0, 0};
    if (script.len > 0)
        return &script;
    put(&script, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24);
    put_frame(&script, 4, 0, 0, NULL, 0);
    put_call(&script, 1, SCRIPTED_ASK, message, 8, true);
    put_call(&script, 3, SCRIPTED_COLLECT, message, 7, false);
    put_call(&script, 5, SCRIPTED_CHAT, message, 13, false);
    put_call(&script, 7, SCRIPTED_COUNT, message + 8, 5, true);
    put_frame(&script, 0, 1, 3, message + 7, 6);
    put_frame(&script, 6, 0, 0, "12345678", 8);
    put_frame(&script, 3, 0, 5, "\0\0\0\x08", 4);
    return &script;
}

static void answer_all(void)
{
    for (size_t i = 0; i < streams.n_calls; i++) {
        struct scripted_stream *stream = &streams.calls[i];
        if (stream->call == NULL || stream->has_begun)
            continue;
        (void)rpc_call_add_header(stream->call, "h-bin", "\xFF", 1);
        (void)rpc_call_add_trailer(stream->call, "t", "x", 1);
        scripted_answer(stream, "yes");
    }
}

static void write_all(struct rpc_connection *connection)
{
    size_t len = 0;
    for (int i = 0; i < 8; i++) {
        (void)rpc_connection_output(connection, &len);
        rpc_connection_sent(connection, len, 1000);
    }
}

/* The whole life of a connection. */
static void live(struct rpc_server *server)
{
    struct rpc_connection *connection = rpc_connection_new(server, &(struct rpc_peer){.pid = 1});
    if (connection == NULL)
        return;
    const struct script *sent = script();
    for (size_t at = 0; at < sent->len; at += 50) {
        size_t len = sent->len - at < 50 ? sent->len - at : 50;
        rpc_connection_receive(connection, sent->bytes + at, len, 1000);
        if (at % 200 == 0)
            write_all(connection);
    }
    answer_all();
    rpc_connection_shut(connection, 1000);
    write_all(connection);
    rpc_connection_free(connection);
    answer_all();
}

static void test_every_failing_allocation_is_survived(void **state)
{
    (void)state;
    static const struct rpc_server_hooks hooks = {.data = NULL};
    bool has_failed = true;
    int n = 0;
    for (; has_failed; n++) {
        memset(&streams, 0, sizeof streams);
        streams.n_to_send = 2;
        streams.then = RPC_PULL_DONE;
        streams.replies_at_half_close = true;
        const struct rpc_service service = scripted_service(&streams);
        failing_memory_pause();
        struct rpc_server *server = rpc_server_new(&hooks);
        assert_non_null(server);
        assert_int_equal(rpc_server_add(server, &service), RPC_OK);
        failing_memory_resume();
        failing_memory_arm(n);
        live(server);
        has_failed = failing_memory_has_failed();
        failing_memory_pause();
        for (size_t i = 0; i < streams.n_calls; i++)
            assert_int_equal(streams.calls[i].n_closed, streams.calls[i].has_begun ? 1 : 0);
        rpc_server_free(server);
    }
    assert_true(n > 40);
    assert_int_equal(streams.n_calls, 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_failing_allocation_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

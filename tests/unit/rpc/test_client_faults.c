/* The n-th allocation, read, write, wait and connecting step fails, for every n, over conversations
 * of every kind: each call ends honestly, nothing leaks, no descriptor stays. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "flocks/v1/supervisor.names.h"

#include "common/base/clock.h"
#include "common/rpc/frame.h"
#include "crpc/limits.h"
#include "fake_wire.h"
#include "unit.h"

/* A call that failed to begin shifts the ids that the peer's script names: then nobody answers. */
static const struct rpc_options OPTIONS = {.timeout_ms = 5000};

/* Whether all went as without a failure. */
static bool went_well;

/* An error that a caller can act on: it is there, and does not blame the request or the server's
 * data for what this side or the connection lacked. */
static void check_error(struct rpc_error *error)
{
    went_well = false;
    assert_non_null(error);
    assert_non_null(error->message);
    assert_true(error->message[0] != '\0');
    bool is_honest = error->code == RPC_RESOURCE_EXHAUSTED || error->code == RPC_UNAVAILABLE ||
                     error->code == RPC_DEADLINE_EXCEEDED || error->code == RPC_INTERNAL;
    if (!is_honest)
        fail_msg("code %d: %s", (int)error->code, error->message);
    assert_true(wire.has_failed);
    rpc_error_free(error);
}

static void ask(struct rpc_client *client, const char *expected)
{
    flocks_get_operation_request request = FLOCKS_GET_OPERATION_REQUEST_INIT;
    request.operation_id = "question";
    const ProtobufCMessage *answer = NULL;
    struct rpc_error *error = NULL;
    if (rpc_client_call(client, &TALK_ASK, &OPTIONS, &request.base, &answer, &error) != RPC_DONE)
        check_error(error);
    else if (!wire.has_failed)
        assert_string_equal(((const flocks_get_operation_request *)answer)->operation_id, expected);
    rpc_message_free(answer);
}

static struct rpc_stream *open_stream(struct rpc_client *client, const struct rpc_method *method)
{
    flocks_get_operation_request request = FLOCKS_GET_OPERATION_REQUEST_INIT;
    struct rpc_error *error = NULL;
    struct rpc_stream *stream = rpc_client_open(
        client, method, &OPTIONS, method->kind == RPC_SERVER_STREAM ? &request.base : NULL, &error);
    if (stream == NULL)
        check_error(error);
    return stream;
}

static bool say(struct rpc_stream *stream, const char *text)
{
    flocks_get_operation_request message = FLOCKS_GET_OPERATION_REQUEST_INIT;
    message.operation_id = text;
    struct rpc_error *error = NULL;
    enum rpc_result result = rpc_stream_send(stream, &message.base, &error);
    if (result == RPC_ERROR)
        check_error(error);
    return result == RPC_DONE;
}

/* Reads to the end; true: `expected` messages and a good one. */
static void listen_to_end(struct rpc_stream *stream, int expected)
{
    const ProtobufCMessage *message = NULL;
    struct rpc_error *error = NULL;
    enum rpc_result result;
    int n = 0;
    while ((result = rpc_stream_next(stream, &message, &error)) == RPC_DONE) {
        rpc_message_free(message);
        n++;
    }
    if (result == RPC_ERROR)
        check_error(error);
    else if (!wire.has_failed)
        assert_int_equal(n, expected);
}

/* ---- conversations; each consumes the descriptor ---- */

static void hold_unary(int fd)
{
    struct rpc_error *error = NULL;
    talk_answer(1, 1, "first");
    talk_answer(2, 3, "second");
    struct rpc_client *client = rpc_client_take_fd(fd, &error);
    if (client == NULL) {
        check_error(error);
        return;
    }
    ask(client, "first");
    ask(client, "second");
    rpc_client_close(client);
}

static void expect_refusal(struct rpc_client *client)
{
    flocks_get_operation_request request = FLOCKS_GET_OPERATION_REQUEST_INIT;
    const ProtobufCMessage *answer = NULL;
    struct rpc_error *error = NULL;
    assert_int_equal(
        rpc_client_call(client, &TALK_ASK, &OPTIONS, &request.base, &answer, &error), RPC_ERROR);
    if (error->code != RPC_NOT_FOUND) {
        check_error(error);
        return;
    }
    assert_int_equal(error->n_details, 1);
    assert_string_equal(error->details[0].type_name, "t.D");
    rpc_error_free(error);
}

static void hold_error(int fd)
{
    struct rpc_error *error = NULL;
    /* NOT_FOUND "no", a detail of type a/t.D with the value "v". */
    fake_wire_say(1, 0, "00000014 00000001 02 00 0a12 0805 1202'no' 1a0a 0a05'a/t.D' 1201'v'");
    struct rpc_client *client = rpc_client_take_fd(fd, &error);
    if (client == NULL) {
        check_error(error);
        return;
    }
    expect_refusal(client);
    rpc_client_close(client);
}

static void hold_streams(int fd)
{
    struct rpc_error *error = NULL;
    talk_message(2, 1, "one");
    talk_message(2, 3, "aye");
    talk_message(2, 1, "two");
    talk_end(2, 1);
    talk_answer(4, 5, "answer");
    talk_end(5, 3);
    struct rpc_client *client = rpc_client_take_fd(fd, &error);
    if (client == NULL) {
        check_error(error);
        return;
    }
    struct rpc_stream *listened = open_stream(client, &TALK_LISTEN);
    struct rpc_stream *chat = open_stream(client, &TALK_CHAT);
    if (chat != NULL)
        (void)say(chat, "word");
    ask(client, "answer");
    if (listened != NULL)
        listen_to_end(listened, 2);
    rpc_stream_close(listened);
    if (chat != NULL && rpc_stream_half_close(chat, NULL) == RPC_DONE)
        listen_to_end(chat, 1);
    rpc_stream_close(chat);
    rpc_client_close(client);
}

static void hold_tale(int fd)
{
    struct rpc_error *error = NULL;
    talk_answer(4, 1, "sum");
    struct rpc_client *client = rpc_client_take_fd(fd, &error);
    if (client == NULL) {
        check_error(error);
        return;
    }
    struct rpc_stream *stream = open_stream(client, &TALK_TELL);
    if (stream != NULL) {
        (void)(say(stream, "one") && say(stream, "two"));
        const ProtobufCMessage *answer = NULL;
        enum rpc_result result = rpc_stream_finish(stream, &answer, &error);
        if (result != RPC_DONE)
            check_error(error);
        assert_int_equal(answer != NULL, result == RPC_DONE);
        rpc_message_free(answer);
    }
    rpc_stream_close(stream);
    rpc_client_close(client);
}

/* A deadline, a cancelled stream, and the server's death. */
static void hold_bad_day(int fd)
{
    struct rpc_error *error = NULL;
    talk_message(2, 3, "word");
    fake_wire_hang_up(3, 40000, 0);
    struct rpc_client *client = rpc_client_take_fd(fd, &error);
    if (client == NULL) {
        check_error(error);
        return;
    }
    /* Errors are what is expected here. */
    wire.has_failed = true;
    ask(client, "");
    struct rpc_stream *stream = open_stream(client, &TALK_LISTEN);
    rpc_stream_close(open_stream(client, &TALK_CHAT));
    if (stream != NULL)
        listen_to_end(stream, 1);
    rpc_stream_close(stream);
    rpc_client_close(client);
    went_well = true;
}

/* ---- attached ---- */

static int n_told;
static bool has_ended;
static int n_heard;

static void deliver(rpc_typed_fn typed, void *data, const struct rpc_error *failure,
    const ProtobufCMessage *response)
{
    (void)typed;
    (void)data;
    assert_true((failure == NULL) != (response == NULL));
    if (failure != NULL)
        went_well = false;
    n_told++;
}

static enum rpc_take hear(
    const void *typed, void *data, struct rpc_stream *stream, const ProtobufCMessage *message)
{
    (void)typed;
    (void)data;
    assert_non_null(message);
    if (n_heard++ == 1) {
        rpc_stream_wake(stream);
        return RPC_TAKE_LATER;
    }
    return RPC_TAKE_DONE;
}

static void hear_end(
    const void *typed, void *data, struct rpc_stream *stream, const struct rpc_error *failure)
{
    (void)typed;
    (void)data;
    (void)stream;
    assert_false(has_ended);
    has_ended = true;
    if (failure != NULL)
        went_well = false;
}

static const struct rpc_watch_hooks HOOKS = {.message = hear, .ended = hear_end};

static struct rpc_pending *begin(struct rpc_client *client, int *n_begun)
{
    flocks_get_operation_request request = FLOCKS_GET_OPERATION_REQUEST_INIT;
    struct rpc_error *error = NULL;
    struct rpc_pending *pending =
        rpc_client_begin(client, &TALK_ASK, &OPTIONS, &request.base, deliver, NULL, NULL, &error);
    if (pending == NULL)
        check_error(error);
    else
        (*n_begun)++;
    return pending;
}

static void turn(struct rpc_client *client)
{
    unsigned wants = rpc_client_wants(client);
    struct pollfd ready = {.fd = rpc_client_fd(client),
        .events = (short)(((wants & RPC_WANTS_READ) != 0 ? POLLIN : 0) |
                          ((wants & RPC_WANTS_WRITE) != 0 ? POLLOUT : 0))};
    int64_t left_ms = rpc_client_next_at(client) - clock_monotonic_ms();
    (void)poll(&ready, 1, left_ms < 0 ? 0 : left_ms > 60000 ? 60000 : (int)left_ms);
    rpc_client_process(client);
}

static void drive(struct rpc_client *client)
{
    struct rpc_error *error = NULL;
    int n_begun = 0;
    flocks_get_operation_request request = FLOCKS_GET_OPERATION_REQUEST_INIT;
    (void)begin(client, &n_begun);
    struct rpc_stream *stream =
        rpc_client_watch(client, &TALK_LISTEN, &OPTIONS, &request.base, &HOOKS, NULL, NULL, &error);
    if (stream == NULL)
        check_error(error);
    struct rpc_pending *cancelled = begin(client, &n_begun);
    (void)begin(client, &n_begun);
    if (cancelled != NULL) {
        rpc_pending_cancel(cancelled);
        n_begun--;
    }
    for (int i = 0; i < 20 && (n_told < n_begun || (stream != NULL && !has_ended)); i++)
        turn(client);
    /* Exactly once, whatever happened. */
    assert_int_equal(n_told, n_begun);
    assert_int_equal(has_ended, stream != NULL);
    rpc_stream_close(stream);
}

static void hold_attached(int fd)
{
    struct rpc_error *error = NULL;
    n_told = 0;
    n_heard = 0;
    has_ended = false;
    talk_answer(3, 1, "first");
    talk_message(3, 3, "one");
    talk_message(3, 3, "two");
    talk_answer(3, 7, "third");
    talk_message(3, 3, "three");
    talk_end(3, 3);
    struct rpc_client *client = rpc_client_take_fd(fd, &error);
    if (client == NULL) {
        check_error(error);
        return;
    }
    rpc_client_attach(client);
    drive(client);
    rpc_client_close(client);
}

/* ---- failures ---- */

struct conversation {
    const char *name;
    void (*hold)(int fd);
};

static const struct conversation CONVERSATIONS[] = {
    {"unary", hold_unary},
    {"error", hold_error},
    {"streams", hold_streams},
    {"tale", hold_tale},
    {"bad day", hold_bad_day},
    {"attached", hold_attached},
};
enum { N_CONVERSATIONS = sizeof CONVERSATIONS / sizeof CONVERSATIONS[0] };

/* True: the failure happened. `is_harmless`: all must go well nevertheless. */
static bool hold_with(const struct conversation *conversation, enum fake_operation failing, int n,
    int error_number, bool is_harmless)
{
    int fd = fake_wire_open();
    wire.failing = failing;
    wire.fails_after = n;
    wire.error_number = error_number;
    /* Cut everywhere, so that there is more that can fail. */
    wire.read_max = 7;
    wire.write_max = 11;
    went_well = true;
    conversation->hold(fd);
    bool has_failed = wire.n_done[failing] > n;
    if (!went_well && (is_harmless || !has_failed))
        fail_msg("%s: operation %d, number %d, errno %d", conversation->name, (int)failing, n,
            error_number);
    fake_wire_close();
    return has_failed;
}

static void fail_each(enum fake_operation failing, int error_number, bool is_harmless)
{
    for (int i = 0; i < N_CONVERSATIONS; i++) {
        int n = 0;
        while (hold_with(&CONVERSATIONS[i], failing, n, error_number, is_harmless))
            n++;
        /* It did run dry, and not at once. */
        assert_true(n > 1);
    }
}

static void test_every_failing_allocation_ends_honestly(void **state)
{
    (void)state;
    fail_each(FAKE_ALLOCATE, ENOMEM, false);
}

static void test_every_failing_read_ends_honestly(void **state)
{
    (void)state;
    fail_each(FAKE_READ, ECONNRESET, false);
    fail_each(FAKE_READ, ENOMEM, false);
    fail_each(FAKE_READ, 0, false);
}

static void test_every_failing_write_ends_honestly(void **state)
{
    (void)state;
    fail_each(FAKE_WRITE, EPIPE, false);
    fail_each(FAKE_WRITE, ECONNRESET, false);
    fail_each(FAKE_WRITE, ENOBUFS, false);
}

static void test_interruptions_and_short_writes_change_nothing(void **state)
{
    (void)state;
    fail_each(FAKE_READ, EINTR, true);
    fail_each(FAKE_WRITE, EINTR, true);
    fail_each(FAKE_WRITE, EAGAIN, true);
    fail_each(FAKE_WRITE, 0, true);
    fail_each(FAKE_WAIT, EINTR, true);
}

static void accept_all(int listener)
{
    int fd;
    while ((fd = accept(listener, NULL, NULL)) >= 0)
        (void)close(fd);
}

static void test_every_failing_step_of_connecting_is_told(void **state)
{
    (void)state;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char directory[] = "/tmp/client-faults-XXXXXX";
    assert_non_null(mkdtemp(directory));
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s/s", directory);
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(listener, (const struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(listener, 8), 0);
    static const enum fake_operation KINDS[] = {FAKE_CONNECT, FAKE_ALLOCATE};
    static const int ERRORS[] = {ENOMEM, EACCES, ECONNREFUSED, EINTR};
    for (size_t i = 0; i < 8; i++) {
        bool has_failed = true;
        for (int n = 0; has_failed; n++) {
            (void)close(fake_wire_open());
            wire.failing = KINDS[i / 4];
            wire.fails_after = n;
            wire.error_number = ERRORS[i % 4];
            struct rpc_error *error = NULL;
            struct rpc_client *client = rpc_client_connect(address.sun_path, 500, &error);
            has_failed = wire.has_failed;
            assert_true(has_failed || client != NULL);
            assert_int_equal(client == NULL, error != NULL);
            rpc_error_free(error);
            rpc_client_close(client);
            fake_wire_close();
            accept_all(listener);
        }
    }
    (void)close(listener);
    (void)unlink(address.sun_path);
    (void)rmdir(directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_failing_allocation_ends_honestly),
        cmocka_unit_test(test_every_failing_read_ends_honestly),
        cmocka_unit_test(test_every_failing_write_ends_honestly),
        cmocka_unit_test(test_interruptions_and_short_writes_change_nothing),
        cmocka_unit_test(test_every_failing_step_of_connecting_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

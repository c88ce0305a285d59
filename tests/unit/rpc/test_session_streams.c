/* Streams at the server's end of a ttrpc session, byte by byte: Go 1.2's way, and its peers'. */
#include <stdio.h>
#include <stdlib.h>

#include "common/rpc/frame.h"
#include "common/rpc/session.h"
#include "hex.h"
#include "unit.h"

/* ---- a server whose methods do what their names say ---- */

static const struct rpc_method METHODS[] = {
    {.service = "a.B", .name = "U", .kind = RPC_UNARY},         /* waits for ever */
    {.service = "a.B", .name = "S", .kind = RPC_SERVER_STREAM}, /* sends 1, 2, ends */
    {.service = "a.B", .name = "E", .kind = RPC_SERVER_STREAM}, /* sends 1, fails */
    {.service = "a.B", .name = "W", .kind = RPC_SERVER_STREAM}, /* sends 1, waits */
    {.service = "a.B", .name = "K", .kind = RPC_CLIENT_STREAM}, /* answers with [all][it][got] */
    {.service = "a.B", .name = "F", .kind = RPC_CLIENT_STREAM}, /* fails at the first message */
    {.service = "a.B", .name = "D", .kind = RPC_BIDI},          /* echoes, ends */
    {.service = "a.B", .name = "H", .kind = RPC_BIDI},          /* waits for ever */
};

static bool equals(struct rpc_bytes bytes, const char *text)
{
    return bytes.len == strlen(text) && memcmp(bytes.data, text, bytes.len) == 0;
}

static const struct rpc_method *find(
    const void *table, struct rpc_bytes service, struct rpc_bytes method)
{
    (void)table;
    for (size_t i = 0; i < sizeof METHODS / sizeof METHODS[0]; i++) {
        if (equals(service, METHODS[i].service) && equals(method, METHODS[i].name))
            return &METHODS[i];
    }
    return NULL;
}

static void write_bytes(const void *source, uint8_t *out)
{
    const struct rpc_bytes *bytes = source;
    memcpy(out, bytes->data, bytes->len);
}

static void send_bytes(struct rpc_session_call *call, struct rpc_bytes bytes)
{
    const struct rpc_payload payload = {.len = bytes.len, .write = write_bytes, .source = &bytes};
    assert_int_equal(rpc_session_call_send(call, &payload), RPC_SEND_TAKEN);
}

static void finish(struct rpc_session_call *call, enum rpc_code code, struct rpc_bytes bytes)
{
    const struct rpc_payload payload = {.len = bytes.len, .write = write_bytes, .source = &bytes};
    const struct rpc_status status = {.code = code, .message = bytes};
    assert_int_equal(rpc_session_call_finish(call, &status, &payload), RPC_SEND_TAKEN);
    rpc_session_call_release(call);
}

struct served {
    char method;
    char got[128];
};

static void take_message(struct served *served, const struct rpc_session_event *event)
{
    struct rpc_session_call *call = event->call;
    size_t len = strlen(served->got);
    (void)snprintf(served->got + len, sizeof served->got - len, "[%.*s]", (int)event->message.len,
        (const char *)event->message.data);
    rpc_session_call_taken(call, event->message.len);
    switch (served->method) {
    case 'S':
        send_bytes(call, RPC_BYTES_OF_TEXT("1"));
        send_bytes(call, RPC_BYTES_OF_TEXT("2"));
        break;
    case 'E':
    case 'W':
        send_bytes(call, RPC_BYTES_OF_TEXT("1"));
        break;
    case 'F':
        finish(call, RPC_NOT_FOUND, RPC_BYTES_OF_TEXT("no"));
        free(served);
        break;
    case 'D':
        send_bytes(call, event->message);
        break;
    default:
        break;
    }
}

static void take_half_close(struct served *served, struct rpc_session_call *call)
{
    if (served->method == 'S' || served->method == 'D')
        finish(call, RPC_OK, (struct rpc_bytes){.data = NULL});
    else if (served->method == 'E')
        finish(call, RPC_NOT_FOUND, RPC_BYTES_OF_TEXT("x"));
    else if (served->method == 'K')
        finish(call, RPC_OK, RPC_BYTES_OF_TEXT(served->got));
    else
        return;
    free(served);
}

static void serve(struct rpc_session *session, size_t *n_ended)
{
    static struct rpc_session_event event;
    while (rpc_session_next(session, &event)) {
        if (event.kind == RPC_EVENT_OPENED && event.status.code != RPC_OK) {
            finish(event.call, event.status.code, event.status.message);
        } else if (event.kind == RPC_EVENT_OPENED) {
            assert_non_null(event.facts.method);
            struct served *served = calloc(1, sizeof *served);
            assert_non_null(served);
            served->method = event.facts.method->name[0];
            rpc_session_call_set_owner(event.call, served);
        } else if (event.kind == RPC_EVENT_MESSAGE) {
            take_message(rpc_session_call_owner(event.call), &event);
        } else if (event.kind == RPC_EVENT_HALF_CLOSED) {
            take_half_close(rpc_session_call_owner(event.call), event.call);
        } else {
            ++*n_ended;
            free(rpc_session_call_owner(event.call));
            rpc_session_call_release(event.call);
        }
    }
}

/* Feeds `in` cut into pieces of `piece` bytes and compares all that comes out. */
static void exchange(const char *in, const char *out, size_t n_ended_wanted, size_t piece)
{
    static uint8_t bytes[1 << 16];
    size_t len = hex_decode(in, bytes, sizeof bytes);
    struct rpc_session *session = rpc_ttrpc_server_new(find, NULL);
    assert_non_null(session);
    size_t n_ended = 0;
    for (size_t at = 0; at < len; at += piece) {
        size_t n = len - at < piece ? len - at : piece;
        uint8_t *copy = malloc(n);
        memcpy(copy, bytes + at, n);
        rpc_session_receive(session, copy, n, 0);
        serve(session, &n_ended);
        free(copy);
    }
    size_t out_len = 0;
    const uint8_t *output = rpc_session_output(session, &out_len);
    hex_assert_equal(output, out_len, out);
    assert_int_equal(n_ended, n_ended_wanted);
    assert_null(rpc_session_broken(session));
    rpc_session_lose(session, RPC_CANCELLED, "test is over");
    serve(session, &n_ended);
    rpc_session_free(session);
}

struct dialogue {
    const char *in;
    const char *out;
    /* Calls that the session itself ended. */
    size_t n_ended;
};

static void exchange_at_every_cut(const struct dialogue *dialogues, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        for (size_t piece = 1; piece <= 80; piece++)
            exchange(dialogues[i].in, dialogues[i].out, dialogues[i].n_ended, piece);
        exchange(dialogues[i].in, dialogues[i].out, dialogues[i].n_ended, 65536);
    }
}

#define EXCHANGE(dialogues)                                                                        \
    exchange_at_every_cut(dialogues, sizeof(dialogues) / sizeof(dialogues)[0])

/* A request of method `name` with flags; without and with one byte of payload. */
#define OPEN(flags, name) "00000008 00000001 01 " flags " 0a03'a.B' 1201'" name "' "
#define OPEN_WITH(flags, name, byte)                                                               \
    "0000000b 00000001 01 " flags " 0a03'a.B' 1201'" name "' 1a01'" byte "' "
#define DATA(byte) "00000001 00000001 03 00 '" byte "' "
#define CLOSE "00000000 00000001 03 05 "

static void test_server_stream_sends_data_and_closes_it(void **state)
{
    (void)state;
    static const struct dialogue DIALOGUES[] = {
        {OPEN_WITH("01", "S", "q"), DATA("1") DATA("2") CLOSE, 0},
        /* An empty request is a request. */
        {OPEN("01", "S"), DATA("1") DATA("2") CLOSE, 0},
        /* Remote open is as good; that the client closes after all is no news. */
        {OPEN("02", "S"), DATA("1") DATA("2") CLOSE, 0},
        {OPEN("02", "W") CLOSE, DATA("1"), 0},
    };
    EXCHANGE(DIALOGUES);
}

static void test_server_stream_error_is_a_response_after_its_data(void **state)
{
    (void)state;
    static const struct dialogue DIALOGUES[] = {
        {OPEN("01", "E"), DATA("1") "00000007 00000001 02 00 0a05 0805 1201'x'", 0},
    };
    EXCHANGE(DIALOGUES);
}

static void test_client_stream_is_answered_by_one_response(void **state)
{
    (void)state;
    static const struct dialogue DIALOGUES[] = {
        {OPEN("02", "K") DATA("a") DATA("b") CLOSE, "00000008 00000001 02 00 1206'[a][b]'", 0},
        {OPEN("02", "K") CLOSE, "00000000 00000001 02 00", 0},
        /* Closed from the start. */
        {OPEN("01", "K"), "00000000 00000001 02 00", 0},
        {OPEN_WITH("01", "K", "a"), "00000005 00000001 02 00 1203'[a]'", 0},
        {OPEN("03", "K"), "00000000 00000001 02 00", 0},
    };
    EXCHANGE(DIALOGUES);
}

static void test_first_message_in_the_request_counts_when_it_is_there(void **state)
{
    (void)state;
    static const struct dialogue DIALOGUES[] = {
        /* Go: an empty payload of a client that streams is no message. */
        {OPEN("02", "K") DATA("b") CLOSE, "00000005 00000001 02 00 1203'[b]'", 0},
        {OPEN_WITH("02", "K", "a") DATA("b") CLOSE, "00000008 00000001 02 00 1206'[a][b]'", 0},
        /* ttrpc-rust says NO_DATA on the request, which is not in the specification. */
        {OPEN("06", "K") DATA("b") CLOSE, "00000005 00000001 02 00 1203'[b]'", 0},
        {OPEN_WITH("06", "K", "a") DATA("b") CLOSE, "00000005 00000001 02 00 1203'[b]'", 0},
        {OPEN("05", "K"), "00000000 00000001 02 00", 0},
        /* It means nothing where the request is the one message. */
        {OPEN_WITH("05", "S", "q"), DATA("1") DATA("2") CLOSE, 0},
    };
    EXCHANGE(DIALOGUES);
}

static void test_data_without_bytes_is_a_message_unless_it_says_no_data(void **state)
{
    (void)state;
    static const struct dialogue DIALOGUES[] = {
        {OPEN("02", "K") "00000000 00000001 03 00" CLOSE, "00000004 00000001 02 00 1202'[]'", 0},
        {OPEN("02", "K") "00000000 00000001 03 04" CLOSE, "00000000 00000001 02 00", 0},
        {OPEN("02", "K") "00000002 00000001 03 04 'zz'" CLOSE, "00000000 00000001 02 00", 0},
    };
    EXCHANGE(DIALOGUES);
}

static void test_body_and_close_are_taken_in_one_frame(void **state)
{
    (void)state;
    static const struct dialogue DIALOGUES[] = {
        {OPEN("02", "K") "00000001 00000001 03 01 'b'", "00000005 00000001 02 00 1203'[b]'", 0},
        {OPEN("02", "K") "00000000 00000001 03 01", "00000004 00000001 02 00 1202'[]'", 0},
        {OPEN("02", "D") "00000001 00000001 03 01 'b'", DATA("b") CLOSE, 0},
    };
    EXCHANGE(DIALOGUES);
}

static void test_bidirectional_stream_echoes_and_ends(void **state)
{
    (void)state;
    static const struct dialogue DIALOGUES[] = {
        {OPEN("02", "D") DATA("a") DATA("b") CLOSE, DATA("a") DATA("b") CLOSE, 0},
        {OPEN("02", "D") DATA("a") "00000000 00000001 03 00" CLOSE,
            DATA("a") "00000000 00000001 03 00" CLOSE, 0},
        {OPEN_WITH("01", "D", "a"), DATA("a") CLOSE, 0},
    };
    EXCHANGE(DIALOGUES);
}

static void test_stream_method_opened_as_unary_is_unimplemented(void **state)
{
    (void)state;
#define AS_UNARY                                                                                   \
    "0000007e 00000001 02 00 0a7c 080c 1278"                                                       \
    "'the method streams, but this client calls it as if it were unary: its stub was made by a "   \
    "generator that knows no streams'"
    static const struct dialogue DIALOGUES[] = {
        {OPEN("00", "S"), AS_UNARY, 0},
        {OPEN("00", "K"), AS_UNARY, 0},
        {OPEN("00", "D"), AS_UNARY, 0},
        {OPEN("04", "D"), AS_UNARY, 0},
    };
    EXCHANGE(DIALOGUES);
}

static void test_data_that_nobody_asked_for_is_an_invalid_argument(void **state)
{
    (void)state;
#define CLOSED_TEXT                                                                                \
    "0000003a 00000001 02 00 0a38 0803 1234'data was sent on a stream that its sender has closed'"
    static const struct dialogue DIALOGUES[] = {
        {OPEN("00", "U") DATA("x"),
            "00000025 00000001 02 00 0a23 0803 121f'data was sent to a unary method'", 1},
        {OPEN("00", "U") CLOSE,
            "00000025 00000001 02 00 0a23 0803 121f'data was sent to a unary method'", 1},
        {OPEN("02", "W") DATA("x"),
            DATA("1") "00000036 00000001 02 00 0a34 0803 1230"
                      "'data was sent to a method that takes one request'",
            1},
        {OPEN("02", "W") CLOSE CLOSE, DATA("1") CLOSED_TEXT, 1},
        {OPEN("01", "W") CLOSE, DATA("1") CLOSED_TEXT, 1},
        {OPEN("02", "H") CLOSE DATA("x"), CLOSED_TEXT, 1},
        {OPEN("02", "H") CLOSE CLOSE, CLOSED_TEXT, 1},
        {OPEN("02", "H") "00000001 00000001 03 01 'b'" DATA("x"), CLOSED_TEXT, 1},
    };
    EXCHANGE(DIALOGUES);
}

static void test_data_that_crossed_our_end_is_ignored(void **state)
{
    (void)state;
    static const struct dialogue DIALOGUES[] = {
        {OPEN("02", "F") DATA("a") DATA("b") CLOSE, "00000008 00000001 02 00 0a06 0805 1202'no'",
            0},
        {OPEN("01", "S") CLOSE, DATA("1") DATA("2") CLOSE, 0},
    };
    EXCHANGE(DIALOGUES);
}

static void test_cancel_ends_a_stream_when_it_was_negotiated(void **state)
{
    (void)state;
#define OPEN_NEGOTIATED                                                                            \
    "0000001c 00000001 01 02 0a03'a.B' 1201'H' 2a12 0a08'crpc-ext' 1206'cancel' "
    static const struct dialogue DIALOGUES[] = {
        {OPEN("02", "H") "00000000 00000001 10 00", "", 0},
        {OPEN_NEGOTIATED "00000000 00000001 10 00" DATA("l") CLOSE,
            "00000023 00000001 02 00 0a21 0801 121d'the caller cancelled the call'", 1},
        /* A body, though none is defined, is no reason to go on. */
        {OPEN_NEGOTIATED "00000003 00000001 10 ff 'xyz'",
            "00000023 00000001 02 00 0a21 0801 121d'the caller cancelled the call'", 1},
    };
    EXCHANGE(DIALOGUES);
}

static void test_unknown_frame_types_leave_a_stream_alone(void **state)
{
    (void)state;
    static const struct dialogue DIALOGUES[] = {
        {OPEN("02", "K") "00000003 00000001 09 00 'abc'" DATA("a") "00000000 00000001 02 00" CLOSE,
            "00000005 00000001 02 00 1203'[a]'", 0},
    };
    EXCHANGE(DIALOGUES);
}

static void test_message_beyond_4_mib_ends_its_stream_alone(void **state)
{
    (void)state;
    struct rpc_session *session = rpc_ttrpc_server_new(find, NULL);
    uint8_t bytes[256];
    size_t len = hex_decode(OPEN("02", "K") "00000008 00000003 01 02 0a03'a.B' 1201'K' "
                                            "00400001 00000001 03 00",
        bytes, sizeof bytes);
    size_t n_ended = 0;
    rpc_session_receive(session, bytes, len, 0);
    serve(session, &n_ended);
    assert_int_equal(n_ended, 1);
    size_t skipped = (4 << 20) + 1;
    uint8_t *junk = calloc(1, skipped);
    rpc_session_receive(session, junk, skipped, 0);
    serve(session, &n_ended);
    free(junk);
    len = hex_decode("00000001 00000003 03 01 'b'", bytes, sizeof bytes);
    rpc_session_receive(session, bytes, len, 0);
    serve(session, &n_ended);
    const uint8_t *output = rpc_session_output(session, &len);
    hex_assert_equal(output, len,
        "00000026 00000001 02 00 0a24 0808 1220'the message is larger than 4 MiB'"
        "00000005 00000003 02 00 1203'[b]'");
    rpc_session_free(session);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_server_stream_sends_data_and_closes_it),
        cmocka_unit_test(test_server_stream_error_is_a_response_after_its_data),
        cmocka_unit_test(test_client_stream_is_answered_by_one_response),
        cmocka_unit_test(test_first_message_in_the_request_counts_when_it_is_there),
        cmocka_unit_test(test_data_without_bytes_is_a_message_unless_it_says_no_data),
        cmocka_unit_test(test_body_and_close_are_taken_in_one_frame),
        cmocka_unit_test(test_bidirectional_stream_echoes_and_ends),
        cmocka_unit_test(test_stream_method_opened_as_unary_is_unimplemented),
        cmocka_unit_test(test_data_that_nobody_asked_for_is_an_invalid_argument),
        cmocka_unit_test(test_data_that_crossed_our_end_is_ignored),
        cmocka_unit_test(test_cancel_ends_a_stream_when_it_was_negotiated),
        cmocka_unit_test(test_unknown_frame_types_leave_a_stream_alone),
        cmocka_unit_test(test_message_beyond_4_mib_ends_its_stream_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Streams at the client's end of a ttrpc session: what it sends, and what it takes from servers of
 * every make. */
#include <stdio.h>
#include <stdlib.h>

#include "common/rpc/ttrpc.h"
#include "hex.h"
#include "unit.h"

static const struct rpc_method UNARY = {.service = "a.B", .name = "U", .kind = RPC_UNARY};
static const struct rpc_method SERVER = {.service = "a.B", .name = "S", .kind = RPC_SERVER_STREAM};
static const struct rpc_method CLIENT = {.service = "a.B", .name = "K", .kind = RPC_CLIENT_STREAM};
static const struct rpc_method BIDI = {.service = "a.B", .name = "D", .kind = RPC_BIDI};

static void write_bytes(const void *source, uint8_t *out)
{
    memcpy(out, source, strlen(source));
}

static struct rpc_payload payload_of(const char *text)
{
    return (struct rpc_payload){.len = strlen(text), .write = write_bytes, .source = text};
}

static struct rpc_session *new_session(void)
{
    struct rpc_session *session = rpc_ttrpc_client_new();
    assert_non_null(session);
    return session;
}

static struct rpc_session_call *open_call(
    struct rpc_session *session, const struct rpc_method *method, const char *request)
{
    struct rpc_payload payload = payload_of(request == NULL ? "" : request);
    struct rpc_session_call *call =
        rpc_session_open(session, method, 0, NULL, 0, request == NULL ? NULL : &payload);
    assert_non_null(call);
    return call;
}

static enum rpc_send_result send_text(struct rpc_session_call *call, const char *text)
{
    struct rpc_payload payload = payload_of(text);
    return rpc_session_call_send(call, &payload);
}

static void send_all_output(struct rpc_session *session)
{
    size_t len = 0;
    (void)rpc_session_output(session, &len);
    rpc_session_sent(session, len);
}

static void assert_output(struct rpc_session *session, const char *expected)
{
    size_t len = 0;
    const uint8_t *bytes = rpc_session_output(session, &len);
    hex_assert_equal(bytes, len, expected);
    rpc_session_sent(session, len);
}

static void close_session(struct rpc_session *session)
{
    static struct rpc_session_event event;
    rpc_session_lose(session, RPC_UNAVAILABLE, "test is over");
    while (rpc_session_next(session, &event)) {
        if (event.kind == RPC_EVENT_ENDED)
            rpc_session_call_release(event.call);
    }
    rpc_session_free(session);
}

/* What is told, as text: "[message]" and "code:text", "~" before it when made on this side. */
static void take_events(struct rpc_session *session, char *out, size_t capacity)
{
    static struct rpc_session_event event;
    while (rpc_session_next(session, &event)) {
        size_t len = strlen(out);
        if (event.kind == RPC_EVENT_MESSAGE) {
            (void)snprintf(out + len, capacity - len, "[%.*s]", (int)event.message.len,
                (const char *)event.message.data);
            rpc_session_call_taken(event.call, event.message.len);
        } else {
            assert_int_equal(event.kind, RPC_EVENT_ENDED);
            (void)snprintf(out + len, capacity - len, "%s%d:%.*s", event.status.is_local ? "~" : "",
                (int)event.status.code, (int)event.status.message.len,
                (const char *)event.status.message.data);
            rpc_session_call_release(event.call);
        }
    }
}

/* ---- what it sends ---- */

static void test_client_opens_streams_as_go_does(void **state)
{
    (void)state;
    struct rpc_session *session = new_session();
    (void)open_call(session, &UNARY, "");
    send_all_output(session);
    (void)open_call(session, &SERVER, "q");
    struct rpc_session_call *client = open_call(session, &CLIENT, NULL);
    struct rpc_session_call *bidi = open_call(session, &BIDI, NULL);
    assert_int_equal(send_text(client, "a"), RPC_SEND_TAKEN);
    assert_int_equal(send_text(bidi, ""), RPC_SEND_TAKEN);
    rpc_session_call_half_close(client);
    rpc_session_call_half_close(client);
    assert_false(rpc_session_call_is_writable(client));
    assert_true(rpc_session_call_is_writable(bidi));
    assert_output(session, "0000000b 00000003 01 01 0a03'a.B' 1201'S' 1a01'q'"
                           "00000008 00000005 01 02 0a03'a.B' 1201'K'"
                           "00000008 00000007 01 02 0a03'a.B' 1201'D'"
                           "00000001 00000005 03 00 'a'"
                           "00000000 00000007 03 00"
                           "00000000 00000005 03 05");
    close_session(session);
}

static void test_client_sends_deadline_and_metadata_on_streams_too(void **state)
{
    (void)state;
    struct rpc_session *session = new_session();
    const struct rpc_envelope_pair pair = {
        .key = RPC_BYTES_OF_TEXT("k"), .value = RPC_BYTES_OF_TEXT("v1")};
    assert_non_null(rpc_session_open(session, &BIDI, 99849886, &pair, 1, NULL));
    assert_output(session, "0000002a 00000001 01 02 0a03'a.B' 1201'D' 20 9eadce2f"
                           " 2a07 0a01'k' 1202'v1' 2a12 0a08'crpc-ext' 1206'cancel'");
    close_session(session);
}

/* ---- what it takes ---- */

struct answer {
    const struct rpc_method *method;
    const char *bytes;
    const char *events;
    /* What it says to that. */
    const char *output;
};

#define DATA(byte) "00000001 00000003 03 00 '" byte "' "
#define CANCEL "00000000 00000003 10 00"

static void answer_cut(const struct answer *answer, size_t piece)
{
    struct rpc_session *session = new_session();
    (void)open_call(session, &UNARY, "");
    bool has_request =
        answer->method->kind == RPC_UNARY || answer->method->kind == RPC_SERVER_STREAM;
    (void)open_call(session, answer->method, has_request ? "q" : NULL);
    send_all_output(session);
    static uint8_t bytes[1024];
    size_t len = hex_decode(answer->bytes, bytes, sizeof bytes);
    char events[512] = "";
    for (size_t at = 0; at < len; at += piece) {
        size_t n = len - at < piece ? len - at : piece;
        uint8_t *copy = malloc(n);
        memcpy(copy, bytes + at, n);
        rpc_session_receive(session, copy, n, 0);
        take_events(session, events, sizeof events);
        free(copy);
    }
    assert_string_equal(events, answer->events);
    assert_output(session, answer->output);
    assert_null(rpc_session_broken(session));
    close_session(session);
}

static void answer_at_every_cut(const struct answer *answers, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        for (size_t piece = 1; piece <= 40; piece++)
            answer_cut(&answers[i], piece);
        answer_cut(&answers[i], 65536);
    }
}

#define TAKES(answers) answer_at_every_cut(answers, sizeof(answers) / sizeof(answers)[0])

static void test_client_takes_the_end_of_a_server_stream_in_every_form(void **state)
{
    (void)state;
    static const struct answer ANSWERS[] = {
        /* Go: data, then a close of its own. */
        {&SERVER, DATA("1") DATA("2") "00000000 00000003 03 05", "[1][2]0:", ""},
        {&BIDI, DATA("1") "00000000 00000003 03 05", "[1]0:", ""},
        /* The specification: the last message closes; also an empty one. */
        {&SERVER, DATA("1") "00000001 00000003 03 01 '2'", "[1][2]0:", ""},
        {&SERVER, "00000000 00000003 03 01", "[]0:", ""},
        /* A response ends it as well, with or without a last message. */
        {&SERVER, DATA("1") "00000000 00000003 02 00", "[1]0:", ""},
        {&SERVER, DATA("1") "00000003 00000003 02 00 1201'2'", "[1][2]0:", ""},
        {&SERVER, DATA("1") "00000002 00000003 02 00 0a00", "[1]0:", ""},
        {&BIDI, "00000007 00000003 02 00 0a05 0805 1201'x'", "5:x", ""},
        {&SERVER, DATA("1") "00000007 00000003 02 00 0a05 0805 1201'x'", "[1]5:x", ""},
        /* Nothing of the call comes after its end. */
        {&SERVER, "00000000 00000003 03 05" DATA("1") "00000000 00000003 02 00", "0:", ""},
    };
    TAKES(ANSWERS);
}

static void test_client_takes_data_without_bytes_for_a_message_unless_it_says_no_data(void **state)
{
    (void)state;
    static const struct answer ANSWERS[] = {
        {&SERVER, "00000000 00000003 03 00" DATA("1"), "[][1]", ""},
        {&SERVER, "00000000 00000003 03 04" DATA("1"), "[1]", ""},
        {&SERVER, "00000002 00000003 03 04 'zz'" DATA("1"), "[1]", ""},
        {&SERVER, "00000002 00000003 03 05 'zz'", "0:", ""},
    };
    TAKES(ANSWERS);
}

static void test_client_takes_one_answer_of_a_client_stream(void **state)
{
    (void)state;
    static const struct answer ANSWERS[] = {
        {&CLIENT, "00000003 00000003 02 00 1201'1'", "[1]0:", ""},
        {&CLIENT, "00000000 00000003 02 00", "[]0:", ""},
        {&CLIENT, "00000007 00000003 02 00 0a05 0805 1201'x'", "5:x", ""},
    };
    TAKES(ANSWERS);
}

static void test_client_gives_up_a_call_whose_server_breaks_the_protocol(void **state)
{
    (void)state;
    static const struct answer ANSWERS[] = {
        {&UNARY, DATA("1") "00000000 00000003 02 00",
            "~13:the server sent stream data on a call with one answer", CANCEL},
        {&CLIENT, DATA("1") "00000000 00000003 02 00",
            "~13:the server sent stream data on a call with one answer", CANCEL},
        {&SERVER, "00400001 00000003 03 00", "~8:a message of the server is larger than 4 MiB",
            CANCEL},
        {&SERVER, "00400001 00000003 02 00", "~8:the response is larger than 4 MiB", ""},
        {&SERVER, "00000001 00000003 02 00 ff",
            "~13:the server's response is not a valid ttrpc message", ""},
    };
    TAKES(ANSWERS);
}

static void test_client_ignores_frames_of_no_call_and_of_no_known_type(void **state)
{
    (void)state;
    static const struct answer ANSWERS[] = {
        {&SERVER, "00000001 00000009 03 00 'x' 00000000 00000002 02 00" DATA("1"), "[1]", ""},
        {&SERVER, "00000001 00000003 04 00 'x' 00000000 00000003 01 00" DATA("1"), "[1]", ""},
    };
    TAKES(ANSWERS);
}

/* ---- sending to a call that is over ---- */

static void test_client_sends_nothing_after_the_server_ended_the_call(void **state)
{
    (void)state;
    struct rpc_session *session = new_session();
    struct rpc_session_call *call = open_call(session, &BIDI, NULL);
    send_all_output(session);
    uint8_t bytes[64];
    size_t len = hex_decode("00000000 00000001 03 05", bytes, sizeof bytes);
    rpc_session_receive(session, bytes, len, 0);
    static struct rpc_session_event event;
    assert_true(rpc_session_next(session, &event));
    assert_int_equal(event.kind, RPC_EVENT_ENDED);
    assert_int_equal(event.status.code, RPC_OK);
    assert_false(event.status.is_local);
    assert_false(rpc_session_call_is_writable(call));
    assert_int_equal(send_text(call, "x"), RPC_SEND_GONE);
    rpc_session_call_half_close(call);
    rpc_session_call_cancel(call);
    assert_output(session, "");
    assert_false(rpc_session_next(session, &event));
    rpc_session_call_release(call);
    rpc_session_free(session);
}

static void test_cancelled_stream_ends_at_once_and_tells_the_server(void **state)
{
    (void)state;
    struct rpc_session *session = new_session();
    struct rpc_session_call *call = open_call(session, &SERVER, "q");
    send_all_output(session);
    rpc_session_call_cancel(call);
    rpc_session_call_cancel(call);
    assert_output(session, "00000000 00000001 10 00");
    uint8_t late[64];
    size_t len =
        hex_decode("00000001 00000001 03 00 '1' 00000000 00000001 03 05", late, sizeof late);
    rpc_session_receive(session, late, len, 0);
    char events[128] = "";
    take_events(session, events, sizeof events);
    assert_string_equal(events, "~1:cancelled by the caller");
    rpc_session_free(session);
}

static void test_client_out_of_ids_opens_no_more(void **state)
{
    (void)state;
    struct rpc_session *session = new_session();
    /* 2^31 calls are too many for a test. */
    ttrpc_session_of(session)->last_id = UINT32_MAX;
    struct rpc_session_call *last = open_call(session, &UNARY, "");
    const struct rpc_payload nothing = payload_of("");
    assert_null(rpc_session_open(session, &UNARY, 0, NULL, 0, &nothing));
    assert_null(rpc_session_broken(session));
    rpc_session_call_cancel(last);
    close_session(session);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_client_opens_streams_as_go_does),
        cmocka_unit_test(test_client_sends_deadline_and_metadata_on_streams_too),
        cmocka_unit_test(test_client_takes_the_end_of_a_server_stream_in_every_form),
        cmocka_unit_test(test_client_takes_data_without_bytes_for_a_message_unless_it_says_no_data),
        cmocka_unit_test(test_client_takes_one_answer_of_a_client_stream),
        cmocka_unit_test(test_client_gives_up_a_call_whose_server_breaks_the_protocol),
        cmocka_unit_test(test_client_ignores_frames_of_no_call_and_of_no_known_type),
        cmocka_unit_test(test_client_sends_nothing_after_the_server_ended_the_call),
        cmocka_unit_test(test_cancelled_stream_ends_at_once_and_tells_the_server),
        cmocka_unit_test(test_client_out_of_ids_opens_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

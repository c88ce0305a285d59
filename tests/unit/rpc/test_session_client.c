/* The client's end of a ttrpc session: what it sends, and what it takes for an answer. */
#include <stdio.h>

#include "common/rpc/session.h"
#include "hex.h"
#include "unit.h"

static const struct rpc_method METHOD = {.service = "a.B", .name = "C", .kind = RPC_UNARY};

static void write_bytes(const void *source, uint8_t *out)
{
    const struct rpc_bytes *bytes = source;
    memcpy(out, bytes->data, bytes->len);
}

static const struct rpc_payload NOTHING = {.len = 0};

static struct rpc_session_call *open_call(struct rpc_session *session, struct rpc_bytes *message)
{
    struct rpc_payload payload = {.len = message->len, .write = write_bytes, .source = message};
    return rpc_session_open(session, &METHOD, 0, NULL, 0, &payload);
}

static void test_client_sends_what_go_would_and_announces_cancel_once(void **state)
{
    (void)state;
    struct rpc_session *session = rpc_ttrpc_client_new();
    const struct rpc_envelope_pair pair = {
        .key = RPC_BYTES_OF_TEXT("k"), .value = RPC_BYTES_OF_TEXT("v1")};
    struct rpc_bytes message = RPC_BYTES_OF_TEXT("hi");
    struct rpc_payload payload = {.len = 2, .write = write_bytes, .source = &message};
    struct rpc_session_call *first =
        rpc_session_open(session, &METHOD, 99849886, &pair, 1, &payload);
    struct rpc_session_call *second = rpc_session_open(session, &METHOD, 0, NULL, 0, &NOTHING);
    assert_non_null(first);
    assert_non_null(second);
    size_t len = 0;
    const uint8_t *output = rpc_session_output(session, &len);
    hex_assert_equal(output, len,
        "0000002e 00000001 01 00 0a03'a.B' 1201'C' 1a02'hi' 20 "
        "9eadce2f 2a07 0a01'k' 1202'v1'"
        " 2a12 0a08'crpc-ext' 1206'cancel'"
        "00000008 00000003 01 00 0a03'a.B' 1201'C'");
    rpc_session_lose(session, RPC_UNAVAILABLE, "gone");
    rpc_session_call_release(first);
    rpc_session_call_release(second);
    rpc_session_free(session);
}

/* Feeds a response to call 1; answers the event that ends it. */
static struct rpc_status answer(const char *response, size_t piece, char *message, size_t capacity)
{
    struct rpc_session *session = rpc_ttrpc_client_new();
    struct rpc_bytes request = {.data = NULL};
    struct rpc_session_call *call = open_call(session, &request);
    static uint8_t bytes[1024];
    static struct rpc_session_event event;
    struct rpc_status end = {.code = RPC_UNKNOWN};
    size_t len = hex_decode(response, bytes, sizeof bytes);
    bool has_ended = false;
    message[0] = '\0';
    for (size_t at = 0; at < len; at += piece) {
        rpc_session_receive(session, bytes + at, len - at < piece ? len - at : piece, 0);
        while (rpc_session_next(session, &event)) {
            assert_ptr_equal(event.call, call);
            assert_false(has_ended);
            if (event.kind == RPC_EVENT_MESSAGE)
                (void)snprintf(message, capacity, "%.*s", (int)event.message.len,
                    (const char *)event.message.data);
            has_ended = event.kind == RPC_EVENT_ENDED;
            end = event.status;
            if (has_ended && event.status.code != RPC_OK)
                (void)snprintf(message, capacity, "%.*s", (int)event.status.message.len,
                    (const char *)event.status.message.data);
        }
    }
    if (!has_ended) {
        end.code = RPC_UNKNOWN;
        rpc_session_call_cancel(call);
    }
    rpc_session_call_release(call);
    rpc_session_free(session);
    return end;
}

static void test_client_takes_answers_at_every_cut(void **state)
{
    (void)state;
    static const struct {
        const char *response;
        enum rpc_code code;
        const char *message;
        bool is_local;
    } CASES[] = {
        {"00000004 00000001 02 00 1202'hi'", RPC_OK, "hi", false},
        {"00000000 00000001 02 00", RPC_OK, "", false},
        {"00000002 00000001 02 00 0a00", RPC_OK, "", false},
        {"00000007 00000001 02 00 0a05 0805 1201'x'", RPC_NOT_FOUND, "x", false},
        {"00000004 00000001 02 00 0a02 0863", RPC_UNKNOWN, "", false},
        {"0000000d 00000001 02 00 0a0b 08ffffffffffffffffff01", RPC_INTERNAL,
            "the server's response is not a valid ttrpc message", true},
        {"00000001 00000001 02 00 ff", RPC_INTERNAL,
            "the server's response is not a valid ttrpc message", true},
        {"00000000 00000001 03 05", RPC_INTERNAL,
            "the server sent stream data on a call with one answer", true},
        {"00400001 00000001 02 00", RPC_RESOURCE_EXHAUSTED, "the response is larger than 4 MiB",
            true},
        /* Not ours, or not known: waits on. */
        {"00000000 00000003 02 00 00000000 00000001 09 00", RPC_UNKNOWN, "", false},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        for (size_t piece = 1; piece < 32; piece++) {
            char message[128];
            struct rpc_status end = answer(CASES[i].response, piece, message, sizeof message);
            assert_int_equal(end.code, CASES[i].code);
            assert_string_equal(message, CASES[i].message);
            assert_int_equal(end.is_local, CASES[i].is_local);
        }
    }
}

static void test_cancelled_call_ends_at_once_and_drops_the_late_answer(void **state)
{
    (void)state;
    struct rpc_session *session = rpc_ttrpc_client_new();
    struct rpc_bytes nothing = {.data = NULL};
    struct rpc_session_call *call = open_call(session, &nothing);
    size_t len = 0;
    (void)rpc_session_output(session, &len);
    rpc_session_sent(session, len);
    rpc_session_call_cancel(call);
    const uint8_t *output = rpc_session_output(session, &len);
    hex_assert_equal(output, len, "00000000 00000001 10 00");
    static struct rpc_session_event event;
    assert_true(rpc_session_next(session, &event));
    assert_int_equal(event.kind, RPC_EVENT_ENDED);
    assert_int_equal(event.status.code, RPC_CANCELLED);
    rpc_session_call_release(call);
    uint8_t late[16];
    size_t late_len = hex_decode("00000000 00000001 02 00", late, sizeof late);
    rpc_session_receive(session, late, late_len, 0);
    assert_false(rpc_session_next(session, &event));
    rpc_session_free(session);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_client_sends_what_go_would_and_announces_cancel_once),
        cmocka_unit_test(test_client_takes_answers_at_every_cut),
        cmocka_unit_test(test_cancelled_call_ends_at_once_and_drops_the_late_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The server's end of a ttrpc session: what comes in and what goes out, byte by byte. */
#include <stdlib.h>

#include "common/rpc/frame.h"
#include "common/rpc/session.h"
#include "crpc/limits.h"
#include "hex.h"
#include "unit.h"

/* ---- a server that echoes; Hold keeps its calls open ---- */

static const struct rpc_method METHODS[] = {
    {.service = "a.B", .name = "C", .kind = RPC_UNARY},
    {.service = "a.B", .name = "Hold", .kind = RPC_UNARY},
    {.service = "a.B", .name = "S", .kind = RPC_SERVER_STREAM},
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

static void finish(struct rpc_session_call *call, enum rpc_code code, struct rpc_bytes text)
{
    struct rpc_payload payload = {.len = 0};
    if (code == RPC_OK)
        payload = (struct rpc_payload){.len = text.len, .write = write_bytes, .source = &text};
    const struct rpc_status status = {.code = code, .message = text};
    assert_int_equal(rpc_session_call_finish(call, &status, &payload), RPC_SEND_TAKEN);
    rpc_session_call_release(call);
}

struct held {
    struct rpc_session_call *calls[8];
    size_t n_calls;
    enum rpc_code ended[8];
    size_t n_ended;
};

static void serve(struct rpc_session *session, struct held *held)
{
    struct rpc_session_event event;
    while (rpc_session_next(session, &event)) {
        if (event.kind == RPC_EVENT_OPENED && event.status.code != RPC_OK) {
            finish(event.call, event.status.code, event.status.message);
        } else if (event.kind == RPC_EVENT_OPENED && event.facts.method == NULL) {
            finish(event.call, RPC_UNIMPLEMENTED, RPC_BYTES_OF_TEXT("?"));
        } else if (event.kind == RPC_EVENT_OPENED) {
            rpc_session_call_set_owner(
                event.call, equals(event.facts.method_name, "Hold") ? held : NULL);
        } else if (event.kind == RPC_EVENT_MESSAGE) {
            if (rpc_session_call_owner(event.call) == NULL)
                finish(event.call, RPC_OK, event.message);
            else
                held->calls[held->n_calls++] = event.call;
        } else if (event.kind == RPC_EVENT_ENDED) {
            held->ended[held->n_ended++] = event.status.code;
            rpc_session_call_release(event.call);
        }
    }
}

static void release_held(struct rpc_session *session, struct held *held)
{
    rpc_session_lose(session, RPC_CANCELLED, "test is over");
    serve(session, held);
}

/* Feeds `in` cut into pieces of `piece` bytes and compares all that comes out. */
static void exchange(const char *in, const char *out, size_t piece)
{
    static uint8_t bytes[1 << 16];
    size_t len = hex_decode(in, bytes, sizeof bytes);
    struct rpc_session *session = rpc_ttrpc_server_new(find, NULL);
    assert_non_null(session);
    struct held held = {.n_calls = 0};
    for (size_t at = 0; at < len; at += piece) {
        size_t n = len - at < piece ? len - at : piece;
        /* An exact copy, so that the sanitizer sees every byte read too far or too late. */
        uint8_t *copy = malloc(n);
        memcpy(copy, bytes + at, n);
        rpc_session_receive(session, copy, n, 0);
        serve(session, &held);
        free(copy);
    }
    size_t out_len = 0;
    const uint8_t *output = rpc_session_output(session, &out_len);
    hex_assert_equal(output, out_len, out);
    assert_null(rpc_session_broken(session));
    release_held(session, &held);
    rpc_session_free(session);
}

#define REQUEST(len, id, method, rest) len id " 01 00 0a03'a.B' " method " " rest " "

/* What comes in and what goes out. */
/* clang-format off */
static const struct { const char *name, *in, *out; } DIALOGUES[] = {
    {"unary, as Go sends it",
        REQUEST("00000025", "00000001", "1201'C'", "1a04 0a02'hi' 20 9eadce2f 2a07 0a01'k' 1202'v1' 2a07 0a01'k' 1202'v2'"),
        "00000006 00000001 02 00 1204 0a02'hi'"},
    {"empty success is an empty response",
        REQUEST("00000008", "00000001", "1201'C'", ""),
        "00000000 00000001 02 00"},
    {"two calls in one read",
        REQUEST("0000000b", "00000001", "1201'C'", "1a01'1'")
        REQUEST("0000000b", "00000003", "1201'C'", "1a01'2'"),
        "00000003 00000001 02 00 1201'1' 00000003 00000003 02 00 1201'2'"},
    {"ids need not grow",
        REQUEST("00000008", "00000007", "1201'C'", "") REQUEST("00000008", "00000001", "1201'C'", ""),
        "00000000 00000007 02 00 00000000 00000001 02 00"},
    {"an id is free again after its answer",
        REQUEST("00000008", "00000001", "1201'C'", "") REQUEST("00000008", "00000001", "1201'C'", ""),
        "00000000 00000001 02 00 00000000 00000001 02 00"},
    {"even id",
        REQUEST("00000008", "00000002", "1201'C'", ""),
        "00000023 00000002 02 00 0a21 0803 121d'stream ids of clients are odd'"},
    {"live id",
        REQUEST("0000000b", "00000001", "1204'Hold'", "") REQUEST("0000000b", "00000001", "1204'Hold'", ""),
        "0000001d 00000001 02 00 0a1b 0803 1217'the stream id is in use'"},
    {"unknown method",
        REQUEST("00000008", "00000001", "1201'X'", ""),
        "00000007 00000001 02 00 0a05 080c 1201'?'"},
    {"not an envelope",
        "00000001 00000001 01 00 ff",
        "0000002e 00000001 02 00 0a2c 0803 1228'the request is not a valid ttrpc message'"},
    {"unknown types are ignored",
        "00000003 00000001 09 00 'abc' 00000000 00000000 ff ff " REQUEST("00000008", "00000001", "1201'C'", ""),
        "00000000 00000001 02 00"},
    {"a response is not for a server",
        "00000000 00000001 02 00", ""},
    {"data on a unary call",
        REQUEST("0000000b", "00000001", "1204'Hold'", "") "00000001 00000001 03 00 'x'",
        "00000025 00000001 02 00 0a23 0803 121f'data was sent to a unary method'"},
    {"data after the answer crossed it: silence",
        REQUEST("00000008", "00000001", "1201'C'", "") "00000000 00000001 03 05",
        "00000000 00000001 02 00"},
    {"data out of nowhere",
        "00000000 00000001 03 00",
        "00000030 00000001 02 00 0a2e 0803 122a'data was sent on a stream that is not open'"},
    {"remote open on a unary method",
        "00000008 00000001 01 02 0a03'a.B' 1201'C'",
        "0000002d 00000001 02 00 0a2b 0803 1227'the method is unary and takes no stream'"},
    {"cancel without negotiation is an unknown type",
        REQUEST("0000000b", "00000001", "1204'Hold'", "") "00000000 00000001 10 00", ""},
    {"cancel",
        REQUEST("0000001f", "00000001", "1204'Hold'", "2a12 0a08'crpc-ext' 1206'cancel'")
            "00000000 00000001 10 00",
        "00000023 00000001 02 00 0a21 0801 121d'the caller cancelled the call'"},
};
/* clang-format on */

static void test_server_dialogues_at_every_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof DIALOGUES / sizeof DIALOGUES[0]; i++) {
        for (size_t piece = 1; piece <= 80; piece++)
            exchange(DIALOGUES[i].in, DIALOGUES[i].out, piece);
        exchange(DIALOGUES[i].in, DIALOGUES[i].out, 65536);
    }
}

/* ---- limits ---- */

static void put_header(uint8_t *out, uint32_t len, uint8_t type)
{
    const struct rpc_frame frame = {.body_len = len, .stream_id = 1, .type = type};
    rpc_frame_encode(&frame, out);
}

static void test_oversize_request_is_skipped_and_answered(void **state)
{
    (void)state;
    struct rpc_session *session = rpc_ttrpc_server_new(find, NULL);
    struct held held = {.n_calls = 0};
    uint8_t header[RPC_FRAME_HEADER_BYTES];
    put_header(header, RPC_DISCARD_BYTES_MAX, RPC_FRAME_REQUEST);
    rpc_session_receive(session, header, sizeof header, 0);
    serve(session, &held);
    size_t len = 0;
    const uint8_t *output = rpc_session_output(session, &len);
    hex_assert_equal(output, len,
        "00000026 00000001 02 00 0a24 0808 1220'the request is "
        "larger than 4 MiB'");
    rpc_session_sent(session, len);
    uint8_t *junk = malloc(65536);
    memset(junk, 0xFF, 65536);
    for (size_t left = RPC_DISCARD_BYTES_MAX; left > 0;) {
        size_t n = left < 65536 ? left : 65536;
        rpc_session_receive(session, junk, n, 0);
        serve(session, &held);
        left -= n;
    }
    free(junk);
    uint8_t request[32];
    size_t request_len =
        hex_decode("00000008 00000003 01 00 0a03'a.B' 1201'C'", request, sizeof request);
    rpc_session_receive(session, request, request_len, 0);
    serve(session, &held);
    output = rpc_session_output(session, &len);
    hex_assert_equal(output, len, "00000000 00000003 02 00");
    rpc_session_free(session);
}

static void test_frame_beyond_the_discard_bound_breaks_the_session(void **state)
{
    (void)state;
    struct rpc_session *session = rpc_ttrpc_server_new(find, NULL);
    struct held held = {.n_calls = 0};
    uint8_t header[RPC_FRAME_HEADER_BYTES];
    put_header(header, RPC_DISCARD_BYTES_MAX + 1, RPC_FRAME_REQUEST);
    rpc_session_receive(session, header, sizeof header, 0);
    serve(session, &held);
    assert_non_null(rpc_session_broken(session));
    assert_false(rpc_session_wants_read(session));
    rpc_session_free(session);
}

static void test_half_a_frame_for_too_long_breaks_the_session(void **state)
{
    (void)state;
    struct rpc_session *session = rpc_ttrpc_server_new(find, NULL);
    struct held held = {.n_calls = 0};
    assert_int_equal(rpc_session_tick(session, 1000), INT64_MAX);
    rpc_session_receive(session, (const uint8_t *)"\0\0", 2, 1000);
    serve(session, &held);
    rpc_session_receive(session, (const uint8_t *)"\0", 1, 9000);
    serve(session, &held);
    assert_int_equal(rpc_session_tick(session, 9000), 1000 + RPC_FRAME_MS_MAX);
    assert_null(rpc_session_broken(session));
    (void)rpc_session_tick(session, 1000 + RPC_FRAME_MS_MAX);
    assert_non_null(rpc_session_broken(session));
    rpc_session_free(session);
}

static void test_metadata_beyond_its_bound_is_refused(void **state)
{
    (void)state;
    struct rpc_envelope_pair pairs[RPC_METADATA_PAIRS_MAX + 1];
    static char value[RPC_METADATA_BYTES_MAX];
    for (int round = 0; round < 2; round++) {
        memset(pairs, 0, sizeof pairs);
        struct rpc_request_envelope request = {.service = RPC_BYTES_OF_TEXT("a.B"),
            .method = RPC_BYTES_OF_TEXT("C"),
            .pairs = pairs,
            .n_pairs = round == 0 ? RPC_METADATA_PAIRS_MAX + 1 : 1};
        if (round == 1)
            pairs[0] = (struct rpc_envelope_pair){.key = RPC_BYTES_OF_TEXT("k"),
                .value = {.data = (uint8_t *)value, .len = sizeof value}};
        static uint8_t bytes[RPC_METADATA_BYTES_MAX + 1024];
        put_header(bytes, (uint32_t)rpc_request_size(&request), RPC_FRAME_REQUEST);
        (void)rpc_request_encode(&request, bytes + RPC_FRAME_HEADER_BYTES);
        struct rpc_session *session = rpc_ttrpc_server_new(find, NULL);
        struct held held = {.n_calls = 0};
        rpc_session_receive(session, bytes, RPC_FRAME_HEADER_BYTES + rpc_request_size(&request), 0);
        serve(session, &held);
        size_t len = 0;
        const uint8_t *output = rpc_session_output(session, &len);
        assert_true(len > RPC_FRAME_HEADER_BYTES + 4);
        hex_assert_equal(output + RPC_FRAME_HEADER_BYTES + 2, 2, "0808");
        rpc_session_free(session);
    }
}

static void test_lost_connection_ends_every_live_call(void **state)
{
    (void)state;
    struct rpc_session *session = rpc_ttrpc_server_new(find, NULL);
    struct held held = {.n_calls = 0};
    uint8_t bytes[64];
    size_t len = hex_decode("0000000b 00000001 01 00 0a03'a.B' 1204'Hold'"
                            "0000000b 00000003 01 00 0a03'a.B' 1204'Hold'",
        bytes, sizeof bytes);
    rpc_session_receive(session, bytes, len, 0);
    serve(session, &held);
    assert_int_equal(held.n_calls, 2);
    release_held(session, &held);
    assert_int_equal(held.n_ended, 2);
    assert_int_equal(held.ended[1], RPC_CANCELLED);
    rpc_session_free(session);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_server_dialogues_at_every_cut),
        cmocka_unit_test(test_oversize_request_is_skipped_and_answered),
        cmocka_unit_test(test_frame_beyond_the_discard_bound_breaks_the_session),
        cmocka_unit_test(test_half_a_frame_for_too_long_breaks_the_session),
        cmocka_unit_test(test_metadata_beyond_its_bound_is_refused),
        cmocka_unit_test(test_lost_connection_ends_every_live_call),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

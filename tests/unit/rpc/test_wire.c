/* Frame and envelope: against captures of real peers and against protobuf-c as
 * the oracle. */
#include "flocks/ttrpc/v1/ttrpc.pb-c.h"

#include "common/rpc/envelope.h"
#include "common/rpc/frame.h"
#include "common/rpc/wire.h"
#include "hex.h"
#include "unit.h"

/* Unary call by Go ttrpc 1.2.4: 100 ms deadline, metadata k=v1 and k=v2. */
static const char GO_UNARY[] = "00000025 00000001 01 00 0a03'a.B' 1201'C' 1a04 0a02'hi' 20 9eadce2f"
                               " 2a07 0a01'k' 1202'v1' 2a07 0a01'k' 1202'v2'";

static struct rpc_bytes text(const char *string)
{
    return RPC_BYTES_OF_TEXT(string);
}

static void assert_text(struct rpc_bytes bytes, const char *expected)
{
    assert_int_equal(bytes.len, strlen(expected));
    if (bytes.len > 0)
        assert_memory_equal(bytes.data, expected, bytes.len);
}

static void test_frame_of_a_capture_is_read_and_written(void **state)
{
    (void)state;
    uint8_t bytes[64];
    size_t len = hex_decode(GO_UNARY, bytes, sizeof bytes);
    struct rpc_frame frame;
    rpc_frame_decode(bytes, &frame);
    assert_int_equal(frame.body_len, len - RPC_FRAME_HEADER_BYTES);
    assert_int_equal(frame.stream_id, 1);
    assert_int_equal(frame.type, RPC_FRAME_REQUEST);
    assert_int_equal(frame.flags, 0);
    uint8_t written[RPC_FRAME_HEADER_BYTES];
    struct rpc_frame close = {
        .stream_id = 0x80000001U, .type = RPC_FRAME_DATA, .flags = 5, .body_len = 0x00400000};
    rpc_frame_encode(&close, written);
    hex_assert_equal(written, sizeof written, "00400000 80000001 03 05");
}

static void test_request_of_a_capture_is_read_and_written(void **state)
{
    (void)state;
    uint8_t bytes[64];
    size_t len = hex_decode(GO_UNARY, bytes, sizeof bytes);
    struct rpc_envelope_pair pairs[4];
    struct rpc_request_envelope request;
    assert_true(rpc_request_decode(bytes + 10, len - 10, pairs, 4, &request));
    assert_text(request.service, "a.B");
    assert_text(request.method, "C");
    hex_assert_equal(request.payload.data, request.payload.len, "0a02'hi'");
    assert_int_equal(request.timeout_nano, 99849886);
    assert_int_equal(request.n_pairs, 2);
    assert_text(request.pairs[1].key, "k");
    assert_text(request.pairs[1].value, "v2");
    uint8_t again[64];
    assert_int_equal(rpc_request_size(&request), len - 10);
    uint8_t *payload = rpc_request_encode(&request, again);
    assert_memory_equal(again, bytes + 10, len - 10);
    assert_int_equal(payload - again, 10);
}

static void test_pairs_beyond_the_callers_array_are_counted(void **state)
{
    (void)state;
    uint8_t bytes[64];
    size_t len = hex_decode(GO_UNARY, bytes, sizeof bytes);
    struct rpc_envelope_pair pairs[1];
    struct rpc_request_envelope request;
    assert_true(rpc_request_decode(bytes + 10, len - 10, pairs, 1, &request));
    assert_int_equal(request.n_pairs, 2);
    assert_true(rpc_request_decode(bytes + 10, len - 10, NULL, 0, &request));
    assert_int_equal(request.n_pairs, 2);
}

static void test_request_equals_what_protobuf_c_packs(void **state)
{
    (void)state;
    Flocks__Ttrpc__V1__KeyValue pairs[2] = {
        FLOCKS__TTRPC__V1__KEY_VALUE__INIT, FLOCKS__TTRPC__V1__KEY_VALUE__INIT};
    Flocks__Ttrpc__V1__KeyValue *pair_pointers[2] = {&pairs[0], &pairs[1]};
    pairs[0].key = "key";
    pairs[0].value = "value";
    uint8_t payload[300];
    memset(payload, 7, sizeof payload);
    Flocks__Ttrpc__V1__Request oracle = FLOCKS__TTRPC__V1__REQUEST__INIT;
    oracle.service = "flocks.v1.SupervisorService";
    oracle.method = "GetStatus";
    oracle.payload.data = payload;
    oracle.payload.len = sizeof payload;
    oracle.timeout_nano = INT64_MAX;
    oracle.metadata = pair_pointers;
    oracle.n_metadata = 2;
    uint8_t expected[512];
    size_t expected_len = flocks__ttrpc__v1__request__pack(&oracle, expected);
    const struct rpc_envelope_pair ours[2] = {{.key = text("key"), .value = text("value")}};
    const struct rpc_request_envelope request = {
        .service = text(oracle.service),
        .method = text(oracle.method),
        .payload = {.len = sizeof payload},
        .timeout_nano = INT64_MAX,
        .pairs = ours,
        .n_pairs = 2,
    };
    assert_int_equal(rpc_request_size(&request), expected_len);
    uint8_t found[512];
    memcpy(rpc_request_encode(&request, found), payload, sizeof payload);
    assert_memory_equal(found, expected, expected_len);
}

static void test_error_response_equals_what_protobuf_c_packs(void **state)
{
    (void)state;
    Google__Protobuf__Any any = GOOGLE__PROTOBUF__ANY__INIT;
    Google__Protobuf__Any *details[1] = {&any};
    uint8_t value[] = {1, 2, 3};
    any.type_url = "type.googleapis.com/x.Y";
    any.value.data = value;
    any.value.len = sizeof value;
    Flocks__Ttrpc__V1__Status status = FLOCKS__TTRPC__V1__STATUS__INIT;
    status.code = 5;
    status.message = "not here";
    status.details = details;
    status.n_details = 1;
    Flocks__Ttrpc__V1__Response oracle = FLOCKS__TTRPC__V1__RESPONSE__INIT;
    oracle.status = &status;
    uint8_t expected[128];
    size_t expected_len = flocks__ttrpc__v1__response__pack(&oracle, expected);
    const struct rpc_envelope_pair ours = {
        .key = text(any.type_url), .value = {.data = value, .len = sizeof value}};
    const struct rpc_response_envelope response = {
        .code = 5, .message = text("not here"), .details = &ours, .n_details = 1};
    uint8_t found[128];
    assert_int_equal(rpc_response_size(&response), expected_len);
    (void)rpc_response_encode(&response, found);
    assert_memory_equal(found, expected, expected_len);
    struct rpc_envelope_pair pairs[2];
    struct rpc_response_envelope decoded;
    assert_true(rpc_response_decode(expected, expected_len, pairs, 2, &decoded));
    assert_int_equal(decoded.code, 5);
    assert_text(decoded.message, "not here");
    assert_int_equal(decoded.n_details, 1);
    assert_text(decoded.details[0].key, any.type_url);
    hex_assert_equal(decoded.details[0].value.data, decoded.details[0].value.len, "010203");
}

static void test_success_is_an_absent_or_an_empty_status(void **state)
{
    (void)state;
    const struct rpc_response_envelope empty = {.code = 0};
    assert_int_equal(rpc_response_size(&empty), 0);
    uint8_t bytes[8];
    struct rpc_response_envelope response;
    assert_true(rpc_response_decode(bytes, 0, NULL, 0, &response));
    assert_int_equal(response.code, 0);
    size_t len = hex_decode("0a00 1201'x'", bytes, sizeof bytes);
    assert_true(rpc_response_decode(bytes, len, NULL, 0, &response));
    assert_int_equal(response.code, 0);
    assert_text(response.payload, "x");
}

static void test_envelope_refuses_what_is_not_protobuf(void **state)
{
    (void)state;
    static const char *const CASES[] = {
        "0a05'ab'",                  /* length beyond the end */
        "0a",                        /* tag only */
        "0b",                        /* group */
        "00",                        /* field 0 */
        "0801",                      /* service as a number */
        "2201'x'",                   /* timeout as bytes */
        "20ffffffffffffffffffffff",  /* varint of more than ten bytes */
        "2a020a05",                  /* pair cut short */
        "0affffffffffffffffff01'x'", /* length of 2^64 - 1 */
    };
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        uint8_t bytes[32];
        size_t len = hex_decode(CASES[i], bytes, sizeof bytes);
        struct rpc_request_envelope request;
        assert_false(rpc_request_decode(bytes, len, NULL, 0, &request));
    }
    uint8_t bytes[32];
    struct rpc_response_envelope response;
    size_t len = hex_decode("0a020a01", bytes, sizeof bytes);
    assert_false(rpc_response_decode(bytes, len, NULL, 0, &response));
}

static void test_unknown_fields_of_an_envelope_are_skipped(void **state)
{
    (void)state;
    uint8_t bytes[64];
    size_t len = hex_decode(
        "f80105 0a01's' 3d01020304 39 0102030405060708 fa0101'z' 1201'm'", bytes, sizeof bytes);
    struct rpc_request_envelope request;
    assert_true(rpc_request_decode(bytes, len, NULL, 0, &request));
    assert_text(request.service, "s");
    assert_text(request.method, "m");
}

static void test_varints_round_trip_at_their_edges(void **state)
{
    (void)state;
    for (unsigned bits = 0; bits < 64; bits++) {
        for (int delta = -1; delta <= 1; delta++) {
            uint64_t value = ((uint64_t)1 << bits) + (uint64_t)(int64_t)delta;
            uint8_t bytes[10];
            uint8_t *end = rpc_wire_put_varint(bytes, value);
            assert_int_equal(end - bytes, rpc_wire_varint_size(value));
            struct rpc_wire_reader reader = rpc_wire_reader(bytes, (size_t)(end - bytes));
            uint64_t found = 0;
            assert_true(rpc_wire_read_varint(&reader, &found));
            assert_true(found == value);
            struct rpc_wire_reader cut = rpc_wire_reader(bytes, (size_t)(end - bytes) - 1);
            assert_false(rpc_wire_read_varint(&cut, &found));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_frame_of_a_capture_is_read_and_written),
        cmocka_unit_test(test_request_of_a_capture_is_read_and_written),
        cmocka_unit_test(test_pairs_beyond_the_callers_array_are_counted),
        cmocka_unit_test(test_request_equals_what_protobuf_c_packs),
        cmocka_unit_test(test_error_response_equals_what_protobuf_c_packs),
        cmocka_unit_test(test_success_is_an_absent_or_an_empty_status),
        cmocka_unit_test(test_envelope_refuses_what_is_not_protobuf),
        cmocka_unit_test(test_unknown_fields_of_an_envelope_are_skipped),
        cmocka_unit_test(test_varints_round_trip_at_their_edges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

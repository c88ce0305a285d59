#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "crpc/limits.h"
#include "tests/interop/server/services.h"

/* ---- what is echoed ---- */

bool test_echo_metadata(struct rpc_call *call)
{
    size_t n = 0;
    const struct rpc_metadata *metadata = rpc_call_metadata(call, &n);
    enum rpc_code code = RPC_OK;
    for (size_t i = 0; i < n && code == RPC_OK; i++) {
        const struct rpc_metadata *pair = &metadata[i];
        if (strcmp(pair->key, "x-grpc-test-echo-initial") == 0)
            code = rpc_call_add_header(call, pair->key, pair->value, pair->value_len);
        else if (strcmp(pair->key, "x-grpc-test-echo-trailing-bin") == 0)
            code = rpc_call_add_trailer(call, pair->key, pair->value, pair->value_len);
    }
    if (code != RPC_OK)
        rpc_call_fail(call, code, NULL, "the metadata cannot be echoed");
    return code == RPC_OK;
}

bool test_echo_status(struct rpc_call *call, const grpc_testing_echo_status *status)
{
    if (status == NULL || status->code == RPC_OK)
        return false;
    if (status->code < 0 || status->code > RPC_UNAUTHENTICATED)
        rpc_call_fail(call, RPC_INVALID_ARGUMENT, NULL, "there is no code %d", (int)status->code);
    else
        rpc_call_fail(call, (enum rpc_code)status->code, NULL, "%s", status->message);
    return true;
}

bool test_check_compression(struct rpc_call *call, const grpc_testing_bool_value *expected)
{
    if (expected == NULL || !expected->value)
        return true;
    rpc_call_fail(call, RPC_INVALID_ARGUMENT, NULL, "the message was not compressed");
    return false;
}

grpc_testing_payload *test_payload(struct rpc_call *call, int32_t size)
{
    static uint8_t zeros[RPC_MESSAGE_BYTES_MAX];
    static grpc_testing_payload payload;
    if (size < 0) {
        rpc_call_fail(call, RPC_INVALID_ARGUMENT, NULL, "there is no size %d", (int)size);
        return NULL;
    }
    payload = (grpc_testing_payload)GRPC_TESTING_PAYLOAD_INIT;
    payload.type = GRPC_TESTING_PAYLOAD_TYPE_COMPRESSABLE;
    payload.body.data = zeros;
    /* A payload of the largest size is too large a message already: the engine says so. */
    payload.body.len = (size_t)size < sizeof zeros ? (size_t)size : sizeof zeros;
    return &payload;
}

/* ---- unary ---- */

static void empty_call(
    void *self, struct grpc_testing_test_empty_call_call *call, const grpc_testing_empty *request)
{
    const grpc_testing_empty response = GRPC_TESTING_EMPTY_INIT;
    (void)self;
    (void)request;
    if (test_echo_metadata(grpc_testing_test_empty_call_base(call)))
        grpc_testing_test_empty_call_reply(call, &response);
}

static void unary_call(void *self, struct grpc_testing_test_unary_call_call *call,
    const grpc_testing_simple_request *request)
{
    struct rpc_call *base = grpc_testing_test_unary_call_base(call);
    grpc_testing_simple_response response = GRPC_TESTING_SIMPLE_RESPONSE_INIT;
    (void)self;
    if (!test_echo_metadata(base) || test_echo_status(base, request->response_status) ||
        !test_check_compression(base, request->expect_compressed))
        return;
    response.payload = test_payload(base, request->response_size);
    if (response.payload != NULL)
        grpc_testing_test_unary_call_reply(call, &response);
}

/* Ignores what it is asked: its answer is the time, which a cache in between would not change. */
static void cacheable_unary_call(void *self,
    struct grpc_testing_test_cacheable_unary_call_call *call,
    const grpc_testing_simple_request *request)
{
    static const char max_age[] = "max-age=60, public";
    struct rpc_call *base = grpc_testing_test_cacheable_unary_call_base(call);
    grpc_testing_simple_response response = GRPC_TESTING_SIMPLE_RESPONSE_INIT;
    grpc_testing_payload payload = GRPC_TESTING_PAYLOAD_INIT;
    char now[24];
    (void)self;
    (void)request;
    int len = snprintf(now, sizeof now, "%" PRId64, clock_wall_ns());
    payload.body.data = (uint8_t *)now;
    payload.body.len = (size_t)len;
    response.payload = &payload;
    if (rpc_call_add_header(base, "cache-control", max_age, sizeof max_age - 1) != RPC_OK)
        rpc_call_fail(base, RPC_RESOURCE_EXHAUSTED, NULL, "no memory");
    else
        grpc_testing_test_cacheable_unary_call_reply(call, &response);
}

/* ---- upload ---- */

struct upload {
    struct test_server *server;
    size_t n_bytes;
};

static enum rpc_take upload_message(void *state,
    struct grpc_testing_test_streaming_input_call_call *call,
    const grpc_testing_streaming_input_call_request *message)
{
    struct upload *upload = state;
    struct rpc_call *base = grpc_testing_test_streaming_input_call_base(call);
    if (!test_check_compression(base, message->expect_compressed))
        return RPC_TAKE_DONE;
    if (message->payload != NULL)
        upload->n_bytes += message->payload->body.len;
    if (upload->n_bytes > INT32_MAX)
        rpc_call_fail(base, RPC_OUT_OF_RANGE, NULL, "the sum has no room in the answer");
    return RPC_TAKE_DONE;
}

static void upload_half_closed(
    void *state, struct grpc_testing_test_streaming_input_call_call *call)
{
    const struct upload *upload = state;
    grpc_testing_streaming_input_call_response response =
        GRPC_TESTING_STREAMING_INPUT_CALL_RESPONSE_INIT;
    response.aggregated_payload_size = (int32_t)upload->n_bytes;
    grpc_testing_test_streaming_input_call_reply(call, &response);
}

static void upload_closed(void *state, enum rpc_code code)
{
    struct upload *upload = state;
    struct tally *tally = &upload->server->tally;
    free(upload);
    tally_end(tally, code);
}

static void streaming_input_call(
    void *self, struct grpc_testing_test_streaming_input_call_call *call)
{
    static const struct grpc_testing_test_streaming_input_call_stream stream = {
        .message = upload_message, .half_closed = upload_half_closed, .closed = upload_closed};
    struct test_server *server = self;
    struct rpc_call *base = grpc_testing_test_streaming_input_call_base(call);
    if (!test_echo_metadata(base))
        return;
    struct upload *upload = malloc(sizeof *upload);
    if (upload == NULL) {
        rpc_call_fail(base, RPC_RESOURCE_EXHAUSTED, NULL, "no memory");
        return;
    }
    *upload = (struct upload){.server = server};
    tally_begin(&server->tally);
    rpc_call_send_headers(base);
    grpc_testing_test_streaming_input_call_begin(call, &stream, upload);
}

/* ---- the service ---- */

struct rpc_service test_service(struct test_server *server)
{
    /* UnimplementedCall is left out: so the description has it. */
    static const struct grpc_testing_test_handlers handlers = {
        .empty_call = empty_call,
        .unary_call = unary_call,
        .cacheable_unary_call = cacheable_unary_call,
        .streaming_output_call = test_streaming_output_call,
        .streaming_input_call = streaming_input_call,
        .full_duplex_call = test_full_duplex_call,
        .half_duplex_call = test_half_duplex_call,
    };
    return grpc_testing_test_service(&handlers, server);
}

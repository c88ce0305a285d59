/* Streams of responses, each as large and as late as its request says. */
#include <stdlib.h>

#include "common/base/clock.h"
#include "tests/interop/server/services.h"

/* Responses that one stream may owe; more end it. */
enum { RESPONSES_MAX = 100000 };

struct response {
    int32_t size;
    int32_t interval_us;
};

/* One stream; freed when it is closed. */
struct output {
    struct test_server *server;
    struct rpc_call *call;
    struct delay interval;
    struct response *responses;
    size_t n_responses;
    size_t n_sent;
    /* All requests come before the first response. */
    bool has_all_first;
    /* No further request will come. */
    bool has_all;
    /* The interval before the next response is over. */
    bool is_due;
};

static bool is_served(const struct output *output)
{
    return output->n_sent == output->n_responses;
}

/* ---- life ---- */

static void interval_ended(struct delay *interval)
{
    struct output *output = CONTAINER_OF(interval, struct output, interval);
    output->is_due = true;
    rpc_call_wake(output->call);
}

/* NULL: the call has been ended. */
static struct output *output_new(struct test_server *server, struct rpc_call *call)
{
    if (!test_echo_metadata(call))
        return NULL;
    struct output *output = malloc(sizeof *output);
    if (output == NULL) {
        rpc_call_fail(call, RPC_RESOURCE_EXHAUSTED, NULL, "no memory");
        return NULL;
    }
    *output = (struct output){.server = server, .call = call};
    delay_init(&output->interval, interval_ended);
    return output;
}

static void output_free(struct output *output)
{
    delay_cancel(&output->interval);
    free(output->responses);
    free(output);
}

/* ---- what is owed ---- */

/* False: the call has been ended. */
static bool owe(struct output *output, const grpc_testing_streaming_output_call_request *request)
{
    size_t n = output->n_responses + request->n_response_parameters;
    if (test_echo_status(output->call, request->response_status))
        return false;
    struct response *responses =
        n > RESPONSES_MAX ? NULL : realloc(output->responses, (n + 1) * sizeof *responses);
    if (responses == NULL) {
        rpc_call_fail(output->call, RPC_RESOURCE_EXHAUSTED, NULL, "too many responses");
        return false;
    }
    output->responses = responses;
    for (size_t i = 0; i < request->n_response_parameters; i++) {
        const grpc_testing_response_parameters *wanted = request->response_parameters[i];
        responses[output->n_responses++] =
            (struct response){.size = wanted->size, .interval_us = wanted->interval_us};
    }
    return true;
}

/* True: its time has come. */
static bool has_waited(struct output *output, const struct response *response)
{
    if (response->interval_us <= 0 || output->is_due)
        return true;
    if (!delay_is_pending(&output->interval))
        delay_begin(&output->interval, &output->server->delays,
            clock_monotonic_ns() + (int64_t)response->interval_us * 1000);
    return false;
}

static void send_response(struct output *output, int32_t size)
{
    grpc_testing_streaming_output_call_response message =
        GRPC_TESTING_STREAMING_OUTPUT_CALL_RESPONSE_INIT;
    message.payload = test_payload(output->call, size);
    if (message.payload != NULL && rpc_call_send_message(output->call, &message.base) != RPC_OK)
        rpc_call_fail(output->call, RPC_RESOURCE_EXHAUSTED, NULL, "%d bytes are too many", size);
}

/* ---- hooks of all three ---- */

static enum rpc_pull output_next(struct output *output)
{
    if (output->has_all_first && !output->has_all)
        return RPC_PULL_LATER;
    if (is_served(output))
        return output->has_all ? RPC_PULL_DONE : RPC_PULL_LATER;
    const struct response *response = &output->responses[output->n_sent];
    if (!has_waited(output, response))
        return RPC_PULL_LATER;
    output->is_due = false;
    output->n_sent++;
    /* The next request may be waiting for this one to be served. */
    if (is_served(output))
        rpc_call_wake(output->call);
    send_response(output, response->size);
    return RPC_PULL_SENT;
}

static void output_has_all(struct output *output)
{
    output->has_all = true;
    rpc_call_wake(output->call);
}

static void output_closed(void *state, enum rpc_code code)
{
    struct output *output = state;
    struct tally *tally = &output->server->tally;
    output_free(output);
    tally_end(tally, code);
}

/* ---- StreamingOutputCall ---- */

static enum rpc_pull download_next(
    void *state, struct grpc_testing_test_streaming_output_call_call *call)
{
    (void)call;
    return output_next(state);
}

void test_streaming_output_call(void *self,
    struct grpc_testing_test_streaming_output_call_call *call,
    const grpc_testing_streaming_output_call_request *request)
{
    static const struct grpc_testing_test_streaming_output_call_stream stream = {
        .next = download_next, .closed = output_closed};
    struct test_server *server = self;
    struct output *output = output_new(server, grpc_testing_test_streaming_output_call_base(call));
    if (output == NULL)
        return;
    if (!owe(output, request)) {
        output_free(output);
        return;
    }
    output->has_all = true;
    tally_begin(&server->tally);
    rpc_call_send_headers(output->call);
    grpc_testing_test_streaming_output_call_begin(call, &stream, output);
}

/* ---- FullDuplexCall: one request is served at a time, as soon as it comes ---- */

static enum rpc_take full_duplex_message(void *state,
    struct grpc_testing_test_full_duplex_call_call *call,
    const grpc_testing_streaming_output_call_request *message)
{
    struct output *output = state;
    (void)call;
    if (!is_served(output))
        return RPC_TAKE_LATER;
    output->n_responses = 0;
    output->n_sent = 0;
    if (owe(output, message))
        rpc_call_wake(output->call);
    return RPC_TAKE_DONE;
}

static enum rpc_pull full_duplex_next(
    void *state, struct grpc_testing_test_full_duplex_call_call *call)
{
    (void)call;
    return output_next(state);
}

static void full_duplex_half_closed(
    void *state, struct grpc_testing_test_full_duplex_call_call *call)
{
    (void)call;
    output_has_all(state);
}

void test_full_duplex_call(void *self, struct grpc_testing_test_full_duplex_call_call *call)
{
    static const struct grpc_testing_test_full_duplex_call_stream stream = {
        .next = full_duplex_next,
        .message = full_duplex_message,
        .half_closed = full_duplex_half_closed,
        .closed = output_closed};
    struct test_server *server = self;
    struct output *output = output_new(server, grpc_testing_test_full_duplex_call_base(call));
    if (output == NULL)
        return;
    tally_begin(&server->tally);
    rpc_call_send_headers(output->call);
    grpc_testing_test_full_duplex_call_begin(call, &stream, output);
}

/* ---- HalfDuplexCall: all requests first ---- */

static enum rpc_take half_duplex_message(void *state,
    struct grpc_testing_test_half_duplex_call_call *call,
    const grpc_testing_streaming_output_call_request *message)
{
    (void)call;
    (void)owe(state, message);
    return RPC_TAKE_DONE;
}

static enum rpc_pull half_duplex_next(
    void *state, struct grpc_testing_test_half_duplex_call_call *call)
{
    (void)call;
    return output_next(state);
}

static void half_duplex_half_closed(
    void *state, struct grpc_testing_test_half_duplex_call_call *call)
{
    (void)call;
    output_has_all(state);
}

void test_half_duplex_call(void *self, struct grpc_testing_test_half_duplex_call_call *call)
{
    static const struct grpc_testing_test_half_duplex_call_stream stream = {
        .next = half_duplex_next,
        .message = half_duplex_message,
        .half_closed = half_duplex_half_closed,
        .closed = output_closed};
    struct test_server *server = self;
    struct output *output = output_new(server, grpc_testing_test_half_duplex_call_base(call));
    if (output == NULL)
        return;
    output->has_all_first = true;
    tally_begin(&server->tally);
    rpc_call_send_headers(output->call);
    grpc_testing_test_half_duplex_call_begin(call, &stream, output);
}

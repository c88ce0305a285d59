/* The generated client of the streams.
 *
 *   bench-stream-client count PATH MESSAGES BYTES     "MESSAGES NANOSECONDS" of all together
 *   bench-stream-client bounce PATH ROUNDS BYTES      one message there and back a line,
 * nanoseconds
 */
#include <stdio.h>
#include <string.h>

#include "calls.h"
#include "rounds.h"
#include "slots.h"
#include "stream.client.h"

static int count(struct rpc_client *client, size_t messages, size_t len)
{
    bench_count_request request = BENCH_COUNT_REQUEST_INIT;
    request.messages = (uint32_t)messages;
    request.bytes = (uint32_t)len;
    struct rpc_error *error = NULL;
    int64_t began_ns = slots_now_ns();
    struct bench_stream_count_client_stream *stream =
        bench_stream_count(client, NULL, &request, &error);
    if (stream == NULL)
        return calls_failed(error);
    size_t n = 0;
    const bench_count_response *message = NULL;
    enum rpc_result result;
    while ((result = bench_stream_count_next(stream, &message, &error)) == RPC_DONE) {
        rpc_message_free(&message->base);
        n++;
    }
    (void)printf("%zu %lld\n", n, (long long)(slots_now_ns() - began_ns));
    bench_stream_count_close(stream);
    return result == RPC_END ? n != messages : calls_failed(error);
}

struct mirror {
    struct bench_stream_bounce_client_stream *stream;
    bench_bounce_request message;
};

static int bounce_one(void *data, size_t index)
{
    const struct mirror *mirror = data;
    const bench_bounce_response *answer = NULL;
    struct rpc_error *error = NULL;
    (void)index;
    if (bench_stream_bounce_write(mirror->stream, &mirror->message, &error) != RPC_DONE ||
        bench_stream_bounce_next(mirror->stream, &answer, &error) != RPC_DONE)
        return error == NULL ? 1 : calls_failed(error);
    int result = answer->payload.len != mirror->message.payload.len;
    rpc_message_free(&answer->base);
    return result;
}

static int bounce(struct rpc_client *client, size_t rounds, size_t len)
{
    struct rpc_error *error = NULL;
    struct mirror mirror = {.message = BENCH_BOUNCE_REQUEST_INIT};
    mirror.message.payload.len = len;
    mirror.message.payload.data = rounds_message(len);
    mirror.stream = bench_stream_bounce(client, NULL, &error);
    if (mirror.stream == NULL)
        return calls_failed(error);
    int result = rounds_run(rounds, bounce_one, &mirror);
    bench_stream_bounce_close(mirror.stream);
    return result;
}

int main(int argument_count, char **arguments)
{
    if (argument_count != 5) {
        (void)fprintf(stderr, "usage: %s count|bounce PATH NUMBER BYTES\n", arguments[0]);
        return 2;
    }
    size_t number = rounds_number(arguments[3]);
    size_t len = rounds_number(arguments[4]);
    struct rpc_error *error = NULL;
    if (number == 0 || len == 0 || len > ROUNDS_BOUNCE_MAX)
        return 2;
    struct rpc_client *client = rpc_client_connect(arguments[2], 0, &error);
    if (client == NULL)
        return calls_failed(error);
    bool is_count = strcmp(arguments[1], "count") == 0;
    int result = is_count ? count(client, number, len) : bounce(client, number, len);
    rpc_client_close(client);
    return result;
}

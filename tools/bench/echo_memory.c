/* The engine alone: requests handed to a connection, answers taken from it, no socket. Prints
 * "CALLS NANOSECONDS". What it does for a call is what is counted by tools/bench/guard.
 *
 *   bench-echo-memory CALLS BYTES BATCH
 * BATCH requests in one piece. */
#include <stdio.h>
#include <stdlib.h>

#include "crpc/server.h"
#include "echo_frame.h"
#include "echo_service.h"
#include "rounds.h"
#include "slots.h"

struct bench {
    struct rpc_connection *connection;
    uint8_t *frames;
    size_t frame_len;
    size_t answer_len;
    size_t batch;
    uint32_t next_stream;
};

static int serve_batch(struct bench *bench)
{
    size_t len = 0;
    echo_frames_number(bench->frames, bench->frame_len, bench->batch, bench->next_stream);
    bench->next_stream += 2 * (uint32_t)bench->batch;
    rpc_connection_receive(bench->connection, bench->frames, bench->batch * bench->frame_len, 1);
    (void)rpc_connection_output(bench->connection, &len);
    rpc_connection_sent(bench->connection, len, 1);
    return len != bench->batch * bench->answer_len;
}

static int run(struct bench *bench, size_t n_calls)
{
    int64_t began_ns = slots_now_ns();
    for (size_t done = 0; done < n_calls; done += bench->batch) {
        if (serve_batch(bench) != 0)
            return 1;
    }
    (void)printf("%zu %lld\n", n_calls, (long long)(slots_now_ns() - began_ns));
    return 0;
}

int main(int argument_count, char **arguments)
{
    if (argument_count != 4) {
        (void)fprintf(stderr, "usage: %s CALLS BYTES BATCH\n", arguments[0]);
        return 2;
    }
    size_t payload_len = rounds_number(arguments[2]);
    struct bench bench = {
        .batch = rounds_number(arguments[3]),
        .answer_len = echo_answer_len(payload_len),
        .next_stream = 1,
    };
    bench.frames = echo_frames_new(payload_len, bench.batch, &bench.frame_len);
    struct rpc_server *server = rpc_server_new(&(struct rpc_server_hooks){.data = NULL});
    if (bench.frames == NULL || server == NULL || rpc_server_add(server, echo_service()) != 0)
        return 1;
    bench.connection = rpc_connection_new(server, &(struct rpc_peer){.uid = UINT32_MAX});
    int result = bench.connection == NULL || bench.batch == 0;
    if (result == 0)
        result = run(&bench, rounds_number(arguments[1]));
    rpc_connection_free(bench.connection);
    rpc_server_free(server);
    free(bench.frames);
    return result;
}

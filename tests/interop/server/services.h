/* The services of the test server, and what they share.
 *
 *     test_service.c     grpc.testing.TestService: unary calls and uploads
 *     output_streams.c   its streams of responses
 *     mirror_service.c   flocks.testing.v1.MirrorService
 *
 * What TestService does is described in grpc/doc/interop-test-descriptions.md. */
#ifndef INTEROP_SERVER_SERVICES_H
#define INTEROP_SERVER_SERVICES_H

#include <stdbool.h>

#include "flocks/testing/v1/mirror.server.h"

#include "crpc/listener.h"
#include "grpc/testing/test.server.h"
#include "tests/interop/server/delay.h"
#include "tests/interop/server/tally.h"

struct test_server {
    struct rpc_listener *listener;
    struct delays delays;
    struct tally tally;
};

/* The server outlives them. */
struct rpc_service test_service(struct test_server *server);
struct rpc_service mirror_service(struct test_server *server);

/* ---- TestService ---- */

/* Sends back, before the answer and with the status, what the caller has sent for that. False: the
 * call has been ended. */
bool test_echo_metadata(struct rpc_call *call);
/* The caller has asked for this end of its call, if it has. True: the call has been ended. */
bool test_echo_status(struct rpc_call *call, const grpc_testing_echo_status *status);
/* We never decompress: the engine refuses a compressed message. Whoever wants theirs to have been
 * compressed is told that it was not. False: the call has been ended. */
bool test_check_compression(struct rpc_call *call, const grpc_testing_bool_value *expected);
/* `size` zeros; NULL: the call has been ended. Valid until the next one. */
grpc_testing_payload *test_payload(struct rpc_call *call, int32_t size);

/* ---- output_streams.c ---- */

void test_streaming_output_call(void *self,
    struct grpc_testing_test_streaming_output_call_call *call,
    const grpc_testing_streaming_output_call_request *request);
void test_full_duplex_call(void *self, struct grpc_testing_test_full_duplex_call_call *call);
void test_half_duplex_call(void *self, struct grpc_testing_test_half_duplex_call_call *call);

/* ---- test_server.c ---- */

/* What all connections make the server hold. */
size_t test_server_held_bytes(const struct test_server *server);

#endif

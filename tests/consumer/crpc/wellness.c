/* health and reflection as a program has them that generates the same protos for itself, with the
 * same names: a server in a child process with the library's services, its own client stubs in the
 * parent. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "crpc/health.h"
#include "crpc/listener.h"
#include "crpc/reflection.h"
#include "grpc/health/v1/health.client.h"
#include "grpc/health/v1/health.server.h"
#include "grpc/reflection/v1/reflection.client.h"
#include "wellness.index.h"

#define CHECK(claim)                                                                               \
    do {                                                                                           \
        if (!(claim)) {                                                                            \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #claim);                            \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

/* One of our own, whose name the library's stubs have inside, too. */
static void check(
    void *self, struct health_check_call *call, const health_health_check_request *request)
{
    health_health_check_response response = HEALTH_HEALTH_CHECK_RESPONSE_INIT;
    (void)self;
    (void)request;
    health_check_reply(call, &response);
}

static void serve(int fd)
{
    static const struct health_handlers handlers = {.check = check};
    static const struct crpc_index *const indexes[] = {&wellness_index, NULL};
    struct rpc_health *health = rpc_health_new();
    CHECK(health != NULL);
    const struct rpc_service own = health_service(&handlers, NULL);
    const struct rpc_service services[] = {rpc_health_service(health),
        rpc_reflection_service(RPC_REFLECTION_V1, indexes),
        rpc_reflection_service(RPC_REFLECTION_V1ALPHA, indexes)};
    struct rpc_listener *listener = rpc_listener_new(NULL, NULL);
    CHECK(listener != NULL);
    for (size_t i = 0; i < sizeof services / sizeof services[0]; i++)
        CHECK(rpc_listener_add(listener, &services[i]) == RPC_OK);
    CHECK(rpc_listener_add(listener, &own) == RPC_ALREADY_EXISTS);
    CHECK(rpc_health_set(health, "shop", false) == RPC_OK);
    CHECK(rpc_listener_take_connection(listener, fd, NULL) == RPC_DONE);
    while (rpc_listener_n_connections(listener) > 0)
        CHECK(rpc_listener_process(listener, NULL) == RPC_DONE);
    rpc_listener_free(listener);
    rpc_health_free(health);
}

static void check_health(struct rpc_client *client)
{
    health_health_check_request request = HEALTH_HEALTH_CHECK_REQUEST_INIT;
    const health_health_check_response *response = NULL;
    struct rpc_error *error = NULL;
    request.service = "shop";
    CHECK(health_check(client, NULL, &request, &response, &error) == RPC_DONE);
    CHECK((int)response->status == HEALTH_HEALTH_CHECK_RESPONSE_SERVING_STATUS_NOT_SERVING);
    rpc_message_free(&response->base);
    request.service = "nobody";
    CHECK(health_check(client, NULL, &request, &response, &error) == RPC_ERROR);
    CHECK(error->code == RPC_NOT_FOUND);
    rpc_error_free(error);
}

static void check_reflection(struct rpc_client *client)
{
    reflection_server_reflection_request request = REFLECTION_SERVER_REFLECTION_REQUEST_INIT;
    const reflection_server_reflection_response *response = NULL;
    struct reflection_server_reflection_server_reflection_info_client_stream *stream =
        reflection_server_reflection_server_reflection_info(client, NULL, NULL);
    CHECK(stream != NULL);
    request.message_request_case =
        REFLECTION_SERVER_REFLECTION_REQUEST_MESSAGE_REQUEST_FILE_CONTAINING_SYMBOL;
    request.file_containing_symbol = "depot.v1.FindRequest";
    CHECK(reflection_server_reflection_server_reflection_info_write(stream, &request, NULL) ==
          RPC_DONE);
    CHECK(reflection_server_reflection_server_reflection_info_next(stream, &response, NULL) ==
          RPC_DONE);
    CHECK((int)response->message_response_case ==
          REFLECTION_SERVER_REFLECTION_RESPONSE_MESSAGE_RESPONSE_FILE_DESCRIPTOR_RESPONSE);
    /* With what it imports, which is no file of this program's. */
    CHECK(response->file_descriptor_response->n_file_descriptor_proto > 2);
    rpc_message_free(&response->base);
    reflection_server_reflection_server_reflection_info_close(stream);
}

int main(void)
{
    int fds[2];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        close(fds[1]);
        serve(fds[0]);
        return 0;
    }
    close(fds[0]);
    struct rpc_client *client = rpc_client_take_fd(fds[1], NULL);
    CHECK(client != NULL);
    check_health(client);
    check_reflection(client);
    rpc_client_close(client);
    int status;
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    puts("wellness: all is there");
    return 0;
}

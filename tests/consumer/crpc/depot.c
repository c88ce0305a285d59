/* Both ends in one program: a listener in a child process, blocking calls in the parent. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "crpc/listener.h"
#include "depot/v1/depot.client.h"
#include "depot/v1/depot.server.h"
#include "google/protobuf/duration.names.h"
#include "google/protobuf/wrappers.names.h"
#include "other/v1/options.info.h"

#define CHECK(claim)                                                                               \
    do {                                                                                           \
        if (!(claim)) {                                                                            \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #claim);                            \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

/* Names of crpc's inner libraries, which a program may use for its own. */
int buffer_init(void);
int arena_alloc(void);
int error_set(void);
int fd_close(void);
int utf8_is_valid(void);
int population_join(void);
int buffer_init(void)
{
    return 1;
}
int arena_alloc(void)
{
    return 2;
}
int error_set(void)
{
    return 3;
}
int fd_close(void)
{
    return 4;
}
int utf8_is_valid(void)
{
    return 5;
}
int population_join(void)
{
    return 6;
}

/* ---- the server ---- */

static void find(void *self, struct depot_find_call *call, const depot_find_request *request)
{
    (void)self;
    if (strcmp(request->name, "lamp") != 0) {
        depot_not_in_stock detail = DEPOT_NOT_IN_STOCK_INIT;
        detail.name = request->name;
        rpc_call_fail(
            depot_find_base(call), RPC_NOT_FOUND, &detail.base, "there is no %s", request->name);
        return;
    }
    common_money price = COMMON_MONEY_INIT;
    price.currency = "EUR";
    price.cents = 1995;
    google_protobuf_duration life = GOOGLE_PROTOBUF_DURATION_INIT;
    life.seconds = 3600;
    google_protobuf_u_int32_value stock = GOOGLE_PROTOBUF_U_INT32_VALUE_INIT;
    stock.value = 7;
    depot_item item = DEPOT_ITEM_INIT;
    item.name = request->name;
    item.price = &price;
    item.shelf_life = &life;
    item.stock = &stock;
    depot_find_response response = DEPOT_FIND_RESPONSE_INIT;
    response.item = &item;
    depot_find_reply(call, &response);
}

struct listing {
    uint32_t next;
    uint32_t count;
};

static enum rpc_pull list_next(void *state, struct depot_list_call *call)
{
    struct listing *listing = state;
    char name[32];
    if (listing->next == listing->count)
        return RPC_PULL_DONE;
    snprintf(name, sizeof name, "item %u", (unsigned)listing->next++);
    depot_item item = DEPOT_ITEM_INIT;
    item.name = name;
    depot_list_response response = DEPOT_LIST_RESPONSE_INIT;
    response.item = &item;
    if (depot_list_send(call, &response) != RPC_OK)
        rpc_call_fail(depot_list_base(call), RPC_RESOURCE_EXHAUSTED, NULL, "no memory");
    return RPC_PULL_SENT;
}

static void list_closed(void *state, enum rpc_code code)
{
    (void)code;
    free(state);
}

static void list(void *self, struct depot_list_call *call, const depot_list_request *request)
{
    static const struct depot_list_stream stream = {.next = list_next, .closed = list_closed};
    struct listing *listing = malloc(sizeof *listing);
    (void)self;
    CHECK(listing != NULL);
    *listing = (struct listing){.count = request->count};
    depot_list_begin(call, &stream, listing);
}

static const struct depot_handlers HANDLERS = {.find = find, .list = list};

static void serve(int fd)
{
    struct rpc_listener *listener = rpc_listener_new(NULL, NULL);
    struct rpc_service service = depot_service(&HANDLERS, NULL);
    CHECK(listener != NULL && rpc_listener_add(listener, &service) == RPC_OK);
    CHECK(rpc_listener_take_connection(listener, fd, NULL) == RPC_DONE);
    do
        CHECK(rpc_listener_process(listener, NULL) == RPC_DONE);
    while (rpc_listener_n_connections(listener) > 0);
    rpc_listener_free(listener);
}

/* ---- the client ---- */

static void check_find(struct rpc_client *client)
{
    depot_find_request request = DEPOT_FIND_REQUEST_INIT;
    const depot_find_response *response = NULL;
    struct rpc_error *error = NULL;
    request.name = "lamp";
    CHECK(depot_find(client, NULL, &request, &response, &error) == RPC_DONE);
    CHECK(response->item->price->cents == 1995 && response->item->shelf_life->seconds == 3600);
    CHECK(response->item->stock->value == 7);
    rpc_message_free(&response->base);
    request.name = "boat";
    CHECK(depot_find(client, NULL, &request, &response, &error) == RPC_ERROR);
    CHECK(error->code == RPC_NOT_FOUND && error->n_details == 1);
    CHECK(strcmp(error->details[0].type_name, "depot.v1.NotInStock") == 0);
    rpc_error_free(error);
}

static void check_list(struct rpc_client *client)
{
    depot_list_request request = DEPOT_LIST_REQUEST_INIT;
    const depot_list_response *response = NULL;
    uint32_t n = 0;
    request.count = 1000;
    struct depot_list_client_stream *stream = depot_list(client, NULL, &request, NULL);
    CHECK(stream != NULL);
    while (depot_list_next(stream, &response, NULL) == RPC_DONE) {
        n++;
        rpc_message_free(&response->base);
    }
    depot_list_close(stream);
    CHECK(n == 1000);
}

static void check_rules(void)
{
    const struct rpc_method *rename = &depot_methods[DEPOT_RENAME];
    CHECK(rename->mutates && rename->max_deadline_ms == 30000);
    /* An option of others under the same number is not taken for one of these. */
    CHECK(other_v1_painted_info.fields[0].default_value == NULL);
    CHECK(other_v1_painted_info.fields[0].min == NULL);
}

int main(void)
{
    int fds[2];
    CHECK(buffer_init() + arena_alloc() + error_set() + fd_close() + utf8_is_valid() +
              population_join() ==
          21);
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
    check_find(client);
    check_list(client);
    check_rules();
    rpc_client_close(client);
    int status;
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    puts("depot: all is there");
    return 0;
}

/* The services of a server and the deadlines of its calls. */
#include "crpc/server.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/rpc/engine.h"

struct rpc_server *rpc_server_new(const struct rpc_server_hooks *hooks)
{
    struct rpc_server *server = calloc(1, sizeof *server);
    if (server == NULL)
        return NULL;
    server->hooks = *hooks;
    list_init(&server->orphans);
    list_init(&server->deadlines);
    return server;
}

void rpc_server_free(struct rpc_server *server)
{
    if (server == NULL)
        return;
    LIST_FOR_EACH_SAFE(link, &server->orphans)
    rpc_call_destroy(CONTAINER_OF(link, struct rpc_call, in_owner));
    assert(server->n_calls == 0);
    free(server->services);
    free(server);
}

static bool equals(struct rpc_bytes bytes, const char *text)
{
    /* Not strlen first: most names differ in their first bytes. A name of the peer's may go on
     * behind a NUL, where strncmp sees the end of both. */
    return strncmp((const char *)bytes.data, text, bytes.len) == 0 && strlen(text) == bytes.len;
}

static const struct rpc_service *find_service(
    const struct rpc_server *server, struct rpc_bytes name)
{
    for (size_t i = 0; i < server->n_services; i++) {
        if (name.len > 0 && equals(name, server->services[i]->name))
            return server->services[i];
    }
    return NULL;
}

enum rpc_code rpc_server_add(struct rpc_server *server, const struct rpc_service *service)
{
    if (find_service(server, RPC_BYTES_OF_TEXT(service->name)) != NULL)
        return RPC_ALREADY_EXISTS;
    size_t n = server->n_services + 1;
    const struct rpc_service **services =
        realloc((void *)server->services, n * sizeof(const struct rpc_service *));
    if (services == NULL)
        return RPC_RESOURCE_EXHAUSTED;
    services[n - 1] = service;
    server->services = services;
    server->n_services = n;
    return RPC_OK;
}

const struct rpc_method *rpc_server_find(
    const void *table, struct rpc_bytes service_name, struct rpc_bytes method_name)
{
    const struct rpc_service *service = find_service(table, service_name);
    if (service == NULL || method_name.len == 0)
        return NULL;
    for (size_t i = 0; i < service->n_methods; i++) {
        if (equals(method_name, service->methods[i].name))
            return &service->methods[i];
    }
    return NULL;
}

static bool has_row(const struct rpc_service *service, const struct rpc_method *method)
{
    /* By address: names would be compared a second time for every call. */
    return (uintptr_t)method >= (uintptr_t)service->methods &&
           (uintptr_t)method < (uintptr_t)(service->methods + service->n_methods);
}

const struct rpc_service *rpc_server_service_of(
    const struct rpc_server *server, const struct rpc_method *method)
{
    for (size_t i = 0; i < server->n_services; i++) {
        if (has_row(server->services[i], method))
            return server->services[i];
    }
    return NULL;
}

void rpc_server_shut(struct rpc_server *server)
{
    server->is_shut = true;
}

void rpc_server_tick(struct rpc_server *server, int64_t now_ms)
{
    while (!list_is_empty(&server->deadlines)) {
        struct rpc_call *call = CONTAINER_OF(server->deadlines.next, struct rpc_call, in_deadlines);
        if (call->deadline_at > now_ms)
            return;
        list_remove(&call->in_deadlines);
        rpc_call_expire(call);
    }
}

int64_t rpc_server_next_tick(const struct rpc_server *server)
{
    if (list_is_empty(&server->deadlines))
        return INT64_MAX;
    return CONTAINER_OF(server->deadlines.next, struct rpc_call, in_deadlines)->deadline_at;
}

size_t rpc_server_n_calls(const struct rpc_server *server)
{
    return server->n_calls;
}

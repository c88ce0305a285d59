#include "calls.h"

#include <stdio.h>

#include "rounds.h"

enum { CONNECT_MS = 10 * 1000 };

static struct rpc_client *clients[CALLS_CONNECTIONS_MAX];

int calls_failed(struct rpc_error *error)
{
    (void)fprintf(stderr, "%s\n", error->message);
    rpc_error_free(error);
    return 1;
}

/* Each is called once before anything is measured: a server has objects to make for it. */
static int connect_all(const struct calls_plan *plan)
{
    for (size_t i = 0; i < plan->n_connections; i++) {
        struct rpc_error *error = NULL;
        clients[i] = rpc_client_connect(plan->path, CONNECT_MS, &error);
        if (clients[i] == NULL)
            return calls_failed(error);
        if (plan->call(clients[i], plan->data) != 0)
            return 1;
    }
    return 0;
}

static int one_round(void *data, size_t index)
{
    const struct calls_plan *plan = data;
    return plan->call(clients[index % plan->n_connections], plan->data);
}

int calls_run(const struct calls_plan *plan)
{
    if (plan->n_calls == 0 || plan->n_connections == 0 ||
        plan->n_connections > CALLS_CONNECTIONS_MAX)
        return 2;
    struct calls_plan copy = *plan;
    int result = connect_all(plan);
    if (result == 0 && plan->is_quiet)
        result = rounds_run_quietly(plan->n_calls, one_round, &copy);
    else if (result == 0)
        result = rounds_run(plan->n_calls, one_round, &copy);
    for (size_t i = 0; i < plan->n_connections; i++)
        rpc_client_close(clients[i]);
    return result;
}

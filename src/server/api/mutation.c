#include "server/api/mutation.h"

#include "server/api/api.h"
#include "server/api/failure.h"

enum { MS_PER_S = 1000, NS_PER_MS = 1000 * 1000, NS_PER_S = 1000 * 1000 * 1000 };

int mutation_timeout_ms(
    const Google__Protobuf__Duration *timeout, int64_t *out, struct error *error)
{
    *out = 0;
    if (!timeout)
        return 0;
    if (timeout->seconds < 0 || timeout->nanos < 0 || timeout->nanos >= NS_PER_S)
        return error_set(error, STATUS_INVALID_ARGUMENT, "timeout: must be a positive duration");
    if (timeout->seconds >= API_OPERATION_TIMEOUT_MAX_S)
        return error_set(error, STATUS_INVALID_ARGUMENT, "timeout: longer than %d hours",
            API_OPERATION_TIMEOUT_MAX_S / 3600);
    *out = timeout->seconds * MS_PER_S + (timeout->nanos + NS_PER_MS - 1) / NS_PER_MS;
    return 0;
}

static void reply_now(struct supervisor *supervisor, struct rpc_call *call, const char *id,
    const struct mutation_kind *kind)
{
    flocks_operation *operation = NULL;
    struct error error = ERROR_INIT;
    struct arena arena;

    arena_init(&arena, API_ANSWER_BYTES);
    if (supervisor_get_operation(supervisor, id, &arena, &operation, NULL, &error) < 0)
        api_fail(call, &error, id);
    else
        kind->reply(call, operation);
    arena_deinit(&arena);
}

static void answer(struct supervisor *supervisor, struct rpc_call *call, const char *id,
    enum waiting_end end, const void *context)
{
    struct error error = ERROR_INIT;

    if (end == WAITING_READY) {
        reply_now(supervisor, call, id, context);
        return;
    }
    (void)error_set(
        &error, STATUS_DEADLINE_EXCEEDED, "the call's time is up, the operation %s goes on", id);
    error_set_hint(&error, "GetOperation tells how it goes on");
    api_fail(call, &error, id);
}

static int begin(struct supervisor *supervisor, struct rpc_call *call,
    const struct mutation_kind *kind, const struct mutation *mutation,
    char out_id[SUPERVISOR_OPERATION_ID_SIZE], struct error *error)
{
    const struct rpc_peer *peer = rpc_call_peer(call);
    struct supervisor_request request = {
        .kind = kind->kind,
        .services = mutation->services,
        .n_services = mutation->n_services,
        .request_id = mutation->request_id,
        .lease_id = mutation->lease_id,
        .skip_prepare = mutation->skip_prepare,
        .keeper_pid = mutation->keeper_pid,
        .requester_pid = peer->pid,
        .requester_uid = peer->uid,
    };
    int result = mutation_timeout_ms(mutation->timeout, &request.timeout_ms, error);
    if (result == 0)
        result = supervisor_begin(supervisor, &request, out_id, error);
    return result;
}

void mutation_answer(struct waiting_room *room, struct rpc_call *call,
    const struct mutation_kind *kind, const char *id, bool wait)
{
    if (!wait) {
        reply_now(room->supervisor, call, id, kind);
        return;
    }
    waiting_begin(room, call,
        &(struct waiting_for){
            .operation_id = id, .what = SUPERVISOR_WAIT_END, .answer = answer, .context = kind});
}

void mutation_run(struct waiting_room *room, struct rpc_call *call,
    const struct mutation_kind *kind, const struct mutation *mutation)
{
    char id[SUPERVISOR_OPERATION_ID_SIZE];
    struct error error = ERROR_INIT;

    if (begin(room->supervisor, call, kind, mutation, id, &error) < 0) {
        api_fail_for_lease(room->supervisor, call, &error, NULL);
        return;
    }
    mutation_answer(room, call, kind, id, mutation->wait);
}

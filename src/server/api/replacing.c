#include "server/api/replacing.h"

#include "server/api/api.h"
#include "server/api/failure.h"
#include "server/api/upgrade_service.h"
#include "server/supervise/supervisor.h"

static int check_path(const char *name, const char *path, struct error *error)
{
    if (path[0] == '\0' || path[0] == '/')
        return 0;
    return error_set(
        error, STATUS_INVALID_ARGUMENT, "%s: must be an absolute path: %s", name, path);
}

static int begin(struct upgrade_service *service, struct rpc_call *call,
    const flocks_replace_daemon_request *request, char out_id[SUPERVISOR_OPERATION_ID_SIZE],
    struct error *error)
{
    const struct supervisor_replacement replacement = {
        .flocksd_path = request->flocksd_path,
        .keeper_path = request->keeper_path,
        .expected_version = request->expected_version,
        .requester_pid = rpc_call_peer(call)->pid,
        .requester_uid = rpc_call_peer(call)->uid,
    };
    int result = check_path("flocksd_path", request->flocksd_path, error);

    if (result == 0)
        result = check_path("keeper_path", request->keeper_path, error);
    return result == 0 ? supervisor_replace(service->supervisor, &replacement, out_id, error)
                       : result;
}

void replacing_serve(void *self, struct flocks_replace_daemon_call *call,
    const flocks_replace_daemon_request *request)
{
    struct upgrade_service *service = self;
    struct rpc_call *base = flocks_replace_daemon_base(call);
    flocks_replace_daemon_response response = FLOCKS_REPLACE_DAEMON_RESPONSE_INIT;
    char id[SUPERVISOR_OPERATION_ID_SIZE];
    struct error error = ERROR_INIT;
    struct arena arena;
    int result = begin(service, base, request, id, &error);

    arena_init(&arena, API_ANSWER_BYTES);
    if (result == 0)
        result = supervisor_get_operation(
            service->supervisor, id, &arena, &response.operation, NULL, &error);
    if (result < 0)
        api_fail(base, &error, NULL);
    else
        flocks_replace_daemon_reply(call, &response);
    arena_deinit(&arena);
}

/* Above the client library: what is true of this program only. */
#include "client/cli/daemon.h"

#include <string.h>

#include "flocks/v1/upgrade.methods.h"

#include "client/cli/instance.h"
#include "client/cli/report.h"
#include "common/base/api_revision.h"
#include "common/base/clock.h"
#include "common/base/utf8.h"
#include "common/release/upgrade_lock.h"
#include "common/release/upgrade_paths.h"

static bool is_running(void *data)
{
    const struct cli *cli = data;
    struct instance instance;
    /* A lock that cannot be looked at says nothing; the socket then will. */
    return instance_look(&cli->paths, &instance, NULL) < 0 || instance.lives;
}

struct flocks_client *daemon_new_client(const struct cli *cli, struct error *error)
{
    /* The predicate only reads. */
    const union {
        const struct cli *constant;
        void *data;
    } alias = {.constant = cli};
    /* Over TCP the daemon may be that of another root: this one's lock says nothing about it. */
    bool is_tcp = cli->paths.tcp[0] != '\0';
    const struct flocks_client_options options = {
        .socket = is_tcp ? cli->paths.tcp : cli->paths.socket,
        .root = cli->paths.root,
        .is_running = is_tcp ? NULL : is_running,
        .data = alias.data};
    struct flocks_error *failure = NULL;
    struct flocks_client *client = flocks_client_new(&options, &failure);
    if (client == NULL)
        (void)daemon_take_failure(failure, error);
    flocks_error_free(failure);
    return client;
}

int daemon_open(
    struct daemon *daemon, const struct cli *cli, int64_t timeout_ms, struct error *error)
{
    struct error unwanted = ERROR_INIT;
    struct error *why = error ? error : &unwanted;
    *daemon = (struct daemon){.cli = cli,
        .client = daemon_new_client(cli, why),
        .deadline_at = clock_add_ms(clock_monotonic_ms(), cli_timeout_ms(cli, timeout_ms))};
    return daemon->client ? 0 : -(int)why->code;
}

void daemon_close(struct daemon *daemon)
{
    flocks_error_free(daemon->failure);
    flocks_client_free(daemon->client);
    daemon->failure = NULL;
    daemon->client = NULL;
}

int daemon_take_failure(const struct flocks_error *failure, struct error *error)
{
    int result = error_set(error, (enum status_code)failure->code, "%s", failure->message);
    if (error == NULL)
        return result;
    error->system_error = failure->system_error;
    const flocks_error_detail *detail = failure->detail;
    if (detail != NULL) {
        size_t n = utf8_cut(detail->service, strlen(detail->service), sizeof error->subject - 1);
        memcpy(error->subject, detail->service, n);
        error->reason = (uint32_t)detail->reason;
        error_set_hint(error, "%s", detail->hint);
    }
    return result;
}

static int call(struct daemon *daemon, const struct rpc_method *method, int64_t limit_ms,
    const ProtobufCMessage *request, const ProtobufCMessage **out, struct error *error)
{
    int64_t left_ms = daemon->deadline_at - clock_monotonic_ms();
    flocks_error_free(daemon->failure);
    daemon->failure = NULL;
    *out = NULL;
    if (left_ms <= 0)
        return error_set(error, STATUS_DEADLINE_EXCEEDED,
            "talking to the daemon at %s: the deadline has passed",
            flocks_client_socket(daemon->client));
    const struct rpc_options options = {.timeout_ms = left_ms < limit_ms ? left_ms : limit_ms};
    enum rpc_result result =
        flocks_client_call(daemon->client, method, &options, request, out, &daemon->failure);
    if (result == RPC_DONE)
        return 0;
    return daemon->failure->is_not_running ? DAEMON_NOT_RUNNING
                                           : daemon_take_failure(daemon->failure, error);
}

int daemon_call(struct daemon *daemon, enum flocks_supervisor_method method, int64_t limit_ms,
    const ProtobufCMessage *request, const ProtobufCMessage **out, struct error *error)
{
    return call(daemon, &flocks_supervisor_methods[method], limit_ms, request, out, error);
}

int daemon_call_method(struct daemon *daemon, const struct rpc_method *method,
    const ProtobufCMessage *request, const ProtobufCMessage **out, struct error *error)
{
    return call(daemon, method, INT64_MAX, request, out, error);
}

int daemon_get_status(struct daemon *daemon, const char *const *names, size_t n_names,
    const flocks_get_status_response **out, struct error *error)
{
    /* protobuf-c's lists are not const although nobody changes them. */
    const union {
        const char *const *constant;
        const char **list;
    } services = {.constant = names};
    flocks_get_status_request request = FLOCKS_GET_STATUS_REQUEST_INIT;
    request.n_services = n_names;
    request.services = services.list;
    const ProtobufCMessage *message = NULL;
    int result = daemon_call(
        daemon, FLOCKS_SUPERVISOR_GET_STATUS, DAEMON_ANSWER_MS, &request.base, &message, error);
    *out = (const flocks_get_status_response *)message;
    return result;
}

int daemon_get_config(
    struct daemon *daemon, const flocks_get_config_response **out, struct error *error)
{
    flocks_get_config_request request = FLOCKS_GET_CONFIG_REQUEST_INIT;
    const ProtobufCMessage *message = NULL;
    int result = daemon_call(
        daemon, FLOCKS_SUPERVISOR_GET_CONFIG, DAEMON_ANSWER_MS, &request.base, &message, error);
    *out = (const flocks_get_config_response *)message;
    return result;
}

bool daemon_may_be_upgrading(const struct cli *cli)
{
    struct upgrade_paths places;
    return cli->paths.tcp[0] || upgrade_paths_resolve(cli->paths.root, &places, NULL) < 0 ||
           upgrade_lock_look(places.lock, NULL, NULL) != 0;
}

const flocks_get_upgrade_response *daemon_get_present_upgrade(struct daemon *daemon)
{
    if (!daemon_may_be_upgrading(daemon->cli))
        return NULL;
    flocks_get_upgrade_request request = FLOCKS_GET_UPGRADE_REQUEST_INIT;
    const ProtobufCMessage *message = NULL;
    struct flocks_error *failure = daemon->failure;
    daemon->failure = NULL;
    int result = call(daemon, &flocks_upgrade_methods[FLOCKS_UPGRADE_GET_UPGRADE], DAEMON_ANSWER_MS,
        &request.base, &message, NULL);
    /* Whoever asked has other things to tell. */
    flocks_error_free(daemon->failure);
    daemon->failure = failure;
    const flocks_get_upgrade_response *response = (const flocks_get_upgrade_response *)message;
    bool is_present = result == 0 && response && response->progress &&
                      response->progress->upgrade_id[0] &&
                      response->progress->step != FLOCKS_UPGRADE_STEP_DONE;
    if (!is_present)
        daemon_free_upgrade(&response);
    return response;
}

void daemon_free_upgrade(const flocks_get_upgrade_response **response)
{
    if (*response)
        rpc_message_free(&(*response)->base);
    *response = NULL;
}

void daemon_free_status(const flocks_get_status_response **response)
{
    if (*response)
        rpc_message_free(&(*response)->base);
    *response = NULL;
}

void daemon_free_config(const flocks_get_config_response **response)
{
    if (*response)
        rpc_message_free(&(*response)->base);
    *response = NULL;
}

/* Which side lacks what the other asked for. */
static void explain_not_known(struct daemon *daemon, struct error *error)
{
    CLEANUP(daemon_free_status) const flocks_get_status_response *status = NULL;
    if (daemon_get_status(daemon, NULL, 0, &status, NULL) != 0 || !status || !status->daemon)
        return;
    unsigned theirs = status->daemon->api_revision;
    const char *remedy = theirs < FLOCKS_API_REVISION
                             ? "`flocks restart` runs the flocksd installed beside this command"
                             : "use the flocks that was installed with that daemon";
    error_set_hint(error, "daemon %s has API revision %u, this command %d: %s",
        status->daemon->version, theirs, FLOCKS_API_REVISION, remedy);
}

/* What to do about it, where the daemon has not said so. */
static void complete_hint(struct daemon *daemon, struct error *error)
{
    if (error->code == STATUS_UNIMPLEMENTED && !daemon->cli->json && !error->hint[0])
        explain_not_known(daemon, error);
    if (error->code == STATUS_DEADLINE_EXCEEDED && !error->hint[0])
        error_set_hint(error, "--timeout waits longer; `flocks stop` ends a daemon that hangs");
    if (error->code == STATUS_PERMISSION_DENIED && !error->hint[0])
        error_set_hint(error, INSTANCE_OWNER_HINT);
    /* The daemon's own is for programs that send it themselves. */
    if (error->reason == FLOCKS_ERROR_REASON_TOKEN)
        error_set_hint(error, "FLOCKS_TOKEN_FILE names the file with that daemon's token, which is "
                              "run/control.token of this command's root otherwise");
}

enum outcome daemon_report(struct daemon *daemon, struct error *error)
{
    complete_hint(daemon, error);
    const flocks_error_detail *theirs = daemon->failure ? daemon->failure->detail : NULL;
    flocks_error_detail own = report_detail(error);
    own.operation_id = daemon->operation_id;
    return report_failure(daemon->cli, error, theirs ? theirs : &own);
}

enum outcome daemon_report_end(const struct cli *cli, const struct flocks_error *failure)
{
    struct error error = ERROR_INIT;
    struct daemon daemon;
    if (failure == NULL)
        return OUTCOME_DONE;
    if (failure->is_not_running)
        return report_not_running(cli);
    (void)daemon_take_failure(failure, &error);
    /* A new connection: the stream's own has just ended. */
    if (daemon_open(&daemon, cli, DAEMON_ANSWER_MS, NULL) == 0)
        complete_hint(&daemon, &error);
    daemon_close(&daemon);
    return report_failure(cli, &error, failure->detail);
}

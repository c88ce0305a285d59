/* What must hold within one service, without looking at the disk. */
#include <stdio.h>
#include <string.h>

#include "common/config/address.h"
#include "common/config/draft.h"
#include "common/config/environment.h"

enum { NANOS_PER_SECOND = 1000000000 };

/* The service being looked at. */
struct check {
    struct draft *draft;
    const char *name;
    const flocks_service_config *service;
};

static const char *path_of(const struct check *check, const char *rest)
{
    return draft_service_path(check->draft, check->name, rest);
}

static struct mistake *refuse(const struct check *check, const char *rest, const char *message)
{
    return draft_refuse(check->draft, path_of(check, rest), "%s", message);
}

static void hint(const struct check *check, struct mistake *mistake, const char *text)
{
    mistake_set_hint(check->draft->mistakes, mistake, "%s", text);
}

/* ---- names ---- */

static bool name_has_valid_form(const char *name)
{
    size_t len = strlen(name);
    if (len == 0 || len > CONFIG_NAME_MAX || name[0] < 'a' || name[0] > 'z')
        return false;
    return strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == len;
}

/* Its log would be daemon.log, which is flocksd's own. */
static bool name_is_reserved(const char *name)
{
    return strcmp(name, "daemon") == 0;
}

bool config_name_is_valid(const char *name)
{
    return name_has_valid_form(name) && !name_is_reserved(name);
}

static void check_name(const struct check *check)
{
    if (!name_has_valid_form(check->name))
        hint(check, refuse(check, "", "is no name for a service"),
            "a small letter, then small letters, digits and '-', at most 63 in all");
    else if (name_is_reserved(check->name))
        hint(check, refuse(check, "", "the name is reserved: daemon.log belongs to flocksd"),
            "choose another name");
}

/* ---- commands and environment ---- */

static void check_command(
    const struct check *check, const char *rest, size_t n_words, const char **words)
{
    if (n_words == 0 || words[0][0] == '\0')
        hint(check, refuse(check, rest, "names no program"),
            "write the program and its arguments: [program, argument]");
}

static void check_environment(const struct check *check)
{
    const flocks_service_config *service = check->service;
    for (size_t i = 0; i < service->n_environment; i++) {
        const char *name = service->environment[i]->key;
        if (environment_name_is_valid(name, strlen(name)))
            continue;
        char rest[SCHEMA_PATH_MAX];
        (void)snprintf(rest, sizeof(rest), "environment.%s", name);
        hint(check, refuse(check, rest, "is no name for a variable"),
            "letters, digits and '_', no digit first");
    }
}

/* ---- probes ---- */

static void check_http(const struct check *check, const char *rest, const flocks_http_check *http)
{
    char where[SCHEMA_PATH_MAX];
    if (http->path[0] != '/') {
        (void)snprintf(where, sizeof(where), "%s.path", rest);
        hint(check, refuse(check, where, "must begin with '/'"), "write path: /api/health");
    }
    if (http->port == 0 && check->service->port == 0)
        hint(check, refuse(check, rest, "there is no port to ask"),
            "give the service a port, or the check one of its own");
    for (size_t i = 0; i < http->n_headers; i++) {
        const flocks_http_check_headers_entry *header = http->headers[i];
        if (header->key[0] != '\0' && strpbrk(header->key, " :\t\r\n") == NULL &&
            strpbrk(header->value, "\r\n") == NULL)
            continue;
        (void)snprintf(where, sizeof(where), "%s.headers.%s", rest, header->key);
        hint(check, refuse(check, where, "cannot be sent as a header"),
            "no blanks or ':' in the name, one line as the value");
    }
}

static void check_tcp(const struct check *check, const char *rest, const flocks_tcp_check *tcp)
{
    if (tcp->port == 0 && check->service->port == 0)
        hint(check, refuse(check, rest, "there is no port to connect to"),
            "give the service a port, or the check one of its own");
}

static void check_probe(const struct check *check, const char *role, const flocks_probe *probe)
{
    if (probe == NULL)
        return;
    char rest[64];
    switch (probe->check_case) {
    case FLOCKS__V1__PROBE__CHECK_HTTP:
        (void)snprintf(rest, sizeof(rest), "probes.%s.http", role);
        check_http(check, rest, probe->http);
        return;
    case FLOCKS__V1__PROBE__CHECK_TCP:
        (void)snprintf(rest, sizeof(rest), "probes.%s.tcp", role);
        check_tcp(check, rest, probe->tcp);
        return;
    case FLOCKS__V1__PROBE__CHECK_EXEC:
        (void)snprintf(rest, sizeof(rest), "probes.%s.exec.command", role);
        check_command(check, rest, probe->exec->n_command, probe->exec->command);
        return;
    case FLOCKS__V1__PROBE__CHECK__NOT_SET:
    default:
        (void)snprintf(rest, sizeof(rest), "probes.%s", role);
        hint(check, refuse(check, rest, "says nothing to check"), "add http, tcp or exec");
    }
}

/* ---- the rest ---- */

static int64_t duration_ns(const Google__Protobuf__Duration *duration)
{
    return duration != NULL ? duration->seconds * NANOS_PER_SECOND + duration->nanos : 0;
}

static void check_restart(const struct check *check)
{
    const flocks_restart_config *restart = check->service->restart;
    if (restart != NULL && duration_ns(restart->delay) > duration_ns(restart->max_delay))
        hint(check, refuse(check, "restart.delay", "is longer than max_delay"),
            "raise max_delay, or lower delay");
}

static void check_version(const struct check *check)
{
    const flocks_version_source *version = check->service->version;
    if (version == NULL)
        return;
    if (version->http == NULL)
        hint(check, refuse(check, "version.http", "is missing"),
            "write http: {path: /version.json}");
    else
        check_http(check, "version.http", version->http);
}

static void check_notify(const struct check *check)
{
    const int64_t shortest_ns = NANOS_PER_SECOND / 10;
    int64_t watchdog_ns = duration_ns(check->service->watchdog);
    if (watchdog_ns > 0 && !check->service->notify)
        hint(check, refuse(check, "watchdog", "needs notify"),
            "add notify: true if the service sends WATCHDOG=1, or leave watchdog out");
    else if (watchdog_ns > 0 && watchdog_ns < shortest_ns)
        hint(check, refuse(check, "watchdog", "is shorter than 100ms"),
            "a busy service is late by more; write 30s");
    if (check->service->notify && check->service->limits != NULL &&
        check->service->limits->user[0] != '\0')
        hint(check, refuse(check, "notify", "cannot be used as another user"),
            "only the daemon's own user reaches its socket: leave notify out, or limits.user");
}

static void check_logs(const struct check *check)
{
    if (check->service->logs != NULL && check->service->logs->compress)
        hint(check, refuse(check, "logs.compress", "is not built yet"),
            "leave it out: rotated logs are kept as they are");
}

static void check_one(const struct check *check)
{
    const flocks_service_config *service = check->service;
    check_command(check, "command", service->n_command, service->command);
    check_environment(check);
    if (!address_is_valid(service->host))
        hint(check, refuse(check, "host", "is no address"),
            "write 127.0.0.1, 0.0.0.0, ::1, ::, localhost or another address of this machine");
    if (service->probes != NULL) {
        check_probe(check, "startup", service->probes->startup);
        check_probe(check, "ready", service->probes->ready);
        check_probe(check, "alive", service->probes->alive);
    }
    if (service->prepare != NULL)
        check_command(
            check, "prepare.command", service->prepare->n_command, service->prepare->command);
    check_restart(check);
    check_notify(check);
    check_logs(check);
    check_version(check);
}

static void check_some_service(struct draft *draft)
{
    if (draft->message->n_services > 0 || draft_is_mistaken(draft, "services"))
        return;
    mistake_set_hint(draft->mistakes,
        draft_refuse(draft, "services", "there are none: nothing to supervise"),
        "add services, or remove the file to run the built-in Flocks services");
}

void check_services(struct draft *draft)
{
    check_some_service(draft);
    for (size_t i = 0; i < draft->message->n_services; i++) {
        const flocks_config_services_entry *entry = draft->message->services[i];
        struct check check = {draft, entry->key, entry->value};
        bool is_known = draft_is_mistaken(draft, path_of(&check, ""));
        check_name(&check);
        if (!is_known)
            check_one(&check);
    }
}

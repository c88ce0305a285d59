#include "server/supervise/spawn_plan.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "common/base/fd.h"
#include "common/base/memory.h"
#include "common/config/account.h"
#include "common/config/environment_file.h"

_Static_assert((int)ACCOUNT_GROUPS_MAX <= (int)KEEPER_GROUPS_MAX, "the keeper takes them all");

/* A growing list of "NAME=value" in which later names replace earlier ones. */
struct environment {
    struct arena *arena;
    const char **items;
    size_t n;
    size_t capacity;
};

/* Of flocksd's own environment, not to be passed on: they speak to flocksd, not to its services. */
static const char *const private_names[] = {
    "NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "WATCHDOG_PID", "WATCHDOG_USEC"};

static int no_memory(struct error *error)
{
    return error_set(error, STATUS_RESOURCE_EXHAUSTED, "environment and arguments exceed %d bytes",
        (int)SPAWN_PLAN_BYTES);
}

static size_t name_length(const char *item)
{
    const char *equals = strchr(item, '=');

    return equals != NULL ? (size_t)(equals - item) : strlen(item);
}

static bool environment_grow(struct environment *environment)
{
    size_t capacity = environment->capacity > 0 ? environment->capacity * 2 : 64;
    const char **items = arena_calloc(environment->arena, capacity, sizeof *items);

    if (items == NULL)
        return false;
    if (environment->n > 0)
        memcpy(items, environment->items, environment->n * sizeof *items);
    environment->items = items;
    environment->capacity = capacity;
    return true;
}

/* Keeps one place free for the NULL at the end. */
static bool environment_put(struct environment *environment, const char *item)
{
    size_t length = name_length(item) + 1;

    for (size_t i = 0; i < environment->n; i++) {
        if (strncmp(environment->items[i], item, length) == 0) {
            environment->items[i] = item;
            return true;
        }
    }
    if (environment->n + 1 >= environment->capacity && !environment_grow(environment))
        return false;
    environment->items[environment->n++] = item;
    return true;
}

static bool environment_set(struct environment *environment, const char *name, const char *value)
{
    const char *item = arena_printf(environment->arena, "%s=%s", name, value);

    return item != NULL && environment_put(environment, item);
}

static bool is_private(const char *item)
{
    size_t length = name_length(item);

    for (size_t i = 0; i < ARRAY_LENGTH(private_names); i++) {
        if (strlen(private_names[i]) == length && memcmp(private_names[i], item, length) == 0)
            return true;
    }
    return false;
}

static bool environment_inherit(struct environment *environment, const char *const *inherited)
{
    for (; *inherited != NULL; inherited++) {
        if (!is_private(*inherited) && !environment_put(environment, *inherited))
            return false;
    }
    return true;
}

static int environment_parse(struct environment *environment, const char *path, const char *text,
    size_t text_len, struct error *error)
{
    struct mistakes mistakes;
    struct environment_pairs pairs = {.n = 0};
    int result;

    mistakes_init(&mistakes);
    result = environment_file_parse(text, text_len, path, environment->arena, &pairs, &mistakes);
    if (result == ENVIRONMENT_FILE_MISTAKEN)
        result = mistakes.n > 0 ? error_set(error, STATUS_INVALID_ARGUMENT, "%s:%u:%u: %s", path,
                                      (unsigned)mistakes.items[0].line,
                                      (unsigned)mistakes.items[0].column, mistakes.items[0].message)
                                : error_set(error, STATUS_INVALID_ARGUMENT, "%s: mistaken", path);
    else if (result < 0)
        result = no_memory(error);
    for (size_t i = 0; i < pairs.n && result == 0; i++) {
        if (!environment_set(environment, pairs.items[i].name, pairs.items[i].value))
            result = no_memory(error);
    }
    mistakes_deinit(&mistakes);
    return result;
}

static int environment_read_file(
    struct environment *environment, const char *name, struct error *error)
{
    size_t length = strlen(name);
    bool may_be_missing = length > 0 && name[length - 1] == '?';
    char *path = arena_strndup(environment->arena, name, may_be_missing ? length - 1 : length);
    CLEANUP(free_text) char *text = NULL;
    size_t text_len;
    int result;

    if (path == NULL)
        return no_memory(error);
    result = fd_read_file(path, ENVIRONMENT_FILE_MAX_BYTES, &text, &text_len, error);
    if (result == -STATUS_NOT_FOUND && may_be_missing)
        return 0;
    if (result < 0)
        return error_add_context(error, result, "environment file");
    return environment_parse(environment, path, text, text_len, error);
}

/* As sd_notify(3) and sd_watchdog_enabled(3) want it. */
static bool environment_set_notify(
    struct environment *environment, const struct spawn_plan_request *request)
{
    const char *usec;

    if (request->notify_path == NULL)
        return true;
    if (!environment_set(environment, "NOTIFY_SOCKET", request->notify_path))
        return false;
    if (request->watchdog_ms <= 0)
        return true;
    usec = arena_printf(environment->arena, "%lld", (long long)request->watchdog_ms * 1000);
    return usec != NULL && environment_set(environment, "WATCHDOG_USEC", usec) &&
           environment_put(environment, KEEPER_WATCHDOG_PID_TEXT);
}

/* As whom, and what the environment says of that. The configuration has the last word. */
static int build_account(const flocks_limits_config *config, struct arena *arena,
    struct environment *environment, struct keeper_spawn *out, struct error *error)
{
    struct account *account;
    int result;

    if (!account_is_wanted(config))
        return 0;
    account = arena_calloc(arena, 1, sizeof *account);
    if (account == NULL)
        return no_memory(error);
    result = account_resolve(config->user, config->group, account, error);
    if (result < 0)
        return result;
    out->change_user = true;
    out->uid = account->uid;
    out->gid = account->gid;
    out->groups = account->groups;
    out->n_groups = account->n_groups;
    if (account->name[0] == '\0')
        return 0;
    if (!environment_set(environment, "USER", account->name) ||
        !environment_set(environment, "LOGNAME", account->name) ||
        !environment_set(environment, "HOME", account->home) ||
        !environment_set(environment, "SHELL", account->shell))
        return no_memory(error);
    return 0;
}

static int build_environment(const struct spawn_plan_request *request, struct arena *arena,
    struct keeper_spawn *out, struct error *error)
{
    const flocks_service_config *config = request->config;
    struct environment environment = {.arena = arena};
    int result;

    if (!environment_inherit(&environment, request->inherited))
        return no_memory(error);
    result = build_account(config->limits, arena, &environment, out, error);
    if (result < 0)
        return result;
    for (size_t i = 0; i < config->n_environment_files; i++) {
        result = environment_read_file(&environment, config->environment_files[i], error);
        if (result < 0)
            return result;
    }
    for (size_t i = 0; i < config->n_environment; i++) {
        if (!environment_set(
                &environment, config->environment[i]->key, config->environment[i]->value))
            return no_memory(error);
    }
    if (!environment_set(&environment, "FLOCKS_ROOT", request->root) ||
        !environment_set(&environment, "FLOCKS_SERVICE", request->name) ||
        !environment_set(&environment, "FLOCKS_INVOCATION_ID", request->invocation_text) ||
        !environment_set_notify(&environment, request))
        return no_memory(error);
    environment.items[environment.n] = NULL;
    out->environment = environment.items;
    return 0;
}

static int build_limits(const flocks_limits_config *config, struct arena *arena,
    struct keeper_spawn *out, struct error *error)
{
    const struct {
        int resource;
        uint64_t value;
    } wanted[] = {
        {RLIMIT_NOFILE, config != NULL ? config->open_files : 0},
        {RLIMIT_AS, config != NULL ? config->memory : 0},
        {RLIMIT_NPROC, config != NULL ? config->processes : 0},
        {RLIMIT_FSIZE, config != NULL ? config->file_size : 0},
        {RLIMIT_STACK, config != NULL ? config->stack : 0},
        {RLIMIT_CORE, config != NULL ? config->core : 0},
    };
    struct keeper_limit *limits;

    out->umask = 022;
    if (config == NULL)
        return 0;
    limits = arena_calloc(arena, ARRAY_LENGTH(wanted), sizeof *limits);
    if (limits == NULL)
        return no_memory(error);
    out->umask = (mode_t)config->umask;
    out->nice = config->nice;
    out->limits = limits;
    out->oom_score_adj = config->oom_score_adj;
    for (size_t i = 0; i < ARRAY_LENGTH(wanted); i++) {
        if (wanted[i].value > 0)
            limits[out->n_limits++] = (struct keeper_limit){
                .resource = wanted[i].resource, .soft = wanted[i].value, .hard = wanted[i].value};
    }
    return 0;
}

int spawn_plan_build(const struct spawn_plan_request *request, struct arena *arena,
    struct keeper_spawn *out, struct error *error)
{
    const char **arguments = arena_calloc(arena, request->n_command + 1, sizeof *arguments);
    int result;

    if (arguments == NULL)
        return no_memory(error);
    for (size_t i = 0; i < request->n_command; i++)
        arguments[i] = request->command[i];
    *out = (struct keeper_spawn){.slot = request->slot,
        .generation = request->run,
        .output_slot = request->output_slot,
        .name = request->name,
        .executable = request->command[0],
        .arguments = arguments,
        .directory = request->config->directory,
        .has_cgroup = request->has_cgroup,
        .cgroup_fd = request->cgroup_fd,
        .rttime_mark = request->mark};
    memcpy(out->invocation, request->invocation, sizeof out->invocation);
    result = build_environment(request, arena, out, error);
    if (result < 0)
        return result;
    return build_limits(request->config->limits, arena, out, error);
}

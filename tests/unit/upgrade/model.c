#include "model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/inventory/instance_lock.h"

static int die_at;
static int moments;
/* The server at work, in the process of its client: it does not die with it. */
static bool is_server;

void model_die_at(int n)
{
    die_at = n;
    moments = 0;
}

int model_moments(void)
{
    return moments;
}

static void moment(void)
{
    if (!is_server && ++moments == die_at)
        _exit(MODEL_DEAD);
}

/* ---- the system's calls ---- */

int __real_rename(const char *from, const char *to);
int __wrap_rename(const char *from, const char *to);
int __wrap_rename(const char *from, const char *to)
{
    moment();
    int result = __real_rename(from, to);
    moment();
    return result;
}

int __real_unlink(const char *path);
int __wrap_unlink(const char *path);
int __wrap_unlink(const char *path)
{
    moment();
    int result = __real_unlink(path);
    moment();
    return result;
}

/* What a disk that loses power keeps is the subject of test_release_power; here it would only be
 * waited for. */
int __wrap_fsync(int fd);
int __wrap_fsync(int fd)
{
    (void)fd;
    return 0;
}

int __wrap_syncfs(int fd);
int __wrap_syncfs(int fd)
{
    (void)fd;
    return 0;
}

/* ---- life ---- */

struct model *model_new(void)
{
    static struct model *model;
    if (model == NULL)
        model =
            mmap(NULL, sizeof *model, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (model == MAP_FAILED)
        abort();
    *model = (struct model){.abort_at = -1, .abort_fd = -1};
    return model;
}

static void must(int result)
{
    if (result < 0)
        abort();
}

static void start_services(struct model *model)
{
    struct error error = ERROR_INIT;
    char target[LINK_TEXT_MAX + 1];
    if (link_read(model->links.changes[0].link, target, &error) < 0)
        abort();
    (void)snprintf(model->serves, sizeof model->serves, "%.60s", target);
}

static void roll_back(struct model *model, const char *why)
{
    struct error error = ERROR_INIT;
    is_server = true;
    must(link_set_restore(&model->links, &error));
    is_server = false;
    start_services(model);
    model->lease.phase = FLOCKS_UPGRADE_PHASE_ROLLED_BACK;
    (void)snprintf(model->lease.message, sizeof model->lease.message, "%s", why);
}

void model_lose_owner(struct model *model)
{
    if (model->lease.phase == FLOCKS_UPGRADE_PHASE_HELD)
        roll_back(model, "its owner is gone");
}

/* ---- calls ---- */

/* 0: go on; else what is answered. */
static int enter(struct model *model, enum model_call call, struct error *error)
{
    const uint64_t one = 1;
    moment();
    model->calls[call]++;
    if (model->abort_at == (int)call && model->abort_fd >= 0 &&
        write(model->abort_fd, &one, sizeof one) < 0)
        abort();
    if (model->is_gone)
        return UPDATE_SERVER_NONE;
    enum status_code refusal = model->refusals[call];
    model->refusals[call] = STATUS_OK;
    if (refusal == STATUS_OK)
        return 0;
    int result = error_set(error, refusal, "refused for a test");
    if (error != NULL)
        error->reason = (uint32_t)model->refusal_reason;
    return result;
}

static int leave(int result)
{
    moment();
    return result;
}

static int config(void *self, struct arena *arena, const flocks_config **out, struct error *error)
{
    static flocks_version_source source = FLOCKS__V1__VERSION_SOURCE__INIT;
    static flocks_service_config with = FLOCKS__V1__SERVICE_CONFIG__INIT;
    static flocks_service_config without = FLOCKS__V1__SERVICE_CONFIG__INIT;
    static Flocks__V1__Config__ServicesEntry entries[] = {
        FLOCKS__V1__CONFIG__SERVICES_ENTRY__INIT, FLOCKS__V1__CONFIG__SERVICES_ENTRY__INIT};
    static Flocks__V1__Config__ServicesEntry *services[] = {&entries[0], &entries[1]};
    static flocks_config message = FLOCKS__V1__CONFIG__INIT;
    const struct model *model = self;
    (void)arena;
    (void)error;
    with.version = &source;
    entries[0].key = "backend";
    entries[0].value = &with;
    entries[1].key = "webui";
    entries[1].value = &without;
    message.n_services = 2;
    message.services = services;
    *out = &message;
    return model->is_gone ? UPDATE_SERVER_NONE : 0;
}

static int begin(
    void *self, const struct update_begin *begin, struct update_lease *out, struct error *error)
{
    struct model *model = self;
    int result = enter(model, MODEL_BEGIN, error);
    if (result != 0)
        return result;
    model->links = *begin->links;
    model->holding_page = begin->holding_page;
    (void)snprintf(model->upgrade_id, sizeof model->upgrade_id, "%s", begin->upgrade_id);
    for (size_t i = 0; i < begin->n_services; i++) {
        (void)strcat(model->paused, begin->services[i]);
        (void)strcat(model->paused, " ");
    }
    model->lease = (struct update_lease){.id = "1ea5e", .phase = FLOCKS_UPGRADE_PHASE_HELD};
    *out = model->lease;
    return leave(0);
}

static int refuse_ended(const struct model *model, struct error *error)
{
    if (model->lease.phase == FLOCKS_UPGRADE_PHASE_HELD)
        return 0;
    return error_set(error, STATUS_ABORTED, "the lease is over");
}

static int renew(void *self, const char *id, struct error *error)
{
    (void)id;
    int result = enter(self, MODEL_RENEW, error);
    return result != 0 ? result : leave(refuse_ended(self, error));
}

static int stop(void *self, const char *id, char out[UPDATE_ID_SIZE], struct error *error)
{
    struct model *model = self;
    (void)id;
    int result = enter(model, MODEL_STOP, error);
    if (result == 0)
        result = refuse_ended(model, error);
    if (result != 0)
        return result;
    model->serves[0] = '\0';
    (void)snprintf(out, UPDATE_ID_SIZE, "570b");
    return leave(0);
}

static int operation(void *self, const char *id, uint32_t revision, struct update_operation *out,
    struct error *error)
{
    struct model *model = self;
    int result = enter(model, MODEL_OPERATION, error);
    if (result != 0)
        return result;
    bool is_commit = strcmp(id, "c0") == 0;
    bool is_stop = strcmp(id, "570b") == 0;
    *out = (struct update_operation){
        .revision = revision + 1, .has_ended = true, .has_succeeded = true, .failure = ERROR_INIT};
    if ((is_stop && model->stop_fails) || (is_commit && model->gate_fails)) {
        out->has_succeeded = false;
        (void)error_set(&out->failure, STATUS_FAILED_PRECONDITION, "backend: %s",
            is_stop ? "does not end" : "told 6.6.6");
    }
    return leave(0);
}

static int commit(
    void *self, const struct update_commit *commit, struct update_lease *out, struct error *error)
{
    struct model *model = self;
    int result = enter(model, MODEL_COMMIT, error);
    if (result == 0)
        result = refuse_ended(model, error);
    if (result != 0)
        return result;
    for (size_t i = 0; i < commit->n_versions; i++) {
        (void)strcat(model->versions, commit->versions[i].service);
        (void)strcat(model->versions, "=");
        (void)strcat(model->versions, commit->versions[i].version);
        (void)strcat(model->versions, " ");
    }
    start_services(model);
    model->lease.phase = FLOCKS_UPGRADE_PHASE_COMMITTING;
    (void)snprintf(model->lease.operation_id, sizeof model->lease.operation_id, "c0");
    *out = model->lease;
    return leave(0);
}

/* Each look finds it one phase further. */
static void work(struct model *model)
{
    if (model->lease.phase == FLOCKS_UPGRADE_PHASE_OBSERVING)
        model->lease.phase = FLOCKS_UPGRADE_PHASE_COMMITTED;
    if (model->lease.phase == FLOCKS_UPGRADE_PHASE_COMMITTING)
        model->lease.phase = FLOCKS_UPGRADE_PHASE_OBSERVING;
    if (model->lease.phase == FLOCKS_UPGRADE_PHASE_OBSERVING && model->gate_fails)
        roll_back(model, "backend: told 6.6.6");
}

static int lease(void *self, const char *id, struct update_lease *out, struct error *error)
{
    struct model *model = self;
    int result = enter(model, MODEL_LEASE, error);
    if (result != 0)
        return result;
    if (strcmp(model->lease.id, id) != 0)
        return error_set(error, STATUS_NOT_FOUND, "there is no lease %s", id);
    work(model);
    *out = model->lease;
    return leave(0);
}

static int find(void *self, const char *upgrade_id, struct update_lease *out, struct error *error)
{
    struct model *model = self;
    if (model->is_gone)
        return UPDATE_SERVER_NONE;
    if (model->lease.phase != FLOCKS_UPGRADE_PHASE_HELD ||
        strcmp(model->upgrade_id, upgrade_id) != 0)
        return error_set(error, STATUS_NOT_FOUND, "no lease is of upgrade %s", upgrade_id);
    *out = model->lease;
    return 0;
}

static int abort_lease(void *self, const char *id, const char *reason, struct error *error)
{
    struct model *model = self;
    (void)id;
    int result = enter(model, MODEL_ABORT, error);
    if (result != 0)
        return result;
    if (model->lease.phase == FLOCKS_UPGRADE_PHASE_COMMITTED)
        return error_set(error, STATUS_ABORTED, "it is committed");
    if (model->lease.phase != FLOCKS_UPGRADE_PHASE_ROLLED_BACK)
        roll_back(model, reason);
    return leave(0);
}

static int replace(void *self, const struct update_programs *programs, char out[UPDATE_ID_SIZE],
    struct error *error)
{
    struct model *model = self;
    int result = enter(model, MODEL_REPLACE, error);
    if (result != 0)
        return result;
    (void)snprintf(model->replaced, sizeof model->replaced, "%s|%s|%s", programs->flocksd,
        programs->keeper, programs->version);
    (void)snprintf(out, UPDATE_ID_SIZE, "9e91ace");
    return leave(0);
}

static int running(void *self, struct update_running *out, struct error *error)
{
    const struct model *model = self;
    (void)error;
    if (model->is_gone)
        return UPDATE_SERVER_NONE;
    *out =
        (struct update_running){.flocksd_pid = (int32_t)getpid(), .keeper_pid = (int32_t)getpid()};
    return 0;
}

static int lives(void *self, bool *out, struct error *error)
{
    (void)error;
    *out = !((const struct model *)self)->is_gone;
    return 0;
}

static int hold(void *self, int *out_fd, struct error *error)
{
    struct model *model = self;
    if (model->busy_locks > 0 || !model->is_gone) {
        model->busy_locks--;
        /* Somebody was starting: then it answers. */
        model->is_gone = model->busy_locks > 0;
        return INSTANCE_LIVES;
    }
    *out_fd = dup(STDERR_FILENO);
    return *out_fd >= 0 ? 0 : error_set(error, STATUS_INTERNAL, "dup");
}

struct update_server model_server(struct model *model)
{
    static const struct update_server_calls calls = {.config = config,
        .begin = begin,
        .renew = renew,
        .stop = stop,
        .operation = operation,
        .commit = commit,
        .lease = lease,
        .find = find,
        .abort = abort_lease,
        .replace = replace,
        .running = running,
        .lives = lives,
        .hold = hold};
    return (struct update_server){.calls = &calls, .self = model};
}

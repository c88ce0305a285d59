/* Configuration texts: read beside the loop, compared with what runs, answered as plans, applied.
 * One text is read at a time, so that a flood of them takes one thread and the memory of one. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/utf8.h"
#include "common/schema/message.h"
#include "server/supervise/supervisor_private.h"

enum {
    /* What the present configuration unpacked, the differences and the answer take, besides the
     * text's own CONFIG_ARENA_BYTES. */
    JOB_ARENA_BYTES = 64 * 1024 * 1024,
    /* Bytes of SourcePosition's texts and of a hint. */
    POSITION_TEXT_MAX = 255
};

enum job_kind {
    JOB_PLAN,
    JOB_APPLY,
    JOB_LOOK /* does the file say what runs? */
};

struct supervisor_job {
    struct list link; /* in supervisor.jobs */
    struct supervisor *supervisor;
    enum job_kind kind;
    bool is_begun;
    bool is_cancelled;
    uv_work_t work;

    char *text; /* NULL: the file */
    size_t text_len;
    char *name;
    char *plan;
    char *request_id;
    struct supervisor_request request;

    /* Written by the thread, read afterwards. */
    struct arena arena;
    struct arena text_arena;
    struct mistakes mistakes;
    struct file_identity seen; /* JOB_LOOK */
    bool is_as_seen;           /* ... and it is the one that was seen last */
    int result;                /* config_result, or negative */
    struct error error;
    struct config config;
    flocks_get_config_response *old_config;
    struct config_diff diff;
    struct service_spec *specs; /* of diff.services */
    uint8_t *packed;            /* the new flocks.v1.GetConfigResponse */
    size_t packed_len;

    supervisor_planned_fn planned;
    supervisor_applied_fn applied;
    void *data;
};

/* ---- life ---- */

static void job_free(struct supervisor_job *job)
{
    for (size_t i = 0; job->specs != NULL && i < job->diff.n_services; i++)
        service_spec_deinit(&job->specs[i]);
    free(job->specs);
    free(job->packed);
    mistakes_deinit(&job->mistakes);
    arena_deinit(&job->arena);
    arena_deinit(&job->text_arena);
    free(job->text);
    free(job->name);
    free(job->plan);
    free(job->request_id);
    free(job);
}

/* NULL in, NULL out. */
static bool copy_text(const char *text, char **out)
{
    *out = text != NULL ? strdup(text) : NULL;
    return text == NULL || *out != NULL;
}

static struct supervisor_job *job_new(
    struct supervisor *supervisor, enum job_kind kind, const struct supervisor_text *text)
{
    struct supervisor_job *job = calloc(1, sizeof *job);
    bool is_whole;

    if (job == NULL)
        return NULL;
    list_init(&job->link);
    job->supervisor = supervisor;
    job->kind = kind;
    job->work.data = job;
    arena_init(&job->arena, JOB_ARENA_BYTES);
    arena_init(&job->text_arena, CONFIG_ARENA_BYTES);
    mistakes_init(&job->mistakes);
    is_whole =
        copy_text(text != NULL && text->name != NULL && text->name[0] != '\0' ? text->name : NULL,
            &job->name);
    if (text != NULL && text->len > 0) {
        job->text = malloc(text->len);
        job->text_len = text->len;
        if (job->text != NULL)
            memcpy(job->text, text->bytes, text->len);
        is_whole = is_whole && job->text != NULL;
    }
    if (is_whole)
        return job;
    job_free(job);
    return NULL;
}

/* ---- beside the loop ---- */

/* The present configuration does not change meanwhile: only a job's end changes it. */
static int unpack_old(struct supervisor_job *job)
{
    const struct supervisor *supervisor = job->supervisor;

    return supervisor_get_config(supervisor, &job->arena, &job->old_config, &job->error);
}

static int make_specs(struct supervisor_job *job)
{
    int result = 0;

    job->specs = calloc(job->diff.n_services + 1, sizeof *job->specs);
    if (job->specs == NULL)
        return error_set_errno(&job->error, ENOMEM, "make the services");
    for (size_t i = 0; i < job->diff.n_services && result == 0; i++) {
        const struct config_service_diff *diff = &job->diff.services[i];

        if (diff->presence == CONFIG_CHANGED || diff->presence == CONFIG_ADDED)
            result = service_spec_init(&job->specs[i], diff->name,
                config_find_service(job->config.message, diff->name), &job->error);
    }
    return result;
}

static int pack_new(struct supervisor_job *job)
{
    flocks_get_config_response response = FLOCKS_GET_CONFIG_RESPONSE_INIT;
    flocks_config *message = arena_alloc(&job->arena, sizeof *message);

    if (message == NULL)
        return error_set_errno(&job->error, ENOMEM, "keep the configuration");
    *message = *job->config.message;
    response.config = message;
    response.origins = job->config.origins;
    response.n_origins = job->config.n_origins;
    response.digest = job->config.digest;
    job->packed_len = protobuf_c_message_get_packed_size(&response.base);
    job->packed = malloc(job->packed_len + 1);
    if (job->packed == NULL)
        return error_set_errno(&job->error, ENOMEM, "keep the configuration");
    (void)protobuf_c_message_pack(&response.base, job->packed);
    return 0;
}

static int compare(struct supervisor_job *job)
{
    int result = unpack_old(job);

    if (result < 0)
        return result;
    if (config_diff_make(job->old_config->config, job->config.message, &job->arena, &job->diff) < 0)
        return error_set(&job->error, STATUS_RESOURCE_EXHAUSTED, "the plan takes too much memory");
    if (job->kind == JOB_APPLY)
        result = make_specs(job);
    if (result == 0 && job->kind == JOB_APPLY)
        result = pack_new(job);
    return result;
}

static bool is_as_seen(struct supervisor_job *job)
{
    const struct file_identity *seen = &job->supervisor->file.seen;

    supervisor_file_identify(job->supervisor->config_request->file, &job->seen);
    return job->seen.exists && seen->exists && job->seen.device == seen->device &&
           job->seen.inode == seen->inode && job->seen.size == seen->size &&
           job->seen.modified_ns == seen->modified_ns && job->seen.changed_ns == seen->changed_ns;
}

static void on_work(uv_work_t *work)
{
    struct supervisor_job *job = work->data;
    struct config_request request = *job->supervisor->config_request;

    job->is_as_seen = job->kind == JOB_LOOK && is_as_seen(job);
    if (job->is_as_seen)
        return;
    request.text = job->text;
    request.text_len = job->text_len;
    request.text_name = job->name;
    request.is_running = true;
    /* A program that is missing today was there when the service was started. */
    request.skip_host_checks = job->kind == JOB_LOOK;
    job->result =
        config_load(&request, &job->text_arena, &job->config, &job->mistakes, &job->error);
    if (job->result == CONFIG_OK && job->kind != JOB_LOOK)
        job->result = compare(job);
}

/* ---- plans ---- */

static int refuse_memory(struct error *error)
{
    return error_set(error, STATUS_RESOURCE_EXHAUSTED, "the plan takes too much memory");
}

static int describe_services(struct supervisor_job *job, struct config_plan_service **out)
{
    const struct supervisor *supervisor = job->supervisor;
    struct config_plan_service *services =
        arena_calloc(&job->arena, supervisor->n_services + 1, sizeof *services);

    if (services == NULL)
        return refuse_memory(&job->error);
    for (uint32_t i = 0; i < supervisor->n_services; i++) {
        const struct service *service = supervisor->services[i];
        bool is_ending = operations_is_ending(&supervisor->operations, service->slot);
        bool is_busy = operations_active_step(&supervisor->operations, service->slot) != NULL;

        services[i] = (struct config_plan_service){.name = service->name,
            .is_wanted = service->facts.wanted && !is_ending,
            .is_stopped = service->facts.state == SERVICE_STOPPED && !is_busy,
            .outdated =
                service->next.config != NULL || service->is_retiring ? service->config : NULL};
    }
    *out = services;
    return 0;
}

/* Counted together with those being ended, whose slots are not free before they are gone. */
static int check_room(struct supervisor_job *job, const struct config_plan *plan)
{
    const struct supervisor *supervisor = job->supervisor;
    uint32_t n_services = supervisor->n_services;
    uint32_t n_slots = supervisor_slots_needed(supervisor);

    for (size_t i = 0; i < plan->n; i++) {
        const struct config_plan_impact *impact = &plan->impacts[i];
        const struct service *service = supervisor_find(supervisor, impact->name);
        struct service_spec spec = {.config = NULL};

        if (!impact->is_planned)
            continue;
        /* Nobody writes to it. */
        spec.config = (flocks_service_config *)(uintptr_t)config_find_service(
            job->config.message, impact->name);
        n_services += service == NULL;
        n_slots += service == NULL;
        n_slots += service_spec_has_exec_probe(&spec) &&
                   (service == NULL || !supervisor_needs_task_slot(service));
    }
    if (n_slots <= SUPERVISOR_SERVICES_MAX)
        return 0;
    (void)supervisor_refuse_size(n_services, n_slots, &job->error);
    job->error.code = STATUS_RESOURCE_EXHAUSTED;
    job->error.reason = FLOCKS_ERROR_REASON_LIMIT_REACHED;
    error_set_hint(&job->error, "first remove services, then add others");
    return -STATUS_RESOURCE_EXHAUSTED;
}

static int make_plan(struct supervisor_job *job, struct config_plan *out)
{
    struct config_plan_service *services = NULL;
    int result = describe_services(job, &services);
    const struct config_plan_request request = {.diff = &job->diff,
        .new_config = job->config.message,
        .old_digest = job->supervisor->config_digest,
        .new_digest = job->config.digest,
        .services = services,
        .n_services = job->supervisor->n_services};

    if (result == 0 && config_plan_make(&request, &job->arena, out) < 0)
        result = refuse_memory(&job->error);
    return result == 0 ? check_room(job, out) : result;
}

static flocks_config_change *make_change(
    struct arena *arena, const char *path, const char *old_value, const char *new_value)
{
    flocks_config_change *change = arena_alloc(arena, sizeof *change);

    if (change == NULL)
        return NULL;
    *change = (flocks_config_change)FLOCKS_CONFIG_CHANGE_INIT;
    change->path = path;
    change->old_value = old_value;
    change->new_value = new_value;
    return change;
}

static void fill_changes(struct supervisor_job *job, flocks_plan_config_response *out)
{
    const struct config_diff *diff = &job->diff;

    out->changes = arena_calloc(&job->arena, diff->n + 2, sizeof(flocks_config_change *));
    for (size_t i = 0; out->changes != NULL && i < diff->n; i++) {
        flocks_config_change *change = make_change(
            &job->arena, diff->items[i].path, diff->items[i].old_value, diff->items[i].new_value);

        if (change == NULL)
            return;
        change->service = diff->items[i].service;
        out->changes[out->n_changes++] = change;
    }
    if (out->changes != NULL && diff->n_dropped > 0)
        out->changes[out->n_changes++] = make_change(
            &job->arena, "", "", arena_printf(&job->arena, "and %zu more", diff->n_dropped));
}

static void fill_impacts(
    struct arena *arena, const struct config_plan *plan, flocks_plan_config_response *out)
{
    out->impacts = arena_calloc(arena, plan->n + 1, sizeof(flocks_service_impact *));
    for (size_t i = 0; out->impacts != NULL && i < plan->n; i++) {
        flocks_service_impact *impact = arena_alloc(arena, sizeof *impact);

        if (impact == NULL)
            return;
        *impact = (flocks_service_impact)FLOCKS_SERVICE_IMPACT_INIT;
        impact->service = plan->impacts[i].name;
        impact->impact = plan->impacts[i].impact;
        impact->because = plan->impacts[i].because;
        impact->n_because = plan->impacts[i].n_because;
        out->impacts[out->n_impacts++] = impact;
    }
}

/* Not longer than the schema promises. */
static const char *cut(struct arena *arena, const char *text, size_t max)
{
    size_t len = strlen(text);

    return len <= max ? text : arena_strndup(arena, text, utf8_cut(text, len, max));
}

static flocks_source_position *make_position(struct arena *arena, const struct mistake *mistake)
{
    flocks_source_position *position = arena_alloc(arena, sizeof *position);

    if (position == NULL)
        return NULL;
    *position = (flocks_source_position)FLOCKS_SOURCE_POSITION_INIT;
    position->file = cut(arena, mistake->file, POSITION_TEXT_MAX);
    position->line = mistake->line;
    position->column = mistake->column;
    position->path = cut(arena, mistake->path, POSITION_TEXT_MAX);
    return position;
}

static void fill_mistakes(struct supervisor_job *job, flocks_plan_config_response *out)
{
    const struct mistakes *mistakes = &job->mistakes;

    out->mistakes = arena_calloc(&job->arena, mistakes->n + 1, sizeof(flocks_config_mistake *));
    for (size_t i = 0; out->mistakes != NULL && i < mistakes->n; i++) {
        flocks_config_mistake *mistake = arena_alloc(&job->arena, sizeof *mistake);

        if (mistake == NULL)
            return;
        *mistake = (flocks_config_mistake)FLOCKS_CONFIG_MISTAKE_INIT;
        mistake->position = make_position(&job->arena, &mistakes->items[i]);
        mistake->message = mistakes->items[i].message;
        mistake->hint = cut(&job->arena, mistakes->items[i].hint, POSITION_TEXT_MAX);
        out->mistakes[out->n_mistakes++] = mistake;
    }
}

static int answer_plan(struct supervisor_job *job, flocks_plan_config_response *out)
{
    struct config_plan plan = {.n = 0};
    int result = 0;

    *out = (flocks_plan_config_response)FLOCKS_PLAN_CONFIG_RESPONSE_INIT;
    if (job->result == CONFIG_MISTAKEN) {
        fill_mistakes(job, out);
    } else {
        result = make_plan(job, &plan);
        if (result < 0)
            return result;
        fill_changes(job, out);
        fill_impacts(&job->arena, &plan, out);
        out->plan = arena_strdup(&job->arena, plan.hash);
    }
    return arena_is_exhausted(&job->arena) ? refuse_memory(&job->error) : 0;
}

static void end_plan(struct supervisor_job *job)
{
    flocks_plan_config_response response;
    int result = job->result;

    if (result >= 0)
        result = answer_plan(job, &response);
    if (result < 0)
        job->planned(job->data, result, NULL, &job->error);
    else
        job->planned(job->data, 0, &response, NULL);
}

/* ---- applies ---- */

static int refuse_stale(const char *why, struct error *error)
{
    int result =
        error_set(error, STATUS_ABORTED, "the plan is not of this text and of what runs: %s", why);

    error->reason = FLOCKS_ERROR_REASON_STALE_PLAN;
    error_set_hint(error, "plan it again");
    return result;
}

static int refuse_leaving(struct error *error)
{
    int result = error_set(error, STATUS_FAILED_PRECONDITION, "the daemon is shutting down");

    if (error != NULL)
        error->reason = FLOCKS_ERROR_REASON_SHUTTING_DOWN;
    return result;
}

/* SUPERVISOR_ALREADY, or 0: nobody has used the id. */
static int find_request(const struct supervisor *supervisor, const char *request_id,
    char out_id[SUPERVISOR_OPERATION_ID_SIZE], struct error *error)
{
    const struct operation *operation =
        request_id != NULL && request_id[0] != '\0'
            ? operations_find_request(&supervisor->operations, request_id)
            : NULL;

    if (operation == NULL)
        return 0;
    if (operation->kind != FLOCKS_OPERATION_KIND_APPLY_CONFIG)
        return error_set(error, STATUS_ALREADY_EXISTS,
            "request id \"%s\" belongs to another kind of operation, %s", request_id,
            operation->id);
    memcpy(out_id, operation->id, SUPERVISOR_OPERATION_ID_SIZE);
    return SUPERVISOR_ALREADY;
}

static int apply(struct supervisor_job *job, char out_id[SUPERVISOR_OPERATION_ID_SIZE])
{
    struct supervisor *supervisor = job->supervisor;
    struct config_plan plan = {.n = 0};
    struct supervisor_change change = {.plan = &plan,
        .diff = &job->diff,
        .specs = job->specs,
        .packed = &job->packed,
        .packed_len = job->packed_len,
        .digest = job->config.digest,
        .config = job->config.message};
    int result = find_request(supervisor, job->request_id, out_id, &job->error);

    if (result != 0)
        return result < 0 ? result : 0;
    if (supervisor->is_leaving)
        return refuse_leaving(&job->error);
    result = make_plan(job, &plan);
    if (result < 0)
        return result;
    if (strcmp(plan.hash, job->plan) != 0)
        return refuse_stale("something has changed", &job->error);
    result = supervisor_commit_change(supervisor, &job->request, &change, out_id, &job->error);
    if (result == 0 && job->text == NULL)
        supervisor_file_read(supervisor, job->config.digest);
    else if (result == 0)
        supervisor_file_compare(supervisor);
    return result;
}

static void end_apply(struct supervisor_job *job)
{
    char id[SUPERVISOR_OPERATION_ID_SIZE];
    flocks_source_position *position = NULL;
    int result = job->result;

    if (result == CONFIG_OK)
        result = apply(job, id);
    else if (result == CONFIG_MISTAKEN) {
        result = config_mistake_error(&job->mistakes, &job->error);
        position = make_position(&job->arena, &job->mistakes.items[0]);
    }
    if (result < 0)
        job->applied(job->data, result, NULL, position, &job->error);
    else
        job->applied(job->data, 0, id, NULL, NULL);
}

/* ---- looks ---- */

/* What cannot be read today says nothing. */
static void take_look(struct supervisor_job *job)
{
    struct supervisor *supervisor = job->supervisor;

    if (job->is_as_seen || (job->result < 0 && job->result != -STATUS_NOT_FOUND))
        return;
    if (job->kind == JOB_LOOK)
        supervisor->file.seen = job->seen;
    supervisor_file_read(supervisor, job->result == CONFIG_OK ? job->config.digest : "");
}

/* ---- one after the other ---- */

static void end_job(struct supervisor_job *job)
{
    /* Whoever plans the file looks at it. */
    if (job->kind == JOB_LOOK ||
        (job->kind == JOB_PLAN && job->text == NULL && job->result == CONFIG_OK))
        take_look(job);
    if (job->is_cancelled)
        return;
    if (job->kind == JOB_PLAN)
        end_plan(job);
    else if (job->kind == JOB_APPLY)
        end_apply(job);
}

static void begin_next(struct supervisor *supervisor);

/* Our own looks take nobody's place. */
static bool is_asked_for(const struct supervisor_job *job)
{
    return job->kind != JOB_LOOK;
}

static void unlink_job(struct supervisor_job *job)
{
    list_remove(&job->link);
    job->supervisor->n_asked_jobs -= is_asked_for(job);
}

static void on_worked(uv_work_t *work, int status)
{
    struct supervisor_job *job = work->data;
    struct supervisor *supervisor = job->supervisor;

    unlink_job(job);
    if (status == 0 && !supervisor->is_closing)
        end_job(job);
    job_free(job);
    /* It may have been closed in a callback; its memory lasts until all handles are. */
    if (!supervisor->is_closing)
        begin_next(supervisor);
    supervisor_handle_closed(supervisor);
}

static void begin_next(struct supervisor *supervisor)
{
    struct supervisor_job *job;

    if (list_is_empty(&supervisor->jobs))
        return;
    job = CONTAINER_OF(supervisor->jobs.next, struct supervisor_job, link);
    if (job->is_begun)
        return;
    job->is_begun = true;
    supervisor->n_handles++;
    /* Fails only without a function to run. */
    (void)uv_queue_work(supervisor->loop, &job->work, on_work, on_worked);
}

static void queue(struct supervisor_job *job)
{
    struct supervisor *supervisor = job->supervisor;

    list_append(&supervisor->jobs, &job->link);
    supervisor->n_asked_jobs += is_asked_for(job);
    begin_next(supervisor);
}

static void drop(struct supervisor_job *job)
{
    if (job->is_begun) {
        job->is_cancelled = true;
        return;
    }
    unlink_job(job);
    job_free(job);
}

static int check_new_job(const struct supervisor *supervisor, struct error *error)
{
    int result;

    if (supervisor->config_request == NULL)
        return error_set(error, STATUS_FAILED_PRECONDITION, "there is no file to compare with");
    if (supervisor->n_asked_jobs < SUPERVISOR_JOBS_MAX)
        return 0;
    result = error_set(error, STATUS_RESOURCE_EXHAUSTED, "%d configurations are being read",
        (int)SUPERVISOR_JOBS_MAX);
    if (error != NULL)
        error->reason = FLOCKS_ERROR_REASON_LIMIT_REACHED;
    return result;
}

static int refuse_job(struct error *error)
{
    return error_set_errno(error, ENOMEM, "read a configuration");
}

int supervisor_plan(struct supervisor *supervisor, const struct supervisor_text *text,
    supervisor_planned_fn done, void *data, struct supervisor_job **out, struct error *error)
{
    int result = check_new_job(supervisor, error);
    struct supervisor_job *job = result == 0 ? job_new(supervisor, JOB_PLAN, text) : NULL;

    if (result < 0)
        return result;
    if (job == NULL)
        return refuse_job(error);
    job->planned = done;
    job->data = data;
    *out = job;
    queue(job);
    return 0;
}

static int fill_apply(struct supervisor_job *job, const struct supervisor_apply_request *request)
{
    if (!copy_text(request->plan, &job->plan) || !copy_text(request->request_id, &job->request_id))
        return -STATUS_RESOURCE_EXHAUSTED;
    job->request = (struct supervisor_request){.kind = FLOCKS_OPERATION_KIND_APPLY_CONFIG,
        .request_id = job->request_id,
        .timeout_ms = request->timeout_ms,
        .requester_pid = request->requester_pid,
        .requester_uid = request->requester_uid};
    return 0;
}

int supervisor_apply(struct supervisor *supervisor, const struct supervisor_apply_request *request,
    supervisor_applied_fn done, void *data, char out_id[SUPERVISOR_OPERATION_ID_SIZE],
    struct supervisor_job **out, struct error *error)
{
    struct supervisor_job *job;
    int result = find_request(supervisor, request->request_id, out_id, error);

    if (result != 0)
        return result;
    if (supervisor->is_leaving)
        return refuse_leaving(error);
    result = check_new_job(supervisor, error);
    if (result < 0)
        return result;
    job = job_new(supervisor, JOB_APPLY, &request->text);
    if (job == NULL)
        return refuse_job(error);
    if (fill_apply(job, request) < 0) {
        job_free(job);
        return refuse_job(error);
    }
    job->applied = done;
    job->data = data;
    *out = job;
    queue(job);
    return 0;
}

void supervisor_job_cancel(struct supervisor_job *job)
{
    if (job != NULL)
        drop(job);
}

void supervisor_drop_jobs(struct supervisor *supervisor)
{
    LIST_FOR_EACH_SAFE(link, &supervisor->jobs)
    drop(CONTAINER_OF(link, struct supervisor_job, link));
}

void supervisor_look_at_file(struct supervisor *supervisor)
{
    struct supervisor_job *job;

    if (supervisor->config_request == NULL || supervisor->is_closing)
        return;
    /* One that has not begun will see the same. */
    LIST_FOR_EACH(link, &supervisor->jobs)
    {
        job = CONTAINER_OF(link, struct supervisor_job, link);
        if (job->kind == JOB_LOOK && !job->is_begun)
            return;
    }
    job = job_new(supervisor, JOB_LOOK, NULL);
    if (job != NULL)
        queue(job);
}

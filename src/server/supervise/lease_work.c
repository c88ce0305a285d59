/* The thread pool's part of leases: one job at a time, each writes the record. What it needs is
 * copied into it, so that it outlives the supervisor that asked. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "server/supervise/lease_disk.h"
#include "server/supervise/lease_private.h"
#include "server/supervise/lease_state.h"

struct lease_job {
    uv_work_t work;
    struct supervisor *supervisor; /* NULL: it is gone */
    enum lease_work kind;
    char lease_id[LEASE_ID_SIZE]; /* "" : the record only */
    bool was_dirty;
    char run[PATH_MAX];
    uint8_t *record;
    size_t record_len;
    struct lease_undo undo[LEASE_UNDO_MAX];
    size_t n_undo;
    /* What came of it. */
    bool is_tried; /* to write the record */
    int record_result;
    int result;
    struct error error;
};

static void job_free(struct lease_job *job)
{
    for (size_t i = 0; i < job->n_undo; i++) {
        free(job->undo[i].link);
        free(job->undo[i].target);
    }
    free(job->record);
    free(job);
}

/* ---- in the thread ---- */

/* A link that is not what it was said to be must not be put back later: nothing is written then. */
static int check_links(struct lease_job *job)
{
    int result = 0;

    for (size_t i = 0; i < job->n_undo && result == 0; i++)
        result = lease_disk_check_link(&job->undo[i], &job->error);
    return result;
}

/* Every one of them, also after one that could not be put back: the first failure is told. */
static int restore_links(struct lease_job *job)
{
    int result = 0;

    for (size_t i = 0; i < job->n_undo; i++) {
        struct error error = ERROR_INIT;
        int one = lease_disk_restore_link(&job->undo[i], &error);

        if (one < 0 && result == 0) {
            job->error = error;
            result = one;
        }
    }
    return result;
}

static void work(uv_work_t *request)
{
    struct lease_job *job = request->data;
    struct error error = ERROR_INIT;

    if (job->kind == LEASE_WORK_OPEN)
        job->result = check_links(job);
    if (job->result < 0)
        return;
    job->is_tried = true;
    job->record_result = lease_disk_write(job->run, job->record, job->record_len, &error);
    if (job->record_result < 0)
        job->error = error;
    if (job->kind == LEASE_WORK_UNDO)
        job->result = restore_links(job);
    else
        job->result = job->record_result;
}

/* ---- on the loop ---- */

/* What was to be written and has not been stays to be written; but not the lease that was refused
 * because of that. */
static void tell_record(struct supervisor *supervisor, const struct lease_job *job)
{
    if (!job->is_tried || job->record_result < 0)
        supervisor->is_record_dirty |= job->was_dirty || job->kind == LEASE_WORK_UNDO;
    if (!job->is_tried)
        return;
    if (job->record_result < 0) {
        if (!supervisor->is_record_failing)
            log_error("leases not recorded", "error=\"%s\"", job->error.text);
        supervisor->is_record_failing = true;
        supervisor->record_retry_at = clock_add_ms(clock_monotonic_ms(), LEASE_RETRY_MS);
        return;
    }
    if (supervisor->is_record_failing)
        log_info("leases recorded again", "bytes=%zu", job->record_len);
    supervisor->is_record_failing = false;
}

static void answer_open(struct lease *lease, const struct lease_job *job)
{
    if (job->result == 0) {
        (void)lease_feed(lease, LEASE_EVENT_WRITTEN);
        return;
    }
    lease->refusal = job->error;
    (void)error_add_context(&lease->refusal, job->result, "the lease cannot be recorded");
    (void)lease_feed(lease, LEASE_EVENT_REFUSED);
}

static void answer_seal(struct lease *lease, const struct lease_job *job)
{
    if (job->result == 0) {
        (void)lease_feed(lease, LEASE_EVENT_WRITTEN);
        return;
    }
    lease_explain(lease, 0, "that it is committed cannot be recorded yet: %s", job->error.text);
    (void)lease_feed(lease, LEASE_EVENT_REFUSED);
}

static void answer_undo(struct lease *lease, const struct lease_job *job)
{
    if (job->result == 0) {
        (void)lease_feed(lease, LEASE_EVENT_RESTORED);
        return;
    }
    lease->message[0] = '\0';
    lease_explain(lease, FLOCKS_ERROR_REASON_SYSTEM, "%s", job->error.text);
    log_error("link not put back", "lease=%s error=\"%s\"", lease->id, job->error.text);
    (void)lease_feed(lease, LEASE_EVENT_STUCK);
}

static void answer(struct lease *lease, const struct lease_job *job)
{
    enum lease_phase phase = lease->facts.phase;

    if (job->kind == LEASE_WORK_OPEN && phase == LEASE_OPENING)
        answer_open(lease, job);
    else if (job->kind == LEASE_WORK_SEAL && phase == LEASE_SEALING)
        answer_seal(lease, job);
    else if (job->kind == LEASE_WORK_UNDO && phase == LEASE_ROLLING_BACK)
        answer_undo(lease, job);
    else
        /* It has gone on meanwhile: what is on the disk is not so any more. */
        ((struct supervisor *)lease->supervisor)->is_record_dirty = true;
}

static void after_work(uv_work_t *request, int status)
{
    struct lease_job *job = request->data;
    struct supervisor *supervisor = job->supervisor;
    struct lease *lease;

    (void)status;
    if (supervisor != NULL) {
        supervisor->lease_job = NULL;
        supervisor->is_lease_turn_due = true;
        tell_record(supervisor, job);
        lease = leases_find(&supervisor->leases, job->lease_id);
        if (lease != NULL)
            answer(lease, job);
        else if (job->kind != LEASE_WORK_NONE)
            supervisor->is_record_dirty = true;
    }
    job_free(job);
    if (supervisor != NULL)
        lease_work_run(supervisor);
}

static bool copy_links(struct lease_job *job, const struct lease *lease)
{
    for (size_t i = 0; i < lease->n_undo; i++) {
        struct lease_undo *copy = &job->undo[i];

        copy->link = strdup(lease->undo[i].link);
        copy->target = strdup(lease->undo[i].target);
        job->n_undo++;
        if (copy->link == NULL || copy->target == NULL)
            return false;
    }
    return true;
}

static int fill_job(struct lease_job *job, struct supervisor *supervisor, struct lease *lease)
{
    struct error error = ERROR_INIT;
    int result;

    job->work.data = job;
    job->supervisor = supervisor;
    job->kind = lease != NULL ? lease->work : LEASE_WORK_NONE;
    job->was_dirty = supervisor->is_record_dirty;
    (void)snprintf(job->run, sizeof job->run, "%s", supervisor->run);
    (void)snprintf(job->lease_id, sizeof job->lease_id, "%s", lease != NULL ? lease->id : "");
    if (lease != NULL && !copy_links(job, lease))
        return -STATUS_RESOURCE_EXHAUSTED;
    result = lease_record_pack(&supervisor->leases, &supervisor->upgrades,
        job->kind == LEASE_WORK_OPEN ? lease : NULL, job->kind == LEASE_WORK_SEAL ? lease : NULL,
        &job->record, &job->record_len, &error);
    return result < 0 ? result : uv_queue_work(supervisor->loop, &job->work, work, after_work);
}

static struct lease *next_lease(const struct supervisor *supervisor)
{
    LIST_FOR_EACH(link, &supervisor->leases.all)
    {
        struct lease *lease = CONTAINER_OF(link, struct lease, link);

        if (lease->work != LEASE_WORK_NONE)
            return lease;
    }
    return NULL;
}

void lease_work_run(struct supervisor *supervisor)
{
    struct lease *lease = next_lease(supervisor);
    bool is_due =
        supervisor->is_record_dirty &&
        (!supervisor->is_record_failing || clock_monotonic_ms() >= supervisor->record_retry_at);
    struct lease_job *job;

    if (supervisor->lease_job != NULL || supervisor->is_closing || (lease == NULL && !is_due))
        return;
    job = calloc(1, sizeof *job);
    if (job == NULL || fill_job(job, supervisor, lease) != 0) {
        /* Without memory: asked for again in a moment. */
        if (job != NULL)
            job_free(job);
        supervisor->is_record_failing = true;
        supervisor->is_record_dirty = true;
        supervisor->record_retry_at = clock_add_ms(clock_monotonic_ms(), LEASE_RETRY_MS);
        return;
    }
    if (lease != NULL)
        lease->work = LEASE_WORK_NONE;
    supervisor->is_record_dirty = false;
    supervisor->lease_job = job;
}

void lease_work_detach(struct supervisor *supervisor)
{
    if (supervisor->lease_job != NULL)
        supervisor->lease_job->supervisor = NULL;
    supervisor->lease_job = NULL;
}

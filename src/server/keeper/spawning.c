/* Spawn calls: from the request to the answer that the program runs, or which step failed. */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "common/base/fd.h"
#include "common/base/log.h"
#include "server/keeper/state.h"

/* The limits of a request in the shape that spawn wants. */
static void copy_limits(
    const keeper_spawn_request *request, struct keeper_limit out[KEEPER_LIMITS_MAX])
{
    for (size_t i = 0; i < request->limits_count; i++)
        out[i] = (struct keeper_limit){
            .resource = (int)request->limits[i].resource,
            .soft = request->limits[i].soft,
            .hard = request->limits[i].hard,
        };
}

/* Descriptors that are not the child's: the texts, and its control group. */
static size_t count_taken(const keeper_spawn_request *request)
{
    return request->in_cgroup ? 2 : 1;
}

static enum rpc_code check(
    struct keeper *keeper, const keeper_spawn_request *request, size_t *out_texts_len)
{
    struct link *link = &keeper->link;
    size_t n_taken = count_taken(request);
    link->message = "malformed spawn";
    if (request->slot >= KEEPER_SLOTS || request->slot == KEEPER_SLOT_DAEMON ||
        request->output_slot >= KEEPER_SLOTS || request->generation == 0 ||
        request->n_arguments == 0 || link->n_fds < n_taken ||
        link->n_fds - n_taken > KEEPER_CHILD_DESCRIPTORS_MAX)
        return RPC_INVALID_ARGUMENT;
    size_t n_texts = (size_t)request->n_arguments + request->n_environment;
    if (!spawn_texts_are_valid(link->fds[0], n_texts, out_texts_len))
        return RPC_INVALID_ARGUMENT;
    link->message = "the output is not registered";
    if (outputs_pipe(&keeper->outputs, request->output_slot) < 0)
        return RPC_FAILED_PRECONDITION;
    link->message = "the keeper is shutting down";
    return keeper->phase >= KEEPER_LEAVING ? RPC_FAILED_PRECONDITION : RPC_OK;
}

static pid_t start(struct keeper *keeper, const keeper_spawn_request *request, size_t place,
    size_t texts_len, int *out_report_fd)
{
    struct keeper_limit limits[KEEPER_LIMITS_MAX];
    gid_t groups[KEEPER_GROUPS_MAX];
    size_t n_taken = count_taken(request);
    struct inventory_record record = {
        .slot = request->slot,
        .generation = request->generation,
        .rttime_mark = request->rttime_mark,
    };
    copy_limits(request, limits);
    for (size_t i = 0; i < request->groups_count; i++)
        groups[i] = request->groups[i];
    memcpy(record.invocation, request->invocation, sizeof record.invocation);
    memcpy(record.name, request->name, strnlen(request->name, sizeof record.name - 1));
    struct spawn_plan plan = {
        .keeper_pid = getpid(),
        .inventory = keeper->inventory,
        .place = place,
        .record = &record,
        .executable = request->executable,
        .directory = request->directory,
        .texts_fd = keeper->link.fds[0],
        .texts_len = texts_len,
        .n_arguments = request->n_arguments,
        .n_environment = request->n_environment,
        .output_fd = outputs_pipe(&keeper->outputs, request->output_slot),
        .descriptors = keeper->link.fds + n_taken,
        .n_descriptors = keeper->link.n_fds - n_taken,
        .limits = limits,
        .n_limits = request->limits_count,
        .rttime_mark = request->rttime_mark,
        .descriptor_limit = keeper->descriptor_limit,
        .umask = (mode_t)request->umask,
        .nice = request->nice,
        .oom_score_adj = request->oom_score_adj,
        .change_user = request->change_user,
        .uid = request->uid,
        .gid = request->gid,
        .groups = groups,
        .n_groups = request->groups_count,
        .cgroup_fd = request->in_cgroup ? keeper->link.fds[1] : -1,
    };
    return spawn_child(&plan, out_report_fd);
}

enum rpc_code spawning_begin(struct keeper *keeper, const keeper_spawn_request *request)
{
    size_t texts_len = 0;
    enum rpc_code code = check(keeper, request, &texts_len);
    if (code != RPC_OK)
        return code;
    size_t place = 0;
    int reserved = children_reserve(&keeper->children, request->slot, request->generation, &place);
    if (reserved != 0) {
        keeper->link.message = reserved == CHILDREN_TAKEN
                                   ? "the slot's child lives, or had this generation or a later one"
                                   : "the keeper's table of children is full";
        return reserved == CHILDREN_TAKEN ? RPC_ALREADY_EXISTS : RPC_RESOURCE_EXHAUSTED;
    }
    struct spawn_call *call = &keeper->calls[place];
    *call = (struct spawn_call){.report_fd = -1, .stream_id = keeper->link.stream_id};
    keeper->link.is_deferred = true;
    pid_t pid = start(keeper, request, place, texts_len, &call->report_fd);
    if (pid < 0) {
        call->report_fd = -1;
        call->failure = (struct spawn_failure){.step = KEEPER_STEP_FORK, .system_error = errno};
        keeper->children.table[place].state = CHILD_FAILED;
        spawning_settle(keeper, place);
        children_release(&keeper->children, place);
        return RPC_OK;
    }
    struct child *child = &keeper->children.table[place];
    child->rttime_mark = request->rttime_mark;
    memcpy(child->invocation, request->invocation, sizeof child->invocation);
    uint64_t start_ticks = 0;
    if (!inventory_start_ticks(pid, &start_ticks))
        start_ticks = 0;
    children_set_pid(&keeper->children, place, pid, start_ticks);
    keeper->n_spawning++;
    keeper_watch(keeper, EPOLL_CTL_ADD, call->report_fd, EPOLLIN, EVENT_SPAWN_REPORT, place);
    return RPC_OK;
}

/* False: the link is blocked. */
static bool answer(struct keeper *keeper, size_t place)
{
    struct spawn_call *call = &keeper->calls[place];
    const struct child *child = &keeper->children.table[place];
    bool runs = call->failure.step == KEEPER_STEP_NONE;
    keeper_spawn_response response = {
        .pid = runs ? child->pid : 0,
        .start_ticks = runs ? child->start_ticks : 0,
        .failed_step = (uint32_t)call->failure.step,
        .error = call->failure.system_error,
    };
    if (call->stream_id != 0 &&
        !link_reply(keeper, call->stream_id, &flocks_keeper_v1_SpawnResponse_msg, &response))
        return false;
    call->stream_id = 0;
    return true;
}

void spawning_settle(struct keeper *keeper, size_t place)
{
    struct spawn_call *call = &keeper->calls[place];
    struct child *child = &keeper->children.table[place];
    if (call->report_fd >= 0) {
        ssize_t length = read(call->report_fd, &call->failure, sizeof call->failure);
        if (length != (ssize_t)sizeof call->failure)
            call->failure = (struct spawn_failure){0};
        fd_close(&call->report_fd);
        keeper->n_spawning--;
    }
    /* With nobody to be answered (flocksd died meanwhile), a failure is told as the exit it is. */
    bool is_told_as_exit = call->failure.step == KEEPER_STEP_NONE || call->stream_id == 0;
    if (child->state == CHILD_STARTING)
        child->state = is_told_as_exit ? CHILD_RUNNING : CHILD_FAILED;
    if (call->stream_id != 0 && !call->is_due && !answer(keeper, place)) {
        call->is_due = true;
        keeper->n_due_calls++;
    }
}

void spawning_report(struct keeper *keeper, size_t place)
{
    if (keeper->calls[place].report_fd >= 0)
        spawning_settle(keeper, place);
}

bool spawning_flush(struct keeper *keeper)
{
    for (size_t place = 0; keeper->n_due_calls > 0 && place < KEEPER_CHILDREN; place++) {
        if (!keeper->calls[place].is_due)
            continue;
        if (!answer(keeper, place))
            return false;
        keeper->calls[place].is_due = false;
        keeper->n_due_calls--;
    }
    return true;
}

void spawning_forget_callers(struct keeper *keeper)
{
    for (size_t place = 0; place < KEEPER_CHILDREN; place++) {
        /* Written only where there is something: untouched pages cost nothing. */
        if (keeper->calls[place].stream_id == 0)
            continue;
        keeper->calls[place].stream_id = 0;
        keeper->calls[place].is_due = false;
    }
    keeper->n_due_calls = 0;
}

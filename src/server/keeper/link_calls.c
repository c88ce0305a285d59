/* The link's typed calls: from the arguments of link.h to a message, and back from its answer. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/base/fd.h"
#include "server/keeper/link_internal.h"
#include "server/keeper/packet.h"

_Static_assert(KEEPER_CHILD_DESCRIPTORS_MAX + 2 <= (int)PACKET_DESCRIPTORS_MAX, "one packet");
_Static_assert(sizeof(((keeper_spawn_request *)0)->limits) / sizeof(keeper_resource_limit) ==
                   KEEPER_LIMITS_MAX,
    "limits of a spawn");

static int garbled(struct error *error)
{
    return error_set(error, STATUS_INTERNAL, "the keeper's answer is not understood");
}

/* `text` into a field of a message; false: too long. */
static bool put_text(char *field, size_t size, const char *text)
{
    size_t len = strlen(text);
    if (len >= size)
        return false;
    memcpy(field, text, len + 1);
    return true;
}

/* Sends a call that was just made; frees it on failure. */
static int begin(struct keeper_link *link, const char *method, const void *request, const int *fds,
    size_t n_fds, struct link_call *call, struct error *error)
{
    int result = link_send(link, method, request, fds, n_fds, call, error);
    if (result != 0)
        link_call_free(call);
    return result;
}

/* ---- calls whose answer says nothing but that they are done ---- */

static int finish_plain(struct keeper_link *link, struct link_call *call, int result,
    struct rpc_bytes payload, const struct error *error)
{
    (void)link;
    (void)payload;
    if (call->done.plain != NULL)
        call->done.plain(call->data, result, error);
    return 0;
}

static int finish_register(struct keeper_link *link, struct link_call *call, int result,
    struct rpc_bytes payload, const struct error *error)
{
    if (result == 0)
        link_keep_pipes(link, call->slot);
    return finish_plain(link, call, result, payload, error);
}

/* While we hold the pipe its end never comes. */
static int finish_forget(struct keeper_link *link, struct link_call *call, int result,
    struct rpc_bytes payload, const struct error *error)
{
    if (result == 0)
        link_drop_pipes(link, call->slot);
    return finish_plain(link, call, result, payload, error);
}

static int begin_of_slot(struct keeper_link *link, const char *method, const void *request,
    uint32_t slot, link_finish_fn finish, keeper_done_fn done, void *data, struct error *error)
{
    struct error local = ERROR_INIT;
    struct link_call *call = link_call_new(link, finish, data, error ? error : &local);
    if (call == NULL)
        return -(int)(error ? error->code : local.code);
    call->done.plain = done;
    call->is_prompt = true;
    call->slot = slot;
    return begin(link, method, request, NULL, 0, call, error);
}

static int begin_plain(struct keeper_link *link, const char *method, const void *request,
    keeper_done_fn done, void *data, struct error *error)
{
    return begin_of_slot(link, method, request, 0, finish_plain, done, data, error);
}

int keeper_link_ready(
    struct keeper_link *link, keeper_done_fn done, void *data, struct error *error)
{
    keeper_report_startup_request request = {.ready = true};
    return begin_plain(link, "ReportStartup", &request, done, data, error);
}

int keeper_link_fail(struct keeper_link *link, const char *text, keeper_done_fn done, void *data,
    struct error *error)
{
    keeper_report_startup_request request = {.ready = false};
    (void)snprintf(request.error, sizeof request.error, "%s", text);
    return begin_plain(link, "ReportStartup", &request, done, data, error);
}

int keeper_link_leave(
    struct keeper_link *link, keeper_done_fn done, void *data, struct error *error)
{
    keeper_leave_request request = KEEPER_LEAVE_REQUEST_INIT;
    return begin_plain(link, "Leave", &request, done, data, error);
}

int keeper_link_register_output(struct keeper_link *link, const struct keeper_output *output,
    keeper_done_fn done, void *data, struct error *error)
{
    keeper_register_output_request request = {
        .slot = output->slot, .max_size = output->max_size, .keep = output->keep};
    if (output->slot >= KEEPER_SLOTS)
        return error_set(error, STATUS_INVALID_ARGUMENT, "no such slot: %u", output->slot);
    if (!put_text(request.path, sizeof request.path, output->log_path))
        return error_set(error, STATUS_INVALID_ARGUMENT, "path of a log is too long");
    return begin_of_slot(
        link, "RegisterOutput", &request, output->slot, finish_register, done, data, error);
}

int keeper_link_signal(struct keeper_link *link, uint32_t slot, uint32_t generation,
    int signal_number, enum keeper_scope scope, keeper_done_fn done, void *data,
    struct error *error)
{
    keeper_signal_request request = {
        .slot = slot,
        .generation = generation,
        .signal = signal_number,
        .scope =
            scope == KEEPER_SCOPE_GROUP ? KEEPER_SIGNAL_SCOPE_GROUP : KEEPER_SIGNAL_SCOPE_LEADER,
    };
    return begin_plain(link, "Signal", &request, done, data, error);
}

int keeper_link_forget(
    struct keeper_link *link, uint32_t slot, keeper_done_fn done, void *data, struct error *error)
{
    keeper_forget_request request = {.slot = slot};
    return begin_of_slot(link, "Forget", &request, slot, finish_forget, done, data, error);
}

int keeper_link_prepare(struct keeper_link *link, const struct keeper_images *images,
    keeper_done_fn done, void *data, struct error *error)
{
    static keeper_prepare_replace_request request;
    struct error local = ERROR_INIT;
    if (error == NULL)
        error = &local;
    request = (keeper_prepare_replace_request)KEEPER_PREPARE_REPLACE_REQUEST_INIT;
    if (link->protocol < KEEPER_PROTOCOL_REPLACES) {
        int result = error_set(error, STATUS_FAILED_PRECONDITION,
            "the keeper that runs is older (number %u of the link's protocol) and cannot replace "
            "programs",
            (unsigned)link->protocol);
        error_set_hint(error, "`flocks stop`, then `flocks start` runs the new ones");
        return result;
    }
    if (!put_text(request.operation_id, sizeof request.operation_id, images->operation_id) ||
        !put_text(request.flocksd_path, sizeof request.flocksd_path, images->flocksd_path) ||
        !put_text(request.keeper_path, sizeof request.keeper_path, images->keeper_path) ||
        !put_text(
            request.expected_version, sizeof request.expected_version, images->expected_version) ||
        !put_text(request.expected_keeper_version, sizeof request.expected_keeper_version,
            images->expected_keeper_version))
        return error_set(
            error, STATUS_INVALID_ARGUMENT, "path or version of a program is too long");
    struct link_call *call = link_call_new(link, finish_plain, data, error);
    if (call == NULL)
        return -(int)error->code;
    call->done.plain = done;
    const int fds[] = {images->flocksd_fd, images->keeper_fd};
    return begin(link, "PrepareReplace", &request, fds, ARRAY_LENGTH(fds), call, error);
}

int keeper_link_replace(struct keeper_link *link, const char *operation_id, keeper_done_fn done,
    void *data, struct error *error)
{
    keeper_replace_request request = KEEPER_REPLACE_REQUEST_INIT;
    if (!put_text(request.operation_id, sizeof request.operation_id, operation_id))
        return error_set(error, STATUS_INVALID_ARGUMENT, "id of an operation is too long");
    return begin_plain(link, "Replace", &request, done, data, error);
}

void keeper_link_acknowledge(struct keeper_link *link, uint64_t sequence)
{
    if (sequence <= link->acknowledged_sequence)
        return;
    keeper_acknowledge_exits_request request = {.up_to = sequence};
    /* One that cannot be sent is made good by the next, or by the next flocksd. */
    if (begin_plain(link, "AcknowledgeExits", &request, NULL, NULL, NULL) == 0)
        link->acknowledged_sequence = sequence;
}

void link_ping(struct keeper_link *link)
{
    keeper_acknowledge_exits_request request = {.up_to = link->acknowledged_sequence};
    (void)!begin_plain(link, "AcknowledgeExits", &request, NULL, NULL, NULL);
}

/* ---- spawn ---- */

static size_t count_texts(const char *const *texts)
{
    size_t n = 0;
    while (texts[n] != NULL)
        n++;
    return n;
}

static size_t total_size(const char *const *texts)
{
    size_t size = 0;
    for (; *texts != NULL; texts++)
        size += strlen(*texts) + 1;
    return size;
}

static char *copy_texts(char *to, const char *const *texts)
{
    for (; *texts != NULL; texts++) {
        size_t size = strlen(*texts) + 1;
        memcpy(to, *texts, size);
        to += size;
    }
    return to;
}

/* Arguments and environment as a memfd that can no longer change. */
static int seal_texts(const struct keeper_spawn *spawn, int *out_fd, struct error *error)
{
    size_t size = total_size(spawn->arguments) + total_size(spawn->environment);
    if (size > KEEPER_ARGUMENTS_BYTES)
        return error_set(error, STATUS_INVALID_ARGUMENT,
            "arguments and environment of %s are longer than %d bytes", spawn->name,
            KEEPER_ARGUMENTS_BYTES);
    CLEANUP(fd_close) int fd = memfd_create("flocks-arguments", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    char *bytes = malloc(size + 1);
    if (fd < 0 || bytes == NULL) {
        free(bytes);
        return error_set_errno(error, errno, "pass the arguments of %s", spawn->name);
    }
    (void)copy_texts(copy_texts(bytes, spawn->arguments), spawn->environment);
    int result = fd_write_all(fd, bytes, size, error);
    free(bytes);
    if (result != 0)
        return result;
    if (fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
        return error_set_errno(error, errno, "seal the arguments of %s", spawn->name);
    *out_fd = fd_take(&fd);
    return 0;
}

static int describe_spawn(
    const struct keeper_spawn *spawn, keeper_spawn_request *out, struct error *error)
{
    *out = (keeper_spawn_request){
        .slot = spawn->slot,
        .generation = spawn->generation,
        .output_slot = spawn->output_slot,
        .n_arguments = (uint32_t)count_texts(spawn->arguments),
        .n_environment = (uint32_t)count_texts(spawn->environment),
        .rttime_mark = spawn->rttime_mark,
        .umask = spawn->umask,
        .nice = spawn->nice,
        .oom_score_adj = spawn->oom_score_adj,
        .change_user = spawn->change_user,
        .uid = spawn->uid,
        .gid = spawn->gid,
        .in_cgroup = spawn->has_cgroup,
        .limits_count = (pb_size_t)spawn->n_limits,
    };
    memcpy(out->invocation, spawn->invocation, sizeof out->invocation);
    if (spawn->n_limits > KEEPER_LIMITS_MAX || spawn->n_descriptors > KEEPER_CHILD_DESCRIPTORS_MAX)
        return error_set(
            error, STATUS_INVALID_ARGUMENT, "too many limits or descriptors for %s", spawn->name);
    if (spawn->n_groups > KEEPER_GROUPS_MAX)
        return error_set(error, STATUS_INVALID_ARGUMENT, "more than %d groups for %s",
            (int)KEEPER_GROUPS_MAX, spawn->name);
    for (size_t i = 0; i < spawn->n_groups; i++)
        out->groups[out->groups_count++] = spawn->groups[i];
    for (size_t i = 0; i < spawn->n_limits; i++)
        out->limits[i] = (keeper_resource_limit){
            .resource = (uint32_t)spawn->limits[i].resource,
            .soft = spawn->limits[i].soft,
            .hard = spawn->limits[i].hard,
        };
    if (!put_text(out->name, sizeof out->name, spawn->name) ||
        !put_text(out->executable, sizeof out->executable, spawn->executable) ||
        !put_text(out->directory, sizeof out->directory, spawn->directory))
        return error_set(error, STATUS_INVALID_ARGUMENT,
            "name, program or directory of %s is too long", spawn->name);
    return 0;
}

static int finish_spawn(struct keeper_link *link, struct link_call *call, int result,
    struct rpc_bytes payload, const struct error *error)
{
    (void)link;
    keeper_spawn_response response;
    struct error local = ERROR_INIT;
    if (result == 0 && !crpc_nano_decode(&flocks_keeper_v1_SpawnResponse_msg, payload.data,
                           payload.len, &response)) {
        result = garbled(&local);
        error = &local;
    }
    if (result != 0) {
        call->done.spawned(call->data, result, NULL, error);
        return 0;
    }
    struct keeper_spawned spawned = {
        .pid = response.pid,
        .start_ticks = response.start_ticks,
        .failed_step = (enum keeper_step)response.failed_step,
        .system_error = response.error,
    };
    call->done.spawned(call->data, 0, &spawned, NULL);
    return 0;
}

int keeper_link_spawn(struct keeper_link *link, const struct keeper_spawn *spawn,
    keeper_spawned_fn done, void *data, struct error *error)
{
    static keeper_spawn_request request;
    struct error local = ERROR_INIT;
    if (error == NULL)
        error = &local;
    int result = describe_spawn(spawn, &request, error);
    if (result != 0)
        return result;
    CLEANUP(fd_close) int texts_fd = -1;
    result = seal_texts(spawn, &texts_fd, error);
    if (result != 0)
        return result;
    struct link_call *call = link_call_new(link, finish_spawn, data, error);
    if (call == NULL)
        return -(int)error->code;
    call->done.spawned = done;
    int fds[KEEPER_CHILD_DESCRIPTORS_MAX + 2] = {texts_fd};
    size_t n_fds = 1;
    if (spawn->has_cgroup)
        fds[n_fds++] = spawn->cgroup_fd;
    for (size_t i = 0; i < spawn->n_descriptors; i++)
        fds[n_fds++] = spawn->descriptors[i];
    return begin(link, "Spawn", &request, fds, n_fds, call, error);
}

/* ---- list ---- */

static bool append_children(struct link_call *call, const keeper_list_children_response *response)
{
    size_t n = call->n_children + response->children_count;
    struct keeper_child *children = reallocarray(call->children, n + 1, sizeof *children);
    if (children == NULL)
        return false;
    call->children = children;
    for (size_t i = 0; i < response->children_count; i++) {
        const flocks_keeper_v1_Child *from = &response->children[i];
        struct keeper_child *to = &children[call->n_children++];
        *to = (struct keeper_child){
            .slot = from->slot,
            .generation = from->generation,
            .pid = from->pid,
            .start_ticks = from->start_ticks,
            .rttime_mark = from->rttime_mark,
            .exited = from->exited,
            .wait_status = from->wait_status,
        };
        memcpy(to->invocation, from->invocation, sizeof to->invocation);
    }
    return true;
}

static int finish_list(struct keeper_link *link, struct link_call *call, int result,
    struct rpc_bytes payload, const struct error *error)
{
    static keeper_list_children_response response;
    struct error local = ERROR_INIT;
    if (result == 0 && !crpc_nano_decode(&flocks_keeper_v1_ListChildrenResponse_msg, payload.data,
                           payload.len, &response))
        result = garbled(&local);
    else if (result == 0 && !append_children(call, &response))
        result = error_set(&local, STATUS_RESOURCE_EXHAUSTED, "no memory for the children");
    else if (result == 0 && response.next != 0) {
        keeper_list_children_request next = {.from = response.next};
        result = link_send(link, "ListChildren", &next, NULL, 0, call, &local);
        if (result == 0)
            return 1;
    }
    if (result != 0 && error == NULL)
        error = &local;
    call->done.listed(call->data, result, call->children, call->n_children, error);
    return 0;
}

int keeper_link_list(
    struct keeper_link *link, keeper_listed_fn done, void *data, struct error *error)
{
    struct error local = ERROR_INIT;
    if (error == NULL)
        error = &local;
    keeper_list_children_request request = KEEPER_LIST_CHILDREN_REQUEST_INIT;
    struct link_call *call = link_call_new(link, finish_list, data, error);
    if (call == NULL)
        return -(int)error->code;
    call->is_prompt = true;
    call->done.listed = done;
    return begin(link, "ListChildren", &request, NULL, 0, call, error);
}

/* ---- events ---- */

static void tell_exit(struct keeper_link *link, const flocks_keeper_v1_Exit *from)
{
    struct keeper_exit exit = {
        .sequence = from->sequence,
        .slot = from->slot,
        .generation = from->generation,
        .pid = from->pid,
        .wait_status = from->wait_status,
        .at_ns = (int64_t)from->at_ns,
        .stray = from->stray,
        .unknown = from->unknown,
    };
    link->seen_sequence = exit.sequence;
    link->events->exited(link->events_data, &exit);
}

static void tell_replaced(struct keeper_link *link, const flocks_keeper_v1_ReplacementEnd *from)
{
    const struct keeper_replaced replaced = {
        .operation_id = from->operation_id,
        .failure = from->failure,
        .keeper_version = from->keeper_version,
    };
    link_renewed(link);
    if (link->events->replaced != NULL)
        link->events->replaced(link->events_data, &replaced);
}

static int finish_wait(struct keeper_link *link, struct link_call *call, int result,
    struct rpc_bytes payload, const struct error *error)
{
    (void)call;
    (void)error;
    static keeper_wait_events_response response;
    /* The link is gone or closed: nobody waits for events. */
    if (result != 0 && (link->is_closing || link->is_lost))
        return 0;
    if (result != 0 || !crpc_nano_decode(&flocks_keeper_v1_WaitEventsResponse_msg, payload.data,
                           payload.len, &response)) {
        link_lose(link, "the keeper refuses to tell events");
        return 0;
    }
    for (size_t i = 0; i < response.exits_count && !link->is_closing; i++)
        tell_exit(link, &response.exits[i]);
    if (response.shutdown_signal != 0 && !link->is_closing)
        link->events->shutdown_requested(link->events_data, response.shutdown_signal);
    if (response.has_replacement && !link->is_closing)
        tell_replaced(link, &response.replacement);
    if (!link->is_closing && link_wait(link, NULL) != 0)
        link_lose(link, "the keeper cannot be asked for events");
    return 0;
}

int link_wait(struct keeper_link *link, struct error *error)
{
    struct error local = ERROR_INIT;
    if (error == NULL)
        error = &local;
    keeper_wait_events_request request = {.after = link->seen_sequence};
    struct link_call *call = link_call_new(link, finish_wait, NULL, error);
    if (call == NULL)
        return -(int)error->code;
    call->is_patient = true;
    return begin(link, "WaitEvents", &request, NULL, 0, call, error);
}

int keeper_link_watch(struct keeper_link *link, const struct keeper_link_events *events, void *data,
    struct error *error)
{
    link->events = events;
    link->events_data = data;
    return link_wait(link, error);
}

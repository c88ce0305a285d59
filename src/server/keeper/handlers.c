/* One function per method of the keeper's protocol. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>

#include "common/base/log.h"
#include "server/keeper/instance.h"
#include "server/keeper/state.h"

static enum rpc_code refuse(struct keeper *keeper, enum rpc_code code, const char *message)
{
    keeper->link.message = message;
    return code;
}

/* Older ones and newer ones alike show people the message. */
static enum rpc_code refuse_number(struct keeper *keeper, const keeper_hello_request *request)
{
    static char text[192];
    (void)snprintf(text, sizeof text,
        "flocks-keeper %s speaks numbers %d to %d of the link's protocol, flocksd %s %u to %u: "
        "`flocks stop`, then `flocks start` runs both of one version",
        FLOCKS_VERSION, KEEPER_PROTOCOL_LOWEST, KEEPER_PROTOCOL, request->version,
        (unsigned)request->lowest_protocol, (unsigned)request->protocol);
    return refuse(keeper, RPC_FAILED_PRECONDITION, text);
}

bool link_welcome(struct keeper *keeper, uint32_t earlier_starts, keeper_hello_response *response,
    int out_fds[KEEPER_WELCOME_DESCRIPTORS])
{
    memcpy(response->replacement, keeper->replacement.operation_id, sizeof response->replacement);
    (void)snprintf(response->version, sizeof response->version, "%s", FLOCKS_VERSION);
    response->pid = (int32_t)getpid();
    response->earlier_starts = earlier_starts;
    response->was_ready = keeper->server.was_ready;
    response->earlier_keepers = atomic_load(&keeper->outputs.shared->memory.earlier_keepers);
    response->unreachable = keeper->is_unreachable;
    memcpy(response->invocation, keeper->invocation, sizeof response->invocation);
    out_fds[0] = keeper->state_fd;
    out_fds[1] = keeper->outputs.shared_fd;
    out_fds[2] = keeper->files.listener_fd;
    out_fds[3] = keeper->files.notify_fd;
    out_fds[4] = keeper->files.lock_fd;
    out_fds[5] = keeper->inventory_fd;
    return outputs_pipes(&keeper->outputs, KEEPER_SLOT_DAEMON, &out_fds[6]);
}

static enum rpc_code hello(
    void *self, const keeper_hello_request *request, keeper_hello_response *response)
{
    struct keeper *keeper = self;
    memcpy(keeper->server.version, request->version, sizeof keeper->server.version);
    if (request->protocol < KEEPER_PROTOCOL_LOWEST || request->lowest_protocol > KEEPER_PROTOCOL) {
        replacement_greeted(keeper, NULL);
        return refuse_number(keeper, request);
    }
    replacement_greeted(keeper, request->version);
    response->protocol =
        request->protocol < KEEPER_PROTOCOL ? request->protocol : (uint32_t)KEEPER_PROTOCOL;
    keeper->link.protocol = response->protocol;
    if (!link_welcome(keeper, keeper->server.starts - 1, response, keeper->link.reply_fds))
        return refuse(keeper, RPC_INTERNAL, "the daemon's log has no pipe");
    keeper->link.n_reply_fds = KEEPER_WELCOME_DESCRIPTORS;
    return RPC_OK;
}

static enum rpc_code report_startup(void *self, const keeper_report_startup_request *request,
    keeper_report_startup_response *response)
{
    struct keeper *keeper = self;
    (void)response;
    if (request->ready) {
        keeper->server.is_ready = true;
        keeper->server.was_ready = true;
        atomic_store(&keeper->outputs.shared->is_untried, 0);
        keeper->server.rerun_delay_ms = 0;
        instance_tell(&keeper->ready_fd, "ready", "");
        replacement_ready(keeper);
        return RPC_OK;
    }
    keeper->server.has_failed = true;
    (void)snprintf(
        keeper->server.complaint, sizeof keeper->server.complaint, "%.255s", request->error);
    instance_tell(&keeper->ready_fd, "error", request->error);
    return RPC_OK;
}

static enum rpc_code register_output(void *self, const keeper_register_output_request *request,
    keeper_register_output_response *response)
{
    struct keeper *keeper = self;
    (void)response;
    if (request->slot >= KEEPER_SLOTS || request->path[0] != '/')
        return refuse(keeper, RPC_INVALID_ARGUMENT, "no such slot, or the path is not absolute");
    int failure = outputs_register(
        &keeper->outputs, request->slot, request->path, request->max_size, request->keep);
    if (failure == ENOSPC)
        return refuse(keeper, RPC_RESOURCE_EXHAUSTED, "the keeper's tables of outputs are full");
    if (failure != 0)
        return refuse(keeper, RPC_RESOURCE_EXHAUSTED, "no descriptors are left for an output");
    captor_flush(keeper);
    if (outputs_pipes(&keeper->outputs, request->slot, keeper->link.reply_fds))
        keeper->link.n_reply_fds = 2;
    return RPC_OK;
}

static enum rpc_code spawn(
    void *self, const keeper_spawn_request *request, keeper_spawn_response *response)
{
    (void)response;
    return spawning_begin(self, request);
}

/* While a group lives its number is taken; so a process of that number, when the leader has been
 * reaped, shows that the group has ended and the number is a stranger's. */
static int signal_group(const struct child *child, int number)
{
    bool is_reaped = child->state == CHILD_EXITED || child->state == CHILD_ENDED;
    if (is_reaped && (kill(child->pid, 0) == 0 || errno != ESRCH))
        return ESRCH;
    if (!is_reaped && child->adopted_fd > 0)
        return adopted_signal(child, number, true);
    if (kill(-child->pid, number) == 0)
        return 0;
    /* A child that is not yet past setsid has no group. */
    return child->state == CHILD_STARTING && kill(child->pid, number) == 0 ? 0 : errno;
}

static int signal_leader(const struct child *child, int number)
{
    if (child->state != CHILD_STARTING && child->state != CHILD_RUNNING)
        return ESRCH;
    if (child->adopted_fd > 0)
        return adopted_signal(child, number, false);
    return kill(child->pid, number) == 0 ? 0 : errno;
}

static enum rpc_code signal_child(
    void *self, const keeper_signal_request *request, keeper_signal_response *response)
{
    struct keeper *keeper = self;
    (void)response;
    const struct child *child =
        children_find(&keeper->children, request->slot, request->generation);
    if (child == NULL)
        return refuse(keeper, RPC_NOT_FOUND, "the slot has no such generation");
    if (request->signal < 0 || request->signal >= NSIG)
        return refuse(keeper, RPC_INVALID_ARGUMENT, "no such signal");
    int failure = request->scope == KEEPER_SIGNAL_SCOPE_GROUP
                      ? signal_group(child, request->signal)
                      : signal_leader(child, request->signal);
    if (failure == ESRCH)
        return refuse(keeper, RPC_NOT_FOUND, "nothing is left to be signalled");
    return failure == 0 ? RPC_OK : refuse(keeper, RPC_PERMISSION_DENIED, "not permitted");
}

static enum rpc_code list_children(void *self, const keeper_list_children_request *request,
    keeper_list_children_response *response)
{
    const struct keeper *keeper = self;
    size_t place = request->from;
    for (; place < KEEPER_CHILDREN && response->children_count < ARRAY_LENGTH(response->children);
         place++) {
        const struct child *child = &keeper->children.table[place];
        bool told = child->state == CHILD_STARTING || child->state == CHILD_RUNNING ||
                    child->state == CHILD_EXITED;
        if (!told)
            continue;
        flocks_keeper_v1_Child *out = &response->children[response->children_count++];
        out->slot = child->slot;
        out->generation = child->generation;
        out->pid = child->pid;
        out->start_ticks = child->start_ticks;
        out->rttime_mark = child->rttime_mark;
        memcpy(out->invocation, child->invocation, sizeof out->invocation);
        out->exited = child->state == CHILD_EXITED;
        out->wait_status = child->wait_status;
    }
    response->next = place < KEEPER_CHILDREN ? (uint32_t)place : 0;
    return RPC_OK;
}

static enum rpc_code wait_events(
    void *self, const keeper_wait_events_request *request, keeper_wait_events_response *response)
{
    struct keeper *keeper = self;
    (void)response;
    if (keeper->link.wait_stream_id != 0)
        return refuse(keeper, RPC_FAILED_PRECONDITION, "a WaitEvents is waiting already");
    keeper->link.wait_stream_id = keeper->link.stream_id;
    keeper->link.wait_after = request->after;
    keeper->link.is_deferred = true;
    if (keeper->link.shutdown_told)
        keeper->answer_by = 0;
    link_tell_events(keeper);
    return RPC_OK;
}

static void note_acknowledged(void *data, size_t place)
{
    const struct keeper *keeper = data;
    inventory_note_acknowledged(keeper->inventory, place);
}

static enum rpc_code acknowledge_exits(void *self, const keeper_acknowledge_exits_request *request,
    keeper_acknowledge_exits_response *response)
{
    struct keeper *keeper = self;
    (void)response;
    children_acknowledge(&keeper->children, request->up_to, note_acknowledged, keeper);
    return RPC_OK;
}

static enum rpc_code forget(
    void *self, const keeper_forget_request *request, keeper_forget_response *response)
{
    struct keeper *keeper = self;
    (void)response;
    if (request->slot >= KEEPER_SLOT_DAEMON)
        return refuse(keeper, RPC_INVALID_ARGUMENT, "no such slot");
    if (children_slot_lives(&keeper->children, request->slot))
        return refuse(keeper, RPC_FAILED_PRECONDITION, "a child lives in the slot");
    children_forget_slot(&keeper->children, request->slot);
    inventory_clear_slot(keeper->inventory, request->slot);
    outputs_forget(&keeper->outputs, request->slot);
    return RPC_OK;
}

static enum rpc_code replace(
    void *self, const keeper_replace_request *request, keeper_replace_response *response)
{
    struct keeper *keeper = self;
    (void)response;
    enum rpc_code code = replacement_begin(keeper, request->operation_id);
    if (code == RPC_OK && keeper->server.pid > 0)
        (void)kill(keeper->server.pid, SIGKILL);
    return code;
}

static enum rpc_code prepare_replace(void *self, const keeper_prepare_replace_request *request,
    keeper_prepare_replace_response *response)
{
    (void)response;
    return replacement_prepare(self, request);
}

static enum rpc_code leave(
    void *self, const keeper_leave_request *request, keeper_leave_response *response)
{
    struct keeper *keeper = self;
    (void)request;
    (void)response;
    if (keeper->phase < KEEPER_LEAVING)
        keeper_enter(keeper, KEEPER_LEAVING);
    return RPC_OK;
}

const struct keeper_handlers keeper_link_handlers = {
    .hello = hello,
    .report_startup = report_startup,
    .register_output = register_output,
    .spawn = spawn,
    .signal = signal_child,
    .list_children = list_children,
    .wait_events = wait_events,
    .acknowledge_exits = acknowledge_exits,
    .forget = forget,
    .replace = replace,
    .leave = leave,
    .prepare_replace = prepare_replace,
};

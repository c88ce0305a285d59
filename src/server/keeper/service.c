/* The keeper's end of the link: packets in, typed handlers, packets out. A flocksd that breaks the
 * protocol is killed and run again: both are ours, so it is a bug, and a fresh one knows more. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "common/base/fd.h"
#include "common/base/log.h"
#include "common/rpc/envelope.h"
#include "common/rpc/frame.h"
#include "server/keeper/state.h"

/* Every message of the protocol fits a packet beside its envelope. */
enum { ENVELOPE_BYTES = 1024 };
_Static_assert(flocks_keeper_v1_ListChildrenResponse_size + ENVELOPE_BYTES < KEEPER_PACKET_BYTES,
    "longest response");
_Static_assert(
    flocks_keeper_v1_SpawnRequest_size + ENVELOPE_BYTES < KEEPER_PACKET_BYTES, "longest request");

void link_open(struct keeper *keeper, int fd)
{
    struct link *link = &keeper->link;
    /* The buffers need no preparation. */
    link->fd = fd;
    link->wait_stream_id = 0;
    link->shutdown_told = false;
    link->replacement_told = false;
    link->is_blocked = false;
    link->is_paused = false;
    link->protocol = 0;
    keeper_watch(keeper, EPOLL_CTL_ADD, fd, EPOLLIN, EVENT_LINK, 0);
}

void link_take(struct keeper *keeper)
{
    if (keeper->link.fd >= 0)
        keeper_watch(keeper, EPOLL_CTL_ADD, keeper->link.fd, EPOLLIN, EVENT_LINK, 0);
}

void link_close(struct keeper *keeper)
{
    fd_close(&keeper->link.fd);
    keeper->link.is_blocked = false;
    keeper->link.wait_stream_id = 0;
    spawning_forget_callers(keeper);
}

static void break_off(struct keeper *keeper, const char *why)
{
    log_error("flocksd broke the link's protocol", "why=%s errno=%d", why, errno);
    link_close(keeper);
    if (keeper->server.pid > 0)
        (void)kill(keeper->server.pid, SIGKILL);
}

/* ---- out ---- */

static void keep_blocked(struct keeper *keeper, size_t len)
{
    struct link *link = &keeper->link;
    link->is_blocked = true;
    link->blocked_len = len;
    link->n_blocked_fds = link->n_reply_fds;
    memcpy(link->blocked_fds, link->reply_fds, sizeof link->blocked_fds);
    keeper_watch(keeper, EPOLL_CTL_MOD, link->fd, EPOLLOUT, EVENT_LINK, 0);
}

/* One response packet from `link->payload` in `link->out`; its length. */
static size_t encode_response(struct link *link, uint32_t stream_id, enum rpc_code code,
    const char *message, size_t payload_len)
{
    struct rpc_response_envelope envelope = {
        .code = (int32_t)code,
        .message = {(const uint8_t *)message, strlen(message)},
        .payload = {link->payload, payload_len},
    };
    size_t body_len = rpc_response_size(&envelope);
    struct rpc_frame frame = {
        .body_len = (uint32_t)body_len, .stream_id = stream_id, .type = RPC_FRAME_RESPONSE};
    rpc_frame_encode(&frame, link->out);
    (void)rpc_response_encode(&envelope, link->out + RPC_FRAME_HEADER_BYTES);
    return RPC_FRAME_HEADER_BYTES + body_len;
}

static void send_response(struct keeper *keeper, uint32_t stream_id, enum rpc_code code,
    const char *message, size_t payload_len)
{
    struct link *link = &keeper->link;
    size_t len = encode_response(link, stream_id, code, message, payload_len);
    int result = packet_send(link->fd, link->out, len, link->reply_fds, link->n_reply_fds);
    if (result == PACKET_WOULD_BLOCK)
        keep_blocked(keeper, len);
    else if (result == PACKET_FAILED)
        break_off(keeper, "response cannot be sent");
    link->n_reply_fds = 0;
}

bool link_reply(
    struct keeper *keeper, uint32_t stream_id, const pb_msgdesc_t *type, const void *response)
{
    struct link *link = &keeper->link;
    if (link->fd < 0)
        return true;
    if (link->is_blocked)
        return false;
    size_t len = 0;
    bool encoded = crpc_nano_encode(type, response, link->payload, sizeof link->payload, &len);
    enum rpc_code code = encoded ? RPC_OK : RPC_INTERNAL;
    send_response(keeper, stream_id, code, "", len);
    return true;
}

bool link_refuse(struct keeper *keeper, uint32_t stream_id, enum rpc_code code, const char *message)
{
    if (keeper->link.fd < 0 || keeper->link.is_blocked)
        return false;
    send_response(keeper, stream_id, code, message, 0);
    return true;
}

int link_advance(struct keeper *keeper, int *out_fd)
{
    struct link *link = &keeper->link;
    keeper_hello_response response = {.protocol = KEEPER_PROTOCOL};
    int fds[KEEPER_ADVANCE_DESCRIPTORS];
    int ends[2];
    size_t len = 0;
    errno = EBADF;
    if (!link_welcome(keeper, keeper->server.starts, &response, fds) ||
        !crpc_nano_encode(&flocks_keeper_v1_HelloResponse_msg, &response, link->payload,
            sizeof link->payload, &len))
        return -1;
    CLEANUP(fd_close) int image_fd = open("/proc/self/exe", O_PATH | O_CLOEXEC);
    fds[KEEPER_WELCOME_DESCRIPTORS] = image_fd;
    if (image_fd < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
        return -1;
    len = encode_response(link, 0, RPC_OK, "", len);
    int result = packet_send(ends[0], link->out, len, fds, ARRAY_LENGTH(fds));
    fd_close(&ends[0]);
    if (result != 0)
        fd_close(&ends[1]);
    *out_fd = ends[1];
    return result == 0 ? 0 : -1;
}

void link_pause(struct keeper *keeper)
{
    keeper->link.is_paused = true;
    if (keeper->link.fd >= 0 && !keeper->link.is_blocked)
        keeper_watch(keeper, EPOLL_CTL_MOD, keeper->link.fd, 0, EVENT_LINK, 0);
}

void link_resume(struct keeper *keeper)
{
    bool was_paused = keeper->link.is_paused;
    keeper->link.is_paused = false;
    if (was_paused && keeper->link.fd >= 0 && !keeper->link.is_blocked)
        keeper_watch(keeper, EPOLL_CTL_MOD, keeper->link.fd, EPOLLIN, EVENT_LINK, 0);
}

/* Of a flocksd that knows what it means. */
static bool tells_replacement(const struct keeper *keeper)
{
    return keeper->replacement.phase == REPLACEMENT_ENDED && !keeper->link.replacement_told &&
           keeper->link.protocol >= KEEPER_PROTOCOL_REPLACES;
}

static void add_replacement(struct keeper *keeper, keeper_wait_events_response *out)
{
    const struct replacement *replacement = &keeper->replacement;
    if (!tells_replacement(keeper))
        return;
    out->has_replacement = true;
    memcpy(out->replacement.operation_id, replacement->operation_id,
        sizeof out->replacement.operation_id);
    memcpy(out->replacement.failure, replacement->failure, sizeof out->replacement.failure);
    (void)snprintf(out->replacement.keeper_version, sizeof out->replacement.keeper_version, "%s",
        FLOCKS_VERSION);
    keeper->link.replacement_told = true;
}

void link_tell_events(struct keeper *keeper)
{
    struct link *link = &keeper->link;
    static keeper_wait_events_response response;
    static struct keeper_exit exits[ARRAY_LENGTH(response.exits)];
    if (link->fd < 0 || link->wait_stream_id == 0 || link->is_blocked || keeper->n_due_calls > 0)
        return;
    size_t n_exits =
        children_exits_after(&keeper->children, link->wait_after, exits, ARRAY_LENGTH(exits));
    bool tells_shutdown = keeper->shutdown_signal != 0 && !link->shutdown_told;
    if (n_exits == 0 && !tells_shutdown && !tells_replacement(keeper))
        return;
    response = (keeper_wait_events_response){
        .exits_count = (pb_size_t)n_exits,
        .shutdown_signal = tells_shutdown ? keeper->shutdown_signal : 0,
    };
    for (size_t i = 0; i < n_exits; i++)
        response.exits[i] = (flocks_keeper_v1_Exit){
            .sequence = exits[i].sequence,
            .slot = exits[i].slot,
            .generation = exits[i].generation,
            .pid = exits[i].pid,
            .wait_status = exits[i].wait_status,
            .at_ns = (uint64_t)exits[i].at_ns,
            .stray = exits[i].stray,
            .unknown = exits[i].unknown,
        };
    add_replacement(keeper, &response);
    /* A keeper that takes over from us goes on from there. */
    atomic_store(&keeper->outputs.shared->memory.last_sequence, keeper->children.last_sequence);
    uint32_t stream_id = link->wait_stream_id;
    link->wait_stream_id = 0;
    link->shutdown_told = link->shutdown_told || tells_shutdown;
    (void)link_reply(keeper, stream_id, &flocks_keeper_v1_WaitEventsResponse_msg, &response);
}

/* ---- in ---- */

static void serve(struct keeper *keeper, const struct rpc_request_envelope *request)
{
    struct link *link = &keeper->link;
    struct crpc_nano_call call = {
        .method = (const char *)request->method.data,
        .method_len = request->method.len,
        .payload = request->payload.data,
        .payload_len = request->payload.len,
        .request = &link->scratch.request,
        .response = &link->scratch.response,
        .out = link->payload,
        .out_cap = sizeof link->payload,
    };
    link->message = "";
    link->is_deferred = false;
    link->n_reply_fds = 0;
    size_t len = 0;
    enum rpc_code code =
        crpc_nano_serve(&keeper_service, &keeper_link_handlers, keeper, &call, &len);
    if (code == RPC_OK && link->is_deferred)
        return;
    if (link->fd >= 0)
        send_response(keeper, link->stream_id, code, code == RPC_OK ? "" : link->message, len);
}

/* One packet is one whole frame. */
static bool serve_packet(struct keeper *keeper, size_t len)
{
    struct link *link = &keeper->link;
    struct rpc_frame frame;
    struct rpc_request_envelope request;
    if (len < RPC_FRAME_HEADER_BYTES)
        return false;
    rpc_frame_decode(link->in, &frame);
    if (frame.type != RPC_FRAME_REQUEST || frame.body_len != len - RPC_FRAME_HEADER_BYTES ||
        !rpc_request_decode(link->in + RPC_FRAME_HEADER_BYTES, frame.body_len, NULL, 0, &request))
        return false;
    if (request.service.len != strlen(keeper_service.name) ||
        memcmp(request.service.data, keeper_service.name, request.service.len) != 0)
        return false;
    link->stream_id = frame.stream_id;
    serve(keeper, &request);
    return true;
}

/* flocksd has closed its end: it exits, or it must. SIGCHLD tells the rest. */
static void part(struct keeper *keeper)
{
    bool may_exit = keeper->phase >= KEEPER_LEAVING || keeper->server.has_failed;
    link_close(keeper);
    if (!may_exit && keeper->server.pid > 0)
        (void)kill(keeper->server.pid, SIGKILL);
}

static void receive(struct keeper *keeper)
{
    struct link *link = &keeper->link;
    while (link->fd >= 0 && !link->is_blocked && !link->is_paused) {
        size_t len = 0;
        int result =
            packet_receive(link->fd, link->in, sizeof link->in, &len, link->fds, &link->n_fds);
        if (result == PACKET_WOULD_BLOCK)
            return;
        if (result == PACKET_CLOSED) {
            part(keeper);
            return;
        }
        if (result != 0) {
            break_off(keeper, "request cannot be received");
            return;
        }
        bool served = serve_packet(keeper, len);
        for (size_t i = 0; i < link->n_fds; i++)
            fd_close(&link->fds[i]);
        if (!served)
            break_off(keeper, "not a request");
    }
}

static void send_blocked(struct keeper *keeper)
{
    struct link *link = &keeper->link;
    int result =
        packet_send(link->fd, link->out, link->blocked_len, link->blocked_fds, link->n_blocked_fds);
    if (result == PACKET_WOULD_BLOCK)
        return;
    if (result != 0) {
        break_off(keeper, "response cannot be sent");
        return;
    }
    link->is_blocked = false;
    keeper_watch(keeper, EPOLL_CTL_MOD, link->fd, link->is_paused ? 0 : EPOLLIN, EVENT_LINK, 0);
    if (spawning_flush(keeper))
        link_tell_events(keeper);
}

void link_turn(struct keeper *keeper, uint32_t events)
{
    struct link *link = &keeper->link;
    if (link->fd < 0)
        return;
    if (link->is_blocked && (events & EPOLLOUT) != 0)
        send_blocked(keeper);
    if (link->fd >= 0 && !link->is_blocked)
        receive(keeper);
    if (link->fd >= 0 && (link->is_blocked || link->is_paused) &&
        (events & (EPOLLHUP | EPOLLERR)) != 0)
        part(keeper);
}

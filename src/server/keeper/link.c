/* The link's life: packets in and out on a uv_poll handle, calls in flight, events. */
#include "server/keeper/link.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/base/fd.h"
#include "common/rpc/frame.h"
#include "server/keeper/link_internal.h"
#include "server/keeper/packet.h"

/* A packet that waits for room in the socket. Owns its descriptors. */
struct unsent_packet {
    struct list in_unsent;
    size_t len;
    size_t n_fds;
    int fds[PACKET_DESCRIPTORS_MAX];
    uint8_t bytes[];
};

static void unsent_free(struct unsent_packet *packet)
{
    for (size_t i = 0; i < packet->n_fds; i++)
        fd_close(&packet->fds[i]);
    free(packet);
}

/* ---- packets ---- */

size_t link_encode_request(struct keeper_link *link, const struct crpc_nano_method *method,
    const void *message, uint32_t stream_id)
{
    static uint8_t payload[KEEPER_PACKET_BYTES];
    size_t payload_len = 0;
    if (!crpc_nano_encode(method->request, message, payload, sizeof payload, &payload_len))
        return 0;
    struct rpc_request_envelope envelope = {
        .service = RPC_BYTES_OF_TEXT(keeper_service.name),
        .method = RPC_BYTES_OF_TEXT(method->name),
        .payload = {payload, payload_len},
    };
    size_t body_len = rpc_request_size(&envelope);
    if (RPC_FRAME_HEADER_BYTES + body_len > sizeof link->out)
        return 0;
    struct rpc_frame frame = {.body_len = (uint32_t)body_len,
        .stream_id = stream_id,
        .type = RPC_FRAME_REQUEST,
        .flags = RPC_FRAME_REMOTE_CLOSED};
    rpc_frame_encode(&frame, link->out);
    (void)rpc_request_encode(&envelope, link->out + RPC_FRAME_HEADER_BYTES);
    return RPC_FRAME_HEADER_BYTES + body_len;
}

bool link_decode_response(const struct keeper_link *link, size_t len, uint32_t *out_stream_id,
    struct rpc_response_envelope *out)
{
    struct rpc_frame frame;
    if (len < RPC_FRAME_HEADER_BYTES)
        return false;
    rpc_frame_decode(link->in, &frame);
    *out_stream_id = frame.stream_id;
    return frame.type == RPC_FRAME_RESPONSE && frame.body_len == len - RPC_FRAME_HEADER_BYTES &&
           rpc_response_decode(link->in + RPC_FRAME_HEADER_BYTES, frame.body_len, NULL, 0, out);
}

static void on_ready(uv_poll_t *poll, int status, int events);

static int poll_again(struct keeper_link *link)
{
    int events = UV_READABLE | (list_is_empty(&link->unsent) ? 0 : UV_WRITABLE);
    return uv_poll_start(&link->poll, events, on_ready);
}

static int keep_unsent(
    struct keeper_link *link, size_t len, const int *fds, size_t n_fds, struct error *error)
{
    struct unsent_packet *packet = malloc(sizeof *packet + len);
    if (packet == NULL)
        return error_set(error, STATUS_RESOURCE_EXHAUSTED, "no memory for a request to the keeper");
    packet->len = len;
    packet->n_fds = 0;
    memcpy(packet->bytes, link->out, len);
    for (size_t i = 0; i < n_fds; i++) {
        int copy = fcntl(fds[i], F_DUPFD_CLOEXEC, 0);
        if (copy < 0) {
            unsent_free(packet);
            return error_set_errno(error, errno, "keep a descriptor for the keeper");
        }
        packet->fds[packet->n_fds++] = copy;
    }
    list_append(&link->unsent, &packet->in_unsent);
    (void)poll_again(link);
    return 0;
}

static int transmit(
    struct keeper_link *link, size_t len, const int *fds, size_t n_fds, struct error *error)
{
    if (!list_is_empty(&link->unsent))
        return keep_unsent(link, len, fds, n_fds, error);
    int result = packet_send(link->fd, link->out, len, fds, n_fds);
    if (result == PACKET_WOULD_BLOCK)
        return keep_unsent(link, len, fds, n_fds, error);
    if (result == PACKET_FAILED)
        return error_set_errno(error, errno, "send a request to the keeper");
    /* PACKET_CLOSED: the poll handle will tell, and the call is done then. */
    return 0;
}

static int send_unsent(struct keeper_link *link)
{
    LIST_FOR_EACH_SAFE(at, &link->unsent)
    {
        struct unsent_packet *packet = CONTAINER_OF(at, struct unsent_packet, in_unsent);
        int result = packet_send(link->fd, packet->bytes, packet->len, packet->fds, packet->n_fds);
        if (result == PACKET_WOULD_BLOCK)
            return 0;
        if (result != 0)
            return result;
        list_remove(at);
        unsent_free(packet);
    }
    return poll_again(link);
}

/* ---- calls ---- */

struct link_call *link_call_new(
    struct keeper_link *link, link_finish_fn finish, void *data, struct error *error)
{
    if (link->is_closing || link->is_lost) {
        (void)error_set(error, STATUS_UNAVAILABLE, "the keeper is gone");
        return NULL;
    }
    if (link->n_calls >= KEEPER_CALLS_MAX) {
        (void)error_set(error, STATUS_RESOURCE_EXHAUSTED, "too many calls wait for the keeper");
        return NULL;
    }
    struct link_call *call = calloc(1, sizeof *call);
    if (call == NULL) {
        (void)error_set(error, STATUS_RESOURCE_EXHAUSTED, "no memory for a call to the keeper");
        return NULL;
    }
    list_init(&call->in_flight);
    call->finish = finish;
    call->data = data;
    return call;
}

void link_call_free(struct link_call *call)
{
    if (call == NULL)
        return;
    free(call->children);
    free(call);
}

int link_send(struct keeper_link *link, const char *method, const void *request, const int *fds,
    size_t n_fds, struct link_call *call, struct error *error)
{
    const struct crpc_nano_method *row = crpc_nano_find(&keeper_service, method, strlen(method));
    uint32_t stream_id = link->next_stream_id;
    size_t len = link_encode_request(link, row, request, stream_id);
    if (len == 0)
        return error_set(
            error, STATUS_INVALID_ARGUMENT, "request to the keeper is too long: %s", method);
    int result = transmit(link, len, fds, n_fds, error);
    if (result != 0)
        return result;
    /* Odd numbers; after 2^31 calls they begin again, and the oldest call is long done. */
    link->next_stream_id = stream_id + 2;
    call->stream_id = stream_id;
    list_append(&link->calls, &call->in_flight);
    link->n_calls++;
    if (!call->is_patient)
        link_silence_began(link);
    return 0;
}

static void call_finish(struct keeper_link *link, struct link_call *call, int result,
    struct rpc_bytes payload, const struct error *error)
{
    list_remove(&call->in_flight);
    link->n_calls--;
    if (!call->is_patient)
        link_silence_ended(link);
    if (call->finish(link, call, result, payload, error) <= 0)
        link_call_free(call);
}

static void fail_calls(struct keeper_link *link, const struct error *error)
{
    struct list failed;
    list_init(&failed);
    list_move_all(&failed, &link->calls);
    while (!list_is_empty(&failed)) {
        struct link_call *call = CONTAINER_OF(failed.next, struct link_call, in_flight);
        call_finish(link, call, -(int)error->code, (struct rpc_bytes){0}, error);
    }
}

void link_lose(struct keeper_link *link, const char *why)
{
    if (link->is_lost)
        return;
    struct error error = ERROR_INIT;
    (void)error_set(&error, STATUS_UNAVAILABLE, "the keeper's link has ended: %s", why);
    link->is_lost = true;
    (void)uv_poll_stop(&link->poll);
    fail_calls(link, &error);
    if (!link->is_closing && link->events != NULL)
        link->events->lost(link->events_data, &error);
}

static struct link_call *find_call(const struct keeper_link *link, uint32_t stream_id)
{
    LIST_FOR_EACH(at, &link->calls)
    {
        struct link_call *call = CONTAINER_OF(at, struct link_call, in_flight);
        if (call->stream_id == stream_id)
            return call;
    }
    return NULL;
}

static bool handle_packet(struct keeper_link *link, size_t len)
{
    uint32_t stream_id = 0;
    struct rpc_response_envelope response;
    if (!link_decode_response(link, len, &stream_id, &response))
        return false;
    struct link_call *call = find_call(link, stream_id);
    if (call == NULL)
        return false;
    if (response.code == 0) {
        call_finish(link, call, 0, response.payload, NULL);
        return true;
    }
    struct error error = ERROR_INIT;
    bool is_known = response.code > 0 && response.code < STATUS_CODE_COUNT;
    enum status_code code = is_known ? (enum status_code)response.code : STATUS_UNKNOWN;
    (void)error_set(&error, code, "keeper: %.*s", (int)response.message.len,
        response.message.len > 0 ? (const char *)response.message.data : "");
    call_finish(link, call, -(int)code, (struct rpc_bytes){0}, &error);
    return true;
}

static void receive(struct keeper_link *link)
{
    while (!link->is_closing && !link->is_lost) {
        int fds[PACKET_DESCRIPTORS_MAX];
        size_t n_fds = 0;
        size_t len = 0;
        int result = packet_receive(link->fd, link->in, sizeof link->in, &len, fds, &n_fds);
        if (result == PACKET_WOULD_BLOCK)
            return;
        link->answer_fds = fds;
        link->n_answer_fds = n_fds;
        if (result != 0)
            link_lose(link, result == PACKET_CLOSED ? "closed" : strerrordesc_np(errno));
        else if (!handle_packet(link, len))
            link_lose(link, "the keeper broke the protocol");
        /* What nobody has taken. */
        for (size_t i = 0; i < n_fds; i++)
            fd_close(&fds[i]);
        link->n_answer_fds = 0;
    }
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
    struct keeper_link *link = poll->data;
    if (status < 0 && status != UV_EBADF) {
        link_lose(link, uv_strerror(status));
        return;
    }
    if ((events & UV_WRITABLE) != 0 && send_unsent(link) != 0) {
        link_lose(link, "request cannot be sent");
        return;
    }
    receive(link);
}

/* ---- life ---- */

static void free_memory(struct keeper_link *link)
{
    union {
        const struct keeper_shared *read_only;
        void *writable;
    } mapping = {.read_only = link->shared};
    if (mapping.writable != NULL)
        (void)munmap(mapping.writable, sizeof(struct keeper_shared));
    for (size_t slot = 0; slot < link->n_pipes; slot++)
        link_drop_pipes(link, (uint32_t)slot);
    free(link->pipes);
    int *const held[] = {&link->shared_fd, &link->lock_fd, &link->inventory_fd, &link->image_fd,
        &link->keeper_pidfd, &link->daemon_pipes.pipe_fd, &link->daemon_pipes.private_fd};
    for (size_t i = 0; i < ARRAY_LENGTH(held); i++)
        fd_close(held[i]);
    LIST_FOR_EACH_SAFE(at, &link->unsent)
    {
        unsent_free(CONTAINER_OF(at, struct unsent_packet, in_unsent));
    }
    fd_close(&link->fd);
    free(link);
}

static void free_link(struct keeper_link **link)
{
    if (*link != NULL)
        free_memory(*link);
}

int keeper_link_open(uv_loop_t *loop, int fd, int advance_fd, struct keeper_link **out,
    struct keeper_welcome *out_welcome, struct error *error)
{
    CLEANUP(fd_close) int advance = advance_fd;
    CLEANUP(free_link) struct keeper_link *link = calloc(1, sizeof *link);
    if (link == NULL) {
        fd_close(&fd);
        return error_set(error, STATUS_RESOURCE_EXHAUSTED, "no memory for the keeper's link");
    }
    link->fd = fd;
    link->shared_fd = link->lock_fd = link->inventory_fd = -1;
    link->image_fd = link->keeper_pidfd = -1;
    link->daemon_pipes = (struct link_pipes){.pipe_fd = -1, .private_fd = -1};
    link->next_stream_id = 1;
    list_init(&link->calls);
    list_init(&link->unsent);
    int result = link_greet(link, advance, out_welcome, error);
    if (result < 0)
        return result;
    int failure = uv_poll_init(loop, &link->poll, fd);
    if (failure == 0)
        failure = link_silence_open(link, loop);
    if (failure == 0) {
        link->poll.data = link;
        failure = link->is_lost ? 0 : poll_again(link);
    }
    if (failure != 0) {
        fd_close(&out_welcome->state_fd);
        fd_close(&out_welcome->listener_fd);
        fd_close(&out_welcome->notify_fd);
        return error_set(
            error, STATUS_INTERNAL, "watch the keeper's link: %s", uv_strerror(failure));
    }
    *out = link;
    link = NULL;
    return result;
}

static void on_closed(uv_handle_t *handle)
{
    struct keeper_link *link = handle->data;
    if (--link->open_handles == 0)
        free_memory(link);
}

void keeper_link_close(struct keeper_link *link)
{
    if (link == NULL || link->is_closing)
        return;
    link->is_closing = true;
    struct error error = ERROR_INIT;
    (void)error_set(&error, STATUS_UNAVAILABLE, "the keeper's link was closed");
    fail_calls(link, &error);
    link->open_handles = 2;
    uv_close((uv_handle_t *)&link->silence, on_closed);
    uv_close((uv_handle_t *)&link->poll, on_closed);
}

/* ---- facts ---- */

uint64_t keeper_link_strays_of(const struct keeper_link *link, uint64_t rttime_mark)
{
    if (rttime_mark == 0)
        return atomic_load(&link->shared->strays);
    return atomic_load(&link->shared->strays_marked[keeper_stray_place(rttime_mark)]) +
           atomic_load(&link->shared->strays_unmarked);
}

void keeper_link_output_loss(
    const struct keeper_link *link, uint32_t slot, struct keeper_output_loss *out)
{
    *out = (struct keeper_output_loss){0};
    if (slot >= KEEPER_SLOTS)
        return;
    const struct capture_counters *counters = &link->shared->outputs[slot];
    out->lost_bytes = atomic_load(&counters->lost_bytes);
    out->written_bytes = atomic_load(&counters->written_bytes);
    out->rotations = atomic_load(&counters->rotations);
    out->system_error = atomic_load(&counters->system_error);
    out->memory_id = link->shared_id;
}

const char *keeper_step_text(int step)
{
    static const char *const texts[KEEPER_STEP_COUNT] = {
#define KEEPER_STEP_TEXT(name, number, text) [KEEPER_STEP_##name] = (text),
        KEEPER_STEPS(KEEPER_STEP_TEXT)
#undef KEEPER_STEP_TEXT
    };
    return step >= 0 && step < KEEPER_STEP_COUNT ? texts[step] : "";
}

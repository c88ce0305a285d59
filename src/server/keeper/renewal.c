/* What is left, and leaving. */
#include "server/keeper/renewal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/base/fd.h"
#include "common/base/log.h"
#include "server/keeper/renewal_record.h"
#include "server/keeper/state.h"

/* ---- the state ---- */

/* What is written, and the first errno. */
struct writer {
    int fd;
    int failure;
};

static void put(
    struct writer *writer, enum renewal_kind kind, const pb_msgdesc_t *type, const void *message)
{
    static uint8_t bytes[RENEWAL_RECORD_BYTES];
    size_t len = 0;
    if (writer->failure != 0)
        return;
    if (!crpc_nano_encode(type, message, bytes, sizeof bytes, &len)) {
        writer->failure = EMSGSIZE;
        return;
    }
    struct renewal_header header = {.kind = (uint32_t)kind, .len = (uint32_t)len};
    struct error error = ERROR_INIT;
    if (fd_write_all(writer->fd, &header, sizeof header, &error) != 0 ||
        fd_write_all(writer->fd, bytes, len, &error) != 0)
        writer->failure = errno != 0 ? errno : EIO;
}

static void put_head(struct writer *writer, const struct keeper *keeper)
{
    static flocks_keeper_v1_RenewalHead head;
    head = (flocks_keeper_v1_RenewalHead){
        .format = KEEPER_RENEWAL,
        .lowest_format = KEEPER_RENEWAL_LOWEST,
        .state_fd = keeper->state_fd,
        .shared_fd = keeper->outputs.shared_fd,
        .listener_fd = keeper->files.listener_fd,
        .notify_fd = keeper->files.notify_fd,
        .lock_fd = keeper->files.lock_fd,
        .inventory_fd = keeper->inventory_fd,
        .link_fd = keeper->link.fd,
        .flocksd_fd = keeper->server.image.fd,
        .keeper_fd = keeper->own_image.fd,
        .unreachable = keeper->is_unreachable,
        .foreground = keeper->is_foreground,
        .server_pid = keeper->server.pid,
        .server_starts = keeper->server.starts,
        .captor_pid = keeper->captor.pid,
        .wait_stream_id = keeper->link.wait_stream_id,
        .wait_after = keeper->link.wait_after,
        .last_sequence = keeper->children.last_sequence,
        .link_protocol = keeper->link.protocol,
    };
    (void)snprintf(head.version, sizeof head.version, "%s", FLOCKS_VERSION);
    memcpy(head.invocation, keeper->invocation, sizeof head.invocation);
    (void)snprintf(head.keeper_path, sizeof head.keeper_path, "%s", keeper->own_image.path);
    (void)snprintf(
        head.operation_id, sizeof head.operation_id, "%s", keeper->replacement.operation_id);
    memcpy(head.server_version, keeper->server.version, sizeof head.server_version);
    put(writer, RENEWAL_HEAD, &flocks_keeper_v1_RenewalHead_msg, &head);
}

static void put_outputs(struct writer *writer, const struct outputs *outputs)
{
    static flocks_keeper_v1_RenewalOutput record;
    for (size_t place = 0; place < CAPTURE_ENTRIES; place++) {
        const struct output *output = &outputs->table[place];
        if (!output->is_used)
            continue;
        record = (flocks_keeper_v1_RenewalOutput){
            .slot = output->slot,
            .keep = output->keep,
            .max_size = output->max_size,
            .pipe_fd = output->pipe_fd,
            .private_fd = output->private_fd,
            .is_closing = output->is_closing,
            .awaits_path = output->awaits_path,
        };
        (void)snprintf(
            record.path, sizeof record.path, "%s", text_pool_get(&outputs->paths, place));
        put(writer, RENEWAL_OUTPUT, &flocks_keeper_v1_RenewalOutput_msg, &record);
    }
}

static void put_children(struct writer *writer, const struct children *children)
{
    for (size_t place = 0; place < KEEPER_CHILDREN; place++) {
        const struct child *child = &children->table[place];
        if (child->state == CHILD_FREE)
            continue;
        flocks_keeper_v1_RenewalChild record = {
            .place = (uint32_t)place,
            .state = (uint32_t)child->state,
            .slot = child->slot,
            .generation = child->generation,
            .pid = child->pid,
            .start_ticks = child->start_ticks,
            .rttime_mark = child->rttime_mark,
            .wait_status = child->wait_status,
            .adopted_fd = child->adopted_fd,
            .is_newest = children->newest[child->slot] == place + 1,
        };
        memcpy(record.invocation, child->invocation, sizeof record.invocation);
        put(writer, RENEWAL_CHILD, &flocks_keeper_v1_RenewalChild_msg, &record);
    }
    for (uint32_t slot = 0; slot < KEEPER_SLOTS; slot++) {
        const flocks_keeper_v1_RenewalSlot record = {
            .slot = slot, .last_generation = children->last_generation[slot]};
        if (record.last_generation != 0)
            put(writer, RENEWAL_SLOT, &flocks_keeper_v1_RenewalSlot_msg, &record);
    }
}

static void put_exits(struct writer *writer, const struct children *children)
{
    for (size_t i = 0; i < children->n_exits; i++) {
        size_t at = (children->first_exit + i) % CHILDREN_EXITS;
        const struct keeper_exit *exit = &children->exits[at];
        const flocks_keeper_v1_RenewalExit record = {
            .place = children->exit_places[at],
            .has_exit = true,
            .exit =
                {
                    .sequence = exit->sequence,
                    .slot = exit->slot,
                    .generation = exit->generation,
                    .pid = exit->pid,
                    .wait_status = exit->wait_status,
                    .at_ns = (uint64_t)exit->at_ns,
                    .stray = exit->stray,
                    .unknown = exit->unknown,
                },
        };
        put(writer, RENEWAL_EXIT, &flocks_keeper_v1_RenewalExit_msg, &record);
    }
}

int renewal_write(const struct keeper *keeper, int *out_fd)
{
    CLEANUP(fd_close) int fd = memfd_create("flocks-renewal", MFD_CLOEXEC);
    struct writer writer = {.fd = fd};
    if (fd < 0)
        return errno;
    put_head(&writer, keeper);
    put_outputs(&writer, &keeper->outputs);
    put_children(&writer, &keeper->children);
    put_exits(&writer, &keeper->children);
    /* What is cut off is known by the lack of it. */
    put(&writer, RENEWAL_END, &flocks_keeper_v1_RenewalSlot_msg,
        &(flocks_keeper_v1_RenewalSlot){0});
    if (writer.failure == 0)
        *out_fd = fd_take(&fd);
    return writer.failure;
}

/* ---- leaving ---- */

int renewal_execute(struct keeper *keeper, const struct image *image)
{
    CLEANUP(fd_close) int fd = -1;
    int failure = renewal_write(keeper, &fd);
    if (failure != 0)
        return failure;
    (void)snprintf(keeper->renewal_number, sizeof keeper->renewal_number, "%d", fd);
    log_info("keeper executes another image", "path=%s", image->path);
    if (renewal_let_through(keeper, true) == 0 && fcntl(fd, F_SETFD, 0) == 0)
        /* All signals that we listen to are blocked, and stay so: they wait for the next one. */
        failure = image_execute(image, keeper->renewal_arguments);
    else
        failure = errno;
    (void)!renewal_let_through(keeper, false);
    return failure;
}

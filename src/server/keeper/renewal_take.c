/* Going on where another image of the keeper left. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/fd.h"
#include "common/base/log.h"
#include "server/keeper/options.h"
#include "server/keeper/renewal.h"
#include "server/keeper/renewal_record.h"
#include "server/keeper/state.h"

/* ---- reading ---- */

static int damaged(struct error *error, const char *what)
{
    return error_set(
        error, STATUS_DATA_LOSS, "the state of the keeper before is damaged: %s", what);
}

static int check_number(const flocks_keeper_v1_RenewalHead *head, struct error *error)
{
    if (head->lowest_format <= KEEPER_RENEWAL && head->format >= KEEPER_RENEWAL_LOWEST)
        return 0;
    return error_set(error, STATUS_FAILED_PRECONDITION,
        "the state of keeper %s has the number %u (%u), this one reads %d to %d", head->version,
        (unsigned)head->format, (unsigned)head->lowest_format, KEEPER_RENEWAL_LOWEST,
        KEEPER_RENEWAL);
}

static int take_head(
    struct keeper *keeper, const flocks_keeper_v1_RenewalHead *head, struct error *error)
{
    int result = check_number(head, error);
    if (result != 0)
        return result;
    memcpy(keeper->invocation, head->invocation, sizeof keeper->invocation);
    keeper->state_fd = head->state_fd;
    keeper->outputs.shared_fd = head->shared_fd;
    keeper->files.listener_fd = head->listener_fd;
    keeper->files.notify_fd = head->notify_fd;
    keeper->files.lock_fd = head->lock_fd;
    keeper->inventory_fd = head->inventory_fd;
    keeper->is_unreachable = head->unreachable;
    keeper->is_foreground = head->foreground;
    keeper->earlier_image.fd = head->keeper_fd;
    (void)snprintf(
        keeper->earlier_image.path, sizeof keeper->earlier_image.path, "%s", head->keeper_path);
    keeper->server.image.fd = head->flocksd_fd;
    keeper->server.pid = head->server_pid;
    keeper->server.starts = head->server_starts;
    keeper->server.is_ready = keeper->server.was_ready = true;
    memcpy(keeper->server.version, head->server_version, sizeof keeper->server.version);
    keeper->captor.pid = head->captor_pid;
    keeper->link.fd = head->link_fd;
    keeper->link.protocol = head->link_protocol;
    keeper->link.wait_stream_id = head->wait_stream_id;
    keeper->link.wait_after = head->wait_after;
    keeper->children.last_sequence = head->last_sequence;
    (void)snprintf(keeper->replacement.operation_id, sizeof keeper->replacement.operation_id, "%s",
        head->operation_id);
    return 0;
}

static int take_output(
    struct keeper *keeper, const flocks_keeper_v1_RenewalOutput *record, struct error *error)
{
    const struct output output = {
        .is_closing = record->is_closing,
        .awaits_path = record->awaits_path,
        .slot = record->slot,
        .keep = record->keep,
        .max_size = record->max_size,
        .pipe_fd = record->pipe_fd,
        .private_fd = record->private_fd,
    };
    if (outputs_restore(&keeper->outputs, &output, record->path) != 0)
        return damaged(error, "an output");
    return 0;
}

static int take_child(
    struct keeper *keeper, const flocks_keeper_v1_RenewalChild *record, struct error *error)
{
    struct child child = {
        .state = (enum child_state)record->state,
        .slot = record->slot,
        .generation = record->generation,
        .pid = record->pid,
        .start_ticks = record->start_ticks,
        .rttime_mark = record->rttime_mark,
        .wait_status = record->wait_status,
        .adopted_fd = record->adopted_fd,
    };
    memcpy(child.invocation, record->invocation, sizeof child.invocation);
    if (!children_restore(&keeper->children, record->place, &child, record->is_newest))
        return damaged(error, "a child");
    keeper->calls[record->place].report_fd = -1;
    return 0;
}

static int take_slot(
    struct keeper *keeper, const flocks_keeper_v1_RenewalSlot *record, struct error *error)
{
    if (record->slot >= KEEPER_SLOTS)
        return damaged(error, "a slot");
    keeper->children.last_generation[record->slot] = record->last_generation;
    return 0;
}

static int take_exit(
    struct keeper *keeper, const flocks_keeper_v1_RenewalExit *record, struct error *error)
{
    const struct keeper_exit exit = {
        .sequence = record->exit.sequence,
        .slot = record->exit.slot,
        .generation = record->exit.generation,
        .pid = record->exit.pid,
        .wait_status = record->exit.wait_status,
        .at_ns = (int64_t)record->exit.at_ns,
        .stray = record->exit.stray,
        .unknown = record->exit.unknown,
    };
    if (!children_restore_exit(&keeper->children, record->place, &exit))
        return damaged(error, "an exit");
    return 0;
}

union record {
    flocks_keeper_v1_RenewalHead head;
    flocks_keeper_v1_RenewalOutput output;
    flocks_keeper_v1_RenewalChild child;
    flocks_keeper_v1_RenewalSlot slot;
    flocks_keeper_v1_RenewalExit exit;
};

static const pb_msgdesc_t *type_of(uint32_t kind)
{
    switch ((enum renewal_kind)kind) {
    case RENEWAL_HEAD:
        return &flocks_keeper_v1_RenewalHead_msg;
    case RENEWAL_OUTPUT:
        return &flocks_keeper_v1_RenewalOutput_msg;
    case RENEWAL_CHILD:
        return &flocks_keeper_v1_RenewalChild_msg;
    case RENEWAL_SLOT:
        return &flocks_keeper_v1_RenewalSlot_msg;
    case RENEWAL_EXIT:
        return &flocks_keeper_v1_RenewalExit_msg;
    case RENEWAL_END:
        break;
    }
    return NULL;
}

static int take_record(
    struct keeper *keeper, uint32_t kind, const union record *record, struct error *error)
{
    switch ((enum renewal_kind)kind) {
    case RENEWAL_HEAD:
        return take_head(keeper, &record->head, error);
    case RENEWAL_OUTPUT:
        return take_output(keeper, &record->output, error);
    case RENEWAL_CHILD:
        return take_child(keeper, &record->child, error);
    case RENEWAL_SLOT:
        return take_slot(keeper, &record->slot, error);
    case RENEWAL_EXIT:
        return take_exit(keeper, &record->exit, error);
    case RENEWAL_END:
        break;
    }
    return 0;
}

int renewal_parse(struct keeper *keeper, const uint8_t *bytes, size_t len, struct error *error)
{
    static union record record;
    size_t at = 0;
    for (bool is_first = true;; is_first = false) {
        struct renewal_header header;
        if (len - at < sizeof header)
            return damaged(error, "it is cut off");
        memcpy(&header, bytes + at, sizeof header);
        at += sizeof header;
        if (is_first != (header.kind == RENEWAL_HEAD) || header.len > len - at)
            return damaged(error, "a record");
        const pb_msgdesc_t *type = type_of(header.kind);
        if (type != NULL && !crpc_nano_decode(type, bytes + at, header.len, &record))
            return damaged(error, "a record's contents");
        int result = type != NULL ? take_record(keeper, header.kind, &record, error) : 0;
        if (result != 0)
            return result;
        at += header.len;
        if (header.kind == RENEWAL_END)
            return 0;
    }
}

int renewal_read(struct keeper *keeper, int fd, struct error *error)
{
    struct stat status;
    if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode) || status.st_size <= 0)
        return damaged(error, "there is none");
    size_t len = (size_t)status.st_size;
    void *memory = mmap(NULL, len, PROT_READ, MAP_PRIVATE, fd, 0);
    if (memory == MAP_FAILED)
        return error_set_errno(error, errno, "read the state of the keeper before");
    int result = renewal_parse(keeper, memory, len, error);
    (void)munmap(memory, len);
    if (result == 0)
        children_adopted(&keeper->children, keeper->children.last_sequence);
    return result;
}

/* ---- taking ---- */

static int set_flags(int fd, int flags)
{
    return fd < 0 ? 0 : fcntl(fd, F_SETFD, flags);
}

int renewal_let_through(const struct keeper *keeper, bool on)
{
    int flags = on ? 0 : FD_CLOEXEC;
    const int single[] = {keeper->state_fd, keeper->outputs.shared_fd, keeper->files.listener_fd,
        keeper->files.notify_fd, keeper->files.lock_fd, keeper->inventory_fd, keeper->link.fd,
        keeper->server.image.fd, keeper->own_image.fd, keeper->earlier_image.fd};
    int result = 0;
    for (size_t i = 0; i < ARRAY_LENGTH(single); i++)
        result |= set_flags(single[i], flags);
    for (size_t place = 0; place < CAPTURE_ENTRIES; place++) {
        const struct output *output = &keeper->outputs.table[place];
        if (!output->is_used)
            continue;
        result |= set_flags(output->pipe_fd, flags);
        result |= set_flags(output->private_fd, flags);
    }
    for (size_t place = 0; place < KEEPER_CHILDREN; place++)
        if (keeper->children.table[place].adopted_fd > 0)
            result |= set_flags(keeper->children.table[place].adopted_fd, flags);
    return result;
}

int renewal_take(struct keeper *keeper, struct error *error)
{
    if (renewal_let_through(keeper, false) != 0)
        return error_set_errno(error, errno, "take over the descriptors of the keeper before");
    int result = inventory_open(keeper->inventory_fd, &keeper->inventory, error);
    if (result != 0)
        return result;
    int failure = outputs_init(&keeper->outputs, keeper->outputs.shared_fd);
    if (failure != 0)
        return error_set_errno(error, failure, "take over the shared memory");
    const struct keeper_memory *memory = &keeper->outputs.shared->memory;
    keeper->descriptor_limit.rlim_cur = (rlim_t)atomic_load(&memory->descriptors_soft);
    keeper->descriptor_limit.rlim_max = (rlim_t)atomic_load(&memory->descriptors_hard);
    keeper->files.listener_name = memory->listener_name;
    keeper->files.notify_name = memory->notify_name;
    return 0;
}

void renewal_watch(struct keeper *keeper)
{
    link_take(keeper);
    for (size_t place = 0; place < KEEPER_CHILDREN; place++) {
        int fd = keeper->children.table[place].adopted_fd;
        if (fd > 0)
            keeper_watch(keeper, EPOLL_CTL_ADD, fd, EPOLLIN, EVENT_ADOPTED, place);
    }
}

/* ---- command lines ---- */

enum { RENEWAL_ARGUMENTS = 12 };

int renewal_plan(struct keeper *keeper, const struct keeper_options *options, struct error *error)
{
    static char name[] = "flocks-keeper";
    static char root[] = "--root";
    static char config[] = "--config";
    static char flocksd[] = "--flocksd";
    static char renew[] = "--renew";
    static char foreground[] = "--foreground";
    static char end[] = "--";
    size_t n_options = 0;
    while (options->server_options[n_options] != NULL)
        n_options++;
    char **arguments = calloc(RENEWAL_ARGUMENTS + n_options + 1, sizeof *arguments);
    if (arguments == NULL)
        return error_set(error, STATUS_RESOURCE_EXHAUSTED, "no memory for the command line");
    char *const fixed[] = {name, root, keeper->paths.root, config, keeper->paths.config, flocksd,
        keeper->server.image.path, renew, keeper->renewal_number};
    memcpy(arguments, fixed, sizeof fixed);
    size_t n = ARRAY_LENGTH(fixed);
    if (options->foreground)
        arguments[n++] = foreground;
    arguments[n++] = end;
    memcpy(arguments + n, options->server_options, n_options * sizeof(char *));
    keeper->renewal_arguments = arguments;
    /* Without it we are run by name alone. */
    (void)!image_open(&keeper->own_image, "/proc/self/exe");
    ssize_t len = readlink("/proc/self/exe", keeper->own_image.path, PATH_MAX - 1);
    keeper->own_image.path[len > 0 ? len : 0] = '\0';
    return 0;
}

void renewal_return(struct keeper *keeper, const struct keeper_options *options, const char *why)
{
    static char returned[] = "--returned";
    static char text[ERROR_TEXT_MAX];
    /* One that has been returned to has nobody else. */
    if (keeper->earlier_image.fd < 0 || keeper->renewal_arguments == NULL ||
        options->returned != NULL)
        return;
    (void)snprintf(text, sizeof text, "%s", why);
    size_t n = 0;
    while (keeper->renewal_arguments[n] != NULL)
        n++;
    char **arguments = calloc(n + 3, sizeof *arguments);
    if (arguments == NULL)
        return;
    /* Behind the program's name. */
    arguments[0] = keeper->renewal_arguments[0];
    arguments[1] = returned;
    arguments[2] = text;
    memcpy(arguments + 3, keeper->renewal_arguments + 1, (n - 1) * sizeof *arguments);
    (void)snprintf(keeper->renewal_number, sizeof keeper->renewal_number, "%d", options->renew_fd);
    log_error("keeper cannot go on, the image before it does", "error=\"%s\"", why);
    if (renewal_let_through(keeper, true) == 0 && fcntl(options->renew_fd, F_SETFD, 0) == 0)
        (void)image_execute(&keeper->earlier_image, arguments);
    free(arguments);
}

/* ---- as a program of its own ---- */

int renewal_check(struct keeper *keeper)
{
    enum { STATE_FD = 3, SHARED_FD = 4, INVENTORY_FD = 5 };
    struct error error = ERROR_INIT;
    struct stat status;
    struct inventory *inventory = NULL;
    int result = renewal_read(keeper, STATE_FD, &error);
    if (result == 0)
        result = inventory_open(INVENTORY_FD, &inventory, &error);
    if (result == 0 &&
        (fstat(SHARED_FD, &status) != 0 || status.st_size < (off_t)sizeof(struct keeper_shared)))
        result = error_set(&error, STATUS_FAILED_PRECONDITION,
            "the shared memory of the keeper before is too small");
    (void)printf(
        "%s %s\n", result == 0 ? "flocks-keeper" : "", result == 0 ? FLOCKS_VERSION : error.text);
    return result == 0 ? 0 : 1;
}

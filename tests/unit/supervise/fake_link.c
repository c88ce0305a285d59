#include "fake_link.h"

#include <assert.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/clock.h"

enum {
    /* Beyond any pid_max: no real process is ever touched. */
    FIRST_PID = 0x40000000
};

void fake_paths(struct paths *out)
{
    int pid = (int)getpid();

    (void)snprintf(out->root, sizeof out->root, "/nonexistent/flocks-%d", pid);
    (void)snprintf(out->run, sizeof out->run, "/nonexistent/flocks-%d/run", pid);
    (void)snprintf(out->logs, sizeof out->logs, "/nonexistent/flocks-%d/logs", pid);
}

void fake_link_open(struct fake_keeper *keeper, struct keeper_link *out)
{
    *out = (struct keeper_link){.keeper = keeper};
    if (keeper->next_pid == 0)
        keeper->next_pid = FIRST_PID;
}

/* ---- what a test does ---- */

static uint64_t start_ticks(const struct fake_keeper *keeper)
{
    return keeper->start_ticks != 0 ? keeper->start_ticks : UINT64_MAX;
}

static struct keeper_child listed_child(const struct fake_keeper *keeper, uint32_t slot)
{
    const struct fake_child *child = &keeper->children[slot];
    struct keeper_child listed = {.slot = slot,
        .generation = child->generation,
        .pid = child->pid,
        .start_ticks = start_ticks(keeper),
        .rttime_mark = child->mark};

    memcpy(listed.invocation, child->invocation, sizeof listed.invocation);
    return listed;
}

void fake_link_answer_list(struct keeper_link *link)
{
    struct keeper_child children[FAKE_SLOTS];
    size_t n = 0;

    assert(link->listed != NULL);
    for (uint32_t slot = 0; slot < FAKE_SLOTS; slot++) {
        if (link->keeper->children[slot].alive)
            children[n++] = listed_child(link->keeper, slot);
    }
    link->listed(link->listed_data, 0, children, n, NULL);
}

void fake_link_answer_spawns(struct keeper_link *link)
{
    unsigned n = link->n_spawning;

    link->n_spawning = 0;
    for (unsigned i = 0; i < n; i++) {
        struct keeper_spawned spawned = {.pid = link->keeper->children[link->spawning[i].slot].pid,
            .start_ticks = start_ticks(link->keeper)};

        if (link->refuses != 0) {
            link->keeper->children[link->spawning[i].slot].alive = false;
            spawned = (struct keeper_spawned){
                .failed_step = KEEPER_STEP_EXEC, .system_error = link->refuses};
        }
        link->spawning[i].done(link->spawning[i].data, 0, &spawned, NULL);
    }
}

void fake_link_close(struct keeper_link *link)
{
    unsigned n = link->n_spawning;

    link->n_spawning = 0;
    for (unsigned i = 0; i < n; i++)
        link->spawning[i].done(link->spawning[i].data, -STATUS_UNAVAILABLE, NULL, NULL);
}

void fake_keeper_copy_state(struct fake_keeper *keeper, int state_fd)
{
    struct stat status;
    off_t offset = 0;

    keeper->state_copy_fd = memfd_create("copy", MFD_CLOEXEC);
    assert(fstat(state_fd, &status) == 0);
    while (offset < status.st_size)
        assert(sendfile(keeper->state_copy_fd, state_fd, &offset,
                   (size_t)(status.st_size - offset)) > 0);
}

struct keeper_exit fake_link_end_child(
    struct fake_keeper *keeper, struct keeper_link *link, uint32_t slot, int wait_status)
{
    struct fake_child *child = &keeper->children[slot];
    struct keeper_exit exit = {.sequence = ++keeper->sequence,
        .slot = slot,
        .generation = child->generation,
        .pid = child->pid,
        .wait_status = wait_status,
        .at_ns = clock_boottime_ns()};

    assert(child->alive);
    child->alive = false;
    if (link != NULL)
        link->events->exited(link->events_data, &exit);
    return exit;
}

/* ---- what the supervisor calls ---- */

int keeper_link_watch(struct keeper_link *link, const struct keeper_link_events *events, void *data,
    struct error *error)
{
    (void)error;
    link->events = events;
    link->events_data = data;
    return 0;
}

int keeper_link_register_output(struct keeper_link *link, const struct keeper_output *output,
    keeper_done_fn done, void *data, struct error *error)
{
    assert(output->slot < FAKE_SLOTS);
    (void)snprintf(link->keeper->outputs[output->slot], sizeof link->keeper->outputs[0], "%s",
        output->log_path);
    link->keeper->output_sizes[output->slot] = output->max_size;
    (void)done;
    (void)data;
    (void)error;
    return 0;
}

int keeper_link_spawn(struct keeper_link *link, const struct keeper_spawn *spawn,
    keeper_spawned_fn done, void *data, struct error *error)
{
    struct fake_child *child = &link->keeper->children[spawn->slot];

    (void)error;
    assert(spawn->slot < FAKE_SLOTS && link->n_spawning < FAKE_CALLS_MAX);
    /* Nothing is started twice: not two at once, never a number again. */
    assert(!child->alive && spawn->generation > child->generation);
    child->alive = true;
    child->generation = spawn->generation;
    child->pid = link->keeper->next_pid++;
    child->mark = spawn->rttime_mark;
    memcpy(child->invocation, spawn->invocation, sizeof child->invocation);
    link->keeper->spawns++;
    if (link->keeper->copies_state_from != 0)
        fake_keeper_copy_state(link->keeper, link->keeper->copies_state_from);
    link->keeper->copies_state_from = 0;
    link->spawning[link->n_spawning].done = done;
    link->spawning[link->n_spawning].data = data;
    link->spawning[link->n_spawning++].slot = spawn->slot;
    return 0;
}

int keeper_link_signal(struct keeper_link *link, uint32_t slot, uint32_t generation,
    int signal_number, enum keeper_scope scope, keeper_done_fn done, void *data,
    struct error *error)
{
    (void)generation;
    (void)scope;
    (void)done;
    (void)data;
    (void)error;
    if (signal_number == SIGCONT)
        return 0;
    link->keeper->signalled[link->keeper->signals++ % FAKE_CALLS_MAX] = slot;
    return 0;
}

int keeper_link_list(
    struct keeper_link *link, keeper_listed_fn done, void *data, struct error *error)
{
    (void)error;
    link->listed = done;
    link->listed_data = data;
    return 0;
}

void keeper_link_acknowledge(struct keeper_link *link, uint64_t sequence)
{
    link->keeper->acknowledged = sequence;
}

int keeper_link_prepare(struct keeper_link *link, const struct keeper_images *images,
    keeper_done_fn done, void *data, struct error *error)
{
    (void)error;
    (void)snprintf(link->keeper->prepared, sizeof link->keeper->prepared, "%s %s %s %s",
        images->flocksd_path, images->keeper_path, images->expected_version,
        images->expected_keeper_version);
    link->keeper->prepared_done = done;
    link->keeper->prepared_data = data;
    return 0;
}

/* The number of its last child is kept: whoever gets the slot next must begin above it. */
int keeper_link_forget(
    struct keeper_link *link, uint32_t slot, keeper_done_fn done, void *data, struct error *error)
{
    (void)done;
    (void)data;
    (void)error;
    assert(slot < FAKE_SLOTS && !link->keeper->children[slot].alive);
    link->keeper->outputs[slot][0] = '\0';
    return 0;
}

uint64_t keeper_link_strays_of(const struct keeper_link *link, uint64_t rttime_mark)
{
    (void)rttime_mark;
    link->keeper->strays += link->keeper->strays_per_look;
    return link->keeper->strays;
}

void keeper_link_output_loss(
    const struct keeper_link *link, uint32_t slot, struct keeper_output_loss *out)
{
    (void)link;
    (void)slot;
    *out = (struct keeper_output_loss){.lost_bytes = 0};
}

const char *keeper_step_text(int step)
{
    return step == KEEPER_STEP_EXEC ? "execute it" : "";
}

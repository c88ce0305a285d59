/* The keeper's side of output: the pipes, and the capture process that empties them.
 *
 * The keeper holds both pipes of every output, so that bytes in flight outlive capture, and hands
 * them to each new capture. An output that is given up is kept until capture has reported its end.
 */
#ifndef FLOCKS_KEEPER_OUTPUTS_H
#define FLOCKS_KEEPER_OUTPUTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/attributes.h"
#include "server/keeper/link.h"
#include "server/keeper/shared.h"
#include "server/output/capture.h"
#include "server/output/text_pool.h"

struct output {
    bool is_used;
    /* Given up: `pipe_fd` is a reading end now, so that the pipe can come to its end. */
    bool is_closing;
    bool owes_open;
    bool owes_change;
    /* Taken over: where it goes is told by flocksd, which registers everything anew. */
    bool awaits_path;
    uint32_t slot;
    uint32_t keep;
    uint64_t max_size;
    int pipe_fd;    /* O_RDWR: keeps the pipe alive, and is opened anew for each child */
    int private_fd; /* O_RDWR, non-blocking */
};

/* Zero-filled storage becomes usable by outputs_init. */
struct outputs {
    struct output table[CAPTURE_ENTRIES];
    /* Of each slot: its output's place + 1, or 0. */
    uint16_t of_slot[KEEPER_SLOTS];
    struct text_pool paths;
    size_t n_used;
    size_t n_owed;
    int shared_fd;
    struct keeper_shared *shared;
    /* Our end of capture's orders, or -1. */
    int control_fd;
    /* No output may use a descriptor from here on. */
    int descriptor_bound;
};

/* `descriptor_bound` is the caller's to set (KEEPER_DESCRIPTOR_RESERVE). `shared_fd`: the shared
 * memory of a dead keeper (taken), or -1. 0 or an errno value. */
NODISCARD int outputs_init(struct outputs *outputs, int shared_fd);

/* Makes the slot's pipes, or changes its file; what is as it was is left alone. 0 or an errno value
 * (EMFILE, ENOSPC for paths). */
NODISCARD int outputs_register(
    struct outputs *outputs, uint32_t slot, const char *path, uint64_t max_size, uint32_t keep);
/* Takes over the pipes that a dead keeper made for the slot. ENOSPC: no place (the descriptors stay
 * the caller's). */
NODISCARD int outputs_adopt(struct outputs *outputs, uint32_t slot, int pipe_fd, int private_fd);
/* As another image of the keeper had it; nothing else must use the shared memory yet. ENOSPC, or
 * EINVAL: no such slot. */
NODISCARD int outputs_restore(
    struct outputs *outputs, const struct output *output, const char *path);
/* A private pipe for an output whose own is lost, or -1 with errno. */
int outputs_make_private(const struct outputs *outputs);
/* The slot's pipe (borrowed), or -1. */
int outputs_pipe(const struct outputs *outputs, uint32_t slot);
/* Both its pipes (borrowed). False: it has no output. */
bool outputs_pipes(const struct outputs *outputs, uint32_t slot, int out[2]);
void outputs_forget(struct outputs *outputs, uint32_t slot);
void outputs_forget_all(struct outputs *outputs);

/* A new capture listens at the other end of `control_fd`, which is taken: it is owed everything. */
void outputs_attach(struct outputs *outputs, int control_fd);
void outputs_detach(struct outputs *outputs);
/* Sends what is owed. True: the socket is full, call again when it is writable. */
bool outputs_flush(struct outputs *outputs);
/* Nothing is owed: capture may end when the outputs have. */
void outputs_end_orders(struct outputs *outputs);
/* Takes capture's reports. */
void outputs_receive(struct outputs *outputs);

#endif

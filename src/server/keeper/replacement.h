/* Other images of flocksd and of the keeper in place of the running ones, at flocksd's request, and
 * back when they are no good: nobody else is alive to decide that. The one policy of the keeper.
 *
 * Both are tried out beside the running ones first (PrepareReplace). Then flocksd is run anew
 * (Replace); the image it was is kept until the new one has said that it is ready. Last the keeper
 * executes its own new image in its own process (renewal.h). How it ended is told by WaitEvents. */
#ifndef FLOCKS_KEEPER_REPLACEMENT_H
#define FLOCKS_KEEPER_REPLACEMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "flocks/keeper/v1/keeper.nano.h"

#include "server/keeper/image.h"
#include "server/keeper/keeper.h"

enum replacement_phase {
    REPLACEMENT_NONE,
    /* Both images are being tried out; flocksd waits for the answer. */
    REPLACEMENT_CHECKING,
    /* One is no good; the other check, which was killed, has not ended. */
    REPLACEMENT_REFUSING,
    /* They are good; flocksd says when. */
    REPLACEMENT_PREPARED,
    /* The new flocksd runs, and has not been ready yet. */
    REPLACEMENT_TRYING,
    /* It was; the keeper follows as soon as no child is being set up. */
    REPLACEMENT_RENEWING,
    /* `failure` says how. */
    REPLACEMENT_ENDED
};

enum replacement_part { REPLACEMENT_FLOCKSD, REPLACEMENT_KEEPER, REPLACEMENT_PARTS };

/* An image that is asked what it is. */
struct image_check {
    pid_t pid;     /* 0: not running */
    int output_fd; /* -1: none */
    char said[KEEPER_CHECK_BYTES];
    size_t said_len;
    bool is_good;
};

/* Zero-filled storage becomes usable by replacement_init. */
struct replacement {
    enum replacement_phase phase;
    char operation_id[33];
    char failure[512];
    char expected[REPLACEMENT_PARTS][64]; /* versions; "": any */
    char versions[REPLACEMENT_PARTS][64];
    struct image images[REPLACEMENT_PARTS];
    struct image_check checks[REPLACEMENT_PARTS];
    uint32_t stream_id; /* of PrepareReplace; 0: nobody waits */
    /* What flocksd was. */
    struct image previous;
    char previous_version[32];
    uint32_t n_deaths;
    int64_t ends_at; /* of the phase; 0: it has no bound */
};

struct keeper;

void replacement_init(struct replacement *replacement);

/* Begins the checks; the answer is deferred. */
NODISCARD enum rpc_code replacement_prepare(
    struct keeper *keeper, const keeper_prepare_replace_request *request);
/* What a check says is readable. */
void replacement_heard(struct keeper *keeper, size_t part);
/* False: the process is none of ours. */
bool replacement_reaped(struct keeper *keeper, pid_t pid, int wait_status);

/* flocksd will be ended: the prepared image is the next one. */
NODISCARD enum rpc_code replacement_begin(struct keeper *keeper, const char *operation_id);
/* flocksd has said Hello; NULL: it speaks no number of ours. */
void replacement_greeted(struct keeper *keeper, const char *version);
void replacement_ready(struct keeper *keeper);
/* It has ended, `how` for people. True: another image is in its place, to be run at once. */
bool replacement_server_ended(struct keeper *keeper, const char *how);

/* The keeper was asked to end: whoever is tried does not know how far things are. */
void replacement_shut(struct keeper *keeper);
/* The phase's bound has passed. */
void replacement_expired(struct keeper *keeper);
/* The keeper may take its new image now, or is refused it. Does not return when all goes well. */
void replacement_turn(struct keeper *keeper);
/* `failure`: "" when both images are the new ones. */
void replacement_end(struct keeper *keeper, const char *failure);

/* Requests wait, because the keeper is about to change its image. */
static inline bool replacement_is_due(const struct replacement *replacement)
{
    return replacement->phase == REPLACEMENT_RENEWING;
}

#endif

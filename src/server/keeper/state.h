/* Everything the keeper is, in one place, and which file works on which part of it.
 *
 * One process, one instance, static storage: there is no heap after start. */
#ifndef FLOCKS_KEEPER_STATE_H
#define FLOCKS_KEEPER_STATE_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "flocks/keeper/v1/keeper.nano.h"

#include "common/base/attributes.h"
#include "common/base/error.h"
#include "common/base/paths.h"
#include "common/inventory/inventory.h"
#include "server/keeper/children.h"
#include "server/keeper/image.h"
#include "server/keeper/instance.h"
#include "server/keeper/keeper.h"
#include "server/keeper/outputs.h"
#include "server/keeper/packet.h"
#include "server/keeper/replacement.h"
#include "server/keeper/spawn.h"

/* What an epoll event is about: the kind above, a place in a table below. */
enum event_kind {
    EVENT_SIGNAL = 1,
    EVENT_LINK,
    EVENT_CAPTURE,
    EVENT_SPAWN_REPORT,
    EVENT_ADOPTED,
    EVENT_CHECK
};

enum keeper_phase {
    KEEPER_SERVING,
    /* Asked to end: flocksd ends the services. */
    KEEPER_ENDING,
    /* flocksd has said Leave, or cannot serve: it exits. */
    KEEPER_LEAVING,
    /* No flocksd any more; what is left is killed, capture empties the pipes. */
    KEEPER_DRAINING
};

/* flocksd: server.c. */
struct server {
    /* Run by descriptor or path: what was found at the start, or replaced it. */
    struct image image;
    char **arguments;
    pid_t pid; /* 0: does not run */
    /* As it said Hello. */
    char version[32];
    uint32_t starts;
    bool is_ready;
    bool was_ready;
    /* It said why it cannot serve. */
    bool has_failed;
    char complaint[256];
    /* Another image is to be run as soon as it has ended. */
    bool is_turned_back;
    /* Deaths before it was ready, since the keeper was asked to end. */
    uint32_t n_deaths;
    int rerun_delay_ms;
    int64_t rerun_at;
};

/* Capture: captor.c. */
struct captor {
    pid_t pid; /* 0: does not run */
    int64_t started_at;
    int64_t rerun_at;
};

/* The call behind a child that is being set up: spawning.c. */
struct spawn_call {
    int report_fd;      /* -1: none */
    uint32_t stream_id; /* 0: nobody waits for the answer */
    /* Known, but the link would have blocked. */
    bool is_due;
    struct spawn_failure failure;
};

/* The keeper's end of the link: service.c. */
struct link {
    int fd; /* -1: no flocksd */
    /* Of the call being served. */
    uint32_t stream_id;
    const char *message;
    int fds[PACKET_DESCRIPTORS_MAX];
    size_t n_fds;
    /* The answer is given later, by link_reply. */
    bool is_deferred;
    /* To go with the answer; borrowed. */
    int reply_fds[PACKET_DESCRIPTORS_MAX];
    size_t n_reply_fds;

    /* The long poll: 0, or its stream. */
    uint32_t wait_stream_id;
    uint64_t wait_after;
    /* To the flocksd at the other end; the next one is told again. */
    bool shutdown_told;
    bool replacement_told;
    /* The number that both speak. */
    uint32_t protocol;
    /* Requests wait in the socket. */
    bool is_paused;

    /* An answer that the socket did not take; while there is one, no request is read. */
    bool is_blocked;
    size_t blocked_len;
    size_t n_blocked_fds;
    int blocked_fds[PACKET_DESCRIPTORS_MAX];
    uint8_t out[KEEPER_PACKET_BYTES];
    uint8_t in[KEEPER_PACKET_BYTES];
    uint8_t payload[KEEPER_PACKET_BYTES];
    struct keeper_scratch scratch;
};

struct keeper {
    struct paths paths;
    struct instance_files files;
    int state_fd;
    int inventory_fd;
    int ready_fd;
    int epoll_fd;
    int signal_fd;
    /* Writing end of the daemon's own log, non-blocking. */
    int log_fd;
    /* As we were started: what children get. */
    struct rlimit descriptor_limit;
    uint8_t invocation[KEEPER_INVOCATION_BYTES];

    enum keeper_phase phase;
    int64_t phase_ends_at;
    /* When a flocksd that has not heard of the shutdown is replaced; 0: it has, or is new. */
    int64_t answer_by;
    /* Lock, sockets or inventory have lost their names and could not be made again. */
    bool is_unreachable;
    int shutdown_signal;
    int exit_code;
    bool is_foreground;

    struct server server;
    struct captor captor;
    struct link link;
    struct replacement replacement;
    /* What we are, and who we were until a moment ago. */
    struct image own_image;
    struct image earlier_image;
    /* The command line of the next image of ourselves; the number of its state is in it. */
    char **renewal_arguments;
    char renewal_number[16];
    struct spawn_call calls[KEEPER_CHILDREN];
    size_t n_due_calls;
    size_t n_spawning; /* whose exec has neither succeeded nor failed */
    struct children children;
    /* Adopted ones that have ended and whose status is awaited, until when for the first. */
    size_t n_dying;
    int64_t dying_at;
    struct outputs outputs;
    struct inventory *inventory;
};

/* ---- keeper.c: start, loop, end ---- */

/* Serves until the end; returns the process's exit code. From here on nothing allocates. */
NODISCARD int keeper_run(struct keeper *keeper);
/* Watches `fd`; `events` are epoll's. */
void keeper_watch(struct keeper *keeper, int operation, int fd, uint32_t events,
    enum event_kind kind, size_t place);
/* The shutdown begins, or goes on to the given phase. */
void keeper_enter(struct keeper *keeper, enum keeper_phase phase);

/* ---- reap.c: every process that ends ---- */
/* True: there are more, for the next turn. */
bool reap_all(struct keeper *keeper);

/* ---- adopted.c: children of the keeper before us ---- */
/* All that the inventory names; those that have ended are told as exits. */
void adopted_take_all(struct keeper *keeper);
/* The pidfd of this place has something to tell. */
void adopted_turn(struct keeper *keeper, size_t place);
/* Tells those whose status nobody will know any more. */
void adopted_give_up(struct keeper *keeper, int64_t now);
/* Of one that runs. 0 or an errno value; ESRCH: it has ended. */
NODISCARD int adopted_signal(const struct child *child, int number, bool to_group);

/* ---- rescue.c: pipes that nobody left us ---- */
/* Of every output that the dead keeper had; `captor`: its capture if that runs, else 0. */
void rescue_outputs(struct keeper *keeper, pid_t captor);

/* ---- server.c: flocksd ---- */
void server_start(struct keeper *keeper);
void server_exited(struct keeper *keeper, int wait_status);

/* ---- captor.c: capture ---- */
void captor_start(struct keeper *keeper);
void captor_exited(struct keeper *keeper, int wait_status);
/* Sends what capture is owed. */
void captor_flush(struct keeper *keeper);

/* ---- service.c: the link ---- */
void link_open(struct keeper *keeper, int fd);
void link_close(struct keeper *keeper);
/* Readable or writable. */
void link_turn(struct keeper *keeper, uint32_t events);
/* Answers a deferred call. False: the link is blocked, nothing was sent or kept. */
bool link_reply(
    struct keeper *keeper, uint32_t stream_id, const pb_msgdesc_t *type, const void *response);
/* Answers a deferred call with a refusal. False: the link is gone or blocked, nothing was sent. */
bool link_refuse(
    struct keeper *keeper, uint32_t stream_id, enum rpc_code code, const char *message);
/* Requests are left in the socket; and no longer. */
void link_pause(struct keeper *keeper);
void link_resume(struct keeper *keeper);
/* The answer to Hello in advance, of a flocksd that will be run: to be left to it at *out_fd
 * (close- on-exec), and closed here then. Negative: errno says why. */
NODISCARD int link_advance(struct keeper *keeper, int *out_fd);
/* Goes on with a link that another image of the keeper has opened. */
void link_take(struct keeper *keeper);
/* Answers the long poll if there is something to tell. */
void link_tell_events(struct keeper *keeper);

/* ---- handlers.c: one function per method ---- */
/* What Hello is answered with, less the protocol's number. Descriptors are borrowed. False: the
 * daemon's log has no pipe. */
bool link_welcome(struct keeper *keeper, uint32_t earlier_starts, keeper_hello_response *response,
    int out_fds[KEEPER_WELCOME_DESCRIPTORS]);
extern const struct keeper_handlers keeper_link_handlers;

/* ---- spawning.c ---- */
/* Carries a Spawn out; the answer is deferred. */
NODISCARD enum rpc_code spawning_begin(struct keeper *keeper, const keeper_spawn_request *request);
/* The report of this place is readable. */
void spawning_report(struct keeper *keeper, size_t place);
/* Before the exit of this place is told: the spawn has been answered. */
void spawning_settle(struct keeper *keeper, size_t place);
/* Answers what could not be answered while the link was blocked. False: it is again. */
bool spawning_flush(struct keeper *keeper);
/* flocksd is gone: nobody waits for answers. */
void spawning_forget_callers(struct keeper *keeper);

#endif

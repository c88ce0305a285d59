/* Bounds of the keeper, each with what happens there. Those of the link's interface are in link.h.
 */
#ifndef FLOCKS_KEEPER_KEEPER_H
#define FLOCKS_KEEPER_KEEPER_H

enum {
    /* Number of the link's protocol, and the lowest still spoken. 2: replacements (PrepareReplace,
     * Replace with an operation, how it ended in Hello and WaitEvents). */
    KEEPER_PROTOCOL = 2,
    KEEPER_PROTOCOL_LOWEST = 1,
    KEEPER_PROTOCOL_REPLACES = 2,
    /* Number of the format in which a keeper leaves everything to another image of it, and the
     * lowest that is still read. */
    KEEPER_RENEWAL = 1,
    KEEPER_RENEWAL_LOWEST = 1,

    /* Children alive, or ended and not acknowledged; beyond: a spawn is refused with
     * RESOURCE_EXHAUSTED. Twice the slots, so that every slot can be filled again before flocksd
     * has acknowledged. */
    KEEPER_CHILDREN = 4096,
    /* Strays that are told one by one until they are acknowledged; beyond: counted only. */
    KEEPER_STRAYS = 256,

    /* One packet of the link, either way; a longer one breaks the link. */
    KEEPER_PACKET_BYTES = 16 * 1024,
    /* With the answer to Hello: state, shared memory, listening socket, notify socket, lock,
     * inventory, both pipes of the daemon's log. */
    KEEPER_WELCOME_DESCRIPTORS = 8,
    /* With the same in advance (link.h), the keeper's image besides. */
    KEEPER_ADVANCE_DESCRIPTORS = KEEPER_WELCOME_DESCRIPTORS + 1,
    /* Descriptors with one packet: the arguments and those of the child. */
    KEEPER_PACKET_DESCRIPTORS = 1 + 16,
    /* Argument and environment texts of one spawn together; the kernel's own bound is lower.
       Beyond: INVALID_ARGUMENT. */
    KEEPER_ARGUMENTS_BYTES = 8 * 1024 * 1024,

    /* Descriptors that outputs must leave free, for spawning and for running flocksd and capture;
     * an output that would use them is refused with RESOURCE_EXHAUSTED. */
    KEEPER_DESCRIPTOR_RESERVE = 64,

    /* After SIGTERM: time that flocksd has to end the services. Then everything is killed. */
    KEEPER_SHUTDOWN_MS = 150 * 1000,
    /* After SIGTERM: time that flocksd has to hear of it. Then it hangs: it is killed, once, and
     * the next one takes over and ends the services in order. */
    KEEPER_ANSWER_MS = 5 * 1000,
    /* After Leave: time that flocksd has to exit. Then it is killed. */
    KEEPER_LEAVE_MS = 10 * 1000,
    /* At the end: time that capture has for what is still in the pipes. It goes on by itself after
       that. */
    KEEPER_DRAIN_MS = 5 * 1000,

    /* A child of the keeper before us has ended and cannot be read as a zombie: time until its
     * parent has reaped it, because only then newer kernels tell its status. Then it is told as
     * unknown. */
    KEEPER_STATUS_MS = 100,
    /* Capture of the keeper before us was killed, and ends when its last write to the disk has:
     * time that it has. Then the new one begins, and the lock of each file keeps them apart. */
    KEEPER_CAPTOR_END_MS = 2 * 1000,

    /* flocksd died before it was ready: run again after this, doubled each time up to the second.
     */
    KEEPER_RERUN_MS = 100,
    KEEPER_RERUN_MAX_MS = 5 * 1000,
    /* The first ones may be killed by a signal, before any was ready, this often; then, or when one
     * exits by itself, whoever started the keeper is told and it ends. */
    KEEPER_FIRST_STARTS_MAX = 4,

    /* An image that is tried out has not said what it is: it is killed, and refused. */
    KEEPER_CHECK_MS = 10 * 1000,
    /* ... and so long it has to end of that. */
    KEEPER_CHECK_END_MS = 1000,
    /* What it says beyond this is not read. */
    KEEPER_CHECK_BYTES = 512,
    /* A new flocksd is not ready: the old image is run again. */
    KEEPER_TRIAL_MS = 10 * 1000,
    /* So often it may die before it is ready; then the old image is run again. */
    KEEPER_TRIAL_DEATHS = 3,
    /* The keeper's own image is changed while no child is being set up: so long requests wait for
     * that, then it stays. Below what flocksd takes for silence. */
    KEEPER_QUIET_MS = 2 * 1000,
    /* Asked to end, with a flocksd that dies before it is ready: so often it is run again. Then
     * the children get SIGTERM, and after KEEPER_LEAVE_MS SIGKILL. */
    KEEPER_ENDING_DEATHS = 3
};

#endif

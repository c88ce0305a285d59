/* Bounds of the control socket (docs/protocol.md). All of them protect the services from clients,
 * and well-behaved clients from the others; none of them ever stops the listener. The protocol's
 * own bounds (frames, calls in flight, queued bytes) are the engine's: crpc/limits.h. */
#ifndef FLOCKS_TRANSPORT_LIMITS_H
#define FLOCKS_TRANSPORT_LIMITS_H

enum {
    /* Connections in all. Beyond, the least recently active one without a call is closed, of the
     * process that holds most; with a low descriptor limit the bound is lower (see below). */
    TRANSPORT_CONNECTIONS_MAX = 1024,
    /* Connections of one process. Beyond, its own least recently active one without a call is
     * closed; where all of them wait for an answer, the new one is. */
    TRANSPORT_CONNECTIONS_PER_PID = 256,
    /* Descriptors that clients can never use up: spawning, pipes, probes, files. */
    TRANSPORT_DESCRIPTORS_RESERVED = 124,
    /* Without a call and without a byte for this long, a connection is closed (clients reconnect).
     */
    TRANSPORT_IDLE_MS = 60 * 60 * 1000,
    /* What all clients together may cost in one turn of the loop; those whose turn it still is come
     * first in the next one, behind what the kernel and the keeper had to tell meanwhile. */
    TRANSPORT_TURN_MS = 4,
    /* Accepted in one turn of the loop; the kernel keeps the rest. */
    TRANSPORT_ACCEPTS_PER_TURN = 32,
    /* When accepting fails for want of memory, it is tried again after this time. */
    TRANSPORT_REST_MS = 100,
    /* Refused and misbehaving peers are told once each; of a flood of them, this many lines a
     * minute, and how many were left out with the next. */
    TRANSPORT_COMPLAINTS_PER_MINUTE = 10,
    /* Peers remembered for "once each". */
    TRANSPORT_COMPLAINTS_REMEMBERED = 32
};

#endif

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
    /* Connections over TCP that have shown the token; one more closes the least recently active one
     * of them without a call. Nobody at the unix socket ever goes for them. */
    TRANSPORT_TCP_CONNECTIONS_MAX = 256,
    /* Connections over TCP that have not: anybody on this machine. One more closes the least
     * recently active one of them. */
    TRANSPORT_STRANGERS_MAX = 64,
    /* Each of these two gets one part in so many of all connections at most. */
    TRANSPORT_TCP_SHARE = 4,
    /* What the connections of each of the two hold together; beyond, the heaviest one of them is
     * closed (the engine's own bound, RPC_HELD_BYTES_MAX, is over all). */
    TRANSPORT_TCP_HELD_MAX = 16 * 1024 * 1024,
    TRANSPORT_STRANGERS_HELD_MAX = 8 * 1024 * 1024,
    /* A connection over TCP that has not shown the token for so long is closed. */
    TRANSPORT_STRANGER_MS = 10 * 1000,
    /* Connections over TCP that wait in the kernel to be accepted. */
    TRANSPORT_TCP_BACKLOG = 128,
    /* Descriptors that clients can never use up: spawning, pipes, probes, files. */
    TRANSPORT_DESCRIPTORS_RESERVED = 124,
    /* Without a call and without a byte for this long, a connection is closed (clients reconnect).
     * A PING of HTTP/2 is a byte: who keeps a connection alive on purpose keeps it, within the
     * bounds above. */
    TRANSPORT_IDLE_MS = 60 * 60 * 1000,
    /* What all clients together may cost in one turn of the loop; those whose turn it still is come
     * first in the next one, behind what the kernel and the keeper had to tell meanwhile. */
    TRANSPORT_TURN_MS = 4,
    /* Accepted in one turn of the loop; the kernel keeps the rest. */
    TRANSPORT_ACCEPTS_PER_TURN = 32,
    /* A connection that is accepted and has not said a byte yet when the daemon makes room for its
     * successor or ends: what it is about to say is waited for so long. */
    TRANSPORT_SILENT_MS = 200,
    /* Calls in flight when the daemon makes room for its successor are given so long, then
     * UNAVAILABLE. */
    TRANSPORT_HAND_OVER_MS = 5 * 1000,
    /* The same at the end of the daemon, when their work has ended. */
    TRANSPORT_LEAVE_MS = 1000,
    /* From such a time limit to the closing of connections that do not take their last answers, and
     * from the last answer to the closing of those whose peer does not close. */
    TRANSPORT_FAREWELL_MS = 500,
    /* When accepting fails for want of memory, it is tried again after this time. */
    TRANSPORT_REST_MS = 100,
    /* Refused and misbehaving peers are told once each; of a flood of them, this many lines a
     * minute, and how many were left out with the next. */
    TRANSPORT_COMPLAINTS_PER_MINUTE = 10,
    /* Peers remembered for "once each". */
    TRANSPORT_COMPLAINTS_REMEMBERED = 32
};

#endif

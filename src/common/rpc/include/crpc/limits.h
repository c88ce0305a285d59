/* Every bound of the engine: name, value, what happens there, who is protected. Shown as one table
 * in docs/protocol.md. */
#ifndef CRPC_LIMITS_H
#define CRPC_LIMITS_H

enum {
    /* Largest message in either direction (ttrpc's PROTOCOL.md; gRPC clients have the same
     * default). In: the frame is skipped, the call ends with RESOURCE_EXHAUSTED. Out:
     * RESOURCE_EXHAUSTED instead. */
    RPC_MESSAGE_BYTES_MAX = 4 << 20,
    /* Longest announced ttrpc frame that is still skipped; beyond, the connection ends (a peer can
     * announce 4 GiB in ten bytes). */
    RPC_DISCARD_BYTES_MAX = 16 << 20,
    /* Calls in flight on one connection; one more is answered RESOURCE_EXHAUSTED. */
    RPC_CONNECTION_CALLS_MAX = 100,
    /* Calls in flight in all, those counted whose caller went away and whose handler still works;
     * one more is answered RESOURCE_EXHAUSTED. */
    RPC_SERVER_CALLS_MAX = 4096,
    /* Keys and values of one call; more are answered RESOURCE_EXHAUSTED. */
    RPC_METADATA_BYTES_MAX = 8 << 10,
    RPC_METADATA_PAIRS_MAX = 64,
    /* Queued output at which streams pause. Reading goes on, or a CANCEL would never be seen. */
    RPC_OUTPUT_SOFT_BYTES = 1 << 20,
    /* Queued output at which reading stops ... */
    RPC_OUTPUT_STALL_BYTES = 4 << 20,
    /* ... and, when it is not below that again in this time, the connection ends. */
    RPC_OUTPUT_STALL_MS = 30 * 1000,
    /* Queued output at which the connection ends at once. */
    RPC_OUTPUT_HARD_BYTES = 8 << 20,
    /* Messages of one stream that have come and were not yet taken, on either side; one more ends
     * that stream with RESOURCE_EXHAUSTED (ttrpc has no flow control) ... */
    RPC_INBOUND_MESSAGES_MAX = 16,
    /* ... and so do this many bytes of them on one connection: the stream ends that brought the
     * last. One message is always taken, whatever its size. */
    RPC_INBOUND_BYTES_MAX = 8 << 20,
    /* First byte of a frame to the last; then the connection ends (half-open peers). */
    RPC_FRAME_MS_MAX = 10 * 1000,
    /* What decoding one request may use: this many times its bytes, and
     * so much more. protobuf-c can need 56 times (empty sub-messages); an
     * honest large configuration needs 11. Beyond: RESOURCE_EXHAUSTED. */
    RPC_ARENA_FACTOR = 32,
    RPC_ARENA_EXTRA_BYTES = 64 << 10,
    /* Nesting of messages; deeper is answered INVALID_ARGUMENT. Schemas are not recursive, so only
     * a peer that attacks gets there. */
    RPC_NESTING_MAX = 32,
    /* How long a client waits that names no timeout. */
    RPC_CLIENT_TIMEOUT_MS = 30 * 1000,
    /* The server is told a deadline earlier by an eighth of the timeout
     * and at most this, so that its DEADLINE_EXCEEDED, which can say
     * how far it came, arrives before the client gives up by itself. */
    RPC_CLIENT_MARGIN_MS = 50,
    /* Text of a status; longer ones are cut between characters. */
    RPC_STATUS_TEXT_MAX = 1024
};

#endif

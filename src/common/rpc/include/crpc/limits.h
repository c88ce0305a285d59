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
     * announce 4 GiB in ten bytes). So the first byte of a frame is always 0. */
    RPC_DISCARD_BYTES_MAX = (16 << 20) - 1,
    /* Calls in flight on one connection; one more is answered RESOURCE_EXHAUSTED. */
    RPC_CONNECTION_CALLS_MAX = 100,
    /* Calls in flight in all, those counted whose caller went away and whose handler still works;
     * one more is answered RESOURCE_EXHAUSTED. */
    RPC_SERVER_CALLS_MAX = 4096,
    /* Beside them, for connections that have no other call: whoever asks one thing is answered,
     * however many streams others keep open. */
    RPC_SERVER_CALLS_RESERVED = 1024,
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
    /* Messages that the streams of one connection are asked for before it is written to: what one
     * reader may cost before the next connection is looked at. */
    RPC_TURN_MESSAGES_MAX = 256,
    /* Received at once of one connection: what one client may cost before the next is looked at.
     * First and mostly in between; where answers are large, so little that they come to
     * RPC_TURN_ANSWER_BYTES. The rest waits in the client's socket. */
    RPC_RECEIVE_BYTES_FIRST = 4 << 10,
    RPC_RECEIVE_BYTES_MIN = 64,
    RPC_RECEIVE_BYTES_MAX = 64 << 10,
    RPC_TURN_ANSWER_BYTES = 64 << 10,
    /* Messages of one stream that have come and were not yet taken, on either side; one more ends
     * that stream with RESOURCE_EXHAUSTED (ttrpc has no flow control) ... */
    RPC_INBOUND_MESSAGES_MAX = 16,
    /* ... and so do this many bytes of them on one connection: the stream ends that brought the
     * last. One message is always taken, whatever its size. */
    RPC_INBOUND_BYTES_MAX = 8 << 20,
    /* What all connections hold together: cut frames, queued output, messages that wait, and the
     * memory of calls. Beyond, the connection that holds most is closed, of the process that holds
     * most; each alone stays within the bounds above and never gets here. */
    RPC_HELD_BYTES_MAX = 64 << 20,
    /* Memory of calls whose caller went away and whose handler still works. Beyond, new calls are
     * answered RESOURCE_EXHAUSTED until handlers have finished. */
    RPC_ORPHANED_BYTES_MAX = 16 << 20,
    /* First byte of a frame to the last; then the connection ends (half-open peers). */
    RPC_FRAME_MS_MAX = 10 * 1000,
    /* What decoding one request may use: this many times its bytes, and
     * so much more. protobuf-c can need 56 times (empty sub-messages); an
     * honest large configuration needs 11. Beyond: RESOURCE_EXHAUSTED. */
    RPC_ARENA_FACTOR = 32,
    RPC_ARENA_EXTRA_BYTES = 64 << 10,
    /* Fields of one received request or message, those of its parts included (a packed run is one).
     * Decoding is one piece of work, in which nobody else is served, and it costs by the field: 4
     * MiB of two-byte fields took 0.1 s. Beyond: RESOURCE_EXHAUSTED. */
    RPC_FIELDS_MAX = 256 << 10,
    /* Nesting of messages; deeper is answered INVALID_ARGUMENT. Schemas are not recursive, so only
     * a peer that attacks gets there. */
    RPC_NESTING_MAX = 32,

    /* ---- HTTP/2 (RFC 9113); beside them RPC_CONNECTION_CALLS_MAX is the number of streams ---- */

    /* What a stream may have sent that its handler has not taken, told to the peer; it waits then.
     * A longer message comes whole, if RPC_INBOUND_BYTES_MAX allows, and else when it does. */
    RPC_HTTP2_WINDOW_BYTES = (64 << 10) - 1,
    /* The same of a connection, given back at once: no stream that is not taken stops another. */
    RPC_HTTP2_CONNECTION_WINDOW_BYTES = 1 << 20,
    /* Messages of one stream queued for a peer that gives no window; the stream pauses. One message
     * may exceed it. */
    RPC_HTTP2_QUEUE_BYTES = 64 << 10,
    /* Header list of a request, as RFC 9113 (6.5.2) counts; told to the peer. Beyond:
     * RESOURCE_EXHAUSTED; four times of it: the stream is reset. */
    RPC_HTTP2_HEADER_LIST_BYTES = 16 << 10,
    /* Header list of an answer, or what the peer says it takes if that is less: beyond, a status
     * goes without its details, then without its text. */
    RPC_HTTP2_TRAILERS_BYTES = 32 << 10,
    /* CONTINUATION frames of one header block. This one and the next ones: beyond, the connection
     * ends with ENHANCE_YOUR_CALM. */
    RPC_HTTP2_CONTINUATIONS_MAX = 8,
    /* Streams reset, by the peer or by us for what it sent: at once, and each second after that. */
    RPC_HTTP2_RESETS_MAX = 1000,
    RPC_HTTP2_RESETS_PER_SECOND = 100,
    /* SETTINGS frames. */
    RPC_HTTP2_SETTINGS_MAX = 100,
    RPC_HTTP2_SETTINGS_PER_SECOND = 10,
    /* Frames without content: PING, WINDOW_UPDATE, PRIORITY, empty or padded DATA, acknowledgements
     * and unknown types. Each frame with content, in either direction, allows so many more: clients
     * measure and open windows while data flows. */
    RPC_HTTP2_CONTROL_MAX = 10 * 1000,
    RPC_HTTP2_CONTROL_PER_SECOND = 1000,
    RPC_HTTP2_CONTROL_PER_FRAME = 4,
    /* How long the peer may take to read the GOAWAY that ends its connection, to hear of a
     * graceful end, or to close what it has said GOAWAY to. */
    RPC_HTTP2_FAREWELL_MS = 1000,

    /* ---- clients ---- */

    /* How long a client waits that names no timeout. */
    RPC_CLIENT_TIMEOUT_MS = 30 * 1000,
    /* The server is told a deadline earlier by an eighth of the timeout
     * and at most this, so that its DEADLINE_EXCEEDED, which can say
     * how far it came, arrives before the client gives up by itself. */
    RPC_CLIENT_MARGIN_MS = 50,
    /* Text of a status; longer ones are cut between characters. */
    RPC_STATUS_TEXT_MAX = 1024,

    /* ---- crpc/reflection.h, crpc/health.h ---- */

    /* Texts of one reflection request, the names of its host and of what it asks for, with their
     * NULs; beyond, the stream ends with INVALID_ARGUMENT. */
    RPC_REFLECTION_REQUEST_BYTES_MAX = 4 << 10,
    /* Length of a service's name in crpc/health.h; a longer one is never known: Check answers
     * NOT_FOUND, Watch SERVICE_UNKNOWN for as long as it is open. */
    RPC_HEALTH_NAME_MAX = 1 << 10,

    /* ---- crpc/listener.h; the first four can be set there ---- */

    /* Connections in all. Beyond, the least recently active one without a call is closed, of the
     * process that holds most; where all of them have calls, one of a process that holds more than
     * the newcomer's, else the new one. */
    RPC_LISTENER_CONNECTIONS_MAX = 1024,
    /* Connections of one process. Beyond, its own least recently active one without a call is
     * closed; where all of them wait for an answer, the new one is. */
    RPC_LISTENER_CONNECTIONS_PER_PID = 256,
    /* Without a call and without a byte for this long, a connection is closed. */
    RPC_LISTENER_IDLE_MS = 60 * 60 * 1000,
    /* After a stop calls in flight may go on for this long; then they are cancelled. */
    RPC_LISTENER_SHUT_MS = 5 * 1000,
    /* Descriptors of the process that connections never use up. */
    RPC_LISTENER_DESCRIPTORS_RESERVED = 64,
    /* Accepted in one turn; the kernel keeps the rest ... */
    RPC_LISTENER_ACCEPTS_PER_TURN = 32,
    /* ... this many at most; then connecting blocks, or answers EAGAIN. */
    RPC_LISTENER_BACKLOG = 128,
    /* When accepting fails for want of memory, it is tried again after this time. */
    RPC_LISTENER_PAUSE_MS = 100,
    /* Another process makes a socket in the same directory: how long to wait for it. */
    RPC_LISTENER_BIND_MS = 2 * 1000,
    /* What fits a socket address besides its NUL (unix(7)); a longer path is refused. */
    RPC_LISTENER_PATH_MAX = 107
};

#endif

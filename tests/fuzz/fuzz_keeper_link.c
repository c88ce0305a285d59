/* flocksd's end of the keeper's link: what a keeper, or a broken one, may answer.
 *
 * An input is a list of steps, each a byte for what happens, a length and as many bytes: flocksd
 * calls, the keeper answers the oldest or any other call with any payload, or sends a raw packet.
 * The first answer is that to Hello. Every call is done exactly once, and after each input no
 * descriptor is left open that was not before. */
#include <assert.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/fd.h"
#include "common/rpc/envelope.h"
#include "common/rpc/frame.h"
#include "server/keeper/keeper.h"
#include "server/keeper/link.h"
#include "server/keeper/packet.h"
#include "server/keeper/shared.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    STEP_READY,
    STEP_SPAWN,
    STEP_LIST,
    STEP_SIGNAL,
    STEP_OUTPUT,
    STEP_ACKNOWLEDGE,
    STEP_ANSWER_OLDEST,
    STEP_ANSWER_ANY,
    STEP_RAW,
    STEP_COUNT,
    /* Of an answer: a status instead of a payload. */
    STEP_IS_FAILURE = 0x20,
    /* Descriptors come with it. */
    STEP_HAS_DESCRIPTORS = 0x40,
    /* The loop does not turn after it. */
    STEP_IS_QUIET = 0x80,
    STEP_KIND_MASK = 0x1f
};

static uv_loop_t loop;
static int memory_fd = -1;
static int keeper_fd = -1;
static struct keeper_link *peer_link;
static size_t n_begun;
static size_t n_done;
static uint32_t next_answer;
static bool closes_in_callback;
static bool is_closed;

/* ---- flocksd ---- */

static void close_link(void)
{
    if (!is_closed)
        keeper_link_close(peer_link);
    is_closed = true;
}

static void done(void)
{
    n_done++;
    assert(n_done <= n_begun);
    if (closes_in_callback)
        close_link();
}

static void on_done(void *data, int result, const struct error *error)
{
    (void)data;
    assert((result == 0) == (error == NULL));
    done();
}

static void on_spawned(
    void *data, int result, const struct keeper_spawned *spawned, const struct error *error)
{
    (void)data;
    assert((result == 0) == (spawned != NULL) && (result == 0) == (error == NULL));
    if (spawned != NULL)
        (void)keeper_step_text((int)spawned->failed_step);
    done();
}

static void on_listed(void *data, int result, const struct keeper_child *children,
    size_t n_children, const struct error *error)
{
    (void)data;
    (void)error;
    assert(result != 0 || n_children == 0 || children != NULL);
    done();
}

static void on_exited(void *data, const struct keeper_exit *exit)
{
    (void)data;
    keeper_link_acknowledge(peer_link, exit->sequence);
}

static void on_shutdown(void *data, int number)
{
    (void)data;
    (void)number;
}

static void on_lost(void *data, const struct error *error)
{
    (void)data;
    assert(error->text[0] != '\0');
}

static const struct keeper_link_events events = {
    .exited = on_exited, .shutdown_requested = on_shutdown, .lost = on_lost};

static void count(int result)
{
    if (result == 0)
        n_begun++;
}

static void spawn(const uint8_t *bytes, size_t len)
{
    static const char *const ARGUMENTS[] = {"a", NULL};
    static const char *const ENVIRONMENT[] = {"A=b", NULL};
    struct keeper_spawn plan = {
        .slot = len > 0 ? bytes[0] : 0,
        .generation = len > 1 ? bytes[1] : 1,
        .name = "a",
        .executable = "/a",
        .arguments = ARGUMENTS,
        .environment = ENVIRONMENT,
        .directory = "/",
        .descriptors = &memory_fd,
        .n_descriptors = 1,
    };
    count(keeper_link_spawn(peer_link, &plan, on_spawned, NULL, NULL));
}

/* ---- the keeper ---- */

static void send_packet(const uint8_t *bytes, size_t len, bool has_descriptors)
{
    int fds[PACKET_DESCRIPTORS_MAX];
    size_t n_fds = has_descriptors ? len % PACKET_DESCRIPTORS_MAX : 0;
    for (size_t i = 0; i < n_fds; i++)
        fds[i] = memory_fd;
    int result = packet_send(keeper_fd, bytes, len, fds, n_fds);
    (void)result;
}

static void answer(
    uint32_t stream_id, const uint8_t *payload, size_t len, const int *fds, size_t n_fds, int code)
{
    uint8_t bytes[1024];
    struct rpc_response_envelope response = {.code = code};
    if (code == 0)
        response.payload = (struct rpc_bytes){payload, len};
    else
        response.message = (struct rpc_bytes){payload, len};
    struct rpc_frame frame = {.body_len = (uint32_t)rpc_response_size(&response),
        .stream_id = stream_id,
        .type = RPC_FRAME_RESPONSE};
    rpc_frame_encode(&frame, bytes);
    uint8_t *place = rpc_response_encode(&response, bytes + RPC_FRAME_HEADER_BYTES);
    if (code == 0 && len > 0)
        memcpy(place, payload, len);
    int result = packet_send(keeper_fd, bytes, RPC_FRAME_HEADER_BYTES + frame.body_len, fds, n_fds);
    (void)result;
}

static void answer_call(unsigned kind, const uint8_t *bytes, size_t len)
{
    uint32_t stream_id = next_answer;
    if ((kind & STEP_KIND_MASK) == STEP_ANSWER_ANY && len > 0) {
        stream_id = bytes[0];
        bytes++;
        len--;
    } else {
        next_answer += 2;
    }
    int code = (kind & STEP_IS_FAILURE) != 0 ? (int)(len % 20) : 0;
    answer(stream_id, bytes, len, &memory_fd, (kind & STEP_HAS_DESCRIPTORS) != 0 ? 1 : 0, code);
}

/* What flocksd asked is not looked at. */
static void drain_requests(void)
{
    uint8_t bytes[KEEPER_PACKET_BYTES];
    int fds[PACKET_DESCRIPTORS_MAX];
    size_t n_fds = 0;
    size_t len = 0;
    while (packet_receive(keeper_fd, bytes, sizeof bytes, &len, fds, &n_fds) == 0) {
        for (size_t i = 0; i < n_fds; i++)
            fd_close(&fds[i]);
    }
}

/* ---- steps ---- */

static void call(unsigned what, const uint8_t *bytes, size_t len)
{
    uint32_t slot = len > 0 ? bytes[0] : 0;
    struct keeper_output output = {.slot = slot, .log_path = "/a", .max_size = 1, .keep = 1};
    switch (what) {
    case STEP_READY:
        count(keeper_link_ready(peer_link, on_done, NULL, NULL));
        break;
    case STEP_SPAWN:
        spawn(bytes, len);
        break;
    case STEP_LIST:
        count(keeper_link_list(peer_link, on_listed, NULL, NULL));
        break;
    case STEP_SIGNAL:
        count(keeper_link_signal(peer_link, slot, 1, 15, KEEPER_SCOPE_GROUP, on_done, NULL, NULL));
        break;
    case STEP_OUTPUT:
        count(keeper_link_register_output(peer_link, &output, on_done, NULL, NULL));
        break;
    default:
        keeper_link_acknowledge(peer_link, slot);
        break;
    }
}

static void step(unsigned kind, const uint8_t *bytes, size_t len)
{
    unsigned what = (kind & STEP_KIND_MASK) % STEP_COUNT;
    if (what == STEP_ANSWER_OLDEST || what == STEP_ANSWER_ANY)
        answer_call(kind, bytes, len);
    else if (what == STEP_RAW)
        send_packet(bytes, len, (kind & STEP_HAS_DESCRIPTORS) != 0);
    else
        call(what, bytes, len);
    if ((kind & STEP_IS_QUIET) == 0) {
        (void)uv_run(&loop, UV_RUN_NOWAIT);
        drain_requests();
    }
}

/* ---- life ---- */

static void prepare_once(void)
{
    if (memory_fd >= 0)
        return;
    memory_fd = memfd_create("memory", MFD_CLOEXEC);
    int failure = ftruncate(memory_fd, (off_t)sizeof(struct keeper_shared));
    assert(failure == 0);
    failure = uv_loop_init(&loop);
    assert(failure == 0);
}

/* The first step answers Hello: as it is, or, with an empty one, as a good keeper does. */
static void say_welcome(unsigned kind, const uint8_t *bytes, size_t len)
{
    static const uint8_t WELCOME[] = {
        0x08, 1, 0x18, 1, 0x32, 16, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
    const int fds[] = {memory_fd, memory_fd, memory_fd, memory_fd};
    if ((kind & STEP_KIND_MASK) % STEP_COUNT == STEP_RAW)
        send_packet(bytes, len, (kind & STEP_HAS_DESCRIPTORS) != 0);
    else if (len == 0)
        answer(1, WELCOME, sizeof WELCOME, fds, 4, 0);
    else
        answer(1, bytes, len, fds, kind % 5, (kind & STEP_IS_FAILURE) != 0 ? (int)(len % 20) : 0);
}

static size_t take_step(const uint8_t *data, size_t size, size_t at, size_t *out_len)
{
    *out_len = data[at + 1];
    if (*out_len > size - at - 2)
        *out_len = size - at - 2;
    return at + 2 + *out_len;
}

static void run_steps(const uint8_t *data, size_t size, size_t at)
{
    struct error error = ERROR_INIT;
    /* Without it no event is told. */
    bool watches = keeper_link_watch(peer_link, &events, NULL, &error) == 0;
    assert(watches || error.text[0] != '\0');
    while (at + 2 <= size && !is_closed) {
        size_t len = 0;
        size_t next = take_step(data, size, at, &len);
        step(data[at], data + at + 2, len);
        at = next;
    }
    close_link();
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    assert(n_done == n_begun);
}

static int free_descriptor(void)
{
    int fd = dup(memory_fd);
    int number = fd;
    fd_close(&fd);
    return number;
}

static void run(const uint8_t *data, size_t size)
{
    int ends[2];
    struct keeper_welcome welcome;
    struct error error = ERROR_INIT;
    size_t len = 0;
    int result = socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends);
    assert(result == 0);
    keeper_fd = ends[0];
    size_t at = take_step(data, size, 1, &len);
    say_welcome(data[1], data + 3, len);
    result = keeper_link_open(&loop, ends[1], -1, &peer_link, &welcome, &error);
    if (result == 0) {
        run_steps(data, size, at);
        fd_close(&welcome.state_fd);
        fd_close(&welcome.listener_fd);
        fd_close(&welcome.notify_fd);
    } else {
        assert(error.text[0] != '\0');
    }
    fd_close(&keeper_fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    prepare_once();
    if (size < 3)
        return 0;
    /* The loop keeps descriptors of its own once it has run. */
    (void)uv_run(&loop, UV_RUN_NOWAIT);
    int before = free_descriptor();
    n_begun = n_done = 0;
    is_closed = false;
    next_answer = 3;
    closes_in_callback = data[0] % 2 == 1;
    run(data, size);
    assert(free_descriptor() == before);
    return 0;
}

#include "fake_wire.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "flocks/v1/supervisor.info.h"

#include "common/rpc/frame.h"
#include "hex.h"
#include "unit.h"

enum { SAYINGS_MAX = 64, HEARD_MAX = 24 << 20, TEXT_MAX = 4096 };

struct saying {
    size_t n_frames;
    int64_t after_ms;
    uint8_t *bytes;
    size_t len;
    size_t read_len;
    bool is_end;
    int error_number;
};

struct fake_wire wire = {.fails_after = -1};

static struct saying sayings[SAYINGS_MAX];
static size_t n_sayings;
/* The one to be read next, and when the one before it was reached. */
static size_t current;
static int64_t previous_at;
static int fd = -1;
static int far_fd = -1;
static int n_descriptors;
static bool is_open;
static uint8_t heard[HEARD_MAX];
static size_t heard_len;
static size_t heard_parsed;
static size_t heard_frames;

/* ---- the real ones, and ours ---- */

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void __real_free(void *memory);
ssize_t __real_recv(int descriptor, void *bytes, size_t len, int flags);
ssize_t __real_send(int descriptor, const void *bytes, size_t len, int flags);
int __real_poll(struct pollfd *fds, nfds_t n, int timeout);
int __real_socket(int domain, int type, int protocol);
int __real_setsockopt(int descriptor, int level, int name, const void *value, socklen_t len);
int __real_connect(int descriptor, const struct sockaddr *address, socklen_t len);
int64_t __real_clock_monotonic_ms(void);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
void __wrap_free(void *memory);
ssize_t __wrap_recv(int descriptor, void *bytes, size_t len, int flags);
ssize_t __wrap_send(int descriptor, const void *bytes, size_t len, int flags);
int __wrap_poll(struct pollfd *fds, nfds_t n, int timeout);
int __wrap_socket(int domain, int type, int protocol);
int __wrap_setsockopt(int descriptor, int level, int name, const void *value, socklen_t len);
int __wrap_connect(int descriptor, const struct sockaddr *address, socklen_t len);
int64_t __wrap_clock_monotonic_ms(void);

static bool fails_now(enum fake_operation operation)
{
    if (!is_open)
        return false;
    int n = wire.n_done[operation]++;
    if (wire.failing != operation || wire.fails_after != n)
        return false;
    wire.has_failed = true;
    return true;
}

static void *count(void *memory)
{
    if (is_open && memory != NULL)
        wire.n_live++;
    return memory;
}

void *__wrap_malloc(size_t size)
{
    return fails_now(FAKE_ALLOCATE) ? NULL : count(__real_malloc(size));
}

void *__wrap_calloc(size_t n, size_t size)
{
    return fails_now(FAKE_ALLOCATE) ? NULL : count(__real_calloc(n, size));
}

void *__wrap_realloc(void *memory, size_t size)
{
    if (fails_now(FAKE_ALLOCATE))
        return NULL;
    return memory == NULL ? count(__real_realloc(memory, size)) : __real_realloc(memory, size);
}

void __wrap_free(void *memory)
{
    if (is_open && memory != NULL)
        wire.n_live--;
    __real_free(memory);
}

int64_t __wrap_clock_monotonic_ms(void)
{
    return is_open ? wire.now_ms : __real_clock_monotonic_ms();
}

/* ---- the peer ---- */

static void hear(const uint8_t *bytes, size_t len)
{
    assert_true(heard_len + len <= sizeof heard);
    memcpy(heard + heard_len, bytes, len);
    heard_len += len;
    while (heard_len - heard_parsed >= RPC_FRAME_HEADER_BYTES) {
        struct rpc_frame frame;
        rpc_frame_decode(heard + heard_parsed, &frame);
        if (heard_len - heard_parsed < RPC_FRAME_HEADER_BYTES + frame.body_len)
            return;
        heard_parsed += RPC_FRAME_HEADER_BYTES + frame.body_len;
        heard_frames++;
        if (current < n_sayings && heard_frames == sayings[current].n_frames &&
            previous_at < wire.now_ms)
            previous_at = wire.now_ms;
    }
}

/* When the current saying can be read; INT64_MAX: nobody knows. */
static int64_t next_at(void)
{
    if (current == n_sayings || heard_frames < sayings[current].n_frames)
        return INT64_MAX;
    return previous_at + sayings[current].after_ms;
}

static void reach_next(void)
{
    previous_at = wire.now_ms;
    current++;
}

ssize_t __wrap_recv(int descriptor, void *bytes, size_t len, int flags)
{
    if (!is_open || descriptor != fd)
        return __real_recv(descriptor, bytes, len, flags);
    if (fails_now(FAKE_READ)) {
        errno = wire.error_number;
        return wire.error_number == 0 ? 0 : -1;
    }
    if (next_at() > wire.now_ms) {
        errno = EAGAIN;
        return -1;
    }
    struct saying *saying = &sayings[current];
    if (saying->is_end) {
        errno = saying->error_number;
        return saying->error_number == 0 ? 0 : -1;
    }
    size_t n = saying->len - saying->read_len;
    if (n > len)
        n = len;
    if (wire.read_max > 0 && n > wire.read_max)
        n = wire.read_max;
    memcpy(bytes, saying->bytes + saying->read_len, n);
    saying->read_len += n;
    if (saying->read_len == saying->len)
        reach_next();
    return (ssize_t)n;
}

ssize_t __wrap_send(int descriptor, const void *bytes, size_t len, int flags)
{
    if (!is_open || descriptor != fd)
        return __real_send(descriptor, bytes, len, flags);
    size_t n = len;
    if (fails_now(FAKE_WRITE)) {
        errno = wire.error_number;
        if (wire.error_number != 0)
            return -1;
        n = 1;
    }
    if (wire.write_max > 0 && n > wire.write_max)
        n = wire.write_max;
    if (n > wire.room)
        n = wire.room;
    if (n == 0) {
        errno = EAGAIN;
        return -1;
    }
    if (wire.room != SIZE_MAX)
        wire.room -= n;
    hear(bytes, n);
    return (ssize_t)n;
}

static short ready_events(short wanted)
{
    short ready = 0;
    if ((wanted & POLLOUT) != 0 && wire.room > 0)
        ready |= POLLOUT;
    if ((wanted & POLLIN) != 0 && next_at() <= wire.now_ms)
        ready |= POLLIN;
    return ready;
}

int __wrap_poll(struct pollfd *fds, nfds_t n, int timeout)
{
    if (!is_open)
        return __real_poll(fds, n, timeout);
    if (fails_now(FAKE_WAIT)) {
        errno = EINTR;
        return -1;
    }
    int64_t until_at = timeout < 0 ? INT64_MAX : wire.now_ms + timeout;
    if (n == 1 && ready_events(fds[0].events) == 0) {
        int64_t at = (fds[0].events & POLLIN) != 0 ? next_at() : INT64_MAX;
        if (at > until_at)
            at = until_at;
        assert_true(at != INT64_MAX);
        wire.now_ms = at;
    } else if (n == 0) {
        wire.now_ms = until_at;
    }
    if (n == 0)
        return 0;
    fds[0].revents = ready_events(fds[0].events);
    return fds[0].revents != 0;
}

static int fail_connecting(void)
{
    errno = wire.error_number;
    return -1;
}

int __wrap_socket(int domain, int type, int protocol)
{
    return fails_now(FAKE_CONNECT) ? fail_connecting() : __real_socket(domain, type, protocol);
}

int __wrap_setsockopt(int descriptor, int level, int name, const void *value, socklen_t len)
{
    return fails_now(FAKE_CONNECT) ? fail_connecting()
                                   : __real_setsockopt(descriptor, level, name, value, len);
}

int __wrap_connect(int descriptor, const struct sockaddr *address, socklen_t len)
{
    return fails_now(FAKE_CONNECT) ? fail_connecting() : __real_connect(descriptor, address, len);
}

/* ---- the test's side ---- */

static int count_descriptors(void)
{
    DIR *directory = opendir("/proc/self/fd");
    int n = 0;
    while (readdir(directory) != NULL)
        n++;
    (void)closedir(directory);
    return n;
}

int fake_wire_open(void)
{
    assert_false(is_open);
    int fds[2];
    n_descriptors = count_descriptors();
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    fd = fds[0];
    far_fd = fds[1];
    wire = (struct fake_wire){.now_ms = 1000000, .room = SIZE_MAX, .fails_after = -1};
    n_sayings = current = 0;
    previous_at = wire.now_ms;
    heard_len = heard_parsed = heard_frames = 0;
    is_open = true;
    return fd;
}

void fake_wire_close(void)
{
    assert_true(is_open);
    is_open = false;
    for (size_t i = 0; i < n_sayings; i++)
        free(sayings[i].bytes);
    n_sayings = 0;
    (void)close(far_fd);
    assert_int_equal(wire.n_live, 0);
    assert_int_equal(count_descriptors(), n_descriptors);
}

static struct saying *add_saying(size_t n_frames, int64_t after_ms)
{
    assert_true(n_sayings < SAYINGS_MAX);
    if (current == n_sayings)
        previous_at = wire.now_ms;
    struct saying *saying = &sayings[n_sayings++];
    *saying = (struct saying){.n_frames = n_frames, .after_ms = after_ms};
    return saying;
}

void fake_wire_say_bytes(size_t n_frames, int64_t after_ms, const uint8_t *bytes, size_t len)
{
    struct saying *saying = add_saying(n_frames, after_ms);
    saying->bytes = __real_malloc(len);
    assert_non_null(saying->bytes);
    memcpy(saying->bytes, bytes, len);
    saying->len = len;
}

void fake_wire_say(size_t n_frames, int64_t after_ms, const char *hex)
{
    static uint8_t bytes[64 * 1024];
    fake_wire_say_bytes(n_frames, after_ms, bytes, hex_decode(hex, bytes, sizeof bytes));
}

void fake_wire_hang_up(size_t n_frames, int64_t after_ms, int error_number)
{
    struct saying *saying = add_saying(n_frames, after_ms);
    saying->is_end = true;
    saying->error_number = error_number;
}

const uint8_t *fake_wire_heard(size_t *out_len)
{
    *out_len = heard_len;
    return heard;
}

/* ---- talk ---- */

#define TALK_METHOD(method_name, method_kind)                                                      \
    {                                                                                              \
        .service = "talk.Talk", .name = (method_name), .kind = (method_kind),                      \
        .request = &flocks_get_operation_request_info,                                             \
        .response = &flocks_get_operation_request_info,                                            \
    }

const struct rpc_method TALK_ASK = TALK_METHOD("Ask", RPC_UNARY);
const struct rpc_method TALK_LISTEN = TALK_METHOD("Listen", RPC_SERVER_STREAM);
const struct rpc_method TALK_TELL = TALK_METHOD("Tell", RPC_CLIENT_STREAM);
const struct rpc_method TALK_CHAT = TALK_METHOD("Chat", RPC_BIDI);

static void say_frame(
    size_t n_frames, unsigned id, uint8_t type, uint8_t flags, const uint8_t *body, size_t len)
{
    uint8_t bytes[RPC_FRAME_HEADER_BYTES + TEXT_MAX];
    const struct rpc_frame frame = {
        .body_len = (uint32_t)len, .stream_id = id, .type = type, .flags = flags};
    rpc_frame_encode(&frame, bytes);
    if (len > 0)
        memcpy(bytes + RPC_FRAME_HEADER_BYTES, body, len);
    fake_wire_say_bytes(n_frames, 0, bytes, RPC_FRAME_HEADER_BYTES + len);
}

/* Field `number`, `text` short enough for a length of one byte. */
static size_t put_text(uint8_t *out, unsigned number, const char *text)
{
    size_t len = strlen(text);
    assert_true(len < 128);
    out[0] = (uint8_t)(number << 3 | 2);
    out[1] = (uint8_t)len;
    memcpy(out + 2, text, len);
    return len + 2;
}

void talk_message(size_t n_frames, unsigned id, const char *text)
{
    uint8_t body[256];
    say_frame(n_frames, id, RPC_FRAME_DATA, 0, body, put_text(body, 1, text));
}

void talk_end(size_t n_frames, unsigned id)
{
    say_frame(n_frames, id, RPC_FRAME_DATA, RPC_FRAME_REMOTE_CLOSED | RPC_FRAME_NO_DATA, NULL, 0);
}

void talk_answer(size_t n_frames, unsigned id, const char *text)
{
    uint8_t body[256];
    size_t len = put_text(body + 2, 1, text);
    body[0] = 2 << 3 | 2;
    body[1] = (uint8_t)len;
    say_frame(n_frames, id, RPC_FRAME_RESPONSE, 0, body, len + 2);
}

void talk_error(size_t n_frames, unsigned id, unsigned code, const char *text)
{
    uint8_t body[256] = {1 << 3 | 2, 0, 1 << 3, (uint8_t)code};
    size_t len = 2 + put_text(body + 4, 2, text);
    body[1] = (uint8_t)len;
    say_frame(n_frames, id, RPC_FRAME_RESPONSE, 0, body, len + 2);
}

size_t talk_heard(unsigned id, unsigned type)
{
    size_t n = 0;
    for (size_t at = 0; at < heard_parsed;) {
        struct rpc_frame frame;
        rpc_frame_decode(heard + at, &frame);
        if (frame.stream_id == id && frame.type == type)
            n++;
        at += RPC_FRAME_HEADER_BYTES + frame.body_len;
    }
    return n;
}

/* The keeper's end of its link: what flocksd, or whatever wrote through its descriptor, may send.
 *
 * An input is a list of steps, each a byte for what happens, a length and as many bytes: a call of
 * a method with any payload and any descriptors beside it, a raw packet, a child's exit, its
 * report, the keeper's own end, a new flocksd. Everything below the packets is the keeper's own
 * code but fork, kill and waitpid, whose doubles here see to it that nobody but its own children is
 * signalled. After each input no descriptor is left open that was not before. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/fd.h"
#include "common/base/log.h"
#include "common/rpc/envelope.h"
#include "common/rpc/frame.h"
#include "server/keeper/packet.h"
#include "server/keeper/state.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
pid_t __wrap_fork(void);
int __wrap_kill(pid_t pid, int number);
pid_t __wrap_waitpid(pid_t pid, int *out_status, int options);

enum {
    /* No process has such a number: the kernel's are below 2^22. */
    FIRST_PID = 1 << 24,
    DESCRIPTORS_FOR_OUTPUTS = 96,
    /* So small that answers do not always fit. */
    SEND_BUFFER_BYTES = 48 * 1024,

    /* The method that came later is a STEP_SHUTDOWN with descriptors. */
    METHOD_PREPARE = 11,
    STEP_RAW = 11,
    STEP_EXIT,
    STEP_SHUTDOWN,
    STEP_REPORT,
    STEP_NEW_FLOCKSD,
    STEP_KIND_MASK = 0x0f,
    /* Of a call: what comes beside it. */
    STEP_DESCRIPTORS_SHIFT = 4,
    STEP_DESCRIPTORS_MASK = 0x07,
    /* Answers are not read after this step. */
    STEP_IS_DEAF = 0x80
};

static struct keeper keeper;
static int peer_fd = -1;
static int sealed_fd = -1;
static int unsealed_fd = -1;
static pid_t last_pid;
static pid_t exited_pid;
static int exited_status;
static bool kill_fails;

/* ---- doubles ---- */

pid_t __wrap_fork(void)
{
    return ++last_pid;
}

int __wrap_kill(pid_t pid, int number)
{
    (void)number;
    assert(pid >= FIRST_PID || pid <= -FIRST_PID);
    if (!kill_fails)
        return 0;
    errno = ESRCH;
    return -1;
}

pid_t __wrap_waitpid(pid_t pid, int *out_status, int options)
{
    (void)pid;
    (void)options;
    pid_t reaped = exited_pid;
    *out_status = exited_status;
    exited_pid = 0;
    return reaped;
}

/* ---- flocksd's end ---- */

static void check_answer(const uint8_t *bytes, size_t len)
{
    struct rpc_frame frame;
    struct rpc_response_envelope response;
    assert(len >= RPC_FRAME_HEADER_BYTES);
    rpc_frame_decode(bytes, &frame);
    assert(frame.type == RPC_FRAME_RESPONSE && frame.body_len == len - RPC_FRAME_HEADER_BYTES);
    bool is_valid = rpc_response_decode(
        bytes + RPC_FRAME_HEADER_BYTES, len - RPC_FRAME_HEADER_BYTES, NULL, 0, &response);
    assert(is_valid && response.code >= 0 && response.code <= RPC_UNAUTHENTICATED);
}

static void read_answers(void)
{
    uint8_t bytes[KEEPER_PACKET_BYTES];
    int fds[PACKET_DESCRIPTORS_MAX];
    size_t n_fds = 0;
    size_t len = 0;
    while (packet_receive(peer_fd, bytes, sizeof bytes, &len, fds, &n_fds) == 0) {
        check_answer(bytes, len);
        for (size_t i = 0; i < n_fds; i++)
            fd_close(&fds[i]);
    }
}

static void connect_flocksd(void)
{
    int ends[2];
    int size = SEND_BUFFER_BYTES;
    fd_close(&peer_fd);
    int result = socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends);
    assert(result == 0);
    (void)setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    peer_fd = ends[1];
    keeper.server.pid = ++last_pid;
    keeper.server.starts++;
    link_open(&keeper, ends[0]);
}

/* ---- steps ---- */

static size_t choose_descriptors(unsigned choice, int *out)
{
    size_t n = 0;
    switch (choice) {
    case 0:
        return 0;
    case 1:
        out[n++] = unsealed_fd;
        return n;
    case 2:
        out[n++] = keeper.epoll_fd;
        return n;
    case 3:
        while (n < PACKET_DESCRIPTORS_MAX)
            out[n++] = sealed_fd;
        return n;
    default:
        while (n < choice - 3)
            out[n++] = sealed_fd;
        return n;
    }
}

static void send_packet(const uint8_t *bytes, size_t len, unsigned descriptors)
{
    int fds[PACKET_DESCRIPTORS_MAX];
    size_t n_fds = choose_descriptors(descriptors, fds);
    int result = packet_send(peer_fd, bytes, len, fds, n_fds);
    (void)result;
}

static void call(size_t method, const uint8_t *payload, size_t len, unsigned descriptors)
{
    uint8_t bytes[1024];
    struct rpc_request_envelope request = {
        .service = RPC_BYTES_OF_TEXT(keeper_service.name),
        .method = RPC_BYTES_OF_TEXT(keeper_service.methods[method].name),
        .payload = {payload, len},
    };
    static uint32_t stream_id = 1;
    struct rpc_frame frame = {.body_len = (uint32_t)rpc_request_size(&request),
        .stream_id = stream_id,
        .type = RPC_FRAME_REQUEST,
        .flags = RPC_FRAME_REMOTE_CLOSED};
    stream_id += 2;
    rpc_frame_encode(&frame, bytes);
    uint8_t *place = rpc_request_encode(&request, bytes + RPC_FRAME_HEADER_BYTES);
    if (len > 0)
        memcpy(place, payload, len);
    send_packet(bytes, RPC_FRAME_HEADER_BYTES + frame.body_len, descriptors);
}

static size_t place_of(const uint8_t *bytes, size_t len)
{
    return len > 0 ? bytes[0] : 0;
}

/* A child's, or a stray's. */
static void exit_child(const uint8_t *bytes, size_t len)
{
    pid_t pid = keeper.children.pids[KEEPER_CHILDREN - 1 - place_of(bytes, len)];
    if (pid == 0)
        pid = keeper.children.pids[place_of(bytes, len)];
    exited_pid = pid != 0 ? pid : FIRST_PID - 1;
    exited_status = len > 1 ? bytes[1] << 8 : SIGKILL;
    (void)reap_all(&keeper);
}

/* The child's word that a step of its set-up failed. */
static void report(const uint8_t *bytes, size_t len)
{
    size_t place = KEEPER_CHILDREN - 1 - place_of(bytes, len);
    if (keeper.calls[place].report_fd <= 0)
        place = place_of(bytes, len);
    if (keeper.calls[place].report_fd <= 0)
        return;
    struct spawn_failure failure = {.step = KEEPER_STEP_EXEC, .system_error = ENOENT};
    int ends[2];
    if (len > sizeof failure)
        memcpy(&failure, bytes + 1, sizeof failure);
    if (pipe2(ends, O_CLOEXEC) == 0) {
        ssize_t written = write(ends[1], &failure, sizeof failure);
        (void)written;
        (void)dup2(ends[0], keeper.calls[place].report_fd);
        fd_close(&ends[0]);
        fd_close(&ends[1]);
    }
    spawning_report(&keeper, place);
}

static void step(unsigned kind, const uint8_t *bytes, size_t len)
{
    unsigned what = kind & STEP_KIND_MASK;
    unsigned descriptors = kind >> STEP_DESCRIPTORS_SHIFT & STEP_DESCRIPTORS_MASK;
    if (what < METHOD_PREPARE) {
        call(what, bytes, len, descriptors);
    } else if (what == STEP_RAW) {
        send_packet(bytes, len, descriptors);
    } else if (what == STEP_EXIT) {
        exit_child(bytes, len);
    } else if (what == STEP_SHUTDOWN && descriptors > 0) {
        call(METHOD_PREPARE, bytes, len, descriptors);
    } else if (what == STEP_SHUTDOWN) {
        keeper.shutdown_signal = SIGTERM;
        link_tell_events(&keeper);
    } else if (what == STEP_REPORT) {
        report(bytes, len);
    } else {
        link_close(&keeper);
        connect_flocksd();
    }
    link_turn(&keeper, EPOLLIN | EPOLLOUT);
    if ((kind & STEP_IS_DEAF) == 0)
        read_answers();
}

/* ---- life ---- */

static int make_texts(bool is_sealed)
{
    static const char TEXTS[] = "program\0A=b";
    int fd = memfd_create("texts", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    ssize_t written = write(fd, TEXTS, sizeof TEXTS);
    assert(written == (ssize_t)sizeof TEXTS);
    if (is_sealed && fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW) != 0)
        abort();
    return fd;
}

static void prepare_once(void)
{
    static bool is_prepared;
    static char directory[] = "/tmp/fuzz-keeper-XXXXXX";
    struct error error = ERROR_INIT;
    if (is_prepared)
        return;
    is_prepared = true;
    int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    log_open(null_fd, "fuzz", LOG_LEVEL_ERROR);
    sealed_fd = make_texts(true);
    unsealed_fd = make_texts(false);
    if (mkdtemp(directory) == NULL ||
        inventory_create(directory, &keeper.inventory, &keeper.inventory_fd, &error) != 0)
        abort();
    /* Mapped; the name is needed no more. */
    inventory_remove(directory);
    (void)rmdir(directory);
}

static void keeper_begin(void)
{
    struct inventory *inventory = keeper.inventory;
    memset(&keeper, 0, sizeof keeper);
    keeper.inventory = inventory;
    keeper.link.fd = -1;
    keeper.log_fd = -1;
    keeper.server.image.fd = keeper.own_image.fd = -1;
    replacement_init(&keeper.replacement);
    keeper.files.lock_fd = keeper.inventory_fd = unsealed_fd;
    keeper.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    keeper.ready_fd = dup(sealed_fd);
    keeper.state_fd = keeper.files.listener_fd = keeper.files.notify_fd = unsealed_fd;
    children_init(&keeper.children);
    int failure = outputs_init(&keeper.outputs, -1);
    assert(failure == 0);
    keeper.outputs.descriptor_bound = DESCRIPTORS_FOR_OUTPUTS;
    failure = outputs_register(&keeper.outputs, KEEPER_SLOT_DAEMON, "/daemon.log", 0, 0);
    assert(failure == 0);
    connect_flocksd();
}

static void keeper_finish(void)
{
    link_close(&keeper);
    fd_close(&peer_fd);
    for (size_t i = 0; i < CAPTURE_ENTRIES; i++) {
        if (keeper.outputs.table[i].is_used) {
            fd_close(&keeper.outputs.table[i].pipe_fd);
            fd_close(&keeper.outputs.table[i].private_fd);
        }
    }
    for (size_t i = 0; i < KEEPER_CHILDREN; i++) {
        bool is_reporting = keeper.calls[i].report_fd > 0;
        if (is_reporting)
            fd_close(&keeper.calls[i].report_fd);
    }
    for (size_t i = 0; i < REPLACEMENT_PARTS; i++) {
        image_close(&keeper.replacement.images[i]);
        fd_close(&keeper.replacement.checks[i].output_fd);
    }
    image_close(&keeper.replacement.previous);
    image_close(&keeper.server.image);
    (void)munmap(keeper.outputs.shared, sizeof(struct keeper_shared));
    fd_close(&keeper.outputs.shared_fd);
    fd_close(&keeper.ready_fd);
    fd_close(&keeper.epoll_fd);
}

/* The lowest number that is free: the same before and after unless one was left open. */
static int free_descriptor(void)
{
    int fd = dup(sealed_fd);
    int number = fd;
    fd_close(&fd);
    return number;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    prepare_once();
    int before = free_descriptor();
    last_pid = FIRST_PID;
    exited_pid = 0;
    kill_fails = size > 0 && data[0] % 2 == 1;
    keeper_begin();
    for (size_t at = 1; at + 2 <= size;) {
        size_t len = data[at + 1];
        if (len > size - at - 2)
            len = size - at - 2;
        step(data[at], data + at + 2, len);
        at += 2 + len;
    }
    keeper_finish();
    assert(free_descriptor() == before);
    return 0;
}

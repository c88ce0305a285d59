/* A flocksd for the keeper's tests: does over the link what a test says over the socket it was
 * handed.
 *
 * One command per line, one or more lines of answer, the last of which begins with "ok", "error" or
 * "failed". In the environment, FAKE_FLOCKSD=silent never says ready, fail says why it cannot
 * serve, die exits at once, deaf does not watch events. */
#include <assert.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

#include "server/keeper/link.h"

enum { LINE_MAX_BYTES = 256 * 1024, WORDS_MAX = 4096, EXITS_MAX = 100000, STATE_TEXT_BYTES = 4096 };

struct client {
    uv_pipe_t pipe;
    size_t used;
    char line[LINE_MAX_BYTES];
};

struct fake {
    char **argv;
    uv_loop_t loop;
    uv_pipe_t listener;
    struct keeper_link *link;
    struct keeper_welcome welcome;
    char *state;
    struct keeper_exit exits[EXITS_MAX];
    size_t n_exits;
    int shutdown_signal;
    bool acknowledges;
    char replaced[1024];
};

static struct fake fake;

/* ---- words of a command ---- */

/* "" beyond the last. */
static const char *word(char **words, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (words[i] == NULL)
            return "";
    return words[n] != NULL ? words[n] : "";
}

static uint32_t number(char **words, size_t n)
{
    return (uint32_t)strtoul(word(words, n), NULL, 10);
}

static bool is(const char *text, const char *expected)
{
    return strcmp(text, expected) == 0;
}

/* The process's end, from wherever. */
static _Noreturn void leave_with(int exit_code)
{
    _exit(exit_code);
}

/* ---- answers ---- */

static void say(struct client *client, const char *text)
{
    union {
        const char *read_only;
        char *writable;
    } base = {.read_only = text};
    uv_buf_t buffer = uv_buf_init(base.writable, (unsigned)strlen(text));
    int written = uv_try_write((uv_stream_t *)&client->pipe, &buffer, 1);
    assert(written == (int)buffer.len);
}

static void say_error(struct client *client, int result, const struct error *error)
{
    char text[2048];
    (void)snprintf(text, sizeof text, "error %s %s\n", status_code_name(-result),
        error != NULL ? error->text : "");
    say(client, text);
}

static void on_done(void *data, int result, const struct error *error)
{
    if (result < 0)
        say_error(data, result, error);
    else
        say(data, "ok\n");
}

static void on_spawned(
    void *data, int result, const struct keeper_spawned *spawned, const struct error *error)
{
    char text[256];
    if (result < 0) {
        say_error(data, result, error);
        return;
    }
    if (spawned->failed_step != KEEPER_STEP_NONE)
        (void)snprintf(text, sizeof text, "failed %d %s\n", spawned->system_error,
            keeper_step_text((int)spawned->failed_step));
    else
        (void)snprintf(text, sizeof text, "ok %d %llu\n", spawned->pid,
            (unsigned long long)spawned->start_ticks);
    say(data, text);
}

static void on_listed(void *data, int result, const struct keeper_child *children,
    size_t n_children, const struct error *error)
{
    for (size_t i = 0; i < n_children; i++) {
        char text[256];
        (void)snprintf(text, sizeof text, "child %u %u %d %llu %d %d\n", children[i].slot,
            children[i].generation, children[i].pid, (unsigned long long)children[i].start_ticks,
            children[i].exited, children[i].wait_status);
        say(data, text);
    }
    on_done(data, result, error);
}

/* ---- events ---- */

static void on_exited(void *data, const struct keeper_exit *exit)
{
    (void)data;
    assert(fake.n_exits < EXITS_MAX);
    fake.exits[fake.n_exits++] = *exit;
    if (fake.acknowledges)
        keeper_link_acknowledge(fake.link, exit->sequence);
}

static void on_shutdown(void *data, int signal_number)
{
    (void)data;
    fake.shutdown_signal = signal_number;
}

/* The keeper's command line is ours: --root ROOT --config FILE --keeper-fd 3. */
static _Noreturn void become_keeper(void)
{
    char program[PATH_MAX];
    char *no_options[] = {NULL};
    struct error error = ERROR_INIT;
    ssize_t len = readlink("/proc/self/exe", program, sizeof program - 1);
    assert(len > 0);
    program[len] = '\0';
    const struct keeper_heir heir = {.root = fake.argv[2],
        .config = fake.argv[4],
        .flocksd = program,
        .flocksd_fd = -1,
        .server_options = no_options};
    assert(keeper_link_become(fake.link, &fake.welcome, &heir, &error) != 0);
    (void)fprintf(stderr, "fake flocksd: %s\n", error.text);
    leave_with(3);
}

static void on_lost(void *data, const struct error *lost)
{
    (void)data;
    (void)fprintf(stderr, "fake flocksd lost its keeper: %s\n", lost->text);
    become_keeper();
}

static void on_replaced(void *data, const struct keeper_replaced *replaced)
{
    (void)data;
    (void)snprintf(fake.replaced, sizeof fake.replaced, "%s %s %s", replaced->operation_id,
        replaced->keeper_version, replaced->failure);
}

static const struct keeper_link_events events = {.exited = on_exited,
    .shutdown_requested = on_shutdown,
    .replaced = on_replaced,
    .lost = on_lost};

/* ---- commands ---- */

/* What settings of a spawn point into. */
struct spawn_memory {
    const char *environment[3];
    struct keeper_limit limit;
    int extra_fd;
    char big[8 * 1024 * 1024];
};

/* Bytes of text in a new memfd, as a further descriptor. */
static void add_memory(struct keeper_spawn *spawn, struct spawn_memory *memory, const char *text)
{
    memory->extra_fd = memfd_create("extra", MFD_CLOEXEC);
    assert(write(memory->extra_fd, text, strlen(text)) == (ssize_t)strlen(text));
    spawn->descriptors = &memory->extra_fd;
    spawn->n_descriptors = 1;
}

/* One environment text of this many bytes. */
static void add_big(struct spawn_memory *memory, size_t size)
{
    assert(size < sizeof memory->big);
    memset(memory->big, 'x', size);
    memcpy(memory->big, "BIG=", 4);
    memory->big[size] = '\0';
    memory->environment[1] = memory->big;
}

static void set(
    struct keeper_spawn *spawn, struct spawn_memory *memory, const char *key, const char *value)
{
    unsigned long n = strtoul(value, NULL, 10);
    if (is(key, "mark")) {
        spawn->rttime_mark = n;
    } else if (is(key, "directory")) {
        spawn->directory = value;
    } else if (is(key, "nice")) {
        spawn->nice = (int)n;
    } else if (is(key, "umask")) {
        spawn->umask = (mode_t)strtoul(value, NULL, 8);
    } else if (is(key, "oom")) {
        spawn->oom_score_adj = (int)strtol(value, NULL, 10);
    } else if (is(key, "uid")) {
        spawn->change_user = true;
        spawn->uid = spawn->gid = (uid_t)n;
    } else if (is(key, "cpu")) {
        memory->limit = (struct keeper_limit){.resource = RLIMIT_CPU, .soft = n, .hard = n};
        spawn->limits = &memory->limit;
        spawn->n_limits = 1;
    } else if (is(key, "memory")) {
        add_memory(spawn, memory, value);
    } else if (is(key, "big")) {
        add_big(memory, n);
    }
}

/* spawn SLOT GENERATION OUTPUT-SLOT [key=value ...] -- PROGRAM ARGUMENT... */
static void do_spawn(struct client *client, char **words)
{
    static struct spawn_memory memory;
    memory.environment[0] = "PATH=/usr/bin:/bin";
    memory.environment[1] = NULL;
    memory.extra_fd = -1;
    struct keeper_spawn spawn = {
        .slot = number(words, 1),
        .generation = number(words, 2),
        .output_slot = number(words, 3),
        .name = "test",
        .environment = memory.environment,
        .directory = "/",
        .umask = 022,
        .invocation = "0123456789abcde",
    };
    size_t at = 4;
    for (; !is(word(words, at), "--"); at++) {
        char *equals = strchr(words[at], '=');
        assert(equals != NULL);
        *equals = '\0';
        set(&spawn, &memory, words[at], equals + 1);
    }
    spawn.arguments = (const char *const *)(words + at + 1);
    spawn.executable = word(words, at + 1);
    struct error error = ERROR_INIT;
    int result = keeper_link_spawn(fake.link, &spawn, on_spawned, client, &error);
    if (memory.extra_fd >= 0)
        (void)close(memory.extra_fd);
    if (result < 0)
        say_error(client, result, &error);
}

static void do_exits(struct client *client)
{
    for (size_t i = 0; i < fake.n_exits; i++) {
        char text[256];
        const struct keeper_exit *exit = &fake.exits[i];
        (void)snprintf(text, sizeof text, "exit %llu %u %u %d %d %d\n",
            (unsigned long long)exit->sequence, exit->slot, exit->generation, exit->pid,
            exit->wait_status, exit->stray);
        say(client, text);
    }
    say(client, "ok\n");
}

static void do_facts(struct client *client)
{
    char text[256];
    struct stat status;
    assert(fstat(fake.welcome.state_fd, &status) == 0);
    (void)snprintf(text, sizeof text, "ok %d %u %d %d %llu %lld %d\n", fake.welcome.keeper_pid,
        fake.welcome.earlier_starts, fake.welcome.was_ready, fake.shutdown_signal,
        (unsigned long long)keeper_link_strays_of(fake.link, 0), (long long)status.st_size,
        (int)getpid());
    say(client, text);
}

static void do_strays(struct client *client, const char *mark)
{
    char text[64];
    (void)snprintf(text, sizeof text, "ok %llu\n",
        (unsigned long long)keeper_link_strays_of(fake.link, strtoull(mark, NULL, 10)));
    say(client, text);
}

static void do_loss(struct client *client, uint32_t slot)
{
    char text[256];
    struct keeper_output_loss loss;
    keeper_link_output_loss(fake.link, slot, &loss);
    (void)snprintf(text, sizeof text, "ok %llu %llu %u %d\n", (unsigned long long)loss.lost_bytes,
        (unsigned long long)loss.written_bytes, loss.rotations, loss.system_error);
    say(client, text);
}

/* prepare ID FLOCKSD KEEPER VERSION */
static int do_prepare(struct client *client, char **words, struct error *error)
{
    const struct keeper_images images = {
        .operation_id = word(words, 1),
        .flocksd_path = word(words, 2),
        .keeper_path = word(words, 3),
        .flocksd_fd = open(word(words, 2), O_PATH | O_CLOEXEC),
        .keeper_fd = open(word(words, 3), O_PATH | O_CLOEXEC),
        .expected_version = word(words, 4),
        .expected_keeper_version = word(words, 4),
    };
    int result = keeper_link_prepare(fake.link, &images, on_done, client, error);
    (void)close(images.flocksd_fd);
    (void)close(images.keeper_fd);
    return result;
}

/* False: no such call. */
static bool run_call(struct client *client, char **words, int *out, struct error *error)
{
    const char *name = word(words, 0);
    uint32_t slot = number(words, 1);
    if (is(name, "register")) {
        struct keeper_output output = {.slot = slot,
            .log_path = word(words, 2),
            .max_size = number(words, 3),
            .keep = number(words, 4)};
        *out = keeper_link_register_output(fake.link, &output, on_done, client, error);
    } else if (is(name, "signal")) {
        bool is_group = is(word(words, 4), "group");
        *out = keeper_link_signal(fake.link, slot, number(words, 2), (int)number(words, 3),
            is_group ? KEEPER_SCOPE_GROUP : KEEPER_SCOPE_LEADER, on_done, client, error);
    } else if (is(name, "forget")) {
        *out = keeper_link_forget(fake.link, slot, on_done, client, error);
    } else if (is(name, "list")) {
        *out = keeper_link_list(fake.link, on_listed, client, error);
    } else if (is(name, "replace")) {
        *out = keeper_link_replace(fake.link, word(words, 1), on_done, client, error);
    } else if (is(name, "prepare")) {
        *out = do_prepare(client, words, error);
    } else if (is(name, "leave")) {
        *out = keeper_link_leave(fake.link, on_done, client, error);
    } else {
        return false;
    }
    return true;
}

static void do_acknowledge_all(struct client *client)
{
    fake.acknowledges = true;
    if (fake.n_exits > 0)
        keeper_link_acknowledge(fake.link, fake.exits[fake.n_exits - 1].sequence);
    say(client, "ok\n");
}

static void run(struct client *client, char **words)
{
    const char *name = word(words, 0);
    struct error error = ERROR_INIT;
    int result = 0;
    if (run_call(client, words, &result, &error)) {
        if (result < 0)
            say_error(client, result, &error);
    } else if (is(name, "spawn")) {
        do_spawn(client, words);
    } else if (is(name, "exits")) {
        do_exits(client);
    } else if (is(name, "facts")) {
        do_facts(client);
    } else if (is(name, "strays")) {
        do_strays(client, word(words, 1));
    } else if (is(name, "loss")) {
        do_loss(client, number(words, 1));
    } else if (is(name, "replaced")) {
        say(client, "ok ");
        say(client, fake.welcome.replacement);
        say(client, "|");
        say(client, fake.replaced);
        say(client, "\n");
    } else if (is(name, "put")) {
        (void)snprintf(fake.state, STATE_TEXT_BYTES, "%s", word(words, 1));
        say(client, "ok\n");
    } else if (is(name, "get")) {
        say(client, fake.state);
        say(client, "\nok\n");
    } else if (is(name, "acknowledge-all")) {
        do_acknowledge_all(client);
    } else if (is(name, "exit")) {
        leave_with((int)number(words, 1));
    } else {
        say(client, "error UNIMPLEMENTED\n");
    }
}

static void run_line(struct client *client, char *line)
{
    static char *words[WORDS_MAX + 1];
    size_t n = 0;
    char *rest = NULL;
    for (char *word = strtok_r(line, "\t", &rest); word != NULL && n < WORDS_MAX;
         word = strtok_r(NULL, "\t", &rest))
        words[n++] = word;
    words[n] = NULL;
    run(client, words);
}

/* ---- the socket ---- */

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *out)
{
    (void)suggested;
    struct client *client = handle->data;
    *out = uv_buf_init(client->line + client->used, (unsigned)(sizeof client->line - client->used));
}

static void on_client_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void on_read(uv_stream_t *stream, ssize_t length, const uv_buf_t *buffer)
{
    (void)buffer;
    struct client *client = stream->data;
    if (length < 0) {
        uv_close((uv_handle_t *)stream, on_client_closed);
        return;
    }
    client->used += (size_t)length;
    char *end;
    while ((end = memchr(client->line, '\n', client->used)) != NULL) {
        *end = '\0';
        run_line(client, client->line);
        size_t taken = (size_t)(end + 1 - client->line);
        memmove(client->line, end + 1, client->used - taken);
        client->used -= taken;
    }
}

static void on_connection(uv_stream_t *server, int status)
{
    assert(status == 0);
    struct client *client = calloc(1, sizeof *client);
    assert(uv_pipe_init(&fake.loop, &client->pipe, 0) == 0);
    client->pipe.data = client;
    assert(uv_accept(server, (uv_stream_t *)&client->pipe) == 0);
    assert(uv_stream_set_blocking((uv_stream_t *)&client->pipe, 1) == 0);
    assert(uv_read_start((uv_stream_t *)&client->pipe, on_alloc, on_read) == 0);
}

static void on_nothing(void *data, int result, const struct error *error)
{
    (void)data;
    (void)result;
    (void)error;
}

static void on_failure_told(void *data, int result, const struct error *error)
{
    (void)data;
    (void)result;
    (void)error;
    leave_with(1);
}

/* Until SIGCONT, where ROOT/stop-early lies; once. */
static void stop_if_asked(const char *root)
{
    char path[PATH_MAX];
    (void)snprintf(path, sizeof path, "%s/stop-early", root);
    if (unlink(path) == 0)
        (void)raise(SIGSTOP);
}

int main(int argc, char **argv)
{
    if (argc == 2 && is(argv[1], "--version")) {
        (void)printf("flocksd %s\n", FLOCKS_VERSION);
        return 0;
    }
    assert(argc >= 5);
    fake.argv = argv;
    /* One thread. NOLINTNEXTLINE(concurrency-mt-unsafe) */
    const char *mode = getenv("FAKE_FLOCKSD");
    mode = mode != NULL ? mode : "";
    struct error error = ERROR_INIT;
    if (is(mode, "die"))
        return 9;
    stop_if_asked(argv[2]);
    int advance_fd = keeper_link_find_advance(3);
    assert(uv_loop_init(&fake.loop) == 0);
    int opened = keeper_link_open(&fake.loop, 3, advance_fd, &fake.link, &fake.welcome, &error);
    if (opened == KEEPER_LINK_ORPHANED)
        become_keeper();
    if (opened != 0) {
        (void)fprintf(stderr, "fake flocksd: %s\n", error.text);
        return 4;
    }
    fake.state =
        mmap(NULL, STATE_TEXT_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fake.welcome.state_fd, 0);
    assert(fake.state != MAP_FAILED);
    assert(uv_pipe_init(&fake.loop, &fake.listener, 0) == 0);
    assert(uv_pipe_open(&fake.listener, fake.welcome.listener_fd) == 0);
    assert(uv_listen((uv_stream_t *)&fake.listener, 16, on_connection) == 0);
    if (!is(mode, "deaf"))
        assert(keeper_link_watch(fake.link, &events, NULL, &error) == 0);
    if (is(mode, "fail"))
        assert(keeper_link_fail(fake.link, "no\nsuch port", on_failure_told, NULL, &error) == 0);
    else if (!is(mode, "silent"))
        assert(keeper_link_ready(fake.link, on_nothing, NULL, &error) == 0);
    (void)fprintf(stderr, "fake flocksd runs\n");
    return uv_run(&fake.loop, UV_RUN_DEFAULT);
}

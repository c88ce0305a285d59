/* A flocksd for the keeper's tests: does over the link what a test says over the socket it was
 * handed.
 *
 * One command per line, one or more lines of answer, the last of which begins with "ok", "error" or
 * "failed". In the environment, FAKE_FLOCKSD=silent never says ready, fail says why it cannot
 * serve, die exits at once, deaf does not watch events. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

#include "server/keeper/link.h"

enum { LINE_MAX_BYTES = 256 * 1024, WORDS_MAX = 4096, EXITS_MAX = 100000 };

struct client {
    uv_pipe_t pipe;
    size_t used;
    char line[LINE_MAX_BYTES];
};

struct fake {
    uv_loop_t loop;
    uv_pipe_t listener;
    struct keeper_link *link;
    struct keeper_welcome welcome;
    char *state;
    struct keeper_exit exits[EXITS_MAX];
    size_t n_exits;
    int shutdown_signal;
    bool acknowledges;
};

static struct fake fake;

/* ---- answers ---- */

static void say(struct client *client, const char *text)
{
    uv_buf_t buffer = uv_buf_init(strdup(text), (unsigned)strlen(text));
    int written = uv_try_write((uv_stream_t *)&client->pipe, &buffer, 1);
    assert(written == (int)buffer.len);
    free(buffer.base);
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

static void on_lost(void *data, const struct error *error)
{
    (void)data;
    (void)fprintf(stderr, "fake flocksd lost its keeper: %s\n", error->text);
    exit(3);
}

static const struct keeper_link_events events = {
    .exited = on_exited, .shutdown_requested = on_shutdown, .lost = on_lost};

/* ---- commands ---- */

/* spawn SLOT GENERATION OUTPUT-SLOT [key=value ...] -- PROGRAM ARGUMENT... */
static void do_spawn(struct client *client, char **words)
{
    static const char *environment[] = {"PATH=/usr/bin:/bin", NULL, NULL};
    struct keeper_limit limit = {0};
    struct keeper_spawn spawn = {
        .slot = (uint32_t)atoi(words[1]),
        .generation = (uint32_t)atoi(words[2]),
        .output_slot = (uint32_t)atoi(words[3]),
        .name = "test",
        .environment = environment,
        .directory = "/",
        .umask = 022,
        .invocation = "0123456789abcde",
    };
    char **word = words + 4;
    int extra = -1;
    for (; strcmp(*word, "--") != 0; word++) {
        char *value = strchr(*word, '=') + 1;
        value[-1] = '\0';
        if (strcmp(*word, "mark") == 0)
            spawn.rttime_mark = strtoull(value, NULL, 10);
        else if (strcmp(*word, "directory") == 0)
            spawn.directory = value;
        else if (strcmp(*word, "nice") == 0)
            spawn.nice = atoi(value);
        else if (strcmp(*word, "umask") == 0)
            spawn.umask = (mode_t)strtoul(value, NULL, 8);
        else if (strcmp(*word, "oom") == 0)
            spawn.oom_score_adj = atoi(value);
        else if (strcmp(*word, "uid") == 0) {
            spawn.change_user = true;
            spawn.uid = spawn.gid = (uid_t)atoi(value);
        } else if (strcmp(*word, "cpu") == 0) {
            limit = (struct keeper_limit){.resource = RLIMIT_CPU,
                .soft = strtoull(value, NULL, 10),
                .hard = strtoull(value, NULL, 10)};
            spawn.limits = &limit;
            spawn.n_limits = 1;
        } else if (strcmp(*word, "memory") == 0) {
            extra = memfd_create("extra", MFD_CLOEXEC);
            assert(write(extra, value, strlen(value)) == (ssize_t)strlen(value));
            spawn.descriptors = &extra;
            spawn.n_descriptors = 1;
        } else if (strcmp(*word, "big") == 0) {
            /* One environment text of this many bytes. */
            size_t size = strtoul(value, NULL, 10);
            char *text = malloc(size + 1);
            memset(text, 'x', size);
            memcpy(text, "BIG=", 4);
            text[size] = '\0';
            environment[1] = text;
        }
    }
    spawn.arguments = (const char *const *)(word + 1);
    spawn.executable = word[1];
    struct error error = ERROR_INIT;
    int result = keeper_link_spawn(fake.link, &spawn, on_spawned, client, &error);
    if (extra >= 0)
        (void)close(extra);
    environment[1] = NULL;
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
        (unsigned long long)keeper_link_strays(fake.link), (long long)status.st_size,
        (int)getpid());
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

static bool run_call(struct client *client, char **words, int *out, struct error *error)
{
    if (strcmp(words[0], "register") == 0) {
        struct keeper_output output = {.slot = (uint32_t)atoi(words[1]),
            .log_path = words[2],
            .max_size = strtoull(words[3], NULL, 10),
            .keep = (uint32_t)atoi(words[4])};
        *out = keeper_link_register_output(fake.link, &output, on_done, client, error);
    } else if (strcmp(words[0], "signal") == 0) {
        enum keeper_scope scope =
            strcmp(words[4], "group") == 0 ? KEEPER_SCOPE_GROUP : KEEPER_SCOPE_LEADER;
        *out = keeper_link_signal(fake.link, (uint32_t)atoi(words[1]), (uint32_t)atoi(words[2]),
            atoi(words[3]), scope, on_done, client, error);
    } else if (strcmp(words[0], "forget") == 0) {
        *out = keeper_link_forget(fake.link, (uint32_t)atoi(words[1]), on_done, client, error);
    } else if (strcmp(words[0], "list") == 0) {
        *out = keeper_link_list(fake.link, on_listed, client, error);
    } else if (strcmp(words[0], "replace") == 0) {
        *out = keeper_link_replace(fake.link, "/a", "/b", on_done, client, error);
    } else if (strcmp(words[0], "leave") == 0) {
        *out = keeper_link_leave(fake.link, on_done, client, error);
    } else {
        return false;
    }
    return true;
}

static void run(struct client *client, char **words)
{
    struct error error = ERROR_INIT;
    int result = 0;
    if (run_call(client, words, &result, &error)) {
        if (result < 0)
            say_error(client, result, &error);
    } else if (strcmp(words[0], "spawn") == 0) {
        do_spawn(client, words);
    } else if (strcmp(words[0], "exits") == 0) {
        do_exits(client);
    } else if (strcmp(words[0], "facts") == 0) {
        do_facts(client);
    } else if (strcmp(words[0], "loss") == 0) {
        do_loss(client, (uint32_t)atoi(words[1]));
    } else if (strcmp(words[0], "put") == 0) {
        (void)strcpy(fake.state, words[1]);
        say(client, "ok\n");
    } else if (strcmp(words[0], "get") == 0) {
        say(client, fake.state);
        say(client, "\nok\n");
    } else if (strcmp(words[0], "acknowledge") == 0) {
        keeper_link_acknowledge(fake.link, strtoull(words[1], NULL, 10));
        say(client, "ok\n");
    } else if (strcmp(words[0], "acknowledge-all") == 0) {
        fake.acknowledges = true;
        if (fake.n_exits > 0)
            keeper_link_acknowledge(fake.link, fake.exits[fake.n_exits - 1].sequence);
        say(client, "ok\n");
    } else if (strcmp(words[0], "exit") == 0) {
        exit(atoi(words[1]));
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
    exit(1);
}

int main(void)
{
    const char *mode = getenv("FAKE_FLOCKSD");
    mode = mode != NULL ? mode : "";
    struct error error = ERROR_INIT;
    if (strcmp(mode, "die") == 0)
        return 9;
    assert(uv_loop_init(&fake.loop) == 0);
    if (keeper_link_open(&fake.loop, 3, &fake.link, &fake.welcome, &error) != 0) {
        (void)fprintf(stderr, "fake flocksd: %s\n", error.text);
        return 4;
    }
    fake.state = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fake.welcome.state_fd, 0);
    assert(fake.state != MAP_FAILED);
    assert(uv_pipe_init(&fake.loop, &fake.listener, 0) == 0);
    assert(uv_pipe_open(&fake.listener, fake.welcome.listener_fd) == 0);
    assert(uv_listen((uv_stream_t *)&fake.listener, 16, on_connection) == 0);
    if (strcmp(mode, "deaf") != 0)
        assert(keeper_link_watch(fake.link, &events, NULL, &error) == 0);
    if (strcmp(mode, "fail") == 0)
        assert(keeper_link_fail(fake.link, "no\nsuch port", on_failure_told, NULL, &error) == 0);
    else if (strcmp(mode, "silent") != 0)
        assert(keeper_link_ready(fake.link, on_nothing, NULL, &error) == 0);
    (void)fprintf(stderr, "fake flocksd runs\n");
    return uv_run(&fake.loop, UV_RUN_DEFAULT);
}

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/cli/legacy.h"
#include "common/base/clock.h"
#include "temporary.h"
#include "unit.h"

/* ---- the record ---- */

static int parse(const char *text, struct legacy_record *out)
{
    return legacy_record_parse(text, strlen(text), out);
}

static void test_legacy_record_bare_integer(void **state)
{
    struct legacy_record record;
    (void)state;
    assert_int_equal(parse("4711\n", &record), 0);
    assert_int_equal(record.pid, 4711);
    assert_int_equal(record.started_at_s, LEGACY_NO_TIME);
    assert_int_equal(record.command_len, 0);
}

static void test_legacy_record_json(void **state)
{
    struct legacy_record record;
    (void)state;
    assert_int_equal(
        parse("{\"pid\": 12, \"pgid\": 12, \"host\": null, \"port\": 8000,"
              " \"command\": [\"/v/bin/flocks\", \"serve\"], \"started_at\": 1751500000.5}",
            &record),
        0);
    assert_int_equal(record.pid, 12);
    assert_int_equal(record.started_at_s, 1751500000);
    assert_int_equal(record.command_len, sizeof("/v/bin/flocks\0serve"));
    assert_memory_equal(record.command, "/v/bin/flocks\0serve", record.command_len);
}

static void test_legacy_record_times_in_every_spelling(void **state)
{
    static const struct {
        const char *text;
        int64_t at_s;
    } rows[] = {{"\"2026-07-02T10:00:00Z\"", 1782986400},
        {"\"2026-07-02T10:00:00.123456+00:00\"", 1782986400},
        {"\"2026-07-02T12:00:00+02:00\"", 1782986400}, {"\"2026-07-02 05:30:00-0430\"", 1782986400},
        {"1782986400", 1782986400}, {"\"yesterday\"", LEGACY_NO_TIME},
        {"\"2026-07-02T10:00:00 or so\"", LEGACY_NO_TIME}, {"null", LEGACY_NO_TIME},
        {"-5", LEGACY_NO_TIME}};
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        char text[128];
        struct legacy_record record;
        (void)snprintf(text, sizeof(text), "{\"pid\": 12, \"started_at\": %s}", rows[i].text);
        assert_int_equal(parse(text, &record), 0);
        assert_int_equal(record.started_at_s, rows[i].at_s);
    }
}

static void test_legacy_record_nonsense_is_refused(void **state)
{
    static const char *const texts[] = {"", "abc", "0", "1", "-7", "{}", "{\"pid\": \"7\"}", "[7]",
        "{\"pid\": 7", "99999999999", "7 8"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
        struct legacy_record record;
        if (parse(texts[i], &record) != -STATUS_INVALID_ARGUMENT)
            fail_msg("accepted: %s", texts[i]);
    }
}

/* ---- whether it means a process ---- */

static void test_legacy_record_agreement(void **state)
{
    enum { START = 1000000 };
    static const char npm[] = "npm\0run\0preview\0--\0--port\0"
                              "5173";
    static const char flocks[] = "/v/bin/flocks\0serve";
    static const struct {
        const char *name;
        const char *service;
        pid_t pid;
        int64_t recorded_s;
        int64_t written_s;
        const char *command;
        size_t command_len;
        const char *running;
        int64_t running_s;
        bool agrees;
    } rows[] = {
        {"same", "backend", 7, START, 0, flocks, sizeof(flocks), "python /v/bin/flocks serve",
            START, true},
        {"pid", "backend", 8, START, 0, flocks, sizeof(flocks), "/v/bin/flocks serve", START,
            false},
        {"later", "backend", 7, START, 0, flocks, sizeof(flocks), "/v/bin/flocks serve", START + 6,
            false},
        {"much earlier", "backend", 7, START, 0, flocks, sizeof(flocks), "/v/bin/flocks serve",
            START - 186, false},
        {"written after readiness", "backend", 7, START, 0, flocks, sizeof(flocks),
            "/v/bin/flocks serve", START - 170, true},
        {"start unknown", "backend", 7, START, 0, flocks, sizeof(flocks), "/v/bin/flocks serve", -1,
            false},
        {"command", "backend", 7, START, 0, flocks, sizeof(flocks), "/bin/sleep 99", START, false},
        {"npm's title", "webui", 7, START, 0, npm, sizeof(npm), "npm run preview --port 5173",
            START, true},
        {"npm's other port", "webui", 7, START, 0, npm, sizeof(npm), "npm run preview --port 5174",
            START, false},
        {"bare", "webui", 7, LEGACY_NO_TIME, START, "", 0, "node /x/vite preview", START - 3, true},
        {"bare, older file", "webui", 7, LEGACY_NO_TIME, START - 100, "", 0, "node vite", START,
            false},
        {"bare, foreign", "webui", 7, LEGACY_NO_TIME, START, "", 0, "/bin/sleep 99", START, false},
        {"bare, unknown service", "other", 7, LEGACY_NO_TIME, START, "", 0, "flocks", START, false},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct legacy_record record = {.pid = rows[i].pid, .started_at_s = rows[i].recorded_s};
        struct process process = {.pid = 7};
        memcpy(record.command, rows[i].command, rows[i].command_len);
        record.command_len = rows[i].command_len;
        (void)snprintf(process.command, sizeof(process.command), "%s", rows[i].running);
        if (legacy_record_agrees(&record, rows[i].service, rows[i].written_s, &process,
                rows[i].running_s) != rows[i].agrees)
            fail_msg("%s", rows[i].name);
    }
}

/* ---- the whole clean-up, on real processes ---- */

struct root {
    struct temporary directory;
    struct paths paths;
};

static int set_up(void **state)
{
    struct root *root = calloc(1, sizeof(*root));
    temporary_open(&root->directory);
    (void)snprintf(root->paths.run, sizeof(root->paths.run), "%s", root->directory.path);
    *state = root;
    return 0;
}

static int tear_down(void **state)
{
    struct root *root = *state;
    temporary_close(&root->directory);
    free(root);
    return 0;
}

/* A process of its own session, as the old supervisor's children were. */
static pid_t spawn_sleeper(void)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child > 0) {
        /* Until it leads its session and has become the sleeper. */
        struct process process;
        do
            assert_int_equal(process_read(child, &process, NULL), 0);
        while (process.group != child || !strstr(process.command, "4711"));
        return child;
    }
    setsid();
    execl("/bin/sleep", "sleep", "4711", (char *)NULL);
    _exit(127);
}

static void write_record(struct root *root, pid_t pid, const char *word)
{
    char text[256];
    (void)snprintf(text, sizeof(text),
        "{\"pid\": %d, \"command\": [\"/bin/sleep\", \"%s\"], \"started_at\": %lld}", (int)pid,
        word, (long long)(clock_wall_ns() / 1000000000));
    temporary_append(&root->directory, "backend.pid", text);
}

static bool exists(struct root *root, const char *name)
{
    return access(temporary_path(&root->directory, name), F_OK) == 0;
}

static void test_legacy_clean_up_ends_what_is_recorded(void **state)
{
    struct root *root = *state;
    struct error error = ERROR_INIT;
    int status = 0;
    pid_t child = spawn_sleeper();
    write_record(root, child, "4711");
    assert_int_equal(legacy_clean_up(&root->paths, NULL, &error), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
    assert_false(exists(root, "backend.pid"));
}

static void test_legacy_clean_up_leaves_a_foreign_process_alone(void **state)
{
    struct root *root = *state;
    struct error error = ERROR_INIT;
    int status = 0;
    pid_t child = spawn_sleeper();
    write_record(root, child, "4712");
    assert_int_equal(legacy_clean_up(&root->paths, NULL, &error), 0);
    assert_int_equal(waitpid(child, &status, WNOHANG), 0);
    assert_false(exists(root, "backend.pid"));
    kill(child, SIGKILL);
    waitpid(child, &status, 0);
}

static void test_legacy_clean_up_removes_nonsense(void **state)
{
    struct root *root = *state;
    temporary_append(&root->directory, "webui.pid", "what?");
    temporary_append(&root->directory, "watchdog.pid", "2147483647");
    assert_int_equal(legacy_clean_up(&root->paths, NULL, NULL), 0);
    assert_false(exists(root, "webui.pid"));
    assert_false(exists(root, "watchdog.pid"));
}

int main(void)
{
#define WITH_ROOT(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_legacy_record_bare_integer),
        cmocka_unit_test(test_legacy_record_json),
        cmocka_unit_test(test_legacy_record_times_in_every_spelling),
        cmocka_unit_test(test_legacy_record_nonsense_is_refused),
        cmocka_unit_test(test_legacy_record_agreement),
        WITH_ROOT(test_legacy_clean_up_ends_what_is_recorded),
        WITH_ROOT(test_legacy_clean_up_leaves_a_foreign_process_alone),
        WITH_ROOT(test_legacy_clean_up_removes_nonsense),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

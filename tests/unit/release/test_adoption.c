#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/fd.h"
#include "common/release/adoption.h"
#include "unit.h"

static const char *const NAMES[] = {"backend", "webui", "version", "missing"};
enum { N_NAMES = 4, CALLS_MAX = 200, KILLED = 9 };

/* ---- calls that end us, or fail ---- */

/* At this call (from 1; 0: never) the process ends, or the call fails with `failure`. */
static unsigned fatal_call;
static unsigned calls;
static int failure;

/* What must hold at every call: each name leads to its content. */
static bool names_hold(void);
static bool is_watching;

static bool strike(void)
{
    calls++;
    if (is_watching && !names_hold())
        _exit(1);
    if (calls != fatal_call)
        return false;
    if (failure == 0)
        _exit(KILLED);
    errno = failure;
    return true;
}

/* clang-format off */
#define WRAP(name, parameters, arguments)                                                          \
    int __real_##name parameters; /* NOLINT */                                                     \
    int __wrap_##name parameters; /* NOLINT */                                                     \
    int __wrap_##name parameters  /* NOLINT */                                                     \
    {                                                                                              \
        return strike() ? -1 : __real_##name arguments;                                            \
    }
/* clang-format on */

WRAP(mkdirat, (int fd, const char *name, mode_t mode), (fd, name, mode))
WRAP(rename, (const char *from, const char *to), (from, to))
WRAP(renameat2, (int from_fd, const char *from, int to_fd, const char *to, unsigned flags),
    (from_fd, from, to_fd, to, flags))
WRAP(symlink, (const char *target, const char *path), (target, path))
WRAP(symlinkat, (const char *target, int fd, const char *path), (target, fd, path))
WRAP(unlinkat, (int fd, const char *name, int flags), (fd, name, flags))

/* A process that ends loses nothing of what it wrote, and disks are slow. */
#define WRAP_SYNC(name)                                                                            \
    int __wrap_##name(int fd); /* NOLINT */                                                        \
    int __wrap_##name(int fd)  /* NOLINT */                                                        \
    {                                                                                              \
        return fd < 0 || strike() ? -1 : 0;                                                        \
    }

WRAP_SYNC(fsync)
WRAP_SYNC(syncfs)

/* ---- an installation ---- */

static bool holds(const char *name, const char *content)
{
    char *text = NULL;
    size_t len = 0;
    bool is_same =
        fd_read_file(place_path(name), 4096, &text, &len, NULL) == 0 && strcmp(text, content) == 0;
    free(text);
    return is_same;
}

static bool names_hold(void)
{
    return holds("backend/run.sh", "backend") && holds("webui/dist/index.html", "webui") &&
           holds("version", "1.0.0");
}

static void install(void)
{
    place_make_directory("backend");
    place_make_directory("webui");
    place_make_directory("webui/dist");
    place_make_directory("run");
    place_write("backend/run.sh", "backend");
    place_write("webui/dist/index.html", "webui");
    place_write("version", "1.0.0");
    place_write("flocks.yaml", "services: {}");
    fatal_call = 0;
    calls = 0;
    failure = 0;
    is_watching = false;
}

static struct release_dir open_dir(void)
{
    struct release_dir dir;
    assert_int_equal(release_dir_open(place_root(), true, &dir, NULL), 0);
    return dir;
}

static int run_once(struct error *error)
{
    struct release_dir dir = open_dir();
    int result = adoption_continue(&dir, error);
    if (result == ADOPTION_NOTHING)
        result = place_has("current") ? 0 : adoption_run(&dir, "1.0.0", NAMES, N_NAMES, error);
    release_dir_close(&dir);
    return result;
}

static ino_t inode_of(const char *name)
{
    struct stat status;
    assert_int_equal(stat(place_path(name), &status), 0);
    return status.st_ino;
}

static bool is_link(const char *name, const char *target)
{
    char text[256];
    ssize_t len = readlink(place_path(name), text, sizeof text - 1);
    if (len < 0)
        return false;
    text[len] = '\0';
    return strcmp(text, target) == 0;
}

static void check_adopted(void)
{
    assert_true(is_link("current", "releases/1.0.0"));
    assert_true(is_link("backend", "current/backend"));
    assert_true(is_link("webui", "current/webui"));
    assert_true(is_link("version", "current/version"));
    assert_int_equal(place_count("releases"), 1);
    assert_int_equal(place_count("releases/1.0.0"), 3);
    /* backend, webui, version, run, flocks.yaml, releases, current. */
    assert_int_equal(place_count("."), 7);
    struct stat status;
    assert_int_equal(lstat(place_path("releases/1.0.0/backend"), &status), 0);
    assert_true(S_ISDIR(status.st_mode));
    assert_true(names_hold());
}

/* ---- tests ---- */

static void test_adoption_moves_what_lies_in_place_and_keeps_inodes(void **state)
{
    (void)state;
    install();
    ino_t backend = inode_of("backend");
    ino_t version = inode_of("version");
    is_watching = true;
    assert_int_equal(run_once(NULL), 0);
    is_watching = false;
    check_adopted();
    assert_int_equal(inode_of("backend"), backend);
    assert_int_equal(inode_of("version"), version);
    struct release_dir dir = open_dir();
    assert_int_equal(adoption_continue(&dir, NULL), ADOPTION_NOTHING);
    assert_false(adoption_is_due(&dir, "backend"));
    release_dir_close(&dir);
}

static void test_adoption_with_nothing_to_adopt(void **state)
{
    (void)state;
    struct release_dir dir = open_dir();
    assert_int_equal(adoption_continue(&dir, NULL), ADOPTION_NOTHING);
    assert_int_equal(adoption_run(&dir, "1.0.0", NAMES, N_NAMES, NULL), ADOPTION_NOTHING);
    assert_int_equal(place_count("releases"), 0);
    release_dir_close(&dir);
}

static void test_adoption_of_a_version_that_is_there_gets_another_name(void **state)
{
    (void)state;
    install();
    place_make_directory("releases");
    place_make_directory("releases/1.0.0");
    assert_int_equal(run_once(NULL), 0);
    assert_true(is_link("current", "releases/1.0.0+adopted"));
    assert_true(names_hold());
}

/* In a process of its own, up to that call: true if it came so far. */
static bool cut_at(unsigned call)
{
    int status = 0;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        fatal_call = call;
        is_watching = true;
        _exit(run_once(NULL) == 0 ? 0 : 2);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) != KILLED)
        assert_int_equal(WEXITSTATUS(status), 0);
    return WEXITSTATUS(status) == KILLED;
}

static void test_adoption_killed_at_every_call_is_continued(void **state)
{
    unsigned call = 1;
    for (; call < CALLS_MAX; call++) {
        install();
        bool was_cut = cut_at(call);
        assert_true(names_hold());
        /* Whoever goes on is killed as well, and the next one. */
        (void)cut_at(1 + call % 5);
        assert_true(names_hold());
        is_watching = true;
        assert_int_equal(run_once(NULL), 0);
        is_watching = false;
        check_adopted();
        assert_int_equal(place_close(state), 0);
        assert_int_equal(place_open(state), 0);
        if (!was_cut)
            break;
    }
    assert_in_range(call, 20, CALLS_MAX - 1);
}

static void test_adoption_failed_at_every_call_is_continued(void **state)
{
    unsigned call = 1;
    bool has_failed = true;
    for (; has_failed && call < CALLS_MAX; call++) {
        struct error error = ERROR_INIT;
        install();
        struct release_dir dir = open_dir();
        calls = 0;
        fatal_call = call;
        failure = EIO;
        is_watching = true;
        int result = adoption_run(&dir, "1.0.0", NAMES, N_NAMES, &error);
        has_failed = calls >= call;
        fatal_call = 0;
        release_dir_close(&dir);
        assert_true(has_failed ? result < 0 : result == 0);
        assert_true(!has_failed || error.text[0] != '\0');
        assert_int_equal(run_once(NULL), 0);
        is_watching = false;
        check_adopted();
        assert_int_equal(place_close(state), 0);
        assert_int_equal(place_open(state), 0);
    }
    assert_in_range(call, 20, CALLS_MAX - 1);
}

/* Another process looks all the time. */
static void test_adoption_is_never_noticed(void **state)
{
    (void)state;
    install();
    int *is_over =
        mmap(NULL, sizeof *is_over, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(is_over != MAP_FAILED);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        unsigned long n = 0;
        bool is_well = true;
        for (; is_well && (__atomic_load_n(is_over, __ATOMIC_ACQUIRE) == 0 || n < 1000); n++)
            is_well = names_hold();
        _exit(is_well ? 0 : 1);
    }
    assert_int_equal(run_once(NULL), 0);
    __atomic_store_n(is_over, 1, __ATOMIC_RELEASE);
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_int_equal(munmap(is_over, sizeof *is_over), 0);
}

struct refusal {
    const char *name;
    int result;
    const char *why;
};

static void test_adoption_refuses_before_anything_changes(void **state)
{
    (void)state;
    /* clang-format off */
    static const struct refusal table[] = {
        {"current", -STATUS_INVALID_ARGUMENT, "needed here"},
        {"flocks.yaml", -STATUS_INVALID_ARGUMENT, "needed here"},
        {"..", -STATUS_INVALID_ARGUMENT, "needed here"},
        {"webui/dist", -STATUS_INVALID_ARGUMENT, "without a slash"},
        {"taken", -STATUS_FAILED_PRECONDITION, "is taken"},
    };
    /* clang-format on */
    install();
    place_write("taken", "x");
    place_write("taken.adopt", "y");
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct error error = ERROR_INIT;
        const char *const names[] = {"backend", table[i].name};
        struct release_dir dir = open_dir();
        int result = adoption_run(&dir, "1.0.0", names, 2, &error);
        release_dir_close(&dir);
        if (result != table[i].result || strstr(error.text, table[i].why) == NULL ||
            error.hint[0] == '\0')
            fail_msg("%s: %d, %s", table[i].name, result, error.text);
        assert_int_equal(place_count("releases"), 0);
        assert_false(place_has("backend.adopt"));
    }
}

static void test_adoption_where_names_cannot_be_exchanged_is_refused(void **state)
{
    (void)state;
    struct error error = ERROR_INIT;
    install();
    /* mkdirat, symlinkat twice, then the probe. */
    struct release_dir dir = open_dir();
    calls = 0;
    for (fatal_call = 1; fatal_call < 20; fatal_call++) {
        calls = 0;
        failure = EINVAL;
        int result = adoption_run(&dir, "1.0.0", NAMES, N_NAMES, &error);
        if (result == -STATUS_UNIMPLEMENTED)
            break;
        assert_true(result < 0);
    }
    assert_in_range(fatal_call, 1, 19);
    fatal_call = 0;
    assert_non_null(strstr(error.text, "cannot exchange"));
    assert_true(error.hint[0] != '\0');
    assert_int_equal(place_count("releases"), 0);
    assert_false(place_has("current"));
    assert_false(place_has(".flocks-probe.adopt"));
    release_dir_close(&dir);
}

/* As on overlayfs, where a directory of a lower layer cannot be renamed, and links can. */
static void test_adoption_of_a_name_that_cannot_be_exchanged_is_withdrawn(void **state)
{
    struct error error = ERROR_INIT;
    int result = 0;
    for (unsigned call = 1; call < CALLS_MAX; call++) {
        install();
        struct release_dir dir = open_dir();
        calls = 0;
        fatal_call = call;
        failure = EXDEV;
        is_watching = true;
        result = adoption_run(&dir, "1.0.0", NAMES, N_NAMES, &error);
        is_watching = false;
        fatal_call = 0;
        release_dir_close(&dir);
        if (result < 0 && strstr(error.text, "exchanging it with a link: ") != NULL)
            break;
        assert_int_equal(place_close(state), 0);
        assert_int_equal(place_open(state), 0);
    }
    assert_true(result < 0);
    assert_true(error.hint[0] != '\0');
    assert_false(place_has("current"));
    assert_int_equal(place_count("releases"), 0);
    /* backend, webui, version, run, flocks.yaml, releases. */
    assert_int_equal(place_count("."), 6);
    assert_int_equal(run_once(NULL), 0);
    check_adopted();
}

static void test_adoption_that_somebody_works_against_is_left_alone(void **state)
{
    (void)state;
    struct error error = ERROR_INIT;
    install();
    place_make_directory("releases");
    place_make_directory("releases/1.0.0");
    place_link("releases/1.0.0/backend", "../../backend.adopt");
    place_link("current", "releases/1.0.0");
    place_link("backend.adopt", "elsewhere");
    struct release_dir dir = open_dir();
    assert_int_equal(adoption_continue(&dir, &error), -STATUS_FAILED_PRECONDITION);
    release_dir_close(&dir);
    assert_non_null(strstr(error.text, "backend"));
    assert_true(names_hold());
    assert_true(is_link("backend.adopt", "elsewhere"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define CASE(name) cmocka_unit_test_setup_teardown(name, place_open, place_close)
        CASE(test_adoption_moves_what_lies_in_place_and_keeps_inodes),
        CASE(test_adoption_with_nothing_to_adopt),
        CASE(test_adoption_of_a_version_that_is_there_gets_another_name),
        CASE(test_adoption_killed_at_every_call_is_continued),
        CASE(test_adoption_failed_at_every_call_is_continued),
        CASE(test_adoption_is_never_noticed),
        CASE(test_adoption_refuses_before_anything_changes),
        CASE(test_adoption_where_names_cannot_be_exchanged_is_refused),
        CASE(test_adoption_of_a_name_that_cannot_be_exchanged_is_withdrawn),
        CASE(test_adoption_that_somebody_works_against_is_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

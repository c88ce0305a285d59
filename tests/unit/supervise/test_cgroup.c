/* Control groups: finding them, and one run's, in a directory that stands for the kernel's. */
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
/* cmocka wants the standard headers above first. */
#include <cmocka.h>

#include "common/base/fd.h"
#include "server/supervise/cgroup.h"

static const char mounts[] =
    "24 1 0:21 / /proc rw,relatime - proc proc rw\n"
    "41 31 0:38 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n"
    "42 31 0:39 /docker/abc /mnt/part rw,relatime shared:9 - cgroup2 cgroup2 rw\n"
    "43 31 0:39 / /sys/fs/cgroup rw,relatime shared:9 - cgroup2 cgroup2 rw\n";

/* ---- finding ---- */

static void test_own_path_is_the_line_of_the_unified_hierarchy(void **state)
{
    (void)state;
    char path[PATH_MAX];
    assert_true(cgroup_own_path("4:memory:/a\n0::/user.slice/x.scope\n", path));
    assert_string_equal(path, "/user.slice/x.scope");
    assert_true(cgroup_own_path("0::/", path));
    assert_string_equal(path, "/");
    assert_false(cgroup_own_path("4:memory:/a\n10::/b\n", path));
    assert_false(cgroup_own_path("", path));
}

static void test_directory_is_below_a_mount_that_shows_it(void **state)
{
    (void)state;
    char directory[PATH_MAX];
    assert_true(cgroup_directory(mounts, "/docker/abc/x", directory));
    assert_string_equal(directory, "/mnt/part/x");
    assert_true(cgroup_directory(mounts, "/docker/abcd", directory));
    assert_string_equal(directory, "/sys/fs/cgroup/docker/abcd");
    assert_true(cgroup_directory(mounts, "/", directory));
    assert_string_equal(directory, "/sys/fs/cgroup/");
}

static void test_directory_outside_of_our_namespace_is_nobodys(void **state)
{
    (void)state;
    char directory[PATH_MAX];
    assert_false(cgroup_directory(mounts, "/../other", directory));
    assert_false(cgroup_directory("24 1 0:21 / /proc rw - proc proc rw\n", "/", directory));
}

static void test_instance_name_follows_the_root(void **state)
{
    (void)state;
    char one[CGROUP_NAME_MAX];
    char same[CGROUP_NAME_MAX];
    char other[CGROUP_NAME_MAX];
    cgroup_instance_name("/srv/a", one);
    cgroup_instance_name("/srv/a", same);
    cgroup_instance_name("/srv/b", other);
    assert_string_equal(one, same);
    assert_string_not_equal(one, other);
    assert_int_equal(strlen(one), strlen("flocks-") + 8);
}

static void test_numbers_are_read_by_their_whole_name(void **state)
{
    (void)state;
    const char *text = "oom 5\noom_kill 7\noom_group_kill 9\n";
    assert_int_equal(cgroup_number_of(text, "oom_kill"), 7);
    assert_int_equal(cgroup_number_of(text, "oom_group_kill"), 9);
    assert_int_equal(cgroup_number_of(text, "kill"), 0);
    assert_int_equal(cgroup_number_of("", "oom"), 0);
}

/* ---- a directory that stands for the kernel's ---- */

static char base[] = "/tmp/flocks-cgroup-XXXXXX";
static struct cgroup_home home;

static void put(const char *path, const char *text)
{
    char whole[PATH_MAX];
    (void)snprintf(whole, sizeof whole, "%s/%s", base, path);
    CLEANUP(fd_close) int fd = open(whole, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
}

static void assert_holds(const char *path, const char *text)
{
    char whole[PATH_MAX];
    char *read = NULL;
    size_t len = 0;
    (void)snprintf(whole, sizeof whole, "%s/%s", base, path);
    assert_int_equal(fd_read_file(whole, 4096, &read, &len, NULL), 0);
    assert_string_equal(read, text);
    free(read);
}

static int make_home(void **state)
{
    (void)state;
    memcpy(base + sizeof base - 7, "XXXXXX", 6);
    assert_non_null(mkdtemp(base));
    put("cgroup.controllers", "memory pids hugetlb\n");
    put("cgroup.subtree_control", "memory pids\n");
    cgroup_home_open_in(base, "/root", &home);
    return home.fd >= 0 ? 0 : 1;
}

static int remove_home(void **state)
{
    char command[PATH_MAX + 16];
    (void)state;
    cgroup_home_close(&home);
    (void)snprintf(command, sizeof command, "rm -rf %s", base);
    return system(command); /* NOLINT(cert-env33-c,concurrency-mt-unsafe) */
}

static void test_group_is_made_below_the_instances(void **state)
{
    (void)state;
    unsigned missing = 0;
    int fd = -1;
    char name[CGROUP_NAME_MAX];
    cgroup_name("backend", 7, name);
    assert_string_equal(name, "backend-7");
    assert_int_equal(cgroup_make(&home, name, NULL, &fd, &missing, NULL), 0);
    assert_int_equal(missing, 0);
    assert_true(cgroup_exists(home.fd, name));
    assert_false(cgroup_is_populated(home.fd, name));
    fd_close(&fd);
    cgroup_remove(home.fd, name);
    assert_false(cgroup_exists(home.fd, name));
}

static void test_limits_without_their_controllers_are_missing(void **state)
{
    (void)state;
    const struct cgroup_limits limits = {.memory = 1 << 20, .cpu_percent = 150, .pids = 9};
    unsigned missing = 0;
    int fd = -1;
    char text[64];
    assert_int_equal(cgroup_make(&home, "a-1", &limits, &fd, &missing, NULL), 0);
    assert_int_equal(missing, CGROUP_MEMORY | CGROUP_CPU | CGROUP_PIDS);
    cgroup_controllers_text(missing, text, sizeof text);
    assert_string_equal(text, "memory, cpu, pids");
    fd_close(&fd);
}

static void test_limits_are_written_as_the_kernel_wants_them(void **state)
{
    (void)state;
    const struct cgroup_limits limits = {.memory = 1 << 20, .cpu_percent = 150, .pids = 9};
    unsigned missing = 0;
    int fd = -1;
    char path[PATH_MAX];
    const char *instance = strrchr(home.path, '/') + 1;
    static const char *const files[] = {"memory.max", "cpu.max", "pids.max"};
    assert_int_equal(mkdirat(home.fd, "a-1", 0755), 0);
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        (void)snprintf(path, sizeof path, "%s/a-1/%s", instance, files[i]);
        put(path, "");
    }
    assert_int_equal(cgroup_make(&home, "a-1", &limits, &fd, &missing, NULL), 0);
    assert_int_equal(missing, 0);
    fd_close(&fd);
    (void)snprintf(path, sizeof path, "%s/a-1/memory.max", instance);
    assert_holds(path, "1048576");
    (void)snprintf(path, sizeof path, "%s/a-1/cpu.max", instance);
    assert_holds(path, "150000 100000");
    (void)snprintf(path, sizeof path, "%s/a-1/pids.max", instance);
    assert_holds(path, "9");
}

static void test_members_below_are_members_too(void **state)
{
    (void)state;
    char path[PATH_MAX];
    pid_t pids[8];
    const char *instance = strrchr(home.path, '/') + 1;
    assert_int_equal(mkdirat(home.fd, "a-1", 0755), 0);
    assert_int_equal(mkdirat(home.fd, "a-1/inner", 0755), 0);
    (void)snprintf(path, sizeof path, "%s/a-1/cgroup.procs", instance);
    put(path, "11\n12\n");
    (void)snprintf(path, sizeof path, "%s/a-1/inner/cgroup.procs", instance);
    put(path, "13\n");
    assert_int_equal(cgroup_members(home.fd, "a-1", pids, 8), 3);
    assert_int_equal(pids[2], 13);
    assert_int_equal(cgroup_members(home.fd, "a-1", pids, 1), 1);
    assert_int_equal(cgroup_members(home.fd, "none", pids, 8), 0);
}

static void test_memory_killer_is_counted(void **state)
{
    (void)state;
    char path[PATH_MAX];
    const char *instance = strrchr(home.path, '/') + 1;
    assert_int_equal(mkdirat(home.fd, "a-1", 0755), 0);
    assert_int_equal(cgroup_oom_kills(home.fd, "a-1"), 0);
    (void)snprintf(path, sizeof path, "%s/a-1/memory.events", instance);
    put(path, "low 0\nhigh 0\nmax 3\noom 1\noom_kill 2\n");
    assert_int_equal(cgroup_oom_kills(home.fd, "a-1"), 2);
}

static void test_no_home_makes_no_group(void **state)
{
    (void)state;
    const struct cgroup_home none = {.fd = -1};
    const struct cgroup_limits limits = {.pids = 9};
    unsigned missing = 0;
    int fd = -1;
    assert_int_equal(cgroup_make(&none, "a-1", &limits, &fd, &missing, NULL), 1);
    assert_int_equal(missing, CGROUP_PIDS);
    assert_int_equal(fd, -1);
}

/* ---- the kernel's own ---- */

static void test_kernels_group_ends_at_once(void **state)
{
    (void)state;
    struct cgroup_home real;
    char root[64];
    unsigned missing = 0;
    int fd = -1;
    int status = 0;
    (void)snprintf(root, sizeof root, "/nonexistent/flocks-%d", (int)getpid());
    cgroup_home_open(root, &real);
    if (real.fd < 0) {
        print_message("not delegated here: %s\n", real.why);
        skip();
    }
    assert_int_equal(cgroup_make(&real, "test-1", NULL, &fd, &missing, NULL), 0);
    pid_t child = fork();
    if (child == 0) {
        CLEANUP(fd_close) int procs = openat(fd, "cgroup.procs", O_WRONLY | O_CLOEXEC);
        if (write(procs, "0", 1) != 1)
            _exit(1);
        for (;;)
            (void)pause();
    }
    while (!cgroup_is_populated(real.fd, "test-1") && waitpid(child, &status, WNOHANG) == 0)
        (void)usleep(1000);
    assert_true(cgroup_kill(real.fd, "test-1"));
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    while (cgroup_is_populated(real.fd, "test-1"))
        (void)usleep(1000);
    fd_close(&fd);
    cgroup_home_clear(&real);
    assert_false(cgroup_exists(real.fd, "test-1"));
    cgroup_home_close(&real);
}

#define WITH_HOME(test) cmocka_unit_test_setup_teardown(test, make_home, remove_home)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_own_path_is_the_line_of_the_unified_hierarchy),
        cmocka_unit_test(test_directory_is_below_a_mount_that_shows_it),
        cmocka_unit_test(test_directory_outside_of_our_namespace_is_nobodys),
        cmocka_unit_test(test_instance_name_follows_the_root),
        cmocka_unit_test(test_numbers_are_read_by_their_whole_name),
        WITH_HOME(test_group_is_made_below_the_instances),
        WITH_HOME(test_limits_without_their_controllers_are_missing),
        WITH_HOME(test_limits_are_written_as_the_kernel_wants_them),
        WITH_HOME(test_members_below_are_members_too),
        WITH_HOME(test_memory_killer_is_counted),
        cmocka_unit_test(test_no_home_makes_no_group),
        cmocka_unit_test(test_kernels_group_ends_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

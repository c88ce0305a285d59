#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/fd.h"
#include "common/base/paths.h"
#include "unit.h"

static char root[] = "/tmp/flocks-test-XXXXXX";

static int make_root(void **state)
{
    (void)state;
    strcpy(root + strlen(root) - 6, "XXXXXX");
    if (mkdtemp(root) == NULL)
        return -1;
    unsetenv("FLOCKS_ROOT");
    unsetenv("FLOCKS_CONFIG");
    unsetenv("FLOCKS_SOCKET");
    unsetenv("FLOCKS_LIBEXEC");
    return 0;
}

static int remove_root(void **state)
{
    (void)state;
    char command[128];
    (void)snprintf(command, sizeof command, "rm -rf -- '%s'", root);
    return system(command) == 0 ? 0 : -1;
}

static const char *below(const char *name)
{
    static char path[PATH_MAX];
    (void)snprintf(path, sizeof path, "%s/%s", root, name);
    return path;
}

/* ---- descriptors and files ---- */

static void test_close_and_take_clear_the_variable(void **state)
{
    (void)state;
    int fd = open("/dev/null", O_RDONLY);
    int taken = fd_take(&fd);
    assert_int_equal(fd, -1);
    assert_true(taken >= 0);
    errno = EPERM;
    int copy = taken;
    fd_close(&taken);
    assert_int_equal(errno, EPERM);
    assert_int_equal(taken, -1);
    fd_close(&taken);
    struct error error = ERROR_INIT;
    assert_int_equal(fd_set_nonblocking(copy, true, &error), -STATUS_INTERNAL);
    assert_int_equal(error.system_error, EBADF);
}

static void test_replaced_file_is_read_back_with_its_mode(void **state)
{
    (void)state;
    const char *path = below("file");
    struct error error = ERROR_INIT;
    assert_int_equal(fd_replace_file(path, "one", 3, 0600, &error), 0);
    assert_int_equal(fd_replace_file(path, "second", 6, 0640, &error), 0);
    char *text = NULL;
    size_t len = 0;
    assert_int_equal(fd_read_file(path, 6, &text, &len, &error), 0);
    assert_int_equal(len, 6);
    assert_string_equal(text, "second");
    free(text);
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0640);
    assert_int_equal(fd_read_file(path, 5, &text, &len, &error), -STATUS_RESOURCE_EXHAUSTED);
    assert_int_equal(fd_replace_file(below("no/file"), "x", 1, 0600, &error), -STATUS_NOT_FOUND);
}

static void test_sweep_takes_what_a_killed_writer_left_and_nothing_else(void **state)
{
    static const char *const others[] = {
        "file", "file.abcde", "file.abcdefg", "other.abcdef", "fi"};
    (void)state;
    struct error error = ERROR_INIT;
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        assert_int_equal(fd_replace_file(below(others[i]), "x", 1, 0600, &error), 0);
    assert_int_equal(fd_replace_file(below("file.abcdef"), "half", 4, 0600, &error), 0);
    fd_sweep_temporaries(below("file"));
    assert_int_equal(access(below("file.abcdef"), F_OK), -1);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        assert_int_equal(access(below(others[i]), F_OK), 0);
    fd_sweep_temporaries(below("no/file"));
}

static void test_read_refuses_what_is_no_file_and_reads_proc(void **state)
{
    (void)state;
    struct error error = ERROR_INIT;
    char *text = NULL;
    size_t len = 0;
    assert_int_equal(fd_read_file(root, 10, &text, &len, &error), -STATUS_INVALID_ARGUMENT);
    assert_int_equal(mkfifo(below("fifo"), 0600), 0);
    assert_int_equal(
        fd_read_file(below("fifo"), 10, &text, &len, &error), -STATUS_INVALID_ARGUMENT);
    assert_int_equal(fd_read_file(below("none"), 10, &text, &len, &error), -STATUS_NOT_FOUND);
    assert_int_equal(fd_read_file("/proc/self/status", 1 << 16, &text, &len, &error), 0);
    assert_non_null(strstr(text, "Pid:"));
    free(text);
}

/* ---- paths ---- */

static void test_paths_are_all_below_the_root(void **state)
{
    (void)state;
    struct paths paths;
    struct error error = ERROR_INIT;
    char given[PATH_MAX];
    (void)snprintf(given, sizeof given, "%s//./new/", root);
    assert_int_equal(paths_resolve(given, NULL, &paths, &error), 0);
    assert_string_equal(paths.root, below("new"));
    assert_string_equal(paths.run, below("new/run"));
    assert_string_equal(paths.logs, below("new/logs"));
    assert_string_equal(paths.config, below("new/flocks.yaml"));
    assert_string_equal(paths.lock, below("new/run/flocksd.lock"));
    assert_string_equal(paths.socket, below("new/run/flocksd.sock"));
    assert_false(paths.socket_is_fallback);
    assert_int_not_equal(access(paths.root, F_OK), 0);
}

static void test_paths_come_from_the_environment_after_arguments(void **state)
{
    (void)state;
    struct paths paths;
    struct error error = ERROR_INIT;
    setenv("FLOCKS_ROOT", below("env"), 1);
    setenv("FLOCKS_CONFIG", "relative.yaml", 1);
    setenv("FLOCKS_SOCKET", "/tmp/s", 1);
    assert_int_equal(paths_resolve(NULL, NULL, &paths, &error), 0);
    assert_string_equal(paths.root, below("env"));
    char directory[PATH_MAX];
    assert_non_null(getcwd(directory, sizeof directory));
    assert_memory_equal(paths.config, directory, strlen(directory));
    assert_string_equal(paths.config + strlen(paths.config) - 14, "/relative.yaml");
    assert_string_equal(paths.socket, "/tmp/s");
    assert_int_equal(paths_resolve("/given", "/c", &paths, &error), 0);
    assert_string_equal(paths.root, "/given");
    assert_string_equal(paths.config, "/c");
    unsetenv("FLOCKS_ROOT");
    unsetenv("HOME");
    assert_int_equal(paths_resolve(NULL, NULL, &paths, &error), -STATUS_INVALID_ARGUMENT);
    setenv("HOME", root, 1);
    assert_int_equal(paths_resolve(NULL, NULL, &paths, &error), 0);
    assert_string_equal(paths.root, below(".flocks"));
}

static void test_paths_of_two_spellings_are_one_before_and_after_making(void **state)
{
    (void)state;
    struct paths through_link;
    struct paths made;
    struct error error = ERROR_INIT;
    assert_int_equal(mkdir(below("real"), 0700), 0);
    assert_int_equal(symlink("real", below("link")), 0);
    assert_int_equal(paths_resolve(below("link/root"), NULL, &through_link, &error), 0);
    assert_string_equal(through_link.root, below("real/root"));
    bool repaired = true;
    assert_int_equal(paths_prepare(&through_link, &repaired, &error), 0);
    assert_false(repaired);
    assert_int_equal(paths_resolve(below("link/root"), NULL, &made, &error), 0);
    assert_string_equal(made.root, through_link.root);
}

static void test_prepare_closes_readable_and_refuses_writable(void **state)
{
    (void)state;
    struct paths paths;
    struct error error = ERROR_INIT;
    bool repaired = false;
    assert_int_equal(paths_resolve(below("x"), NULL, &paths, &error), 0);
    assert_int_equal(paths_prepare(&paths, &repaired, &error), 0);
    assert_int_equal(chmod(paths.run, 0755), 0);
    assert_int_equal(paths_prepare(&paths, &repaired, &error), 0);
    assert_true(repaired);
    struct stat status;
    assert_int_equal(stat(paths.run, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0700);
    assert_int_equal(chmod(paths.root, 0770), 0);
    assert_int_equal(paths_prepare(&paths, &repaired, &error), -STATUS_PERMISSION_DENIED);
    assert_non_null(strstr(error.hint, "chmod 0700 "));
    assert_int_equal(chmod(paths.root, 0700), 0);
    assert_int_equal(rmdir(paths.logs), 0);
    assert_int_equal(symlink("/tmp", paths.logs), 0);
    assert_true(paths_prepare(&paths, &repaired, &error) < 0);
}

static void test_prepare_refuses_somebody_elses_directory(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    struct paths paths;
    struct error error = ERROR_INIT;
    bool repaired = false;
    assert_int_equal(mkdir(below("other"), 0700), 0);
    assert_int_equal(chown(below("other"), 12345, 12345), 0);
    assert_int_equal(paths_resolve(below("other"), NULL, &paths, &error), 0);
    assert_int_equal(paths_prepare(&paths, &repaired, &error), -STATUS_PERMISSION_DENIED);
    assert_non_null(strstr(error.text, "12345"));
}

static void test_long_root_has_its_socket_in_tmp(void **state)
{
    (void)state;
    char name[121];
    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    struct paths paths;
    struct error error = ERROR_INIT;
    assert_int_equal(paths_resolve(below(name), NULL, &paths, &error), 0);
    assert_true(paths.socket_is_fallback);
    assert_true(strlen(paths.socket) < 108);
    bool repaired = false;
    assert_int_equal(paths_prepare(&paths, &repaired, &error), 0);
    assert_int_equal(paths_prepare(&paths, &repaired, &error), 0);
    char link[PATH_MAX + 20];
    char target[PATH_MAX] = "";
    (void)snprintf(link, sizeof link, "%s/flocksd.sock", paths.run);
    assert_true(readlink(link, target, sizeof target - 1) > 0);
    assert_string_equal(target, paths.socket);
    *strrchr(paths.socket, '/') = '\0';
    struct stat status;
    assert_int_equal(stat(paths.socket, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0700);
    assert_int_equal(rmdir(paths.socket), 0);
    setenv("FLOCKS_SOCKET", below(name), 1);
    assert_int_equal(paths_resolve("/r", NULL, &paths, &error), -STATUS_INVALID_ARGUMENT);
}

static void test_program_is_found_beside_or_where_told(void **state)
{
    (void)state;
    char path[PATH_MAX];
    char directory[PATH_MAX];
    struct error error = ERROR_INIT;
    assert_int_equal(paths_find_program("test_base_files", path, &error), 0);
    assert_int_equal(paths_program_directory(directory, &error), 0);
    assert_memory_equal(path, directory, strlen(directory));
    int fd = open(below("test_base_files"), O_CREAT | O_WRONLY, 0700);
    assert_true(fd >= 0);
    close(fd);
    setenv("FLOCKS_LIBEXEC", root, 1);
    assert_int_equal(paths_find_program("test_base_files", path, &error), 0);
    assert_string_equal(path, below("test_base_files"));
    assert_int_equal(paths_find_program("no-such", path, &error), -STATUS_NOT_FOUND);
    assert_non_null(strstr(error.text, root));
    assert_non_null(strstr(error.text, "libexec/flocks"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_root, remove_root)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_close_and_take_clear_the_variable),
        TEST(test_replaced_file_is_read_back_with_its_mode),
        TEST(test_sweep_takes_what_a_killed_writer_left_and_nothing_else),
        TEST(test_read_refuses_what_is_no_file_and_reads_proc),
        TEST(test_paths_are_all_below_the_root),
        TEST(test_paths_come_from_the_environment_after_arguments),
        TEST(test_paths_of_two_spellings_are_one_before_and_after_making),
        TEST(test_prepare_closes_readable_and_refuses_writable),
        TEST(test_prepare_refuses_somebody_elses_directory),
        TEST(test_long_root_has_its_socket_in_tmp),
        TEST(test_program_is_found_beside_or_where_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

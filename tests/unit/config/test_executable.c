#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "common/config/executable.h"

/* A directory with `tool` (may be executed), `text` (may not) and a directory `folder`. */
struct fixture {
    char directory[64];
};

static void make_file(const char *path, mode_t mode)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    assert_true(fd >= 0);
    assert_int_equal(close(fd), 0);
}

static int set_up(void **state)
{
    static struct fixture fixture;
    char path[100];
    (void)snprintf(fixture.directory, sizeof(fixture.directory), "/tmp/flocks-exec-XXXXXX");
    assert_non_null(mkdtemp(fixture.directory));
    (void)snprintf(path, sizeof(path), "%s/tool", fixture.directory);
    make_file(path, 0755);
    (void)snprintf(path, sizeof(path), "%s/text", fixture.directory);
    make_file(path, 0644);
    (void)snprintf(path, sizeof(path), "%s/folder", fixture.directory);
    assert_int_equal(mkdir(path, 0755), 0);
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    char path[100];
    (void)snprintf(path, sizeof(path), "%s/tool", fixture->directory);
    (void)unlink(path);
    (void)snprintf(path, sizeof(path), "%s/text", fixture->directory);
    (void)unlink(path);
    (void)snprintf(path, sizeof(path), "%s/folder", fixture->directory);
    (void)rmdir(path);
    (void)rmdir(fixture->directory);
    return 0;
}

static void check_found(const struct fixture *fixture, const char *name, const char *search_path)
{
    char found[PATH_MAX];
    char expected[PATH_MAX];
    (void)snprintf(expected, sizeof(expected), "%s/tool", fixture->directory);
    assert_int_equal(executable_find(name, fixture->directory, search_path, found, NULL), 0);
    /* "./" and the like stay in the path; the file is what counts. */
    struct stat a;
    struct stat b;
    assert_int_equal(stat(found, &a), 0);
    assert_int_equal(stat(expected, &b), 0);
    assert_true(a.st_ino == b.st_ino && found[0] == '/');
}

static void check_refused(
    const struct fixture *fixture, const char *name, int result, const char *text, const char *hint)
{
    char found[PATH_MAX];
    struct error error = ERROR_INIT;
    assert_int_equal(
        executable_find(name, fixture->directory, fixture->directory, found, &error), result);
    assert_non_null(strstr(error.text, text));
    assert_non_null(strstr(error.hint, hint));
}

static void test_executable_by_path_is_relative_to_the_directory(void **state)
{
    check_found(*state, "./tool", NULL);
    check_found(*state, "folder/../tool", NULL);
}

static void test_executable_is_searched(void **state)
{
    const struct fixture *fixture = *state;
    check_found(fixture, "tool", fixture->directory);
    check_found(fixture, "tool", "/nowhere:.");
    check_found(fixture, "tool", "/nowhere:");
}

static void test_executable_absent_or_refused_is_told_apart(void **state)
{
    check_refused(
        *state, "nothing", -STATUS_NOT_FOUND, "program 'nothing' was not found on PATH", "install");
    check_refused(*state, "./nothing", -STATUS_NOT_FOUND, "does not exist", "correct the path");
    check_refused(*state, "text", -STATUS_PERMISSION_DENIED, "may not be executed", "chmod +x ");
    check_refused(*state, "./text", -STATUS_PERMISSION_DENIED, "may not be executed", "chmod +x ");
    check_refused(*state, "./folder", -STATUS_PERMISSION_DENIED, "is not a program", "name a file");
    check_refused(*state, "", -STATUS_NOT_FOUND, "empty", "");
}

static void test_executable_without_path_uses_the_usual_places(void **state)
{
    const struct fixture *fixture = *state;
    char found[PATH_MAX];
    assert_int_equal(executable_find("sh", fixture->directory, NULL, found, NULL), 0);
    assert_string_equal(found, "/usr/bin/sh");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_executable_by_path_is_relative_to_the_directory),
        cmocka_unit_test(test_executable_is_searched),
        cmocka_unit_test(test_executable_absent_or_refused_is_told_apart),
        cmocka_unit_test(test_executable_without_path_uses_the_usual_places),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

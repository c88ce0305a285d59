#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/cli/instance.h"
#include "common/base/clock.h"
#include "temporary.h"
#include "unit.h"

struct root {
    struct temporary directory;
    struct paths paths;
    int fd;
};

static int set_up(void **state)
{
    struct root *root = calloc(1, sizeof(*root));
    temporary_open(&root->directory);
    (void)snprintf(
        root->paths.lock, sizeof(root->paths.lock), "%s/flocksd.lock", root->directory.path);
    root->fd = -1;
    *state = root;
    return 0;
}

static int tear_down(void **state)
{
    struct root *root = *state;
    close(root->fd);
    temporary_close(&root->directory);
    free(root);
    return 0;
}

static void hold(struct root *root)
{
    root->fd = open(root->paths.lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(flock(root->fd, LOCK_EX), 0);
    dprintf(root->fd, "%d\n", (int)getpid());
}

static void test_instance_without_lock_file_does_not_live(void **state)
{
    struct root *root = *state;
    struct instance instance;
    assert_int_equal(instance_look(&root->paths, &instance, NULL), 0);
    assert_false(instance.lives);
}

static void test_instance_lives_while_the_lock_is_held(void **state)
{
    struct root *root = *state;
    struct instance instance;
    hold(root);
    assert_int_equal(instance_look(&root->paths, &instance, NULL), 0);
    assert_true(instance.lives);
    assert_int_equal(instance.keeper_pid, getpid());
    assert_int_equal(instance_wait_gone(&root->paths, clock_monotonic_ms(), NULL), INSTANCE_LIVES);
    flock(root->fd, LOCK_UN);
    assert_int_equal(instance_look(&root->paths, &instance, NULL), 0);
    assert_false(instance.lives);
    assert_int_equal(instance_wait_gone(&root->paths, clock_monotonic_ms(), NULL), 0);
}

static void test_instance_end_never_signals_what_is_no_keeper(void **state)
{
    struct root *root = *state;
    struct error error = ERROR_INIT;
    hold(root);
    assert_int_equal(instance_end(&root->paths, &error), -STATUS_FAILED_PRECONDITION);
    assert_non_null(strstr(error.text, "no keeper"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_instance_without_lock_file_does_not_live),
        TEST(test_instance_lives_while_the_lock_is_held),
        TEST(test_instance_end_never_signals_what_is_no_keeper),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/fd.h"
#include "common/inventory/layout.h"

enum { CAPACITY = 16 };

static char run[64];

static int set_up(void **state)
{
    (void)state;
    (void)strcpy(run, "/tmp/flocks-inventory-XXXXXX");
    return mkdtemp(run) == NULL;
}

static int tear_down(void **state)
{
    (void)state;
    inventory_remove(run);
    inventory_forget_earlier(run);
    return rmdir(run);
}

static struct inventory *create(void)
{
    struct inventory *inventory = NULL;
    struct error error = ERROR_INIT;
    CLEANUP(fd_close) int fd = -1;
    assert_int_equal(inventory_create(run, &inventory, &fd, &error), 0);
    return inventory;
}

/* A record of this very process. */
static struct inventory_record own_record(void)
{
    struct inventory_record record = {.pid = (int32_t)getpid(), .slot = 4, .name = "backend"};
    assert_true(inventory_start_ticks(record.pid, &record.start_ticks));
    return record;
}

static size_t count(enum inventory_scope scope, struct inventory_record out[CAPACITY])
{
    size_t n = 0;
    struct error error = ERROR_INIT;
    assert_int_equal(inventory_read(run, scope, out, CAPACITY, &n, &error), 0);
    return n;
}

static void test_inventory_none_names_nothing(void **state)
{
    (void)state;
    struct inventory_record found[CAPACITY];
    assert_int_equal(count(INVENTORY_ALL, found), 0);
}

static void test_inventory_living_process_is_named(void **state)
{
    (void)state;
    struct inventory_record found[CAPACITY];
    struct inventory *inventory = create();
    struct inventory_record record = own_record();
    inventory_put(inventory, 4095, &record);
    assert_int_equal(count(INVENTORY_ALL, found), 1);
    assert_string_equal(found[0].name, "backend");
    assert_int_equal(found[0].slot, 4);
    assert_int_equal(count(INVENTORY_EARLIER, found), 0);
    inventory_clear(inventory, 4095);
    assert_int_equal(count(INVENTORY_ALL, found), 0);
}

static void test_inventory_recycled_pid_is_not_named(void **state)
{
    (void)state;
    struct inventory_record found[CAPACITY];
    struct inventory_record record = own_record();
    record.start_ticks++;
    inventory_put(create(), 0, &record);
    assert_int_equal(count(INVENTORY_ALL, found), 0);
}

static void test_inventory_zombie_is_not_named(void **state)
{
    (void)state;
    pid_t pid = fork();
    if (pid == 0)
        (void)pause();
    uint64_t ticks = 0;
    assert_true(inventory_start_ticks(pid, &ticks));
    (void)kill(pid, SIGKILL);
    siginfo_t info;
    assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
    assert_false(inventory_start_ticks(pid, &ticks));
    (void)waitpid(pid, NULL, 0);
}

static void test_inventory_earlier_files_are_read_until_forgotten(void **state)
{
    (void)state;
    struct inventory_record found[CAPACITY];
    struct inventory_record record = own_record();
    inventory_put(create(), 0, &record);
    inventory_put(create(), 0, &record);
    (void)create();
    assert_int_equal(count(INVENTORY_EARLIER, found), 2);
    inventory_forget_earlier(run);
    assert_int_equal(count(INVENTORY_EARLIER, found), 0);
}

/* What an ended child started may live: whoever ends leftovers hears of it, by its marks only. */
static void test_inventory_ended_process_of_an_earlier_keeper_has_no_pid(void **state)
{
    (void)state;
    struct inventory_record found[CAPACITY];
    struct inventory_record record = own_record();
    record.start_ticks++;
    record.rttime_mark = 17;
    inventory_put(create(), 0, &record);
    (void)create();
    assert_int_equal(count(INVENTORY_EARLIER, found), 1);
    assert_int_equal(found[0].pid, 0);
    assert_int_equal(found[0].rttime_mark, 17);
}

static void test_inventory_garbled_file_is_an_error(void **state)
{
    (void)state;
    char path[128];
    (void)snprintf(path, sizeof path, "%s/inventory.1", run);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs("nonsense", file) >= 0);
    assert_int_equal(fclose(file), 0);
    struct inventory_record found[CAPACITY];
    size_t n = 7;
    struct error error = ERROR_INIT;
    assert_int_equal(
        inventory_read(run, INVENTORY_ALL, found, CAPACITY, &n, &error), -STATUS_DATA_LOSS);
    assert_non_null(strstr(error.text, path));
    assert_int_equal(n, 0);
}

static void test_inventory_exit_status_is_read_from_a_zombie(void **state)
{
    (void)state;
    int status = 0;
    pid_t pid = fork();
    if (pid == 0)
        _exit(7);
    siginfo_t info;
    assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
    char path[32];
    (void)snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    char line[1024];
    assert_non_null(fgets(line, sizeof line, file));
    assert_int_equal(fclose(file), 0);
    const char *at = strrchr(line, ')') + 1;
    for (int field = 3; field <= 22; field++)
        at = strchr(at, ' ') + 1;
    uint64_t ticks = strtoull(at, NULL, 10);
    assert_false(inventory_exit_status(pid, ticks + 1, &status));
    assert_true(inventory_exit_status(pid, ticks, &status));
    assert_int_equal(status, 7 << 8);
    (void)waitpid(pid, NULL, 0);
    assert_false(inventory_exit_status(pid, ticks, &status));
}

static void read_owners(int32_t pids[INVENTORY_OWNERS])
{
    uint64_t ticks[INVENTORY_OWNERS];
    inventory_read_owners(run, pids, ticks);
}

static void test_inventory_owners_are_named_while_they_run(void **state)
{
    (void)state;
    int32_t pids[INVENTORY_OWNERS];
    read_owners(pids);
    assert_int_equal(pids[INVENTORY_KEEPER], 0);
    struct inventory *inventory = create();
    pid_t pid = fork();
    if (pid == 0)
        (void)pause();
    inventory_set_owner(inventory, INVENTORY_KEEPER, (int32_t)getpid());
    inventory_set_owner(inventory, INVENTORY_SERVER, (int32_t)pid);
    read_owners(pids);
    assert_int_equal(pids[INVENTORY_KEEPER], getpid());
    assert_int_equal(pids[INVENTORY_SERVER], pid);
    (void)kill(pid, SIGKILL);
    (void)waitpid(pid, NULL, 0);
    read_owners(pids);
    assert_int_equal(pids[INVENTORY_KEEPER], getpid());
    assert_int_equal(pids[INVENTORY_SERVER], 0);
}

/* pids of another boot are anybody's, and ticks are counted from boot. */
static void test_inventory_of_another_boot_names_nobody(void **state)
{
    (void)state;
    int32_t pids[INVENTORY_OWNERS];
    struct inventory_record found[CAPACITY];
    struct inventory *inventory = create();
    struct inventory_record record = own_record();
    inventory_put(inventory, 0, &record);
    inventory_set_owner(inventory, INVENTORY_KEEPER, (int32_t)getpid());
    inventory->head.boot_id[0] ^= 1;
    read_owners(pids);
    assert_int_equal(pids[INVENTORY_KEEPER], 0);
    assert_int_equal(count(INVENTORY_ALL, found), 0);
    assert_int_equal(inventory_set_aside(run, NULL), 0);
    assert_int_equal(count(INVENTORY_EARLIER, found), 0);
}

static void test_inventory_deleted_file_is_made_again_with_everything(void **state)
{
    (void)state;
    struct error error = ERROR_INIT;
    struct inventory *inventory = NULL;
    struct inventory_record record = own_record();
    struct inventory_record found;
    enum inventory_progress progress;
    int status = 0;
    CLEANUP(fd_close) int fd = -1;
    assert_int_equal(inventory_create(run, &inventory, &fd, &error), 0);
    inventory_set_owner(inventory, INVENTORY_KEEPER, (int32_t)getpid());
    inventory_put(inventory, 5, &record);
    inventory_note_exit(inventory, 5, 3 << 8);
    inventory_put(inventory, 4095, &record);
    assert_int_equal(inventory_restore(run, &inventory, &fd, &error), 0);
    inventory_remove(run);
    assert_false(inventory_is_left(run));
    assert_int_equal(inventory_restore(run, &inventory, &fd, &error), 0);
    assert_true(inventory_is_left(run));
    struct inventory *again = NULL;
    assert_int_equal(inventory_open(fd, &again, &error), 0);
    assert_true(inventory_get(again, 5, &found, &progress, &status));
    assert_int_equal(progress, INVENTORY_EXITED);
    assert_int_equal(status, 3 << 8);
    assert_int_equal(found.slot, record.slot);
    assert_true(inventory_get(again, 4095, &found, &progress, &status));
    assert_int_equal(progress, INVENTORY_RUNS);
    assert_false(inventory_get(again, 6, &found, &progress, &status));
    int32_t pids[INVENTORY_OWNERS];
    read_owners(pids);
    assert_int_equal(pids[INVENTORY_KEEPER], getpid());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_inventory_none_names_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_inventory_living_process_is_named, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            test_inventory_recycled_pid_is_not_named, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_inventory_zombie_is_not_named, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            test_inventory_earlier_files_are_read_until_forgotten, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            test_inventory_ended_process_of_an_earlier_keeper_has_no_pid, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_inventory_garbled_file_is_an_error, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            test_inventory_exit_status_is_read_from_a_zombie, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            test_inventory_owners_are_named_while_they_run, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            test_inventory_of_another_boot_names_nobody, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            test_inventory_deleted_file_is_made_again_with_everything, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

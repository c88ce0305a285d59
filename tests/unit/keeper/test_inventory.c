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
#include "common/inventory/inventory.h"

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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/release/link_switch.h"
#include "unit.h"

static const char *target_of(const char *name)
{
    static char target[LINK_TEXT_MAX + 1];
    assert_true(link_read(place_path(name), target, NULL) >= 0);
    return target;
}

static void test_switch_makes_changes_and_removes(void **state)
{
    (void)state;
    const char *link = place_path("current");
    char target[LINK_TEXT_MAX + 1];
    assert_int_equal(link_read(link, target, NULL), LINK_NONE);
    assert_string_equal(target, "");
    assert_int_equal(link_switch(link, "releases/1.0.0", NULL), 0);
    assert_string_equal(target_of("current"), "releases/1.0.0");
    assert_int_equal(link_switch(link, "releases/1.1.0", NULL), 0);
    assert_int_equal(link_switch(link, "releases/1.1.0", NULL), 0);
    assert_string_equal(target_of("current"), "releases/1.1.0");
    assert_int_equal(place_count("."), 1);
    assert_int_equal(link_switch(link, "", NULL), 0);
    assert_int_equal(link_switch(link, "", NULL), 0);
    assert_int_equal(place_count("."), 0);
}

static void test_switch_that_is_done_leaves_the_link_itself(void **state)
{
    (void)state;
    struct stat before;
    struct stat after;
    place_link("current", "a");
    assert_int_equal(lstat(place_path("current"), &before), 0);
    assert_int_equal(link_switch(place_path("current"), "a", NULL), 0);
    assert_int_equal(lstat(place_path("current"), &after), 0);
    assert_int_equal(before.st_ino, after.st_ino);
}

static void test_switch_removes_what_an_earlier_try_left(void **state)
{
    (void)state;
    place_link("current", "a");
    place_link("current.flocks-switch", "stale");
    assert_int_equal(link_switch(place_path("current"), "a", NULL), 0);
    assert_int_equal(place_count("."), 1);
    place_link("current.flocks-switch", "stale");
    assert_int_equal(link_switch(place_path("current"), "b", NULL), 0);
    assert_string_equal(target_of("current"), "b");
    assert_int_equal(place_count("."), 1);
}

static void test_switch_of_what_is_no_link_is_refused(void **state)
{
    (void)state;
    struct error error = ERROR_INIT;
    place_make_directory("current");
    place_write("file", "x");
    assert_int_equal(link_switch(place_path("current"), "a", &error), -STATUS_FAILED_PRECONDITION);
    assert_non_null(strstr(error.text, "not a symbolic link"));
    assert_int_equal(link_switch(place_path("file"), "", &error), -STATUS_FAILED_PRECONDITION);
    assert_string_equal(place_read("file"), "x");
    assert_int_equal(place_count("."), 2);
}

static void test_switch_bounds_its_texts(void **state)
{
    (void)state;
    char text[LINK_TEXT_MAX + 2];
    char found[LINK_TEXT_MAX + 1];
    memset(text, 'x', sizeof text);
    text[LINK_TEXT_MAX] = '\0';
    assert_int_equal(link_switch(place_path("a"), text, NULL), 0);
    assert_string_equal(target_of("a"), text);
    text[LINK_TEXT_MAX] = 'x';
    text[LINK_TEXT_MAX + 1] = '\0';
    assert_true(link_switch(place_path("b"), text, NULL) < 0);
    place_link("c", text);
    assert_int_equal(link_read(place_path("c"), found, NULL), -STATUS_FAILED_PRECONDITION);
    assert_true(link_switch(place_path("no/such"), "a", NULL) < 0);
}

/* ---- sets ---- */

static void test_set_remembers_and_goes_both_ways(void **state)
{
    (void)state;
    struct link_set set = {.n_changes = 0};
    enum link_set_state look = LINK_SET_FOREIGN;
    place_link("one", "old1");
    place_link("two", "old2");
    assert_int_equal(link_set_add(&set, place_path("one"), "new1", NULL), 0);
    assert_int_equal(link_set_add(&set, place_path("two"), "new2", NULL), 0);
    assert_int_equal(link_set_add(&set, place_path("three"), "new3", NULL), 0);
    assert_string_equal(set.changes[1].old_target, "old2");
    assert_string_equal(set.changes[2].old_target, "");
    assert_int_equal(link_set_look(&set, &look, NULL), 0);
    assert_int_equal(look, LINK_SET_OLD);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(link_set_switch(&set, NULL), 0);
        assert_int_equal(link_set_look(&set, &look, NULL), 0);
        assert_int_equal(look, LINK_SET_NEW);
    }
    assert_int_equal(link_switch(place_path("two"), "old2", NULL), 0);
    assert_int_equal(link_set_look(&set, &look, NULL), 0);
    assert_int_equal(look, LINK_SET_MIXED);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(link_set_restore(&set, NULL), 0);
        assert_int_equal(link_set_look(&set, &look, NULL), 0);
        assert_int_equal(look, LINK_SET_OLD);
    }
    assert_false(place_has("three"));
    assert_int_equal(place_count("."), 2);
}

static void test_set_with_a_foreign_link_touches_none(void **state)
{
    (void)state;
    struct link_set set = {.n_changes = 0};
    struct error error = ERROR_INIT;
    enum link_set_state look = LINK_SET_OLD;
    place_link("one", "old1");
    place_link("two", "old2");
    assert_int_equal(link_set_add(&set, place_path("one"), "new1", NULL), 0);
    assert_int_equal(link_set_add(&set, place_path("two"), "new2", NULL), 0);
    assert_int_equal(link_switch(place_path("two"), "mine", NULL), 0);
    assert_int_equal(link_set_switch(&set, &error), -STATUS_FAILED_PRECONDITION);
    assert_non_null(strstr(error.text, "mine"));
    assert_int_equal(link_set_restore(&set, NULL), -STATUS_FAILED_PRECONDITION);
    assert_string_equal(target_of("one"), "old1");
    assert_int_equal(unlink(place_path("two")), 0);
    place_make_directory("two");
    assert_int_equal(link_set_look(&set, &look, NULL), 0);
    assert_int_equal(look, LINK_SET_FOREIGN);
    assert_int_equal(link_set_switch(&set, NULL), -STATUS_FAILED_PRECONDITION);
    assert_string_equal(target_of("one"), "old1");
}

static void test_set_refuses_what_begin_upgrade_would(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "relative", "/", "/a/../b", "/a/./b", "/a//b", "/a/", "/a\nb"};
    struct link_set set = {.n_changes = 0};
    char name[] = "link0";
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(link_set_add(&set, bad[i], "t", NULL), -STATUS_INVALID_ARGUMENT);
    assert_int_equal(link_set_add(&set, "/a", "t\n", NULL), -STATUS_INVALID_ARGUMENT);
    for (int i = 0; i < LINK_SET_MAX; i++) {
        name[4] = (char)('0' + i);
        assert_int_equal(link_set_add(&set, place_path(name), "t", NULL), 0);
        assert_int_equal(link_set_add(&set, place_path(name), "t", NULL), -STATUS_INVALID_ARGUMENT);
    }
    assert_int_equal(link_set_add(&set, place_path("more"), "t", NULL), -STATUS_RESOURCE_EXHAUSTED);
    assert_int_equal(set.n_changes, LINK_SET_MAX);
}

int main(void)
{
#define PLACED(test) cmocka_unit_test_setup_teardown(test, place_open, place_close)
    const struct CMUnitTest tests[] = {
        PLACED(test_switch_makes_changes_and_removes),
        PLACED(test_switch_that_is_done_leaves_the_link_itself),
        PLACED(test_switch_removes_what_an_earlier_try_left),
        PLACED(test_switch_of_what_is_no_link_is_refused),
        PLACED(test_switch_bounds_its_texts),
        PLACED(test_set_remembers_and_goes_both_ways),
        PLACED(test_set_with_a_foreign_link_touches_none),
        PLACED(test_set_refuses_what_begin_upgrade_would),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

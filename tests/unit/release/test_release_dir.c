#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "common/release/release_dir.h"
#include "common/release/tree.h"
#include "unit.h"

enum { PLENTY = 100000 };

static struct release_dir dir;

static int open_dir(void **state)
{
    return place_open(state) < 0 ? -1 : release_dir_open(place_root(), true, &dir, NULL);
}

static int close_dir(void **state)
{
    release_dir_close(&dir);
    return place_close(state);
}

static void make_release(const char *name)
{
    char path[128];
    (void)snprintf(path, sizeof path, "releases/%s", name);
    place_make_directory(path);
    (void)snprintf(path, sizeof path, "releases/%s/program", name);
    place_write(path, name);
}

static void make_current(const char *version)
{
    char target[LINK_TEXT_MAX + 1];
    char path[PATH_MAX];
    release_dir_target(version, target);
    assert_int_equal(release_dir_current_path(&dir, path, NULL), 0);
    assert_int_equal(link_switch(path, target, NULL), 0);
}

/* ---- names and what may go ---- */

static void test_names_are_versions_and_nothing_else(void **state)
{
    (void)state;
    static const char *const bad[] = {"", ".", "..", "v1.0.0", "1.0.0.partial", "1.0.0-rc.partial",
        "1/2", "refs/tags/1.0", "current", "1.0.0-", " 1.0", "1.0.0+b.partial"};
    struct release_entry entry;
    char name[RELEASE_NAME_SIZE];
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(release_name_is_good(bad[i]));
    assert_true(release_name_is_good("1.0.0-partial"));
    assert_true(release_name_is_good("2026.7.15"));
    assert_true(release_entry_parse("1.0.0-rc.1.partial", &entry));
    assert_true(entry.is_partial);
    assert_string_equal(entry.version.text, "1.0.0-rc.1");
    release_entry_name(&entry, name);
    assert_string_equal(name, "1.0.0-rc.1.partial");
    assert_false(release_entry_parse("1.0.0.partial.partial", &entry));
    assert_false(release_entry_parse(".partial", &entry));
}

static struct release_entry entry_of(const char *name, bool is_current)
{
    struct release_entry entry;
    assert_true(release_entry_parse(name, &entry));
    entry.is_current = is_current;
    return entry;
}

static void test_keep_spares_the_current_the_named_and_the_newest(void **state)
{
    (void)state;
    struct release_entry entries[] = {entry_of("1.0.0", false), entry_of("1.1.0", true),
        entry_of("1.2.0", false), entry_of("1.3.0", false), entry_of("0.9.0.partial", false),
        entry_of("1.4.0.partial", false), entry_of("0.8.0", false)};
    const size_t n = sizeof entries / sizeof entries[0];
    const char *const named[] = {"1.4.0", NULL, "0.8.0"};
    char gone[128] = "";
    release_entries_sort(entries, n);
    assert_string_equal(entries[0].version.text, "1.4.0");
    assert_string_equal(entries[n - 1].version.text, "0.8.0");
    for (size_t i = 0; i < n; i++) {
        if (release_may_go(entries, n, i, 1, named, 3)) {
            strcat(gone, entries[i].version.text);
            strcat(gone, " ");
        }
    }
    assert_string_equal(gone, "1.3.0 1.2.0 0.9.0 ");
    for (size_t i = 0; i < n; i++)
        entries[i].is_current = false;
    for (size_t i = 0; i < n; i++)
        assert_false(release_may_go(entries, n, i, 0, NULL, 0));
}

/* What was tried and did not stay is newer than what serves, and must not take the way back's
 * place. */
static void test_keep_prefers_what_is_older_than_the_current(void **state)
{
    (void)state;
    struct release_entry entries[] = {entry_of("1.4.0", false), entry_of("1.3.0", false),
        entry_of("1.2.0", true), entry_of("1.1.0", false), entry_of("1.0.0", false)};
    static const char *const gone[] = {
        "1.4.0 1.3.0 1.1.0 1.0.0 ", "1.4.0 1.3.0 1.0.0 ", "1.4.0 1.3.0 ", "1.3.0 ", ""};
    const size_t n = sizeof entries / sizeof entries[0];
    for (size_t keep = 0; keep < sizeof gone / sizeof gone[0]; keep++) {
        char text[128] = "";
        for (size_t i = 0; i < n; i++) {
            if (release_may_go(entries, n, i, keep, NULL, 0)) {
                strcat(text, entries[i].version.text);
                strcat(text, " ");
            }
        }
        assert_string_equal(text, gone[keep]);
    }
}

/* ---- the directory ---- */

static void test_open_makes_only_when_asked(void **state)
{
    (void)state;
    struct release_dir other;
    assert_int_equal(release_dir_open("relative", false, &other, NULL), -STATUS_INVALID_ARGUMENT);
    assert_int_equal(
        release_dir_open(place_path("nothing"), true, &other, NULL), -STATUS_NOT_FOUND);
    place_make_directory("sub");
    assert_int_equal(release_dir_open(place_path("sub"), false, &other, NULL), RELEASE_DIR_NONE);
    place_link("sub/releases", "..");
    assert_true(release_dir_open(place_path("sub"), true, &other, NULL) < 0);
}

static void test_current_leads_to_a_release_or_says_what_it_is(void **state)
{
    (void)state;
    static const char *const bad[] = {"elsewhere", "releases/../x", "/releases/1.0.0", "releases/",
        "releases/1.0.0.partial", "releases/1.0.0/", "./releases/1.0.0"};
    char version[VERSION_TEXT_MAX + 1];
    assert_int_equal(release_dir_current(&dir, version, NULL), RELEASE_DIR_NONE);
    make_release("1.0.0");
    make_release("1.0.0.partial");
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(link_switch(place_path("current"), bad[i], NULL), 0);
        assert_int_equal(release_dir_current(&dir, version, NULL), -STATUS_FAILED_PRECONDITION);
    }
    make_current("1.0.0");
    assert_int_equal(release_dir_current(&dir, version, NULL), 0);
    assert_string_equal(version, "1.0.0");
    make_current("2.0.0");
    assert_int_equal(release_dir_current(&dir, version, NULL), -STATUS_DATA_LOSS);
}

static void test_list_is_sorted_and_passes_strangers_over(void **state)
{
    (void)state;
    struct release_list list;
    make_release("1.9.0");
    make_release("1.10.0");
    make_release("2.0.0.partial");
    make_release("notes");
    place_write("releases/1.5.0", "a file");
    place_link("releases/1.6.0", "1.9.0");
    make_current("1.9.0");
    assert_int_equal(release_dir_list(&dir, &list, NULL), 0);
    assert_int_equal(list.n_entries, 3);
    assert_true(list.entries[0].is_partial && !list.entries[0].is_current);
    assert_string_equal(list.entries[1].version.text, "1.10.0");
    assert_string_equal(list.entries[2].version.text, "1.9.0");
    assert_true(list.entries[2].is_current && !list.entries[1].is_current);
}

static void test_list_is_bounded(void **state)
{
    (void)state;
    struct release_list list;
    char name[64];
    for (int i = 0; i < RELEASE_DIR_ENTRIES_MAX; i++) {
        (void)snprintf(name, sizeof name, "releases/1.0.%d", i);
        place_make_directory(name);
    }
    assert_int_equal(release_dir_list(&dir, &list, NULL), 0);
    assert_int_equal(list.n_entries, RELEASE_DIR_ENTRIES_MAX);
    place_make_directory("releases/2.0.0");
    assert_int_equal(release_dir_list(&dir, &list, NULL), -STATUS_RESOURCE_EXHAUSTED);
    assert_int_equal(rmdir(place_path("releases/2.0.0")), 0);
    for (int i = 0; i < RELEASE_DIR_STRANGERS_MAX; i++) {
        (void)snprintf(name, sizeof name, "releases/x%d", i);
        place_write(name, "");
    }
    assert_int_equal(release_dir_list(&dir, &list, NULL), 0);
    place_write("releases/more", "");
    assert_int_equal(release_dir_list(&dir, &list, NULL), -STATUS_RESOURCE_EXHAUSTED);
}

static void test_publish_names_a_whole_tree_once(void **state)
{
    (void)state;
    assert_int_equal(release_dir_publish(&dir, "1.0.0", NULL), -STATUS_NOT_FOUND);
    assert_int_equal(release_dir_publish(&dir, "../x", NULL), -STATUS_INVALID_ARGUMENT);
    make_release("1.0.0.partial");
    assert_int_equal(release_dir_publish(&dir, "1.0.0", NULL), 0);
    assert_int_equal(release_dir_publish(&dir, "1.0.0", NULL), 0);
    assert_string_equal(place_read("releases/1.0.0/program"), "1.0.0.partial");
    make_release("1.0.0.partial");
    assert_int_equal(release_dir_publish(&dir, "1.0.0", NULL), -STATUS_ALREADY_EXISTS);
    assert_int_equal(place_count("releases"), 2);
    /* An empty file in the way is not replaced. */
    make_release("2.0.0.partial");
    place_write("releases/2.0.0", "");
    assert_int_equal(release_dir_publish(&dir, "2.0.0", NULL), -STATUS_ALREADY_EXISTS);
}

static void test_remove_goes_in_pieces_and_never_by_its_whole_name(void **state)
{
    (void)state;
    char name[64];
    make_release("1.0.0");
    make_release("1.1.0");
    make_current("1.1.0");
    place_make_directory("releases/1.0.0/deep");
    place_write("outside", "kept");
    place_link("releases/1.0.0/deep/out", "../../../outside");
    for (int i = 0; i < 100; i++) {
        (void)snprintf(name, sizeof name, "releases/1.0.0/deep/%d", i);
        place_write(name, "x");
    }
    int calls = 0;
    int result = RELEASE_DIR_MORE;
    while (result == RELEASE_DIR_MORE) {
        uint32_t budget = 10;
        result = release_dir_remove(&dir, "1.0.0", &budget, NULL);
        assert_false(place_has("releases/1.0.0"));
        assert_true(++calls < 100);
    }
    assert_int_equal(result, 0);
    assert_in_range(calls, 10, 20);
    assert_int_equal(place_count("releases"), 1);
    assert_string_equal(place_read("outside"), "kept");
    uint32_t budget = PLENTY;
    assert_int_equal(release_dir_remove(&dir, "1.1.0", &budget, NULL), -STATUS_FAILED_PRECONDITION);
    assert_int_equal(release_dir_remove(&dir, "7.0.0", &budget, NULL), 0);
    make_current("9.0.0");
    assert_int_equal(release_dir_remove(&dir, "1.1.0", &budget, NULL), -STATUS_DATA_LOSS);
    assert_true(place_has("releases/1.1.0/program"));
}

static void test_current_that_is_a_directory_says_what_to_do(void **state)
{
    struct error error = ERROR_INIT;
    char version[VERSION_TEXT_MAX + 1];
    (void)state;
    place_make_directory("current");
    assert_int_equal(release_dir_current(&dir, version, &error), -STATUS_FAILED_PRECONDITION);
    assert_non_null(strstr(error.hint, "move it away"));
}

static void test_retain_needs_a_current_release(void **state)
{
    (void)state;
    static const char *const named[] = {"1.0.0"};
    uint32_t budget = PLENTY;
    make_release("1.0.0");
    make_release("1.1.0");
    make_release("1.2.0");
    make_release("1.3.0");
    make_release("1.4.0.partial");
    assert_int_equal(
        release_dir_retain(&dir, 0, NULL, 0, &budget, NULL), -STATUS_FAILED_PRECONDITION);
    assert_int_equal(place_count("releases"), 5);
    make_current("1.3.0");
    int result = RELEASE_DIR_MORE;
    while (result == RELEASE_DIR_MORE) {
        budget = 1;
        result = release_dir_retain(&dir, 1, named, 1, &budget, NULL);
        /* A piece of one name never ends where a directory has something in it. */
        budget = 3;
        if (result == RELEASE_DIR_MORE)
            result = release_dir_retain(&dir, 1, named, 1, &budget, NULL);
    }
    assert_int_equal(result, 0);
    assert_true(place_has("releases/1.0.0/program"));
    assert_true(place_has("releases/1.2.0/program"));
    assert_true(place_has("releases/1.3.0/program"));
    assert_int_equal(place_count("releases"), 3);
}

static void test_trees_are_removed_with_any_budget_that_reaches_down(void **state)
{
    (void)state;
    place_make_directory("tree");
    place_make_directory("tree/a");
    place_make_directory("tree/a/b");
    place_write("tree/a/b/c", "");
    place_write("tree/a/d", "");
    uint32_t budget = 0;
    assert_int_equal(tree_remove_some(dir.root_fd, "tree", &budget), TREE_MORE);
    for (int i = 0; i < 10; i++) {
        budget = 4;
        int result = tree_remove_some(dir.root_fd, "tree", &budget);
        assert_true(result == TREE_MORE || result == 0);
        if (result == 0)
            break;
    }
    assert_false(place_has("tree"));
    budget = 7;
    assert_int_equal(tree_remove_some(dir.root_fd, "tree", &budget), 0);
    assert_int_equal(budget, 6);
}

/* ---- space ---- */

static struct statvfs disk;

int __wrap_fstatvfs(int fd, struct statvfs *out); /* NOLINT(bugprone-reserved-identifier) */
int __wrap_fstatvfs(int fd, struct statvfs *out)  /* NOLINT(bugprone-reserved-identifier) */
{
    (void)fd;
    *out = disk;
    return 0;
}

static void test_space_leaves_a_margin_of_bytes_and_files(void **state)
{
    (void)state;
    struct error error = ERROR_INIT;
    const uint64_t unit = 4096;
    disk = (struct statvfs){.f_frsize = unit,
        .f_bavail = RELEASE_DIR_MARGIN_BYTES / unit + 10,
        .f_files = PLENTY,
        .f_favail = RELEASE_DIR_MARGIN_FILES + 5};
    assert_int_equal(release_dir_check_space(&dir, 10 * unit, 5, NULL), 0);
    assert_int_equal(
        release_dir_check_space(&dir, 10 * unit + 1, 5, &error), -STATUS_RESOURCE_EXHAUSTED);
    assert_non_null(strstr(error.text, "256 MiB"));
    assert_int_equal(
        release_dir_check_space(&dir, 10 * unit, 6, &error), -STATUS_RESOURCE_EXHAUSTED);
    assert_non_null(strstr(error.text, "files"));
    assert_int_equal(
        release_dir_check_space(&dir, UINT64_MAX, 0, NULL), -STATUS_RESOURCE_EXHAUSTED);
    disk.f_files = 0;
    disk.f_favail = 0;
    assert_int_equal(release_dir_check_space(&dir, 0, UINT64_MAX, NULL), 0);
    disk.f_bavail = 0;
    assert_int_equal(release_dir_check_space(&dir, 0, 0, NULL), -STATUS_RESOURCE_EXHAUSTED);
}

int main(void)
{
#define PLACED(test) cmocka_unit_test_setup_teardown(test, open_dir, close_dir)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_are_versions_and_nothing_else),
        cmocka_unit_test(test_keep_spares_the_current_the_named_and_the_newest),
        cmocka_unit_test(test_keep_prefers_what_is_older_than_the_current),
        PLACED(test_open_makes_only_when_asked),
        PLACED(test_current_leads_to_a_release_or_says_what_it_is),
        PLACED(test_list_is_sorted_and_passes_strangers_over),
        PLACED(test_list_is_bounded),
        PLACED(test_publish_names_a_whole_tree_once),
        PLACED(test_remove_goes_in_pieces_and_never_by_its_whole_name),
        PLACED(test_current_that_is_a_directory_says_what_to_do),
        PLACED(test_retain_needs_a_current_release),
        PLACED(test_trees_are_removed_with_any_budget_that_reaches_down),
        PLACED(test_space_leaves_a_margin_of_bytes_and_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* A whole upgrade without a server, as an updater will do it, on a disk that loses power or fails
 * at every call; then recovery, which loses power as well. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/fd.h"
#include "common/release/release_dir.h"
#include "common/release/upgrade_recovery.h"
#include "power.h"
#include "unit.h"

enum {
    SEEDS = 5,
    /* Of the calls of the upgrade, those after which recovery is cut at every call. */
    STRIDE = 5,
    TURNS_MAX = 12,
    CALLS_MAX = 500,
    BUDGET = 100
};

static const char *journal_path(void)
{
    return place_path("machine/run/upgrade.journal");
}

/* A machine that runs 1.0.0. */
static void make_machine(void)
{
    place_make_directory("machine");
    place_make_directory("machine/releases");
    /* Not beside the links: a directory of its own is synced for itself. */
    place_make_directory("machine/run");
    place_make_directory("machine/releases/1.0.0");
    place_write("machine/releases/1.0.0/program", "1.0.0");
    place_make_directory("machine/releases/0.9.0");
    place_write("machine/releases/0.9.0/program", "0.9.0");
    place_link("machine/current", "releases/1.0.0");
}

/* ---- the upgrade ---- */

static int record(struct upgrade_journal *journal, enum upgrade_step step)
{
    int result = upgrade_journal_advance(journal, step, 1, NULL);
    return result < 0 ? result : upgrade_journal_write(journal_path(), journal, NULL);
}

/* As an install step writes: nothing of it is synced. */
static int unpack(const struct release_dir *dir, const char *version)
{
    char directory[RELEASE_NAME_SIZE];
    char program[128];
    char temporary[PATH_MAX];
    (void)snprintf(directory, sizeof directory, "%s.partial", version);
    if (mkdirat(dir->releases_fd, directory, S_IRWXU) < 0)
        return -1;
    (void)snprintf(program, sizeof program, "machine/releases/%s/program", directory);
    (void)snprintf(temporary, sizeof temporary, "%s", place_path(program));
    (void)strcat(temporary, ".XXXXXX");
    CLEANUP(fd_close) int fd = mkostemp(temporary, O_CLOEXEC);
    if (fd < 0 || fd_write_all(fd, version, strlen(version), NULL) < 0)
        return -1;
    return rename(temporary, place_path(program));
}

static int prepare(const struct release_dir *dir, struct upgrade_journal *journal)
{
    int result = upgrade_journal_begin("u1", "1.0.0", "1.1.0", 1, journal, NULL);
    if (result == 0)
        result = upgrade_journal_write(journal_path(), journal, NULL);
    if (result == 0)
        result = unpack(dir, "1.1.0");
    return result == 0 ? release_dir_publish(dir, "1.1.0", NULL) : result;
}

static int switch_over(struct upgrade_journal *journal)
{
    int result =
        link_set_add(&journal->links, place_path("machine/current"), "releases/1.1.0", NULL);
    if (result == 0)
        result = record(journal, UPGRADE_STEP_PREPARED);
    if (result == 0)
        result = record(journal, UPGRADE_STEP_SWITCHING);
    if (result == 0)
        result = link_set_switch(&journal->links, NULL);
    if (result == 0)
        result = record(journal, UPGRADE_STEP_SWITCHED);
    return result == 0 ? record(journal, UPGRADE_STEP_COMMITTED) : result;
}

static int complete(const struct release_dir *dir, const struct upgrade_journal *journal)
{
    const char *const named[] = {journal->from};
    uint32_t budget = BUDGET;
    int result = release_dir_retain(dir, 0, named, 1, &budget, NULL);
    return result == 0 ? upgrade_journal_remove(journal_path(), NULL) : result;
}

static void upgrade(void)
{
    struct release_dir dir;
    struct upgrade_journal journal;
    if (release_dir_open(place_path("machine"), true, &dir, NULL) != 0)
        return;
    if (prepare(&dir, &journal) == 0 && switch_over(&journal) == 0)
        (void)complete(&dir, &journal);
    release_dir_close(&dir);
}

/* ---- recovery ---- */

static int finish(struct upgrade_journal *journal, enum upgrade_step last)
{
    int result = 0;
    if (last == UPGRADE_STEP_ROLLED_BACK)
        result = record(journal, UPGRADE_STEP_ROLLING_BACK);
    return result == 0 ? record(journal, last) : result;
}

/* 0: look again; 1: it is over. */
static int act(
    const struct release_dir *dir, struct upgrade_journal *journal, enum upgrade_action action)
{
    uint32_t budget = BUDGET;
    int result = -1;
    if (action == UPGRADE_ACTION_RESTORE_LINKS) {
        result = record(journal, UPGRADE_STEP_ROLLING_BACK);
        return result == 0 ? link_set_restore(&journal->links, NULL) : result;
    }
    if (action == UPGRADE_ACTION_FINISH_COMMIT)
        return finish(journal, UPGRADE_STEP_COMMITTED);
    if (action == UPGRADE_ACTION_FINISH_ROLL_BACK)
        return finish(journal, UPGRADE_STEP_ROLLED_BACK);
    if (action == UPGRADE_ACTION_COMPLETE)
        result = complete(dir, journal);
    if (action == UPGRADE_ACTION_DISCARD) {
        result = release_dir_remove_partial(dir, journal->to, &budget, NULL);
        if (result == 0)
            result = upgrade_journal_remove(journal_path(), NULL);
    }
    return result == 0 ? 1 : -1;
}

/* Whether it came to its end. */
static bool recover(void)
{
    struct release_dir dir;
    int result = release_dir_open(place_path("machine"), true, &dir, NULL);
    if (result != 0)
        return false;
    for (int i = 0; i < TURNS_MAX && result == 0; i++) {
        struct upgrade_journal journal;
        enum link_set_state links = LINK_SET_FOREIGN;
        result = upgrade_journal_read(journal_path(), &journal, NULL);
        if (result == 0)
            result = link_set_look(&journal.links, &links, NULL);
        if (result == 0)
            result = act(&dir, &journal, upgrade_recover(&journal, UPGRADE_SERVER_NONE, links));
    }
    release_dir_close(&dir);
    /* UPGRADE_JOURNAL_NONE as well. */
    return result == 1;
}

/* ---- what has to be true ---- */

/* At any moment: one whole version is current, and no name lies. */
static void check_whole(void)
{
    struct release_dir dir;
    struct release_list list;
    char path[128];
    char version[VERSION_TEXT_MAX + 1];
    assert_int_equal(release_dir_open(place_path("machine"), false, &dir, NULL), 0);
    assert_int_equal(release_dir_current(&dir, version, NULL), 0);
    assert_true(strcmp(version, "1.0.0") == 0 || strcmp(version, "1.1.0") == 0);
    assert_int_equal(release_dir_list(&dir, &list, NULL), 0);
    for (size_t i = 0; i < list.n_entries; i++) {
        const struct release_entry *entry = &list.entries[i];
        (void)snprintf(path, sizeof path, "machine/releases/%s/program", entry->version.text);
        if (!entry->is_partial)
            assert_string_equal(place_read(path), entry->version.text);
    }
    release_dir_close(&dir);
}

/* A step is on the disk before it begins: what is switched was recorded. */
static void check_recorded(void)
{
    struct upgrade_journal journal;
    int result = upgrade_journal_read(journal_path(), &journal, NULL);
    assert_true(result == 0 || result == UPGRADE_JOURNAL_NONE);
    if (result == 0 && strcmp(place_read("machine/current/program"), "1.1.0") == 0)
        assert_true(upgrade_journal_step(&journal) >= UPGRADE_STEP_SWITCHING);
}

/* After recovery: nothing is left of an upgrade but releases. */
static void check_clean(void)
{
    struct release_dir dir;
    struct upgrade_journal journal;
    assert_int_equal(upgrade_journal_read(journal_path(), &journal, NULL), UPGRADE_JOURNAL_NONE);
    /* The next upgrade's beginning and end remove what no journal names. */
    assert_int_equal(upgrade_journal_remove(journal_path(), NULL), 0);
    assert_int_equal(release_dir_open(place_path("machine"), false, &dir, NULL), 0);
    uint32_t budget = BUDGET;
    assert_int_equal(release_dir_retain(&dir, 1, NULL, 0, &budget, NULL), 0);
    assert_in_range(place_count("machine/releases"), 1, 2);
    char target[LINK_TEXT_MAX + 1];
    assert_int_equal(link_read(place_path("machine/current"), target, NULL), 0);
    assert_int_equal(link_switch(place_path("machine/current"), target, NULL), 0);
    assert_int_equal(place_count("machine"), 3);
    assert_int_equal(place_count("machine/run"), 0);
    release_dir_close(&dir);
}

static unsigned count_calls(void)
{
    make_machine();
    power_begin(place_path("machine"), 0);
    upgrade();
    unsigned calls = power_calls();
    power_restore(POWER_KEEPS_NOTHING);
    assert_true(recover());
    check_whole();
    check_clean();
    assert_string_equal(place_read("machine/current/program"), "1.1.0");
    assert_in_range(calls, 30, CALLS_MAX);
    return calls;
}

static void start_again(void)
{
    assert_int_equal(place_close(NULL), 0);
    assert_int_equal(place_open(NULL), 0);
    make_machine();
}

static void test_power_lost_at_every_call_leaves_a_whole_version(void **state)
{
    (void)state;
    unsigned calls = count_calls();
    for (unsigned at = 1; at <= calls + 1; at++) {
        for (unsigned seed = 0; seed < SEEDS; seed++) {
            start_again();
            power_begin(place_path("machine"), at);
            upgrade();
            power_restore(seed);
            check_whole();
            check_recorded();
            assert_true(recover());
            check_whole();
            check_clean();
        }
    }
}

static void test_power_lost_in_recovery_as_well(void **state)
{
    (void)state;
    unsigned calls = count_calls();
    for (unsigned at = 1; at <= calls; at += STRIDE) {
        bool is_over = false;
        for (unsigned again = 1; !is_over; again++) {
            assert_true(again < CALLS_MAX);
            start_again();
            power_begin(place_path("machine"), at);
            upgrade();
            power_restore(2 + at);
            power_begin(place_path("machine"), again);
            is_over = recover();
            power_restore(again % 3 == 0 ? 2 + again : again % 3 - 1);
            check_whole();
            assert_true(recover());
            check_whole();
            check_clean();
        }
    }
}

static void test_one_failing_call_leaves_a_whole_version(void **state)
{
    (void)state;
    unsigned calls = count_calls();
    for (unsigned at = 1; at <= calls; at++) {
        start_again();
        power_begin_failing(place_path("machine"), at, at % 2 == 0 ? EIO : ENOSPC);
        upgrade();
        power_end();
        check_whole();
        assert_true(recover());
        check_whole();
        check_clean();
    }
}

int main(void)
{
#define PLACED(test) cmocka_unit_test_setup_teardown(test, place_open, place_close)
    const struct CMUnitTest tests[] = {
        PLACED(test_power_lost_at_every_call_leaves_a_whole_version),
        PLACED(test_power_lost_in_recovery_as_well),
        PLACED(test_one_failing_call_leaves_a_whole_version),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

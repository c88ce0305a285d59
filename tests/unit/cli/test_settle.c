/* What a start does about an upgrade that was left unfinished, and about one that is under way.
 * What settling means step by step is the release tests'. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "flocks/v1/types.names.h"

#include "client/cli/settle.h"
#include "common/base/fd.h"
#include "common/release/upgrade_journal.h"
#include "common/release/upgrade_lock.h"
#include "common/release/upgrade_paths.h"
#include "temporary.h"
#include "unit.h"

enum { NO_PATIENCE_MS = 0 };

struct place {
    struct temporary directory;
    struct paths paths;
    struct upgrade_paths upgrade;
};

static void make_directory(const struct place *place, const char *name)
{
    assert_int_equal(mkdir(temporary_path(&place->directory, name), 0700), 0);
}

static void open_place(struct place *place)
{
    temporary_open(&place->directory);
    *place = (struct place){.directory = place->directory};
    (void)snprintf(place->paths.root, sizeof(place->paths.root), "%s", place->directory.path);
    assert_int_equal(upgrade_paths_resolve(place->directory.path, &place->upgrade, NULL), 0);
    make_directory(place, "run");
    make_directory(place, "releases");
    make_directory(place, "releases/1.0.0");
    make_directory(place, "releases/2.0.0");
    assert_int_equal(symlink("releases/1.0.0", place->upgrade.current), 0);
}

static void points_to(const struct place *place, const char *target)
{
    char found[64] = "";
    assert_true(readlink(place->upgrade.current, found, sizeof(found) - 1) > 0);
    assert_string_equal(found, target);
}

/* As an updater leaves it that died at `step`, with its lease, and with the link where it then is.
 */
static void leave(const struct place *place, enum upgrade_step step)
{
    static const enum upgrade_step steps[] = {UPGRADE_STEP_PREPARED, UPGRADE_STEP_LEASING,
        UPGRADE_STEP_LEASED, UPGRADE_STEP_STOPPING, UPGRADE_STEP_SWITCHING, UPGRADE_STEP_SWITCHED,
        UPGRADE_STEP_COMMITTING};
    struct upgrade_journal journal;
    assert_int_equal(upgrade_journal_begin("u1", "1.0.0", "2.0.0", 1, &journal, NULL), 0);
    for (size_t i = 0; i < ARRAY_LENGTH(steps) && steps[i] <= step; i++) {
        if (steps[i] == UPGRADE_STEP_LEASING)
            assert_int_equal(
                link_set_add(&journal.links, place->upgrade.current, "releases/2.0.0", NULL), 0);
        if (steps[i] == UPGRADE_STEP_LEASED)
            assert_int_equal(upgrade_journal_set_lease(&journal, "abc", NULL), 0);
        assert_int_equal(upgrade_journal_advance(&journal, steps[i], 1, NULL), 0);
    }
    if (step >= UPGRADE_STEP_SWITCHED)
        assert_int_equal(link_set_switch(&journal.links, NULL), 0);
    assert_int_equal(upgrade_journal_write(place->upgrade.journal, &journal, NULL), 0);
}

static const char *settled(const struct place *place)
{
    static char text[512];
    FILE *notes = fmemopen(text, sizeof(text), "w");
    text[0] = '\0';
    assert_non_null(notes);
    assert_int_equal(settle_before_start(&place->paths, NO_PATIENCE_MS, notes, NULL), 0);
    assert_int_equal(fclose(notes), 0);
    return text;
}

static void test_start_without_a_journal_makes_nothing(void **state)
{
    struct place place;
    (void)state;
    open_place(&place);
    assert_int_equal(settle_before_start(&place.paths, NO_PATIENCE_MS, NULL, NULL), 0);
    assert_int_not_equal(access(place.upgrade.lock, F_OK), 0);
    temporary_close(&place.directory);
}

static void test_start_ends_what_was_left_unfinished(void **state)
{
    static const struct {
        enum upgrade_step step;
        const char *says;
    } rows[] = {{UPGRADE_STEP_PREPARED, "removed what was left of an unfinished update to 2.0.0"},
        {UPGRADE_STEP_LEASED, "took back an unfinished update to 2.0.0"},
        {UPGRADE_STEP_SWITCHED, "took back an unfinished update to 2.0.0"}};
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct place place;
        open_place(&place);
        leave(&place, rows[i].step);
        assert_non_null(strstr(settled(&place), rows[i].says));
        points_to(&place, "releases/1.0.0");
        assert_int_not_equal(access(place.upgrade.journal, F_OK), 0);
        temporary_close(&place.directory);
    }
}

static void test_start_leaves_to_the_daemon_what_only_it_can_tell(void **state)
{
    struct place place;
    (void)state;
    open_place(&place);
    leave(&place, UPGRADE_STEP_COMMITTING);
    assert_string_equal(settled(&place), "");
    points_to(&place, "releases/2.0.0");
    assert_int_equal(access(place.upgrade.journal, F_OK), 0);
    temporary_close(&place.directory);
}

static void test_start_leaves_alone_what_a_person_has_changed(void **state)
{
    struct place place;
    (void)state;
    open_place(&place);
    leave(&place, UPGRADE_STEP_LEASED);
    assert_int_equal(unlink(place.upgrade.current), 0);
    assert_int_equal(symlink("elsewhere", place.upgrade.current), 0);
    assert_non_null(strstr(settled(&place), "left as it is"));
    points_to(&place, "elsewhere");
    assert_int_equal(access(place.upgrade.journal, F_OK), 0);
    temporary_close(&place.directory);
}

static void test_start_goes_on_beside_an_updater_that_has_changed_nothing(void **state)
{
    struct place place;
    CLEANUP(fd_close) int lock = -1;
    (void)state;
    open_place(&place);
    leave(&place, UPGRADE_STEP_PREPARED);
    assert_int_equal(upgrade_lock_take(place.upgrade.lock, "flocks update", &lock, NULL, NULL), 0);
    assert_string_equal(settled(&place), "");
    assert_int_equal(access(place.upgrade.journal, F_OK), 0);
    temporary_close(&place.directory);
}

static void test_start_is_refused_while_an_updater_changes_things(void **state)
{
    struct place place;
    struct error error = ERROR_INIT;
    CLEANUP(fd_close) int lock = -1;
    (void)state;
    open_place(&place);
    leave(&place, UPGRADE_STEP_SWITCHING);
    assert_int_equal(upgrade_lock_take(place.upgrade.lock, "flocks update", &lock, NULL, NULL), 0);
    assert_int_equal(
        settle_before_start(&place.paths, NO_PATIENCE_MS, NULL, &error), -STATUS_ABORTED);
    assert_int_equal(error.reason, FLOCKS_ERROR_REASON_UPGRADE_RUNNING);
    assert_non_null(strstr(error.text, "flocks update (pid "));
    points_to(&place, "releases/1.0.0");
    temporary_close(&place.directory);
}

static void test_start_does_not_run_half_of_what_it_cannot_read(void **state)
{
    struct place place;
    struct error error = ERROR_INIT;
    (void)state;
    open_place(&place);
    /* Of a format to come, whole: its last line is FNV-1a of those before it. */
    temporary_append(&place.directory, "run/upgrade.journal",
        "flocks-upgrade 9 9\nid u1\nend ab1f3efe8584a269\n");
    assert_true(settle_before_start(&place.paths, NO_PATIENCE_MS, NULL, &error) < 0);
    assert_non_null(strstr(error.text, "an unfinished update cannot be ended"));
    assert_true(error.hint[0] != '\0');
    temporary_close(&place.directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_start_without_a_journal_makes_nothing),
        cmocka_unit_test(test_start_ends_what_was_left_unfinished),
        cmocka_unit_test(test_start_leaves_to_the_daemon_what_only_it_can_tell),
        cmocka_unit_test(test_start_leaves_alone_what_a_person_has_changed),
        cmocka_unit_test(test_start_goes_on_beside_an_updater_that_has_changed_nothing),
        cmocka_unit_test(test_start_is_refused_while_an_updater_changes_things),
        cmocka_unit_test(test_start_does_not_run_half_of_what_it_cannot_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* run/lease.pb and the links that a lease puts back, on a real directory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
/* cmocka wants the standard headers above first. */
#include <cmocka.h>

#include "common/base/clock.h"
#include "server/supervise/lease_disk.h"
#include "server/supervise/lease_state.h"

enum { PATH_BYTES = 512 };

struct place {
    char directory[PATH_BYTES];
    char link[PATH_BYTES + 8];
};

static struct place make_place(void)
{
    struct place place = {.directory = "/tmp/leases-test-XXXXXX"};

    assert_non_null(mkdtemp(place.directory));
    (void)snprintf(place.link, sizeof place.link, "%s/current", place.directory);
    return place;
}

static void remove_place(const struct place *place)
{
    static const char *const names[] = {"current", "lease.pb"};
    char path[2 * PATH_BYTES];

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", place->directory, names[i]);
        (void)remove(path);
    }
    /* Nothing else may have been left. */
    assert_int_equal(rmdir(place->directory), 0);
}

static struct lease_undo undo_of(struct place *place, char *target)
{
    return (struct lease_undo){.link = place->link, .target = target};
}

static void assert_points_to(const struct place *place, const char *target)
{
    char now[PATH_BYTES];
    ssize_t len = readlink(place->link, now, sizeof now - 1);

    assert_true(len > 0);
    now[len] = '\0';
    assert_string_equal(now, target);
}

static void test_link_is_checked_as_it_was_said(void **state)
{
    struct place place = make_place();
    char one[] = "releases/1";
    char other[] = "releases/2";
    const struct lease_undo undo = undo_of(&place, one);
    const struct lease_undo wrong = undo_of(&place, other);

    (void)state;
    assert_int_equal(lease_disk_check_link(&undo, NULL), -STATUS_FAILED_PRECONDITION);
    assert_int_equal(symlink(one, place.link), 0);
    assert_int_equal(lease_disk_check_link(&undo, NULL), 0);
    assert_int_equal(lease_disk_check_link(&wrong, NULL), -STATUS_FAILED_PRECONDITION);
    remove_place(&place);
}

static void test_link_is_put_back_wherever_it_points(void **state)
{
    struct place place = make_place();
    char one[] = "releases/1";
    const struct lease_undo undo = undo_of(&place, one);

    (void)state;
    /* Missing, elsewhere, and as it should be. */
    assert_int_equal(lease_disk_restore_link(&undo, NULL), 0);
    assert_points_to(&place, one);
    assert_int_equal(unlink(place.link), 0);
    assert_int_equal(symlink("releases/2", place.link), 0);
    assert_int_equal(lease_disk_restore_link(&undo, NULL), 0);
    assert_points_to(&place, one);
    assert_int_equal(lease_disk_restore_link(&undo, NULL), 0);
    assert_points_to(&place, one);
    remove_place(&place);
}

/* A first release has nothing to go back to. */
static void test_link_that_was_not_there_is_removed(void **state)
{
    struct place place = make_place();
    char none[] = "";
    const struct lease_undo undo = undo_of(&place, none);
    struct stat status;

    (void)state;
    assert_int_equal(lease_disk_check_link(&undo, NULL), 0);
    assert_int_equal(lease_disk_restore_link(&undo, NULL), 0);
    assert_int_equal(symlink("releases/1", place.link), 0);
    assert_int_equal(lease_disk_check_link(&undo, NULL), -STATUS_FAILED_PRECONDITION);
    assert_int_equal(lease_disk_restore_link(&undo, NULL), 0);
    assert_int_equal(lstat(place.link, &status), -1);
    assert_int_equal(mkdir(place.link, 0700), 0);
    assert_int_equal(lease_disk_restore_link(&undo, NULL), -STATUS_FAILED_PRECONDITION);
    assert_int_equal(rmdir(place.link), 0);
    remove_place(&place);
}

static void test_nothing_but_a_link_is_replaced(void **state)
{
    struct place place = make_place();
    char one[] = "releases/1";
    const struct lease_undo undo = undo_of(&place, one);
    struct stat status;
    FILE *file;

    (void)state;
    assert_int_equal(mkdir(place.link, 0700), 0);
    assert_int_equal(lease_disk_restore_link(&undo, NULL), -STATUS_FAILED_PRECONDITION);
    assert_int_equal(rmdir(place.link), 0);
    file = fopen(place.link, "w");
    assert_non_null(file);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(lease_disk_restore_link(&undo, NULL), -STATUS_FAILED_PRECONDITION);
    assert_int_equal(lstat(place.link, &status), 0);
    assert_true(S_ISREG(status.st_mode));
    remove_place(&place);
}

/* A roll-back that was cut short between making the new link and renaming it. */
static void test_what_an_earlier_try_left_is_in_nobodys_way(void **state)
{
    struct place place = make_place();
    char one[] = "releases/1";
    const struct lease_undo undo = undo_of(&place, one);
    char temporary[2 * PATH_BYTES];

    (void)state;
    (void)snprintf(temporary, sizeof temporary, "%s.flocks-undo-%d", place.link, (int)getpid());
    assert_int_equal(symlink("elsewhere", temporary), 0);
    assert_int_equal(lease_disk_restore_link(&undo, NULL), 0);
    assert_points_to(&place, one);
    remove_place(&place);
}

/* ---- the record ---- */

static void fill(struct leases *leases)
{
    struct lease *lease = lease_new(leases, 2);

    assert_non_null(lease);
    (void)snprintf(lease->id, sizeof lease->id, "0123456789abcdef0123456789abcdef");
    (void)snprintf(lease->owner, sizeof lease->owner, "flocks-update");
    (void)snprintf(lease->message, sizeof lease->message, "why");
    lease->facts = (struct lease_facts){.phase = LEASE_COMMITTING,
        .ttl_ms = 30000,
        .start_timeout_ms = 1000,
        .observe_ms = 2000,
        .due_at = 77};
    (void)snprintf(lease->services[0].name, sizeof lease->services[0].name, "webui");
    (void)snprintf(lease->services[1].name, sizeof lease->services[1].name, "backend");
    lease->services[1].wanted = true;
    lease->services[1].from_generation = 3;
    assert_true(lease_expect(&lease->services[1], "2.0"));
    lease_sort_services(lease);
    assert_true(lease_add_undo(lease, "/root/current", "releases/1"));
    lease->owner_pid = 42;
}

static void test_record_says_again_what_it_was_told(void **state)
{
    struct place place = make_place();
    struct leases leases;
    struct leases again;
    struct lease *lease;
    struct upgrades upgrades;
    struct upgrades upgrades_again;
    struct upgrade *upgrade = NULL;
    uint8_t *bytes = NULL;
    size_t len = 0;

    (void)state;
    leases_init(&leases);
    leases_init(&again);
    upgrades_init(&upgrades);
    upgrades_init(&upgrades_again);
    fill(&leases);
    assert_int_equal(upgrades_add(&upgrades, "u1", 5, &upgrade, NULL), 0);
    upgrade->is_abort_asked = true;
    assert_int_equal(lease_disk_read(place.directory, &bytes, &len, NULL), LEASE_DISK_NONE);
    assert_int_equal(lease_record_pack(&leases, &upgrades, NULL, NULL, &bytes, &len, NULL), 0);
    assert_int_equal(lease_disk_write(place.directory, bytes, len, NULL), 0);
    free(bytes);
    assert_int_equal(lease_disk_read(place.directory, &bytes, &len, NULL), 0);
    assert_int_equal(lease_record_unpack(&again, &upgrades_again, bytes, len, NULL), 0);
    free(bytes);
    upgrade = upgrades_find(&upgrades_again, "u1");
    assert_non_null(upgrade);
    assert_true(upgrade->is_abort_asked);
    assert_int_equal(upgrade->began_wall_ns, 5);
    lease = leases_find(&again, "0123456789abcdef0123456789abcdef");
    assert_non_null(lease);
    assert_int_equal(lease->facts.phase, LEASE_COMMITTING);
    assert_int_equal(lease->facts.due_at, 77);
    assert_int_equal(lease->facts.observe_ms, 2000);
    assert_string_equal(lease->owner, "flocks-update");
    assert_int_equal(lease->n_services, 2);
    assert_true(lease_find_service(lease, "backend")->wanted);
    assert_false(lease_find_service(lease, "webui")->wanted);
    assert_string_equal(lease_find_service(lease, "backend")->expected_version, "2.0");
    assert_int_equal(lease->n_undo, 1);
    assert_string_equal(lease->undo[0].target, "releases/1");
    leases_deinit(&leases);
    leases_deinit(&again);
    upgrades_deinit(&upgrades);
    upgrades_deinit(&upgrades_again);
    remove_place(&place);
}

/* Who is told that a lease is held, or committed, must find it so in the record. */
static void test_record_is_ahead_of_what_is_told(void **state)
{
    static const struct {
        enum lease_phase phase;
        bool opening;
        bool sealing;
        enum lease_phase recorded; /* LEASE_PHASE_END: not at all */
    } rows[] = {
        {LEASE_OPENING, false, false, LEASE_PHASE_END},
        {LEASE_OPENING, true, false, LEASE_HELD},
        {LEASE_SEALING, false, false, LEASE_SEALING},
        {LEASE_SEALING, false, true, LEASE_COMMITTED},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct leases leases;
        struct leases again;
        struct lease *lease;
        struct upgrades upgrades;
        uint8_t *bytes = NULL;
        size_t len = 0;

        leases_init(&leases);
        leases_init(&again);
        upgrades_init(&upgrades);
        fill(&leases);
        lease = leases_find(&leases, "0123456789abcdef0123456789abcdef");
        lease->facts.phase = rows[i].phase;
        assert_int_equal(lease_record_pack(&leases, &upgrades, rows[i].opening ? lease : NULL,
                             rows[i].sealing ? lease : NULL, &bytes, &len, NULL),
            0);
        assert_int_equal(lease_record_unpack(&again, &upgrades, bytes, len, NULL), 0);
        lease = leases_find(&again, "0123456789abcdef0123456789abcdef");
        assert_int_equal(lease != NULL ? lease->facts.phase : LEASE_PHASE_END, rows[i].recorded);
        free(bytes);
        leases_deinit(&leases);
        leases_deinit(&again);
    }
}

/* Torn at every byte, and with every byte another: refused, or the very same. */
static void test_torn_or_foreign_record_is_never_acted_upon(void **state)
{
    struct leases leases;
    struct upgrades upgrades;
    uint8_t *bytes = NULL;
    size_t len = 0;

    (void)state;
    leases_init(&leases);
    upgrades_init(&upgrades);
    fill(&leases);
    assert_int_equal(lease_record_pack(&leases, &upgrades, NULL, NULL, &bytes, &len, NULL), 0);
    for (size_t i = 0; i < len; i++) {
        struct leases again;

        leases_init(&again);
        assert_int_equal(lease_record_unpack(&again, &upgrades, bytes, i, NULL), -STATUS_DATA_LOSS);
        bytes[i] ^= 0x15;
        assert_true(lease_record_unpack(&again, &upgrades, bytes, len, NULL) < 0);
        assert_true(list_is_empty(&again.all));
        bytes[i] ^= 0x15;
        leases_deinit(&again);
    }
    free(bytes);
    leases_deinit(&leases);
}

static void test_record_of_nothing_is_a_record(void **state)
{
    struct leases leases;
    struct upgrades upgrades;
    uint8_t *bytes = NULL;
    size_t len = 0;

    (void)state;
    leases_init(&leases);
    upgrades_init(&upgrades);
    assert_int_equal(lease_record_pack(&leases, &upgrades, NULL, NULL, &bytes, &len, NULL), 0);
    assert_int_equal(lease_record_unpack(&leases, &upgrades, bytes, len, NULL), 0);
    assert_true(list_is_empty(&leases.all));
    free(bytes);
}

static void test_record_that_cannot_be_read_is_put_aside(void **state)
{
    struct place place = make_place();
    char aside[2 * PATH_BYTES];
    uint8_t *bytes = NULL;
    size_t len = 0;

    (void)state;
    assert_int_equal(lease_disk_write(place.directory, (const uint8_t *)"torn", 4, NULL), 0);
    assert_int_equal(lease_disk_put_aside(place.directory, aside, sizeof aside, NULL), 0);
    assert_int_equal(lease_disk_read(place.directory, &bytes, &len, NULL), LEASE_DISK_NONE);
    assert_int_equal(unlink(aside), 0);
    remove_place(&place);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_link_is_checked_as_it_was_said),
        cmocka_unit_test(test_link_is_put_back_wherever_it_points),
        cmocka_unit_test(test_link_that_was_not_there_is_removed),
        cmocka_unit_test(test_nothing_but_a_link_is_replaced),
        cmocka_unit_test(test_what_an_earlier_try_left_is_in_nobodys_way),
        cmocka_unit_test(test_record_says_again_what_it_was_told),
        cmocka_unit_test(test_record_is_ahead_of_what_is_told),
        cmocka_unit_test(test_torn_or_foreign_record_is_never_acted_upon),
        cmocka_unit_test(test_record_of_nothing_is_a_record),
        cmocka_unit_test(test_record_that_cannot_be_read_is_put_aside),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

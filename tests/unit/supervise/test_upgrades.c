/* What is remembered of upgrades, and which word of an updater counts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
/* cmocka wants the standard headers above first. */
#include <cmocka.h>

#include "server/supervise/upgrades.h"

enum { BEGAN = 10, SAID = 20, LATER = 30 };

static struct upgrade *add(struct upgrades *upgrades, const char *id)
{
    struct upgrade *upgrade = NULL;

    assert_int_equal(upgrades_add(upgrades, id, BEGAN, &upgrade, NULL), 0);
    return upgrade;
}

static flocks_upgrade_progress progress_at(enum flocks_upgrade_step step)
{
    flocks_upgrade_progress progress = FLOCKS_UPGRADE_PROGRESS_INIT;

    progress.upgrade_id = "u1";
    progress.step = step;
    return progress;
}

static int say(
    struct upgrade *upgrade, enum flocks_upgrade_step step, int64_t at, bool *out_matters)
{
    const flocks_upgrade_progress progress = progress_at(step);

    return upgrade_report(upgrade, &progress, at, out_matters, NULL);
}

static void test_upgrade_ids_are_letters_and_digits(void **state)
{
    (void)state;
    assert_true(upgrade_id_is_good("u1"));
    assert_true(upgrade_id_is_good("0123456789abcdef0123456789abcdef"));
    assert_false(upgrade_id_is_good("0123456789abcdef0123456789abcdef0"));
    assert_false(upgrade_id_is_good(""));
    assert_false(upgrade_id_is_good("a.b"));
    assert_false(upgrade_id_is_good("\xc3\xa4"));
}

static void test_upgrades_remember_sixteen_and_forget_the_oldest_that_is_over(void **state)
{
    struct upgrades upgrades;
    struct upgrade *upgrade = NULL;
    struct error error = ERROR_INIT;
    char id[16];

    (void)state;
    upgrades_init(&upgrades);
    for (int i = 0; i < UPGRADES_MAX; i++) {
        (void)snprintf(id, sizeof id, "u%d", i);
        (void)add(&upgrades, id);
    }
    assert_int_equal(
        upgrades_add(&upgrades, "more", BEGAN, &upgrade, &error), -STATUS_RESOURCE_EXHAUSTED);
    assert_int_equal(error.reason, FLOCKS_ERROR_REASON_LIMIT_REACHED);
    upgrades_find(&upgrades, "u3")->is_over = true;
    upgrades_find(&upgrades, "u7")->is_over = true;
    (void)add(&upgrades, "more");
    assert_null(upgrades_find(&upgrades, "u3"));
    assert_non_null(upgrades_find(&upgrades, "u7"));
    assert_int_equal(upgrades_count(&upgrades), UPGRADES_MAX);
    upgrades_deinit(&upgrades);
}

static void test_upgrades_latest_is_the_present_one_else_the_last_to_end(void **state)
{
    struct upgrades upgrades;
    struct upgrade *first;
    struct upgrade *second;

    (void)state;
    upgrades_init(&upgrades);
    assert_null(upgrades_latest(&upgrades));
    first = add(&upgrades, "first");
    second = add(&upgrades, "second");
    assert_ptr_equal(upgrades_latest(&upgrades), second);
    second->is_over = true;
    second->ended_wall_ns = SAID;
    assert_ptr_equal(upgrades_latest(&upgrades), first);
    first->is_over = true;
    first->ended_wall_ns = LATER;
    assert_ptr_equal(upgrades_latest(&upgrades), first);
    assert_null(upgrades_present(&upgrades));
    upgrades_deinit(&upgrades);
}

static void test_upgrades_find_by_lease_and_by_request(void **state)
{
    struct upgrades upgrades;
    struct upgrade *upgrade;

    (void)state;
    upgrades_init(&upgrades);
    upgrade = add(&upgrades, "u1");
    assert_null(upgrades_find(&upgrades, ""));
    assert_null(upgrades_find_request(&upgrades, ""));
    (void)snprintf(upgrade->lease_id, sizeof upgrade->lease_id, "a-lease");
    (void)snprintf(upgrade->request_id, sizeof upgrade->request_id, "a-request");
    assert_ptr_equal(upgrades_find(&upgrades, "a-lease"), upgrade);
    assert_ptr_equal(upgrades_find_request(&upgrades, "a-request"), upgrade);
    upgrades_deinit(&upgrades);
}

static void test_report_of_more_bytes_does_not_matter_and_a_step_does(void **state)
{
    struct upgrades upgrades;
    struct upgrade *upgrade;
    flocks_upgrade_progress progress = progress_at(FLOCKS_UPGRADE_STEP_DOWNLOADING);
    bool matters = false;

    (void)state;
    upgrades_init(&upgrades);
    upgrade = add(&upgrades, "u1");
    assert_int_equal(upgrade_report(upgrade, &progress, SAID, &matters, NULL), 0);
    assert_true(matters);
    progress.bytes_done = 1;
    assert_int_equal(upgrade_report(upgrade, &progress, SAID, &matters, NULL), 0);
    assert_false(matters);
    progress.lease_id = "a-lease";
    assert_int_equal(upgrade_report(upgrade, &progress, SAID, &matters, NULL), 0);
    assert_true(matters);
    assert_int_equal(say(upgrade, FLOCKS_UPGRADE_STEP_VERIFYING, SAID, &matters), 0);
    assert_true(matters);
    assert_string_equal(upgrade->lease_id, "a-lease");
    upgrades_deinit(&upgrades);
}

static void test_report_of_the_end_is_final_but_for_a_recovery(void **state)
{
    struct upgrades upgrades;
    struct upgrade *upgrade;
    bool matters = false;

    (void)state;
    upgrades_init(&upgrades);
    upgrade = add(&upgrades, "u1");
    upgrade->is_abort_asked = true;
    assert_int_equal(say(upgrade, FLOCKS_UPGRADE_STEP_DONE, SAID, &matters), 0);
    assert_true(upgrade->is_over && !upgrade->is_abort_asked);
    assert_int_equal(say(upgrade, FLOCKS_UPGRADE_STEP_DONE, LATER, &matters), 0);
    assert_false(matters);
    assert_int_equal(upgrade->ended_wall_ns, SAID);
    assert_int_equal(say(upgrade, FLOCKS_UPGRADE_STEP_INSTALLING, LATER, &matters), UPGRADE_LATE);
    assert_true(upgrade->is_over);
    assert_int_equal(say(upgrade, FLOCKS_UPGRADE_STEP_RECOVERING, LATER, &matters), 0);
    assert_false(upgrade->is_over);
    assert_int_equal(say(upgrade, FLOCKS_UPGRADE_STEP_DONE, LATER, &matters), 0);
    assert_int_equal(upgrade->ended_wall_ns, LATER);
    upgrades_deinit(&upgrades);
}

static void test_report_of_one_presumed_dead_is_believed(void **state)
{
    struct upgrades upgrades;
    struct upgrade *upgrade;
    bool matters = false;

    (void)state;
    upgrades_init(&upgrades);
    upgrade = add(&upgrades, "u1");
    upgrade->is_over = true;
    upgrade->is_presumed = true;
    assert_int_equal(say(upgrade, FLOCKS_UPGRADE_STEP_INSTALLING, LATER, &matters), 0);
    assert_false(upgrade->is_over || upgrade->is_presumed);
    upgrades_deinit(&upgrades);
}

static void test_report_is_kept_without_its_lease_and_bounded(void **state)
{
    enum { SERVICES = 2048 };
    static const char *services[SERVICES];
    static char text[UPGRADE_REPORT_MAX];
    struct upgrades upgrades;
    struct upgrade *upgrade;
    flocks_upgrade_progress progress = progress_at(FLOCKS_UPGRADE_STEP_DONE);
    flocks_error_detail detail = FLOCKS_ERROR_DETAIL_INIT;
    flocks_lease lease = FLOCKS_LEASE_INIT;
    bool matters = false;

    (void)state;
    upgrades_init(&upgrades);
    upgrade = add(&upgrades, "u1");
    for (size_t i = 0; i < SERVICES; i++)
        services[i] = "a-service-with-a-name";
    lease.services = services;
    lease.n_services = SERVICES;
    detail.lease = &lease;
    progress.error = &detail;
    assert_int_equal(upgrade_report(upgrade, &progress, SAID, &matters, NULL), 0);
    assert_true(upgrade->report.len < 64);
    for (size_t i = 0; i + 1 < sizeof text; i++)
        text[i] = 'a';
    progress.message = text;
    assert_int_equal(
        upgrade_report(upgrade, &progress, SAID, &matters, NULL), -STATUS_INVALID_ARGUMENT);
    assert_true(upgrade->report.len < 64);
    upgrades_deinit(&upgrades);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_upgrade_ids_are_letters_and_digits),
        cmocka_unit_test(test_upgrades_remember_sixteen_and_forget_the_oldest_that_is_over),
        cmocka_unit_test(test_upgrades_latest_is_the_present_one_else_the_last_to_end),
        cmocka_unit_test(test_upgrades_find_by_lease_and_by_request),
        cmocka_unit_test(test_report_of_more_bytes_does_not_matter_and_a_step_does),
        cmocka_unit_test(test_report_of_the_end_is_final_but_for_a_recovery),
        cmocka_unit_test(test_report_of_one_presumed_dead_is_believed),
        cmocka_unit_test(test_report_is_kept_without_its_lease_and_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

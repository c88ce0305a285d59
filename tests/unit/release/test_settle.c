/* Settling with a server that is a table of answers, where everything of the upgrade is found on
 * the disk; the result; and who stands in which release. The order of the actions is
 * test_upgrade.c's, deaths at every moment test_flow.c's and test_power.c's. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/fd.h"
#include "common/release/release_use.h"
#include "common/release/upgrade_paths.h"
#include "common/release/upgrade_result.h"
#include "common/release/upgrade_settle.h"
#include "unit.h"

enum { PATIENCE_MS = 60000, TEXT_SIZE = 65536 };

/* What the server says, one look after the other; the last again and again. */
struct script {
    const enum upgrade_server *says;
    size_t n_says;
    size_t looks;
    size_t aborts;
    /* After so many waits nobody waits any more. */
    size_t patience;
    enum status_code refusal;
};

static int look(void *data, const struct upgrade_journal *journal, enum upgrade_server *out,
    struct error *out_why, struct error *error)
{
    struct script *script = data;
    (void)journal;
    if (script->refusal != STATUS_OK)
        return error_set(error, script->refusal, "not for you");
    size_t at = script->looks < script->n_says ? script->looks : script->n_says - 1;
    script->looks++;
    *out = script->says[at];
    (void)error_set(out_why, STATUS_FAILED_PRECONDITION, "as the server says");
    return 0;
}

static int abort_lease(void *data, const struct upgrade_journal *journal, struct error *error)
{
    struct script *script = data;
    (void)error;
    script->aborts++;
    /* The server's half: it puts the links back. */
    return link_set_restore(&journal->links, NULL);
}

static bool wait_a_little(void *data, int ms)
{
    struct script *script = data;
    (void)ms;
    return script->patience-- > 0;
}

static struct upgrade_paths places;

static int open_root(void **state)
{
    int result = place_open(state);
    place_make_directory("run");
    place_make_directory("releases");
    place_make_directory("releases/1.0.0");
    place_make_directory("releases/1.1.0");
    place_link("current", "releases/1.0.0");
    assert_int_equal(upgrade_paths_resolve(place_root(), &places, NULL), 0);
    return result;
}

/* A journal that has come as far as `step`; from SWITCHING on the link leads to the new one. */
static void write_journal(enum upgrade_step step, bool has_lease)
{
    static const enum upgrade_step with[] = {UPGRADE_STEP_PREPARED, UPGRADE_STEP_LEASING,
        UPGRADE_STEP_LEASED, UPGRADE_STEP_STOPPING, UPGRADE_STEP_SWITCHING, UPGRADE_STEP_SWITCHED,
        UPGRADE_STEP_COMMITTING, UPGRADE_STEP_COMMITTED};
    static const enum upgrade_step without[] = {UPGRADE_STEP_PREPARED, UPGRADE_STEP_SWITCHING,
        UPGRADE_STEP_SWITCHED, UPGRADE_STEP_COMMITTED};
    const enum upgrade_step *steps = has_lease ? with : without;
    struct upgrade_journal journal;
    assert_int_equal(upgrade_journal_begin("u7", "1.0.0", "1.1.0", 1000, &journal, NULL), 0);
    assert_int_equal(link_set_add(&journal.links, places.current, "releases/1.1.0", NULL), 0);
    for (size_t i = 0; upgrade_journal_step(&journal) != step; i++) {
        assert_int_equal(upgrade_journal_advance(&journal, steps[i], 2000, NULL), 0);
        if (steps[i] == UPGRADE_STEP_LEASING && step != UPGRADE_STEP_LEASING)
            assert_int_equal(upgrade_journal_set_lease(&journal, "3f", NULL), 0);
    }
    if (step >= UPGRADE_STEP_SWITCHING)
        assert_int_equal(link_set_switch(&journal.links, NULL), 0);
    assert_int_equal(upgrade_journal_write(places.journal, &journal, NULL), 0);
}

/* What remains after a commit is done while the journal is there. */
static void on_committed(
    void *data, const struct upgrade_journal *journal, struct error *out_failure)
{
    size_t *n = data;
    assert_int_equal(upgrade_journal_step(journal), UPGRADE_STEP_COMMITTED);
    assert_true(place_has("run/upgrade.journal"));
    assert_int_equal(out_failure->code, STATUS_OK);
    (*n)++;
}

static size_t n_committed;

static struct upgrade_settlement settle(struct script *script, size_t keep)
{
    const struct upgrade_settle_server server = {
        .look = look, .abort = abort_lease, .wait = wait_a_little, .data = script};
    const struct upgrade_settle_request request = {.places = &places,
        .server = script != NULL ? &server : NULL,
        .keep = keep,
        .on_committed = on_committed,
        .data = &n_committed,
        .deadline_at = clock_add_ms(clock_monotonic_ms(), PATIENCE_MS)};
    struct upgrade_settlement settlement;
    n_committed = 0;
    assert_int_equal(upgrade_settle(&request, &settlement, NULL), 0);
    assert_int_equal(n_committed, settlement.what == UPGRADE_SETTLED_COMMITTED);
    return settlement;
}

static const char *current(void)
{
    static char target[LINK_TEXT_MAX + 1];
    assert_true(link_read(places.current, target, NULL) >= 0);
    return target;
}

static void assert_result_has(const char *part)
{
    const char *text = place_read("run/upgrade-result.json");
    if (strstr(text, part) == NULL)
        fail_msg("no %s in %s", part, text);
}

static void test_settle_without_journal_does_nothing(void **state)
{
    (void)state;
    /* Of a writer that was killed in its first record. */
    place_write("run/upgrade.journal.aB3xyZ", "half");
    assert_int_equal(settle(NULL, 3).what, UPGRADE_SETTLED_NOTHING);
    assert_int_equal(place_count("run"), 0);
}

static void test_settle_unreadable_journal_is_put_aside(void **state)
{
    (void)state;
    place_write("run/upgrade.journal", "flocks-upgrade 1 1\nnonsense\n");
    struct upgrade_settlement settlement = settle(NULL, 3);
    assert_int_equal(settlement.what, UPGRADE_SETTLED_NOTHING);
    assert_int_equal(settlement.blemish.code, STATUS_DATA_LOSS);
    assert_true(place_has("run/upgrade.journal.unreadable"));
    assert_false(place_has("run/upgrade.journal"));
}

static void test_settle_newer_journal_is_refused_and_left(void **state)
{
    struct upgrade_settlement settlement;
    struct error error = ERROR_INIT;
    const struct upgrade_settle_request request = {.places = &places};
    (void)state;
    place_write("run/upgrade.journal", "flocks-upgrade 2 2\nend 0904cf8e2c0cc334\n");
    assert_int_equal(upgrade_settle(&request, &settlement, &error), -STATUS_UNIMPLEMENTED);
    assert_true(place_has("run/upgrade.journal"));
}

static void test_settle_prepared_is_discarded_and_the_release_stays(void **state)
{
    (void)state;
    place_make_directory("releases/1.1.0.partial");
    place_make_directory("run/downloads");
    write_journal(UPGRADE_STEP_PREPARED, false);
    struct upgrade_settlement settlement = settle(NULL, 3);
    assert_int_equal(settlement.what, UPGRADE_SETTLED_DISCARDED);
    assert_int_equal(settlement.blemish.code, STATUS_OK);
    assert_false(place_has("releases/1.1.0.partial"));
    assert_true(place_has("releases/1.1.0"));
    assert_false(place_has("run/downloads"));
    assert_result_has("\"phase\":\"UPGRADE_PHASE_UNSPECIFIED\"");
    assert_result_has("the updater ended before the upgrade to 1.1.0 was done");
}

/* A root may be somebody's project: what is called like something of ours there is theirs. */
static void test_settle_leaves_a_directory_of_the_products_own(void **state)
{
    (void)state;
    place_make_directory("downloads");
    place_write("downloads/report.pdf", "precious");
    write_journal(UPGRADE_STEP_SWITCHED, false);
    assert_int_equal(settle(NULL, 2).what, UPGRADE_SETTLED_COMMITTED);
    assert_true(place_has("downloads/report.pdf"));
}

/* The updater itself gives up: the next try goes on with what it has. */
static void test_settle_with_a_reason_keeps_what_was_fetched(void **state)
{
    struct error why = ERROR_INIT;
    const struct upgrade_settle_request request = {.places = &places, .why = &why};
    struct upgrade_settlement settlement;
    (void)state;
    (void)error_set(&why, STATUS_UNAVAILABLE, "the network is down");
    place_make_directory("run/downloads");
    write_journal(UPGRADE_STEP_PREPARING, false);
    assert_int_equal(upgrade_settle(&request, &settlement, NULL), 0);
    assert_int_equal(settlement.what, UPGRADE_SETTLED_DISCARDED);
    assert_true(place_has("run/downloads"));
    assert_result_has("the network is down");
}

static void test_settle_without_lease_is_completed_not_verified(void **state)
{
    (void)state;
    place_make_directory("run/downloads");
    place_make_directory("releases/0.9.0");
    place_make_directory("releases/0.8.0");
    write_journal(UPGRADE_STEP_SWITCHED, false);
    assert_int_equal(settle(NULL, 2).what, UPGRADE_SETTLED_COMMITTED);
    assert_string_equal(current(), "releases/1.1.0");
    assert_result_has("\"not_verified\":true");
    assert_false(place_has("run/downloads"));
    assert_false(place_has("releases/0.9.0"));
    assert_false(place_has("releases/0.8.0"));
    assert_true(place_has("releases/1.0.0"));
}

/* Where a release between the two did not stay, the newest older one is not the way back. */
static void test_settle_keeps_the_release_it_came_from(void **state)
{
    (void)state;
    place_make_directory("releases/1.0.1");
    place_make_directory("releases/0.9.0");
    write_journal(UPGRADE_STEP_SWITCHED, false);
    assert_int_equal(settle(NULL, 2).what, UPGRADE_SETTLED_COMMITTED);
    assert_true(place_has("releases/1.0.0"));
    assert_int_equal(place_count("releases"), 2);
}

static void test_settle_with_one_place_keeps_the_current_alone(void **state)
{
    (void)state;
    write_journal(UPGRADE_STEP_SWITCHED, false);
    assert_int_equal(settle(NULL, 1).what, UPGRADE_SETTLED_COMMITTED);
    assert_true(place_has("releases/1.1.0"));
    assert_int_equal(place_count("releases"), 1);
}

static void test_settle_rolled_back_takes_no_place_of_what_served(void **state)
{
    (void)state;
    place_make_directory("releases/0.9.0");
    write_journal(UPGRADE_STEP_SWITCHED, true);
    assert_int_equal(settle(NULL, 2).what, UPGRADE_SETTLED_ROLLED_BACK);
    assert_true(place_has("releases/0.9.0"));
    assert_false(place_has("releases/1.1.0"));
}

static void test_settle_without_server_links_go_back(void **state)
{
    (void)state;
    write_journal(UPGRADE_STEP_SWITCHED, true);
    assert_int_equal(settle(NULL, 3).what, UPGRADE_SETTLED_ROLLED_BACK);
    assert_string_equal(current(), "releases/1.0.0");
    assert_result_has("\"lease_id\":\"3f\"");
}

static void test_settle_committing_without_server_needs_one(void **state)
{
    (void)state;
    write_journal(UPGRADE_STEP_COMMITTING, true);
    assert_int_equal(settle(NULL, 3).what, UPGRADE_SETTLED_NEEDS_SERVER);
    assert_true(place_has("run/upgrade.journal"));
    assert_string_equal(current(), "releases/1.1.0");
}

static void test_settle_held_lease_is_aborted(void **state)
{
    static const enum upgrade_server says[] = {
        UPGRADE_SERVER_HELD, UPGRADE_SERVER_WORKING, UPGRADE_SERVER_ROLLED_BACK};
    struct script script = {.says = says, .n_says = 3, .patience = 10};
    (void)state;
    write_journal(UPGRADE_STEP_SWITCHED, true);
    assert_int_equal(settle(&script, 3).what, UPGRADE_SETTLED_ROLLED_BACK);
    assert_int_equal(script.aborts, 1);
    assert_string_equal(current(), "releases/1.0.0");
    assert_result_has("as the server says");
}

static void test_settle_work_is_waited_for(void **state)
{
    static const enum upgrade_server says[] = {
        UPGRADE_SERVER_WORKING, UPGRADE_SERVER_WORKING, UPGRADE_SERVER_COMMITTED};
    struct script script = {.says = says, .n_says = 3, .patience = 10};
    (void)state;
    write_journal(UPGRADE_STEP_COMMITTING, true);
    assert_int_equal(settle(&script, 3).what, UPGRADE_SETTLED_COMMITTED);
    assert_string_equal(current(), "releases/1.1.0");
    assert_result_has("\"code\":0");
}

static void test_settle_nobody_waits_for_ever(void **state)
{
    static const enum upgrade_server says[] = {UPGRADE_SERVER_WORKING};
    static const enum upgrade_server holds[] = {UPGRADE_SERVER_HELD};
    struct script works = {.says = says, .n_says = 1, .patience = 3};
    struct script held = {.says = holds, .n_says = 1, .patience = 3};
    (void)state;
    write_journal(UPGRADE_STEP_COMMITTING, true);
    assert_int_equal(settle(&works, 3).what, UPGRADE_SETTLED_WAITING);
    assert_int_equal(settle(&held, 3).what, UPGRADE_SETTLED_WAITING);
    assert_true(place_has("run/upgrade.journal"));
}

static void test_settle_server_that_could_not_go_back_needs_a_person(void **state)
{
    static const enum upgrade_server says[] = {UPGRADE_SERVER_FAILED};
    struct script script = {.says = says, .n_says = 1};
    (void)state;
    write_journal(UPGRADE_STEP_COMMITTING, true);
    struct upgrade_settlement settlement = settle(&script, 3);
    assert_int_equal(settlement.what, UPGRADE_SETTLED_NEEDS_PERSON);
    assert_string_equal(settlement.failure.text, "as the server says");
    assert_non_null(strstr(settlement.failure.hint, "upgrade.journal"));
    assert_true(place_has("run/upgrade.journal"));
}

static void test_settle_refused_look_ends_it(void **state)
{
    struct script script = {.refusal = STATUS_PERMISSION_DENIED};
    const struct upgrade_settle_server server = {
        .look = look, .abort = abort_lease, .wait = wait_a_little, .data = &script};
    const struct upgrade_settle_request request = {.places = &places, .server = &server};
    struct upgrade_settlement settlement;
    (void)state;
    write_journal(UPGRADE_STEP_SWITCHED, true);
    assert_int_equal(upgrade_settle(&request, &settlement, NULL), -STATUS_PERMISSION_DENIED);
    assert_true(place_has("run/upgrade.journal"));
}

/* ---- the result ---- */

static void test_result_escapes_and_cuts(void **state)
{
    CLEANUP(buffer_deinit) struct buffer text;
    struct upgrade_result result = {.id = "u\"1\\",
        .from = "",
        .to = "1.1.0",
        .lease = "",
        .phase = "UPGRADE_PHASE_UNSPECIFIED",
        .message = "a\nb\x7f\xff\xc3\xa9",
        .source = "",
        .began_wall_ms = 1764000000123,
        .ended_wall_ms = 1764000001000};
    (void)state;
    buffer_init(&text, TEXT_SIZE);
    (void)error_set(&result.failure, STATUS_DATA_LOSS, "%0300d", 1);
    assert_int_equal(upgrade_result_text(&result, &text), 0);
    assert_int_equal(buffer_append(&text, "", 1), 0);
    const char *json = (const char *)buffer_data(&text);
    assert_non_null(strstr(json, "\"upgrade_id\":\"u\\\"1\\\\\""));
    assert_non_null(strstr(json, "\"message\":\"a\\u000ab\\u007f?\xc3\xa9\""));
    assert_non_null(strstr(json, "\"began_at\":\"2025-11-24T16:00:00.123Z\""));
    assert_non_null(strstr(json, "\"code\":15,\"error\":{\"attempted\":\"000"));
    assert_true(strlen(json) < 1024);
}

/* ---- who stands where ---- */

static void test_use_names_releases_that_processes_stand_in(void **state)
{
    struct release_dir dir;
    struct release_use use;
    int ready[2];
    int over[2];
    char byte = 0;
    (void)state;
    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
    assert_int_equal(pipe2(over, O_CLOEXEC), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        fd_close(&over[1]);
        _exit(chdir(place_path("releases/1.1.0")) == 0 && write(ready[1], "x", 1) == 1 &&
                      read(over[0], &byte, 1) == 0
                  ? 0
                  : 1);
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_int_equal(release_dir_open(place_root(), false, &dir, NULL), 0);
    assert_int_equal(release_use_look(&dir, &use, NULL), 0);
    assert_int_equal(use.n_named, 1);
    assert_string_equal(use.named[0], "1.1.0");
    for (size_t i = 0; i < 2; i++) {
        fd_close(&over[i]);
        fd_close(&ready[i]);
    }
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_int_equal(release_use_look(&dir, &use, NULL), 0);
    assert_int_equal(use.n_named, 0);
    release_dir_close(&dir);
}

static void test_paths_are_below_the_root(void **state)
{
    struct upgrade_paths paths;
    char large[LINK_TEXT_MAX + 8];
    (void)state;
    assert_int_equal(upgrade_paths_resolve("/srv/app", &paths, NULL), 0);
    assert_string_equal(paths.journal, "/srv/app/run/upgrade.journal");
    assert_string_equal(paths.current, "/srv/app/current");
    assert_int_equal(upgrade_paths_resolve("/", &paths, NULL), 0);
    assert_string_equal(paths.root, "/");
    assert_string_equal(paths.lock, "/run/upgrade.lock");
    assert_int_equal(upgrade_paths_resolve("srv", &paths, NULL), -STATUS_INVALID_ARGUMENT);
    memset(large, 'x', sizeof large);
    large[0] = '/';
    large[sizeof large - 1] = '\0';
    assert_int_equal(upgrade_paths_resolve(large, &paths, NULL), -STATUS_INVALID_ARGUMENT);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_root, place_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_settle_without_journal_does_nothing),
        TEST(test_settle_unreadable_journal_is_put_aside),
        TEST(test_settle_newer_journal_is_refused_and_left),
        TEST(test_settle_prepared_is_discarded_and_the_release_stays),
        TEST(test_settle_leaves_a_directory_of_the_products_own),
        TEST(test_settle_with_a_reason_keeps_what_was_fetched),
        TEST(test_settle_without_lease_is_completed_not_verified),
        TEST(test_settle_keeps_the_release_it_came_from),
        TEST(test_settle_with_one_place_keeps_the_current_alone),
        TEST(test_settle_rolled_back_takes_no_place_of_what_served),
        TEST(test_settle_without_server_links_go_back),
        TEST(test_settle_committing_without_server_needs_one),
        TEST(test_settle_held_lease_is_aborted),
        TEST(test_settle_work_is_waited_for),
        TEST(test_settle_nobody_waits_for_ever),
        TEST(test_settle_server_that_could_not_go_back_needs_a_person),
        TEST(test_settle_refused_look_ends_it),
        TEST(test_result_escapes_and_cuts),
        TEST(test_use_names_releases_that_processes_stand_in),
        TEST(test_paths_are_below_the_root),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

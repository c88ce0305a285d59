/* The whole of an upgrade between releases on the disk, with a server that does what it is told
 * (model.h); and the same with the updater killed at every moment, and what comes after it. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/upgrade/ending.h"
#include "client/upgrade/upgrade.h"
#include "common/base/fd.h"
#include "common/release/upgrade_journal.h"
#include "model.h"
#include "unit.h"

enum { TEXT_SIZE = 64 * 1024 };

static const char id[] = "u1";

struct stand {
    struct update_settings settings;
    struct model *model;
    struct update_server server;
    int cancel_fd;
    struct error error;
};

static void make_release(const char *version, const char *file)
{
    char name[64];
    (void)snprintf(name, sizeof name, "releases/%s", version);
    place_make_directory(name);
    (void)snprintf(name, sizeof name, "releases/%s/version", version);
    place_write(name, version);
    if (file[0] == '\0')
        return;
    (void)snprintf(name, sizeof name, "releases/%s/flocks-release.yaml", version);
    place_write(name, file);
}

static void stand_open(struct stand *stand)
{
    const struct update_settings_request request = {.root = place_root(), .prepare = true};
    *stand = (struct stand){
        .model = model_new(), .cancel_fd = eventfd(0, EFD_CLOEXEC), .error = ERROR_INIT};
    assert_true(stand->cancel_fd >= 0);
    assert_int_equal(update_settings_load(&request, &stand->settings, &stand->error), 0);
    stand->server = model_server(stand->model);
    stand->model->abort_fd = stand->cancel_fd;
}

static void stand_close(struct stand *stand)
{
    update_settings_deinit(&stand->settings);
    fd_close(&stand->cancel_fd);
}

/* 1.0.0 is current, 1.1.0 is on the disk with this flocks-release.yaml. */
static void set_up(struct stand *stand, const char *file)
{
    (void)chmod(place_root(), 0700);
    place_write("flocks.yaml", "services: {backend: {command: [/bin/true]}}\n");
    place_make_directory("releases");
    make_release("1.0.0", "");
    make_release("1.1.0", file);
    place_link("current", "releases/1.0.0");
    stand_open(stand);
}

/* Everything is as it was before set_up. */
static void take_down(struct stand *stand)
{
    stand_close(stand);
    assert_int_equal(place_close(NULL), 0);
    assert_int_equal(place_open(NULL), 0);
}

static int apply_to(struct stand *stand, const char *version, bool roll_back)
{
    CLEANUP(fd_close)
    int fd = open(place_path("lines"), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    const struct update_reporter_request wanted = {
        .settings = &stand->settings, .id = id, .fd = fd, .abort_fd = -1};
    struct update_reporter *reporter = update_reporter_new(&wanted, &stand->error);
    assert_non_null(reporter);
    const struct update_apply_request request = {.version = version,
        .from = "",
        .roll_back = roll_back,
        .id = id,
        .owner = "test",
        .settings = &stand->settings,
        .server = &stand->server,
        .reporter = reporter,
        .cancel_fd = stand->cancel_fd};
    int result = update_apply(&request, &stand->error);
    update_reporter_free(reporter);
    return result;
}

static int apply(struct stand *stand)
{
    return apply_to(stand, "1.1.0", false);
}

static int recover(struct stand *stand)
{
    const struct update_recover_request request = {
        .settings = &stand->settings, .server = &stand->server, .cancel_fd = -1};
    return update_recover_found(&request, -1, &stand->error);
}

/* ---- what is so afterwards ---- */

static const char *current(void)
{
    static char target[LINK_TEXT_MAX + 1];
    struct error error = ERROR_INIT;
    return link_read(place_path("current"), target, &error) == 0 ? target : "";
}

/* The last line that the reporter wrote, "" if there is none. Static storage. */
static const char *last_line(void)
{
    static char text[TEXT_SIZE];
    (void)snprintf(text, sizeof text, "%s", place_read("lines"));
    size_t len = strlen(text);
    if (len > 0)
        text[len - 1] = '\0';
    const char *newline = strrchr(text, '\n');
    return newline != NULL ? newline + 1 : text;
}

static void assert_has(const char *text, const char *part)
{
    if (strstr(text, part) == NULL)
        fail_msg("no %s in: %s", part, text);
}

static void assert_over(const char *version, const char *phase)
{
    char target[64];
    (void)snprintf(target, sizeof target, "releases/%s", version);
    assert_string_equal(current(), target);
    assert_false(place_has("run/upgrade.journal"));
    assert_has(place_read("run/upgrade-result.json"), phase);
}

/* ---- a server that does its work ---- */

static void test_flow_healthy_is_committed(void **state)
{
    struct stand stand;
    (void)state;
    set_up(&stand, "");
    assert_int_equal(apply(&stand), 0);
    assert_over("1.1.0", "\"phase\":\"UPGRADE_PHASE_COMMITTED\"");
    assert_string_equal(stand.model->paused, "backend webui ");
    assert_string_equal(stand.model->versions, "backend=1.1.0 ");
    assert_string_equal(stand.model->serves, "releases/1.1.0");
    assert_true(stand.model->holding_page);
    assert_has(last_line(), "\"step\":\"UPGRADE_STEP_DONE\"");
    assert_has(last_line(), "\"message\":\"1.1.0 serves\"");
    stand_close(&stand);
}

static void test_flow_release_file_decides_who_stops(void **state)
{
    struct stand stand;
    (void)state;
    set_up(&stand, "keep_running: [webui]\nversions: {backend: 7-special}\n");
    assert_int_equal(apply(&stand), 0);
    assert_string_equal(stand.model->paused, "backend ");
    assert_string_equal(stand.model->versions, "backend=7-special ");
    assert_false(stand.model->holding_page);
    stand_close(&stand);
}

static void test_flow_nobody_stops_no_lease(void **state)
{
    struct stand stand;
    (void)state;
    set_up(&stand, "keep_running: ['*']\nprograms: {keeper: bin/keeper}\n");
    assert_int_equal(apply(&stand), 0);
    assert_has(stand.model->replaced, "/releases/1.1.0/bin/keeper|");
    assert_over("1.1.0", "\"phase\":\"UPGRADE_PHASE_COMMITTED\"");
    assert_int_equal(stand.model->calls[MODEL_BEGIN], 0);
    assert_has(last_line(), "1.1.0 is current, not verified: every service was kept running");
    /* Nothing is stopped and nothing is started, so no such step is promised. */
    assert_has(last_line(), "\"steps\":2");
    stand_close(&stand);
}

static void test_flow_programs_take_over_after_commit(void **state)
{
    struct stand stand;
    char wanted[512];
    (void)state;
    set_up(&stand, "programs: {flocksd: bin/flocksd, version: 9.9.9}\n");
    assert_int_equal(apply(&stand), 0);
    (void)snprintf(wanted, sizeof wanted, "%s||9.9.9", place_path("releases/1.1.0/bin/flocksd"));
    assert_string_equal(stand.model->replaced, wanted);
    stand_close(&stand);
}

/* What runs is this test. */
static void test_flow_current_hands_over_to_programs_that_do_not_run(void **state)
{
    struct stand stand;
    (void)state;
    set_up(&stand, "programs: {flocksd: bin/flocksd, keeper: bin/keeper}\n");
    place_make_directory("releases/1.1.0/bin");
    place_write("releases/1.1.0/bin/flocksd", "another");
    place_link("releases/1.1.0/bin/keeper", "/proc/self/exe");
    stand.model->refusals[MODEL_REPLACE] = STATUS_FAILED_PRECONDITION;
    assert_true(apply(&stand) < 0);
    assert_int_equal(stand.model->calls[MODEL_REPLACE], 1);
    stand.model->refusals[MODEL_REPLACE] = STATUS_FAILED_PRECONDITION;
    assert_int_equal(apply(&stand), -STATUS_FAILED_PRECONDITION);
    assert_has(last_line(), "1.1.0 is current, but its flocksd did not take over: ");
    assert_int_equal(apply(&stand), 0);
    assert_has(last_line(), "1.1.0 is current, and its flocksd took over");
    assert_has(stand.model->replaced, "/releases/1.1.0/bin/flocksd|");
    assert_int_equal(stand.model->calls[MODEL_REPLACE], 3);
    stand_close(&stand);
}

static void test_flow_current_leaves_programs_that_run(void **state)
{
    struct stand stand;
    (void)state;
    set_up(&stand, "programs: {flocksd: bin/flocksd}\n");
    place_make_directory("releases/1.1.0/bin");
    place_link("releases/1.1.0/bin/flocksd", "/proc/self/exe");
    assert_int_equal(apply(&stand), 0);
    assert_int_equal(stand.model->calls[MODEL_REPLACE], 1);
    assert_int_equal(apply(&stand), 0);
    assert_has(last_line(), "1.1.0 is current, and nothing newer is there");
    assert_int_equal(stand.model->calls[MODEL_REPLACE], 1);
    stand_close(&stand);
}

static void test_flow_programs_that_fail_leave_the_commit(void **state)
{
    struct stand stand;
    (void)state;
    set_up(&stand, "programs: {flocksd: bin/flocksd}\n");
    stand.model->refusals[MODEL_REPLACE] = STATUS_UNIMPLEMENTED;
    assert_int_equal(apply(&stand), -STATUS_UNIMPLEMENTED);
    assert_over("1.1.0", "\"phase\":\"UPGRADE_PHASE_COMMITTED\"");
    assert_has(place_read("run/upgrade-result.json"), "\"code\":12");
    assert_has(last_line(), "1.1.0 serves, but its programs of the supervisor did not take over");
    assert_has(last_line(), "\"phase\":\"UPGRADE_PHASE_COMMITTED\"");
    stand_close(&stand);
}

static void test_flow_current_is_newest_nothing_is_done(void **state)
{
    struct stand stand;
    (void)state;
    set_up(&stand, "");
    assert_int_equal(apply_to(&stand, "1.0.0", false), 0);
    assert_string_equal(current(), "releases/1.0.0");
    assert_int_equal(stand.model->calls[MODEL_BEGIN], 0);
    assert_has(last_line(), "\"code\":0");
    stand_close(&stand);
}

static void test_flow_rollback_goes_where_the_last_came_from(void **state)
{
    struct stand stand;
    (void)state;
    set_up(&stand, "");
    make_release("1.0.5", "");
    assert_int_equal(apply(&stand), 0);
    stand.model->lease.phase = FLOCKS_UPGRADE_PHASE_UNSPECIFIED;
    assert_int_equal(apply_to(&stand, "", true), 0);
    assert_over("1.0.0", "\"phase\":\"UPGRADE_PHASE_COMMITTED\"");
    stand_close(&stand);
}

/* 1.0.5 was tried and did not stay. */
static void test_flow_rollback_after_a_failed_upgrade_goes_where_the_last_good_came_from(
    void **state)
{
    struct stand stand;
    (void)state;
    set_up(&stand, "");
    make_release("1.0.5", "");
    assert_int_equal(apply(&stand), 0);
    make_release("1.2.0", "");
    stand.model->lease.phase = FLOCKS_UPGRADE_PHASE_UNSPECIFIED;
    stand.model->gate_fails = true;
    assert_int_equal(apply_to(&stand, "1.2.0", false), -STATUS_UNKNOWN);
    assert_over("1.1.0", "\"phase\":\"UPGRADE_PHASE_ROLLED_BACK\"");
    stand.model->lease.phase = FLOCKS_UPGRADE_PHASE_UNSPECIFIED;
    stand.model->gate_fails = false;
    assert_int_equal(apply_to(&stand, "", true), 0);
    assert_over("1.0.0", "\"phase\":\"UPGRADE_PHASE_COMMITTED\"");
    stand_close(&stand);
}

static void make_crowd(struct stand *stand, const char *configuration)
{
    set_up(stand, "");
    stand_close(stand);
    place_write("flocks.yaml", configuration);
    make_release("0.9.0", "");
    stand_open(stand);
}

/* What was tried has the last place, and none that another needs. */
static void test_flow_release_that_was_rejected_stays_while_there_is_room(void **state)
{
    struct stand stand;
    (void)state;
    make_crowd(&stand, "{services: {a: {command: [/bin/true]}}, update: {keep: 3}}\n");
    stand.model->gate_fails = true;
    assert_int_equal(apply(&stand), -STATUS_UNKNOWN);
    assert_int_equal(place_count("releases"), 3);
    take_down(&stand);
    make_crowd(&stand, "{services: {a: {command: [/bin/true]}}, update: {keep: 2}}\n");
    stand.model->gate_fails = true;
    assert_int_equal(apply(&stand), -STATUS_UNKNOWN);
    assert_true(place_has("releases/0.9.0"));
    assert_true(place_has("releases/1.0.0"));
    assert_false(place_has("releases/1.1.0"));
    stand_close(&stand);
}

static void test_flow_rollback_without_result_takes_the_next_older(void **state)
{
    struct stand stand;
    (void)state;
    set_up(&stand, "");
    make_release("0.9.0", "");
    assert_int_equal(apply_to(&stand, "", true), 0);
    assert_over("0.9.0", "\"phase\":\"UPGRADE_PHASE_COMMITTED\"");
    assert_int_equal(apply_to(&stand, "", true), 0);
    stand_close(&stand);
}

static void test_flow_rollback_from_the_oldest_is_refused(void **state)
{
    struct stand stand;
    (void)state;
    set_up(&stand, "");
    assert_int_equal(apply_to(&stand, "", true), -STATUS_NOT_FOUND);
    assert_has(last_line(), "there is no release before 1.0.0");
    assert_false(place_has("run/upgrade.journal"));
    stand_close(&stand);
}

/* ---- one that does not ---- */

static void test_flow_gate_fails_goes_back_and_says_why(void **state)
{
    struct stand stand;
    (void)state;
    set_up(&stand, "");
    stand.model->gate_fails = true;
    assert_int_equal(apply(&stand), -STATUS_UNKNOWN);
    assert_over("1.0.0", "\"phase\":\"UPGRADE_PHASE_ROLLED_BACK\"");
    assert_string_equal(stand.error.text, "1.1.0 was rolled back: backend: told 6.6.6");
    assert_has(place_read("run/upgrade-result.json"), "told 6.6.6");
    assert_string_equal(stand.model->serves, "releases/1.0.0");
    stand_close(&stand);
}

static void test_flow_service_that_does_not_stop_goes_back(void **state)
{
    struct stand stand;
    (void)state;
    set_up(&stand, "");
    stand.model->stop_fails = true;
    assert_int_equal(apply(&stand), -STATUS_FAILED_PRECONDITION);
    assert_over("1.0.0", "\"phase\":\"UPGRADE_PHASE_ROLLED_BACK\"");
    assert_has(stand.error.text, "stopping the services: backend: does not end");
    stand_close(&stand);
}

/* Before the lease there is nothing to go back from. */
static void test_flow_refused_lease_rolls_nothing_back_and_is_named(void **state)
{
    struct stand stand;
    (void)state;
    set_up(&stand, "");
    stand.model->refusals[MODEL_BEGIN] = STATUS_ABORTED;
    stand.model->refusal_reason = FLOCKS_ERROR_REASON_LEASE_HELD;
    assert_int_equal(apply(&stand), -STATUS_ABORTED);
    assert_has(place_read("run/upgrade-result.json"), "\"reason\":\"ERROR_REASON_LEASE_HELD\"");
    assert_null(strstr(place_read("lines"), "UPGRADE_STEP_ROLLING_BACK"));
    take_down(&stand);
    set_up(&stand, "");
    stand.model->refusals[MODEL_COMMIT] = STATUS_ABORTED;
    assert_int_equal(apply(&stand), -STATUS_ABORTED);
    assert_has(place_read("run/upgrade-result.json"), "\"reason\":\"ERROR_REASON_UNSPECIFIED\"");
    assert_has(place_read("lines"), "UPGRADE_STEP_ROLLING_BACK");
    stand_close(&stand);
}

/* Each call refused once, where that ends the upgrade. */
static void test_flow_refused_call_goes_back(void **state)
{
    static const enum model_call ends[] = {MODEL_BEGIN, MODEL_STOP, MODEL_RENEW, MODEL_COMMIT};
    for (size_t i = 0; i < ARRAY_LENGTH(ends); i++) {
        struct stand stand;
        (void)state;
        set_up(&stand, "");
        stand.model->refusals[ends[i]] = STATUS_ABORTED;
        assert_int_equal(apply(&stand), -STATUS_ABORTED);
        assert_over("1.0.0", "\"phase\":\"UPGRADE_PHASE_ROLLED_BACK\"");
        assert_has(stand.error.text, "refused for a test");
        take_down(&stand);
    }
}

/* Each look answered late once: it is looked again. */
static void test_flow_late_answers_are_asked_again(void **state)
{
    static const enum model_call looks[] = {MODEL_OPERATION, MODEL_LEASE};
    struct stand stand;
    (void)state;
    set_up(&stand, "");
    for (size_t i = 0; i < ARRAY_LENGTH(looks); i++)
        stand.model->refusals[looks[i]] = STATUS_UNAVAILABLE;
    assert_int_equal(apply(&stand), 0);
    assert_over("1.1.0", "\"phase\":\"UPGRADE_PHASE_COMMITTED\"");
    stand_close(&stand);
}

static void test_flow_aborted_goes_back_from_each_call(void **state)
{
    static const enum model_call calls[] = {MODEL_BEGIN, MODEL_STOP, MODEL_OPERATION, MODEL_COMMIT};
    for (size_t i = 0; i < ARRAY_LENGTH(calls); i++) {
        struct stand stand;
        (void)state;
        set_up(&stand, "");
        stand.model->abort_at = (int)calls[i];
        assert_int_equal(apply(&stand), -STATUS_CANCELLED);
        assert_over("1.0.0", "\"phase\":\"UPGRADE_PHASE_ROLLED_BACK\"");
        assert_string_equal(stand.model->serves, "releases/1.0.0");
        take_down(&stand);
    }
}

/* ---- no server ---- */

static void test_flow_no_server_switches_and_says_not_verified(void **state)
{
    struct stand stand;
    (void)state;
    set_up(&stand, "");
    stand.model->is_gone = true;
    assert_int_equal(apply(&stand), 0);
    assert_over("1.1.0", "\"not_verified\":true");
    assert_has(last_line(), "\"not_verified\":true");
    assert_has(last_line(), "1.1.0 is current, not verified: no daemon runs");
    stand_close(&stand);
}

static void test_flow_server_that_starts_meanwhile_is_asked(void **state)
{
    struct stand stand;
    (void)state;
    set_up(&stand, "");
    stand.model->is_gone = true;
    stand.model->busy_locks = 2;
    assert_int_equal(apply(&stand), 0);
    assert_over("1.1.0", "\"not_verified\":false");
    assert_int_equal(stand.model->calls[MODEL_BEGIN], 1);
    stand_close(&stand);
}

static void test_flow_first_installation_has_no_way_back_but_nothing(void **state)
{
    struct stand stand;
    (void)state;
    set_up(&stand, "");
    assert_int_equal(unlink(place_path("current")), 0);
    stand.model->gate_fails = true;
    assert_int_equal(apply(&stand), -STATUS_UNKNOWN);
    assert_false(place_has("current"));
    assert_false(place_has("run/upgrade.journal"));
    stand_close(&stand);
}

/* ---- deaths ---- */

struct death {
    bool gate_fails;
    bool no_server;
};

/* True: it died there; false: it had no so many moments. */
static bool die_in_child(struct stand *stand, int moment, int (*work)(struct stand *))
{
    int status = 0;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        model_die_at(moment);
        (void)work(stand);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_true(WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == MODEL_DEAD);
    return WEXITSTATUS(status) == MODEL_DEAD;
}

/* What the disk and the server say agree, and one version is current. */
static void assert_settled(const struct stand *stand, const struct death *death)
{
    const struct model *model = stand->model;
    bool is_new = strcmp(current(), "releases/1.1.0") == 0;
    assert_true(is_new || strcmp(current(), "releases/1.0.0") == 0);
    assert_false(place_has("run/upgrade.journal"));
    assert_int_equal(place_count("releases"), 2);
    if (death->gate_fails)
        assert_false(is_new);
    if (!death->no_server && model->lease.id[0] != '\0') {
        assert_int_equal(is_new, model->lease.phase == FLOCKS_UPGRADE_PHASE_COMMITTED);
        assert_string_equal(model->serves, current());
        assert_int_equal(is_new, model->replaced[0] != '\0');
    }
}

static bool dies_and_is_mended(const struct death *death, int moment, int second, bool is_late)
{
    struct stand stand;
    set_up(&stand, "programs: {flocksd: bin/flocksd}\n");
    stand.model->gate_fails = death->gate_fails;
    stand.model->is_gone = death->no_server;
    bool died = die_in_child(&stand, moment, apply);
    /* The server may have noticed before anybody comes. */
    if (is_late)
        model_lose_owner(stand.model);
    if (second > 0)
        (void)die_in_child(&stand, second, recover);
    assert_int_equal(recover(&stand), 0);
    assert_settled(&stand, death);
    take_down(&stand);
    return died;
}

static void kill_everywhere(const struct death *death)
{
    bool goes_on = true;
    int moments = 0;
    for (int moment = 1; goes_on; moment++, moments++) {
        goes_on = dies_and_is_mended(death, moment, 0, false);
        /* Whoever mends it dies as well, and the server has noticed. */
        (void)dies_and_is_mended(death, moment, 1 + moment % 7, true);
    }
    /* All steps of the journal, and the server's calls. */
    assert_true(moments > (death->no_server ? 14 : 40));
}

static void test_flow_killed_at_every_moment_of_a_commit(void **state)
{
    (void)state;
    kill_everywhere(&(const struct death){.gate_fails = false});
}

static void test_flow_killed_at_every_moment_of_a_failure(void **state)
{
    (void)state;
    kill_everywhere(&(const struct death){.gate_fails = true});
}

static void test_flow_killed_at_every_moment_without_server(void **state)
{
    (void)state;
    kill_everywhere(&(const struct death){.no_server = true});
}

/* Only flocksd can tell, by run/lease.pb. */
static void test_flow_server_gone_while_committing_waits_for_it(void **state)
{
    struct stand stand;
    (void)state;
    set_up(&stand, "");
    /* Into COMMITTING: the commit's call, and no look yet. */
    for (int moment = 1;; moment++) {
        assert_true(die_in_child(&stand, moment, apply));
        if (stand.model->calls[MODEL_COMMIT] > 0)
            break;
        take_down(&stand);
        set_up(&stand, "");
    }
    stand.model->is_gone = true;
    assert_int_equal(recover(&stand), -STATUS_FAILED_PRECONDITION);
    assert_has(stand.error.hint, "flocks start");
    assert_true(place_has("run/upgrade.journal"));
    stand.model->is_gone = false;
    (void)recover(&stand);
    assert_false(place_has("run/upgrade.journal"));
    stand_close(&stand);
}

static void test_flow_unfinished_one_is_ended_before_the_next(void **state)
{
    struct stand stand;
    (void)state;
    set_up(&stand, "");
    assert_true(die_in_child(&stand, 20, apply));
    assert_true(place_has("run/upgrade.journal"));
    assert_int_equal(apply(&stand), 0);
    assert_over("1.1.0", "\"phase\":\"UPGRADE_PHASE_COMMITTED\"");
    stand_close(&stand);
}

static void test_flow_foreign_link_is_left_to_a_person(void **state)
{
    struct stand stand;
    (void)state;
    set_up(&stand, "");
    int moment = 1;
    while (die_in_child(&stand, moment++, apply) && stand.model->calls[MODEL_STOP] == 0) {
        take_down(&stand);
        set_up(&stand, "");
    }
    stand.model->lease.phase = FLOCKS_UPGRADE_PHASE_ROLLED_BACK;
    make_release("6.6.6", "");
    assert_int_equal(unlink(place_path("current")), 0);
    place_link("current", "releases/6.6.6");
    assert_int_equal(recover(&stand), -STATUS_FAILED_PRECONDITION);
    assert_string_equal(current(), "releases/6.6.6");
    assert_true(place_has("run/upgrade.journal"));
    assert_has(stand.error.hint, "upgrade.journal");
    stand_close(&stand);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, place_open, place_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_flow_healthy_is_committed),
        TEST(test_flow_release_file_decides_who_stops),
        TEST(test_flow_nobody_stops_no_lease),
        TEST(test_flow_programs_take_over_after_commit),
        TEST(test_flow_current_hands_over_to_programs_that_do_not_run),
        TEST(test_flow_current_leaves_programs_that_run),
        TEST(test_flow_programs_that_fail_leave_the_commit),
        TEST(test_flow_current_is_newest_nothing_is_done),
        TEST(test_flow_rollback_goes_where_the_last_came_from),
        TEST(test_flow_rollback_after_a_failed_upgrade_goes_where_the_last_good_came_from),
        TEST(test_flow_release_that_was_rejected_stays_while_there_is_room),
        TEST(test_flow_rollback_without_result_takes_the_next_older),
        TEST(test_flow_rollback_from_the_oldest_is_refused),
        TEST(test_flow_gate_fails_goes_back_and_says_why),
        TEST(test_flow_service_that_does_not_stop_goes_back),
        TEST(test_flow_refused_lease_rolls_nothing_back_and_is_named),
        TEST(test_flow_refused_call_goes_back),
        TEST(test_flow_late_answers_are_asked_again),
        TEST(test_flow_aborted_goes_back_from_each_call),
        TEST(test_flow_no_server_switches_and_says_not_verified),
        TEST(test_flow_server_that_starts_meanwhile_is_asked),
        TEST(test_flow_first_installation_has_no_way_back_but_nothing),
        TEST(test_flow_killed_at_every_moment_of_a_commit),
        TEST(test_flow_killed_at_every_moment_of_a_failure),
        TEST(test_flow_killed_at_every_moment_without_server),
        TEST(test_flow_server_gone_while_committing_waits_for_it),
        TEST(test_flow_unfinished_one_is_ended_before_the_next),
        TEST(test_flow_foreign_link_is_left_to_a_person),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

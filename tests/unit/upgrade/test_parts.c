/* The small parts of flocks-update that decide: its command line, which services pause, exit codes,
 * what an answer of a service is taken for. */

#include <stdio.h>
#include <unistd.h>

#include "flocks/v1/upgrade.info.h"

#include "client/cli/outcome.h"
#include "client/upgrade/failure.h"
#include "client/upgrade/options.h"
#include "client/upgrade/report.h"
#include "client/upgrade/services.h"
#include "common/base/fd.h"
#include "common/schema/json_read.h"
#include "unit.h"

enum { WORDS_MAX = 12, ARENA_BYTES = 1024 * 1024, TEXT_SIZE = 16 * 1024 };

/* ---- the command line ---- */

static int parse(const char *const words[], struct update_options *out, struct error *error)
{
    char texts[WORDS_MAX][64];
    char name[] = "flocks-update";
    char *argv[WORDS_MAX + 1] = {name};
    int argc = 1;
    for (; words[argc - 1] != NULL; argc++) {
        (void)snprintf(texts[argc], sizeof texts[argc], "%s", words[argc - 1]);
        argv[argc] = texts[argc];
    }
    int result = update_options_parse(argc, argv, out, error);
    /* What is kept points into argv. */
    if (result == 0 && out->to != NULL)
        assert_string_equal(out->to, "1.2.0");
    return result;
}

#define WORDS(...)                                                                                 \
    (const char *const[])                                                                          \
    {                                                                                              \
        __VA_ARGS__, NULL                                                                          \
    }

static void test_options_are_read_in_any_place(void **state)
{
    struct update_options options;
    (void)state;
    assert_int_equal(
        parse(WORDS("--root", "/r", "apply", "--to=1.2.0", "--force"), &options, NULL), 0);
    assert_int_equal(options.command, UPDATE_COMMAND_APPLY);
    assert_true(options.force && !options.list && !options.roll_back);
    assert_int_equal(parse(WORDS("check", "--list", "--to", "1.2.0"), &options, NULL), 0);
    assert_true(options.list && options.command == UPDATE_COMMAND_CHECK);
    assert_int_equal(parse(WORDS("recover", "--socket", "/s"), &options, NULL), 0);
    assert_int_equal(parse(WORDS("--help"), &options, NULL), 0);
    assert_true(options.help);
}

static void test_options_that_make_no_sense_are_refused(void **state)
{
    const char *const *const lines[] = {WORDS("apply", "check"), WORDS("apply", "--list"),
        WORDS("recover", "--force"), WORDS("apply", "--rollback", "--force"),
        WORDS("apply", "--rollback", "--to", "1.2.0"), WORDS("apply", "--to"),
        WORDS("apply", "--to="), WORDS("apply", "--force=yes"), WORDS("apply", "--forc"),
        WORDS("apply", "--upgrade-id", "a-b"), WORDS("apply", "--region", "!!"),
        WORDS("check", "--region", "c n"),
        WORDS("apply", "--upgrade-id", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"), WORDS("--root", "/r")};
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(lines); i++) {
        struct update_options options;
        struct error error = ERROR_INIT;
        assert_int_equal(parse(lines[i], &options, &error), -STATUS_INVALID_ARGUMENT);
        assert_true(error.text[0] != '\0' && error.hint[0] != '\0');
    }
}

/* ---- services ---- */

static struct arena arena;

static int open_arena(void **state)
{
    (void)state;
    arena_init(&arena, ARENA_BYTES);
    return 0;
}

static int close_arena(void **state)
{
    (void)state;
    arena_deinit(&arena);
    return 0;
}

/* "backend" and "cache" tell their versions, "webui" does not. */
static const bool *doubted;

static void choose(const flocks_release *file, const char *version, struct update_services *out)
{
    static flocks_version_source source = FLOCKS__V1__VERSION_SOURCE__INIT;
    static flocks_service_config with = FLOCKS__V1__SERVICE_CONFIG__INIT;
    static flocks_service_config without = FLOCKS__V1__SERVICE_CONFIG__INIT;
    static Flocks__V1__Config__ServicesEntry entries[] = {FLOCKS__V1__CONFIG__SERVICES_ENTRY__INIT,
        FLOCKS__V1__CONFIG__SERVICES_ENTRY__INIT, FLOCKS__V1__CONFIG__SERVICES_ENTRY__INIT};
    static Flocks__V1__Config__ServicesEntry *services[] = {&entries[0], &entries[1], &entries[2]};
    static const char *const names[] = {"backend", "cache", "webui"};
    flocks_config config = FLOCKS__V1__CONFIG__INIT;
    with.version = &source;
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        entries[i].key = names[i];
        entries[i].value = i < 2 ? &with : &without;
    }
    config.n_services = ARRAY_LENGTH(names);
    config.services = services;
    assert_int_equal(
        update_services_choose(&config, "webui", file, doubted, version, &arena, out, NULL), 0);
}

static void test_services_without_a_file_all_pause_and_tell(void **state)
{
    flocks_release file = FLOCKS__V1__RELEASE__INIT;
    struct update_services services;
    (void)state;
    choose(&file, "1.2.0+build.7", &services);
    assert_int_equal(services.n_paused, 3);
    assert_true(services.holding_page);
    assert_int_equal(services.n_versions, 2);
    assert_string_equal(services.versions[1].service, "cache");
    assert_string_equal(services.versions[1].version, "1.2.0");
}

static void test_services_of_a_file_go_on_or_tell_something_else(void **state)
{
    flocks_release file = FLOCKS__V1__RELEASE__INIT;
    Flocks__V1__Release__VersionsEntry own = FLOCKS__V1__RELEASE__VERSIONS_ENTRY__INIT;
    Flocks__V1__Release__VersionsEntry any = FLOCKS__V1__RELEASE__VERSIONS_ENTRY__INIT;
    Flocks__V1__Release__VersionsEntry *versions[] = {&own, &any};
    const char *kept[] = {"webui", "nobody"};
    struct update_services services;
    (void)state;
    own.key = "backend";
    own.value = "2026b";
    any.key = "cache";
    any.value = "";
    file.n_versions = 2;
    file.versions = versions;
    file.n_keep_running = 2;
    file.keep_running = kept;
    choose(&file, "1.2.0", &services);
    assert_int_equal(services.n_paused, 2);
    assert_false(services.holding_page);
    assert_int_equal(services.n_versions, 1);
    assert_string_equal(services.versions[0].version, "2026b");
    kept[0] = "*";
    choose(&file, "1.2.0", &services);
    assert_int_equal(services.n_paused, 0);
    /* They are restarted after all: with the version that is told of them, else with none. */
    doubted = (const bool[]){true, true, false};
    choose(&file, "1.2.0", &services);
    assert_int_equal(services.n_paused, 2);
    assert_int_equal(services.n_versions, 1);
    assert_string_equal(services.versions[0].service, "backend");
    doubted = NULL;
}

static void test_services_of_a_nameless_release_tell_nothing(void **state)
{
    static const char *const nameless[] = {"0.0.0", "0.0.0+adopted"};
    flocks_release file = FLOCKS__V1__RELEASE__INIT;
    struct update_services services;
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(nameless); i++) {
        choose(&file, nameless[i], &services);
        assert_int_equal(services.n_versions, 0);
        assert_int_equal(services.n_paused, 3);
    }
}

/* ---- exit codes ---- */

static void test_exit_codes_are_those_of_flocks(void **state)
{
    (void)state;
    for (int code = STATUS_CANCELLED; code < STATUS_CODE_COUNT; code++)
        assert_int_equal(update_exit_code((enum status_code)code),
            outcome_exit_code(outcome_of_status((enum status_code)code)));
    assert_int_equal(update_exit_code(STATUS_OK), 0);
}

/* ---- reports ---- */

/* Numbers of the steps that people see. */
static void test_report_numbers_the_planned_steps(void **state)
{
    int ends[2];
    char text[TEXT_SIZE] = "";
    struct update_settings settings = {.log_fd = -1};
    struct error failure = ERROR_INIT;
    const uint32_t plan = (1U << FLOCKS_UPGRADE_STEP_SWITCHING) |
                          (1U << FLOCKS_UPGRADE_STEP_STOPPING) |
                          (1U << FLOCKS_UPGRADE_STEP_ADOPTING);
    (void)state;
    assert_int_equal(pipe(ends), 0);
    const struct update_reporter_request request = {
        .settings = &settings, .id = "u1", .fd = ends[1], .abort_fd = -1};
    struct update_reporter *reporter = update_reporter_new(&request, NULL);
    assert_non_null(reporter);
    update_reporter_plan(reporter, plan);
    update_reporter_step(reporter, FLOCKS_UPGRADE_STEP_ADOPTING, "one");
    update_reporter_step(reporter, FLOCKS_UPGRADE_STEP_STOPPING, "two");
    /* Said before: no line. */
    update_reporter_step(reporter, FLOCKS_UPGRADE_STEP_STOPPING, "two");
    update_reporter_step(reporter, FLOCKS_UPGRADE_STEP_RECOVERING, "none");
    (void)error_set(&failure, STATUS_DATA_LOSS, "altered");
    error_set_hint(&failure, "fetch it again");
    update_reporter_end(reporter, FLOCKS_UPGRADE_PHASE_ROLLED_BACK, false, &failure, "altered");
    update_reporter_free(reporter);
    fd_close(&ends[1]);
    assert_true(read(ends[0], text, sizeof text - 1) > 0);
    fd_close(&ends[0]);

    static const uint32_t numbers[] = {1, 2, 0, 0};
    char *line = text;
    for (size_t i = 0; i < ARRAY_LENGTH(numbers); i++) {
        ProtobufCMessage *message = NULL;
        size_t len = strcspn(line, "\n");
        assert_int_equal(
            json_read(line, len, &flocks_upgrade_progress_info, NULL, &arena, &message, NULL, NULL),
            0);
        const flocks_upgrade_progress *progress = (const flocks_upgrade_progress *)message;
        assert_int_equal(progress->step_number, numbers[i]);
        assert_int_equal(progress->steps, 3);
        if (i == ARRAY_LENGTH(numbers) - 1) {
            assert_int_equal(progress->step, FLOCKS_UPGRADE_STEP_DONE);
            assert_int_equal(progress->code, STATUS_DATA_LOSS);
            assert_string_equal(progress->error->hint, "fetch it again");
            assert_non_null(progress->ended_at);
        }
        line += len + 1;
    }
    assert_int_equal(*line, '\0');
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_arena, close_arena)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_options_are_read_in_any_place),
        TEST(test_options_that_make_no_sense_are_refused),
        TEST(test_services_without_a_file_all_pause_and_tell),
        TEST(test_services_of_a_file_go_on_or_tell_something_else),
        TEST(test_services_of_a_nameless_release_tell_nothing),
        TEST(test_exit_codes_are_those_of_flocks),
        TEST(test_report_numbers_the_planned_steps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

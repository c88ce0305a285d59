#include <string.h>

#include "client/cli/update_message.h"
#include "unit.h"

static struct arena arena;

static int read_line(const char *line, struct update_message *out, struct error *error)
{
    arena_deinit(&arena);
    arena_init(&arena, UPDATE_MESSAGE_ARENA_BYTES);
    return update_message_read(line, strlen(line), &arena, out, error);
}

static void test_update_message_is_progress_or_check(void **state)
{
    struct update_message message;
    (void)state;
    assert_int_equal(read_line("{\"step\":\"UPGRADE_STEP_DONE\"}", &message, NULL), 0);
    assert_non_null(message.progress);
    assert_null(message.check);
    assert_true(update_message_is_end(message.progress));
    assert_int_equal(read_line("{\"is_newer\":true}", &message, NULL), 0);
    assert_null(message.progress);
    assert_true(message.check->is_newer);
}

static void test_update_message_is_a_failure(void **state)
{
    struct update_message message;
    (void)state;
    assert_int_equal(
        read_line(
            "{\"error\":{\"code\":6,\"message\":\"m\",\"details\":[{\"@type\":\"t\",\"reason\":"
            "\"ERROR_REASON_UPGRADE_RUNNING\",\"service\":\"web\",\"hint\":\"h\"}]}}",
            &message, NULL),
        0);
    assert_true(message.is_failure);
    assert_int_equal(message.failure.code, STATUS_ALREADY_EXISTS);
    assert_string_equal(message.failure.text, "m");
    assert_string_equal(message.failure.hint, "h");
    assert_string_equal(message.failure.subject, "web");
    assert_int_equal(message.failure.reason, FLOCKS_ERROR_REASON_UPGRADE_RUNNING);
    assert_int_equal(message.detail->reason, FLOCKS_ERROR_REASON_UPGRADE_RUNNING);
}

static void test_update_message_failure_without_sense_is_still_one(void **state)
{
    static const char *const lines[] = {"{\"error\":{\"message\":\"m\"}}",
        "{\"error\":{\"message\":\"m\",\"code\":\"x\",\"details\":7}}",
        "{\"error\":{\"message\":\"m\",\"code\":-1,\"details\":[[]]}}",
        "{\"error\":{\"message\":\"m\",\"code\":9999999999,\"details\":[{\"reason\":\"NEW\"}]}}"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(lines); i++) {
        struct update_message message;
        assert_int_equal(read_line(lines[i], &message, NULL), 0);
        assert_true(message.is_failure);
        assert_int_equal(message.failure.code, STATUS_UNKNOWN);
        assert_null(message.detail);
    }
}

static void test_update_message_refuses_what_is_neither(void **state)
{
    static const char *const lines[] = {"", "x", "[]", "7", "{\"new\":1}", "{\"step\":7.5}",
        "{\"step\":\"UPGRADE_STEP_DONE\"", "{}{}", "{\"error\":7}", "{\"error\":{\"message\":7}}"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(lines); i++) {
        struct update_message message;
        struct error error = ERROR_INIT;
        assert_int_equal(read_line(lines[i], &message, &error), -STATUS_INTERNAL);
        assert_non_null(strstr(error.text, "neither"));
        assert_null(message.progress);
        assert_null(message.check);
    }
}

static void test_update_message_failure_takes_what_there_is(void **state)
{
    struct error error = ERROR_INIT;
    flocks_upgrade_progress progress = FLOCKS_UPGRADE_PROGRESS_INIT;
    flocks_error_detail detail = FLOCKS_ERROR_DETAIL_INIT;
    (void)state;
    assert_int_equal(update_message_failure(&progress, &error), 0);
    progress.code = STATUS_NOT_FOUND;
    assert_int_equal(update_message_failure(&progress, NULL), -STATUS_NOT_FOUND);
    assert_int_equal(update_message_failure(&progress, &error), -STATUS_NOT_FOUND);
    assert_non_null(strstr(error.text, "did not say why"));
    detail.attempted = "verifying";
    detail.hint = "ask";
    detail.reason = FLOCKS_ERROR_REASON_UPGRADE_RUNNING;
    progress.error = &detail;
    progress.code = 99;
    assert_int_equal(update_message_failure(&progress, &error), -STATUS_UNKNOWN);
    assert_string_equal(error.text, "verifying");
    assert_string_equal(error.hint, "ask");
    assert_int_equal(error.reason, FLOCKS_ERROR_REASON_UPGRADE_RUNNING);
    progress.code = 0;
    progress.message = "the signature is wrong";
    assert_int_equal(update_message_failure(&progress, &error), -STATUS_UNKNOWN);
    assert_string_equal(error.text, "the signature is wrong");
}

static int close_arena(void **state)
{
    (void)state;
    arena_deinit(&arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_update_message_is_progress_or_check),
        cmocka_unit_test(test_update_message_is_a_failure),
        cmocka_unit_test(test_update_message_failure_without_sense_is_still_one),
        cmocka_unit_test(test_update_message_refuses_what_is_neither),
        cmocka_unit_test(test_update_message_failure_takes_what_there_is),
    };
    return cmocka_run_group_tests(tests, NULL, close_arena);
}

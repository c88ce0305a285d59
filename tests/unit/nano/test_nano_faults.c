/* libflocks-nano when its socket misbehaves: cut, slow, failing or full, at every byte and call. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "faults.h"
#include "script.h"
#include "unit.h"

enum { SHORT_MS = 1, LONG_MS = 10000 };

static int set_up(void **state)
{
    faults = (struct faults){.longest = 0};
    return script_set_up(state);
}

static int tear_down(void **state)
{
    faults = (struct faults){.longest = 0};
    return script_tear_down(state);
}

static bool is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

/* ---- cut at every byte ---- */

static void answer_that_ends_after(size_t len)
{
    void *state = NULL;
    (void)set_up(&state);
    struct script *script = state;
    script_status(script, 1, 2);
    assert_true(len < script->len);
    script_say(script, 0, len);
    script_end(script);
    script->nano.timeout_ms = LONG_MS;
    assert_int_equal(script_get_status(script), RPC_UNAVAILABLE);
    assert_string_equal(script->error.message, "the server closed the connection");
    assert_false(flocks_nano_is_usable(&script->nano));
    assert_true(is_open(script->nano.fd));
    (void)tear_down(&state);
}

static size_t answer_len(void)
{
    void *state = NULL;
    (void)set_up(&state);
    struct script *script = state;
    script_status(script, 1, 2);
    size_t len = script->len;
    (void)tear_down(&state);
    return len;
}

static void test_answer_cut_at_every_byte_is_unavailable(void **state)
{
    (void)state;
    size_t len = answer_len();
    for (size_t i = 0; i < len; i++)
        answer_that_ends_after(i);
}

/* The rest comes during the next call, and its own answer. */
static void answer_that_pauses_after(size_t len)
{
    void *state = NULL;
    (void)set_up(&state);
    struct script *script = state;
    script_status(script, 1, 2);
    script_say(script, 0, len);
    script->nano.timeout_ms = SHORT_MS;
    assert_int_equal(script_get_status(script), RPC_DEADLINE_EXCEEDED);
    assert_true(flocks_nano_is_usable(&script->nano));
    script_status(script, 3, 1);
    script_say(script, len, script->len);
    script->nano.timeout_ms = LONG_MS;
    assert_int_equal(script_get_status(script), RPC_OK);
    assert_int_equal(script->n_seen, 1);
    (void)tear_down(&state);
}

static void test_answer_late_at_every_byte_is_passed_over(void **state)
{
    (void)state;
    size_t len = answer_len();
    for (size_t i = 0; i < len; i++)
        answer_that_pauses_after(i);
}

static void test_one_byte_at_a_time_is_enough(void **state)
{
    struct script *script = *state;
    script_status(script, 1, 3);
    script_say(script, 0, script->len);
    faults.longest = 1;
    assert_int_equal(script_get_status(script), RPC_OK);
    assert_int_equal(script->n_seen, 3);
    assert_true(faults.n_calls[FAULT_SEND] > RPC_FRAME_HEADER_BYTES);
}

/* ---- every call fails once ---- */

/* Answers whether there was an n-th call. The answer comes in three parts, so that there is a poll
 * between them only if nothing was there: the script is said whole, polls come from a full socket.
 */
static bool fails_at(enum fault_call call, unsigned n, int error_number, enum rpc_code expected)
{
    void *state = NULL;
    (void)set_up(&state);
    struct script *script = state;
    script_status(script, 5, 1);
    script_status(script, 1, 2);
    script_say(script, 0, script->len);
    faults = (struct faults){
        .longest = 50, .error_number = error_number, .full_after = 20, .full_until_received = 100};
    faults.fail_at[call] = n;
    script->nano.timeout_ms = LONG_MS;
    enum rpc_code code = script_get_status(script);
    bool has_failed = faults.n_calls[call] >= n;
    assert_int_equal(code, has_failed ? expected : RPC_OK);
    assert_int_equal(flocks_nano_is_usable(&script->nano), code == RPC_OK);
    assert_int_equal(script->error.code, code);
    assert_true(is_open(script->nano.fd));
    if (code != RPC_OK)
        assert_true(strlen(script->error.message) > 0);
    (void)tear_down(&state);
    return has_failed;
}

static unsigned fail_every(enum fault_call call, int error_number, enum rpc_code expected)
{
    unsigned n = 0;
    while (fails_at(call, n + 1, error_number, expected))
        n++;
    return n;
}

static void test_every_failing_call_is_unavailable(void **state)
{
    (void)state;
    assert_true(fail_every(FAULT_RECV, ECONNRESET, RPC_UNAVAILABLE) > 5);
    assert_true(fail_every(FAULT_SEND, EPIPE, RPC_UNAVAILABLE) > 2);
    assert_true(fail_every(FAULT_POLL, ENOMEM, RPC_UNAVAILABLE) > 0);
}

static void test_every_interrupted_call_is_repeated(void **state)
{
    (void)state;
    assert_true(fail_every(FAULT_RECV, EINTR, RPC_OK) > 5);
    assert_true(fail_every(FAULT_SEND, EINTR, RPC_OK) > 2);
    assert_true(fail_every(FAULT_POLL, EINTR, RPC_OK) > 0);
}

static void test_failing_call_says_why(void **state)
{
    struct script *script = *state;
    faults.fail_at[FAULT_SEND] = 1;
    faults.error_number = EPIPE;
    assert_int_equal(script_get_status(script), RPC_UNAVAILABLE);
    assert_string_equal(script->error.message, "writing to the server: Broken pipe");
}

/* ---- time ---- */

static void test_silent_server_ends_with_the_deadline(void **state)
{
    struct script *script = *state;
    script->nano.timeout_ms = SHORT_MS;
    assert_int_equal(script_get_status(script), RPC_DEADLINE_EXCEEDED);
    assert_int_equal(faults.n_calls[FAULT_POLL] > 0, 1);
    assert_true(flocks_nano_is_usable(&script->nano));
}

static void test_server_that_never_pauses_ends_with_the_deadline(void **state)
{
    struct script *script = *state;
    faults.is_endless = true;
    script->nano.timeout_ms = 20;
    assert_int_equal(script_get_status(script), RPC_DEADLINE_EXCEEDED);
}

/* ---- writing ---- */

static void test_late_answers_are_read_between_writes(void **state)
{
    struct script *script = *state;
    script_status(script, 9, 100);
    script_status(script, 11, 1);
    size_t late = script->len;
    script_status(script, 1, 2);
    script_say(script, 0, script->len);
    /* The server reads again when the late answers are gone. */
    faults.full_after = 7;
    faults.full_until_received = late - 2048;
    assert_true(late > 5000);
    script->nano.timeout_ms = LONG_MS;
    faults.longest = 300;
    assert_int_equal(script_get_status(script), RPC_OK);
    assert_int_equal(script->n_seen, 2);
}

static void test_half_a_request_ends_the_connection(void **state)
{
    struct script *script = *state;
    faults.full_after = 7;
    faults.full_until_received = 1;
    script->nano.timeout_ms = SHORT_MS;
    assert_int_equal(script_get_status(script), RPC_DEADLINE_EXCEEDED);
    assert_false(flocks_nano_is_usable(&script->nano));
}

static void test_request_that_was_not_begun_leaves_the_connection_usable(void **state)
{
    struct script *script = *state;
    faults.n_sent = 1;
    faults.full_after = 1;
    faults.full_until_received = 1;
    script->nano.timeout_ms = SHORT_MS;
    assert_int_equal(script_get_status(script), RPC_DEADLINE_EXCEEDED);
    assert_true(flocks_nano_is_usable(&script->nano));
    faults = (struct faults){.longest = 0};
    script_status(script, 3, 1);
    script_say(script, 0, script->len);
    script->nano.timeout_ms = LONG_MS;
    assert_int_equal(script_get_status(script), RPC_OK);
}

static void test_answer_before_the_question_ends_the_connection(void **state)
{
    struct script *script = *state;
    script_status(script, 1, 1);
    script_say(script, 0, script->len);
    faults.full_after = 7;
    faults.full_until_received = script->len;
    script->nano.timeout_ms = LONG_MS;
    assert_int_equal(script_get_status(script), RPC_UNAVAILABLE);
    assert_string_equal(script->error.message, "the server answers what it was not asked");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answer_cut_at_every_byte_is_unavailable),
        cmocka_unit_test(test_answer_late_at_every_byte_is_passed_over),
        TEST(test_one_byte_at_a_time_is_enough),
        cmocka_unit_test(test_every_failing_call_is_unavailable),
        cmocka_unit_test(test_every_interrupted_call_is_repeated),
        TEST(test_failing_call_says_why),
        TEST(test_silent_server_ends_with_the_deadline),
        TEST(test_server_that_never_pauses_ends_with_the_deadline),
        TEST(test_late_answers_are_read_between_writes),
        TEST(test_half_a_request_ends_the_connection),
        TEST(test_request_that_was_not_begun_leaves_the_connection_usable),
        TEST(test_answer_before_the_question_ends_the_connection),
    };
#undef TEST
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* A sentence for every state and every reason: no state without an explanation. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
/* cmocka wants the standard headers above first. */
#include <cmocka.h>

#include "flocks/v1/types.names.h"

#include "common/base/utf8.h"
#include "server/supervise/explain.h"

static const char long_name[] = "a-service-with-a-name-of-sixty-three-bytes-which-is-the-longest";

static struct explain_facts facts_of(enum service_state state, uint32_t reason)
{
    return (struct explain_facts){
        .state = state, .reason = reason, .service = "webui", .lease_owner = "", .waits_for = ""};
}

static const char *hint_of(const struct explain_facts *facts)
{
    static char hint[EXPLAIN_HINT_SIZE];

    memset(hint, 'x', sizeof hint);
    explain_hint(facts, hint);
    assert_non_null(memchr(hint, '\0', sizeof hint));
    return hint;
}

static const char *hint(enum service_state state, enum flocks_state_reason reason)
{
    struct explain_facts facts = facts_of(state, (uint32_t)reason);

    return hint_of(&facts);
}

/* Reasons that the schema has, and one that it will have some day. */
static uint32_t reason_count(void)
{
    return (uint32_t)flocks__v1__state_reason__descriptor.n_values + 1;
}

static void test_explain_every_state_and_reason_has_a_sentence(void **state)
{
    (void)state;
    for (int service_state = SERVICE_STOPPED; service_state < SERVICE_STATE_END; service_state++) {
        for (uint32_t reason = 0; reason < reason_count(); reason++) {
            const char *text =
                hint((enum service_state)service_state, (enum flocks_state_reason)reason);

            if (service_state == SERVICE_HEALTHY) {
                assert_string_equal(text, "");
                continue;
            }
            assert_true(strlen(text) > 20);
            assert_int_equal(text[strlen(text) - 1], '.');
            assert_null(strchr(text, '{'));
            assert_null(strstr(text, "  "));
        }
    }
}

/* The longest names leave the sentences whole: the schema's 255 bytes are enough. */
static void test_explain_longest_names_fit(void **state)
{
    struct explain_facts facts = {.service = long_name,
        .lease_owner = long_name,
        .waits_for = long_name,
        .holder_pid = INT32_MAX,
        .port = 65535};

    (void)state;
    assert_int_equal(strlen(long_name), 63);
    for (int service_state = SERVICE_STOPPED; service_state < SERVICE_STATE_END; service_state++) {
        for (uint32_t reason = 0; reason < reason_count(); reason++) {
            const char *text;

            facts.state = (enum service_state)service_state;
            facts.reason = reason;
            text = hint_of(&facts);
            assert_true(service_state == SERVICE_HEALTHY || text[strlen(text) - 1] == '.');
            assert_true(utf8_is_valid((const uint8_t *)text, strlen(text)));
        }
    }
}

static void test_explain_names_who_holds_the_port(void **state)
{
    struct explain_facts facts = facts_of(SERVICE_WAITING, FLOCKS_STATE_REASON_PORT_HELD);

    (void)state;
    facts.port = 8000;
    facts.holder_pid = 4711;
    assert_string_equal(hint_of(&facts),
        "Process 4711 holds its port 8000: end that, or give it another port. It starts by itself "
        "when nothing stands in its way.");
    facts.holder_pid = 0;
    assert_non_null(strstr(hint_of(&facts), "A process of another user holds its port 8000"));
}

static void test_explain_names_what_is_waited_for(void **state)
{
    struct explain_facts facts = facts_of(SERVICE_WAITING, FLOCKS_STATE_REASON_REQUESTED);

    (void)state;
    facts.waits_for = "backend";
    assert_string_equal(hint_of(&facts),
        "It starts when backend is ready: `flocks why backend` shows how far that is.");
    facts.reason = FLOCKS_STATE_REASON_DEPENDENCY_FAILED;
    assert_non_null(strstr(hint_of(&facts), "backend is not ready"));
}

static void test_explain_names_who_holds_the_lease(void **state)
{
    struct explain_facts facts = facts_of(SERVICE_PAUSED, FLOCKS_STATE_REASON_LEASE_HELD);

    (void)state;
    facts.lease_owner = "flocks-update";
    assert_non_null(strstr(hint_of(&facts), "The upgrade of flocks-update holds it"));
}

/* Each reason for a failure is told apart from the others. */
static void test_explain_every_failure_has_its_own_words(void **state)
{
    (void)state;
    for (uint32_t one = FLOCKS_STATE_REASON_EXITED; one < reason_count() - 1; one++) {
        for (uint32_t other = one + 1; other < reason_count() - 1; other++) {
            char first[EXPLAIN_HINT_SIZE];

            (void)snprintf(
                first, sizeof first, "%s", hint(SERVICE_FAILED, (enum flocks_state_reason)one));
            assert_string_not_equal(first, hint(SERVICE_FAILED, (enum flocks_state_reason)other));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_explain_every_state_and_reason_has_a_sentence),
        cmocka_unit_test(test_explain_longest_names_fit),
        cmocka_unit_test(test_explain_names_who_holds_the_port),
        cmocka_unit_test(test_explain_names_what_is_waited_for),
        cmocka_unit_test(test_explain_names_who_holds_the_lease),
        cmocka_unit_test(test_explain_every_failure_has_its_own_words),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

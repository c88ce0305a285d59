/* Which misbehaving peers are worth a line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first. */
#include <cmocka.h>

#include "server/transport/complaints.h"
#include "server/transport/descriptors.h"

static void test_admit_same_peer_and_kind_once(void **state)
{
    struct complaints complaints = {0};
    uint64_t left_out = 99;

    (void)state;
    assert_true(complaints_admit(&complaints, COMPLAINT_UID, 7, 0, &left_out));
    assert_int_equal(left_out, 0);
    assert_false(complaints_admit(&complaints, COMPLAINT_UID, 7, 1, &left_out));
    assert_true(complaints_admit(&complaints, COMPLAINT_GATE, 7, 2, &left_out));
    assert_int_equal(left_out, 1);
}

static void test_admit_flood_is_bounded_by_the_minute(void **state)
{
    struct complaints complaints = {0};
    uint64_t left_out = 0;
    int admitted = 0;

    (void)state;
    for (int32_t pid = 1; pid <= 1000; pid++)
        admitted += complaints_admit(&complaints, COMPLAINT_UID, pid, 5, &left_out) ? 1 : 0;
    assert_int_equal(admitted, TRANSPORT_COMPLAINTS_PER_MINUTE);
    assert_true(complaints_admit(&complaints, COMPLAINT_UID, 5000, INT64_C(60000), &left_out));
    assert_int_equal(left_out, 1000 - TRANSPORT_COMPLAINTS_PER_MINUTE);
}

static void test_admit_forgets_a_peer_behind_as_many_others(void **state)
{
    enum { MINUTE_MS = 60 * 1000 };
    struct complaints complaints = {0};
    uint64_t left_out = 0;
    int64_t now_ms = 0;

    (void)state;
    assert_true(complaints_admit(&complaints, COMPLAINT_UID, 1, now_ms, &left_out));
    for (int32_t pid = 2; pid <= TRANSPORT_COMPLAINTS_REMEMBERED; pid++)
        assert_true(
            complaints_admit(&complaints, COMPLAINT_UID, pid, now_ms += MINUTE_MS, &left_out));
    assert_false(complaints_admit(&complaints, COMPLAINT_UID, 1, now_ms += MINUTE_MS, &left_out));
    assert_true(complaints_admit(&complaints, COMPLAINT_UID, 1000, now_ms += MINUTE_MS, &left_out));
    assert_true(complaints_admit(&complaints, COMPLAINT_UID, 1, now_ms + MINUTE_MS, &left_out));
}

static void test_connections_max_leaves_descriptors_to_the_services(void **state)
{
    (void)state;
    assert_int_equal(descriptors_connections_max(10), 1);
    assert_int_equal(descriptors_connections_max(1024), 1024 - TRANSPORT_DESCRIPTORS_RESERVED);
    assert_int_equal(descriptors_connections_max(1048576), TRANSPORT_CONNECTIONS_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_admit_same_peer_and_kind_once),
        cmocka_unit_test(test_admit_flood_is_bounded_by_the_minute),
        cmocka_unit_test(test_admit_forgets_a_peer_behind_as_many_others),
        cmocka_unit_test(test_connections_max_leaves_descriptors_to_the_services),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "check.h"
#include "common/base/base64.h"
#include "common/base/status.h"

static void check_round_trip(const char *plain, const char *encoded)
{
    struct buffer text;
    buffer_init(&text, 100);
    assert_int_equal(base64_write((const uint8_t *)plain, strlen(plain), &text), 0);
    assert_int_equal(buffer_length(&text), strlen(encoded));
    assert_memory_equal(buffer_data(&text), encoded, strlen(encoded));
    buffer_deinit(&text);

    struct arena arena;
    arena_init(&arena, 1000);
    uint8_t *bytes;
    size_t len;
    assert_int_equal(base64_read(encoded, strlen(encoded), &arena, &bytes, &len), 0);
    assert_int_equal(len, strlen(plain));
    assert_memory_equal(bytes, plain, len);
    arena_deinit(&arena);
}

/* RFC 4648, section 10. */
static void test_base64_vectors_of_the_rfc(void **state)
{
    (void)state;
    check_round_trip("", "");
    check_round_trip("f", "Zg==");
    check_round_trip("fo", "Zm8=");
    check_round_trip("foo", "Zm9v");
    check_round_trip("foob", "Zm9vYg==");
    check_round_trip("fooba", "Zm9vYmE=");
    check_round_trip("foobar", "Zm9vYmFy");
}

static int read_one(const char *text, uint8_t *first)
{
    struct arena arena;
    arena_init(&arena, 1000);
    uint8_t *bytes;
    size_t len;
    int result = base64_read(text, strlen(text), &arena, &bytes, &len);
    if (result == 0 && len > 0)
        *first = bytes[0];
    arena_deinit(&arena);
    return result;
}

static void test_base64_url_letters_and_no_padding_are_read(void **state)
{
    (void)state;
    uint8_t first = 0;
    assert_int_equal(read_one("_-", &first), 0);
    assert_int_equal(first, 0xff);
}

static void test_base64_wrong_text_is_refused(void **state)
{
    (void)state;
    uint8_t first;
    assert_int_equal(read_one("A", &first), -STATUS_INVALID_ARGUMENT);
    assert_int_equal(read_one("AB=", &first), -STATUS_INVALID_ARGUMENT);
    assert_int_equal(read_one("A*==", &first), -STATUS_INVALID_ARGUMENT);
    assert_int_equal(read_one("A=B=", &first), -STATUS_INVALID_ARGUMENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_base64_vectors_of_the_rfc),
        cmocka_unit_test(test_base64_url_letters_and_no_padding_are_read),
        cmocka_unit_test(test_base64_wrong_text_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

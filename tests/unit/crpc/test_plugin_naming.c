/* Names: protobuf-c's own, nanopb's, and our short ones. */
#include "naming.h"
#include "pool_fixture.h"

static void test_snake_words_are_separated_also_around_acronyms(void **state)
{
    assert_string_equal(naming_snake(*state, "ServiceStatus"), "service_status");
    assert_string_equal(naming_snake(*state, "HTTPCheckURL"), "http_check_url");
    assert_string_equal(naming_snake(*state, "Utf8Text"), "utf8_text");
    assert_string_equal(naming_snake(*state, "already_snake"), "already_snake");
    assert_string_equal(naming_snake(*state, ""), "");
}

static void test_protobuf_c_names_are_those_of_protoc_c(void **state)
{
    assert_string_equal(
        naming_protobuf_c_type(*state, "flocks.v1.ServiceStatus"), "Flocks__V1__ServiceStatus");
    assert_string_equal(
        naming_protobuf_c_lower(*state, "flocks.v1.ServiceStatus"), "flocks__v1__service_status");
    assert_string_equal(
        naming_protobuf_c_upper(*state, "flocks.v1.ServiceStatus"), "FLOCKS__V1__SERVICE_STATUS");
    assert_string_equal(naming_protobuf_c_type(*state, "a_b.HTTPCheck"), "AB__HTTPCheck");
    assert_string_equal(naming_protobuf_c_lower(*state, "a_b.HTTPCheck"), "a_b__httpcheck");
}

static void test_enum_value_loses_its_prefix_only_where_a_name_is_left(void **state)
{
    assert_string_equal(
        naming_enum_value(*state, "ServiceState", "SERVICE_STATE_HEALTHY"), "HEALTHY");
    assert_string_equal(naming_enum_value(*state, "Mode", "OTHER"), "OTHER");
    assert_string_equal(naming_enum_value(*state, "Mode", "MODE_2D"), "MODE_2D");
    assert_string_equal(naming_enum_value(*state, "Mode", "MODE_"), "MODE_");
    assert_string_equal(naming_enum_value(*state, "Mode", "MODES_ALL"), "MODES_ALL");
    assert_string_equal(naming_enum_value(*state, "Mode", "M"), "M");
}

static void test_service_loses_the_word_service(void **state)
{
    assert_string_equal(naming_service(*state, "SupervisorService"), "supervisor");
    assert_string_equal(naming_service(*state, "Greeter"), "greeter");
    assert_string_equal(naming_service(*state, "Service"), "service");
}

static void test_refusal_knows_keywords_and_macros_and_nothing_else(void **state)
{
    (void)state;
    assert_non_null(naming_refusal("default"));
    assert_null(naming_refusal("namespace"));
    assert_non_null(naming_cxx_refusal("namespace"));
    assert_null(naming_cxx_refusal("default_value"));
    assert_non_null(naming_refusal("unix"));
    assert_null(naming_refusal("default_value"));
    assert_null(naming_refusal("major"));
}

static void test_handler_of_a_word_of_the_language_has_an_underscore(void **state)
{
    assert_string_equal(naming_handler(*state, "get_status"), "get_status");
    assert_string_equal(naming_handler(*state, "delete"), "delete_");
    assert_string_equal(naming_handler(*state, "return"), "return_");
    assert_string_equal(naming_handler(*state, "assert"), "assert_");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, pool_set_up, pool_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_snake_words_are_separated_also_around_acronyms),
        TEST(test_protobuf_c_names_are_those_of_protoc_c),
        TEST(test_enum_value_loses_its_prefix_only_where_a_name_is_left),
        TEST(test_service_loses_the_word_service),
        cmocka_unit_test(test_refusal_knows_keywords_and_macros_and_nothing_else),
        TEST(test_handler_of_a_word_of_the_language_has_an_underscore),
    };
#undef TEST
    return cmocka_run_group_tests(tests, NULL, NULL);
}

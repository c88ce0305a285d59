#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "flocks/v1/supervisor.info.h"
#include "flocks/v1/supervisor.names.h"

#include "client/cli/json_argument.h"
#include "temporary.h"
#include "unit.h"

static int set_up(void **state)
{
    static struct temporary directory;
    temporary_open(&directory);
    *state = &directory;
    return 0;
}

static int tear_down(void **state)
{
    temporary_close(*state);
    return 0;
}

/* The first service of a GetStatusRequest, or what was refused. */
static const char *read_name(const char *operand)
{
    static char text[ERROR_TEXT_MAX];
    struct error error = ERROR_INIT;
    struct json_argument argument;
    struct json_mistake mistake;
    struct arena arena;
    ProtobufCMessage *message = NULL;
    arena_init(&arena, 1 << 20);
    int result = json_argument_read(&argument, operand, &error);
    if (result == 0)
        result = json_argument_parse(
            &argument, &flocks_get_status_request_info, &arena, &message, &mistake, &error);
    const flocks_get_status_request *request = (const flocks_get_status_request *)message;
    const char *name = result == 0 && request->n_services > 0 ? request->services[0] : "";
    (void)snprintf(text, sizeof(text), "%s", result == 0 ? name : error.text);
    json_argument_deinit(&argument);
    arena_deinit(&arena);
    return text;
}

static void test_json_argument_is_a_text(void **state)
{
    (void)state;
    assert_string_equal(read_name(NULL), "");
    assert_string_equal(read_name("{\"services\":[\"web\"]}"), "web");
    assert_string_equal(read_name("{\"services\":[1]}"),
        "argument:1:14: services[0]: must be a string, not a number");
    assert_memory_equal(read_name(""), "argument:1:1: not valid JSON", 28);
}

static void test_json_argument_is_a_file(void **state)
{
    char operand[512];
    char expected[1024];
    temporary_append(*state, "good", "{\n  \"services\": [\"web\"]\n}\n");
    temporary_append(*state, "bad", "{\n  \"servces\": [\"web\"]\n}\n");
    temporary_append(*state, "empty", "");
    (void)snprintf(operand, sizeof(operand), "@%s", temporary_path(*state, "good"));
    assert_string_equal(read_name(operand), "web");
    (void)snprintf(operand, sizeof(operand), "@%s", temporary_path(*state, "bad"));
    (void)snprintf(expected, sizeof(expected),
        "%s:2:3: flocks.v1.GetStatusRequest has no field \"servces\"", operand + 1);
    assert_string_equal(read_name(operand), expected);
    (void)snprintf(operand, sizeof(operand), "@%s", temporary_path(*state, "empty"));
    assert_non_null(strstr(read_name(operand), ":1:1: not valid JSON"));
    (void)snprintf(operand, sizeof(operand), "@%s", temporary_path(*state, "none"));
    assert_non_null(strstr(read_name(operand), "none: No such file or directory"));
    (void)snprintf(operand, sizeof(operand), "@%s", temporary_path(*state, "."));
    assert_non_null(strstr(read_name(operand), "Is a directory"));
}

static void test_json_argument_is_standard_input(void **state)
{
    static const char text[] = "{\"services\":[\"db\"]}";
    int ends[2];
    (void)state;
    int before = dup(STDIN_FILENO);
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], text, strlen(text)), strlen(text));
    close(ends[1]);
    assert_int_equal(dup2(ends[0], STDIN_FILENO), STDIN_FILENO);
    assert_string_equal(read_name("-"), "db");
    assert_memory_equal(read_name("-"), "standard input:1:1: not valid", 29);
    assert_int_equal(dup2(before, STDIN_FILENO), STDIN_FILENO);
    close(before);
    close(ends[0]);
}

static void test_json_argument_has_a_largest_length(void **state)
{
    static char text[JSON_READ_MAX_BYTES + 2];
    char operand[512];
    memset(text, ' ', sizeof(text) - 1);
    temporary_append(*state, "large", text);
    (void)snprintf(operand, sizeof(operand), "@%s", temporary_path(*state, "large"));
    assert_non_null(strstr(read_name(operand), "is longer than 4194304 bytes"));
    assert_string_equal(read_name(text), "the argument is too long");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json_argument_is_a_text),
        cmocka_unit_test(test_json_argument_is_a_file),
        cmocka_unit_test(test_json_argument_is_standard_input),
        cmocka_unit_test(test_json_argument_has_a_largest_length),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

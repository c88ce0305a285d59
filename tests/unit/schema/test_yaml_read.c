#include <stdio.h>
#include <stdlib.h>

#include "check.h"
#include "common/schema/yaml_read.h"
#include "zoo.info.h"
#include "zoo.names.h"

struct fixture {
    struct arena arena;
    struct mistakes mistakes;
    struct yaml_origins origins;
};

static int set_up(void **state)
{
    static struct fixture fixture;
    arena_init(&fixture.arena, 64 << 20);
    mistakes_init(&fixture.mistakes);
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    mistakes_deinit(&fixture->mistakes);
    arena_deinit(&fixture->arena);
    return 0;
}

static int read_text(struct fixture *fixture, const char *text, size_t len, zoo_cage **out)
{
    ProtobufCMessage *message;
    int result = yaml_read(text, len, "f", &zoo_cage_info, &fixture->arena, &message,
        &fixture->origins, &fixture->mistakes, NULL);
    *out = (zoo_cage *)message;
    return result;
}

static zoo_cage *read_cage(struct fixture *fixture, const char *text)
{
    zoo_cage *cage;
    int result = read_text(fixture, text, strlen(text), &cage);
    if (result != YAML_READ_OK)
        fail_msg("%s: %s", text, fixture->mistakes.n > 0 ? fixture->mistakes.items[0].message : "");
    return cage;
}

/* Exactly these mistakes, as printed. */
static void check_mistakes(struct fixture *fixture, const char *text, const char *expected)
{
    zoo_cage *cage;
    assert_int_equal(read_text(fixture, text, strlen(text), &cage), YAML_READ_MISTAKEN);
    mistakes_sort(&fixture->mistakes);
    char *printed = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&printed, &len);
    mistakes_print(&fixture->mistakes, out);
    assert_int_equal(fclose(out), 0);
    assert_string_equal(printed, expected);
    free(printed);
    mistakes_deinit(&fixture->mistakes);
    mistakes_init(&fixture->mistakes);
}

static void test_yaml_defaults_are_filled_in(void **state)
{
    zoo_cage *cage = read_cage(*state, "name: a");
    assert_int_equal(cage->port, 80);
    assert_true(cage->room == 64 << 20);
    assert_int_equal(cage->mode, 022);
    assert_int_equal(cage->feed_every->seconds, 1);
    assert_int_equal(cage->feed_every->nanos, 500000000);
    assert_int_equal(cage->colour, ZOO_COLOUR_RED);
    assert_true(cage->open);
    assert_int_equal(cage->door->width, 90);
    assert_string_equal(cage->door->kind, "wood");
    assert_null(cage->back_door);
    assert_int_equal(cage->n_animals, 0);
}

static void test_yaml_defaults_inside_given_messages(void **state)
{
    zoo_cage *cage = read_cage(
        *state, "name: a\nback_door: {}\ndoor: {width: 1}\ndoors: {x: {kind: oak}}\nwindows: [{}]");
    assert_int_equal(cage->back_door->width, 90);
    assert_int_equal(cage->door->width, 1);
    assert_string_equal(cage->door->kind, "wood");
    assert_int_equal(cage->doors[0]->value->width, 90);
    assert_int_equal(cage->windows[0]->width, 90);
}

static void test_yaml_plain_text_stays_text(void **state)
{
    zoo_cage *cage =
        read_cage(*state, "name: no\nanimals: [1.0, true, ~]\nlabels: {a: 010, null: x}");
    assert_string_equal(cage->name, "no");
    assert_string_equal(cage->animals[0], "1.0");
    assert_string_equal(cage->animals[1], "true");
    assert_string_equal(cage->animals[2], "~");
    assert_string_equal(cage->labels[0]->value, "010");
    assert_string_equal(cage->labels[1]->key, "null");
}

static void test_yaml_aliases_are_followed(void **state)
{
    zoo_cage *cage =
        read_cage(*state, "name: a\ndoor: &d {width: 5}\nback_door: *d\nanimals: [&x cat, *x]");
    assert_int_equal(cage->back_door->width, 5);
    assert_string_equal(cage->animals[1], "cat");
}

static void test_yaml_origins_name_line_and_column(void **state)
{
    struct fixture *fixture = *state;
    (void)read_cage(fixture, "name: a\ndoor:\n  width: 5\nanimals:\n  - cat\n");
    assert_int_equal(fixture->origins.n, 5);
    assert_string_equal(fixture->origins.items[1].path, "door");
    assert_true(fixture->origins.items[1].is_place);
    assert_string_equal(fixture->origins.items[2].path, "door.width");
    assert_int_equal(fixture->origins.items[2].line, 3);
    assert_int_equal(fixture->origins.items[2].column, 10);
    assert_string_equal(fixture->origins.items[3].path, "animals");
    assert_int_equal(fixture->origins.items[3].line, 4);
    assert_string_equal(fixture->origins.items[4].path, "animals[0]");
    assert_int_equal(fixture->origins.items[4].line, 5);
}

static void test_yaml_all_mistakes_are_told_at_once(void **state)
{
    check_mistakes(*state,
        "prot: 1\n"
        "port: 70000\n"
        "open: yes\n"
        "feed_every: 5\n"
        "door: {widht: 3, width: x}\n"
        "colour: GREEN\n",
        "f:1:1: prot: unknown key\n    hint: did you mean port?\n"
        "f:1:1: name: is missing\n"
        "f:2:7: port: must be a whole number from 1 to 65535, not '70000'\n"
        "f:3:7: open: must be true or false, not 'yes'\n    hint: write true\n"
        "f:4:13: feed_every: must be a duration such as 500ms, 2s or 5m, at least 10ms, at most 1h,"
        " not '5'\n    hint: add a unit: 5s\n"
        "f:5:8: door.widht: unknown key\n    hint: did you mean width?\n"
        "f:5:25: door.width: must be a whole number from 0 to 4294967295, not 'x'\n"
        "f:6:9: colour: must be one of RED, DARK_BLUE, not 'GREEN'\n");
}

static void test_yaml_wrong_kinds_are_named(void **state)
{
    check_mistakes(
        *state, "name: [a]\n", "f:1:7: name: must be a text of at most 8 bytes, not a list\n");
    check_mistakes(*state, "name: a\nanimals: cat\n",
        "f:2:10: animals: must be a list, not a single value\n"
        "    hint: write it as a list: [one, two]\n");
    check_mistakes(*state, "name: a\ndoor: 5\n",
        "f:2:7: door: must be a mapping, not a single value\n"
        "    hint: write it as key: value, one a line\n");
    check_mistakes(*state, "name: a\ndoors: [x]\n",
        "f:2:8: doors: must be a mapping, not a list\n"
        "    hint: write it as name: value, one a line\n");
    check_mistakes(*state, "name: a\nport: \"80\"\n",
        "f:2:7: port: must be a whole number from 1 to 65535, not a quoted text\n"
        "    hint: remove the quotes\n");
    check_mistakes(*state, "name:\nport: 1\n",
        "f:1:6: name: must be a text of at most 8 bytes, not empty\n"
        "    hint: write \"\" for an empty text, or remove the key\n");
    check_mistakes(*state, "- a\n",
        "f:1:1: must be a mapping, not a list\n    hint: write it as key: value, one a line\n");
}

static void test_yaml_duplicates_and_oneofs_are_refused(void **state)
{
    check_mistakes(
        *state, "name: a\nport: 1\nport: 2\n", "f:3:1: port: is given twice; first in line 2\n");
    check_mistakes(*state, "name: a\ndoors:\n  x: {}\n  y: {}\n  x: {}\n",
        "f:5:3: doors.x: is given twice; first in line 3\n");
    check_mistakes(*state, "name: a\nkey: k\ncode: 5\n",
        "f:3:1: code: another choice of lock was given in line 2\n    hint: keep one of them\n");
}

static void test_yaml_counts_are_bounded(void **state)
{
    check_mistakes(*state, "name: a\nanimals: [a, b, c, d]\n",
        "f:2:10: animals: has 4 entries; at most 3 are allowed\n");
    check_mistakes(*state, "name: a\nlabels: {a: 1, b: 2, c: 3}\n",
        "f:2:9: labels: has 3 entries; at most 2 are allowed\n");
    check_mistakes(*state, "name: a\nnumbers: [1, 10]\n",
        "f:2:14: numbers[1]: must be a whole number from 0 to 9, not '10'\n");
}

static void test_yaml_syntax_mistakes_have_a_place(void **state)
{
    check_mistakes(*state, "name: a\n\tport: 1\n",
        "f:2:1: not valid YAML: found a tab character that violates indentation while scanning a "
        "plain scalar (which begins in line 1)\n    hint: indent with blanks\n");
    check_mistakes(*state, "name: @a\n",
        "f:1:7: not valid YAML: found character that cannot start any token while scanning for the "
        "next token (which begins in line 1)\n"
        "    hint: indent with blanks, not tabs; a text that begins with @, ` or % needs quotes\n");
    check_mistakes(
        *state, "name: !!str a\n", "f:1:7: tags ('!') are not read\n    hint: remove the tag\n");
    check_mistakes(*state, "name: *a\n",
        "f:1:7: no anchor of that name stands above the alias\n"
        "    hint: a text that begins with '*' needs quotes\n");
    check_mistakes(*state, "name: a\ndoor: &d {x: *d}\n",
        "f:2:14: the alias leads into itself\n    hint: write the value out\n");
    check_mistakes(*state, "name: a\n---\nname: b\n",
        "f:2:1: a second document begins here\n    hint: keep one document to a file\n");
}

static void test_yaml_nul_and_bad_utf8_are_refused(void **state)
{
    struct fixture *fixture = *state;
    zoo_cage *cage;
    static const char nul[] = "name: \"a\\0b\"";
    assert_int_equal(read_text(fixture, nul, sizeof(nul) - 1, &cage), YAML_READ_MISTAKEN);
    static const char utf8[] = "name: \xff";
    assert_int_equal(read_text(fixture, utf8, sizeof(utf8) - 1, &cage), YAML_READ_MISTAKEN);
    static const char raw[] = "name: a\0b";
    assert_int_equal(read_text(fixture, raw, sizeof(raw) - 1, &cage), YAML_READ_MISTAKEN);
}

static void test_yaml_secrets_are_not_quoted_back(void **state)
{
    check_mistakes(
        *state, "name: a\npassword: [hunter2]\n", "f:2:11: password: must be a text, not a list\n");
}

/* Hostile texts end early: each would take seconds or gigabytes if it were read to its end. */
static void test_yaml_hostile_texts_end_early(void **state)
{
    struct fixture *fixture = *state;
    static const char *const units[] = {
        "[", "{", "- ", "? ", "{a: ", "[[\n", "- \n", "&a [", "!!a ["};
    char *text = malloc(YAML_READ_MAX_BYTES);
    assert_non_null(text);
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        size_t unit_len = strlen(units[i]);
        size_t len = 0;
        for (; len + unit_len <= YAML_READ_MAX_BYTES; len += unit_len)
            memcpy(text + len, units[i], unit_len);
        zoo_cage *cage;
        int64_t before = (int64_t)fixture->arena.used_bytes;
        assert_int_equal(read_text(fixture, text, len, &cage), YAML_READ_MISTAKEN);
        assert_true((int64_t)fixture->arena.used_bytes - before < 32 << 20);
    }
    free(text);
}

static void test_yaml_alias_bomb_is_bounded(void **state)
{
    check_mistakes(*state,
        "name: a\n"
        "windows: &a [{}, {}, {}, {}, {}, {}, {}, {}, {}, {}]\n"
        "doors: &b {a: *a}\n",
        "f:2:10: doors.a: must be a mapping, not a list\n"
        "    hint: write it as key: value, one a line\n");
}

static void test_yaml_too_long_a_text_is_refused_unread(void **state)
{
    struct fixture *fixture = *state;
    zoo_cage *cage;
    assert_int_equal(
        read_text(fixture, "", (size_t)YAML_READ_MAX_BYTES + 1, &cage), YAML_READ_MISTAKEN);
    assert_string_equal(
        fixture->mistakes.items[0].message, "has 262145 bytes; at most 262144 are read");
}

static void test_yaml_every_small_arena_is_told(void **state)
{
    (void)state;
    static const char text[] = "name: a\ndoors: {x: {width: 1}}\nanimals: [a, b]\nlabels: {k: v}\n";
    int result = -STATUS_RESOURCE_EXHAUSTED;
    for (size_t cap = 0; result != YAML_READ_OK; cap += 8) {
        assert_true(cap < 100000);
        struct arena arena;
        struct mistakes mistakes;
        struct yaml_origins origins;
        ProtobufCMessage *message;
        arena_init(&arena, cap);
        mistakes_init(&mistakes);
        result = yaml_read(text, sizeof(text) - 1, "f", &zoo_cage_info, &arena, &message, &origins,
            &mistakes, NULL);
        assert_true(result == YAML_READ_OK || result == -STATUS_RESOURCE_EXHAUSTED);
        mistakes_deinit(&mistakes);
        arena_deinit(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_yaml_defaults_are_filled_in, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            test_yaml_defaults_inside_given_messages, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_yaml_plain_text_stays_text, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_yaml_aliases_are_followed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_yaml_origins_name_line_and_column, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_yaml_all_mistakes_are_told_at_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_yaml_wrong_kinds_are_named, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            test_yaml_duplicates_and_oneofs_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_yaml_counts_are_bounded, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_yaml_syntax_mistakes_have_a_place, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_yaml_nul_and_bad_utf8_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_yaml_secrets_are_not_quoted_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_yaml_hostile_texts_end_early, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_yaml_alias_bomb_is_bounded, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            test_yaml_too_long_a_text_is_refused_unread, set_up, tear_down),
        cmocka_unit_test(test_yaml_every_small_arena_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include <string.h>

#include "client/cli/update_view.h"
#include "common/base/attributes.h"
#include "temporary.h"
#include "unit.h"

enum { NOW = 1700000000 };

#define MIB (UINT64_C(1024) * 1024)

static void print_step(FILE *stream, const void *data)
{
    update_view_step(data, false, stream);
}

static void print_bytes(FILE *stream, const void *data)
{
    update_view_bar(data, stream);
    update_view_bytes(data, stream);
}

static void print_check(FILE *stream, const void *data)
{
    update_view_check(data, false, stream);
    update_view_notes(data, false, stream);
}

static void print_end(FILE *stream, const void *data)
{
    update_view_end(data, 63, stream);
}

static void print_present(FILE *stream, const void *data)
{
    update_view_present(data, NOW, false, stream);
}

static void test_update_view_step_has_number_and_message(void **state)
{
    flocks_upgrade_progress progress = FLOCKS_UPGRADE_PROGRESS_INIT;
    (void)state;
    progress.step = FLOCKS_UPGRADE_STEP_INSTALLING;
    assert_string_equal(temporary_printed(print_step, &progress), "Installing");
    progress.step_number = 5;
    progress.steps = 8;
    assert_string_equal(temporary_printed(print_step, &progress), "[5/8] Installing");
    progress.message = "npm \033[2J";
    assert_string_equal(temporary_printed(print_step, &progress), "[5/8] npm \\x1b[2J");
    progress.step = FLOCKS_UPGRADE_STEP_ROLLING_BACK;
    progress.step_number = 0;
    assert_string_equal(temporary_printed(print_step, &progress), "Rolling back: npm \\x1b[2J");
    progress.message = "";
    assert_string_equal(temporary_printed(print_step, &progress), "Rolling back");
}

static void test_update_view_step_of_a_newer_program_is_its_number(void **state)
{
    flocks_upgrade_progress progress = FLOCKS_UPGRADE_PROGRESS_INIT;
    (void)state;
    progress.step = (Flocks__V1__UpgradeStep)77;
    assert_string_equal(temporary_printed(print_step, &progress), "STEP(77)");
}

static void test_update_view_every_step_has_words(void **state)
{
    (void)state;
    for (int step = 0; step < FLOCKS_UPGRADE_STEP_COUNT; step++) {
        flocks_upgrade_progress progress = FLOCKS_UPGRADE_PROGRESS_INIT;
        progress.step = (Flocks__V1__UpgradeStep)step;
        assert_null(strchr(temporary_printed(print_step, &progress), '('));
    }
}

static void test_update_view_bytes_tell_what_is_known(void **state)
{
    static const struct {
        struct update_bytes bytes;
        const char *text;
    } rows[] = {
        {{0, 0, -1, -1}, "0 bytes"},
        {{1, 0, -1, -1}, "1 byte"},
        {{2 * MIB, 0, MIB, -1}, "2.0 MiB, 1.0 MiB/s"},
        {{0, 10 * MIB, -1, -1}, "[>                       ]   0%, 0 bytes of 10.0 MiB"},
        {{5 * MIB, 10 * MIB, 1536, 65},
            "[============>           ]  50%, 5.0 MiB of 10.0 MiB, 1.5 KiB/s, 1m 05s left"},
        {{10 * MIB, 10 * MIB, MIB, 0}, "[========================] 100%, 10.0 MiB of 10.0 MiB"},
        {{11 * MIB, 10 * MIB, -1, -1}, "[========================] 100%, 11.0 MiB of 10.0 MiB"},
        {{UINT64_MAX, UINT64_MAX, -1, -1}, "[========================] 100%, 16.0 EiB of 16.0 EiB"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++)
        assert_string_equal(temporary_printed(print_bytes, &rows[i].bytes), rows[i].text);
}

static void test_update_view_check_without_anything(void **state)
{
    flocks_update_check check = FLOCKS_UPDATE_CHECK_INIT;
    (void)state;
    assert_string_equal(temporary_printed(print_check, &check), "no release was found\n");
    check.current_version = "1.0.0";
    assert_string_equal(temporary_printed(print_check, &check), "nothing newer than 1.0.0\n");
}

static void test_update_view_check_of_a_first_and_of_an_older_release(void **state)
{
    flocks_update_check check = FLOCKS_UPDATE_CHECK_INIT;
    (void)state;
    check.version = "1.0.0";
    assert_string_equal(
        temporary_printed(print_check, &check), "1.0.0\n  file     on the disk already\n");
    check.current_version = "2.0.0";
    check.asset = "a.zip";
    assert_string_equal(
        temporary_printed(print_check, &check), "2.0.0 -> 1.0.0 (not newer)\n  file     a.zip\n");
}

static void test_update_view_notes_are_escaped_and_cut(void **state)
{
    char notes[4096] = "";
    flocks_update_check check = FLOCKS_UPDATE_CHECK_INIT;
    (void)state;
    for (int i = 0; i < UPDATE_NOTES_LINES + 3; i++)
        (void)snprintf(notes + strlen(notes), sizeof(notes) - strlen(notes), "%s%s\n",
            i == 0 ? "\033]0;x\007" : "line", i == 1 ? "\r" : "");
    check.version = "1.0.0";
    check.notes = notes;
    const char *text = temporary_printed(print_check, &check);
    assert_null(strchr(text, '\033'));
    assert_null(strchr(text, '\r'));
    assert_non_null(strstr(text, "  | \\x1b]0;x\\x07\n  | line\n"));
    assert_non_null(strstr(text, "  ... 3 more lines\n"));
    memset(notes, 'w', sizeof(notes) - 1);
    notes[sizeof(notes) - 1] = '\0';
    text = temporary_printed(print_check, &check);
    assert_non_null(strstr(text, "w...\n"));
    assert_true(strlen(text) < 200);
}

static void test_update_view_end_names_versions_once(void **state)
{
    flocks_upgrade_progress progress = FLOCKS_UPGRADE_PROGRESS_INIT;
    (void)state;
    assert_string_equal(temporary_printed(print_end, &progress), "done (1m 03s)");
    progress.from_version = "1.0.0";
    progress.to_version = "1.2.0";
    assert_string_equal(temporary_printed(print_end, &progress), "1.0.0 -> 1.2.0 (1m 03s)");
    progress.message = "upgraded";
    assert_string_equal(
        temporary_printed(print_end, &progress), "1.0.0 -> 1.2.0: upgraded (1m 03s)");
    progress.message = "1.2.0 serves";
    progress.not_verified = true;
    assert_string_equal(
        temporary_printed(print_end, &progress), "1.2.0 serves; not verified (1m 03s)");
    progress.message = "1.2.0 is current, not verified: no daemon runs, `flocks start` starts it";
    assert_string_equal(temporary_printed(print_end, &progress),
        "1.2.0 is current, not verified: no daemon runs, `flocks start` starts it (1m 03s)");
}

static void test_update_view_present_is_one_line(void **state)
{
    flocks_upgrade_progress progress = FLOCKS_UPGRADE_PROGRESS_INIT;
    Google__Protobuf__Timestamp began = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
    (void)state;
    progress.upgrade_id = "u1";
    progress.step = FLOCKS_UPGRADE_STEP_CHECKING;
    assert_string_equal(temporary_printed(print_present, &progress),
        "upgrade under way: Looking for releases (u1)\n");
    began.seconds = NOW - 7;
    progress.began_at = &began;
    progress.from_version = "1.0.0";
    progress.to_version = "1.2.0";
    progress.step = FLOCKS_UPGRADE_STEP_DOWNLOADING;
    progress.step_number = 2;
    progress.steps = 8;
    progress.bytes_done = 5 * MIB;
    progress.bytes_total = 10 * MIB;
    assert_string_equal(temporary_printed(print_present, &progress),
        "upgrade 1.0.0 -> 1.2.0: [2/8] Downloading, 50%, 5.0 MiB of 10.0 MiB, for 7s (u1)\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_update_view_step_has_number_and_message),
        cmocka_unit_test(test_update_view_step_of_a_newer_program_is_its_number),
        cmocka_unit_test(test_update_view_every_step_has_words),
        cmocka_unit_test(test_update_view_bytes_tell_what_is_known),
        cmocka_unit_test(test_update_view_check_without_anything),
        cmocka_unit_test(test_update_view_check_of_a_first_and_of_an_older_release),
        cmocka_unit_test(test_update_view_notes_are_escaped_and_cut),
        cmocka_unit_test(test_update_view_end_names_versions_once),
        cmocka_unit_test(test_update_view_present_is_one_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

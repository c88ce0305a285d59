/* Texts of the configuration, lists from a server (server.py) and from directories. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "client/updater/source.h"
#include "place.h"
#include "unit.h"

static struct place_server server;
static struct arena arena;

static int set_up_all(void **state)
{
    (void)place_open(state);
    server = place_serve(SERVER);
    return 0;
}

static int set_up(void **state)
{
    (void)state;
    arena_init(&arena, SOURCE_ARENA_BYTES);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    arena_deinit(&arena);
    return 0;
}

static struct source parse(const char *text)
{
    struct source source;
    struct error error = ERROR_INIT;
    if (source_parse(text, &source, &error) != 0)
        fail_msg("%s", error.text);
    return source;
}

static void check_parsed(
    const char *text, enum source_kind kind, const char *region, const char *place)
{
    struct source source = parse(text);
    assert_int_equal(source.kind, kind);
    assert_string_equal(source.region, region);
    assert_string_equal(source.place, place);
    assert_int_equal(source_is_remote(&source), kind != SOURCE_PATH);
}

static void test_source_texts(void **state)
{
    (void)state;
    check_parsed("github:o/r.x", SOURCE_GITHUB, "",
        "https://api.github.com/repos/o/r.x/releases?per_page=100");
    check_parsed("https://github.com/o/r.git", SOURCE_GITHUB, "",
        "https://api.github.com/repos/o/r/releases?per_page=100");
    check_parsed("github:https://git.example.com/o/r", SOURCE_GITHUB, "",
        "https://git.example.com/api/v3/repos/o/r/releases?per_page=100");
    check_parsed("gitee:o/r", SOURCE_GITEE, "cn",
        "https://gitee.com/api/v5/repos/o/r/releases?per_page=100&page=1&direction=desc");
    check_parsed("eu=gitee:o/r", SOURCE_GITEE, "eu",
        "https://gitee.com/api/v5/repos/o/r/releases?per_page=100&page=1&direction=desc");
    check_parsed("gitlab:g/s/p", SOURCE_GITLAB, "",
        "https://gitlab.com/api/v4/projects/g%2Fs%2Fp/releases?per_page=100");
    check_parsed("china=https://h/r/", SOURCE_INDEX, "cn", "https://h/r/index.json");
    check_parsed("https://h/r", SOURCE_INDEX, "", "https://h/r/index.json");
    check_parsed("https://h/list.json?x=1", SOURCE_INDEX, "", "https://h/list.json?x=1");
    check_parsed("https://h/f-1.2.tar.xz?x=1", SOURCE_ARCHIVE, "", "https://h/f-1.2.tar.xz?x=1");
    check_parsed("https://github.com/o/r/releases/download/v1/f-1.zip", SOURCE_ARCHIVE, "",
        "https://github.com/o/r/releases/download/v1/f-1.zip");
    check_parsed("/srv/releases", SOURCE_PATH, "", "/srv/releases");
    check_parsed("cn=/srv/releases", SOURCE_PATH, "cn", "/srv/releases");
    assert_true(parse("some/where").place[0] == '/');
}

static void test_source_texts_that_are_none(void **state)
{
    (void)state;
    static const char *const bad[] = {"", "cn=", "github:", "github:o", "github:o/r/x",
        "github:o/..", "github:o/r?x", "github:o//r", "gitlab:g", "github:https://h", "ftp://h/x",
        "https://", "https://h/r?x=1"};
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        struct source source;
        struct error error = ERROR_INIT;
        if (source_parse(bad[i], &source, &error) != -STATUS_INVALID_ARGUMENT)
            fail_msg("\"%s\" is no source", bad[i]);
        assert_true(strlen(error.hint) > 0);
    }
    struct source source;
    struct error error = ERROR_INIT;
    assert_int_equal(
        source_parse("ftp://user:secret@h/x", &source, &error), -STATUS_INVALID_ARGUMENT);
    assert_null(strstr(error.text, "secret"));
}

static void test_source_order_by_region(void **state)
{
    (void)state;
    struct source sources[] = {
        parse("github:o/r"), parse("gitee:o/r"), parse("eu=/eu"), parse("/any"), parse("cn=/cn")};
    char region[RELEASE_REGION_MAX + 1];
    source_region("zh_CN.UTF-8", region);
    assert_string_equal(region, "cn");
    source_order(sources, ARRAY_LENGTH(sources), region);
    assert_int_equal(sources[0].kind, SOURCE_GITEE);
    assert_string_equal(sources[1].place, "/cn");
    assert_int_equal(sources[2].kind, SOURCE_GITHUB);
    assert_string_equal(sources[3].place, "/any");
    assert_string_equal(sources[4].place, "/eu");
    source_region("Auto", region);
    assert_string_equal(region, "");
    source_order(sources, ARRAY_LENGTH(sources), region);
    assert_int_equal(sources[0].kind, SOURCE_GITHUB);
}

static int list(
    const char *text, struct releases *out, enum download_failure *failure, struct error *error)
{
    struct source source = parse(text);
    struct source_options options = {.cancel_fd = -1, .delay_ms = 4, .timeout_ms = 20000};
    *out = (struct releases){.n = 0};
    return source_list(&source, &options, &arena, out, failure, error);
}

static void check_listed(const char *text, size_t n, const char *newest)
{
    struct releases releases;
    struct error error = ERROR_INIT;
    if (list(text, &releases, NULL, &error) != 0)
        fail_msg("%s: %s", text, error.text);
    assert_int_equal(releases.n, n);
    assert_string_equal(releases.items[0].version.text, newest);
}

static void test_source_lists_of_hosts(void **state)
{
    (void)state;
    char text[128];
    place_write_text("v3.json", "[{\"tag_name\": \"v1.0\"}, {\"tag_name\": \"v1.1\"}]");
    place_write_text("v4.json", "[{\"tag_name\": \"v2.0\"}]");
    place_write_text("v5.json", "[]");
    (void)snprintf(text, sizeof text, "github:http://127.0.0.1:%d/o/r", server.port);
    check_listed(text, 2, "1.1");
    (void)snprintf(text, sizeof text, "gitlab:http://127.0.0.1:%d/g/p", server.port);
    check_listed(text, 1, "2.0");
    struct releases releases;
    (void)snprintf(text, sizeof text, "gitee:http://127.0.0.1:%d/o/r", server.port);
    assert_int_equal(list(text, &releases, NULL, NULL), 0);
    assert_int_equal(releases.n, 0);
}

static void test_source_list_failures_are_told(void **state)
{
    (void)state;
    char text[128];
    struct releases releases;
    enum download_failure failure = DOWNLOAD_FAILURE_NONE;
    struct error error = ERROR_INIT;
    (void)snprintf(text, sizeof text, "http://127.0.0.1:%d/status/404/index.json", server.port);
    assert_true(list(text, &releases, &failure, &error) < 0);
    (void)snprintf(text, sizeof text, "http://127.0.0.1:%d/page/", server.port);
    assert_true(list(text, &releases, &failure, &error) < 0);
    place_write_text("bad.json", "{");
    (void)snprintf(text, sizeof text, "http://127.0.0.1:%d/file/bad.json", server.port);
    assert_int_equal(list(text, &releases, &failure, &error), -STATUS_INVALID_ARGUMENT);
    assert_int_equal(failure, DOWNLOAD_FAILURE_NONE);
    assert_non_null(strstr(error.text, "/file/bad.json"));
    assert_int_equal(
        list("http://example.com/", &releases, &failure, &error), -STATUS_PERMISSION_DENIED);
    assert_int_equal(failure, DOWNLOAD_FAILURE_URL);
    assert_int_equal(list("/no/such/place", &releases, &failure, &error), -STATUS_NOT_FOUND);
}

static void test_source_one_archive_on_a_server(void **state)
{
    (void)state;
    struct releases releases;
    struct release_choice choice;
    struct platform platform = {.system = "plan9", .machine = "vax"};
    assert_int_equal(
        list("https://h/d/flocks-1.2.0-linux-x86_64.tar.xz?key=1", &releases, NULL, NULL), 0);
    assert_int_equal(release_choose(&releases.items[0], &platform, "", &choice, NULL), 0);
    assert_string_equal(choice.asset->name, "flocks-1.2.0-linux-x86_64.tar.xz");
    assert_string_equal(
        choice.asset->signature, "https://h/d/flocks-1.2.0-linux-x86_64.tar.xz.minisig?key=1");
    assert_int_equal(
        list("https://h/d/flocks.tar.xz", &releases, NULL, NULL), -STATUS_INVALID_ARGUMENT);
}

static void test_source_directory_of_archives(void **state)
{
    (void)state;
    struct releases releases;
    struct release_choice choice;
    static const struct platform platform = {.system = "linux", .machine = "x86_64"};
    assert_int_equal(mkdir(place_path("d"), 0700), 0);
    place_write_text("d/flocks-1.2.0-linux-x86_64.tar.xz", "12345");
    place_write_text("d/flocks-1.2.0-linux-x86_64.tar.xz.minisig", "");
    place_write_text("d/flocks-1.2.0-linux-aarch64.tar.xz", "");
    place_write_text("d/flocks-1.10.0.zip", "");
    place_write_text("d/flocks-1.11.0-rc.1.zip", "");
    place_write_text("d/SHA256SUMS", "");
    place_write_text("d/notes.txt", "");
    assert_int_equal(list(place_path("d"), &releases, NULL, NULL), 0);
    assert_int_equal(releases.n, 3);
    assert_string_equal(releases_newest(&releases, false)->version.text, "1.10.0");
    const struct release *release = releases_find(&releases, "1.2.0");
    assert_int_equal(release_choose(release, &platform, "", &choice, NULL), 0);
    assert_string_equal(choice.places[0], place_path("d/flocks-1.2.0-linux-x86_64.tar.xz"));
    assert_string_equal(
        choice.asset->signature, place_path("d/flocks-1.2.0-linux-x86_64.tar.xz.minisig"));
    assert_string_equal(choice.checksums, place_path("d/SHA256SUMS"));
    assert_int_equal(choice.asset->size, 5);
    /* One of them by its name. */
    check_listed(place_path("d/flocks-1.11.0-rc.1.zip"), 1, "1.11.0-rc.1");
    /* An index goes before what else is there. */
    place_write_text("d/index.json", "{\"format\": 1, \"releases\": [{\"version\": \"9.0\", "
                                     "\"assets\": [{\"name\": \"f.zip\"}]}]}");
    assert_int_equal(list(place_path("d"), &releases, NULL, NULL), 0);
    assert_int_equal(releases.n, 1);
    assert_string_equal(releases.items[0].assets[0].place, place_path("d/f.zip"));
    check_listed(place_path("d/index.json"), 1, "9.0");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        CASE(test_source_texts),
        CASE(test_source_texts_that_are_none),
        CASE(test_source_order_by_region),
        CASE(test_source_lists_of_hosts),
        CASE(test_source_list_failures_are_told),
        CASE(test_source_one_archive_on_a_server),
        CASE(test_source_directory_of_archives),
    };
    return cmocka_run_group_tests(tests, set_up_all, place_close);
}

#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "flocks/v1/upgrade.names.h"

#include "client/upgrade/find.h"
#include "site.h"
#include "unit.h"

/* Everything of one search. */
struct search {
    struct update_settings settings;
    struct update_found found;
    struct error error;
    int result;
};

static struct place_server server;

static int set_up_all(void **state)
{
    (void)site_open(state);
    server = place_serve(SERVER);
    return 0;
}

/* In the root of `search->settings`, which is loaded. */
static void look(struct search *search, struct update_find_request request)
{
    request.settings = &search->settings;
    request.cancel_fd = request.cancel_fd == 0 ? -1 : request.cancel_fd;
    search->error = ERROR_INIT;
    search->result = update_find(&request, &search->found, &search->error);
}

static void done(struct search *search)
{
    update_found_deinit(&search->found);
}

/* A root with these sources (a YAML list) and everything else as `more` says. */
static const char *load(struct search *search, const char *sources, const char *more)
{
    char update[2048];
    (void)snprintf(update, sizeof update, "{sources: [%s], keys: [%s]%s%s}", sources,
        site_keys()->good, more[0] == '\0' ? "" : ", ", more);
    const char *root = site_make_root(update, ".");
    site_load(root, &search->settings);
    return root;
}

static const char *url(const char *path)
{
    static char texts[4][256];
    static unsigned next;
    char *text = texts[next++ % 4];
    (void)snprintf(text, sizeof texts[0], "http://127.0.0.1:%d/%s", server.port, path);
    return text;
}

/* ---- what is chosen ---- */

static void test_find_newest_of_the_first_source_that_answers(void **state)
{
    (void)state;
    struct search search;
    char sources[1024];
    (void)snprintf(sources, sizeof sources, "%s, %s, %s", url("status/500/index.json"),
        url("file/index.json"), place_path("old.json"));
    const char *root = load(&search, sources, "");
    site_add_release(root, "1.0.0", true);
    look(&search, (struct update_find_request){.version = NULL});
    assert_int_equal(search.result, 0);
    assert_string_equal(search.found.current, "1.0.0");
    assert_string_equal(search.found.version, "1.1.0");
    assert_string_equal(search.found.name, "1.1.0");
    assert_true(search.found.is_newer);
    assert_false(search.found.is_installed);
    assert_true(search.found.needs_signature);
    assert_string_equal(search.found.release->notes, "faster");
    assert_string_equal(search.found.source_shown, url("file/index.json"));
    assert_int_equal(search.found.n_failures, 1);
    assert_non_null(strstr(search.found.failures[0], "status/500"));
    done(&search);
    site_unload(&search.settings);
}

struct choice {
    const char *version;
    bool force;
    /* Of the release that is current. */
    const char *current;
    int result;
    const char *name;
    bool is_installed;
};

static void test_find_chooses(void **state)
{
    (void)state;
    /* clang-format off */
    static const struct choice table[] = {
        {NULL, false, NULL, 0, "1.1.0", false},
        {NULL, false, "1.0.0", 0, "1.1.0", false},
        {NULL, false, "1.1.0", UPDATE_FIND_NOTHING, "", false},
        {NULL, false, "1.1.0+reinstall.1", UPDATE_FIND_NOTHING, "", false},
        {NULL, false, "2.0.0", UPDATE_FIND_NOTHING, "", false},
        {NULL, true, "1.1.0", 0, "1.1.0+reinstall.1", false},
        {"1.1.0", false, "1.1.0", UPDATE_FIND_NOTHING, "", false},
        {"v1.0.0", false, "1.1.0", 0, "1.0.0", false},
        {"1.3.0", false, "1.1.0", 0, "1.3.0", false},
        {"1.2.0-rc.1", false, "1.1.0", 0, "1.2.0-rc.1", false},
        {"0.9.0", false, "1.1.0", 0, "0.9.0", true},
        {"7.0.0", false, "1.1.0", -STATUS_NOT_FOUND, "", false},
        {"../x", false, "1.1.0", -STATUS_INVALID_ARGUMENT, "", false},
        {"1.0.partial", false, "1.1.0", -STATUS_INVALID_ARGUMENT, "", false},
    };
    /* clang-format on */
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct search search;
        const char *root = load(&search, place_path("index.json"), "");
        site_add_release(root, "0.9.0", false);
        if (table[i].current != NULL)
            site_add_release(root, table[i].current, true);
        look(&search,
            (struct update_find_request){.version = table[i].version, .force = table[i].force});
        if (search.result != table[i].result || strcmp(search.found.name, table[i].name) != 0 ||
            search.found.is_installed != table[i].is_installed)
            fail_msg("row %zu: %d, %s, %s", i, search.result, search.found.name, search.error.text);
        assert_true(search.result >= 0 || search.error.hint[0] != '\0');
        done(&search);
        site_unload(&search.settings);
    }
}

static void test_find_withdrawn_by_name_is_told(void **state)
{
    (void)state;
    struct search search;
    (void)load(&search, place_path("index.json"), "");
    look(&search, (struct update_find_request){.version = "1.3.0"});
    assert_int_equal(search.result, 0);
    assert_non_null(strstr(search.found.warning, "withdrawn"));
    done(&search);
    site_unload(&search.settings);
}

static void test_find_prereleases_where_they_are_wanted(void **state)
{
    (void)state;
    struct search search;
    (void)load(&search, place_path("index.json"), "prereleases: true");
    look(&search, (struct update_find_request){.version = NULL});
    assert_string_equal(search.found.version, "1.2.0-rc.1");
    done(&search);
    site_unload(&search.settings);
}

static void test_find_one_archive_is_taken_as_it_is_named(void **state)
{
    (void)state;
    struct search search;
    const char *root = load(&search, place_path("index.json"), "");
    site_add_release(root, "1.1.0", true);
    look(&search, (struct update_find_request){.from = place_path("product-1.0.0.tar.gz")});
    assert_int_equal(search.result, 0);
    assert_string_equal(search.found.name, "1.0.0");
    assert_false(search.found.is_newer);
    assert_false(search.found.needs_signature);
    done(&search);
    look(&search, (struct update_find_request){.from = place_path("product-1.1.0.tar.gz")});
    assert_int_equal(search.result, UPDATE_FIND_NOTHING);
    done(&search);
    site_unload(&search.settings);
}

static void test_find_local_asks_no_source(void **state)
{
    (void)state;
    struct search search;
    const char *root = load(&search, url("status/500/index.json"), "");
    site_add_release(root, "1.1.0", true);
    site_add_release(root, "1.0.0", false);
    look(&search, (struct update_find_request){.version = "1.0.0", .is_local = true});
    assert_int_equal(search.result, 0);
    assert_true(search.found.is_installed);
    assert_false(search.found.is_newer);
    done(&search);
    look(&search, (struct update_find_request){.version = "1.2.0", .is_local = true});
    assert_int_equal(search.result, -STATUS_NOT_FOUND);
    done(&search);
    site_unload(&search.settings);
}

/* ---- sources ---- */

static void test_find_sources_of_the_region_come_first(void **state)
{
    (void)state;
    struct search search;
    char sources[1024];
    (void)snprintf(
        sources, sizeof sources, "%s, cn=%s", place_path("digest.json"), place_path("index.json"));
    (void)load(&search, sources, "region: cn");
    look(&search, (struct update_find_request){.version = NULL});
    assert_string_equal(search.found.source_shown, place_path("index.json"));
    done(&search);
    site_unload(&search.settings);
    (void)load(&search, sources, "region: us");
    look(&search, (struct update_find_request){.version = NULL});
    assert_string_equal(search.found.source_shown, place_path("digest.json"));
    done(&search);
    site_unload(&search.settings);
}

static void test_find_without_sources_says_where_to_name_one(void **state)
{
    (void)state;
    struct search search;
    (void)load(&search, "", "");
    look(&search, (struct update_find_request){.version = NULL});
    assert_int_equal(search.result, -STATUS_FAILED_PRECONDITION);
    assert_non_null(strstr(search.error.hint, "update.sources"));
    done(&search);
    site_unload(&search.settings);
}

static void test_find_says_why_each_source_failed(void **state)
{
    (void)state;
    struct search search;
    char sources[1024];
    (void)snprintf(sources, sizeof sources, "%s, %s, %s", url("page/index.json"),
        place_path("nowhere"), url("status/404/index.json"));
    const char *root = load(&search, sources, "");
    site_add_release(root, "1.0.0", true);
    look(&search, (struct update_find_request){.version = NULL});
    assert_true(search.result < 0);
    assert_int_equal(search.found.n_failures, 3);
    assert_non_null(strstr(search.error.text, "page/index.json"));
    assert_non_null(strstr(search.error.text, "nowhere"));
    assert_non_null(strstr(search.error.text, "status/404"));
    assert_true(search.error.hint[0] != '\0');
    done(&search);
    /* For a list that is no failure: what is on the disk is there. */
    look(&search, (struct update_find_request){.want_list = true});
    assert_int_equal(search.result, UPDATE_FIND_NOTHING);
    assert_int_equal(search.found.installed.n_entries, 1);
    assert_int_equal(search.found.n_failures, 3);
    done(&search);
    site_unload(&search.settings);
}

static void test_find_bad_server_is_told_with_its_reason(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        const char *why;
    } table[] = {
        {"page/index.json", "web page"},
        {"disguised-page/index.json", "web page"},
        {"loop/index.json", "sent on"},
        {"status/403/index.json", "403"},
        {"nonsense/index.json", "HTTP"},
        {"file/product-1.0.0.tar.gz.json", ""},
        {"file/publish-nothing.json", ""},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct search search;
        (void)load(&search, url(table[i].path), "");
        look(&search, (struct update_find_request){.version = NULL});
        if (search.result >= 0 || strstr(search.error.text, table[i].why) == NULL ||
            strncmp(search.error.text, "finding the release: ", 21) != 0 ||
            search.error.hint[0] == '\0')
            fail_msg("%s: %d, %s (%s)", table[i].path, search.result, search.error.text,
                search.error.hint);
        done(&search);
        site_unload(&search.settings);
    }
}

static void test_find_unsigned_from_a_network_falls_back_or_is_refused(void **state)
{
    (void)state;
    struct search search;
    char sources[1024];
    place_write_text("unsigned.json", "{\"format\": 1, \"releases\": [{\"version\": \"5.0.0\", "
                                      "\"assets\": [{\"name\": \"product-2.1.0.tar.gz\"}]}]}");
    (void)load(&search, url("file/unsigned.json"), "");
    look(&search, (struct update_find_request){.version = NULL});
    assert_int_equal(search.result, -STATUS_FAILED_PRECONDITION);
    assert_non_null(strstr(search.error.text, "is not signed"));
    assert_non_null(strstr(search.error.hint, "require_signature"));
    done(&search);
    site_unload(&search.settings);
    (void)snprintf(
        sources, sizeof sources, "%s, %s", url("file/unsigned.json"), url("file/index.json"));
    (void)load(&search, sources, "");
    look(&search, (struct update_find_request){.version = NULL});
    assert_string_equal(search.found.version, "1.1.0");
    done(&search);
    site_unload(&search.settings);
    (void)load(&search, url("file/unsigned.json"), "require_signature: false");
    look(&search, (struct update_find_request){.version = NULL});
    assert_string_equal(search.found.version, "5.0.0");
    assert_non_null(strstr(search.found.warning, "signed"));
    done(&search);
    site_unload(&search.settings);
    /* On this machine nobody has to sign. */
    (void)load(&search, place_path("unsigned.json"), "");
    look(&search, (struct update_find_request){.version = NULL});
    assert_string_equal(search.found.version, "5.0.0");
    done(&search);
    site_unload(&search.settings);
}

static void test_find_source_archive_of_a_host_is_refused(void **state)
{
    (void)state;
    struct search search;
    char source[256];
    place_write_text("v3.json",
        "[{\"tag_name\": \"v5.0.0\", \"tarball_url\": \"https://api.github.com/x/tarball/v5.0.0\", "
        "\"zipball_url\": \"https://api.github.com/x/zipball/v5.0.0\", \"assets\": []}]");
    (void)snprintf(source, sizeof source, "\"github:http://127.0.0.1:%d/o/r\"", server.port);
    (void)load(&search, source, "");
    look(&search, (struct update_find_request){.version = NULL});
    assert_int_equal(search.result, -STATUS_FAILED_PRECONDITION);
    assert_non_null(strstr(search.error.text, "source archive"));
    done(&search);
    site_unload(&search.settings);
}

static void note_progress(void *data, const struct update_progress *progress)
{
    assert_int_equal(progress->step, FLOCKS_UPGRADE_STEP_CHECKING);
    (*(unsigned *)data)++;
}

static void test_find_tells_and_can_be_ended(void **state)
{
    (void)state;
    struct search search;
    unsigned told = 0;
    (void)load(&search, url("silent/index.json"), "");
    int fd = eventfd(1, EFD_CLOEXEC);
    look(&search,
        (struct update_find_request){.cancel_fd = fd, .on_progress = note_progress, .data = &told});
    assert_int_equal(search.result, -STATUS_CANCELLED);
    assert_int_equal(told, 1);
    (void)close(fd);
    done(&search);
    site_unload(&search.settings);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_find_newest_of_the_first_source_that_answers),
        cmocka_unit_test(test_find_chooses),
        cmocka_unit_test(test_find_withdrawn_by_name_is_told),
        cmocka_unit_test(test_find_prereleases_where_they_are_wanted),
        cmocka_unit_test(test_find_one_archive_is_taken_as_it_is_named),
        cmocka_unit_test(test_find_local_asks_no_source),
        cmocka_unit_test(test_find_sources_of_the_region_come_first),
        cmocka_unit_test(test_find_without_sources_says_where_to_name_one),
        cmocka_unit_test(test_find_says_why_each_source_failed),
        cmocka_unit_test(test_find_bad_server_is_told_with_its_reason),
        cmocka_unit_test(test_find_unsigned_from_a_network_falls_back_or_is_refused),
        cmocka_unit_test(test_find_source_archive_of_a_host_is_refused),
        cmocka_unit_test(test_find_tells_and_can_be_ended),
    };
    return cmocka_run_group_tests(tests, set_up_all, place_close);
}

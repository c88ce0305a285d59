/* Versions, names of files, checksums, lists of releases: texts in, values out. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/updater/release_json.h"
#include "unit.h"

static struct arena arena;

static int set_up(void **state)
{
    (void)state;
    arena_init(&arena, 1 << 20);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    arena_deinit(&arena);
    return 0;
}

static const struct platform LINUX = {.system = "linux", .machine = "x86_64"};

/* ---- versions ---- */

static void test_version_order_is_that_of_semver(void **state)
{
    (void)state;
    static const char *const ascending[] = {"0.9", "1.0.0-alpha", "1.0.0-alpha.1",
        "1.0.0-alpha.beta", "1.0.0-beta", "1.0.0-beta.2", "1.0.0-beta.11", "1.0.0-rc.1", "1.0.0",
        "1.0.0.1", "1.0.1-0", "1.0.1-9", "1.0.1-10", "1.0.1-a-b", "1.2", "1.10.0", "2026.3.1",
        "4294967295.0.0"};
    for (size_t i = 0; i < ARRAY_LENGTH(ascending); i++) {
        for (size_t k = 0; k < ARRAY_LENGTH(ascending); k++) {
            struct version a;
            struct version b;
            assert_true(version_parse(ascending[i], &a));
            assert_true(version_parse(ascending[k], &b));
            int order = version_compare(&a, &b);
            int wanted = (i > k) - (i < k);
            if ((order > 0) - (order < 0) != wanted)
                fail_msg("%s against %s: %d", ascending[i], ascending[k], order);
        }
    }
}

static void test_version_forms(void **state)
{
    (void)state;
    struct version version;
    struct version other;
    assert_true(version_parse("refs/tags/v1.2.3-rc.1+build.5", &version));
    assert_string_equal(version.text, "1.2.3-rc.1+build.5");
    assert_string_equal(version.prerelease, "rc.1");
    assert_true(version_is_prerelease(&version));
    assert_true(version_parse("1.2.3-rc.01", &other));
    assert_int_equal(version_compare(&version, &other), 0);
    assert_true(version_parse("1", &version));
    assert_true(version_parse("1.0.0+x", &other));
    assert_int_equal(version_compare(&version, &other), 0);
    static const char *const bad[] = {"", "v", "x1", "1.", "1..2", "1.2.3.4.5", "1.2.3-",
        "1.2.3-a..b", "1.2.3+", "1.2.3 ", "1.2.3/..", "../1", "4294967296", "-1", "1.2.3-a_b",
        "1.2.3\n", "1.0.0-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        if (version_parse(bad[i], &version))
            fail_msg("\"%s\" is no version", bad[i]);
    }
}

/* ---- names ---- */

static void test_asset_name_fits_platform(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int fit;
    } table[] = {{"flocks-1.2.0-linux-x86_64.tar.xz", 3}, {"flocks_1.2.0_Linux_amd64.tar.gz", 3},
        {"flocks-1.2.0-linux64.zip", 3}, {"flocks-1.2.0-linux.zip", 2}, {"flocks-1.2.0-x64.zip", 2},
        {"flocks-1.2.0.tar.gz", 1}, {"any", 1}, {"flocks-linux-arm64.tar.gz", 0},
        {"flocks-darwin-x86_64.tar.gz", 0}, {"flocks-win32.zip", 0}, {"flocks-macos.zip", 0},
        {"flocks-linux-x86.tar.gz", 0}, {"winner-1.0.tar.gz", 1}, {"darwinism-linux.zip", 2}};
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        if (asset_name_fits(table[i].name, &LINUX) != table[i].fit)
            fail_msg("%s: %d", table[i].name, asset_name_fits(table[i].name, &LINUX));
    }
    struct platform machine;
    platform_of_machine(&machine);
    assert_string_equal(machine.system, "linux");
}

static void test_asset_name_tells_kind_and_version(void **state)
{
    (void)state;
    struct version version;
    assert_true(asset_name_archive("a.tar.zst") > asset_name_archive("a.TAR.XZ"));
    assert_true(asset_name_archive("a.txz") > asset_name_archive("a.tgz"));
    assert_true(asset_name_archive("a.tar.gz") > asset_name_archive("a.zip"));
    assert_int_equal(asset_name_archive("a.tar.xz.minisig"), 0);
    assert_int_equal(asset_name_archive(".zip"), 0);
    assert_true(asset_name_version("flocks-1.2.0-rc.1-linux-x86_64.tar.gz", &version));
    assert_string_equal(version.text, "1.2.0-rc.1");
    assert_true(asset_name_version("my-app-v2.0.zip", &version));
    assert_string_equal(version.text, "2.0");
    assert_true(asset_name_version("3.1.tgz", &version));
    assert_string_equal(version.text, "3.1");
    assert_false(asset_name_version("flocks-linux-x86_64.tar.gz", &version));
    assert_false(asset_name_version("flocks.tar.gz", &version));
    static const char *const bad[] = {
        "", ".", "..", ".hidden", "-x", "a/b", "a\\b", "a\nb", "a\xff"};
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++)
        assert_false(asset_name_is_good(bad[i]));
}

/* ---- checksums ---- */

#define ONE "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define TWO "ff23456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static int find(const char *text, const char *name, char out[CHECKSUM_SIZE])
{
    struct error error = ERROR_INIT;
    return checksums_find(text, strlen(text), name, out, &error);
}

static void test_checksums_forms(void **state)
{
    (void)state;
    char out[CHECKSUM_SIZE];
    assert_int_equal(find(TWO "  b\n" ONE "  a b\n", "a b", out), 0);
    assert_string_equal(out, ONE);
    assert_int_equal(find(ONE " *./a\r\n\r\n", "a", out), 0);
    assert_int_equal(find("SHA256 (a (1)) = " ONE, "a (1)", out), 0);
    assert_int_equal(
        find("0123456789ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef\n", "any", out), 0);
    assert_string_equal(out, ONE);
    assert_int_equal(find(ONE "  a\n" ONE "  a\n", "a", out), 0);
}

static void test_checksums_that_cannot_be_used(void **state)
{
    (void)state;
    char out[CHECKSUM_SIZE];
    assert_int_equal(find("", "a", out), -STATUS_NOT_FOUND);
    assert_int_equal(find(ONE "  b\n", "a", out), -STATUS_NOT_FOUND);
    assert_int_equal(find(ONE "  d/a\n", "a", out), -STATUS_NOT_FOUND);
    assert_int_equal(find(ONE "  a\n" TWO "  a\n", "a", out), -STATUS_INVALID_ARGUMENT);
    assert_int_equal(find(ONE "\n" TWO "  a\n", "a", out), -STATUS_INVALID_ARGUMENT);
    assert_int_equal(find(TWO "  a\n" ONE "\n", "a", out), -STATUS_INVALID_ARGUMENT);
    assert_int_equal(find("<html>\n", "a", out), -STATUS_INVALID_ARGUMENT);
    assert_int_equal(find("\\" ONE "  a\\nb\n", "a", out), -STATUS_INVALID_ARGUMENT);
    assert_int_equal(find(ONE "x  a\n", "a", out), -STATUS_INVALID_ARGUMENT);
    char *large = calloc(1, CHECKSUMS_BYTES_MAX + 1);
    assert_non_null(large);
    assert_int_equal(
        checksums_find(large, CHECKSUMS_BYTES_MAX + 1, "a", out, NULL), -STATUS_INVALID_ARGUMENT);
    free(large);
}

/* ---- lists ---- */

static struct releases read_list(enum release_format format, const char *text)
{
    struct releases list = {.n = 0};
    struct error error = ERROR_INIT;
    if (release_json_read(
            format, text, strlen(text), "https://host/path/index.json", &arena, &list, &error) != 0)
        fail_msg("%s", error.text);
    return list;
}

static const char INDEX[] =
    "{\"format\": 1, \"later\": [], \"releases\": ["
    "{\"version\": \"1.2.0\", \"notes\": \"好\", \"assets\": ["
    " {\"name\": \"flocks-1.2.0-linux-x86_64.tar.gz\", \"size\": 7, \"sha256\": \"" ONE "\","
    "  \"signature\": \"sig/a.minisig\", \"mirrors\": [{\"region\": \"eu\", \"url\": "
    "\"https://eu/a\"},"
    "  {\"region\": \"cn\", \"url\": \"https://cn/a\"}]},"
    " {\"name\": \"flocks-1.2.0-linux-x86_64.tar.xz\", \"url\": \"../x/flocks.tar.xz\"},"
    " {\"name\": \"flocks-1.2.0-linux-x86_64.tar.xz.minisig\"},"
    " {\"name\": \"flocks-1.2.0-linux-aarch64.tar.zst\"},"
    " {\"name\": \"SHA256SUMS\"}]},"
    "{\"version\": \"2.0.0-rc.1\"},"
    "{\"version\": \"1.3.0\", \"withdrawn\": true},"
    "{\"version\": \"1.10.0\", \"prerelease\": true}]}";

static void test_index_is_read_and_sorted(void **state)
{
    (void)state;
    struct releases list = read_list(RELEASE_FORMAT_INDEX, INDEX);
    assert_int_equal(list.n, 4);
    assert_string_equal(list.items[0].version.text, "2.0.0-rc.1");
    assert_string_equal(list.items[1].version.text, "1.10.0");
    assert_string_equal(releases_newest(&list, false)->version.text, "1.2.0");
    assert_string_equal(releases_newest(&list, true)->version.text, "2.0.0-rc.1");
    assert_string_equal(releases_find(&list, "v1.3.0")->version.text, "1.3.0");
    assert_null(releases_find(&list, "1.3"));
    assert_null(releases_find(&list, "nonsense"));
    assert_string_equal(releases_newest(&list, false)->notes, "好");
}

static void test_index_choice_for_a_platform(void **state)
{
    (void)state;
    struct releases list = read_list(RELEASE_FORMAT_INDEX, INDEX);
    struct release_choice choice;
    struct error error = ERROR_INIT;
    const struct release *release = releases_find(&list, "1.2.0");
    assert_int_equal(release_choose(release, &LINUX, "", &choice, &error), 0);
    assert_string_equal(choice.places[0], "https://host/x/flocks.tar.xz");
    assert_string_equal(
        choice.asset->signature, "https://host/path/flocks-1.2.0-linux-x86_64.tar.xz.minisig");
    assert_string_equal(choice.checksums, "https://host/path/SHA256SUMS");
    static const struct platform arm = {.system = "linux", .machine = "aarch64"};
    assert_int_equal(release_choose(release, &arm, "", &choice, &error), 0);
    assert_string_equal(choice.asset->name, "flocks-1.2.0-linux-aarch64.tar.zst");
    assert_null(choice.asset->signature);
    static const struct platform mac = {.system = "darwin", .machine = "arm64"};
    assert_int_equal(release_choose(release, &mac, "", &choice, &error), -STATUS_NOT_FOUND);
    assert_non_null(strstr(error.text, "darwin-arm64"));
    assert_non_null(strstr(error.text, "SHA256SUMS"));
}

static void test_index_mirrors_of_the_region_come_first(void **state)
{
    (void)state;
    struct releases list = read_list(RELEASE_FORMAT_INDEX,
        "{\"format\": 1, \"releases\": [{\"version\": \"1\", \"assets\": [{\"name\": \"a.zip\", "
        "\"sha256\": \"" ONE "\","
        "\"mirrors\": [{\"region\": \"eu\", \"url\": \"https://eu/a\"}, {\"region\": \"cn\", "
        "\"url\": \"https://cn/a\"}]}]}]}");
    struct release_choice choice;
    assert_int_equal(release_choose(&list.items[0], &LINUX, "cn", &choice, NULL), 0);
    assert_int_equal(choice.n_places, 3);
    assert_string_equal(choice.places[0], "https://cn/a");
    assert_string_equal(choice.places[1], "https://host/path/a.zip");
    assert_string_equal(choice.places[2], "https://eu/a");
    assert_string_equal(choice.asset->sha256, ONE);
}

static void check_mistake(const char *text, const char *why)
{
    struct releases list;
    struct error error = ERROR_INIT;
    int result = release_json_read(
        RELEASE_FORMAT_INDEX, text, strlen(text), "https://h/i", &arena, &list, &error);
    if (result != -STATUS_INVALID_ARGUMENT || strstr(error.text, why) == NULL)
        fail_msg("%s: %d, \"%s\" without \"%s\"", text, result, error.text, why);
}

#define WITH_ASSET(text)                                                                           \
    "{\"format\": 1, \"releases\": [{\"version\": \"1\", \"assets\": [" text "]}]}"

static void test_index_mistakes_have_a_place(void **state)
{
    (void)state;
    check_mistake("", "no JSON");
    check_mistake("<html>", "line 1");
    check_mistake("[]", "format");
    check_mistake("{\"format\": 1}", "releases");
    check_mistake("{\"format\": 1, \"format\": 1, \"releases\": []}", "no JSON");
    check_mistake("{\"format\": 1, \"releases\": [{\"version\": \"1\"}, {}]}", "[1].version");
    check_mistake("{\"format\": 1, \"releases\": [7]}", "[0]");
    check_mistake("{\"format\": 1, \"releases\": [{\"version\": \"1\", \"withdrawn\": \"no\"}]}",
        "withdrawn");
    check_mistake("{\"format\": 1, \"releases\": [{\"version\": \"../1\"}]}", "version");
    check_mistake(
        WITH_ASSET("{\"name\": \"a.zip\"}, {\"name\": \"../a.zip\"}"), "[0].assets[1].name");
    check_mistake(WITH_ASSET("{\"name\": \"a.zip\", \"sha256\": \"12\"}"), "sha256");
    check_mistake(WITH_ASSET("{\"name\": \"a.zip\", \"size\": -1}"), "size");
    check_mistake(WITH_ASSET("{\"name\": \"a.zip\", \"size\": \"1\"}"), "size");
    check_mistake(WITH_ASSET("{\"name\": \"a.zip\", \"url\": \"file:///etc/passwd\"}"), "url");
    check_mistake(WITH_ASSET("{\"name\": \"a.zip\", \"signature\": \"https://\"}"), "signature");
    check_mistake(WITH_ASSET("{\"name\": \"a.zip\", \"mirrors\": [{}]}"), "mirrors");
    struct releases list;
    const char *later = "{\"format\": 2, \"releases\": []}";
    assert_int_equal(release_json_read(RELEASE_FORMAT_INDEX, later, strlen(later), "https://h/i",
                         &arena, &list, NULL),
        -STATUS_UNIMPLEMENTED);
}

static void test_index_of_a_path_is_not_left(void **state)
{
    (void)state;
    assert_string_equal(release_place("/srv/r/index.json", "a/b.zip", &arena), "/srv/r/a/b.zip");
    assert_null(release_place("/srv/r/index.json", "../b.zip", &arena));
    assert_null(release_place("/srv/r/index.json", "/etc/passwd", &arena));
    assert_string_equal(release_place("/srv/r/index.json", "https://h/b", &arena), "https://h/b");
    assert_null(release_place("https://h/index.json", "file:///etc/passwd", &arena));
}

static void test_github_list(void **state)
{
    (void)state;
    struct releases list = read_list(RELEASE_FORMAT_GITHUB,
        "[{\"tag_name\": \"v1.1.0\", \"body\": \"notes\", \"html_url\": "
        "\"https://github.com/o/r/releases/1\", \"draft\": false,"
        "\"prerelease\": false, \"tarball_url\": \"https://api.github.com/t\", \"zipball_url\": "
        "\"https://api.github.com/z\", \"assets\": ["
        "{\"name\": \"f-linux-amd64.tar.gz\", \"size\": 5, \"digest\": \"sha256:" ONE
        "\", \"browser_download_url\": \"https://github.com/a\"},"
        "{\"name\": \"../evil\", \"browser_download_url\": \"https://github.com/e\"},"
        "{\"name\": \"f-linux-amd64.tar.gz.minisig\", \"browser_download_url\": "
        "\"https://github.com/s\"}]},"
        "{\"tag_name\": \"v1.2.0\", \"draft\": true}, {\"tag_name\": \"nightly\"}, {\"tag_name\": "
        "null}, 7,"
        "{\"tag_name\": \"v1.0.0\", \"tarball_url\": \"https://api.github.com/t\", "
        "\"zipball_url\": \"https://api.github.com/z\"}]");
    struct release_choice choice;
    assert_int_equal(list.n, 2);
    assert_string_equal(list.items[0].notes, "notes");
    assert_int_equal(release_choose(&list.items[0], &LINUX, "", &choice, NULL), 0);
    assert_string_equal(choice.places[0], "https://github.com/a");
    assert_string_equal(choice.asset->sha256, ONE);
    assert_string_equal(choice.asset->signature, "https://github.com/s");
    assert_int_equal(choice.asset->size, 5);
    /* Only without an archive of its own. */
    assert_int_equal(release_choose(&list.items[1], &LINUX, "", &choice, NULL), 0);
    assert_true(choice.asset->is_source);
    assert_string_equal(choice.asset->name, "source-1.0.0.tar.gz");
    static const struct platform mac = {.system = "darwin", .machine = "arm64"};
    assert_int_equal(release_choose(&list.items[0], &mac, "", &choice, NULL), -STATUS_NOT_FOUND);
}

static void test_gitlab_list(void **state)
{
    (void)state;
    struct releases list = read_list(RELEASE_FORMAT_GITLAB,
        "[{\"tag_name\": \"1.0.0\", \"description\": \"d\", \"upcoming_release\": true, "
        "\"_links\": {\"self\": \"https://gitlab.com/p\"},"
        "\"assets\": {\"sources\": [{\"format\": \"zip\", \"url\": \"https://gitlab.com/z\"}, "
        "{\"format\": \"tar.gz\", \"url\": \"https://gitlab.com/t\"}],"
        "\"links\": [{\"name\": \"f.tar.xz\", \"url\": \"https://x/1\", \"direct_asset_url\": "
        "\"https://gitlab.com/d\"}]}}]");
    struct release_choice choice;
    assert_int_equal(list.n, 1);
    assert_string_equal(list.items[0].page, "https://gitlab.com/p");
    assert_null(releases_newest(&list, false));
    assert_int_equal(release_choose(&list.items[0], &LINUX, "", &choice, NULL), 0);
    assert_string_equal(choice.places[0], "https://gitlab.com/d");
    assert_int_equal(list.items[0].n_assets, 3);
}

static void test_list_is_bounded(void **state)
{
    (void)state;
    size_t size = (size_t)RELEASES_MAX * 64;
    char *text = calloc(1, size);
    assert_non_null(text);
    size_t n = (size_t)snprintf(text, size, "[");
    for (int i = 0; i <= RELEASES_MAX; i++)
        n += (size_t)snprintf(
            text + n, size - n, "%s{\"tag_name\": \"%d\"}", i == 0 ? "" : ",", i + 1);
    (void)snprintf(text + n, size - n, "]");
    struct releases list = read_list(RELEASE_FORMAT_GITHUB, text);
    assert_int_equal(list.n, RELEASES_MAX);
    struct arena small;
    struct error error = ERROR_INIT;
    arena_init(&small, 10000);
    assert_int_equal(release_json_read(RELEASE_FORMAT_GITHUB, text, strlen(text), "https://h/i",
                         &small, &list, &error),
        -STATUS_RESOURCE_EXHAUSTED);
    arena_deinit(&small);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        CASE(test_version_order_is_that_of_semver),
        CASE(test_version_forms),
        CASE(test_asset_name_fits_platform),
        CASE(test_asset_name_tells_kind_and_version),
        CASE(test_checksums_forms),
        CASE(test_checksums_that_cannot_be_used),
        CASE(test_index_is_read_and_sorted),
        CASE(test_index_choice_for_a_platform),
        CASE(test_index_mirrors_of_the_region_come_first),
        CASE(test_index_mistakes_have_a_place),
        CASE(test_index_of_a_path_is_not_left),
        CASE(test_github_list),
        CASE(test_gitlab_list),
        CASE(test_list_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

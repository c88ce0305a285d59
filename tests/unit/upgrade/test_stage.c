#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "flocks/v1/upgrade.names.h"

#include "client/upgrade/find.h"
#include "client/upgrade/stage.h"
#include "site.h"
#include "unit.h"

enum { PATIENCE_S = 60 };

/* One release from finding to staging, in a root of its own. */
struct trial {
    const char *root;
    struct update_settings settings;
    struct update_found found;
    struct update_staged staged;
    struct error error;
    int result;
    /* By flocks.v1.UpgradeStep: whether it was told. */
    bool is_told[16];
    uint64_t bytes_done;
};

/* ---- a disk ---- */

/* What fstatvfs says is free besides what has to stay free; negative: what there is. */
static int64_t free_bytes = -1;
static int64_t free_files = -1;
/* A write below a directory of this name finds the disk full; NULL: none does. */
static const char *full_place;

/* clang-format off */
int __real_fstatvfs(int fd, struct statvfs *out); /* NOLINT(bugprone-reserved-identifier) */
int __wrap_fstatvfs(int fd, struct statvfs *out); /* NOLINT(bugprone-reserved-identifier) */
ssize_t __real_write(int fd, const void *bytes, size_t len); /* NOLINT(bugprone-reserved-identifier) */
ssize_t __wrap_write(int fd, const void *bytes, size_t len); /* NOLINT(bugprone-reserved-identifier) */
ssize_t __real_pwrite(int fd, const void *bytes, size_t len, off_t at); /* NOLINT(bugprone-reserved-identifier) */
ssize_t __wrap_pwrite(int fd, const void *bytes, size_t len, off_t at); /* NOLINT(bugprone-reserved-identifier) */
/* clang-format on */

int __wrap_fstatvfs(int fd, struct statvfs *out) /* NOLINT(bugprone-reserved-identifier) */
{
    int result = __real_fstatvfs(fd, out);
    if (free_bytes >= 0) {
        out->f_frsize = 1;
        out->f_bavail = RELEASE_DIR_MARGIN_BYTES + (uint64_t)free_bytes;
    }
    if (free_files >= 0) {
        out->f_files = UINT32_MAX;
        out->f_favail = RELEASE_DIR_MARGIN_FILES + (uint64_t)free_files;
    }
    return result;
}

static bool is_full(int fd)
{
    char link[64];
    char path[PATH_MAX];
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t len = full_place == NULL ? -1 : readlink(link, path, sizeof path - 1);
    if (len < 0)
        return false;
    path[len] = '\0';
    errno = ENOSPC;
    return strstr(path, full_place) != NULL;
}

ssize_t __wrap_write(
    int fd, const void *bytes, size_t len) /* NOLINT(bugprone-reserved-identifier) */
{
    return is_full(fd) ? -1 : __real_write(fd, bytes, len);
}

ssize_t __wrap_pwrite(/* NOLINT(bugprone-reserved-identifier) */
    int fd, const void *bytes, size_t len, off_t at)
{
    return is_full(fd) ? -1 : __real_pwrite(fd, bytes, len, at);
}

/* ---- trials ---- */

static struct place_server server;

static int set_up_all(void **state)
{
    (void)site_open(state);
    server = place_serve(SERVER);
    return 0;
}

static const char *url(const char *path)
{
    static char texts[4][256];
    static unsigned next;
    char *text = texts[next++ % 4];
    (void)snprintf(text, sizeof texts[0], "http://127.0.0.1:%d/%s", server.port, path);
    return text;
}

static void note_progress(void *data, const struct update_progress *progress)
{
    struct trial *trial = data;
    assert_in_range(progress->step, 1, 15);
    trial->is_told[progress->step] = true;
    trial->bytes_done =
        progress->bytes_done > trial->bytes_done ? progress->bytes_done : trial->bytes_done;
    assert_true(progress->message[0] != '\0');
}

/* `update`: members of the section, without braces. The service's directory is the root, where no
 * release counts, or `directory`. */
static void begin_in(struct trial *trial, const char *update, const char *directory)
{
    char text[1024];
    *trial = (struct trial){.error = ERROR_INIT};
    (void)snprintf(text, sizeof text, "{%s}", update);
    trial->root = site_make_root(text, directory);
    (void)snprintf(text, sizeof text, "%s/run", trial->root);
    assert_int_equal(mkdir(place_path(text), 0700), 0);
    site_load(trial->root, &trial->settings);
}

static void find_from(struct trial *trial, const char *from, const char *version)
{
    const struct update_find_request request = {
        .settings = &trial->settings, .from = from, .version = version, .cancel_fd = -1};
    trial->result = update_find(&request, &trial->found, &trial->error);
    if (trial->result != 0)
        fail_msg("%s: %d, %s", from, trial->result, trial->error.text);
}

static void stage(struct trial *trial, int cancel_fd)
{
    const struct update_stage_request request = {.settings = &trial->settings,
        .found = &trial->found,
        .cancel_fd = cancel_fd,
        .on_progress = note_progress,
        .data = trial};
    trial->result = update_stage(&request, &trial->staged, &trial->error);
}

static void end(struct trial *trial)
{
    update_staged_deinit(&trial->staged);
    update_found_deinit(&trial->found);
    site_unload(&trial->settings);
}

static void run(struct trial *trial, const char *update, const char *from)
{
    begin_in(trial, update, ".");
    find_from(trial, from, NULL);
    stage(trial, -1);
}

static const char *in_root(const struct trial *trial, const char *name)
{
    static char paths[4][256];
    static unsigned next;
    char *path = paths[next++ % 4];
    (void)snprintf(path, sizeof paths[0], "%s/%s", trial->root, name);
    return path;
}

/* With the good key. */
static const char *trusting(const char *more)
{
    static char text[512];
    (void)snprintf(
        text, sizeof text, "keys: [%s]%s%s", site_keys()->good, more[0] == '\0' ? "" : ", ", more);
    return text;
}

/* The text says the step and why, the hint what to do; nothing is left. */
static void check_refused(
    const struct trial *trial, int result, const char *step, const char *why, const char *name)
{
    if (trial->result != result || strncmp(trial->error.text, step, strlen(step)) != 0 ||
        strstr(trial->error.text, why) == NULL || trial->error.hint[0] == '\0')
        fail_msg("%s: %d, \"%s\" (%s)", name, trial->result, trial->error.text, trial->error.hint);
    for (const char *at = trial->error.text; *at != '\0'; at++)
        assert_true((unsigned char)*at >= ' ');
    assert_string_equal(site_names(in_root(trial, "releases")), "");
    assert_string_equal(site_names(in_root(trial, "run/downloads")), "");
}

/* ---- good ---- */

static void check_staged(const struct trial *trial, const char *name)
{
    char path[64];
    if (trial->result != 0)
        fail_msg("%s: %d, %s (%s)", name, trial->result, trial->error.text, trial->error.hint);
    (void)snprintf(path, sizeof path, "releases/%s.partial/version", name);
    assert_true(place_has(in_root(trial, path)));
    (void)snprintf(path, sizeof path, "%s.partial ", name);
    assert_string_equal(site_names(in_root(trial, "releases")), path);
    assert_true(trial->staged.is_partial);
    assert_non_null(trial->staged.file);
    assert_false(place_has(in_root(trial, "run/downloads")));
}

/* Whoever made a FIFO of the log's name is not waited for; nothing is logged then. */
static void test_settings_do_not_wait_for_a_log(void **state)
{
    (void)state;
    struct trial trial;
    trial.root = site_make_root("{}", ".");
    assert_int_equal(mkfifo(place_path(in_root(&trial, "logs/update.log")), 0600), 0);
    (void)alarm(PATIENCE_S);
    site_load(trial.root, &trial.settings);
    (void)alarm(0);
    assert_int_equal(trial.settings.log_fd, -1);
    site_unload(&trial.settings);
}

static void test_stage_local_archive(void **state)
{
    (void)state;
    struct trial trial;
    run(&trial, "", place_path("product-1.1.0.tar.gz"));
    check_staged(&trial, "1.1.0");
    assert_int_equal(trial.staged.file->format, 1);
    assert_true(trial.is_told[FLOCKS_UPGRADE_STEP_VERIFYING]);
    assert_true(trial.is_told[FLOCKS_UPGRADE_STEP_UNPACKING]);
    end(&trial);
}

static void test_stage_from_an_index_signed(void **state)
{
    (void)state;
    struct trial trial;
    run(&trial, trusting(""), url("file/index.json"));
    check_staged(&trial, "1.1.0");
    assert_true(trial.is_told[FLOCKS_UPGRADE_STEP_DOWNLOADING]);
    assert_true(trial.bytes_done > 0);
    end(&trial);
}

static void test_stage_over_https(void **state)
{
    (void)state;
    struct trial trial;
    char index[128];
    (void)snprintf(index, sizeof index, "https://localhost:%d/file/index.json", server.port_tls);
    begin_in(&trial, trusting(""), ".");
    trial.settings.ca_file = place_path("tls.pem");
    find_from(&trial, index, NULL);
    stage(&trial, -1);
    check_staged(&trial, "1.1.0");
    end(&trial);
}

static void test_stage_checksums_that_are_signed(void **state)
{
    (void)state;
    struct trial trial;
    run(&trial, trusting(""), url("file/sums.json"));
    check_staged(&trial, "2.9.0");
    end(&trial);
    /* It is not in them. */
    begin_in(&trial, trusting(""), ".");
    find_from(&trial, url("file/sums.json"), "2.8.1");
    stage(&trial, -1);
    check_refused(&trial, -STATUS_NOT_FOUND, "verifying the release", "2.8.1", "2.8.1");
    end(&trial);
}

static void test_stage_mirrors_in_turn(void **state)
{
    (void)state;
    struct trial trial;
    begin_in(&trial, trusting("region: cn"), ".");
    find_from(&trial, url("file/mirrors.json"), NULL);
    assert_int_equal(trial.found.choice.n_places, 3);
    stage(&trial, -1);
    check_staged(&trial, "1.1.0");
    end(&trial);
}

static void test_stage_installed_release_is_only_read(void **state)
{
    (void)state;
    struct trial trial;
    begin_in(&trial, "", ".");
    site_add_release(trial.root, "1.1.0", false);
    place_write_text(in_root(&trial, "releases/1.1.0/flocks-release.yaml"), "keep_running: [x]\n");
    find_from(&trial, place_path("index.json"), "1.1.0");
    stage(&trial, -1);
    assert_int_equal(trial.result, 0);
    assert_false(trial.staged.is_partial);
    assert_string_equal(trial.staged.file->keep_running[0], "x");
    end(&trial);
}

static void test_stage_begins_anew_after_one_that_was_killed(void **state)
{
    (void)state;
    struct trial trial;
    begin_in(&trial, trusting(""), ".");
    site_add_release(trial.root, "1.1.0.partial", false);
    place_write_text(in_root(&trial, "releases/1.1.0.partial/left"), "x");
    assert_int_equal(mkdir(place_path(in_root(&trial, "run/downloads")), 0700), 0);
    place_write_text(in_root(&trial, "run/downloads/product-0.1.0.tar.gz"), "old");
    place_write_text(in_root(&trial, "run/downloads/product-0.1.0.tar.gz.part"), "old");
    find_from(&trial, url("file/index.json"), NULL);
    stage(&trial, -1);
    check_staged(&trial, "1.1.0");
    assert_false(place_has(in_root(&trial, "releases/1.1.0.partial/left")));
    end(&trial);
}

static void test_stage_install_steps_know_where_they_are(void **state)
{
    (void)state;
    struct trial trial;
    char wanted[PATH_MAX];
    begin_in(&trial, "", ".");
    site_add_release(trial.root, "3.0.0", true);
    find_from(&trial, place_path("product-4.0.0.tar.gz"), NULL);
    stage(&trial, -1);
    assert_int_equal(trial.result, 0);
    assert_true(trial.is_told[FLOCKS_UPGRADE_STEP_INSTALLING]);
    char *made = place_read(in_root(&trial, "releases/4.0.0.partial/made"), NULL);
    (void)snprintf(wanted, sizeof wanted, "4.0.0 from 3.0.0 at %s/releases/4.0.0 in %s.partial\n",
        place_path(trial.root), place_path(in_root(&trial, "releases/4.0.0")));
    assert_string_equal(made, wanted);
    free(made);
    char *log = place_read(in_root(&trial, "logs/update.log"), NULL);
    assert_non_null(strstr(log, "install step 1 of 1 (make it): begins\nit is made\n"));
    free(log);
    end(&trial);
}

/* ---- bad ---- */

struct bad {
    const char *source;
    int result;
    const char *step;
    const char *why;
};

/* clang-format off */
static const struct bad SIGNATURES[] = {
    {"product-2.0.0.tar.gz", -STATUS_UNAUTHENTICATED, "verifying", "not trusted here"},
    {"product-2.1.0.tar.gz", -STATUS_FAILED_PRECONDITION, "verifying", "is not signed"},
    {"product-2.2.0.tar.gz", -STATUS_DATA_LOSS, "verifying", "is not what was signed"},
    {"product-2.3.0.tar.gz", -STATUS_DATA_LOSS, "verifying", "is not what was signed"},
    {"product-2.4.0.tar.gz", -STATUS_DATA_LOSS, "unpacking", "damaged or not whole"},
    {"product-2.5.0.tar.gz", -STATUS_DATA_LOSS, "verifying", "for a file called product-1.0.0.tar.gz"},
    {"product-2.6.0.tar.gz", -STATUS_DATA_LOSS, "verifying", "does not tell which file"},
    {"product-2.7.0.tar.gz", -STATUS_DATA_LOSS, "verifying", "a web page came"},
    {"old.json", -STATUS_DATA_LOSS, "verifying", "its name says 1.0.0"},
    {"nameless.json", -STATUS_DATA_LOSS, "verifying", "tells its version"},
    {"digest.json", -STATUS_DATA_LOSS, "downloading", "its SHA-256 is"},
    {"size.json", -STATUS_DATA_LOSS, "downloading", "should have 5"},
};
/* clang-format on */

static void test_stage_what_nobody_vouches_for_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof SIGNATURES / sizeof SIGNATURES[0]; i++) {
        const struct bad *row = &SIGNATURES[i];
        struct trial trial;
        char path[64];
        (void)snprintf(path, sizeof path, "file/%s", row->source);
        run(&trial, trusting(""), url(path));
        check_refused(&trial, row->result, row->step, row->why, row->source);
        end(&trial);
    }
}

static void test_stage_local_signature_counts_where_there_is_one(void **state)
{
    (void)state;
    static const struct bad table[] = {
        {"product-2.0.0.tar.gz", -STATUS_UNAUTHENTICATED, "verifying", "not trusted here"},
        {"product-2.2.0.tar.gz", -STATUS_DATA_LOSS, "verifying", "is not what was signed"},
        {"digest.json", -STATUS_DATA_LOSS, "verifying", "its SHA-256 is"},
        {"size.json", -STATUS_DATA_LOSS, "verifying", "and 5 were promised"},
    };
    struct trial trial;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        run(&trial, trusting(""), place_path(table[i].source));
        check_refused(&trial, table[i].result, table[i].step, table[i].why, table[i].source);
        end(&trial);
    }
    run(&trial, trusting(""), place_path("product-2.1.0.tar.gz"));
    check_staged(&trial, "2.1.0");
    end(&trial);
    run(&trial, "", place_path("product-2.0.0.tar.gz"));
    check_staged(&trial, "2.0.0");
    end(&trial);
}

static void test_stage_without_a_key_nothing_is_asked(void **state)
{
    (void)state;
    struct trial trial;
    run(&trial, "", url("file/index.json"));
    check_refused(
        &trial, -STATUS_FAILED_PRECONDITION, "verifying", "update.keys is empty", "no key");
    assert_false(trial.is_told[FLOCKS_UPGRADE_STEP_DOWNLOADING]);
    end(&trial);
    run(&trial, "keys: [RWnonsense]", url("file/index.json"));
    check_refused(&trial, -STATUS_INVALID_ARGUMENT, "verifying", "update.keys[0]", "bad key");
    end(&trial);
}

static void test_stage_unsigned_where_that_is_allowed(void **state)
{
    (void)state;
    struct trial trial;
    run(&trial, "require_signature: false", url("file/product-2.1.0.tar.gz"));
    check_staged(&trial, "2.1.0");
    end(&trial);
    run(&trial, "require_signature: false", url("file/digest.json"));
    check_refused(&trial, -STATUS_DATA_LOSS, "downloading", "its SHA-256 is", "digest");
    end(&trial);
}

static void test_stage_hostile_archive_leaves_nothing(void **state)
{
    (void)state;
    for (unsigned number = 0; number < 30; number++) {
        struct trial trial;
        char name[64];
        (void)snprintf(name, sizeof name, "hostile-9.0.%u.tar.gz", number);
        run(&trial, "", place_path(name));
        check_refused(&trial, -STATUS_INVALID_ARGUMENT, "unpacking the release: ", name, name);
        assert_false(place_has("flocks-escaped"));
        end(&trial);
    }
    static const struct bad table[] = {
        {"hostile-9.1.0.tar.gz", -STATUS_RESOURCE_EXHAUSTED, "unpacking", "for its size"},
        {"hostile-9.1.1.zip", -STATUS_RESOURCE_EXHAUSTED, "unpacking", "for its size"},
        {"hostile-9.1.2.tar.xz", -STATUS_DATA_LOSS, "unpacking", "not whole"},
        {"hostile-9.1.3.tar.gz", -STATUS_INVALID_ARGUMENT, "unpacking", "no tar or zip"},
        {"hostile-9.1.4.tar.gz", -STATUS_INVALID_ARGUMENT, "unpacking", ""},
        {"hostile-9.2.0.tar.gz", -STATUS_RESOURCE_EXHAUSTED, "unpacking", "more files"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct trial trial;
        run(&trial, "", place_path(table[i].source));
        check_refused(&trial, table[i].result, table[i].step, table[i].why, table[i].source);
        end(&trial);
    }
}

static void test_stage_release_file_is_checked(void **state)
{
    (void)state;
    static const struct bad table[] = {
        {"product-3.0.0.tar.gz", -STATUS_UNIMPLEMENTED, "reading", "format 2"},
        {"product-3.1.0.tar.gz", -STATUS_INVALID_ARGUMENT, "reading", "flocks-release.yaml:2:3"},
        {"product-3.2.0.tar.gz", -STATUS_DATA_LOSS, "reading", "says 1.0.0"},
        {"product-3.3.0.tar.gz", -STATUS_RESOURCE_EXHAUSTED, "installing", "MiB free"},
        {"product-3.4.0.tar.gz", -STATUS_NOT_FOUND, "installing", "no-such-program"},
        {"product-3.5.0.tar.gz", -STATUS_INVALID_ARGUMENT, "reading", "install[0].directory"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct trial trial;
        run(&trial, "", place_path(table[i].source));
        check_refused(&trial, table[i].result, table[i].step, table[i].why, table[i].source);
        end(&trial);
    }
}

static void test_stage_what_does_not_fit_the_disk_is_not_begun(void **state)
{
    (void)state;
    struct trial trial;
    run(&trial, trusting(""), url("file/large.json"));
    check_refused(&trial, -STATUS_RESOURCE_EXHAUSTED, "checking the disk", "MiB free", "large");
    assert_false(trial.is_told[FLOCKS_UPGRADE_STEP_DOWNLOADING]);
    end(&trial);
}

static void test_stage_what_grows_beyond_the_disk_is_refused_before_it_does(void **state)
{
    (void)state;
    struct trial trial;
    free_bytes = 1 << 20;
    run(&trial, "", place_path("product-5.0.0.tar.gz"));
    free_bytes = -1;
    check_refused(&trial, -STATUS_RESOURCE_EXHAUSTED, "unpacking",
        "does not fit the disk: it holds more than the 1 MiB", "bytes");
    assert_non_null(strstr(trial.error.hint, "make room"));
    end(&trial);
    free_files = 2;
    run(&trial, "", place_path("product-5.0.0.tar.gz"));
    free_files = -1;
    check_refused(&trial, -STATUS_RESOURCE_EXHAUSTED, "unpacking",
        "does not fit the disk: it holds more than the 2 files", "files");
    end(&trial);
    free_bytes = 10 << 20;
    run(&trial, "", place_path("product-5.0.0.tar.gz"));
    free_bytes = -1;
    check_staged(&trial, "5.0.0");
    end(&trial);
}

static void test_stage_full_disk_leaves_nothing(void **state)
{
    (void)state;
    static const struct bad table[] = {
        {"/releases/", -STATUS_RESOURCE_EXHAUSTED, "unpacking", "ENOSPC"},
        {"/downloads/", -STATUS_RESOURCE_EXHAUSTED, "downloading", "ENOSPC"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct trial trial;
        begin_in(&trial, trusting(""), ".");
        find_from(&trial, url("file/index.json"), NULL);
        full_place = table[i].source;
        stage(&trial, -1);
        full_place = NULL;
        check_refused(&trial, table[i].result, table[i].step, table[i].why, table[i].source);
        end(&trial);
    }
}

static void test_stage_services_have_to_find_their_place(void **state)
{
    (void)state;
    struct trial trial;
    begin_in(&trial, "", "current/frontend");
    find_from(&trial, place_path("product-1.1.0.tar.gz"), NULL);
    stage(&trial, -1);
    check_refused(&trial, -STATUS_FAILED_PRECONDITION, "checking the release",
        "service backend would not find its directory in it: frontend", "frontend");
    end(&trial);
    begin_in(&trial, "", "current/backend");
    find_from(&trial, place_path("product-1.1.0.tar.gz"), NULL);
    stage(&trial, -1);
    check_staged(&trial, "1.1.0");
    end(&trial);
    begin_in(&trial, "", "current");
    find_from(&trial, place_path("product-1.1.0.tar.gz"), NULL);
    stage(&trial, -1);
    check_refused(&trial, -STATUS_FAILED_PRECONDITION, "checking the release",
        "service backend would not find its program", "run.sh");
    end(&trial);
    begin_in(&trial, "adopt: [frontend]", ".");
    place_write_text(in_root(&trial, "frontend"), "x");
    find_from(&trial, place_path("product-1.1.0.tar.gz"), NULL);
    stage(&trial, -1);
    check_refused(
        &trial, -STATUS_FAILED_PRECONDITION, "checking the release", "it has no frontend", "adopt");
    end(&trial);
}

/* ---- bad servers ---- */

/* An index with one signed release whose archive is at `place`. */
static const char *index_at(const char *place)
{
    char text[512];
    (void)snprintf(text, sizeof text,
        "{\"format\": 1, \"releases\": [{\"version\": \"1.1.0\", \"assets\": [{\"name\": "
        "\"product-1.1.0.tar.gz\", \"url\": \"../%s\", \"signature\": "
        "\"product-1.1.0.tar.gz.minisig\"}]}]}",
        place);
    place_write_text("bad.json", text);
    return url("file/bad.json");
}

static void test_stage_bad_server_is_told(void **state)
{
    (void)state;
    static const struct bad table[] = {
        {"status/404", -STATUS_NOT_FOUND, "downloading", "404"},
        {"status/403", -STATUS_PERMISSION_DENIED, "downloading", "403"},
        {"loop", -STATUS_FAILED_PRECONDITION, "downloading", "sent on"},
        {"page", -STATUS_DATA_LOSS, "downloading", "web page"},
        {"disguised-page", -STATUS_DATA_LOSS, "downloading", "web page"},
        {"file/product-1.0.0.tar.gz", -STATUS_DATA_LOSS, "verifying", "is not what was signed"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct trial trial;
        run(&trial, trusting(""), index_at(table[i].source));
        check_refused(&trial, table[i].result, table[i].step, table[i].why, table[i].source);
        end(&trial);
    }
}

static void test_stage_server_that_breaks_is_tried_again(void **state)
{
    (void)state;
    static const char *const table[] = {"reset/200/product-1.1.0.tar.gz",
        "reset-no-ranges/200/product-1.1.0.tar.gz", "unknown-length/product-1.1.0.tar.gz",
        "busy/2/product-1.1.0.tar.gz", "to/file/product-1.1.0.tar.gz"};
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct trial trial;
        char place[128];
        bool is_sent_on = strncmp(table[i], "to/", 3) == 0;
        (void)snprintf(place, sizeof place, "%s%s", is_sent_on ? "to//" : "",
            is_sent_on ? table[i] + 3 : table[i]);
        run(&trial, trusting(""), index_at(place));
        check_staged(&trial, "1.1.0");
        end(&trial);
    }
}

static void test_stage_interrupted_download_is_kept_and_continued(void **state)
{
    (void)state;
    struct trial trial;
    int fd = eventfd(1, EFD_CLOEXEC);
    begin_in(&trial, trusting(""), ".");
    find_from(&trial, index_at("file/product-1.1.0.tar.gz"), NULL);
    stage(&trial, fd);
    assert_int_equal(trial.result, -STATUS_CANCELLED);
    assert_string_equal(site_names(in_root(&trial, "releases")), "");
    update_staged_deinit(&trial.staged);
    stage(&trial, -1);
    check_staged(&trial, "1.1.0");
    (void)close(fd);
    end(&trial);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_settings_do_not_wait_for_a_log),
        cmocka_unit_test(test_stage_local_archive),
        cmocka_unit_test(test_stage_from_an_index_signed),
        cmocka_unit_test(test_stage_over_https),
        cmocka_unit_test(test_stage_checksums_that_are_signed),
        cmocka_unit_test(test_stage_mirrors_in_turn),
        cmocka_unit_test(test_stage_installed_release_is_only_read),
        cmocka_unit_test(test_stage_begins_anew_after_one_that_was_killed),
        cmocka_unit_test(test_stage_install_steps_know_where_they_are),
        cmocka_unit_test(test_stage_what_nobody_vouches_for_is_refused),
        cmocka_unit_test(test_stage_local_signature_counts_where_there_is_one),
        cmocka_unit_test(test_stage_without_a_key_nothing_is_asked),
        cmocka_unit_test(test_stage_unsigned_where_that_is_allowed),
        cmocka_unit_test(test_stage_hostile_archive_leaves_nothing),
        cmocka_unit_test(test_stage_release_file_is_checked),
        cmocka_unit_test(test_stage_what_does_not_fit_the_disk_is_not_begun),
        cmocka_unit_test(test_stage_what_grows_beyond_the_disk_is_refused_before_it_does),
        cmocka_unit_test(test_stage_full_disk_leaves_nothing),
        cmocka_unit_test(test_stage_services_have_to_find_their_place),
        cmocka_unit_test(test_stage_bad_server_is_told),
        cmocka_unit_test(test_stage_server_that_breaks_is_tried_again),
        cmocka_unit_test(test_stage_interrupted_download_is_kept_and_continued),
    };
    return cmocka_run_group_tests(tests, set_up_all, place_close);
}

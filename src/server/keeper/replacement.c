#include "server/keeper/replacement.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/fd.h"
#include "common/base/log.h"
#include "server/keeper/helper.h"
#include "server/keeper/renewal.h"
#include "server/keeper/state.h"

static const char *const part_names[REPLACEMENT_PARTS] = {"flocksd", "flocks-keeper"};

void replacement_init(struct replacement *replacement)
{
    replacement->previous.fd = -1;
    for (size_t i = 0; i < REPLACEMENT_PARTS; i++) {
        replacement->images[i].fd = -1;
        replacement->checks[i].output_fd = -1;
    }
}

static void drop_images(struct replacement *replacement)
{
    image_close(&replacement->previous);
    for (size_t i = 0; i < REPLACEMENT_PARTS; i++)
        image_close(&replacement->images[i]);
}

/* What programs have said may have several lines. */
static void note_failure(struct replacement *replacement, const char *failure)
{
    (void)snprintf(replacement->failure, sizeof replacement->failure, "%s", failure);
    for (char *at = replacement->failure; *at != '\0'; at++)
        if (*at == '\n')
            *at = ' ';
}

static void finish(struct keeper *keeper)
{
    struct replacement *replacement = &keeper->replacement;
    replacement->phase = REPLACEMENT_ENDED;
    replacement->ends_at = 0;
    drop_images(replacement);
    if (replacement->failure[0] != '\0')
        log_error("replacement failed", "operation=%s failure=\"%s\"", replacement->operation_id,
            replacement->failure);
    else
        log_info("replacement done", "operation=%s", replacement->operation_id);
}

void replacement_end(struct keeper *keeper, const char *failure)
{
    keeper->link.replacement_told = false;
    note_failure(&keeper->replacement, failure);
    finish(keeper);
    link_resume(keeper);
    link_tell_events(keeper);
}

/* ---- checks ---- */

static void end_check(struct image_check *check)
{
    /* Closed, it is no longer watched. */
    fd_close(&check->output_fd);
    if (check->pid > 0)
        (void)kill(-check->pid, SIGKILL);
}

static bool is_checking(const struct replacement *replacement)
{
    return replacement->checks[REPLACEMENT_FLOCKSD].pid != 0 ||
           replacement->checks[REPLACEMENT_KEEPER].pid != 0;
}

/* Nothing has changed: flocksd is told why, if it waits. */
static void tell_refusal(struct keeper *keeper)
{
    struct replacement *replacement = &keeper->replacement;
    uint32_t stream_id = replacement->stream_id;
    replacement->stream_id = 0;
    /* Who waits has the answer. */
    keeper->link.replacement_told =
        stream_id != 0 &&
        link_refuse(keeper, stream_id, RPC_FAILED_PRECONDITION, replacement->failure);
    finish(keeper);
    link_tell_events(keeper);
}

/* Told when the other check has ended, too, so that it may be asked again at once. */
static void refuse(struct keeper *keeper, const char *why)
{
    struct replacement *replacement = &keeper->replacement;
    note_failure(replacement, why);
    for (size_t i = 0; i < REPLACEMENT_PARTS; i++)
        end_check(&replacement->checks[i]);
    replacement->phase = REPLACEMENT_REFUSING;
    replacement->ends_at = clock_monotonic_ms() + KEEPER_CHECK_END_MS;
    if (!is_checking(replacement))
        tell_refusal(keeper);
}

static void refuse_part(struct keeper *keeper, size_t part, const char *why)
{
    char text[sizeof keeper->replacement.failure];
    log_warn("image refused", "path=%s", keeper->replacement.images[part].path);
    (void)snprintf(text, sizeof text, "%s %s", part_names[part], why);
    refuse(keeper, text);
}

static int run_check(struct keeper *keeper, size_t part, int state_fd)
{
    static char names[REPLACEMENT_PARTS][16] = {"flocksd", "flocks-keeper"};
    static char version[] = "--version";
    static char check_option[] = "--check";
    char *const arguments[] = {
        names[part], part == REPLACEMENT_KEEPER ? check_option : version, NULL};
    struct image_check *check = &keeper->replacement.checks[part];
    int ends[2];
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0)
        return errno;
    struct helper_plan plan = {
        .image = &keeper->replacement.images[part],
        .arguments = arguments,
        .output_fd = ends[1],
    };
    if (part == REPLACEMENT_KEEPER) {
        const int descriptors[] = {state_fd, keeper->outputs.shared_fd, keeper->inventory_fd};
        memcpy(plan.descriptors, descriptors, sizeof descriptors);
        plan.n_descriptors = ARRAY_LENGTH(descriptors);
    }
    *check = (struct image_check){.output_fd = ends[0]};
    check->pid = helper_start(&plan);
    int failure = errno;
    fd_close(&ends[1]);
    if (check->pid < 0) {
        check->pid = 0;
        return failure;
    }
    keeper_watch(keeper, EPOLL_CTL_ADD, check->output_fd, EPOLLIN, EVENT_CHECK, part);
    return 0;
}

static bool is_idle(const struct keeper *keeper)
{
    enum replacement_phase phase = keeper->replacement.phase;
    bool is_over =
        phase == REPLACEMENT_NONE || phase == REPLACEMENT_PREPARED || phase == REPLACEMENT_ENDED;
    return is_over && !is_checking(&keeper->replacement) && keeper->phase == KEEPER_SERVING;
}

static void take_request(struct keeper *keeper, const keeper_prepare_replace_request *request)
{
    struct replacement *replacement = &keeper->replacement;
    const char *const paths[REPLACEMENT_PARTS] = {request->flocksd_path, request->keeper_path};
    drop_images(replacement);
    for (size_t i = 0; i < REPLACEMENT_PARTS; i++) {
        struct image *image = &replacement->images[i];
        (void)snprintf(image->path, sizeof image->path, "%s", paths[i]);
        image->fd = fd_take(&keeper->link.fds[i]);
        replacement->versions[i][0] = '\0';
        replacement->checks[i] = (struct image_check){.output_fd = -1};
    }
    (void)snprintf(
        replacement->operation_id, sizeof replacement->operation_id, "%s", request->operation_id);
    memcpy(replacement->expected[REPLACEMENT_FLOCKSD], request->expected_version,
        sizeof request->expected_version);
    memcpy(replacement->expected[REPLACEMENT_KEEPER], request->expected_keeper_version,
        sizeof request->expected_keeper_version);
    replacement->failure[0] = '\0';
    replacement->stream_id = keeper->link.stream_id;
    replacement->phase = REPLACEMENT_CHECKING;
    replacement->ends_at = clock_monotonic_ms() + KEEPER_CHECK_MS;
}

enum rpc_code replacement_prepare(
    struct keeper *keeper, const keeper_prepare_replace_request *request)
{
    if (!is_idle(keeper)) {
        keeper->link.message = "another replacement is under way, or the keeper is ending";
        return RPC_FAILED_PRECONDITION;
    }
    if (keeper->link.n_fds != REPLACEMENT_PARTS || request->operation_id[0] == '\0') {
        keeper->link.message = "two images and the operation must be told";
        return RPC_INVALID_ARGUMENT;
    }
    take_request(keeper, request);
    keeper->link.is_deferred = true;
    log_info("replacement prepared", "operation=%s flocksd=%s keeper=%s", request->operation_id,
        request->flocksd_path, request->keeper_path);
    CLEANUP(fd_close) int state_fd = -1;
    int failure = renewal_write(keeper, &state_fd);
    for (size_t part = 0; failure == 0 && part < REPLACEMENT_PARTS; part++)
        failure = run_check(keeper, part, state_fd);
    if (failure != 0) {
        char text[128];
        (void)snprintf(
            text, sizeof text, "the images cannot be tried out: %s", strerrordesc_np(failure));
        refuse(keeper, text);
    }
    return RPC_OK;
}

static void listen_to(struct image_check *check)
{
    while (check->output_fd >= 0) {
        char ignored[256];
        size_t room = sizeof check->said - 1 - check->said_len;
        ssize_t len = room > 0 ? read(check->output_fd, check->said + check->said_len, room)
                               : read(check->output_fd, ignored, sizeof ignored);
        if (len < 0 && errno == EAGAIN)
            return;
        if (len <= 0)
            fd_close(&check->output_fd);
        else if (room > 0)
            check->said_len += (size_t)len;
    }
}

void replacement_heard(struct keeper *keeper, size_t part)
{
    listen_to(&keeper->replacement.checks[part]);
}

/* The first line alone, without what would break a line of the log. */
static void keep_first_line(struct image_check *check)
{
    size_t len = 0;
    while (len < check->said_len && check->said[len] >= ' ' && check->said[len] != '"' &&
           check->said[len] <= '~')
        len++;
    check->said[len] = '\0';
    check->said_len = len;
}

/* "flocksd 1.2.3" names the version. */
static bool read_version(struct replacement *replacement, size_t part)
{
    const char *said = replacement->checks[part].said;
    size_t name_len = strlen(part_names[part]);
    if (strncmp(said, part_names[part], name_len) != 0 || said[name_len] != ' ')
        return false;
    size_t len = strnlen(said + name_len + 1, sizeof replacement->versions[part] - 1);
    memcpy(replacement->versions[part], said + name_len + 1, len);
    replacement->versions[part][len] = '\0';
    return replacement->versions[part][0] != '\0';
}

/* "": it is good. */
static void judge(
    struct replacement *replacement, size_t part, int wait_status, char *out, size_t out_size)
{
    struct image_check *check = &replacement->checks[part];
    const char *expected = replacement->expected[part];
    keep_first_line(check);
    out[0] = '\0';
    if (WIFSIGNALED(wait_status))
        (void)snprintf(out, out_size, "cannot be used: it died of signal %d when it was tried out",
            WTERMSIG(wait_status));
    else if (WEXITSTATUS(wait_status) != 0)
        (void)snprintf(out, out_size, "cannot be used: exit code %d when it was tried out%s%.200s",
            WEXITSTATUS(wait_status), check->said[0] == '\0' ? "" : ": ", check->said);
    else if (!read_version(replacement, part))
        (void)snprintf(out, out_size, "cannot be used: it does not say what it is");
    else if (expected[0] != '\0' && strcmp(replacement->versions[part], expected) != 0)
        (void)snprintf(
            out, out_size, "is version %s, not %s", replacement->versions[part], expected);
}

static void answer_prepared(struct keeper *keeper)
{
    struct replacement *replacement = &keeper->replacement;
    static keeper_prepare_replace_response response;
    uint32_t stream_id = replacement->stream_id;
    memcpy(response.flocksd_version, replacement->versions[REPLACEMENT_FLOCKSD],
        sizeof response.flocksd_version);
    memcpy(response.keeper_version, replacement->versions[REPLACEMENT_KEEPER],
        sizeof response.keeper_version);
    replacement->phase = REPLACEMENT_PREPARED;
    replacement->ends_at = 0;
    replacement->stream_id = 0;
    /* A link that is blocked is broken in the end, and flocksd asks again. */
    if (!link_reply(keeper, stream_id, &flocks_keeper_v1_PrepareReplaceResponse_msg, &response))
        replacement_end(keeper, "the keeper's link was blocked");
}

bool replacement_reaped(struct keeper *keeper, pid_t pid, int wait_status)
{
    struct replacement *replacement = &keeper->replacement;
    char why[384];
    size_t part = 0;
    while (part < REPLACEMENT_PARTS && replacement->checks[part].pid != pid)
        part++;
    if (part == REPLACEMENT_PARTS)
        return false;
    struct image_check *check = &replacement->checks[part];
    listen_to(check);
    check->pid = 0;
    if (replacement->phase == REPLACEMENT_REFUSING && !is_checking(replacement))
        tell_refusal(keeper);
    if (replacement->phase != REPLACEMENT_CHECKING)
        return true;
    /* What it has left behind may hold the other end. */
    fd_close(&check->output_fd);
    judge(replacement, part, wait_status, why, sizeof why);
    check->is_good = why[0] == '\0';
    if (!check->is_good)
        refuse_part(keeper, part, why);
    else if (replacement->checks[REPLACEMENT_FLOCKSD].is_good &&
             replacement->checks[REPLACEMENT_KEEPER].is_good)
        answer_prepared(keeper);
    return true;
}

/* ---- flocksd ---- */

enum rpc_code replacement_begin(struct keeper *keeper, const char *operation_id)
{
    struct replacement *replacement = &keeper->replacement;
    if (operation_id[0] == '\0')
        return RPC_OK;
    bool is_prepared = replacement->phase == REPLACEMENT_PREPARED &&
                       strcmp(replacement->operation_id, operation_id) == 0;
    if (!is_prepared) {
        keeper->link.message = "no such replacement is prepared";
        return RPC_FAILED_PRECONDITION;
    }
    image_move(&replacement->previous, &keeper->server.image);
    image_move(&keeper->server.image, &replacement->images[REPLACEMENT_FLOCKSD]);
    memcpy(replacement->previous_version, keeper->server.version,
        sizeof replacement->previous_version);
    replacement->phase = REPLACEMENT_TRYING;
    replacement->n_deaths = 0;
    replacement->ends_at = clock_monotonic_ms() + KEEPER_TRIAL_MS;
    return RPC_OK;
}

/* The present flocksd is killed if it lives; the one of before is run when it has ended. */
static void turn_back(struct keeper *keeper, const char *why)
{
    struct replacement *replacement = &keeper->replacement;
    char text[sizeof replacement->failure];
    log_warn("flocksd turned back", "path=%s", keeper->server.image.path);
    (void)snprintf(text, sizeof text, "flocksd %s %s; flocksd %s runs again",
        replacement->versions[REPLACEMENT_FLOCKSD], why, replacement->previous_version);
    image_move(&keeper->server.image, &replacement->previous);
    keeper->server.rerun_delay_ms = 0;
    if (keeper->server.pid > 0)
        (void)kill(keeper->server.pid, SIGKILL);
    keeper->server.is_turned_back = true;
    replacement_end(keeper, text);
}

void replacement_greeted(struct keeper *keeper, const char *version)
{
    const struct replacement *replacement = &keeper->replacement;
    const char *expected = replacement->expected[REPLACEMENT_FLOCKSD];
    char why[128];
    if (replacement->phase != REPLACEMENT_TRYING)
        return;
    if (version == NULL) {
        turn_back(keeper, "speaks no number of the link's protocol that this keeper speaks");
    } else if (expected[0] != '\0' &&
               strncmp(version, expected, sizeof replacement->previous_version - 1) != 0) {
        (void)snprintf(
            why, sizeof why, "says that it is version %.31s, not %.63s", version, expected);
        turn_back(keeper, why);
    }
}

void replacement_ready(struct keeper *keeper)
{
    struct replacement *replacement = &keeper->replacement;
    if (replacement->phase != REPLACEMENT_TRYING)
        return;
    image_close(&replacement->previous);
    replacement->phase = REPLACEMENT_RENEWING;
    replacement->ends_at = clock_monotonic_ms() + KEEPER_QUIET_MS;
    log_info("flocksd replaced", "operation=%s version=%s path=%s", replacement->operation_id,
        replacement->versions[REPLACEMENT_FLOCKSD], keeper->server.image.path);
    link_pause(keeper);
}

bool replacement_server_ended(struct keeper *keeper, const char *how)
{
    struct replacement *replacement = &keeper->replacement;
    struct server *server = &keeper->server;
    char why[160];
    /* Nobody waits for an answer any more. */
    replacement->stream_id = 0;
    if (server->is_turned_back) {
        server->is_turned_back = false;
        return true;
    }
    if (replacement->phase == REPLACEMENT_CHECKING || replacement->phase == REPLACEMENT_PREPARED) {
        refuse(keeper, "flocksd ended before it gave its place to another image; it runs again");
        return false;
    }
    /* The first to end is the one that is replaced. */
    if (replacement->phase != REPLACEMENT_TRYING || server->is_ready)
        return false;
    replacement->n_deaths++;
    if (!server->has_failed && replacement->n_deaths < KEEPER_TRIAL_DEATHS)
        return false;
    if (server->has_failed)
        (void)snprintf(why, sizeof why, "cannot serve: %.140s", server->complaint);
    else
        (void)snprintf(why, sizeof why, "ended %u times before it was ready (%s)",
            (unsigned)replacement->n_deaths, how);
    turn_back(keeper, why);
    server->is_turned_back = false;
    return true;
}

/* ---- time, and the keeper's own image ---- */

/* As turn_back; and if the one that was tried has just died, the one of before is run now. */
static void turn_back_now(struct keeper *keeper, const char *why)
{
    turn_back(keeper, why);
    if (keeper->server.pid != 0)
        return;
    keeper->server.is_turned_back = false;
    server_start(keeper);
}

void replacement_shut(struct keeper *keeper)
{
    if (keeper->replacement.phase == REPLACEMENT_TRYING)
        turn_back_now(keeper, "was not ready when the keeper was asked to end");
}

void replacement_expired(struct keeper *keeper)
{
    struct replacement *replacement = &keeper->replacement;
    replacement->ends_at = 0;
    switch (replacement->phase) {
    case REPLACEMENT_CHECKING:
        refuse_part(keeper,
            replacement->checks[REPLACEMENT_FLOCKSD].is_good ? REPLACEMENT_KEEPER
                                                             : REPLACEMENT_FLOCKSD,
            "cannot be used: it does not answer when it is tried out");
        return;
    case REPLACEMENT_REFUSING:
        tell_refusal(keeper);
        return;
    case REPLACEMENT_TRYING:
        turn_back_now(keeper, "was not ready in time");
        return;
    case REPLACEMENT_RENEWING:
        replacement_end(keeper,
            "flocksd is replaced; the keeper is not, because a child has been in the middle of its "
            "start all the time");
        return;
    case REPLACEMENT_NONE:
    case REPLACEMENT_PREPARED:
    case REPLACEMENT_ENDED:
        return;
    }
}

static bool is_quiet(const struct keeper *keeper)
{
    return keeper->n_spawning == 0 && keeper->n_due_calls == 0 && !keeper->link.is_blocked;
}

void replacement_turn(struct keeper *keeper)
{
    struct replacement *replacement = &keeper->replacement;
    char text[sizeof replacement->failure];
    if (replacement->phase != REPLACEMENT_RENEWING)
        return;
    if (keeper->phase != KEEPER_SERVING) {
        replacement_end(keeper, "flocksd is replaced; the keeper is not, because it ends");
        return;
    }
    if (!is_quiet(keeper))
        return;
    int failure = renewal_execute(keeper, &replacement->images[REPLACEMENT_KEEPER]);
    (void)snprintf(text, sizeof text,
        "flocksd is replaced; the keeper stays version %s, because the new one cannot be executed: "
        "%s",
        FLOCKS_VERSION, strerrordesc_np(failure));
    replacement_end(keeper, text);
}

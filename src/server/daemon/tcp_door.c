#include "server/daemon/tcp_door.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "flocks/v1/types.names.h"

#include "common/base/log.h"
#include "common/base/utf8.h"
#include "server/supervise/holder_search.h"
#include "server/supervise/listener.h"
#include "server/supervise/supervisor.h"
#include "server/transport/transport.h"

enum { PROBLEM_TEXT_SIZE = ERROR_TEXT_MAX + ERROR_HINT_MAX + sizeof(": ") };

/* ---- refusals ---- */

const ProtobufCMessage *tcp_door_refusal(enum gate_verdict verdict)
{
    static flocks_error_detail detail;

    detail = (flocks_error_detail)FLOCKS_ERROR_DETAIL_INIT;
    detail.attempted = "call over TCP";
    if (verdict == GATE_FOREIGN) {
        detail.reason = FLOCKS_ERROR_REASON_AUTHORITY;
        detail.hint = "name 127.0.0.1, [::1] or localhost as the authority";
    } else {
        detail.reason = FLOCKS_ERROR_REASON_TOKEN;
        detail.hint = "send metadata 'authorization: Bearer TOKEN' with the content of "
                      "run/control.token, or use the unix socket";
    }
    return &detail.base;
}

/* ---- telling ---- */

static void tell(struct tcp_door *door)
{
    char texts[LOOPBACK_COUNT][LOOPBACK_TEXT_MAX];
    struct supervisor_door told = {.problem = door->problem};

    _Static_assert(
        (int)LOOPBACK_COUNT <= (int)SUPERVISOR_DOOR_ADDRESSES_MAX, "status has room for all");
    for (size_t i = 0; i < LOOPBACK_COUNT; i++) {
        if (!door->is_open[i])
            continue;
        loopback_text((enum loopback)i, door->port, texts[told.n_addresses]);
        told.addresses[told.n_addresses] = texts[told.n_addresses];
        told.n_addresses++;
    }
    supervisor_set_door(door->supervisor, &told);
}

/* Logged once for each. */
static void note_problem(struct tcp_door *door, const char *text)
{
    size_t len = utf8_cut(text, strlen(text), sizeof(door->problem) - 1);

    if (strncmp(door->problem, text, len) == 0 && door->problem[len] == '\0')
        return;
    memcpy(door->problem, text, len);
    door->problem[len] = '\0';
    if (text[0] != '\0')
        log_warn(
            "TCP is not served as configured", "port=%u problem=%s", (unsigned)door->port, text);
}

/* ---- who has the port ---- */

static void look_for_nobody(struct tcp_door *door)
{
    listener_finder_free(door->finder);
    door->finder = NULL;
    door->is_searching = false;
}

static int look(struct tcp_door *door, enum loopback which, struct listener_observation *out,
    struct error *error)
{
    struct listener_cache cache = {.foreign_inode = 0};
    struct endpoint endpoint;
    int result = endpoint_resolve(loopback_host(which), door->port, &endpoint, error);

    if (result == 0 && !door->finder)
        result = listener_finder_new(LISTENER_BY_NETLINK, &door->finder, error);
    if (result == 0)
        result = listener_lookup(door->finder, &endpoint, NULL, &cache, out, error);
    return result;
}

/* A socket that is bound and does not listen is not to be seen. */
static void describe_holder(struct tcp_door *door, enum loopback which, char *out, size_t out_size)
{
    struct listener_observation observation;
    struct error error = ERROR_INIT;
    char address[LOOPBACK_TEXT_MAX];

    if (look(door, which, &observation, &error) == 0 && observation.answer == LISTENER_FOREIGN) {
        listener_describe(&observation, out, out_size);
        door->is_searching = door->is_searching || observation.is_search_pending;
        return;
    }
    loopback_text(which, door->port, address);
    (void)snprintf(out, out_size, "%s is held by another socket", address);
}

/* ---- serving ---- */

static void set_text(const struct error *error, char *out, size_t out_size)
{
    (void)snprintf(out, out_size, "%s%s%s", error->text, error->hint[0] ? ": " : "", error->hint);
}

static int serve(struct tcp_door *door, int fd, struct error *error)
{
    return transport_add_tcp(door->transport, fd, &door->token, error);
}

/* `out_problem` is "" when the address is served, or there is no such address. */
static void open_one(
    struct tcp_door *door, enum loopback which, char *out_problem, size_t problem_size)
{
    struct error error = ERROR_INIT;
    char text[LOOPBACK_TEXT_MAX];
    int fd = -1;
    int result = loopback_listen(which, door->port, &fd, &error);

    out_problem[0] = '\0';
    if (result == LOOPBACK_TAKEN)
        describe_holder(door, which, out_problem, problem_size);
    if (result == 0)
        result = serve(door, fd, &error);
    if (result < 0)
        set_text(&error, out_problem, problem_size);
    if (result != 0)
        return;
    door->is_open[which] = true;
    loopback_text(which, door->port, text);
    log_info("TCP is served", "address=%s", text);
}

/* The first problem is told. */
static void open_all(struct tcp_door *door)
{
    char first[PROBLEM_TEXT_SIZE] = "";

    for (size_t i = 0; i < LOOPBACK_COUNT; i++) {
        char problem[PROBLEM_TEXT_SIZE] = "";

        if (!door->is_open[i])
            open_one(door, (enum loopback)i, problem, sizeof(problem));
        if (first[0] == '\0')
            (void)snprintf(first, sizeof(first), "%s", problem);
    }
    note_problem(door, first);
}

/* run/control.token outlives every flocksd: whoever has read it need not read it again. */
static int load_token(struct tcp_door *door, struct error *error)
{
    char path[PATH_MAX];

    if (door->has_token)
        return 0;
    if (snprintf(path, sizeof(path), "%s/control.token", door->paths->run) >= (int)sizeof(path))
        return error_set(error, STATUS_INVALID_ARGUMENT, "the token's path is too long");
    if (token_read_or_make(path, &door->token, error) < 0)
        return -(int)error->code;
    door->has_token = true;
    return 0;
}

static void on_timer(uv_timer_t *timer);

static void try_again_later(struct tcp_door *door)
{
    /* Cannot fail: it is open and has a callback. */
    (void)uv_timer_start(
        &door->timer, on_timer, door->is_searching ? HOLDER_SEARCH_PAUSE_MS : TCP_DOOR_RETRY_MS, 0);
}

static void attempt(struct tcp_door *door)
{
    struct error error = ERROR_INIT;
    char text[PROBLEM_TEXT_SIZE];

    door->is_searching = false;
    if (load_token(door, &error) < 0) {
        set_text(&error, text, sizeof(text));
        note_problem(door, text);
    } else {
        open_all(door);
    }
    if (door->problem[0] != '\0')
        try_again_later(door);
    else
        look_for_nobody(door);
    tell(door);
}

static void on_timer(uv_timer_t *timer)
{
    struct tcp_door *door = timer->data;

    if (door->finder && listener_finder_is_searching(door->finder))
        (void)listener_finder_turn(door->finder);
    attempt(door);
}

/* ---- life ---- */

void tcp_door_open(struct tcp_door *door, uv_loop_t *loop)
{
    /* Cannot fail in libuv 1.44. */
    (void)uv_timer_init(loop, &door->timer);
    door->timer.data = door;
    uv_unref((uv_handle_t *)&door->timer);
}

void tcp_door_configure(struct tcp_door *door, bool is_wanted, uint16_t port)
{
    bool is_same = is_wanted == door->is_wanted && (!is_wanted || port == door->port);

    if (is_same || door->is_closed)
        return;
    if (door->is_wanted) {
        log_info("TCP is not served any more", "port=%u", (unsigned)door->port);
        transport_end_tcp(door->transport);
        memset(door->is_open, 0, sizeof(door->is_open));
    }
    (void)uv_timer_stop(&door->timer);
    door->is_wanted = is_wanted;
    door->port = port;
    door->has_token = false;
    note_problem(door, "");
    if (is_wanted) {
        attempt(door);
        return;
    }
    look_for_nobody(door);
    tell(door);
}

void tcp_door_close(struct tcp_door *door)
{
    if (door->is_closed || door->timer.data == NULL)
        return;
    door->is_closed = true;
    look_for_nobody(door);
    uv_close((uv_handle_t *)&door->timer, NULL);
}

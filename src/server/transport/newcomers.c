#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "common/base/clock.h"
#include "common/base/fd.h"
#include "common/base/log.h"
#include "server/transport/crowd.h"
#include "server/transport/peer.h"
#include "server/transport/transport_private.h"

static struct connection *connection_of_member(struct population_member *member)
{
    return CONTAINER_OF(member, struct connection, member);
}

/* ---- telling ---- */

void newcomers_complain(
    void *data, enum complaint_kind kind, const struct rpc_peer *peer, const char *text)
{
    struct transport *transport = data;
    uint64_t left_out;

    if (!complaints_admit(&transport->complaints, kind, peer->pid, clock_monotonic_ms(), &left_out))
        return;
    log_warn("connection refused or closed", "pid=%d uid=%u unmentioned=%llu reason=%s",
        (int)peer->pid, (unsigned)peer->uid, (unsigned long long)left_out, text);
}

void newcomers_evict(
    struct transport *transport, struct population_member *member, const char *reason)
{
    struct connection *connection = connection_of_member(member);

    newcomers_complain(transport, COMPLAINT_CROWD, &connection->peer, reason);
    connection_close(connection);
}

/* ---- room ---- */

/* False: there is no room for one more of `crowd`. */
static bool admit(struct transport *transport, int32_t crowd)
{
    struct population_member *victim;

    if (!crowd_admits(&transport->shared.population, crowd, transport->connections_max, &victim))
        return false;
    if (victim)
        newcomers_evict(transport, victim, "too many connections");
    return true;
}

static bool join(struct transport *transport, struct connection *connection)
{
    /* Its old place is not counted against it. */
    population_leave(&transport->shared.population, &connection->member);
    return admit(transport, CROWD_TCP) &&
           population_join(&transport->shared.population, CROWD_TCP, &connection->member) == 0;
}

void newcomers_entered(void *data, struct connection *connection)
{
    struct transport *transport = data;

    if (join(transport, connection))
        return;
    newcomers_complain(transport, COMPLAINT_CROWD, &connection->peer,
        "too many connections over TCP, all of them with calls");
    connection_close(connection);
}

/* ---- doors ---- */

static int identify(int fd, bool is_tcp, struct connection_origin *out, struct error *error)
{
    int result;

    *out = (struct connection_origin){.is_tcp = is_tcp,
        .crowd = CROWD_STRANGERS,
        .peer = {.pid = 0, .uid = UINT32_MAX, .gid = UINT32_MAX}};
    if (is_tcp)
        return 0;
    result = peer_identify(fd, &out->peer, error);
    out->crowd = out->peer.pid;
    return result;
}

/* Takes *fd if the peer may enter and there is room. Negative: no memory. */
static int let_in(struct transport *transport, const struct connection_origin *origin, int *fd,
    struct error *error)
{
    if (!origin->is_tcp && !peer_may_enter(&origin->peer, transport->owner)) {
        newcomers_complain(transport, COMPLAINT_UID, &origin->peer, "another user");
        return 0;
    }
    if (!admit(transport, origin->crowd)) {
        newcomers_complain(transport, COMPLAINT_CROWD, &origin->peer,
            "too many connections, all of them with calls");
        return 0;
    }
    return connection_open(&transport->shared, fd_take(fd), origin, error);
}

static void on_accepted(void *data, int fd)
{
    CLEANUP(fd_close) int newcomer_fd = fd;
    const struct transport_door *door = data;
    bool is_tcp = door->tcp_fd >= 0;
    struct error error = ERROR_INIT;
    struct connection_origin origin;
    const int on = 1;

    /* An answer is written once it is whole: waiting for more only delays it. */
    if (is_tcp)
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (identify(newcomer_fd, is_tcp, &origin, &error) < 0 ||
        let_in(door->transport, &origin, &newcomer_fd, &error) < 0)
        log_warn("connection refused", "error=%s", error.text);
}

/* Who comes over TCP takes the room of others over TCP. */
static bool on_make_room(void *data)
{
    const struct transport_door *door = data;
    struct population *population = &door->transport->shared.population;
    struct population_member *victim = door->tcp_fd >= 0
                                           ? population_victim_of(population, CROWD_STRANGERS)
                                           : population_victim(population, 0);

    if (!victim)
        return false;
    newcomers_evict(door->transport, victim, "too many connections");
    return true;
}

static void on_turned_away(void *data)
{
    const struct transport_door *door = data;

    newcomers_complain(door->transport, COMPLAINT_CROWD, &(struct rpc_peer){.uid = UINT32_MAX},
        "no descriptor left");
}

int newcomers_open_door(struct transport *transport, size_t index, int fd, struct error *error)
{
    static const struct listener_events events = {
        .accepted = on_accepted,
        .make_room = on_make_room,
        .turned_away = on_turned_away,
    };
    struct transport_door *door = &transport->doors[index];

    return listener_open(transport->shared.loop, fd, &events, door, &door->listener, error);
}

void newcomers_close_door(struct transport_door *door)
{
    listener_close(door->listener);
    door->listener = NULL;
    /* The listener has stopped polling it (libuv, uv_poll_t). */
    fd_close(&door->tcp_fd);
}

#include "client/lib/reach.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "client/lib/failure.h"
#include "common/base/fd.h"
#include "common/base/paths.h"

static const char PREFIX[] = "tcp:";

/* ---- the address ---- */

static bool parse_port(const char *text, in_port_t *out)
{
    enum { DIGITS_MAX = 5, PORT_MAX = 65535 };
    size_t len = strspn(text, "0123456789");
    if (len == 0 || len > DIGITS_MAX || text[len] != '\0')
        return false;
    unsigned long port = strtoul(text, NULL, 10);
    *out = htons((in_port_t)port);
    return port > 0 && port <= PORT_MAX;
}

/* Names are not asked for: `localhost` is 127.0.0.1, whatever a resolver would say. */
static bool parse_host(struct reach *reach, const char *host)
{
    if (strcmp(host, "[::1]") == 0) {
        reach->address.ipv6.sin6_family = AF_INET6;
        reach->address.ipv6.sin6_addr = in6addr_loopback;
        return true;
    }
    reach->address.ipv4.sin_family = AF_INET;
    if (strcasecmp(host, "localhost") == 0)
        host = "127.0.0.1";
    return inet_pton(AF_INET, host, &reach->address.ipv4.sin_addr) == 1 &&
           ntohl(reach->address.ipv4.sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
}

static bool parse_address(struct reach *reach)
{
    char host[sizeof "255.255.255.255"] = "";
    const char *text = reach->text + sizeof PREFIX - 1;
    const char *colon = strrchr(text, ':');
    in_port_t port = 0;
    if (colon == NULL || (size_t)(colon - text) >= sizeof host || !parse_port(colon + 1, &port))
        return false;
    memcpy(host, text, (size_t)(colon - text));
    if (!parse_host(reach, host))
        return false;
    /* At the same place in both. */
    reach->address.ipv4.sin_port = port;
    return true;
}

static socklen_t address_size(const struct reach *reach)
{
    return reach->address.any.sa_family == AF_INET6 ? sizeof reach->address.ipv6
                                                    : sizeof reach->address.ipv4;
}

/* ---- life ---- */

static const char *environment(const char *name)
{
    /* Read only; who changes the environment meanwhile is no thread of ours. */
    const char *value = getenv(name); // NOLINT(concurrency-mt-unsafe)
    return value != NULL && value[0] != '\0' ? value : NULL;
}

/* `paths` may be NULL where it is not needed (needs_root), here and below. */
static char *copy_token_file(const struct flocks_client_options *options, const struct paths *paths)
{
    const char *chosen = options->token_file;
    char path[PATH_MAX + sizeof "/control.token"];
    if (chosen == NULL)
        chosen = environment("FLOCKS_TOKEN_FILE");
    if (chosen != NULL)
        return strdup(chosen);
    (void)snprintf(path, sizeof path, "%s/control.token", paths->run);
    return strdup(path);
}

static const char *choose(const struct flocks_client_options *options, const struct paths *paths)
{
    if (options->socket != NULL)
        return options->socket;
    return paths->tcp[0] != '\0' ? paths->tcp : paths->socket;
}

static enum rpc_result settle(struct reach *reach, const struct flocks_client_options *options,
    const struct paths *paths, struct flocks_error **error)
{
    reach->text = strdup(choose(options, paths));
    if (reach->text == NULL)
        return failure_make(error, RPC_RESOURCE_EXHAUSTED, "no memory for a client");
    reach->is_tcp = strncmp(reach->text, PREFIX, sizeof PREFIX - 1) == 0;
    if (!reach->is_tcp)
        return RPC_DONE;
    if (!parse_address(reach))
        return failure_make(error, RPC_INVALID_ARGUMENT,
            "'%s' is no address of a daemon: tcp:127.0.0.1:PORT, tcp:[::1]:PORT or "
            "tcp:localhost:PORT",
            reach->text);
    reach->token_file = copy_token_file(options, paths);
    if (reach->token_file == NULL)
        return failure_make(error, RPC_RESOURCE_EXHAUSTED, "no memory for a client");
    return RPC_DONE;
}

static bool needs_root(const struct flocks_client_options *options)
{
    bool is_tcp =
        options->socket != NULL && strncmp(options->socket, PREFIX, sizeof PREFIX - 1) == 0;
    bool has_token_file = options->token_file != NULL || environment("FLOCKS_TOKEN_FILE") != NULL;
    return options->socket == NULL || (is_tcp && !has_token_file);
}

/* *out is the caller's, also after a failure. */
static enum rpc_result resolve_root(
    const struct flocks_client_options *options, struct paths **out, struct flocks_error **error)
{
    struct error failure = ERROR_INIT;
    *out = malloc(sizeof **out);
    if (*out == NULL)
        return failure_make(error, RPC_RESOURCE_EXHAUSTED, "no memory for a client");
    if (paths_resolve(options->root, NULL, *out, &failure) != 0)
        return failure_make(error, (enum rpc_code)failure.code, "%s", failure.text);
    return RPC_DONE;
}

enum rpc_result reach_init(
    struct reach *reach, const struct flocks_client_options *options, struct flocks_error **error)
{
    *reach = (struct reach){.text = NULL};
    /* Large, and not needed by who names a socket. */
    struct paths *paths = NULL;
    enum rpc_result result = RPC_DONE;
    if (needs_root(options))
        result = resolve_root(options, &paths, error);
    if (result == RPC_DONE)
        result = settle(reach, options, paths, error);
    free(paths);
    if (result != RPC_DONE)
        reach_deinit(reach);
    return result;
}

void reach_deinit(struct reach *reach)
{
    free(reach->text);
    free(reach->token_file);
    *reach = (struct reach){.text = NULL};
}

/* ---- connecting ---- */

static int open_unix(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(address.sun_path, path, strlen(path));
    CLEANUP(fd_close) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof address) != 0)
        return -1;
    return fd_take(&fd);
}

static int open_tcp(const struct reach *reach)
{
    const int on = 1;
    CLEANUP(fd_close)
    int fd = socket(reach->address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    /* A request is written once it is whole. */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (connect(fd, &reach->address.any, address_size(reach)) != 0 && errno != EINPROGRESS)
        return -1;
    return fd_take(&fd);
}

int reach_open(const struct reach *reach)
{
    return reach->is_tcp ? open_tcp(reach) : open_unix(reach->text);
}

struct rpc_client *reach_connect(
    const struct reach *reach, int64_t timeout_ms, struct rpc_error **error)
{
    if (!reach->is_tcp)
        return rpc_client_connect(reach->text, timeout_ms, error);
    return rpc_client_connect_address(
        &reach->address.any, address_size(reach), reach->text, timeout_ms, error);
}

/* ---- the token ---- */

enum rpc_result reach_token(
    struct reach *reach, const struct token **out, struct flocks_error **error)
{
    struct error failure = ERROR_INIT;
    *out = NULL;
    if (!reach->is_tcp)
        return RPC_DONE;
    if (!reach->has_token && token_read(reach->token_file, &reach->token, &failure) != 0)
        return failure_make(error, RPC_UNAUTHENTICATED,
            "calling %s: %s; FLOCKS_TOKEN_FILE names another one", reach->text, failure.text);
    reach->has_token = true;
    *out = &reach->token;
    return RPC_DONE;
}

void reach_note_code(struct reach *reach, enum rpc_code code)
{
    if (code == RPC_UNAUTHENTICATED)
        reach->has_token = false;
}

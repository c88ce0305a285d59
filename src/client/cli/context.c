#include "client/cli/context.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/un.h>
#include <unistd.h>

/* Longest text that sun_path holds with its NUL (unix(7)). */
enum { SOCKET_PATH_MAX = sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1 };

static bool is_set(const char *name)
{
    /* One thread, and nobody sets a variable. */
    const char *value = getenv(name); // NOLINT(concurrency-mt-unsafe)
    return value && value[0];
}

static int use_tcp(struct cli *cli, const char *address, struct error *error)
{
    if (strlen(address) >= sizeof(cli->paths.tcp))
        return error_set(error, STATUS_INVALID_ARGUMENT, "--socket: '%s' is no address", address);
    memcpy(cli->paths.tcp, address, strlen(address) + 1);
    return 0;
}

static int use_socket(struct cli *cli, const char *socket, struct error *error)
{
    if (strncmp(socket, "tcp:", 4) == 0)
        return use_tcp(cli, socket, error);
    cli->paths.tcp[0] = '\0';
    char directory[PATH_MAX] = "";
    if (socket[0] != '/' && !getcwd(directory, sizeof(directory)))
        return error_set_errno(error, errno, "find the working directory");
    int len = snprintf(cli->paths.socket, sizeof(cli->paths.socket), "%s%s%s", directory,
        directory[0] ? "/" : "", socket);
    if (len < 0 || (size_t)len >= sizeof(cli->paths.socket))
        return error_set(error, STATUS_INVALID_ARGUMENT, "--socket: the path is too long");
    if ((size_t)len > SOCKET_PATH_MAX)
        return error_set(error, STATUS_INVALID_ARGUMENT,
            "--socket has %d bytes; a socket path has at most %d", len, (int)SOCKET_PATH_MAX);
    cli->paths.socket_is_fallback = false;
    return 0;
}

int context_resolve(struct cli *cli, struct error *error)
{
    const char *socket = cli_text(cli, OPTION_SOCKET);
    cli->config_is_named = cli_text(cli, OPTION_CONFIG) || is_set("FLOCKS_CONFIG");
    int result =
        paths_resolve(cli_text(cli, OPTION_ROOT), cli_text(cli, OPTION_CONFIG), &cli->paths, error);
    return result == 0 && socket ? use_socket(cli, socket, error) : result;
}

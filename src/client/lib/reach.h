/* How a client reaches its daemon: by the path of a socket, or by a loopback address and the token
 * that lets it in there. Private to the library. */
#ifndef FLOCKS_LIB_REACH_H
#define FLOCKS_LIB_REACH_H

#include <netinet/in.h>
#include <stdbool.h>

#include "flocks/client.h"

#include "common/base/token.h"

struct reach {
    /* "/…/flocksd.sock" or "tcp:127.0.0.1:48765". */
    char *text;
    bool is_tcp;
    union {
        struct sockaddr any;
        struct sockaddr_in ipv4;
        struct sockaddr_in6 ipv6;
    } address;
    char *token_file; /* of TCP */
    bool has_token;
    struct token token;
};

/* Touches nothing on disk. INVALID_ARGUMENT: an address that is not this machine's loopback, or no
 * address. */
enum rpc_result reach_init(
    struct reach *reach, const struct flocks_client_options *options, struct flocks_error **error);
void reach_deinit(struct reach *reach);

/* Blocks for `timeout_ms` at most. NULL and *error. */
struct rpc_client *reach_connect(
    const struct reach *reach, int64_t timeout_ms, struct rpc_error **error);
/* A socket that is connected or, over TCP, may just be connecting: what is written waits for that.
 * -1 and errno. Never blocks. */
int reach_open(const struct reach *reach);

/* The token for one more call, NULL where none is needed. It is read once, and again after
 * reach_note_code said so. UNAUTHENTICATED: the file cannot be read, or holds none. */
enum rpc_result reach_token(
    struct reach *reach, const struct token **out, struct flocks_error **error);
/* What a call ended with. UNAUTHENTICATED: the file may hold another token by now. */
void reach_note_code(struct reach *reach, enum rpc_code code);

#endif

/* Format: Linux Documentation/networking/proc_net_tcp.rst. Listening sockets come before all
 * others, so reading ends at the first one that does not listen. */
#include "server/supervise/proc_net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/fd.h"

enum {
    PIECE_SIZE = 32 * 1024,
    FIRST_CAPACITY = 64,
    HEX = 16,
    DECIMAL = 10,
    WORD_DIGITS = 8,
    STATE_LISTEN = 0x0A,
    /* Of /proc/net/tcp, from 0: where what is read stands. */
    FIELD_LOCAL = 1,
    FIELD_STATE = 3,
    FIELD_UID = 7,
    FIELD_INODE = 9
};

struct proc_net {
    char directory[PATH_MAX];
    int64_t read_at;
    size_t count;
    size_t capacity;
    struct tcp_listener *items;
};

/* ---- lines ---- */

static const char *field(const char *line, int index)
{
    line += strspn(line, " ");
    for (; index > 0; index--) {
        line += strcspn(line, " ");
        line += strspn(line, " ");
    }
    return line;
}

/* Words of an address stand as the machine reads them from memory. */
static bool parse_word(const char *text, void *out)
{
    char digits[WORD_DIGITS + 1] = "";
    char *end = NULL;
    uint32_t word;

    memcpy(digits, text, strnlen(text, WORD_DIGITS));
    word = (uint32_t)strtoul(digits, &end, HEX);
    memcpy(out, &word, sizeof word);
    return end == digits + WORD_DIGITS;
}

/* "0100007F:1F90" */
static bool parse_address(const char *text, sa_family_t family, union endpoint_address *out)
{
    size_t words = family == AF_INET6 ? 4 : 1;
    uint8_t *bytes;
    char *end = NULL;
    unsigned long port;

    memset(out, 0, sizeof *out);
    bytes = family == AF_INET6 ? (uint8_t *)&out->v6.sin6_addr : (uint8_t *)&out->v4.sin_addr;
    for (size_t i = 0; i < words; i++) {
        if (!parse_word(text + i * WORD_DIGITS, bytes + i * sizeof(uint32_t)))
            return false;
    }
    text += words * WORD_DIGITS;
    if (*text != ':')
        return false;
    port = strtoul(text + 1, &end, HEX);
    if (end == text + 1 || port > UINT16_MAX)
        return false;
    out->any.sa_family = family;
    if (family == AF_INET6)
        out->v6.sin6_port = htons((uint16_t)port);
    else
        out->v4.sin_port = htons((uint16_t)port);
    return true;
}

bool proc_net_parse(const char *line, sa_family_t family, struct tcp_listener *out)
{
    memset(out, 0, sizeof *out);
    if (!parse_address(field(line, FIELD_LOCAL), family, &out->bound) ||
        strtoul(field(line, FIELD_STATE), NULL, HEX) != STATE_LISTEN)
        return false;
    out->uid = (uid_t)strtoul(field(line, FIELD_UID), NULL, DECIMAL);
    out->inode = strtoull(field(line, FIELD_INODE), NULL, DECIMAL);
    return out->inode != 0;
}

/* ---- the table ---- */

/* 0 or an errno. */
static int keep(struct proc_net *table, const struct tcp_listener *listener)
{
    size_t capacity = table->capacity > 0 ? 2 * table->capacity : FIRST_CAPACITY;
    struct tcp_listener *grown;

    if (table->count == PROC_NET_LISTENERS_MAX)
        return EOVERFLOW;
    if (table->count == table->capacity) {
        grown = realloc(table->items, capacity * sizeof *grown);
        if (grown == NULL)
            return ENOMEM;
        table->items = grown;
        table->capacity = capacity;
    }
    table->items[table->count++] = *listener;
    return 0;
}

/* The whole lines of `text`. 0, an errno, or -1: the listening ones have all been seen. *out_used:
 * bytes of whole lines. */
static int take_lines(struct proc_net *table, sa_family_t family, char *text, size_t *out_used)
{
    char *line = text;
    char *end;
    int failed = 0;

    for (; failed == 0 && (end = strchr(line, '\n')) != NULL; line = end + 1) {
        struct tcp_listener listener;

        *end = '\0';
        if (proc_net_parse(line, family, &listener))
            failed = keep(table, &listener);
        else if (strstr(line, "local_address") == NULL)
            failed = -1;
    }
    *out_used = (size_t)(line - text);
    return failed;
}

/* 0 or an errno. */
static int read_table(struct proc_net *table, const char *name, sa_family_t family)
{
    char path[PATH_MAX + sizeof "/tcp6"];
    char text[PIECE_SIZE];
    size_t len = 0;
    int failed = 0;

    (void)snprintf(path, sizeof path, "%s/%s", table->directory, name);
    CLEANUP(fd_close) int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno;
    while (failed == 0 && len < sizeof text - 1) {
        ssize_t more = read(fd, text + len, sizeof text - 1 - len);
        size_t used = 0;

        if (more <= 0)
            return more < 0 ? errno : 0;
        len += (size_t)more;
        text[len] = '\0';
        failed = take_lines(table, family, text, &used);
        len -= used;
        memmove(text, text + used, len);
    }
    return failed < 0 ? 0 : failed;
}

static int refresh(struct proc_net *table, int64_t now, struct error *error)
{
    int failed;

    if (now >= table->read_at && now - table->read_at < PROC_NET_FRESH_MS)
        return 0;
    table->count = 0;
    table->read_at = now;
    failed = read_table(table, "tcp", AF_INET);
    /* There is none where IPv6 is off. */
    if (failed == 0) {
        failed = read_table(table, "tcp6", AF_INET6);
        failed = failed == ENOENT ? 0 : failed;
    }
    if (failed == 0)
        return 0;
    table->read_at = now - PROC_NET_FRESH_MS;
    return error_set_errno(error, failed, "read the sockets of %s", table->directory);
}

int proc_net_new(const char *directory, struct proc_net **out, struct error *error)
{
    struct proc_net *table = calloc(1, sizeof *table);
    int failed;

    if (table == NULL)
        return error_set(error, STATUS_RESOURCE_EXHAUSTED, "no memory for a table of sockets");
    (void)snprintf(table->directory, sizeof table->directory, "%s", directory);
    table->read_at = -PROC_NET_FRESH_MS;
    failed = read_table(table, "tcp", AF_INET);
    if (failed != 0) {
        proc_net_free(table);
        (void)error_set_errno(error, failed, "read %s/tcp", directory);
        if (error != NULL)
            error->code = STATUS_UNAVAILABLE;
        return -STATUS_UNAVAILABLE;
    }
    *out = table;
    return 0;
}

void proc_net_free(struct proc_net *table)
{
    if (table == NULL)
        return;
    free(table->items);
    free(table);
}

/* ---- questions ---- */

static bool is_same_address(const union endpoint_address *a, const union endpoint_address *b)
{
    if (a->any.sa_family != b->any.sa_family ||
        endpoint_address_port(a) != endpoint_address_port(b))
        return false;
    if (a->any.sa_family == AF_INET)
        return a->v4.sin_addr.s_addr == b->v4.sin_addr.s_addr;
    return IN6_ARE_ADDR_EQUAL(&a->v6.sin6_addr, &b->v6.sin6_addr);
}

static size_t collect(const struct proc_net *table, const union endpoint_address *bound,
    struct tcp_listener *out, size_t capacity)
{
    size_t count = 0;

    for (size_t i = 0; i < table->count; i++) {
        if (!is_same_address(&table->items[i].bound, bound))
            continue;
        if (count < capacity)
            out[count] = table->items[i];
        count++;
    }
    return count;
}

/* Where the kernel looks for a listener, in its order: the address itself, as IPv6 writes it, the
 * wildcard of its family, the dual-stack one (net/ipv4/inet_hashtables.c). */
static size_t fill_places(const union endpoint_address *address, union endpoint_address out[4])
{
    in_port_t port = htons(endpoint_address_port(address));
    size_t n = 0;

    memset(out, 0, 4 * sizeof *out);
    out[n++] = *address;
    if (address->any.sa_family == AF_INET) {
        uint8_t *mapped = out[n].v6.sin6_addr.s6_addr;

        out[n].v6.sin6_family = AF_INET6;
        out[n].v6.sin6_port = port;
        mapped[10] = mapped[11] = 0xff;
        memcpy(mapped + 12, &address->v4.sin_addr, sizeof address->v4.sin_addr);
        n++;
        out[n].v4.sin_family = AF_INET;
        out[n++].v4.sin_port = port;
    }
    out[n].v6.sin6_family = AF_INET6;
    out[n++].v6.sin6_port = port;
    return n;
}

int proc_net_find(struct proc_net *table, const union endpoint_address *address, int64_t now,
    struct tcp_listener *out, size_t capacity, size_t *out_count, struct error *error)
{
    union endpoint_address places[4];
    size_t n_places = fill_places(address, places);
    int result = refresh(table, now, error);

    *out_count = 0;
    for (size_t i = 0; i < n_places && result == 0 && *out_count == 0; i++)
        *out_count = collect(table, &places[i], out, capacity);
    return result == 0 && *out_count == 0 ? TCP_LISTENER_NONE : result;
}

int proc_net_list_port(struct proc_net *table, sa_family_t family, uint16_t port, int64_t now,
    struct tcp_listener *out, size_t capacity, size_t *out_count, struct error *error)
{
    int result = refresh(table, now, error);

    *out_count = 0;
    for (size_t i = 0; i < table->count && result == 0; i++) {
        const union endpoint_address *bound = &table->items[i].bound;

        if (bound->any.sa_family != family || endpoint_address_port(bound) != port)
            continue;
        if (*out_count < capacity)
            out[*out_count] = table->items[i];
        (*out_count)++;
    }
    return result;
}

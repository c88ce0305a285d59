/* The host of a service, as text: an address of this machine. Internal to this room. */
#ifndef FLOCKS_CONFIG_ADDRESS_H
#define FLOCKS_CONFIG_ADDRESS_H

#include <stdbool.h>

#include "common/base/arena.h"

/* 127.0.0.1, 0.0.0.0, ::1, ::, any other literal, or localhost. Names are refused: asking a name
 * server would block, and a listener has an address. */
bool address_is_valid(const char *host);
/* Whether listeners on both hosts with one port would meet: equal, or one is a wildcard that covers
 * the other. */
bool address_overlaps(const char *a, const char *b);
/* Where a client on this machine connects: "http://127.0.0.1:8000", IPv6 in brackets, a loopback
 * address where the host is a wildcard or localhost. NULL: arena exhausted. */
char *address_url(const char *host, unsigned port, struct arena *arena);

#endif

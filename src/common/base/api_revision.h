/* The revision of flocks.v1 that this build speaks (docs/protocol.md, versions). */
#ifndef FLOCKS_BASE_API_REVISION_H
#define FLOCKS_BASE_API_REVISION_H

/* Grows by one with every addition that a client could want to ask for. Shown, and named when one
 * side does not know what the other asks; never compared to decide anything. */
enum { FLOCKS_API_REVISION = 5 };

#endif

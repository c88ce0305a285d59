/* The sixteen outcomes of gRPC, which every layer uses: the wire, the CLI and our own functions.
 * Source: grpc/grpc doc/statuscodes.md. */
#ifndef FLOCKS_BASE_STATUS_H
#define FLOCKS_BASE_STATUS_H

#define STATUS_CODES(X)                                                                            \
    X(OK, 0)                                                                                       \
    X(CANCELLED, 1)                                                                                \
    X(UNKNOWN, 2)                                                                                  \
    X(INVALID_ARGUMENT, 3)                                                                         \
    X(DEADLINE_EXCEEDED, 4)                                                                        \
    X(NOT_FOUND, 5)                                                                                \
    X(ALREADY_EXISTS, 6)                                                                           \
    X(PERMISSION_DENIED, 7)                                                                        \
    X(RESOURCE_EXHAUSTED, 8)                                                                       \
    X(FAILED_PRECONDITION, 9)                                                                      \
    X(ABORTED, 10)                                                                                 \
    X(OUT_OF_RANGE, 11)                                                                            \
    X(UNIMPLEMENTED, 12)                                                                           \
    X(INTERNAL, 13)                                                                                \
    X(UNAVAILABLE, 14)                                                                             \
    X(DATA_LOSS, 15)                                                                               \
    X(UNAUTHENTICATED, 16)

enum status_code {
#define STATUS_CODE_ENTRY(name, number) STATUS_##name = (number),
    STATUS_CODES(STATUS_CODE_ENTRY)
#undef STATUS_CODE_ENTRY
        STATUS_CODE_COUNT
};

/* "NOT_FOUND"; "CODE_<n>" is not invented for others: they answer "UNKNOWN". Static storage. */
const char *status_code_name(int code);

/* The status_code that best says what an errno value means (ENOENT: NOT_FOUND, EACCES:
 * PERMISSION_DENIED, ENOMEM and EMFILE: RESOURCE_EXHAUSTED, ...); else INTERNAL. */
enum status_code status_from_errno(int error_number);

#endif

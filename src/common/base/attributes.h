/* Compiler attributes under short names, and storage that cleans itself up. */
#ifndef FLOCKS_BASE_ATTRIBUTES_H
#define FLOCKS_BASE_ATTRIBUTES_H

#include <stddef.h>

/* The result says whether the work was done; ignoring it is a mistake. */
#define NODISCARD __attribute__((warn_unused_result))
/* Positions of the format and of its first argument, counted from 1. */
#define PRINTF_LIKE(format_at, first_at) __attribute__((format(printf, format_at, first_at)))
/* Runs `function(&variable)` when the variable goes out of scope. */
#define CLEANUP(function) __attribute__((cleanup(function)))

#define ARRAY_LENGTH(array) (sizeof(array) / sizeof((array)[0]))

/* The struct of `type` whose `member` is `*pointer`. */
#define CONTAINER_OF(pointer, type, member)                                                        \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

#endif

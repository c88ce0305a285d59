/* The tables behind outcome.h. */
#include "client/cli/outcome.h"

#include <stddef.h>

#include "flocks/v1/types.names.h"

#include "common/base/attributes.h"

static const struct {
    int code;
    int rank;
    const char *text;
} rows[OUTCOME_COUNT] = {
#define OUTCOME_ENTRY(name, code, rank, text) [OUTCOME_##name] = {code, rank, text},
    OUTCOMES(OUTCOME_ENTRY)
#undef OUTCOME_ENTRY
};

/* clang-format off */
static const enum outcome of_status[STATUS_CODE_COUNT] = {
    [STATUS_OK] = OUTCOME_DONE,
    [STATUS_CANCELLED] = OUTCOME_FAILED,
    [STATUS_UNKNOWN] = OUTCOME_FAILED,
    [STATUS_INVALID_ARGUMENT] = OUTCOME_USAGE,
    [STATUS_DEADLINE_EXCEEDED] = OUTCOME_DEADLINE,
    [STATUS_NOT_FOUND] = OUTCOME_USAGE,
    [STATUS_ALREADY_EXISTS] = OUTCOME_BUSY,
    [STATUS_PERMISSION_DENIED] = OUTCOME_NOT_PERMITTED,
    [STATUS_RESOURCE_EXHAUSTED] = OUTCOME_BUSY,
    [STATUS_FAILED_PRECONDITION] = OUTCOME_BUSY,
    [STATUS_ABORTED] = OUTCOME_BUSY,
    [STATUS_OUT_OF_RANGE] = OUTCOME_USAGE,
    [STATUS_UNIMPLEMENTED] = OUTCOME_NOT_KNOWN,
    [STATUS_INTERNAL] = OUTCOME_FAILED,
    [STATUS_UNAVAILABLE] = OUTCOME_DEADLINE,
    [STATUS_DATA_LOSS] = OUTCOME_FAILED,
    [STATUS_UNAUTHENTICATED] = OUTCOME_NOT_PERMITTED,
};

static const enum outcome of_operation[] = {
    [FLOCKS_OPERATION_STATE_UNSPECIFIED] = OUTCOME_FAILED,
    [FLOCKS_OPERATION_STATE_QUEUED] = OUTCOME_FAILED,
    [FLOCKS_OPERATION_STATE_RUNNING] = OUTCOME_FAILED,
    [FLOCKS_OPERATION_STATE_SUCCEEDED] = OUTCOME_DONE,
    [FLOCKS_OPERATION_STATE_FAILED] = OUTCOME_FAILED,
    [FLOCKS_OPERATION_STATE_CANCELLED] = OUTCOME_FAILED,
    [FLOCKS_OPERATION_STATE_DEADLINE_EXCEEDED] = OUTCOME_DEADLINE,
    [FLOCKS_OPERATION_STATE_INTERRUPTED] = OUTCOME_FAILED,
};
/* clang-format on */

int outcome_exit_code(enum outcome outcome)
{
    return rows[outcome].code;
}

const char *outcome_text(enum outcome outcome)
{
    return rows[outcome].text;
}

enum outcome outcome_of_status(enum status_code code)
{
    return (unsigned)code < ARRAY_LENGTH(of_status) ? of_status[code] : OUTCOME_FAILED;
}

enum outcome outcome_of_operation(int state)
{
    return state >= 0 && (size_t)state < ARRAY_LENGTH(of_operation) ? of_operation[state]
                                                                    : OUTCOME_FAILED;
}

enum outcome outcome_worse(enum outcome a, enum outcome b)
{
    return rows[b].rank < rows[a].rank ? b : a;
}

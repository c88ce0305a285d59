/* google.protobuf.Timestamp and Duration as proto3
 * JSON writes them. No time zone data, no locale. */
#ifndef FLOCKS_SCHEMA_TIME_TEXT_H
#define FLOCKS_SCHEMA_TIME_TEXT_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/attributes.h"

enum {
    TIME_TEXT_MAX = 40 /* room for either text with its NUL */
};

/* Years 1 to 9999, as the message's own contract has it. */
#define TIME_TEXT_SECONDS_MIN INT64_C(-62135596800)
#define TIME_TEXT_SECONDS_MAX INT64_C(253402300799)
#define TIME_TEXT_DURATION_MAX INT64_C(315576000000)

/* "2026-07-24T09:30:00.250Z": no fraction, or 3, 6 or 9
 * digits. -STATUS_OUT_OF_RANGE outside the contract. */
NODISCARD int time_text_format(int64_t seconds, int32_t nanos, char out[TIME_TEXT_MAX]);
/* RFC 3339 with any offset. -STATUS_INVALID_ARGUMENT. */
NODISCARD int time_text_parse(const char *text, size_t len, int64_t *seconds, int32_t *nanos);

/* "1.500s", "-0.000000001s". -STATUS_OUT_OF_RANGE
 * outside the contract (signs that differ among it). */
NODISCARD int time_text_format_duration(int64_t seconds, int32_t nanos, char out[TIME_TEXT_MAX]);
/* -STATUS_INVALID_ARGUMENT: not of that form, or out of range. */
NODISCARD int time_text_parse_duration(
    const char *text, size_t len, int64_t *seconds, int32_t *nanos);

#endif

/* The build-time options (rule) and (method) of crpc/options.proto and flocks/v1/options.proto,
 * read from where protoc leaves what it was not compiled with: the unknown fields of FieldOptions
 * and MethodOptions. */
#ifndef PROTOC_GEN_CRPC_RULES_H
#define PROTOC_GEN_CRPC_RULES_H

#include <stdbool.h>
#include <stdint.h>

#include <protobuf-c/protobuf-c.h>

#include "common/base/arena.h"
#include "google/protobuf/compiler/plugin.pb-c.h"

enum {
    /* Number of the extensions of both files: of the range that anyone may use, so others do. */
    RULES_EXTENSION = 52000
};

/* FieldRule. Texts are NULL when absent. */
struct field_rule {
    const char *default_value;
    const char *min;
    const char *max;
    uint32_t unit;
    uint32_t max_bytes;
    uint32_t max_items;
    bool secret;
    bool required;
};

/* MethodRule. */
struct method_rule {
    bool mutates;
    bool idempotent;
    const char *max_deadline; /* as written, or NULL */
};

/* Whether one of the two files is among the request's: only then is the number ours. */
bool rules_are_declared(const Google__Protobuf__Compiler__CodeGeneratorRequest *request);
/* `options` is a FieldOptions or a MethodOptions, or NULL: no rule. */
struct field_rule rules_of_field(const ProtobufCMessage *options, struct arena *pool);
struct method_rule rules_of_method(const ProtobufCMessage *options, struct arena *pool);

/* "500ms", "30s", "10m", "1h" in milliseconds; -1: not such a text. */
int64_t rules_duration_ms(const char *text);

#endif

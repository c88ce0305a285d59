/* One run's files as emitters want them: indexed by full name,
 * linked, with names, comments and rules at hand. Built once, never
 * changed. Must not decide what is refused (refuse.h) nor print. */
#ifndef PROTOC_GEN_CRPC_MODEL_H
#define PROTOC_GEN_CRPC_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "comments.h"
#include "google/protobuf/compiler/plugin.pb-c.h"
#include "google/protobuf/descriptor.pb-c.h"
#include "options.h"
#include "rules.h"

struct model_file;
struct model_message;
struct model_enum;

struct model_field {
    const Google__Protobuf__FieldDescriptorProto *proto;
    struct comment_path path;
    const char *name;
    const char *member; /* of the C struct */
    const char *comment;
    struct field_rule rule;
    bool is_repeated;
    bool is_map;
    int oneof; /* -1: none */
    /* Type, if it is one of these. */
    const struct model_message *message;
    const struct model_enum *enumeration;
};

struct model_oneof {
    const char *name;
    struct comment_path path;
};

struct model_message {
    struct model_file *file;
    const Google__Protobuf__DescriptorProto *proto;
    struct comment_path path;
    const char *full_name;  /* "flocks.v1.ServiceStatus" */
    const char *short_name; /* "flocks_service_status" */
    const char *short_upper;
    /* "flocks_service_status_info"; flocks_service_status_type_info where the first is a type. */
    const char *info_name;
    const char *comment;
    bool is_map_entry;
    size_t n_fields;
    struct model_field *fields; /* by number */
    size_t n_oneofs;
    struct model_oneof *oneofs;
};

struct model_enum_value {
    const char *name;       /* "SERVICE_STATE_HEALTHY" */
    const char *short_name; /* "HEALTHY" */
    const char *constant;   /* "FLOCKS_SERVICE_STATE_HEALTHY" */
    int32_t number;
    const char *comment;
    struct comment_path path;
    bool is_alias; /* an earlier value has the same number */
};

struct model_enum {
    struct model_file *file;
    const Google__Protobuf__EnumDescriptorProto *proto;
    struct comment_path path;
    const char *full_name;
    const char *short_name;
    const char *short_upper;
    const char *info_name;
    /* Of _from and _name: the short name, or flocks_service_state_enum where one would be a type.
     */
    const char *function_name;
    const char *comment;
    size_t n_values;
    struct model_enum_value *values; /* in the order of the file */
};

struct model_method {
    const Google__Protobuf__MethodDescriptorProto *proto;
    struct comment_path path;
    const char *name;    /* "GetStatus" */
    const char *snake;   /* "get_status" */
    const char *handler; /* the same as a member of structs: "delete_" of Delete */
    /* Of the handle type and its functions: as `client_name`, or "flocks_get_status" with
     * calls=short. */
    const char *call_name;
    const char *client_name; /* "flocks_supervisor_get_status" */
    const char *constant;    /* "FLOCKS_SUPERVISOR_GET_STATUS" */
    const char *row;         /* "&flocks_supervisor_methods[FLOCKS_SUPERVISOR_GET_STATUS]" */
    const char *comment;
    struct method_rule rule;
    const struct model_message *input;
    const struct model_message *output;
    bool client_streams;
    bool server_streams;
    bool is_unary; /* neither */
};

struct model_service {
    struct model_file *file;
    struct comment_path path;
    const char *full_name;  /* "flocks.v1.SupervisorService" */
    const char *short_name; /* "flocks_supervisor"; just the prefix where it says the same */
    const char *short_upper;
    const char *comment;
    size_t n_methods;
    struct model_method *methods;
    /* Names of those that stream, ", " between them, where the flavour has no streams and they are
     * not among the methods; else "". */
    const char *left_out;
};

struct model_import {
    const struct model_file *file;
};

/* One type by its full name: a message or an enum. */
struct model_type {
    const char *full_name;
    const struct model_message *message;
    const struct model_enum *enumeration;
};

struct model_file {
    const Google__Protobuf__FileDescriptorProto *proto;
    const char *path; /* "flocks/v1/types.proto" */
    const char *stem; /* "flocks/v1/types" */
    const char *package;
    const char *prefix;
    bool is_generated;
    const char *comment; /* of its syntax or package line */
    size_t n_messages;
    struct model_message *messages; /* nested ones after their parent */
    size_t n_enums;
    struct model_enum *enums;
    size_t n_services;
    struct model_service *services;
    /* Imported files whose types this file names, by path. */
    size_t n_imports;
    struct model_import *imports;
};

struct model {
    struct arena *pool;
    const struct options *options;
    size_t n_files;
    struct model_file *files; /* imports before importers, as protoc sends them */
    size_t n_messages;
    struct model_message *messages;
    size_t n_enums;
    struct model_enum *enums;
    size_t n_types;
    struct model_type *types; /* by name */
    /* rules_are_declared(request) */
    bool has_rules;
};

/* Everything lives in `pool` and borrows from `request`. */
struct model *model_new(const Google__Protobuf__Compiler__CodeGeneratorRequest *request,
    const struct options *options, struct arena *pool);

#endif

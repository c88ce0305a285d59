/* Names: those that protoc-c and nanopb give, and our
 * short ones. Pure. Every answer lives in `pool`. */
#ifndef PROTOC_GEN_CRPC_NAMING_H
#define PROTOC_GEN_CRPC_NAMING_H

#include "common/base/arena.h"

/* "GetHTTPStatus" -> "get_http_status"; what is snake already stays. */
char *naming_snake(struct arena *pool, const char *camel);
char *naming_upper(struct arena *pool, const char *text);
/* Every byte `from` becomes `to`: "flocks.v1" -> "flocks_v1". */
char *naming_replace(struct arena *pool, const char *text, char from, char to);

/* As protoc-c 1.4 writes them (its c_helpers.cc), for "flocks.v1.ServiceStatus":
 * Flocks__V1__ServiceStatus, flocks__v1__service_status, FLOCKS__V1__SERVICE_STATUS. */
char *naming_protobuf_c_type(struct arena *pool, const char *full_name);
char *naming_protobuf_c_lower(struct arena *pool, const char *full_name);
char *naming_protobuf_c_upper(struct arena *pool, const char *full_name);
/* A field as a struct member in both flavours; protoc-c lowers it. */
char *naming_member(struct arena *pool, const char *field);

/* "SERVICE_STATE_HEALTHY" of ServiceState -> "HEALTHY"; the whole name where it has no such prefix
 * or a digit would come first. */
char *naming_enum_value(struct arena *pool, const char *enum_name, const char *value);
/* "SupervisorService" -> "supervisor". */
char *naming_service(struct arena *pool, const char *name);

/* Why no C program could use this as a name ("is a keyword of C"), or NULL. */
const char *naming_refusal(const char *name);
/* The same of C++, which reads the headers, too. */
const char *naming_cxx_refusal(const char *name);
/* A method as a member of the struct of handlers: as it is, or with "_" behind it where that cannot
 * be a name in C or C++ or could be a macro: "delete_". */
const char *naming_handler(struct arena *pool, const char *snake);

#endif

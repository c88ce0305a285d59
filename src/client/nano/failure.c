#include "client/nano/failure.h"

#include <string.h>

void nano_error_clear(struct flocks_nano_error *error)
{
    error->code = RPC_OK;
    error->message[0] = '\0';
    error->has_detail = false;
    memset(&error->detail, 0, sizeof error->detail);
}

/* Continuation bytes of UTF-8 belong to the character before them. */
static bool begins_character(char byte)
{
    return ((unsigned char)byte & 0xC0U) != 0x80U;
}

void nano_error_append(struct flocks_nano_error *error, const char *text, size_t len)
{
    size_t have = strlen(error->message);
    size_t room = FLOCKS_NANO_TEXT_MAX - have;
    if (len > room) {
        len = room;
        while (len > 0 && !begins_character(text[len]))
            len--;
    }
    memcpy(error->message + have, text, len);
    error->message[have + len] = '\0';
}

enum rpc_code nano_error_set(
    struct flocks_nano_error *error, enum rpc_code code, const char *what, const char *why)
{
    nano_error_clear(error);
    error->code = code;
    nano_error_append(error, what, strlen(what));
    if (why != NULL) {
        nano_error_append(error, ": ", 2);
        nano_error_append(error, why, strlen(why));
    }
    return code;
}

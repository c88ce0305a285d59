#include "common/config/environment.h"

#include <string.h>

const char *environment_get(const char *const *environment, const char *name, size_t name_len)
{
    for (; *environment != NULL; environment++) {
        if (strncmp(*environment, name, name_len) == 0 && (*environment)[name_len] == '=')
            return *environment + name_len + 1;
    }
    return NULL;
}

bool environment_name_is_valid(const char *name, size_t name_len)
{
    for (size_t i = 0; i < name_len; i++) {
        bool is_letter = (name[i] >= 'A' && name[i] <= 'Z') || (name[i] >= 'a' && name[i] <= 'z') ||
                         name[i] == '_';
        bool is_digit = name[i] >= '0' && name[i] <= '9';
        if (!is_letter && !(is_digit && i > 0))
            return false;
    }
    return name_len > 0;
}

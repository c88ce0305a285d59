#include "naming.h"

#include <string.h>

#include "common/base/attributes.h"
#include "pool.h"

static bool is_upper(char c)
{
    return c >= 'A' && c <= 'Z';
}

static bool is_lower_or_digit(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static char lower(char c)
{
    if (is_upper(c))
        c = (char)(c - 'A' + 'a');
    return c;
}

static char upper(char c)
{
    if (c >= 'a' && c <= 'z')
        c = (char)(c - 'a' + 'A');
    return c;
}

char *naming_snake(struct arena *pool, const char *camel)
{
    char *snake = pool_calloc(pool, 2 * strlen(camel) + 1, 1);
    size_t len = 0;
    for (size_t i = 0; camel[i] != '\0'; i++) {
        bool starts_word =
            i > 0 && is_upper(camel[i]) &&
            (is_lower_or_digit(camel[i - 1]) ||
                (is_upper(camel[i - 1]) && camel[i + 1] >= 'a' && camel[i + 1] <= 'z'));
        if (starts_word)
            snake[len++] = '_';
        snake[len++] = lower(camel[i]);
    }
    return snake;
}

char *naming_upper(struct arena *pool, const char *text)
{
    char *copy = pool_strdup(pool, text);
    for (char *c = copy; *c != '\0'; c++)
        *c = upper(*c);
    return copy;
}

char *naming_replace(struct arena *pool, const char *text, char from, char to)
{
    char *copy = pool_strdup(pool, text);
    for (char *c = copy; *c != '\0'; c++) {
        if (*c == from)
            *c = to;
    }
    return copy;
}

/* protoc-c joins the pieces of a full name with two underscores. */
char *naming_protobuf_c_type(struct arena *pool, const char *full_name)
{
    char *type = pool_calloc(pool, 2 * strlen(full_name) + 1, 1);
    size_t len = 0;
    bool next_is_upper = true;
    for (const char *c = full_name; *c != '\0'; c++) {
        if (*c == '.') {
            type[len++] = '_';
            type[len++] = '_';
            next_is_upper = true;
        } else if (*c == '_') {
            next_is_upper = true;
        } else {
            type[len] = *c;
            if (next_is_upper)
                type[len] = upper(*c);
            len++;
            next_is_upper = false;
        }
    }
    return type;
}

static char *pieces_in_one_case(struct arena *pool, const char *full_name, char (*convert)(char))
{
    char *name = pool_calloc(pool, 2 * strlen(full_name) + 1, 1);
    size_t len = 0;
    bool was_upper = true;
    for (const char *c = full_name; *c != '\0'; c++) {
        if (*c == '.') {
            name[len++] = '_';
            name[len++] = '_';
            was_upper = true;
            continue;
        }
        if (is_upper(*c) && !was_upper)
            name[len++] = '_';
        name[len++] = convert(*c);
        was_upper = is_upper(*c);
    }
    return name;
}

char *naming_protobuf_c_lower(struct arena *pool, const char *full_name)
{
    return pieces_in_one_case(pool, full_name, lower);
}

char *naming_protobuf_c_upper(struct arena *pool, const char *full_name)
{
    return pieces_in_one_case(pool, full_name, upper);
}

char *naming_member(struct arena *pool, const char *field)
{
    char *member = pool_strdup(pool, field);
    for (char *c = member; *c != '\0'; c++)
        *c = lower(*c);
    return member;
}

char *naming_enum_value(struct arena *pool, const char *enum_name, const char *value)
{
    char *prefix = naming_upper(pool, naming_snake(pool, enum_name));
    size_t len = strlen(prefix);
    bool has_prefix = strncmp(value, prefix, len) == 0 && value[len] == '_';
    const char *rest = value + len + 1;
    if (!has_prefix || *rest == '\0' || (*rest >= '0' && *rest <= '9'))
        return pool_strdup(pool, value);
    return pool_strdup(pool, rest);
}

char *naming_service(struct arena *pool, const char *name)
{
    static const char SUFFIX[] = "Service";
    size_t len = strlen(name);
    size_t suffix_len = sizeof(SUFFIX) - 1;
    bool has_suffix = len > suffix_len && strcmp(name + len - suffix_len, SUFFIX) == 0;
    char *stem = pool_strndup(pool, name, has_suffix ? len - suffix_len : len);
    return naming_snake(pool, stem);
}

static bool is_one_of(const char *name, const char *const *names, size_t n_names)
{
    for (size_t i = 0; i < n_names; i++) {
        if (strcmp(name, names[i]) == 0)
            return true;
    }
    return false;
}

const char *naming_refusal(const char *name)
{
    static const char *const C_KEYWORDS[] = {"asm", "auto", "break", "case", "char", "const",
        "continue", "default", "do", "double", "else", "enum", "extern", "float", "for", "goto",
        "if", "inline", "int", "long", "register", "restrict", "return", "short", "signed",
        "sizeof", "static", "struct", "switch", "typedef", "typeof", "union", "unsigned", "void",
        "volatile", "while"};
    /* Object-like macros of POSIX, the C library and the compilers' GNU dialects, lower case as
     * fields are. */
    static const char *const MACROS[] = {"alignas", "alignof", "bool", "complex", "d_fileno",
        "errno", "false", "h_addr", "h_errno", "i386", "ifa_broadaddr", "ifa_dstaddr", "ifc_buf",
        "ifc_req", "ifr_addr", "ifr_bandwidth", "ifr_broadaddr", "ifr_data", "ifr_dstaddr",
        "ifr_flags", "ifr_hwaddr", "ifr_ifindex", "ifr_map", "ifr_metric", "ifr_mtu", "ifr_name",
        "ifr_netmask", "ifr_newname", "ifr_qlen", "ifr_slave", "imaginary", "linux",
        "math_errhandling", "no_argument", "noreturn", "optional_argument", "required_argument",
        "s6_addr", "s6_addr16", "s6_addr32", "sa_handler", "sa_sigaction", "si_addr", "si_addr_lsb",
        "si_arch", "si_band", "si_call_addr", "si_fd", "si_int", "si_lower", "si_overrun", "si_pid",
        "si_pkey", "si_ptr", "si_status", "si_stime", "si_syscall", "si_timerid", "si_uid",
        "si_upper", "si_utime", "si_value", "sigev_notify_attributes", "sigev_notify_function",
        "st_atime", "st_ctime", "static_assert", "st_mtime", "stderr", "stdin", "stdout",
        "thread_local", "true", "unix", "ut_addr", "ut_name", "ut_time", "ut_xtime"};
    if (is_one_of(name, C_KEYWORDS, ARRAY_LENGTH(C_KEYWORDS)))
        return "is a keyword of C";
    if (is_one_of(name, MACROS, ARRAY_LENGTH(MACROS)))
        return "may be a macro of the C library or the compiler";
    return NULL;
}

const char *naming_cxx_refusal(const char *name)
{
    static const char *const KEYWORDS[] = {"and", "and_eq", "bitand", "bitor", "catch", "class",
        "compl", "concept", "constexpr", "const_cast", "decltype", "delete", "dynamic_cast",
        "explicit", "export", "friend", "mutable", "namespace", "new", "noexcept", "not", "not_eq",
        "nullptr", "operator", "or", "or_eq", "private", "protected", "public", "reinterpret_cast",
        "requires", "static_cast", "template", "this", "throw", "try", "typeid", "typename",
        "using", "virtual", "wchar_t", "xor", "xor_eq"};
    return is_one_of(name, KEYWORDS, ARRAY_LENGTH(KEYWORDS)) ? "is a keyword of C++" : NULL;
}

/* What is called with arguments may also be taken for a function-like macro. */
static bool is_function_macro(const char *name)
{
    static const char *const MACROS[] = {"assert", "htonl", "htons", "major", "makedev", "minor",
        "ntohl", "ntohs", "offsetof", "setjmp", "sigsetjmp", "va_arg", "va_copy", "va_end",
        "va_start"};
    return is_one_of(name, MACROS, ARRAY_LENGTH(MACROS));
}

const char *naming_handler(struct arena *pool, const char *snake)
{
    bool is_taken = naming_refusal(snake) != NULL || naming_cxx_refusal(snake) != NULL ||
                    is_function_macro(snake);
    return is_taken ? pool_printf(pool, "%s_", snake) : snake;
}

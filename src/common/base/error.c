/* Composes error texts; every cut is made between characters. */
#include "common/base/error.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/base/utf8.h"

static const char ELLIPSIS[] = "...";

/* `source`, cut to fit `capacity` with its NUL. */
static void copy_text(char *target, size_t capacity, const char *source)
{
    size_t len = strlen(source);
    if (len < capacity) {
        memcpy(target, source, len + 1);
        return;
    }
    size_t kept = utf8_cut(source, len, capacity - sizeof ELLIPSIS);
    memcpy(target, source, kept);
    memcpy(target + kept, ELLIPSIS, sizeof ELLIPSIS);
}

/* vsnprintf into `target`, which may be one of the arguments. */
PRINTF_LIKE(3, 0)
static void format_text(char *target, size_t capacity, const char *format, va_list arguments)
{
    /* Longer than any of the targets, so that a cut is seen and made by copy_text. */
    char text[2 * ERROR_TEXT_MAX];
    if (vsnprintf(text, sizeof text, format, arguments) < 0)
        text[0] = '\0';
    copy_text(target, capacity, text);
}

int error_set(struct error *error, enum status_code code, const char *format, ...)
{
    assert(code != STATUS_OK);
    if (error == NULL)
        return -(int)code;
    struct error fresh = ERROR_INIT;
    fresh.code = code;
    va_list arguments;
    va_start(arguments, format);
    format_text(fresh.text, sizeof fresh.text, format, arguments);
    va_end(arguments);
    *error = fresh;
    return -(int)code;
}

int error_set_errno(struct error *error, int error_number, const char *format, ...)
{
    int saved = errno;
    enum status_code code = error_number == 0 ? STATUS_INTERNAL : status_from_errno(error_number);
    if (error == NULL)
        return -(int)code;
    struct error fresh = ERROR_INIT;
    fresh.code = code;
    fresh.system_error = error_number;
    va_list arguments;
    va_start(arguments, format);
    format_text(fresh.text, sizeof fresh.text, format, arguments);
    va_end(arguments);
    /* Not strerror: that one reads the locale and is not safe among threads. */
    const char *description = strerrordesc_np(error_number);
    char text[2 * ERROR_TEXT_MAX];
    (void)snprintf(text, sizeof text, "%s: %s (%s)", fresh.text,
        description == NULL ? "unknown error" : description, error_errno_name(error_number));
    copy_text(fresh.text, sizeof fresh.text, text);
    *error = fresh;
    errno = saved;
    return -(int)code;
}

int error_add_context(struct error *error, int result, const char *format, ...)
{
    if (error == NULL || result >= 0)
        return result;
    char context[ERROR_TEXT_MAX];
    va_list arguments;
    va_start(arguments, format);
    format_text(context, sizeof context, format, arguments);
    va_end(arguments);
    char text[2 * ERROR_TEXT_MAX + 2];
    (void)snprintf(text, sizeof text, "%s: %s", context, error->text);
    copy_text(error->text, sizeof error->text, text);
    return result;
}

void error_set_hint(struct error *error, const char *format, ...)
{
    if (error == NULL)
        return;
    va_list arguments;
    va_start(arguments, format);
    format_text(error->hint, sizeof error->hint, format, arguments);
    va_end(arguments);
}

const char *error_errno_name(int error_number)
{
    const char *name = strerrorname_np(error_number);
    return name == NULL ? "EUNKNOWN" : name;
}

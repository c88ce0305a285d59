#include "client/upgrade/trust.h"

#include <string.h>

#include "client/updater/asset_name.h"

int trust_load_keys(const flocks_update_config *update, struct trust_keys *out, struct error *error)
{
    out->n = 0;
    for (size_t i = 0; i < update->n_keys && out->n < TRUST_KEYS_MAX; i++) {
        const char *text = update->keys[i];
        int result = signature_key_parse(text, strlen(text), &out->items[out->n++], error);
        if (result < 0)
            return error_add_context(error, result, "verifying the release: update.keys[%zu]", i);
    }
    return 0;
}

static int refuse_name(const char *name, const char *told, struct error *error)
{
    int result = told == NULL
                     ? error_set(error, STATUS_DATA_LOSS,
                           "the signature of %s does not tell which file it is for", name)
                     : error_set(error, STATUS_DATA_LOSS,
                           "the signature of %s was made for a file called %s", name, told);
    if (told == NULL)
        error_set_hint(error,
            "its publisher has to sign it with file:%s in the trusted comment, as "
            "minisign -S does by itself",
            name);
    else
        error_set_hint(error,
            "do not use it; tell the publisher; a copy of your own needs the name "
            "that it was signed under");
    return result;
}

int trust_check_file(const struct trust_keys *keys, const struct signature *signature, int fd,
    const char *name, int cancel_fd, struct error *error)
{
    char told[ASSET_NAME_MAX + 1];
    int result = signature_verify(signature, keys->items, keys->n, fd, name, cancel_fd, error);
    if (result < 0)
        return result;
    if (!signature_comment_field(signature, "file", told, sizeof told))
        return refuse_name(name, NULL, error);
    return strcmp(told, name) == 0 ? 0 : refuse_name(name, told, error);
}

/* Builds of one version are equal: names seldom tell them. */
static int compare(const char *what, const struct version *told, const char *version,
    const char *name, struct error *error)
{
    struct version wanted;
    if (version_parse(version, &wanted) && version_compare(told, &wanted) == 0)
        return 0;
    int result = error_set(error, STATUS_DATA_LOSS,
        "%s was published as version %s, but %s says %s", name, version, what, told->text);
    error_set_hint(error, "do not use it; tell whoever published it");
    return result;
}

int trust_check_version(const char *name, const struct signature *signature, const char *version,
    bool *out_is_told, struct error *error)
{
    struct version told;
    char text[VERSION_TEXT_MAX + 2];
    int result = 0;
    *out_is_told = false;
    if (asset_name_version(name, &told)) {
        *out_is_told = true;
        result = compare("its name", &told, version, name, error);
    }
    if (result == 0 && signature != NULL &&
        signature_comment_field(signature, "version", text, sizeof text) &&
        version_parse(text, &told)) {
        *out_is_told = true;
        result = compare("its signature", &told, version, name, error);
    }
    return result;
}

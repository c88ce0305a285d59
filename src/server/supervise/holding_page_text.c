#include "server/supervise/holding_page_text.h"

struct wording {
    const char *language;
    const char *title;
    const char *heading;
    const char *text;
    const char *code; /* for programs */
};

/* Texts stand in HTML and in JSON as they are: no quotes, no markup. */
static const struct wording wordings[][2] = {
    [HOLDING_ENGLISH] =
        {
            [HOLDING_UPDATING] = {"en", "Updating", "A new version is being installed",
                "This usually takes less than a minute. What you asked for opens by itself as soon "
                "as it is ready.",
                "UPDATING"},
            [HOLDING_STUCK] = {"en", "Update not finished", "The update could not be finished",
                "Whoever looks after this system has to decide what happens now. What you asked "
                "for opens by itself as soon as it is there again.",
                "UPDATE_STUCK"},
        },
    [HOLDING_CHINESE] =
        {
            [HOLDING_UPDATING] = {"zh-CN", "正在更新", "正在安装新版本",
                "通常不到一分钟即可完成。准备就绪后，您要访问的页面会自动打开。", "UPDATING"},
            [HOLDING_STUCK] = {"zh-CN", "更新未完成", "更新未能完成",
                "需要系统维护人员来处理。服务恢复后，您要访问的页面会自动打开。", "UPDATE_STUCK"},
        },
};

/* ---- the document ---- */

static const char style[] =
    ":root{color-scheme:light dark}"
    "body{margin:0;min-height:100vh;display:grid;place-items:center;"
    "font:1rem/1.6 system-ui,-apple-system,\"Segoe UI\",\"PingFang SC\",\"Microsoft YaHei\","
    "\"Noto Sans CJK SC\",sans-serif;background:#f6f7f9;color:#1c2430}"
    "main{max-width:26rem;padding:2rem;text-align:center}"
    "h1{font-size:1.4rem;font-weight:600;margin:1.5rem 0 .5rem}"
    "p{margin:0;color:#5a6573}"
    ".ring{width:2.5rem;height:2.5rem;margin:auto;border-radius:50%;border:3px solid #d5dae1;"
    "border-top-color:#2f6fde;animation:turn 1s linear infinite}"
    ".stuck{animation:none;border-color:#d9912b}"
    "@keyframes turn{to{transform:rotate(1turn)}}"
    "@media(prefers-reduced-motion:reduce){.ring{animation-duration:6s}}"
    "@media(prefers-color-scheme:dark){body{background:#14181f;color:#e8ebf0}p{color:#9aa5b4}"
    ".ring{border-color:#323a46;border-top-color:#6ea0ff}.stuck{border-color:#d9912b}}";

/* Another answer than this page's is what people wait for. One that says that the server has failed
 * is given some time: a gateway may be there before what is behind it. A redirection is not
 * followed (it may lead where a script may not read) but is an answer. */
static const char script[] =
    "(function(){var bad=0;"
    "function later(){setTimeout(ask,1000)}"
    "function ask(){"
    "var options={cache:'no-store',redirect:'manual',headers:{Accept:'text/html'}};"
    "if(window.AbortSignal&&AbortSignal.timeout)options.signal=AbortSignal.timeout(10000);"
    "fetch(location.href,options).then(function(r){"
    "if(r.headers.get('" HOLDING_MARK "')){bad=0;later()}"
    "else if(r.status<500||++bad>=10)location.reload();"
    "else later()},later)}"
    "later()})()";

static const struct wording *wording_of(enum holding_notice notice, enum holding_language language)
{
    return &wordings[language][notice];
}

const char *holding_text_language(enum holding_language language)
{
    return wording_of(HOLDING_UPDATING, language)->language;
}

/* An attribute's value; of all that a path may have here only "&" means something in HTML. */
static int append_path(const char *path, struct buffer *out)
{
    int result = path[0] != '\0' ? buffer_append_text(out, ";url=") : 0;

    for (; *path != '\0' && result == 0; path++)
        result = *path == '&' ? buffer_append_text(out, "&amp;") : buffer_append(out, path, 1);
    return result;
}

static int append_head(
    const struct wording *wording, const struct holding_request *request, struct buffer *out)
{
    int result = buffer_printf(out,
        "<!doctype html>\n<html lang=\"%s\">\n<head>\n<meta charset=\"utf-8\">\n"
        "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n"
        "<meta name=\"robots\" content=\"noindex\">\n<link rel=\"icon\" href=\"data:,\">\n"
        "<noscript><meta http-equiv=\"refresh\" content=\"%d",
        wording->language, (int)HOLDING_RETRY_AFTER_S);

    if (result == 0)
        result = append_path(request->path, out);
    if (result == 0)
        result =
            buffer_printf(out, "\"></noscript>\n<title>%s</title>\n<style>%s</style>\n</head>\n",
                wording->title, style);
    return result;
}

int holding_text_page(
    enum holding_notice notice, const struct holding_request *request, struct buffer *out)
{
    const struct wording *wording = wording_of(notice, request->language);
    int result = append_head(wording, request, out);

    if (result != 0)
        return result;
    return buffer_printf(out,
        "<body>\n<main role=\"status\">\n"
        "<div class=\"ring%s\" aria-hidden=\"true\"></div>\n<h1>%s</h1>\n<p>%s</p>\n</main>\n"
        "<script>%s</script>\n</body>\n</html>\n",
        notice == HOLDING_STUCK ? " stuck" : "", wording->heading, wording->text, script);
}

int holding_text_json(
    enum holding_notice notice, enum holding_language language, struct buffer *out)
{
    const struct wording *wording = wording_of(notice, language);

    return buffer_printf(out,
        "{\"status\":503,\"error\":\"%s\",\"message\":\"%s\",\"retry_after\":%d}\n", wording->code,
        wording->heading, (int)HOLDING_RETRY_AFTER_S);
}

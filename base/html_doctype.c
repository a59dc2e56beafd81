/* Which doctypes mean quirks mode (HTML standard 13.2.6.4.1). */
#include "base/html.h"

static struct str skip_space(struct str s)
{
    while (s.n && str_is_space(s.p[0]))
        s = str_slice(s, 1, s.n);
    return s;
}

/* Cut a quoted string off the front of *s; false when there is none. */
static bool quoted(struct str *s, struct str *out)
{
    size_t end;

    *s = skip_space(*s);
    if (!s->n || (s->p[0] != '"' && s->p[0] != '\''))
        return false;
    end = str_find_char(*s, s->p[0], 1);
    if (end == SIZE_MAX)
        return false;
    *out = str_slice(*s, 1, end);
    *s = str_slice(*s, end + 1, s->n);
    return true;
}

static bool begins(struct str s, const char *prefix)
{
    struct str p = str_of(prefix);

    return str_ieq(str_slice(s, 0, p.n), p);
}

/* The standard lists these makers' document types one by one. */
static bool is_old(struct str public_id, bool has_system)
{
    static const char *const old[] = {
        "+//silmaril//",
        "-//advasoft ltd//",
        "-//as//",
        "-//ietf//dtd html",
        "-//metrius//",
        "-//microsoft//dtd internet explorer",
        "-//netscape comm. corp.//",
        "-//o'reilly and associates//dtd html",
        "-//softquad",
        "-//spyglass//",
        "-//sq//",
        "-//sun microsystems corp.//dtd hotjava",
        "-//w3c//dtd html 3",
        "-//w3c//dtd html 4.0 frameset//",
        "-//w3c//dtd html 4.0 transitional//",
        "-//w3c//dtd html experimental",
        "-//w3c//dtd w3 html",
        "-//w3o//dtd w3 html",
        "-//webtechs//dtd mozilla html",
        "-/w3c/dtd html 4.0 transitional/en",
    };

    for (size_t i = 0; i < sizeof old / sizeof old[0]; i++)
        if (begins(public_id, old[i]))
            return true;
    return str_ieq(public_id, STR("html")) ||
           (!has_system &&
            (begins(public_id, "-//w3c//dtd html 4.01 frameset//") ||
             begins(public_id, "-//w3c//dtd html 4.01 transitional//")));
}

bool html_doctype_is_quirky(struct str d)
{
    struct str public_id = STR_NONE, system_id = STR_NONE;
    bool has_system;
    size_t end = 0;

    d = skip_space(d);
    while (end < d.n && !str_is_space(d.p[end]))
        end++;
    if (!str_ieq(str_slice(d, 0, end), STR("html")))
        return true;
    d = skip_space(str_slice(d, end, d.n));
    if (!d.n)
        return false;
    if (begins(d, "system")) {
        d = str_slice(d, 6, d.n);
        has_system = quoted(&d, &system_id);
        return !has_system ||
               str_ieq(system_id, STR("http://www.ibm.com/data/dtd/v11/"
                                      "ibmxhtml1-transitional.dtd"));
    }
    if (!begins(d, "public"))
        return true;
    d = str_slice(d, 6, d.n);
    if (!quoted(&d, &public_id))
        return true;
    has_system = quoted(&d, &system_id);
    return is_old(public_id, has_system) ||
           str_ieq(system_id, STR("http://www.ibm.com/data/dtd/v11/"
                                  "ibmxhtml1-transitional.dtd"));
}
